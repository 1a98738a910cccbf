"""Mix-minus: everybody hears everybody else, as loud as they are, and not themselves."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, silence
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.mix import CEILING, Mixer
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from tests.instruments import tone_dbfs

frames = st.lists(
    st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).integers(-32_768, 32_768, FRAME_SAMPLES).astype(np.int16)),
    min_size=1,
    max_size=8,
)


def mixed(mixer: Mixer[int], said: list[Frame]) -> list[Frame]:
    return list(mixer.mix(dict(enumerate(said))).values())


def spoken(levels: Mapping[float, float], seconds: float) -> dict[float, np.ndarray]:
    """What each seat hears, seats being called by the tone that they say at that level."""
    mixer: Mixer[float] = Mixer()
    sources = {hz: Sine(hz, level) for hz, level in levels.items()}
    ticks = [mixer.mix({hz: source.pull() for hz, source in sources.items()}) for _ in range(round(seconds * 50))]
    return {hz: np.concatenate([tick[hz] for tick in ticks]) for hz in levels}


@given(frames, st.integers(1, 8))
def test_what_fits_into_16_bits_is_the_exact_sum_of_the_others(said: list[Frame], quieter: int) -> None:
    said = [frame // (8 * quieter) for frame in said]
    total = np.sum(said, axis=0, dtype=np.int64)
    for own, heard in zip(said, mixed(Mixer(), said), strict=True):
        assert heard.dtype == np.int16
        np.testing.assert_array_equal(heard, total - own)


@given(frames)
@settings(deadline=None)
def test_no_sum_wraps_around(said: list[Frame]) -> None:
    mixer: Mixer[int] = Mixer()
    total = np.sum(said, axis=0, dtype=np.int64)
    for _ in range(2):
        for own, heard in zip(said, mixed(mixer, said), strict=True):
            others = total - own
            assert not np.any((np.sign(heard) == -np.sign(others)) & (np.abs(heard) > 1))
            assert np.all(np.abs(heard.astype(np.int32)) <= np.abs(others) + 1)


@given(st.lists(st.integers(3, 60), min_size=2, max_size=12, unique=True), st.floats(-45, -30))
@settings(deadline=None, max_examples=25)
def test_everybody_hears_every_tone_but_their_own_at_its_level(fifties: list[int], level: float) -> None:
    tones = {50.0 * number: level for number in fifties}
    for own, heard in spoken(tones, 0.2).items():
        for hz in tones:
            assert tone_dbfs(heard, hz) == pytest.approx(level, abs=0.2) if hz != own else tone_dbfs(heard, hz) < level - 25


def test_one_alone_hears_nothing() -> None:
    assert not mixed(Mixer(), [Sine(440).pull()])[0].any()


def test_an_empty_room_has_nobody_to_hear() -> None:
    assert Mixer[int]().mix({}) == {}


def test_those_who_are_too_loud_together_are_turned_down_without_distortion() -> None:
    heard = spoken({500.0: -4, 1100.0: -4, 1700.0: -4, 2300.0: -4}, 3.0)[500.0][-RATE:]
    assert np.abs(heard.astype(np.int32)).max() <= CEILING
    shares = [share(heard, hz) for hz in (1100.0, 1700.0, 2300.0)]
    assert sum(shares) > 0.995, "the rest would be distortion"
    assert min(shares) > 0.32
    assert share(heard, 500.0) < 0.001


def test_the_mix_doesnt_pump_while_it_is_too_loud() -> None:
    heard = spoken({500.0: -4, 1100.0: -4, 1700.0: -4}, 4.0)[500.0]
    levels = [dbfs(block) for block in np.split(heard[RATE:], 30)]
    assert max(levels) - min(levels) < 0.3


def test_the_gain_comes_back_slowly_and_then_entirely() -> None:
    quiet, loud, louder, mixer = Sine(300, -40), Sine(700, -4), Sine(900, -4), Mixer[str]()
    for _ in range(25):
        mixer.mix({"me": silence(), "quiet": quiet.pull(), "loud": loud.pull(), "louder": louder.pull()})
    after = [mixer.mix({"me": silence(), "quiet": quiet.pull()})["me"] for _ in range(300)]
    first, last = dbfs(after[0]), dbfs(after[-1])
    assert first < -42, "it was turned down for the loud ones"
    steps = np.diff([dbfs(frame) for frame in after])
    assert np.abs(steps).max() < 0.35, "nobody hears it come back"
    assert last == pytest.approx(-40, abs=0.05)
    rest = quiet.pull()
    np.testing.assert_array_equal(mixer.mix({"me": silence(), "quiet": rest})["me"], rest)


def test_a_sudden_overload_is_met_within_a_millisecond_and_without_a_click() -> None:
    mixer: Mixer[int] = Mixer()
    wave = np.round(30_000 * np.sin(2 * np.pi * 400 * np.arange(2 * FRAME_SAMPLES) / RATE)).astype(np.int16)
    late = wave.copy()
    late[: FRAME_SAMPLES + 480] = 0  # the second one begins in the middle of the second frame
    heard = np.concatenate(
        [
            mixed(mixer, [wave[at : at + FRAME_SAMPLES], late[at : at + FRAME_SAMPLES], wave[:FRAME_SAMPLES] * 0])[2]
            for at in (0, FRAME_SAMPLES)
        ]
    )
    assert np.abs(heard.astype(np.int32)).max() <= CEILING
    clipped = np.count_nonzero(np.abs(heard.astype(np.int32)) >= CEILING - 1)
    assert clipped < 24
    assert np.abs(np.diff(heard.astype(np.int32))).max() < 6000


def test_a_seat_that_left_and_came_back_starts_afresh() -> None:
    mixer, full = Mixer[str](), Sine(1000, -3.1)
    frame = full.pull()
    for _ in range(10):
        mixer.mix({"a": frame, "b": frame, "c": frame})
    mixer.mix({"a": frame, "b": frame})
    quiet = frame // 100
    np.testing.assert_array_equal(mixer.mix({"c": quiet * 0, "d": quiet})["c"], quiet)


@pytest.fixture
def tick() -> Callable[[int], dict[int, Frame]]:
    def make(seats: int) -> dict[int, Frame]:
        noise = np.random.default_rng(1).integers(-2000, 2000, (seats, FRAME_SAMPLES)).astype(np.int16)
        return dict(enumerate(noise))

    return make


def test_a_frame_that_was_heard_is_not_changed_later(tick: Callable[[int], dict[int, Frame]]) -> None:
    mixer: Mixer[int] = Mixer()
    said = tick(3)
    first = mixer.mix(said)
    kept = {seat: frame.copy() for seat, frame in first.items()}
    mixer.mix({seat: frame * 2 for seat, frame in said.items()})
    for seat, frame in first.items():
        np.testing.assert_array_equal(frame, kept[seat])
