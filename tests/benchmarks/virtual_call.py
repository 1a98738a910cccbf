"""Half a call on a virtual clock: our sender, a line that loses and delays, our receiver. 36 s of speech in about 2 s.

usage: python tests/benchmarks/virtual_call.py [--seeds N] [--sentences N] [CONDITION...]
       python tests/benchmarks/virtual_call.py --minutes N      memory in a long call over a bad line, without speech and codec

What the real thing has more, ``quality.py`` measures: sockets, threads, encryption, and everybody else.
"""

import argparse
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from resource import getpagesize
from typing import Any, cast

import numpy as np
from figures import median, table
from line import CONDITIONS, DELAY_S, FRAME_S, Condition, Line, named
from speech import Score, Speech, judge, speech

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.media.agreement import Agreement, OpusWishes, RepairTerms
from sinchphone.media.codecs.codec import OPUS
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.receiver import Receiver, ReceiverStats
from sinchphone.media.legs.stream import Stream
from sinchphone.protocol.congestion.round_trips import CHECK_BYTES
from sinchphone.protocol.rtp.packet import is_rtcp

RED = 63
BLOCK = 480
BELOW_BYTES = 38  # of a packet, below RTP: SRTP's tag, UDP, IPv4
CONSENT_S = 0.8
AFTER_S = 0.5
STATM = Path("/proc/self/statm")
SAME_BITRATE = 32_000  # libwebrtc's default for mono


@dataclass(frozen=True)
class Terms:
    """What the two ends agreed on."""

    name: str
    max_bitrate: int | None = None
    red: bool = True
    nack: bool = True
    fec: bool = True
    numbering: int | None = 3  # the header extension for transport-wide feedback
    report_s: float = 1.0  # between two reports of the listener
    checks: bool = False  # ICE consent is asked for, where that tells of the path

    @property
    def agreement(self) -> Agreement:
        """The same for both of them."""
        repair = RepairTerms(RED if self.red else None, frozenset({RED}), self.nack)
        number = OPUS.payload_type
        opus = OpusWishes(fec=self.fec, max_bitrate=self.max_bitrate)
        return Agreement(OPUS, number, {number: OPUS}, opus=opus, repair=repair, numbering=self.numbering)


TERMS = (Terms("libwebrtc's bit rate", SAME_BITRATE, red=False), Terms("redundancy on"))


@dataclass
class VirtualCall:
    """``listen`` gives what the far end hears. ``phase`` [s] is when the player asks, against the sender's clock."""

    terms: Terms
    condition: Condition
    seed: int
    ppm: float = 0.0
    max_kbps: int | None = None
    codec: bool = True  # else frames of nothing, of the full bit rate at any time
    each_minute: Callable[[], object] | None = None
    line: Line = field(init=False)
    speaker: Stream = field(init=False)
    listener: Stream = field(init=False)
    settings: list[str] = field(default_factory=list)
    targets: list[float] = field(default_factory=list)  # [ms] at each block that was played,
    concealed: list[int] = field(default_factory=list)  # and the samples made up until then
    waiting: list[float] = field(default_factory=list)  # [s] in the line's queue, each 20 ms
    octets: list[int] = field(default_factory=list)  # sent until then

    def __post_init__(self) -> None:
        self._now = 0.0
        self.period = BLOCK / RATE * (1 + self.ppm * 1e-6)
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        self.line = Line(self.condition, self.seed)
        self.speaker, self._leg = self._stream(1, self._transmit, self.max_kbps)
        self.listener, self._far_leg = self._stream(2, self._answer, None)
        self.speaker.open()
        self.receiver: Receiver = self.listener._inbound.receiver
        if not self.codec:
            sender = self.speaker._outbound
            self.listener._inbound._decoder._decoders[OPUS.name] = sender._encoder = cast(Any, NoCodec())
            sender._encoder.adapt(sender._setting)
        self._heard: list[Samples] = []
        self._dice = random.Random(self.seed)
        self._sound = np.zeros(0, np.int16)

    def _stream(self, ssrc: int, transmit: Callable[[bytes], bool], max_kbps: int | None) -> tuple[Stream, PortLeg]:
        leg, wall = PortLeg(), lambda: 1e9 + self._now
        stream = Stream(ssrc, f"{ssrc}", transmit, lambda _: None, leg, max_kbps=max_kbps, clock=self._clock, wall=wall)
        stream.agree(self.terms.agreement)
        return stream, leg

    def listen(self, sound: Samples) -> tuple[Samples, float]:
        """What is played while ``sound`` is said, and when its first sample was [ms]."""
        self._sound = sound
        phase = 0.0013 + 0.003 * self.seed
        self._at(0.0, self._say, 0)
        self._at(phase, self._play, None)
        if self.each_minute is not None:
            self._at(60.0, self._tell, None)
        if self.terms.checks:
            self._check(None)
        for reporter, stream, send in ((0.3, self.speaker, self._transmit), (0.5, self.listener, self._answer)):
            self._at(reporter + self._dice.random(), self._report, (stream, send))
        while self._events and self._events[0][0] < len(sound) / RATE + AFTER_S:
            self._now, _, action, argument = heapq.heappop(self._events)
            action(argument)
        return np.concatenate(self._heard or [np.zeros(0, np.int16)]), 1000 * phase

    def _clock(self) -> float:
        return self._now

    def _at(self, when: float, action: Callable[..., None], argument: Any) -> None:
        heapq.heappush(self._events, (when, next(self._order), action, argument))

    def _say(self, index: int) -> None:
        frame = self._sound[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES]
        if self.each_minute is None:
            self.waiting.append(self.line.waiting_s(self._now))
            self.octets.append(self.line.octets)
        if len(frame) == FRAME_SAMPLES:
            self._leg.send(frame)
            self._at((index + 1) * FRAME_S, self._say, index + 1)

    def _transmit(self, packet: bytes) -> bool:
        """Sound meets the line, reports wait where it's narrow."""
        if is_rtcp(packet):
            self._at(self._now + DELAY_S + self.line.waiting_s(self._now), self._arrive, packet)
            return True
        size = len(packet) + BELOW_BYTES
        arrives = self.line.take(int.from_bytes(packet[2:4], "big"), size, self._now)
        self._note_sent(packet, size, arrives)
        if arrives is not None:
            self._at(arrives, self._arrive, packet)
        return True

    def _note_sent(self, packet: bytes, size: int, arrives: float | None) -> None:
        """For who counts: what a packet of sound met on the line."""

    def _hear(self, block: Samples) -> None:
        """For who counts: what is played now."""

    def _answer(self, packet: bytes) -> bool:
        self._at(self._now + DELAY_S, self._answered, packet)
        return True

    def _arrive(self, packet: bytes) -> None:
        self.listener.take(packet, is_rtcp(packet))

    def _answered(self, packet: bytes) -> None:
        self.speaker.take(packet, is_rtcp(packet))

    def _report(self, which: tuple[Stream, Callable[[bytes], bool]]) -> None:
        stream, send = which
        send(stream.report())
        if stream is self.listener:
            self._note_setting()
        mean = self.terms.report_s if stream is self.listener else 1.0
        self._at(self._now + mean * (0.5 + self._dice.random()), self._report, which)

    def _check(self, _: None) -> None:
        """Consent is asked for, and answered at once."""
        self._measure()
        self._at(self._now + min(max(self.speaker.check_in(), 1e-6), CONSENT_S), self._check, None)

    def _measure(self) -> None:
        """A check goes out if one is due."""
        if self.speaker.check_in() <= 0:
            number, arrives = self.speaker.checked(None), self.line.take_check(CHECK_BYTES, self._now)
            if arrives is not None and not self.line.loses_report():
                self._at(arrives, self._answer_check, number)

    def _answer_check(self, number: int) -> None:
        self._at(self._now + DELAY_S, self.speaker.answered, number)

    def _note_setting(self) -> None:
        setting = self.speaker._outbound._setting
        copies, fec = f"+{setting.copies}" * bool(setting.copies), f"f{setting.fec_percent}" * bool(setting.fec_percent)
        frames = f"x{setting.frames}" * (setting.frames > 1)
        self.settings.append(f"{self._now:.1f}:{setting.bitrate // 1000}k{copies}{fec}{frames}")

    def _play(self, _: None) -> None:
        block = self._far_leg.pull(BLOCK)
        self._hear(block)
        if self.each_minute is None:  # of a long run nothing is kept
            stats = self.receiver.stats()
            self._heard.append(block)
            self.targets.append(stats.target_ms)
            self.concealed.append(stats.concealed_samples)
        self._at(self._now + self.period, self._play, None)

    def _tell(self, _: None) -> None:
        assert self.each_minute is not None
        self.each_minute()
        self.settings.clear()
        self._at(self._now + 60.0, self._tell, None)


class NoCodec:
    """Stands in for Opus: frames of silence that have as many bits as were asked for, each other ones."""

    def __init__(self) -> None:
        self._bytes = 100  # in 20 ms
        self._count = 0

    def duration(self, payload: bytes) -> int:
        return FRAME_SAMPLES * payload[0]

    def recoverable(self, payload: bytes) -> int:
        return 0

    def is_background(self, payload: bytes) -> bool:
        return False

    def decode(self, payload: bytes) -> Samples:
        return np.zeros(self.duration(payload), np.int16)

    def conceal(self, samples: int) -> Samples:
        return np.zeros(samples, np.int16)

    def recover(self, payload: bytes, samples: int) -> Samples:
        return np.zeros(samples, np.int16)

    def note(self) -> bool:
        return False

    def go_back(self) -> None:
        pass

    def encode(self, frame: Samples) -> bytes:
        frames = len(frame) // FRAME_SAMPLES
        self._count += 1
        return bytes([frames]) + self._count.to_bytes(frames * self._bytes - 1)

    def adapt(self, setting: RedundancySetting) -> None:
        self._bytes = round(setting.bitrate * FRAME_S / 8)


def longest_wait(waiting: list[float]) -> float:
    """How long more than 100 ms of queue stood there without a break [s], of what is looked at each 20 ms."""
    runs = (len(list(run)) for is_long, run in itertools.groupby(waiting, lambda each: each > 0.1) if is_long)
    return FRAME_S * max(runs, default=0)


def rate(call: VirtualCall, begin: float, end: float) -> float:
    """What was sent in that time [kbit/s]."""
    return (call.octets[round(50 * end) - 1] - call.octets[round(50 * begin)]) * 8e-3 / (end - begin)


def remembered(minutes: int, condition: Condition) -> tuple[list[int], VirtualCall]:
    """Bytes of this process in memory at the end of each minute of a call in which the ladder spends all bits that it may."""
    call, sizes = VirtualCall(TERMS[-1], condition, 1, codec=False), list[int]()
    call.each_minute = lambda: sizes.append(int(STATM.read_text().split()[1]) * getpagesize())
    call.listen(np.lib.stride_tricks.as_strided(np.zeros(1, np.int16), (minutes * 60 * RATE,), (0,)))
    return sizes, call


def measure(terms: Terms, condition: Condition, said: Speech, seed: int) -> tuple[list[Score], ReceiverStats, VirtualCall]:
    """One call."""
    call = VirtualCall(terms, condition, seed)
    heard, offset_ms = call.listen(said.sound)
    return judge(said, heard, offset_ms), call.receiver.stats(), call


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("conditions", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=6)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--minutes", type=int, default=0)
    given = parser.parse_args()
    if given.minutes:
        sizes, call = remembered(given.minutes, named("10 % in bursts of 3"))
        told: dict[str, list[float | str]] = {f"minute {at}": [f"{sizes[at - 1] / 1024:.0f}"] for at in range(5, len(sizes) + 1, 5)}
        print(table(f"{call.line.sent} packets", ["KiB in memory"], told))
        return
    said = speech(given.sentences)
    for terms in TERMS:
        rows: dict[str, list[float | str]] = {}
        for condition in CONDITIONS:
            if given.conditions and condition.name not in given.conditions:
                continue
            found = [measure(terms, condition, said, seed) for seed in range(1, given.seeds + 1)]
            scores = [score for each, _, _ in found for score in each]
            kbps = sum(call.line.octets for *_, call in found) * 8 / 1000 / said.seconds / len(found)
            concealed = sum(stats.concealed_samples for _, stats, _ in found) / sum(stats.played_samples for _, stats, _ in found)
            rows[condition.name] = [
                f"{np.mean([each.pesq for each in scores]):.2f}",
                f"{min(each.pesq for each in scores):.2f}",
                f"{median(each.delay_ms for each in scores):.0f}",
                f"{np.mean([np.median(call.targets) for *_, call in found]):.0f}",
                f"{100 * concealed:.1f}",
                f"{kbps:.0f}",
            ]
            if given.verbose:
                for scores, _, call in found:
                    print(condition.name, *call.settings, [round(each.pesq, 1) for each in scores])
        print(table(terms.name, ["PESQ", "worst", "delay ms", "target", "% concealed", "kbit/s"], rows))


if __name__ == "__main__":
    main()
