"""A machine that changes networks in mid call, for real: run in a network namespace of its own (``unshare -rn``). Prints what was heard.

usage: unshare -rn python moving_machine.py join|leave

join: another address comes up while the old one lives. leave: the old one goes away, and another comes a second later.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # run as a program

from sinchphone.media.port import Moved, PortOptions
from sinchphone.tasks import start_task
from tests.media.webrtc.webrtc_parties import a_call, hear, longest_gap_ms, share_of


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


async def change(kind: str) -> None:
    if kind == "leave":
        ip("address", "del", "10.77.0.1/32", "dev", "lo")
        await asyncio.sleep(1.0)
    ip("address", "add", "10.77.0.2/32", "dev", "lo")


async def main(kind: str) -> None:
    ip("link", "set", "lo", "up")
    ip("address", "add", "10.77.0.1/32", "dev", "lo")
    async with a_call(PortOptions(), PortOptions(), delay_s=0.02) as (caller, callee):
        hearing = start_task(hear(callee, 3.0), name="hear")
        begun = time.monotonic()
        await change(kind)
        await caller.wait_for(Moved)
        await callee.wait_for(Moved)
        moved_after = time.monotonic() - begun
        gap = longest_gap_ms(await hearing, 440)
        await hear(callee, 0.5)
        after = {hz: share_of(await hear(party, 1.0), hz) for party, hz in ((callee, 440), (caller, 620))}
        host = caller.port._path.ice._nominated[1].local_addr[0]
        print(json.dumps({"gap_ms": gap, "moved_after_s": moved_after, "share": min(after.values()), "host": host}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
