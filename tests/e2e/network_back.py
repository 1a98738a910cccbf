"""The network goes while a phone waits for calls, and comes back, for real: run in a network namespace of its own (``unshare -rn``). Prints
how long it took to be reachable again.

usage: unshare -rn python network_back.py SECONDS STATE_FOLDER
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sinchphone.engine.client import SinchClient
from sinchphone.engine.environment import Cloud
from sinchphone.engine.events.events import Reconnected, Reconnecting
from sinchphone.local import Local
from sinchphone.signaling.http import transport

QUICKER = {"TCP_KEEPIDLE": 3, "TCP_KEEPALIVE": 3, "TCP_KEEPINTVL": 1}  # [s] than 15 and 5: a test waits for it


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


def route(kind: str) -> None:
    ip("route", "replace", kind, "127.0.0.1/32", *(["dev", "lo"] if kind == "local" else []), "table", "local")


async def told(events: Any, kind: type) -> None:
    async with asyncio.timeout(60.0):
        while not isinstance(await anext(events), kind):
            pass


def from_afar(local: Local) -> Cloud:
    """The exchange as a platform that is reached over the network: nothing is hosted in its place."""
    return Cloud(local.application_key, host=local.url, token_source=local.token)


async def main(seconds: float, folder: Path) -> None:
    transport.OF_TCP.update(QUICKER)
    ip("link", "set", "lo", "up")
    loop = asyncio.get_running_loop()
    async with Local(folder, port=0) as local, SinchClient("bob", from_afar(local)) as bob:
        events = bob.events()
        await asyncio.sleep(1.0)  # its long polls are held
        route("unreachable")
        await told(events, Reconnecting)
        await asyncio.sleep(seconds)
        route("local")
        up_at = loop.time()
        await told(events, Reconnected)
        print(json.dumps({"back_s": round(loop.time() - up_at, 1)}))


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), Path(sys.argv[2])))
