"""What a port sends over its path, and how much of it the path carries: one for all streams of a port.

::

    streams -> send -> transmit              reports of the peer -> reported -> CongestionController -> budget -> streams
"""

import time
from collections.abc import Callable
from typing import Final

from sinchphone.protocol.congestion.controller import CongestionController
from sinchphone.protocol.congestion.history import SentPackets
from sinchphone.protocol.congestion.meters import PathSample, ReportMeter
from sinchphone.protocol.rtp.packet import ReportBlock

_BELOW_BYTES: Final = 38  # of a packet, below RTP: IPv4, UDP, the tag of SRTP
_UNTIL_SEEN: Final = 0.3  # [s] a report may be late after the loss that it tells of


class PathControl:
    """In the media thread only. ``transmit`` takes a packet and says whether it went out."""

    def __init__(self, transmit: Callable[[bytes], bool], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._transmit = transmit
        self._clock = clock
        self._controller = CongestionController()
        self._sent: dict[int, SentPackets] = {}  # by SSRC
        self._meters: dict[int, ReportMeter] = {}

    @property
    def budget(self) -> float:
        """What may be sent in all [bit/s], headers included."""
        return self._controller.budget

    def is_congested(self, since: float) -> bool:
        """Whether what got lost after that moment fell out of a queue of ours."""
        return self._controller.congested_since(since - _UNTIL_SEEN)

    def send(self, packet: bytes) -> bool:
        """Send an RTP packet; whether it went out."""
        now = self._clock()
        ssrc = int.from_bytes(packet[8:12], "big")
        if ssrc not in self._sent:
            self._sent[ssrc] = SentPackets()
            self._meters[ssrc] = ReportMeter(self._sent[ssrc])
        self._sent[ssrc].add(int.from_bytes(packet[2:4], "big"), len(packet) + _BELOW_BYTES, now)
        return self._transmit(packet)

    def reported(self, block: ReportBlock, round_trip_ms: float | None) -> None:
        """The peer tells what it got of one stream."""
        meter = self._meters.get(block.ssrc)
        if meter is None:
            return
        now = self._clock()
        round_trip = None if round_trip_ms is None else round_trip_ms / 1000
        sample = meter.report(block.highest_sequence, block.fraction_lost / 256, round_trip, now)
        self._judge(sample, now)

    def _judge(self, sample: PathSample | None, now: float) -> None:
        if sample is not None and self._controller.judge(sample, now):
            for meter in self._meters.values():
                meter.rebase()
