"""``sinchphone exchange --log-format json --debug`` while somebody calls: every line is an object, the call's lines name it, and no
secret is in any."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import aiohttp

from sinchphone.signaling.ocra.names import Field
from tests.exchange.conftest import SECRETS, Phone

LIMIT_S = 60.0
SECRET_SDP = "v=0\r\na=ice-pwd:thisIsNobodysBusiness\r\n"


async def call_and_be_refused(url: str, call_id: str) -> list[str]:
    """A phone registers, calls nobody, and calls itself; what must stay between it and the exchange."""
    async with aiohttp.ClientSession() as http:
        phone = await Phone(http, url, "alice").registered()
        for callee, ended in (("nobody-there", 404), ("alice", 404)):
            answer = await phone.call(callee, call_id=call_id, sdp={"type": "offer", "sdp": SECRET_SDP})
            assert answer.status == ended
        await phone.subscribe("broadcast")
    keys = [value for name, value in phone.keys.items() if name.endswith("PublishKey")]
    return [phone.profile[Field.KEY], *keys, "thisIsNobodysBusiness", SECRETS["acme"], phone.token().rpartition(".")[2]]


def test_each_line_is_an_object_and_none_has_a_secret(tmp_path: Path) -> None:
    homes = {name: str(tmp_path) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME")}
    given = {"SINCHPHONE_EXCHANGE_KEY": "acme", "SINCHPHONE_EXCHANGE_SECRET": SECRETS["acme"]}
    command = [sys.executable, "-m", "sinchphone", "exchange", "--json", "--memory", "--port", "0", "--log-format", "json", "--debug"]
    log = tmp_path / "log"
    with log.open("w") as err:
        host = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True, env={**os.environ, **homes, **given}, cwd=tmp_path)
    call_id = uuid.uuid4().hex
    try:
        assert host.stdout is not None
        url = json.loads(host.stdout.readline())["url"]
        secrets = asyncio.run(call_and_be_refused(url, call_id))
    finally:
        host.send_signal(signal.SIGINT)
        host.communicate(timeout=LIMIT_S)
    written = log.read_text()
    entries = [json.loads(line) for line in written.splitlines()]
    assert {"ts", "level", "message"} <= set.intersection(*(set(one) for one in entries))
    assert any(one.get("call") == call_id for one in entries), written
    assert [one for one in secrets if one in written] == []
