"""A room decodes those alone who may speak: legs that can be skimmed, made of arrays."""

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples
from sinchphone.audio.tones.signals import Sine
from sinchphone.exchange.conference.room import Room, Seat
from tests.instruments import tone_dbfs


class Skimmed:
    """A leg whose far end says a tone, and whose encoder may say that it's background."""

    def __init__(self, hz: float, level_dbfs: float, *, background: bool) -> None:
        self.background = background
        self.decoded = 0
        self.heard: list[Frame] = []
        self._sine = Sine(hz, level_dbfs)

    def is_missing(self) -> bool:
        return False

    def pull(self, samples: int) -> Samples:
        self.decoded += 1
        return self._sine.pull(samples)

    def skim(self, samples: int) -> Samples | None:
        return None if self.background else self.pull(samples)

    def send(self, frame: Frame) -> None:
        self.heard.append(frame)

    def hears(self, hz: float, frames: int = 25) -> bool:
        return tone_dbfs(np.concatenate(self.heard[-frames:]), hz) > -40


@pytest.fixture
def room() -> Room:
    made = Room()
    made._clock.start = lambda: None  # type: ignore[method-assign]
    return made


async def seated(room: Room, *legs: Skimmed) -> None:
    for number, leg in enumerate(legs):
        await room.join(Seat(str(number)), leg)
    pass_time(room, 1.2)  # the tones of who came are over


def pass_time(room: Room, seconds: float) -> None:
    for _ in range(round(seconds * 50)):
        room._tick()


async def test_of_a_hundred_seats_of_whom_three_speak_hardly_more_than_three_are_decoded(room: Room) -> None:
    speaking = [Skimmed(300.0 + 100 * number, -20.0, background=False) for number in range(3)]
    silent = [Skimmed(900.0, -70.0, background=True) for _ in range(97)]
    await seated(room, *speaking, *silent)
    before = sum(leg.decoded for leg in silent)
    pass_time(room, 1.0)
    assert sum(leg.decoded for leg in silent) - before <= 2 * 97, "each twice a second"
    assert all(silent[-1].hears(300.0 + 100 * number) for number in range(3))


async def test_who_begins_to_speak_is_heard_from_the_first_frame_on(room: Room) -> None:
    speaker, listener = Skimmed(500.0, -20.0, background=True), Skimmed(900.0, -70.0, background=True)
    speaker._sine = Sine(500.0, -70.0)
    await seated(room, speaker, listener)
    assert not listener.hears(500.0)
    speaker.background, speaker._sine = False, Sine(500.0, -20.0)
    pass_time(room, 0.02)
    assert listener.hears(500.0, 1)


async def test_what_is_loud_is_heard_within_half_a_second_though_no_speech_is_found_in_it(room: Room) -> None:
    humming, listener = Skimmed(500.0, -70.0, background=True), Skimmed(900.0, -70.0, background=True)
    await seated(room, humming, listener)
    humming._sine = Sine(500.0, -30.0)
    pass_time(room, 0.6)
    assert listener.hears(500.0, 4)
    pass_time(room, 2.0)
    assert listener.hears(500.0, 90), "without gaps from then on"


async def test_who_pauses_between_words_is_decoded_all_the_time(room: Room) -> None:
    speaker, listener = Skimmed(500.0, -20.0, background=False), Skimmed(900.0, -70.0, background=True)
    await seated(room, speaker, listener)
    before, speaker.background = speaker.decoded, True
    pass_time(room, 0.4)
    assert speaker.decoded - before == 20


async def test_a_seat_whose_new_leg_can_not_be_skimmed_is_pulled(room: Room) -> None:
    class Plain:
        pulled = 0

        def is_missing(self) -> bool:
            return False

        def pull(self, samples: int) -> Samples:
            self.pulled += 1
            return np.zeros(samples, np.int16)

        def send(self, frame: Frame) -> None:
            assert len(frame) == FRAME_SAMPLES

    seat, plain = Seat("a"), Plain()
    await room.join(seat, Skimmed(500.0, -70.0, background=True))
    await room.join(seat, plain)
    pass_time(room, 0.2)
    assert plain.pulled == 10
