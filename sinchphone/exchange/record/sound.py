"""The sound of calls, packet by packet, for their capture files: the latest of all calls, as much as fits.

::

    ports of the media thread -> tap(call) -> the latest packets -> of(calls) -> capture file
"""

import threading
import time
from collections import deque
from collections.abc import Collection
from functools import partial
from typing import Final

from sinchphone.media.port import PacketTap
from sinchphone.protocol.trace.event import Route
from sinchphone.protocol.trace.pcapng import SoundPacket

MAX_BYTES: Final = 64 * 1024 * 1024  # a quarter of an hour of a call whose both ends are carried
_OVERHEAD_BYTES: Final = 300  # what a packet takes beside its content


class SoundRecord:
    """Packets, in the clear. Put in by the media thread, read by others."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._packets: deque[tuple[str, SoundPacket]] = deque()
        self._weight = 0

    def tap(self, call_id: str) -> PacketTap:
        """What takes the packets of one call."""
        return partial(self._put, call_id)

    def of(self, call_ids: Collection[str]) -> list[SoundPacket]:
        """Those of these calls that are kept, in the order in which they went."""
        with self._lock:
            kept = list(self._packets)
        return [packet for call_id, packet in kept if call_id in call_ids]

    def forget(self, call_ids: Collection[str]) -> None:
        """Keep those of these calls no more."""
        with self._lock:
            self._packets = deque(one for one in self._packets if one[0] not in call_ids)
            self._weight = sum(_weight(packet) for _, packet in self._packets)

    def _put(self, call_id: str, packet: bytes, source: str, target: str) -> None:
        kept = SoundPacket(at=time.time(), route=Route(transport="udp", source=source, target=target), data=packet)
        with self._lock:
            self._packets.append((call_id, kept))
            self._weight += _weight(kept)
            while self._weight > self._max_bytes:
                self._weight -= _weight(self._packets.popleft()[1])


def _weight(packet: SoundPacket) -> int:
    """What it takes in memory [bytes], about."""
    return _OVERHEAD_BYTES + len(packet.data)
