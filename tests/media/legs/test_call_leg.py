"""What stands between a call's sound and its leg: its source is said in place of the near sound, its taps hear both sides."""

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.media.legs.call_leg import CallLeg


class FakeLeg:
    def __init__(self, far: int = 0) -> None:
        self.sent: list[int] = []
        self.far = far

    def send(self, frame: Frame) -> None:
        self.sent.append(int(frame[0]))

    def pull(self, samples: int) -> Samples:
        return np.full(samples, self.far, np.int16)

    def is_missing(self) -> bool:
        return False


class Says:
    def __init__(self, value: int) -> None:
        self.value = value

    def next_frame(self) -> Frame:
        return frame(self.value)


class Ears:
    def __init__(self) -> None:
        self.heard: list[tuple[str, int, float]] = []

    def near(self, samples: Samples, now: float) -> None:
        self.heard.append(("near", int(samples[0]), now))

    def far(self, samples: Samples, now: float) -> None:
        self.heard.append(("far", int(samples[0]), now))

    def flush(self, now: float) -> None:
        self.heard.append(("flush", 0, now))


def frame(value: int) -> Frame:
    return np.full(FRAME_SAMPLES, value, np.int16)


def joined(far: int = 0) -> tuple[CallLeg, FakeLeg]:
    inner, leg = FakeLeg(far), CallLeg(clock=lambda: 7.0)
    leg.carry(inner)
    leg.talks = True
    return leg, inner


def test_without_a_source_the_near_sound_is_said() -> None:
    leg, inner = joined()
    leg.send(frame(1))
    assert inner.sent == [1]
    assert leg.source_dbfs is None


def test_a_source_is_said_in_place_of_the_near_sound_until_it_is_taken_away() -> None:
    leg, inner = joined()
    leg.source = Says(5)
    leg.send(frame(1))
    leg.source = None
    leg.send(frame(2))
    assert inner.sent == [5, 2]


def test_a_source_is_not_asked_before_the_peer_can_hear_it() -> None:
    leg, inner = joined()
    leg.talks, leg.source = False, Says(5)
    leg.send(frame(1))
    assert inner.sent == [1]


def test_while_muted_a_source_goes_on_and_silence_is_said() -> None:
    leg, inner = joined()
    leg.source, leg.muted = Says(5), True
    leg.send(frame(1))
    assert inner.sent == [0]


def test_the_level_of_a_source_is_that_of_what_is_said() -> None:
    leg, _ = joined()
    leg.source = Says(16384)
    for _ in range(50):
        leg.send(frame(0))
    assert leg.source_dbfs == pytest.approx(-6.02, abs=0.1)


def test_a_tap_hears_what_was_sent_and_what_was_pulled_in_any_blocks() -> None:
    leg, _ = joined(far=9)
    ears = Ears()
    leg.tap(ears)
    assert leg.pull(480)[0] == 9
    leg.pull(480)
    leg.source = Says(5)
    leg.send(frame(1))
    assert ears.heard == [("near", 5, 7.0), ("far", 9, 7.0), ("far", 9, 7.0), ("flush", 0, 7.0)]


def test_a_tap_hears_nothing_from_before_it_was_there_nor_after() -> None:
    leg, _ = joined(far=9)
    first, second = Ears(), Ears()
    leg.tap(first)
    leg.pull(480)
    leg.untap(first)
    leg.send(frame(1))
    leg.tap(second)
    leg.send(frame(2))
    assert first.heard == []
    assert second.heard == [("near", 2, 7.0), ("flush", 0, 7.0)]


def test_before_there_is_a_leg_it_is_silent_and_nothing_is_sent() -> None:
    leg = CallLeg()
    leg.send(frame(1))
    assert not leg.pull(480).any()
    assert len(leg.pull(480)) == 480
    assert leg.is_missing()


def test_another_leg_takes_over_with_all_that_is_said_and_heard() -> None:
    leg, first = joined()
    second = FakeLeg()
    leg.source = Says(5)
    leg.send(silence())
    leg.carry(second)
    leg.send(silence())
    assert (first.sent, second.sent) == ([5], [5])


class Music:
    def pull(self, samples: int) -> Samples:
        return np.full(samples, 3, np.int16)


def test_in_a_hold_the_peer_hears_its_sound_and_nobody_hears_the_peer() -> None:
    leg, inner = joined(far=9)
    ears = Ears()
    leg.tap(ears)
    leg.hold(Music())
    assert not leg.pull(480).any()
    leg.send(frame(1))
    leg.hold(None)
    leg.send(frame(1))
    assert inner.sent == [3, 1]
    assert leg.pull(480)[0] == 9
    assert ears.heard[:2] == [("near", 3, 7.0), ("far", 0, 7.0)]


def test_in_a_hold_a_source_waits() -> None:
    class Counts(Says):
        def next_frame(self) -> Frame:
            self.value += 1
            return frame(self.value)

    leg, inner = joined()
    leg.source = Counts(5)
    leg.send(frame(1))
    leg.hold(Music())
    leg.send(frame(1))
    leg.hold(None)
    leg.send(frame(1))
    assert inner.sent == [6, 3, 7]


class Quiet(FakeLeg):
    """A leg whose far end says nothing of interest."""

    def skim(self, samples: int) -> Samples | None:
        return None


def test_nothing_need_be_decoded_where_nobody_but_the_one_who_asks_would_hear_it() -> None:
    leg, ears = CallLeg(), Ears()
    leg.carry(Quiet(far=5))
    assert leg.skim(FRAME_SAMPLES) is None
    leg.tap(ears)
    heard = leg.skim(FRAME_SAMPLES)
    assert heard is not None and heard[0] == 5
    leg.untap(ears)
    assert leg.skim(FRAME_SAMPLES) is None


def test_a_leg_that_can_not_be_skimmed_is_pulled() -> None:
    leg, _ = joined(far=5)
    heard = leg.skim(FRAME_SAMPLES)
    assert heard is not None and heard[0] == 5
