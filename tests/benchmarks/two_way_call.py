"""A call on a virtual clock in which something comes back over a line that may be narrow too, or is somebody else's sound.

usage: python tests/benchmarks/two_way_call.py [--seeds N]
       python tests/benchmarks/two_way_call.py --moves      the call takes another path in its middle
"""

import argparse
import itertools
import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

import numpy as np
from figures import table
from line import DELAY_S, FRAME_S, Condition, Line, narrow
from virtual_call import BELOW_BYTES, NoCodec, Terms, VirtualCall, longest_wait, rate

from sinchphone.audio.frame import RATE
from sinchphone.media.codecs.codec import OPUS
from sinchphone.protocol.congestion.round_trips import CHECK_BYTES
from sinchphone.protocol.rtp.packet import RtpPacket, decode_packet, encode_packet, is_rtcp

OURS, THEIRS = 2, 3  # SSRCs of what comes back
PAYLOAD_BYTES = 80  # of the peer's packets: 32 kbit/s
OTHERS = 1 << 40  # other payloads than ours
FREE = Condition("as fast as can be")


class Back(Enum):
    """What the peer sends."""

    OWN = "the peer's own sound"
    RETURNED = "our packets"
    FORWARDED = "a third party's sound"


class LongerLine(Line):
    """From ``moved_at`` on packets take ``longer`` [s]."""

    moved_at = math.inf
    longer = 0.0

    def take(self, sequence: int, size: int, now: float) -> float | None:
        return self._take_longer(super().take(sequence, size, now), now)

    def take_check(self, size: int, now: float) -> float | None:
        return self._take_longer(super().take_check(size, now), now)

    def _take_longer(self, arrives: float | None, now: float) -> float | None:
        return arrives if arrives is None or now < self.moved_at else arrives + self.longer


@dataclass
class TwoWayCall(VirtualCall):
    """``way_back`` is the line from the peer to us, ``uplink`` that of a third party to the peer. At ``moved_at`` the call takes
    another path, which is ``longer`` each way [s]."""

    back: Back = Back.OWN
    way_back: Condition = FREE
    uplink: Condition = FREE
    codec: bool = False
    moved_at: float = math.inf
    longer: float = 0.0
    waiting_back: list[float] = field(default_factory=list)  # [s] in the queue of the way back, each 20 ms

    def __post_init__(self) -> None:
        super().__post_init__()
        self.speaker._inbound._decoder._decoders[OPUS.name] = cast(Any, NoCodec())
        self._uplink = Line(self.uplink, self.seed + 200)
        self.line, self._way_back = (
            LongerLine(each, seed) for each, seed in ((self.condition, self.seed), (self.way_back, self.seed + 100))
        )
        for line in (self.line, self._way_back):
            line.moved_at, line.longer = self.moved_at, self.longer
        if self.moved_at < math.inf:
            self._at(self.moved_at, self._move, None)
        self._returned = itertools.count(1)
        if self.back is not Back.RETURNED:
            self._at(FRAME_S + 0.01, self._say_there, 1)

    def _say_there(self, index: int) -> None:
        """Who talks at the other end says 20 ms."""
        self.waiting_back.append(self._way_back.waiting_s(self._now))
        payload = bytes([1]) + (OTHERS + index).to_bytes(PAYLOAD_BYTES - 1)
        packet = encode_packet(RtpPacket(OPUS.payload_type, index & 0xFFFF, index * 960, THEIRS, payload, False))
        if self.back is Back.OWN:
            self._send_back(packet)
        else:
            arrives = self._uplink.take(index & 0xFFFF, len(packet) + BELOW_BYTES, self._now)
            if arrives is not None:
                self._at(arrives, self._send_back, packet)
        self._at((index + 1) * FRAME_S + 0.01, self._say_there, index + 1)

    def _move(self, _: None) -> None:
        self.speaker.path.moved()
        if self.terms.checks:
            self._measure()

    def _arrive(self, packet: bytes) -> None:
        super()._arrive(packet)
        if self.back is not Back.RETURNED or is_rtcp(packet):
            return
        came = decode_packet(packet)
        assert came is not None, "it's ours"
        self._send_back(encode_packet(RtpPacket(came.payload_type, came.sequence, came.timestamp, OURS, came.payload, came.marker)))

    def _send_back(self, packet: bytes) -> None:
        arrives = self._way_back.take(int.from_bytes(packet[2:4], "big"), len(packet) + BELOW_BYTES, self._now)
        if arrives is not None:
            self._at(arrives, self._answered, packet)

    def _answer_check(self, number: int) -> None:
        arrives = self._way_back.take_check(CHECK_BYTES, self._now)
        if arrives is not None:
            self._at(arrives, self.speaker.answered, number)

    def _answer(self, packet: bytes) -> bool:
        longer = self.longer if self._now >= self.moved_at else 0.0
        self._at(self._now + DELAY_S + longer + self._way_back.waiting_s(self._now), self._answered, packet)
        return True


def falls(before: float, after: float, queue_s: float, at: float = 10.0) -> Condition:
    """A line whose capacity falls in mid-call [kbit/s]."""
    return Condition(f"{before:g}, then {after:g}, queue {queue_s:g} s", kbps=((0.0, before), (at, after)), queue_s=queue_s)


NARROW = tuple(falls(before, after, queue_s) for before in (1000, 64) for after in (24, 32, 40) for queue_s in (0.3, 1.0)) + tuple(
    narrow(f"{kbps} kbit/s, queue {queue_s:g} s", kbps, queue_s) for kbps in (24, 40, 64) for queue_s in (0.3, 1.0)
)
MOVED = tuple(
    falls(before, after, queue_s, at=12.0)
    for before, after, queue_s in ((1000, 1000, 0.3), (24, 1000, 1.0), (1000, 24, 1.0), (1000, 40, 0.3))
)
#: of the others: 40 kbit/s carry less than their 50 packets a second do
SLOW = Condition("40 kbit/s from 14 s to 24 s, queue 1 s", kbps=((0.0, 1000.0), (14.0, 40.0), (24.0, 1000.0)), queue_s=1.0)
WAYS: dict[str, dict[str, Any]] = {
    "the peer talks": {},
    "it returns our packets": {"back": Back.RETURNED},
    "it forwards sound": {"back": Back.FORWARDED},
    "that comes late": {"back": Back.FORWARDED, "uplink": SLOW},
    "way back narrow": {"way_back": SLOW},
}


MOVES = {"feedback": Terms("feedback"), "reports each 1 s": Terms("reports", numbering=None, checks=True)}
MOVED_AT, LONGER = 12.0, 0.1


def move(terms: Terms, condition: Condition, seed: int) -> TwoWayCall:
    """A call of half a minute that takes a longer path in its middle."""
    call = TwoWayCall(terms, condition, seed, moved_at=MOVED_AT, longer=LONGER)
    call.listen(np.zeros(30 * RATE, np.int16))
    return call


def measure(report_s: float, condition: Condition, way: str, seed: int) -> TwoWayCall:
    """One call of half a minute, whose codec spends all bits that it may."""
    terms = Terms("reports and checks", numbering=None, checks=True, report_s=report_s)
    call = TwoWayCall(terms, condition, seed, **WAYS[way])
    call.listen(np.zeros(30 * RATE, np.int16))
    return call


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--reports", type=float, nargs="*", default=[1.0, 5.0])
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument("--moves", action="store_true")
    given = parser.parse_args()
    if given.moves:
        moves: dict[str, list[float | str]] = {}
        for condition in MOVED:
            moves[condition.name] = []
            for terms in MOVES.values():
                calls = [move(terms, condition, seed) for seed in range(1, given.seeds + 1)]
                stood = [longest_wait(call.waiting[round(50 * MOVED_AT) :]) for call in calls]
                early, late = [np.mean([rate(call, MOVED_AT + at, MOVED_AT + at + 4) for call in calls]) for at in (0, 4)]
                moves[condition.name].append(f"{np.mean(stood):.1f} ({max(stood):.1f}), {early:.0f} then {late:.0f}")
        print(table("moved to another path: s a queue stands (at most), kbit/s in 4 s and the next 4", list(MOVES), moves))
        return
    for report_s in given.reports:
        rows: dict[str, list[float | str]] = {}
        for condition in (FREE, *NARROW):
            cells: list[float | str] = []
            for way in given.ways:
                calls = [measure(report_s, condition, way, seed) for seed in range(1, given.seeds + 1)]
                stood = [longest_wait(call.waiting) for call in calls]
                sent = np.mean([rate(call, 14, 30) for call in calls])
                cells.append(f"{np.mean(stood):.1f} ({max(stood):.1f}), {sent:.0f}")
            rows[condition.name] = cells
        print(table(f"reports each {report_s:g} s: s a queue stands (at most), kbit/s from 14 s on", given.ways, rows), flush=True)


if __name__ == "__main__":
    main()
