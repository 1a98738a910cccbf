"""RTCP that no honest receiver sends, in mid-call: the call goes on, and ten seconds after the last lie it sends what it sent before."""

import heapq
import itertools
import random
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import pytest

from sinchphone.audio.frame import FRAME_SECONDS, Frame, silence
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.media.agreement import Agreement, OpusWishes, RepairTerms
from sinchphone.media.codecs.codec import OPUS
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.stream import Stream
from sinchphone.protocol.congestion.history import KEPT_PACKETS
from sinchphone.protocol.rtp.packet import ReportBlock, RtcpReport, encode_bye, encode_report, is_rtcp, ntp_time

OURS, PEERS, RED = 1, 2, 63
DELAY_S = 0.020
HONEST_S, LYING_S, RECOVERED_S, LAST_S = 8, 4, 10, 25
MOST_KBPS = 500.0  # three copies in each packet, and each packet three times
MOST_SECONDS = 8.0  # of CPU for such a call; 1 is usual
FEEDBACK: Final = 15

Lie = Callable[["Call"], bytes]


class ConstantCodec:
    """Frames of as many bytes as the setting says: what is sent tells what is allowed."""

    def adapt(self, setting: RedundancySetting) -> None:
        self._bytes = int(setting.bitrate * FRAME_SECONDS / 8)

    def encode(self, frame: Frame) -> bytes:
        return bytes(len(frame) * self._bytes // len(silence()))


class Call:
    """Ours speaks to a peer that reports honestly, but for ``lie``, which it sends each 20 ms between ``HONEST_S`` and then."""

    def __init__(self, lie: Lie, *, numbering: int | None) -> None:
        self.now = 0.0
        self.clock_ahead = self.wall_ahead = 0.0  # [s] of both clocks of ours
        self.loss = 0.0
        self.newest = 0  # sequence number of ours,
        self.numbered = 0  # and the transport's
        self.dice = random.Random(1)
        self._lie = lie
        self._sent: deque[tuple[float, int]] = deque()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        agreement = Agreement(
            OPUS,
            OPUS.payload_type,
            {OPUS.payload_type: OPUS},
            opus=OpusWishes(fec=True, max_bitrate=None),
            repair=RepairTerms(RED, frozenset({RED}), True),
            numbering=numbering,
        )
        self._leg = PortLeg()
        self.speaker = self._stream(OURS, self._to_peer, self._leg)
        self.listener = self._stream(PEERS, self._to_us, PortLeg())
        for stream in (self.speaker, self.listener):
            stream.agree(agreement)
        self.speaker.open()
        encoder = self.speaker._outbound._encoder = cast(Any, ConstantCodec())
        encoder.adapt(self.speaker._outbound._setting)

    def _stream(self, ssrc: int, transmit: Callable[[bytes], bool], leg: PortLeg) -> Stream:
        def clock() -> float:
            return self.now + self.clock_ahead * (ssrc == OURS)

        def wall() -> float:
            return 1e9 + self.now + self.wall_ahead * (ssrc == OURS)

        return Stream(ssrc, "name", transmit, lambda _: None, leg, clock=clock, wall=wall)

    def run(self) -> None:
        self._each(FRAME_SECONDS, lambda: self._leg.send(silence()), 0.0)
        self._each(1.0, lambda: self._to_us(self.listener.report()), 0.5)
        self._each(1.0, lambda: self._to_peer(self.speaker.report()), 0.3)
        self._each(FRAME_SECONDS, self._tell_a_lie, HONEST_S)
        while self._events[0][0] < LAST_S:
            self.now, _, action = heapq.heappop(self._events)
            action()

    def rate(self, since: float, until: float) -> float:
        """What was sent for the first time, and again [kbit/s]."""
        return sum(size for at, size in self._sent if since <= at < until) * 8e-3 / (until - since)

    def report(self, **changed: int) -> bytes:
        """What an honest peer would report, but for what is changed."""
        honest = {"ssrc": OURS, "fraction_lost": 0, "packets_lost": 0, "highest_sequence": self.newest, "jitter": 10, "last_sr": 0}
        return encode_report(RtcpReport(PEERS, None, (ReportBlock(**{**honest, "delay_since_last_sr": 0, **changed}),)), "name")

    def _tell_a_lie(self) -> None:
        if self._lies:
            self.speaker.take(self._lie(self), True)

    @property
    def _lies(self) -> bool:
        return HONEST_S <= self.now < HONEST_S + LYING_S

    def _each(self, seconds: float, action: Callable[[], object], at: float) -> None:
        def act() -> None:
            action()
            self._at(self.now + seconds, act)

        self._at(at, act)

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    def _to_peer(self, packet: bytes) -> bool:
        if not is_rtcp(packet):
            self._sent.append((self.now, len(packet)))
            self.newest = int.from_bytes(packet[2:4], "big")
            self.numbered += 1
        if self.dice.random() >= self.loss:
            self._at(self.now + DELAY_S, lambda: self.listener.take(packet, is_rtcp(packet)))
        return True

    def _to_us(self, packet: bytes) -> bool:
        if not self._lies:
            self._at(self.now + DELAY_S, lambda: self.speaker.take(packet, True))
        return True


def rtcp(first: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | first, kind, len(body) // 4) + body


def feedback(base: int, count: int, reference: int, chunks: bytes, deltas: bytes) -> bytes:
    body = struct.pack("!IIHHI", PEERS, OURS, base & 0xFFFF, count, (reference & 0xFFFFFF) << 8) + chunks + deltas
    return rtcp(FEEDBACK, 205, body + bytes(-len(body) % 4))


def one_arrival(call: Call, seconds: float) -> bytes:
    """The newest packet came at that time of the peer's."""
    ticks = round(seconds * 4000)
    return feedback(call.numbered - 1, 1, ticks >> 8, struct.pack("!H", 0x2001), bytes([ticks & 0xFF]))


def nack(first: int, count: int) -> bytes:
    items = b"".join(struct.pack("!HH", (first + 17 * at) & 0xFFFF, 0xFFFF) for at in range(count))
    return rtcp(1, 205, struct.pack("!II", PEERS, OURS) + items)


REPORTS: dict[str, Lie] = {
    "all is lost": lambda call: call.report(fraction_lost=255, packets_lost=0x7FFFFF),
    "all is lost, in each second report": lambda call: call.report(fraction_lost=255 * (call.numbered % 2)),
    "less than nothing was lost": lambda call: call.report(packets_lost=-0x800000),
    "the newest packet is older and older": lambda call: call.report(highest_sequence=(call.newest - 3 * call.numbered) & 0xFFFF),
    "the newest packet was never sent": lambda call: call.report(highest_sequence=0xFFFFFFFF),
    "the jitter is the longest there is": lambda call: call.report(jitter=0xFFFFFFFF),
    "it has a sender report of the future": lambda call: call.report(
        last_sr=(ntp_time(1e9 + call.now + 9_000) >> 16) & 0xFFFFFFFF, delay_since_last_sr=7
    ),
    "its answer took ten hours": lambda call: call.report(last_sr=(ntp_time(1e9 + call.now - 30_000) >> 16) & 0xFFFFFFFF),
    "its answer took a microsecond": lambda call: call.report(last_sr=(ntp_time(1e9 + call.now) >> 16) & 0xFFFFFFFF),
    "it waited after no sender report": lambda call: call.report(last_sr=0, delay_since_last_sr=0xFFFFFFFF),
    "it reports about others": lambda call: encode_report(
        RtcpReport(PEERS, None, tuple(ReportBlock(7 + each, 255, -1, each, each, each, each) for each in range(31))), "name"
    ),
    "the report ends in its middle": lambda call: call.report()[: call.dice.randrange(80)],
    "it asks for every packet there is": lambda call: b"".join(nack(17 * 32 * at, 32) for at in range(121)),
    "it asks for the last packets again and again": lambda call: nack(call.newest - 33, 2) * 10,
    "it says goodbye and stays": lambda _: encode_bye(PEERS, "name"),
    "noise": lambda call: b"\x8f\xcd" + call.dice.randbytes(60),
}

ARRIVALS: dict[str, Lie] = {
    "packets come nine seconds too soon": lambda call: one_arrival(call, call.now - 9),
    "each packet comes later and later": lambda call: one_arrival(call, call.now + (call.now - HONEST_S) * 400),
    "each packet comes sooner and sooner": lambda call: one_arrival(call, call.now - (call.now - HONEST_S) * 400),
    "later and later, and back": lambda call: one_arrival(call, call.now + 150 * min(call.now - HONEST_S, HONEST_S + LYING_S - call.now)),
    "its clock begins again all the time": lambda call: one_arrival(call, (1 << 24) * 0.064 - 0.1 + 0.2 * (call.numbered % 2)),
    "at any time": lambda call: one_arrival(call, call.dice.random() * 1e6),
    "ten thousand packets in one": lambda call: feedback(call.numbered - 9_999, 10_000, 5, b"\x1f\xff\x1f\xff", b""),
    "none has come": lambda call: feedback(call.numbered - 1_000, 1_000, 5, struct.pack("!H", 1_000), b""),
    "none has come, said often": lambda call: feedback(call.numbered - 2_000, 2_000, 5, struct.pack("!H", 2_000), b"") * 50,
    "more statuses than it has bytes": lambda call: feedback(call.numbered - 5, 60, 5, b"\x40\x3c", b"\1\2"),
}


def judge(call: Call) -> None:
    began = time.process_time()
    call.run()
    assert time.process_time() - began < MOST_SECONDS
    before = call.rate(HONEST_S - 4, HONEST_S)
    after = min(call.rate(second, second + 1) for second in range(HONEST_S + LYING_S + RECOVERED_S, LAST_S - 1))
    assert before > 45
    assert after > 0.8 * before, "what is sent after the lies"
    assert max(call.rate(second, second + 1) for second in range(HONEST_S, HONEST_S + LYING_S)) < MOST_KBPS
    assert len(call.speaker.path._by_ssrc) == 1
    assert len(call.speaker.path._numbered.packets) <= KEPT_PACKETS


@pytest.mark.parametrize("lie", REPORTS)
def test_a_report_that_lies_leaves_no_mark(lie: str) -> None:
    judge(Call(REPORTS[lie], numbering=None))


@pytest.mark.parametrize("lie", ["all is lost", "its answer took ten hours", "it asks for the last packets again and again"])
def test_nor_does_it_beside_feedback_about_each_packet(lie: str) -> None:
    judge(Call(REPORTS[lie], numbering=3))


@pytest.mark.parametrize("lie", ARRIVALS)
def test_feedback_that_lies_leaves_no_mark(lie: str) -> None:
    judge(Call(ARRIVALS[lie], numbering=3))


@pytest.mark.parametrize("numbering", [None, 3], ids=["told by reports", "told of each packet"])
@pytest.mark.parametrize(
    ("clock_ahead", "wall_ahead"),
    [(3_600.0, 3_600.0), (2.0, 2.0), (0.0, -3_600.0), (0.0, 86_400.0)],
    ids=["sleep", "stall", "back", "ahead"],
)
def test_a_clock_that_jumps_on_a_lossy_line_is_forgotten_in_ten_seconds(
    clock_ahead: float, wall_ahead: float, numbering: int | None
) -> None:
    """The machine slept for a moment of the peer's, or its wall clock was set."""

    def jump(call: Call) -> bytes:
        call.clock_ahead, call.wall_ahead = clock_ahead, wall_ahead
        return b""

    call = Call(jump, numbering=numbering)
    call.loss = 0.05
    judge(call)
