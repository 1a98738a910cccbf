"""Programs for ``test_two_networks.py``, each run in a network namespace.

usage: two_networks.py refuse HOST | call HOST HOST

refuse: takes one INVITE at HOST:5060, refuses it as busy, prints the description that it carried. call: a gateway that has no phones of
its own calls somebody at both hosts in the same moment.
"""

import asyncio
import socket
import sys
import tempfile
from pathlib import Path

LIMIT_S = 30.0


def refuse(host: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(LIMIT_S)
        server.bind((host, 5060))
        print("ready", flush=True)
        data, source = server.recvfrom(65_535)
        head, _, body = data.decode().partition("\r\n\r\n")
        kept = [line for line in head.split("\r\n") if line.lower().startswith(("via:", "from:", "to:", "call-id:", "cseq:"))]
        kept = [f"{line};tag=busy" if line.lower().startswith("to:") else line for line in kept]
        server.sendto("\r\n".join(["SIP/2.0 486 Busy Here", *kept, "Content-Length: 0", "", ""]).encode(), source)
        print(body, flush=True)


async def call(*hosts: str) -> None:
    from sinchphone import Local, SinchClient

    async with Local() as local, SinchClient("ada", local) as client:
        calls = await asyncio.gather(*(client.call_sip(f"bob@{host}") for host in hosts))
        async with asyncio.timeout(LIMIT_S):
            for one in calls:
                print((await one.ended()).cause, flush=True)


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    if kind == "refuse":
        refuse(*rest)
    else:
        with tempfile.TemporaryDirectory() as folder:
            import os

            os.environ["XDG_STATE_HOME"] = os.environ["HOME"] = str(Path(folder))
            asyncio.run(call(*rest))
