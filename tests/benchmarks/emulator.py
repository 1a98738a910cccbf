"""Two hosts and a line between them, on this machine: network namespaces, a TUN device each, and a relay that loses and delays packets.

::

    host "a" (namespace) -- TUN -- relay (a process of its own) -- TUN -- host "b" (namespace)

Media packets from a to b meet the line's condition; everything else takes DELAY_S. Linux, as root; no sch_netem is needed.
"""

import contextlib
import fcntl
import heapq
import json
import os
import resource
import select
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from line import DELAY_S, Condition, Line, named

TUN = Path("/dev/net/tun")
_SET_INTERFACE = 0x400454CA
_NO_HEADER_TUN = 0x1001
_MAX_BYTES = 2048
_PUNCTUAL_S = 0.004
_REAL_TIME = 2  # the relay's priority: it goes before all peers
_ALONE_US = 2_000_000  # so long before all others without waiting for anything, and it's ended
_NICE = -20  # where real time isn't allowed


class Emulator:
    """``with`` it the hosts are there. Several may be, under different numbers."""

    def __init__(self, number: int, condition: Condition, seed: int) -> None:
        self.addresses = (f"10.109.{number}.1", f"10.109.{number}.2")
        self.counts: dict[str, int] = {}  # of media packets, and of all that the relay delivered late, for want of CPU
        self._number = number
        self._order = json.dumps([number, condition.name, seed])
        self._relay: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Emulator":
        self._relay = subprocess.Popen(
            [sys.executable, __file__, self._order], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._relay.stdout is not None
        assert self._relay.stdout.readline() == "ready\n", "the hosts couldn't be made"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._relay is not None
        said, _errors = self._relay.communicate("", timeout=10)
        self.counts = json.loads(said)

    def command(self, host: int, *command: str) -> list[str]:
        """``command`` on host 0 or 1."""
        return ["ip", "netns", "exec", namespace(self._number, host), *command]


def missing() -> str | None:
    """Why this machine can't; ``None`` where it can."""
    if not sys.platform.startswith("linux") or os.geteuid():
        return "Linux, as root"
    return None if TUN.exists() else "/dev/net/tun"


def namespace(number: int, host: int) -> str:
    return f"sinchphone-bench-{number}{'ab'[host]}"


@dataclass
class _Way:
    """One direction: where it leads, and how; ``carries`` the sound that is measured."""

    to: int
    line: Line
    carries: bool

    def arrival(self, packet: bytes, now: float) -> float | None:
        sequence = rtp_sequence(packet)
        if self.carries and sequence is not None:
            return self.line.take(sequence, len(packet), now)
        return None if is_media(packet) and self.line.loses_report() else now + DELAY_S


def is_media(packet: bytes) -> bool:
    """RTP or RTCP in UDP over IPv4; no STUN, no DTLS."""
    return len(packet) >= 40 and packet[0] >> 4 == 4 and packet[9] == 17 and 128 <= packet[4 * (packet[0] & 15) + 8] < 192


def rtp_sequence(packet: bytes) -> int | None:
    """The sequence number of an RTP packet in UDP over IPv4; ``None`` for everything else, RTCP too."""
    start = 4 * (packet[0] & 15) + 8 if is_media(packet) else 0
    if not start or 192 <= packet[start + 1] <= 223:
        return None
    return int.from_bytes(packet[start + 2 : start + 4], "big")


def make_urgent() -> None:
    """This process goes before all others."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_REAL_TIME))
    except OSError:
        os.nice(_NICE)


def make_usual() -> None:
    """It goes as all others do."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def relay(number: int, condition: Condition, seed: int) -> dict[str, int]:
    """Carry packets until standard input ends; what was counted."""
    line = Line(condition, seed)
    devices = [_host(number, host) for host in (0, 1)]
    resource.setrlimit(resource.RLIMIT_RTTIME, (_ALONE_US, _ALONE_US))
    make_urgent()  # not before: sysctl waits busily for who has the kernel's lock of the network, and would let nobody run
    ways = {devices[0]: _Way(devices[1], line, True), devices[1]: _Way(devices[0], Line(condition, seed), False)}
    print("ready", flush=True)
    under_way: list[tuple[float, int, int, bytes]] = []
    count = late = 0
    while True:
        wait = under_way[0][0] - time.monotonic() if under_way else 0.2
        readable = select.select([*devices, sys.stdin], [], [], max(0.0, min(wait, 0.2)))[0]
        if sys.stdin in readable:
            return {"sent": line.sent, "lost": line.lost, "octets": line.octets, "late": late, "carried": count}
        now = time.monotonic()
        for device in readable:
            for packet in _read_all(device):  # type: ignore[arg-type]
                arrival = ways[device].arrival(packet, now)  # type: ignore[index]
                count += 1
                if arrival is not None:
                    heapq.heappush(under_way, (arrival, count, ways[device].to, packet))  # type: ignore[index]
        late += _deliver(under_way)


def _deliver(under_way: list[tuple[float, int, int, bytes]]) -> int:
    """What is due; how many of them were late."""
    late = 0
    while under_way and under_way[0][0] <= time.monotonic():
        due, _, device, packet = heapq.heappop(under_way)
        late += time.monotonic() > due + _PUNCTUAL_S
        try:
            os.write(device, packet)
        except OSError:  # the host is gone
            break
    return late


def _read_all(device: int) -> list[bytes]:
    packets = []
    while True:
        try:
            packets.append(os.read(device, _MAX_BYTES))
        except BlockingIOError:
            return packets


def _host(number: int, host: int) -> int:
    """A namespace with one address; the end of its TUN device."""
    space, name = namespace(number, host), f"bench{number}{'ab'[host]}"
    mine, other = (f"10.109.{number}.{1 + each}" for each in (host, 1 - host))
    subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _SET_INTERFACE, struct.pack("16sH", name.encode(), _NO_HEADER_TUN))
    for command in (
        f"ip netns add {space}",
        f"ip link set {name} netns {space}",
        f"ip -n {space} link set lo up",
        f"ip -n {space} addr add {mine} peer {other} dev {name}",
        f"ip -n {space} link set {name} mtu 1500 up",
        f"ip netns exec {space} sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
    ):
        subprocess.run(command.split(), check=True)
    return device


def main(order: Any) -> None:
    number, name, seed = order
    condition = named(name)
    try:
        counts = relay(number, condition, seed)
    finally:
        make_usual()
        for host in (0, 1):
            subprocess.run(["ip", "netns", "del", namespace(number, host)], capture_output=True, check=False)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
