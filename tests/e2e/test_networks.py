"""Whole calls through networks that don't let them: NATs, blocked UDP, relays whose credentials expire in mid-call.

The phones ask a real exchange for their ICE servers, and the relays are coturn's.
"""

import asyncio
import datetime
import json
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sinchphone.exchange.ocra import ice_servers, routes
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.tls import issue
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import State
from sinchphone.signaling.dialect import OfferedIceServer
from tests.media.webrtc import coturn
from tests.media.webrtc.coturn import SECRET, Turn, a_turn_server

LAB = Path(__file__).with_name("nat_lab.py")
ALONE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

pytestmark = pytest.mark.skipif(not coturn.is_there(), reason=coturn.MISSING)


async def lab(folder: Path) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(*ALONE, sys.executable, str(LAB), str(folder), stdout=asyncio.subprocess.PIPE)
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 110)
    finally:
        if process.returncode is None:
            process.kill()
    return [json.loads(line) for line in out.splitlines()]


async def test_two_phones_behind_symmetric_nats_talk_by_udp_then_where_it_is_blocked_by_tcp_and_by_tls(tmp_path: Path) -> None:
    for program in ("unshare", "ip", "iptables"):
        if shutil.which(program) is None and not Path("/usr/sbin", program).exists():
            pytest.skip(f"needs {program}: the packages util-linux, iproute2 and iptables")
    if subprocess.run([*ALONE, "mount", "-t", "tmpfs", "none", "/run"], capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("this system gives no namespaces of one's own")
    calls = await lab(tmp_path)
    assert [call["network"] for call in calls] == ["udp", "tcp", "tls"]
    for call in calls:
        assert "failed" not in call["caller"], call
        for side in ("caller", "callee"):
            assert call[side]["share"] > 0.95, call
        relays = {call[side]["way"].removeprefix("relay turn/") for side in ("caller", "callee")} - {"prflx", "srflx", "host"}
        assert relays == {call["network"]}, call


async def test_a_call_lives_on_by_new_credentials_when_those_it_began_with_have_expired(
    tmp_path: Path, media: MediaThread, lines: Any, steps: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By relays only, since the exchange says so; and no log has a word of its passwords."""
    caplog.set_level(logging.DEBUG)
    passwords: set[str | None] = set()

    def ice_servers_for(*asked: Any) -> tuple[OfferedIceServer, ...]:
        offered = ice_servers.ice_servers_for(*asked)
        passwords.update(server.password for server in offered)
        return offered

    monkeypatch.setattr(routes, "ice_servers_for", ice_servers_for)
    issued = issue(tmp_path / "tls", "127.0.0.1", datetime.datetime.now(datetime.UTC))
    turn = Turn(coturn.free_port(), coturn.free_port())
    told = ExchangeOptions(port=coturn.free_port(), ice_servers=(turn.url("udp"),), ice_secret=SECRET, ice_seconds=2, ice_relay_only=True)
    async with Local(tmp_path / "state", exchange=told, media=media, keep=False) as local:
        lines.local = local
        alices_ear, alices_sound = lines.ear(440.0)
        bobs_ear, bobs_sound = lines.ear(620.0)
        async with a_turn_server(tmp_path, issued, rest=True, turn=turn):
            alice = await lines.phone("alice")
            bob = await lines.phone("bob", sound=lambda: bobs_sound)
            outgoing, begun = await alice.call_user("bob", sound=alices_sound), time.monotonic()
            incoming = await steps.next_call(bob)
            await incoming.answer()
            await steps.reach(outgoing, State.ESTABLISHED)
            assert outgoing.details.pair == "relay"
            await bobs_ear.hears(440.0)
            await asyncio.sleep(max(0.0, begun + 2.5 - time.monotonic()))  # now they are worth nothing at the server
            await alices_ear.hears(620.0)
        async with a_turn_server(tmp_path, issued, rest=True, turn=turn):  # which has forgotten its relays
            bobs_ear.heard.clear()
            alices_ear.heard.clear()
            await bobs_ear.hears(440.0)
            await alices_ear.hears(620.0)
            assert (outgoing.state, incoming.state) == (State.ESTABLISHED, State.ESTABLISHED)
            await outgoing.hang_up()
            await steps.end_of(incoming)
        await lines.stack.aclose()
    assert len(passwords) >= 3 and caplog.records
    assert not [word for word in (*passwords, SECRET) if word and word in caplog.text]
