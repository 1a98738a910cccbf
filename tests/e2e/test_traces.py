"""One call over everything: a user calls, the backend sends it to a SIP phone; what was said is one ladder, and no secret is in it."""

import asyncio
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.gateway.options import BackendOptions, GatewayOptions, SipSettings
from sinchphone.local import Local
from sinchphone.local.traces import ExchangeTraces
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import State

FAKE = "FAKE-SECRET-FOR-TESTS"


@pytest.fixture
async def backend() -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        phone = {"name": "connectMxp", "destination": {"type": "username", "endpoint": "bob"}}
        cookie = {"name": "setCookie", "key": "session", "value": "1"}
        return web.json_response(
            {"action": phone, "instructions": [cookie]} if asked["event"] == "ice" else {"action": {"name": "continue"}}
        )

    application = web.Application()
    application.router.add_post("/sinch", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/sinch?token={FAKE}"
    await runner.cleanup()


async def run(tmp_path: Path, port: int, *arguments: str) -> tuple[int, str, str]:
    (tmp_path / "config.toml").write_text(f'state_dir = "{tmp_path}/state"\n[exchange]\nport = {port}\n')
    environment = {**os.environ, "SINCHPHONE_CONFIG": str(tmp_path / "config.toml"), "COLUMNS": "120"}
    command = [sys.executable, "-m", "sinchphone", *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment, cwd=tmp_path)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_call_over_rest_messages_callbacks_and_sip_is_one_ladder(
    tmp_path: Path, media: MediaThread, lines: Any, steps: Any, backend: str, free_port: int
) -> None:
    gateway = GatewayOptions(sip=SipSettings(users={"bob": FAKE}), backend=BackendOptions(backend))
    exchange = ExchangeOptions(port=free_port, trace_sound=True)
    async with Local(tmp_path / "state", exchange=exchange, media=media, gateway=gateway, sip_port=0) as local:
        town = type(lines)(local, media, lines.stack)
        phone = await town.sip_phone()
        registered = asyncio.Event()
        await register(phone, local, registered, lines.stack)
        ada = await town.phone("ada")
        call = await ada.call_user("robert")
        await phone.answer(await phone.next_call())
        await steps.reach(call, State.ESTABLISHED)
        await sound_of_both_legs(local, call.id)
        await call.hang_up()
        await steps.end_of(call)
        summary, events = await ExchangeTraces(local.management.requests).call("last")
        ways = {event.kind.value for event in events}
        assert ways == {"rest", "pubsub", "sip", "callback", "media", "call"}
        assert (summary.id, summary.caller, summary.callee) == (call.id, "ada", "robert")
        said = [event.summary for event in events]
        assert any(one.startswith("200 connectMxp, setCookie") for one in said)
        assert [one for one in said if one.startswith("INVITE sip:")]
        assert '"endpoint":"bob"' in "".join(event.body for event in events if event.kind.value == "callback")
        ladder = await run(tmp_path, free_port, "trace", "last", "--bodies")
        assert ladder[0] == 0 and "backend" in ladder[1].splitlines()[1] and "callback ICE" in ladder[1]
        exported = await run(tmp_path, free_port, "trace", call.id, "--export", "call.pcapng")
        assert exported[0] == 0, exported
        written = (tmp_path / "call.pcapng").read_bytes()
        assert written.startswith(b"\x0a\x0d\x0d\x0a") and b"INVITE sip:" in written
        told = await run(tmp_path, free_port, "trace", "last", "--json")
        assert {json.loads(line)["event"] for line in told[1].splitlines()} == {"trace.call", "trace.event", "result"}
        read_by_wireshark(tmp_path / "call.pcapng")
        for shown in (ladder[1], told[1], written.decode(errors="replace")):
            assert FAKE not in shown
        unknown = await run(tmp_path, free_port, "trace", "01UNKNOWN")
        assert unknown[0] == 7 and "sinchphone trace lists the calls" in unknown[2]
        assert (await run(tmp_path, free_port, "trace", "last", "--export", "call.pcapng"))[0] != 0
        assert (await run(tmp_path, free_port, "trace", "last", "--export", "call"))[0] == 2
        await lines.stack.aclose()


async def register(phone: Any, local: Local, registered: asyncio.Event, stack: Any) -> None:
    from sinchphone.protocol.sip.digest import Credentials
    from sinchphone.protocol.sip.uri import parse_uri
    from sinchphone.tasks import start_task

    made = phone.agent.registration(
        parse_uri(f"sip:bob@{local.sip_address}"), Credentials("bob", FAKE), registered=lambda hop: registered.set()
    )
    stack.callback(start_task(made.run(), name="register").cancel)
    async with asyncio.timeout(20):
        await registered.wait()


async def sound_of_both_legs(local: Local, call_id: str) -> None:
    """Until the capture has packets of the user's leg and of the phone's, there and back."""
    async with asyncio.timeout(20):
        while len(ways := _ways(await ExchangeTraces(local.management.requests).capture(call_id))) < 4:
            await asyncio.sleep(0.1)
    assert {(target, source) for source, target in ways} == ways


def _ways(capture: bytes) -> set[tuple[bytes, bytes]]:
    """From which port to which RTP goes: RTP (version 2) behind UDP in IPv4 headers, which SIP's text isn't."""
    found, at = set(), 0
    while at < len(capture):
        kind, size = struct.unpack_from("<II", capture, at)
        packet = capture[at + 28 : at + size]
        if kind == 6 and packet[:1] == b"\x45" and packet[9] == 17 and packet[28] & 0xC0 == 0x80:
            found.add((packet[20:22], packet[22:24]))
        at += size
    return found


def read_by_wireshark(file: Path) -> None:
    """Where it's there: it finds the phone's sound by itself, since SIP says where it goes."""
    if shutil.which("tshark") is not None:
        read = subprocess.run(["tshark", "-r", file, "-Y", "rtp"], capture_output=True, text=True, timeout=60, check=True)
        assert "PT=" in read.stdout
