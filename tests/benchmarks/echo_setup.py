"""How soon a call rings: to the built-in ``echo``, and to a user whose phone is in the same process as the exchange.

usage: python tests/benchmarks/echo_setup.py [CALLS]

The two are called in turn over one exchange. A figure is the median [ms] of what an ``Outgoing`` and a ``Ringing`` are apart: from
``call_user`` on until the caller knows that it rings.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from figures import median, rounds, table

from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.vocabulary import State  # type: ignore[attr-defined]
from sinchphone.tasks import start_task

PATIENCE_S = 30.0
ECHO, USER = "echo", "bob"


@dataclass(frozen=True)
class Rings:
    """Medians [ms]."""

    echo: float
    user: float

    @property
    def ratio(self) -> float:
        """How long the echo takes, in what a user takes."""
        return self.echo / self.user


async def _until_it_rings(alice: SinchClient, name: str) -> float:
    begun = time.monotonic()
    call = await alice.call_user(name)
    async for state in call.states():
        if state is State.RINGING:
            break
    else:
        raise AssertionError(f"the call to {name} ended instead: {call.details}")
    took = time.monotonic() - begun
    await call.hang_up()
    await call.closed()
    return took * 1000


async def _be_there(bob: SinchClient) -> None:
    """Bob's phone rings by itself, and answers as soon as it does: like the echo."""
    async for event in bob.events():
        if isinstance(event, IncomingCall):
            await event.call.answer()


async def measure(times: int) -> Rings:
    """Both ``times`` times in turn, after a first round that imports and warms up."""
    found: dict[str, list[float]] = {ECHO: [], USER: []}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            MediaThread() as media,
            Local(Path(folder), port=0, media=media) as local,
            SinchClient(USER, local, media=media) as bob,
            SinchClient("alice", local, media=media) as alice,
            asyncio.timeout(PATIENCE_S * (times + 1)),
        ):
            answering = start_task(_be_there(bob), name="be there")
            for _ in range(times + 1):
                for name, took in found.items():
                    took.append(await _until_it_rings(alice, name))
            answering.cancel()
            await asyncio.wait([answering])
    return Rings(median(found[ECHO][1:]), median(found[USER][1:]))


def report(found: Rings) -> str:
    """The figures."""
    return table("call_user to ringing", ["ms", "x a user"], {"echo": [found.echo, found.ratio], "a user": [found.user, 1.0]})


if __name__ == "__main__":
    print(report(asyncio.run(measure(rounds(20)))))
