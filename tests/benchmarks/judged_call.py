"""A virtual call that its listener judges each second, and in which others count: the line's emulator, and who hears.

::

    speaker -- line: what was sent, lost, and when it came -- receiver -- decoder, which gives marks in place of sound -- ear

The marks tell for each sample that is heard when it was said, and whether it was made up. So the ear knows how late sound is, and how
much of it isn't real, whatever happens between decoder and player.
"""

import math
from dataclasses import replace
from itertools import takewhile
from typing import Any, cast

import numpy as np
from line import DELAY_S, Condition
from numpy.typing import NDArray
from virtual_call import BELOW_BYTES, TERMS, VirtualCall

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.quality import Quality, Sample
from sinchphone.engine.calls.media.monitor import _sample
from sinchphone.media.codecs.codec import OPUS, Decoder, Encoder
from sinchphone.media.port import PortStats
from sinchphone.media.sound import Levels
from sinchphone.protocol.rtp.packet import is_rtcp

LADDER = TERMS[1]
JUDGED_S, COMPARED_S = 1.0, 0.1
FASTEST_S = 4.0  # so long a packet is remembered as the fastest
FRESH_S = 0.050
MARKS = 30_000  # then they begin anew, after ten seconds
STEP = 16  # samples with the same mark, a third of a millisecond
QUIET = Levels(near_dbfs=-math.inf, far_dbfs=-math.inf)
JITTER_GAIN = 16  # RFC 3550 A.8


class Counted:
    """What the line did to the packets of sound, by their numbers; what is sent again is no new packet. All times in seconds."""

    def __init__(self) -> None:
        self.octets = self.arrived_octets = 0
        self.jitter_ms = 0.0
        self._transit: float | None = None
        self._sent: dict[int, tuple[float, float]] = {}  # when its sound began to be said; the time on its time stamp
        self._arrived: list[tuple[float, int]] = []  # when, and which; in the order of arrival
        self._came_again: set[tuple[int, float]] = set()

    def sent(self, number: int, said_at: float, stamp: float, arrives: float | None, size: int) -> None:
        """A packet met the line."""
        self.octets += size
        if number not in self._sent:
            self._sent[number] = said_at, stamp
        elif arrives is not None:
            self._came_again.add((number, arrives))

    def arrived(self, number: int, now: float, size: int) -> None:
        self.arrived_octets += size
        if (number, now) not in self._came_again:
            self._note_jitter(now - self._sent[number][1])
            self._arrived.append((now, number))

    def _note_jitter(self, transit: float) -> None:
        """RFC 3550 A.8: of packets in the order in which they come, on the time line of their time stamps."""
        if self._transit is not None:
            self.jitter_ms += (1000 * abs(transit - self._transit) - self.jitter_ms) / JITTER_GAIN
        self._transit = transit

    def loss(self) -> float:
        """Share of the packets up to the newest that has come: of what is under way nobody can know yet."""
        newest = max((number for _, number in self._arrived), default=-1)
        return 1 - len(self._arrived) / (newest + 1) if newest >= 0 else 0.0

    def fastest_ms(self, now: float) -> float:
        """How long after the beginning of its sound the fastest packet of late came."""
        late = takewhile(lambda came: came[0] > now - FASTEST_S, reversed(self._arrived))
        return 1000 * min((at - self._sent[number][0] for at, number in late), default=math.nan)


class Ear:
    """What is heard where each sample is a mark: ``1 + (position // STEP) % MARKS``, less than 0 where it was made up."""

    def __init__(self) -> None:
        self.made_up = self.heard = 0
        self._last: tuple[float, Samples] = (0.0, np.zeros(0, np.int16))

    def hear(self, block: Samples, now: float) -> None:
        if not self.heard and not block.any():
            return
        self.heard += len(block)
        self.made_up += int(np.sum(block <= 0))
        if block.min() > 0 and block.max() - block.min() <= 2 * len(block) // STEP:  # real, and no other's beginning
            self._last = now, block

    def late_ms(self, now: float) -> float | None:
        """How long after it was said the last real sound was heard, of the median; ``None`` where that is no longer so."""
        at, block = self._last
        if now - at > FRESH_S:
            return None
        late = at + np.arange(len(block)) / RATE - STEP * (block - 1.0) / RATE
        return 1000 * float(np.median(late % (STEP * MARKS / RATE)))


class MarkedOpus:
    """Opus's decoder, which gives marks of what it was given."""

    def __init__(self, real: Decoder) -> None:
        self.begins: dict[bytes, int] = {}  # of each payload: which sample its sound begins with
        self.duration, self.recoverable, self.is_background = real.duration, real.recoverable, real.is_background
        self._last = 0

    def decode(self, payload: bytes) -> Samples:
        return self._marks(self.begins[payload], self.duration(payload))

    def recover(self, payload: bytes, samples: int) -> Samples:
        return self._marks(self.begins[payload] - samples, samples)

    def conceal(self, samples: int) -> Samples:
        return np.full(samples, -max(1, self._last), np.int16)

    def note(self) -> bool:
        return True

    def go_back(self) -> None:
        pass

    def _marks(self, begin: int, samples: int) -> Samples:
        positions: NDArray[np.int64] = begin + np.arange(samples)
        marks = (1 + positions // STEP % MARKS).astype(np.int16)
        self._last = int(marks[-1])
        return marks


class JudgedCall(VirtualCall):
    """A virtual call. ``marked``: marks are heard in place of sound."""

    def __init__(self, condition: Condition, seed: int, *, marked: bool) -> None:
        super().__init__(LADDER, condition, seed)
        self.counted, self.ear = Counted(), Ear()
        self.quality = Quality()
        self.scores: list[tuple[float, float]] = []  # when, and the score of the second before
        self.jitters: list[tuple[float, float]] = []  # told, and counted
        self.delays: list[tuple[float, float]] = []
        self.told: tuple[PortStats, PortStats] | None = None  # by the listener and the speaker, while the speaker still sends,
        self.by_others = (0.0, 0.0, 0.0, 0.0)  # and what was counted until then: share lost, octets sent and come, share made up
        self._marks: MarkedOpus | None = None
        self._said_at = 0.0
        self._first: int | None = None
        if marked:
            decoders = self.listener._inbound._decoder._decoders
            self._marks = decoders[OPUS.name] = MarkedOpus(decoders[OPUS.name])
        self._listen_to(cast(Encoder, self.speaker._outbound._encoder))
        self._at(JUDGED_S, self._judge, None)
        self._at(COMPARED_S, self._compare, None)

    def _listen_to(self, encoder: Any) -> None:
        """What the encoder is given ends with the frame that is said now."""
        encode = encoder.encode

        def encoded(sound: Samples) -> bytes:
            begin = (round(self._now * RATE) // FRAME_SAMPLES + 1) * FRAME_SAMPLES - len(sound)
            payload: bytes = encode(sound)
            self._said_at = begin / RATE
            if self._marks is not None:
                self._marks.begins[payload] = begin
            return payload

        encoder.encode = encoded

    def _note_sent(self, packet: bytes, size: int, arrives: float | None) -> None:
        self.counted.sent(self._number(packet), self._said_at, int.from_bytes(packet[4:8], "big") / RATE, arrives, size)

    def _number(self, packet: bytes) -> int:
        sequence = int.from_bytes(packet[2:4], "big")
        self._first = sequence if self._first is None else self._first
        return (sequence - self._first) % 0x10000

    def _arrive(self, packet: bytes) -> None:
        if not is_rtcp(packet):
            self.counted.arrived(self._number(packet), self._now, len(packet) + BELOW_BYTES)
        super()._arrive(packet)

    def _hear(self, block: Samples) -> None:
        self.ear.hear(block, self._now)

    def _judge(self, _: None) -> None:
        stats, counted, ear = self.listener.stats("opus"), self.counted, self.ear
        if self._now <= len(self._sound) / RATE:
            self.told = stats, self.speaker.stats("opus")
            self.by_others = counted.loss(), counted.octets, counted.arrived_octets, ear.made_up / max(1, ear.heard)
        self.quality.push(sample_of(stats, self._now))
        if self.quality.report.mos is not None:
            self.scores.append((self._now, self.quality.report.mos))
        self._at(self._now + JUDGED_S, self._judge, None)

    def _compare(self, _: None) -> None:
        stats = self.listener.stats("opus")
        late = self.ear.late_ms(self._now) if self._marks is not None else None
        if stats.jitter_ms is not None:
            self.jitters.append((stats.jitter_ms, self.counted.jitter_ms))
        if stats.delay_ms is not None and late is not None:
            self.delays.append((stats.delay_ms, late - self.counted.fastest_ms(self._now)))
        self._at(self._now + COMPARED_S, self._compare, None)


def sample_of(stats: PortStats, now: float) -> Sample:
    """As the engine makes it of a leg's counters; the listener of half a call learns no round trip, it is told the line's."""
    return replace(_sample(stats, QUIET, now, muted=False, held=False), connected=True, round_trip_ms=2000 * DELAY_S)
