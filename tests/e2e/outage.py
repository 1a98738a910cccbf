"""Thirty seconds without any network in mid call, for real: run in a network namespace of its own (``unshare -rn``). Prints what was heard.

usage: unshare -rn python outage.py SECONDS STATE_FOLDER

Two users talk, and another user talks to a SIP phone; then the only interface goes down, and up again after SECONDS.
"""

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from conftest import Lines, SipExchange, Steps  # type: ignore[attr-defined]  # another folder's conftest comes first for the checker

from sinchphone.gateway.options import GatewayOptions, SipSettings
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import State


def link(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True, timeout=10)


async def users(lines: Lines) -> tuple[Any, list[tuple[Any, float]]]:
    """Alice talks to bob: her call, and who hears what."""
    alices_ear, alices_sound = lines.ear(440.0)
    bobs_ear, bobs_sound = lines.ear(620.0)
    alice, bob = await lines.phone("alice"), await lines.phone("bob", sound=lambda: bobs_sound)
    call = await alice.call_user("bob", sound=alices_sound)
    await (await Steps.next_call(bob)).answer()
    await Steps.reach(call, State.ESTABLISHED)
    return call, [(bobs_ear, 440.0), (alices_ear, 620.0)]


async def user_and_phone(exchange: SipExchange) -> tuple[Any, list[tuple[Any, float]]]:
    """Carol talks to a SIP phone."""
    ear, sound = exchange.lines.ear(500.0)
    carol, phone = await exchange.terminal("carol"), await exchange.phone("desk")
    call = await carol.call_user("desk", sound=sound)
    theirs = await phone.answer(await phone.next_call(), 700.0)
    await Steps.reach(call, State.ESTABLISHED)
    return call, [(theirs, 500.0), (ear, 700.0)]


async def hears(ear: Any, hz: float) -> float:
    """When that tone was most of half a second: the machine of the test may be busy, and stall the sound."""
    async with asyncio.timeout(120.0):
        while ear.share(hz, 0.5) < 0.6:
            await asyncio.sleep(0.1)
    return asyncio.get_running_loop().time()


async def all_hear(calls: list[tuple[Any, list[tuple[Any, float]]]]) -> float:
    """When the last of them did."""
    return max(await asyncio.gather(*(hears(ear, hz) for _, heard in calls for ear, hz in heard)))


async def main(seconds: float, folder: Path) -> None:
    link("up")
    options = GatewayOptions(sip=SipSettings(users={"desk": "desk"}))
    async with AsyncExitStack() as stack:
        media = stack.enter_context(MediaThread())
        local = await stack.enter_async_context(Local(folder, port=0, media=media, gateway=options, sip_port=0))
        lines = Lines(local, media, stack)
        calls = [await users(lines), await user_and_phone(SipExchange(lines, local))]
        await all_hear(calls)
        link("down")
        await asyncio.sleep(seconds)
        during = [call.state.value for call, _ in calls]
        silent = [ear.share(hz, 1.0) for _, heard in calls for ear, hz in heard]
        link("up")
        begun = asyncio.get_running_loop().time()
        back_s = await all_hear(calls) - begun
        after = [call.state.value for call, _ in calls]
        print(json.dumps({"during": during, "after": after, "silent": max(silent), "back_s": back_s}))


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), Path(sys.argv[2])))
