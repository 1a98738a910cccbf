"""What happens when somebody vanishes: a phone without goodbye, the exchange during a call."""

import asyncio
import sys
from typing import Any

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import ClientWarning, Reconnected, Reconnecting
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from sinchphone.tasks import start_task

#: another process that answers one call, then is killed
LISTENER = """
import asyncio, sys
from pathlib import Path
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.local import Local

async def main():
    async with Local(Path(sys.argv[1]), port=int(sys.argv[2])) as local, SinchClient("bob", local) as bob:
        print("ready", flush=True)
        async for event in bob.events():
            if isinstance(event, IncomingCall):
                await event.call.answer()
asyncio.run(main())
"""


async def test_a_phone_that_is_killed_frees_the_other_side_in_bounded_time(
    tmp_path: Any, media: MediaThread, steps: Any, free_port: int
) -> None:
    async with Local(tmp_path, port=free_port, media=media) as local, SinchClient("alice", local, media=media) as alice:
        bob = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LISTENER, str(tmp_path), str(free_port), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert bob.stdout is not None
            assert await asyncio.wait_for(bob.stdout.readline(), 30) == b"ready\n"
            call = await alice.call_user("bob")
            await steps.reach(call, State.ESTABLISHED)
        finally:
            bob.kill()
            await bob.wait()
        details = await steps.end_of(call, 40.0)
        assert (details.cause, details.ended_by) == (Cause.INACTIVE, "media")


async def test_the_exchange_leaves_during_a_call_and_the_media_keeps_running(
    tmp_path: Any, media: MediaThread, lines: Any, steps: Any, free_port: int
) -> None:
    """One process hosts, two others talk; the host leaves, one of the others takes over, the call ends properly later."""
    host = Local(tmp_path, port=free_port, media=media)
    await host.open()
    async with Local(tmp_path, port=free_port, media=media) as here, Local(tmp_path, port=free_port, media=media) as there:
        assert not here.hosting and not there.hosting
        alices_ear, alices_sound = lines.ear(440.0)
        bobs_ear, bobs_sound = lines.ear(620.0)
        async with (
            SinchClient("alice", here, media=media) as alice,
            SinchClient("bob", there, media=media, sound=lambda: bobs_sound) as bob,
        ):
            outgoing = await alice.call_user("bob", sound=alices_sound)
            incoming = await steps.next_call(bob)
            await incoming.answer()
            await steps.reach(outgoing, State.ESTABLISHED)
            await host.close()
            told = []
            async with asyncio.timeout(10):
                async for event in alice.events():
                    told.append(type(event))
                    if isinstance(event, Reconnected):
                        break
            assert Reconnecting in told
            assert here.hosting != there.hosting
            await asyncio.sleep(1.5)
            await alices_ear.hears(620.0)
            await bobs_ear.hears(440.0)
            await outgoing.hang_up()
            details = await steps.end_of(incoming)
            assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
            again = await alice.call_user("bob")
            await (await steps.next_call(bob)).answer()
            await steps.reach(again, State.ESTABLISHED)


async def test_a_host_that_leaves_is_replaced_within_two_seconds(tmp_path: Any, media: MediaThread, steps: Any, free_port: int) -> None:
    host = Local(tmp_path, port=free_port, media=media)
    await host.open()
    async with Local(tmp_path, port=free_port, media=media) as other, SinchClient("alice", other, media=media) as alice:
        loop = asyncio.get_running_loop()
        left_at = loop.time()
        await host.close()
        async with asyncio.timeout(10):
            async for event in alice.events():
                if isinstance(event, Reconnected):
                    break
        assert other.hosting
        assert loop.time() - left_at < 2.0 + 1.0  # the second is this machine's


async def test_hosts_that_leave_one_after_the_other_are_all_replaced(tmp_path: Any, media: MediaThread, free_port: int) -> None:
    first, second = Local(tmp_path, port=free_port, media=media), Local(tmp_path, port=free_port, media=media)
    await first.open()
    await second.open()
    async with Local(tmp_path, port=free_port, media=media) as third, SinchClient("alice", third, media=media):
        await first.close()
        await second.recover()
        await second.close()
        async with asyncio.timeout(20):
            while not third.hosting:
                await asyncio.sleep(0.05)


async def test_a_start_that_is_cancelled_leaves_nothing_behind(tmp_path: Any, media: MediaThread, free_port: int) -> None:
    before = asyncio.all_tasks()
    local = Local(tmp_path, port=free_port, media=media)
    starting = start_task(SinchClient("alice", local, media=media).__aenter__(), name="aenter")
    async with asyncio.timeout(10):
        while not local.hosting:
            await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not local.hosting
    async with asyncio.timeout(10):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)


async def test_a_bug_in_the_sound_of_an_incoming_call_is_told_and_not_silence(lines: Any) -> None:
    def broken() -> Any:
        raise RuntimeError("a bug")

    alice, bob = await lines.phone("alice"), await lines.phone("bob", sound=broken)
    await alice.call_user("bob")
    async with asyncio.timeout(10):
        told = await anext(event async for event in bob.events() if isinstance(event, ClientWarning))
    assert "a bug" in told.message


@pytest.mark.parametrize("payload", ["garbage", "10 x - 0 1 AAAA", {"not": "text"}, None, 7, "10 " + "x" * 30_000 + " - 0 1 AA"])
async def test_garbage_on_our_channels_is_ignored_and_counted(lines: Any, steps: Any, payload: object) -> None:
    alice = await lines.phone("alice")
    alice._take_frame(payload)
    assert alice.undecodable == 1
    call = await alice.call_user("echo")
    await steps.reach(call, State.ESTABLISHED)
