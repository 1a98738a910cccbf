"""A bot that answers whoever calls: three tones as a greeting, then it says back what it hears, and hangs up after a minute.

Run it, and call it from another terminal::

    python answering_bot.py          sinchphone call bot
"""

import argparse
import asyncio
import contextlib

import numpy as np

from sinchphone import Call, IncomingCall, Local, SinchClient
from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame
from sinchphone.media.ticker import Ticker

GREETING_HZ = (440.0, 550.0, 660.0)
LONGEST_CALL_S = 60.0


def greeting() -> list[Frame]:
    """Half a second of each tone, in frames of 20 ms."""
    at = np.arange(RATE // 2) / RATE
    sound = np.concatenate([8000 * np.sin(2 * np.pi * hz * at) for hz in GREETING_HZ]).astype(np.int16)
    return [sound[start : start + FRAME_SAMPLES] for start in range(0, len(sound), FRAME_SAMPLES)]


class Greeter:
    """Is asked every 20 ms, in the media thread: gets what the caller said, gives what they hear."""

    def __init__(self) -> None:
        self._greeting = iter(greeting())

    def tick(self, far: Frame) -> Frame:
        """The greeting, frame by frame; then the caller's own voice."""
        return next(self._greeting, far)


async def attend(call: Call) -> None:
    """One call, from ringing to its end."""
    await call.answer()
    print(f"{call.peer} is being greeted", flush=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_CALL_S):
            print(f"{call.peer} is gone: {(await call.ended()).cause}", flush=True)
            return
    await call.hang_up()


async def serve(local: Local, name: str = "bot") -> None:
    """Answer for ever, any number of calls at a time."""
    async with SinchClient(name, local, sound=lambda: Ticker(Greeter(), bot.media)) as bot, asyncio.TaskGroup() as calls:
        print(f"{name} is waiting", flush=True)
        async for event in bot.events():
            if isinstance(event, IncomingCall):
                calls.create_task(attend(event.call), name=f"call of {event.call.peer}")


async def main() -> None:
    """The exchange of this machine's user is found, or hosted here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=4600, help="where the exchange listens")
    async with Local(port=parser.parse_args().port) as local:
        await serve(local)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
