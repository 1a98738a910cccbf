"""A leg's arrivals: RTP packets of the peer's voice into the receiver, and what there is to report about them."""

import time
from collections.abc import Callable
from typing import Final

from sinchphone.media.receiver import Receiver
from sinchphone.protocol.rtp import Reception, Report, ReportBlock, decode_packet

_SOURCE_SILENT_SECONDS: Final = 0.2  # a second source is heard once the first has been quiet for that long


class Inbound:
    """Sorts out whose packets they are. In the media thread only."""

    def __init__(self, receiver: Receiver, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.packets = 0
        self.octets = 0  # of payload
        self._receiver = receiver
        self._clock = clock
        self._payload_types: frozenset[int] = frozenset()
        self._source: Reception | None = None
        self._lost_before = 0  # by sources that have been replaced
        self._heard_at = 0.0
        self._last_sr: tuple[int, int, float] | None = None  # source, the middle of its NTP time, when it came

    def expect(self, payload_types: frozenset[int]) -> None:
        """The payload types that are Opus."""
        self._payload_types = payload_types

    def take(self, data: bytes) -> bool:
        """An authentic RTP packet; whether it is sound that was taken in."""
        packet = decode_packet(data)
        if packet is None or packet.payload_type not in self._payload_types:
            return False
        now = self._clock()
        source = self._select(packet.ssrc, now)
        if source is None:
            return False
        self._heard_at = now
        self.packets += 1
        self.octets += len(packet.payload)
        source.count(packet.sequence, packet.timestamp, now)
        self._receiver.push(packet.sequence, packet.timestamp, packet.payload, now)
        return True

    def note(self, report: Report) -> None:
        """A report of the peer; a sender report is answered with its time."""
        if report.sender is not None:
            self._last_sr = (report.ssrc, (report.sender.ntp_time >> 16) & 0xFFFFFFFF, self._clock())

    def report(self) -> tuple[ReportBlock, ...]:
        """What to report about the source, if there is one."""
        if self._source is None:
            return ()
        if self._last_sr is None or self._last_sr[0] != self._source.ssrc:
            return (self._source.report(0, 0),)
        _, middle, came_at = self._last_sr
        return (self._source.report(middle, int((self._clock() - came_at) * 65_536) & 0xFFFFFFFF),)

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return self._lost_before + (self._source.lost if self._source else 0)

    @property
    def jitter_ms(self) -> float | None:
        """Interarrival jitter; ``None`` before the first packet."""
        return self._source.jitter_ms if self._source else None

    def _select(self, ssrc: int, now: float) -> Reception | None:
        """The source with that SSRC; ``None`` where another one is speaking."""
        if self._source is None or self._source.ssrc != ssrc:
            if self._source is not None:
                if now - self._heard_at < _SOURCE_SILENT_SECONDS:
                    return None
                self._lost_before += self._source.lost
            self._source = Reception(ssrc)
        return self._source
