"""Lets packets of pictures go one by one, not all of a frame at once: a burst would stand before the sound in the path's queue."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from sinchphone.media.legs.path_control import BELOW_BYTES

_TICK_SECONDS: Final = 0.005
_LEAST: Final = 24_000.0  # [bit/s] that a queue is emptied with
_BEHIND_SECONDS: Final = 0.4  # of queue: no further picture is made meanwhile


class Pacer:
    """In the media loop only, but for ``is_behind``. ``send`` takes a packet."""

    def __init__(self, send: Callable[[bytes], object], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._queue: deque[bytes] = deque()
        self._queued = 0  # bytes
        self._rate = _LEAST
        self._waits = False
        self._credit = 0.0  # bytes that may go at once
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_behind(self) -> bool:
        """Whether what waits already takes long. Any thread."""
        return self._queued * 8 / self._rate > _BEHIND_SECONDS

    def pace(self, bitrate: float) -> None:
        """Send so fast from now on [bit/s]; 0: what there is waits."""
        self._rate, self._waits = max(_LEAST, bitrate), bitrate <= 0

    def put(self, packets: Iterable[bytes], *, first: bool = False) -> None:
        """Send those, after what waits, or before it."""
        kept = list(packets)
        self._queued += sum(map(_size, kept))
        if first:
            self._queue.extendleft(reversed(kept))
        else:
            self._queue.extend(kept)
        if self._timer is None and self._queue:
            self._at = self._clock() - _TICK_SECONDS
            self._pump()

    def clear(self) -> list[bytes]:
        """Send nothing of what waits: that."""
        left = list(self._queue)
        self._queue.clear()
        self._queued, self._credit = 0, 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return left

    def _pump(self) -> None:
        now = self._clock()
        self._credit = min(0.0, self._credit) + min(0.1, now - self._at) * self._rate / 8
        self._at = now
        while self._queue and self._credit > 0 and not self._waits:
            packet = self._queue.popleft()
            self._queued -= _size(packet)
            self._credit -= _size(packet)
            self._send(packet)
        self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._pump) if self._queue else None


def _size(packet: bytes) -> int:
    return len(packet) + BELOW_BYTES
