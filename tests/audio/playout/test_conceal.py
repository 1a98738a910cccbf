"""Made-up sound: it carries on what was heard without a click, fades, and lets the next good sound in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.playout.conceal import Concealer
from sinchphone.audio.resample import Wave

RATES = (8_000, 16_000)


def voice(seconds: float, rate: int, pitch: float = 120.0, level: float = 4_000.0) -> Wave:
    """Something with a pitch and overtones, which glides a little."""
    times = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (pitch * times + 0.4 * np.sin(2 * np.pi * times))
    overtones = np.arange(1, 8)[:, np.newaxis]
    wave: Wave = (level * np.sum(np.sin(overtones * phase) / overtones, axis=0)).astype(np.float32)
    return wave


def loudness(wave: Wave) -> float:
    return float(np.sqrt(np.mean(wave * wave)))


def with_losses(wave: Wave, rate: int, lost: set[int], packet: float = 0.020) -> Wave:
    concealer, size = Concealer(rate), round(packet * rate)
    blocks = [wave[at : at + size] for at in range(0, len(wave) - size + 1, size)]
    return np.concatenate([concealer.make_up(size) if n in lost else concealer.heard(block) for n, block in enumerate(blocks)])


@pytest.mark.parametrize("rate", RATES)
def test_without_loss_nothing_is_changed_and_nothing_is_delayed(rate: int) -> None:
    wave = voice(0.5, rate)
    assert np.array_equal(with_losses(wave, rate, set()), wave)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch", [70.0, 110.0, 180.0, 260.0, 400.0])
def test_a_lost_packet_of_a_voice_goes_on_with_its_pitch_and_level(rate: int, pitch: float) -> None:
    wave = voice(0.5, rate, pitch)
    mended, size = with_losses(wave, rate, {12}), rate // 50
    lost = slice(12 * size, 13 * size)
    assert loudness(mended[lost]) == pytest.approx(loudness(wave[lost]), rel=0.25)
    likeness = float(np.corrcoef(mended[lost], wave[lost])[0, 1])
    assert likeness > 0.7


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("lost", [{12}, {12, 13}, {12, 13, 14, 15, 16}, {5, 9, 12, 17, 20}, {12, 14, 16}])
def test_no_joint_clicks(rate: int, lost: set[int]) -> None:
    """No step from sample to sample is much larger than those that the voice has by itself."""
    wave = voice(0.6, rate)
    mended = with_losses(wave, rate, lost)
    assert np.abs(np.diff(mended)).max() < 1.3 * np.abs(np.diff(wave)).max()


@given(st.integers(0, 2**31), st.lists(st.booleans(), min_size=30, max_size=30))
@settings(max_examples=30)
def test_noise_is_not_made_louder_by_any_losses(seed: int, fate: list[bool]) -> None:
    noise = (np.random.default_rng(seed).standard_normal(30 * 160) * 1_000).astype(np.float32)
    mended = with_losses(noise, 8_000, {n for n, lost in enumerate(fate) if lost})
    for at in range(0, len(mended), 160):
        assert loudness(mended[at : at + 160]) < 2_200


def test_it_is_as_loud_as_before_for_20_ms_then_fades_and_is_silent_after_60() -> None:
    rate = 8_000
    concealer = Concealer(rate)
    concealer.heard(voice(0.5, rate))
    made_up = [loudness(concealer.make_up(80)) for _ in range(8)]
    assert made_up[0] == pytest.approx(made_up[1], rel=0.3)
    assert made_up[1] > made_up[3] > made_up[5] > 0
    assert made_up[6:] == [0, 0]


def test_the_size_of_the_pieces_makes_no_difference() -> None:
    whole, pieces = Concealer(8_000), Concealer(8_000)
    wave = voice(0.4, 8_000)
    whole.heard(wave)
    pieces.heard(wave)
    assert np.allclose(whole.make_up(480), np.concatenate([pieces.make_up(size) for size in (1, 79, 80, 160, 7, 153)]), atol=0.5)


def test_before_any_sound_there_is_silence_and_silence_stays_silent() -> None:
    concealer = Concealer(8_000)
    assert not concealer.make_up(160).any()
    concealer.heard(np.zeros(800, np.float32))
    assert not concealer.make_up(160).any()
    wave = voice(0.02, 8_000)
    assert np.array_equal(concealer.heard(wave)[80:], wave[80:])  # faded in within 10 ms


def test_empty_blocks_are_taken() -> None:
    concealer = Concealer(8_000)
    nothing = np.zeros(0, np.float32)
    assert not len(concealer.heard(nothing))
    assert not len(concealer.make_up(0))
    concealer.make_up(80)
    assert not len(concealer.heard(nothing))


def test_a_constant_does_not_become_a_tone() -> None:
    concealer = Concealer(8_000)
    concealer.heard(np.full(800, 500, np.float32))
    assert np.allclose(concealer.make_up(160), 500, atol=1)


@pytest.mark.parametrize("rate", RATES)
def test_where_the_level_drifts_there_is_no_step_into_what_is_made_up_nor_in_it(rate: int) -> None:
    """A period that ends elsewhere than it began is repeated as if it didn't."""
    times = np.arange(round(0.3 * rate)) / rate
    drifting = (1_000 * np.sin(2 * np.pi * 200 * times) + 96_000 * times).astype(np.float32)
    concealer = Concealer(rate)
    concealer.heard(drifting)
    heard_and_made = np.concatenate([drifting[-1:], concealer.make_up(round(0.018 * rate))])
    assert np.abs(np.diff(heard_and_made)).max() < 2.5 * np.abs(np.diff(drifting)).max()


@pytest.mark.parametrize(("lost", "fades"), [(0.010, False), (0.030, True)])
def test_the_longer_the_loss_the_longer_it_fades_into_good_sound(lost: float, fades: bool) -> None:
    rate = 16_000
    concealer = Concealer(rate)
    concealer.heard(voice(0.3, rate))
    concealer.make_up(round(lost * rate))
    after = concealer.heard(np.zeros(round(0.020 * rate), np.float32))
    assert (loudness(after[round(0.005 * rate) : round(0.008 * rate)]) > 50) == fades
    assert loudness(after[: round(0.003 * rate)]) > 50
    assert not after[round(0.011 * rate) :].any()
