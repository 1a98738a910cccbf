"""From a call to its ringing at a device that sleeps, over loopback: push service, decryption, waking up, INVITE.

usage: python tests/benchmarks/push.py [CALLS]

The anchor is the same call, in the same run, to the same device while it listens. Every figure is of ``call_user`` to IncomingCall [ms].
"""

import asyncio
import tempfile
import time
from pathlib import Path

from figures import median, percentile, rounds, table

from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread

PATIENCE_S = 30.0
SLEEP_AFTER_S = 0.1


async def ring(alice: SinchClient, bob: SinchClient) -> float:
    """Milliseconds until a call of alice's rings at bob's."""
    rang = asyncio.Event()
    at = 0.0

    def note(event: object) -> None:
        nonlocal at
        if isinstance(event, IncomingCall):
            at = time.monotonic()
            rang.set()

    bob.add_listener(note)
    began = time.monotonic()
    call = await alice.call_user("bob")
    async with asyncio.timeout(PATIENCE_S):
        await rang.wait()
    bob.remove_listener(note)
    await call.hang_up()
    async with asyncio.timeout(PATIENCE_S):
        while bob.calls:
            await asyncio.sleep(0.01)
    return (at - began) * 1000


async def asleep(bob: SinchClient) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not bob._link.is_asleep:
            await asyncio.sleep(0.02)
        await bob._link.ready.wait()


async def measure(calls: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"listens": [], "sleeps": []}
    with tempfile.TemporaryDirectory() as folder, MediaThread() as media:
        local = Local(Path(folder), port=0, media=media)
        async with local, SinchClient("alice", local, media=media) as alice, SinchClient("bob", local, media=media) as bob:
            found["listens"] = [await ring(alice, bob) for _ in range(calls + 1)][1:]
            await bob.set_support_managed_push(sleep_after=SLEEP_AFTER_S)
            for _ in range(calls):
                await asleep(bob)
                found["sleeps"].append(await ring(alice, bob))
    return found


def main() -> None:
    found = asyncio.run(measure(rounds(20)))
    rows = {f"the device {name}": (median(times), percentile(times, 0.95), max(times)) for name, times in found.items()}
    print(table("from the call to its ringing [ms]", ("median", "95 %", "most"), rows))


if __name__ == "__main__":
    main()
