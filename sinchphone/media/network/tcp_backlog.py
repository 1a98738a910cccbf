"""How long what was written to a TCP connection waits until the other end's TCP has it: media would come too late behind much of it.

::

    written -> wrote        outstanding_bytes(connection) -> is_late: the system took it all, and keeps it as long as it must
"""

import asyncio
import math
import struct
import sys
from collections import deque
from contextlib import suppress
from typing import Final

LATE_SECONDS: Final = 0.5  # longer than the fastest of them bytes wait: a lost packet that TCP repeats takes less
_MOST_WRITES: Final = 1024  # that are remembered


class TcpBacklog:
    """Of one connection. ``now`` is any clock that doesn't go back [s]."""

    def __init__(self) -> None:
        self._written: deque[tuple[float, int]] = deque()
        self._octets = 0  # of those
        self._least = math.inf  # [s] that any took

    def wrote(self, size: int, now: float) -> None:
        """So many bytes."""
        self._written.append((now, size))
        self._octets += size
        if len(self._written) > _MOST_WRITES:
            self._forget()

    def is_late(self, outstanding: int, now: float) -> bool:
        """Whether the first of ``outstanding`` bytes wait for much longer than others did."""
        while self._written and (not outstanding or self._octets - self._written[0][1] >= outstanding):
            self._least = min(self._least, now - self._forget())
        usual = 0.0 if math.isinf(self._least) else self._least
        return bool(self._written) and now - self._written[0][0] > LATE_SECONDS + usual

    def _forget(self) -> float:
        """The oldest; when it was written."""
        at, size = self._written.popleft()
        self._octets -= size
        return at


def outstanding_bytes(transport: asyncio.Transport) -> int:
    """What was written and isn't acknowledged; of what the system keeps, as far as it tells (Linux, tcp(7): SIOCOUTQ)."""
    kept = transport.get_write_buffer_size()
    opened = transport.get_extra_info("socket")
    if sys.platform == "linux" and opened is not None:
        import fcntl
        import termios

        with suppress(OSError, ValueError):  # closed meanwhile
            kept += struct.unpack("i", fcntl.ioctl(opened.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    return kept
