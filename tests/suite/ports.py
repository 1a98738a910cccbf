"""Ports of loopback for programs of others, which several processes of a run ask for at the same time."""

import contextlib
import random
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
FIRST, LAST = 10_240, 29_696  # below the range from which the kernel itself chooses, and that of the benchmarks
BLOCK = 512
_CHOICE = random.SystemRandom()  # hypothesis gives the others a known seed


def free_ports(count: int, *, even: bool = False) -> int:
    """The first of ``count`` ports in a row that are free for UDP and TCP."""
    for _ in range(200):
        first = _CHOICE.randrange(FIRST, LAST - count)
        if even:
            first -= first % 2
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        held.enter_context(socket.socket(socket.AF_INET, kind)).bind((HOST, port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


@contextlib.contextmanager
def port_block() -> Iterator[range]:
    """A range of ports, the first one even, that is given to nobody else meanwhile: for programs that are told a range, take ports from
    it as they need them, and share them with each other unknowingly, as two rtpengines do."""
    for _ in range(200):
        first = _CHOICE.randrange(FIRST, LAST, BLOCK)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as guard:
            try:
                guard.bind((HOST, first))
            except OSError:
                continue
            yield range(first + 2, first + BLOCK)
            return
    raise AssertionError("no free ports")
