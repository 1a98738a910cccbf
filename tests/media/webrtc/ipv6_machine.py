"""Two phones on a machine that has nothing but IPv6, joined by coturn's relays alone: run in a network namespace of its own.

usage: unshare -rn python ipv6_machine.py FOLDER
Prints as JSON what was heard, and the addresses that the phones told each other.
"""

import asyncio
import datetime
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # run as a program

from sinchphone.exchange.tls import issue
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.port import CandidateFound, Connected, PortOptions
from tests.media.webrtc.coturn import PASSWORD, USER, a_turn_server
from tests.media.webrtc.webrtc_parties import a_call, hear, share_of

ADDRESS = "fd00:77::1"


async def main(folder: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    subprocess.run(["ip", "address", "add", f"{ADDRESS}/128", "dev", "lo", "nodad"], check=True, timeout=10)
    issued = issue(folder, ADDRESS, datetime.datetime.now(datetime.UTC))
    async with a_turn_server(folder, issued, address=ADDRESS) as turn:
        server = IceServer(urls=(turn.url("udp"), turn.url("tcp")), username=USER, credential=PASSWORD)
        options = PortOptions(ice_servers=(server,), relay_only=True)
        async with a_call(options, options) as (caller, callee):
            shares = [share_of(await hear(party, 1.0), hz) for party, hz in ((caller, 620), (callee, 440))]
            told = [event.candidate.candidate for event in caller.seen if isinstance(event, CandidateFound) and event.candidate]
            pair = (await caller.wait_for(Connected)).pair
            print(json.dumps({"share": min(shares), "pair": pair, "candidates": told}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
