"""Two phones behind a symmetric NAT each, an exchange and coturn outside: network namespaces that only this program sees.

::

    hostA 192.168.1.10 -- natA 203.0.113.2 --+-- wan 203.0.113.10: exchange, coturn
    hostB 192.168.2.10 -- natB 203.0.113.3 --'

usage: unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc python nat_lab.py FOLDER
Prints a line of JSON for each call: what the network let through, what the phones heard, and over what.
"""

import asyncio
import base64
import datetime
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a program

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.tls import Issued, issue
from tests.media.webrtc.coturn import SECRET

OUTSIDE = "203.0.113.10"
PORT, TURN_PORT, TLS_PORT = 4600, 3478, 5349
KEY, APP_SECRET = "lab", base64.b64encode(b"a secret of the lab").decode()
PARTY = Path(__file__).with_name("nat_party.py")
PATIENCE_S = 40.0
#: what the routers let through, and what they drop for it
NETWORKS = {"udp": [], "tcp": ["-p udp"], "tls": ["-p udp", f"-p tcp --dport {TURN_PORT}"]}


def run(words: str) -> None:
    subprocess.run(words.split(), check=True, timeout=20)


def build() -> None:
    run("mount -t tmpfs none /run")
    for name in ("wan", "natA", "natB", "hostA", "hostB"):
        run(f"ip netns add {name}")
        run(f"ip -n {name} link set lo up")
    run("ip -n wan link add br0 type bridge")
    run(f"ip -n wan addr add {OUTSIDE}/24 dev br0")
    run("ip -n wan link set br0 up")
    for number, side in ((2, "A"), (3, "B")):
        _build_side(side, f"203.0.113.{number}", f"192.168.{number - 1}")


def _build_side(side: str, public: str, inside: str) -> None:
    run(f"ip link add w{side} netns wan type veth peer name wan netns nat{side}")
    run(f"ip -n wan link set w{side} master br0")
    run(f"ip -n wan link set w{side} up")
    run(f"ip -n nat{side} addr add {public}/24 dev wan")
    run(f"ip -n nat{side} link set wan up")
    run(f"ip link add lan netns nat{side} type veth peer name eth0 netns host{side}")
    run(f"ip -n nat{side} addr add {inside}.1/24 dev lan")
    run(f"ip -n nat{side} link set lan up")
    run(f"ip -n host{side} addr add {inside}.10/24 dev eth0")
    run(f"ip -n host{side} link set eth0 up")
    run(f"ip -n host{side} route add default via {inside}.1")
    run(f"ip netns exec nat{side} sysctl -qw net.ipv4.ip_forward=1")
    rules = ["-t nat -A POSTROUTING -o wan -j MASQUERADE --random-fully", "-N blocked", "-P FORWARD DROP", "-P INPUT DROP"]
    rules += ["-A FORWARD -j blocked", "-A FORWARD -i lan -j ACCEPT", "-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT"]
    for rule in rules:
        run(f"ip netns exec nat{side} iptables {rule}")


def block(what: list[str]) -> None:
    for side in "AB":
        run(f"ip netns exec nat{side} iptables -F blocked")
        for rule in what:
            run(f"ip netns exec nat{side} iptables -A blocked {rule} -j DROP")


async def start(stack: AsyncExitStack, *words: str, **more: Any) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(*words, **more)

    async def stop() -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    stack.push_async_callback(stop)
    return process


def coturn(folder: Path, issued: Issued) -> list[str]:
    return [
        *("ip", "netns", "exec", "wan", "turnserver", "-n", f"--listening-ip={OUTSIDE}", f"--relay-ip={OUTSIDE}", "--realm=test"),
        *("--use-auth-secret", f"--static-auth-secret={SECRET}", "--fingerprint", "--no-cli", "--log-file=stdout"),
        *(f"--cert={issued.certificate.chain}", f"--pkey={issued.certificate.key}"),
        *("--denied-peer-ip=192.168.0.0-192.168.255.255", f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'users'}"),
    ]


class Phone:
    """One of the two."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, stack: AsyncExitStack, host: str, role: str, authority: Path) -> "Phone":
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        words = ("ip", "netns", "exec", host, sys.executable, str(PARTY), role, f"http://{OUTSIDE}:{PORT}", KEY, APP_SECRET, str(authority))
        return cls(await start(stack, *words, **pipes))

    async def told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            told: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return told

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")


async def serve(folder: Path) -> None:
    """The exchange, in the namespace of the outside: another process of this program."""
    relay = f"turn:{OUTSIDE}:{TURN_PORT}"
    urls = (f"stun:{OUTSIDE}:{TURN_PORT}", relay, f"{relay}?transport=tcp", f"turns:{OUTSIDE}:{TLS_PORT}")
    options = ExchangeOptions(host=OUTSIDE, port=PORT, applications={KEY: APP_SECRET}, ice_servers=urls, ice_secret=SECRET, ice_seconds=60)
    async with Exchange(options):
        print("ready", flush=True)
        await asyncio.Event().wait()


async def main(folder: Path) -> None:
    build()
    issued = issue(folder, OUTSIDE, datetime.datetime.now(datetime.UTC))
    async with AsyncExitStack() as stack:
        await start(stack, *coturn(folder, issued), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        serving = (sys.executable, __file__, str(folder), "serve")
        exchange = await start(stack, "ip", "netns", "exec", "wan", *serving, stdout=asyncio.subprocess.PIPE)
        assert exchange.stdout is not None
        assert await exchange.stdout.readline() == b"ready\n"
        alice = await Phone.start(stack, "hostA", "call", issued.authority)
        bob = await Phone.start(stack, "hostB", "listen", issued.authority)
        await alice.told()
        await bob.told()
        for network, dropped in NETWORKS.items():
            block(dropped)
            alice.go()
            caller = await alice.told()
            callee = await bob.told() if "failed" not in caller else {}
            print(json.dumps({"network": network, "caller": caller, "callee": callee}), flush=True)
            alice.go()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])) if sys.argv[2:] == ["serve"] else main(Path(sys.argv[1])))
