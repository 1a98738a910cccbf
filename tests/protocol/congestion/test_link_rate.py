"""How fast a link is, from packets that are larger than others, and what can make it look slower."""

import math
import random

import pytest

from sinchphone.protocol.congestion.history import SentPackets
from sinchphone.protocol.congestion.link_rate import LinkRate
from sinchphone.protocol.congestion.meters import ArrivalMeter, PathSample

FRAME = 0.020


class Sound:
    """A packet each 20 ms over a link, whose transits are told at once."""

    def __init__(self, kbps: float, *, jitter: float = 0.0, loud: int = 130, quiet: int = 130) -> None:
        self.link, self.padded = LinkRate(), 0
        self.now = self._free_at = 0.0
        self._kbps, self._jitter, self._sizes = kbps, jitter, (quiet, loud)
        self._dice, self._sent = random.Random(1), SentPackets()

    def talk(self, seconds: float) -> "Sound":
        for frame in range(round(seconds / FRAME)):
            self.now += FRAME
            size = self._sizes[frame % 50 < 40]
            padding = self.link.padding(8 * size / FRAME, self.now) if self.link.is_due(size, self.now) else 0
            self.padded += padding > 0
            self._free_at = max(self.now, self._free_at) + 8e-3 * (size + padding) / self._kbps
            self._sent.add(frame, size + padding, self.now, padding)
            packet = self._sent.packets[-1]
            self.link.arrived(packet, self._free_at - self.now + 5.0 + self._jitter * self._dice.random())
        return self


@pytest.mark.parametrize("kbps", [64, 80, 120, 200])
def test_a_narrow_link_is_known_within_half_a_second(kbps: float) -> None:
    sound = Sound(kbps).talk(0.5)
    rate = sound.link.rate(sound.now)
    assert rate is not None
    assert 800 * kbps < rate < 1050 * kbps


@pytest.mark.parametrize("jitter", [0.0, 0.0002])
def test_a_fast_link_is_too_fast_to_be_told(jitter: float) -> None:
    sound = Sound(10_000, jitter=jitter).talk(0.5)
    assert sound.link.rate(sound.now) == math.inf


@pytest.mark.parametrize(("sooner", "rate"), [(0.0005, math.inf), (0.020, None)])
def test_a_larger_packet_may_be_faster_by_chance_but_not_by_a_queue_of_the_others(sooner: float, rate: float | None) -> None:
    link, sent = LinkRate(), SentPackets()
    for frame in range(20):
        padding = 80 if frame in (8, 12, 16) else 0
        sent.add(frame, 130 + padding, frame * FRAME, padding)
        link.arrived(sent.packets[-1], 5.0 - (sooner if padding else 0.0))
    assert link.rate(20 * FRAME) == rate


def test_where_packets_come_at_any_time_nothing_is_told() -> None:
    sound = Sound(10_000, jitter=0.040).talk(20)
    assert sound.link.rate(sound.now) is None


def test_later_on_few_packets_are_padded_and_small_ones_if_there_are_any() -> None:
    assert Sound(10_000).talk(62).padded - Sound(10_000).talk(2).padded <= 30
    sound = Sound(64, loud=150, quiet=60).talk(20)
    assert sound.link.rate(sound.now) == pytest.approx(64_000, rel=0.05)


def test_what_was_known_is_forgotten_after_a_while() -> None:
    sound = Sound(64).talk(1)
    assert sound.link.rate(sound.now + 20) is None


def feedback(kbps: float, sizes: list[int]) -> PathSample | None:
    """What a meter makes of packets of these sizes, one each 60 ms, and of a link that is known."""
    sent = SentPackets()
    meter = ArrivalMeter(sent)
    now, sample = 0.0, None
    for number, size in enumerate([100] * 20 + sizes):
        padding = 80 if number % 4 == 3 and number < 20 else 0
        now += 0.060
        sent.add(number, size + padding, now, padding)
        sample = meter.feedback([(number, now + 1.0 + 8e-3 * (size + padding) / kbps)])
    return sample


def test_large_packets_that_a_slow_link_needs_longer_for_stand_in_no_queue() -> None:
    sample = feedback(24, [170] * 12)
    assert sample is not None
    assert sample.queue < 0.003
    assert sample.link == pytest.approx(24_000, rel=0.05)
