"""The address of a phone that waits for calls changes, for real: run in a network namespace of its own (``unshare -rn``). Prints how long
the next caller rang in vain.

usage: unshare -rn python moved_address.py STATE_FOLDER

What was connected from 127.0.0.2 hears nothing any more, and is told nothing: who connects from now on does so from 127.0.0.3.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.local import Local
from sinchphone.signaling.http import transport
from sinchphone.tasks import start_task

QUICKER = {"TCP_KEEPIDLE": 3, "TCP_KEEPALIVE": 3, "TCP_KEEPINTVL": 1}  # [s] than 15 and 5: a test waits for it
BEFORE, AFTER = "127.0.0.2", "127.0.0.3"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


def leave_from(address: str) -> None:
    ip("route", "replace", "local", "127.0.0.1", "dev", "lo", "table", "local", "src", address)


async def incoming(bob: SinchClient) -> None:
    async for event in bob.events():
        if isinstance(event, IncomingCall):
            await event.call.decline()
            return


async def main(folder: Path) -> None:
    transport.OF_TCP.update(QUICKER)
    ip("link", "set", "lo", "up")
    leave_from(BEFORE)
    loop = asyncio.get_running_loop()
    async with Local(folder, port=0) as local, SinchClient("bob", local) as bob:
        await asyncio.sleep(1.0)
        ip("route", "replace", "unreachable", f"{BEFORE}/32", "table", "local")
        leave_from(AFTER)
        moved_at = loop.time()
        waiting = start_task(incoming(bob), name="incoming")
        async with SinchClient("alice", local) as alice:
            while not waiting.done() and loop.time() < moved_at + 200:
                call = await alice.call_user("bob")
                await asyncio.wait({waiting}, timeout=3.0)
                await call.hang_up()
        print(json.dumps({"reached": waiting.done(), "after_s": round(loop.time() - moved_at, 1)}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
