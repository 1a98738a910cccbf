"""Filters between 48 kHz and telephone rates: what passes, what doesn't, how late, and in blocks of any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.resample import Downsampler, Upsampler, Wave, to_samples
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from tests.instruments import tone_dbfs

LEVEL = -12.0

DELAY_SAMPLES = {3: 45, 6: 72}  # at 48 kHz: half of the filter


def there_and_back(sound: Samples, factor: int) -> Samples:
    return to_samples(Upsampler(factor).push(Downsampler(factor).push(sound)))


def settled(sound: Samples) -> Samples:
    return sound[RATE // 20 :]


@pytest.mark.parametrize(("factor", "hz"), [(6, 100), (6, 1000), (6, 3000), (6, 3300), (3, 100), (3, 3000), (3, 6000), (3, 7000)])
def test_a_tone_of_the_pass_band_comes_through_clean_and_as_loud_as_it_was(factor: int, hz: float) -> None:
    sound = settled(there_and_back(Sine(hz, LEVEL).pull(RATE), factor))
    assert share(sound, hz) > 0.9999
    assert dbfs(sound) == pytest.approx(LEVEL, abs=0.15)


@pytest.mark.parametrize(("factor", "hz"), [(6, 4700), (6, 6000), (6, 12_345), (3, 9_100), (3, 12_000), (3, 20_000)])
def test_a_tone_beyond_the_band_does_not_come_back_as_another_one(factor: int, hz: float) -> None:
    assert dbfs(settled(there_and_back(Sine(hz, LEVEL).pull(RATE), factor))) < LEVEL - 55


@pytest.mark.parametrize(("factor", "hz"), [(6, 1000), (6, 3400), (3, 3000), (3, 7000)])
def test_going_up_adds_no_mirror_images(factor: int, hz: float) -> None:
    rate = RATE // factor
    wave = (8_000 * np.sin(2 * np.pi * hz / rate * np.arange(rate))).astype(np.float32)
    sound = settled(to_samples(Upsampler(factor).push(wave)))
    for image in (rate - hz, rate + hz, 2 * rate - hz):
        assert tone_dbfs(sound, image) < tone_dbfs(sound, hz) - 56


@pytest.mark.parametrize("factor", [3, 6])
def test_the_delay_is_the_stated_one_and_below_two_milliseconds_each_way(factor: int) -> None:
    click = np.zeros(100 * factor, np.float32)
    click[10] = 10_000
    assert int(np.argmax(Upsampler(factor).push(click))) == 10 * factor + DELAY_SAMPLES[factor]
    samples = np.zeros(100 * factor, np.int16)
    samples[20 * factor - 1] = 30_000  # the last of a group: it comes out with it, so much later
    peak = int(np.argmax(Downsampler(factor).push(samples)))
    assert (peak + 1) * factor - 20 * factor == DELAY_SAMPLES[factor]
    assert DELAY_SAMPLES[factor] < 0.002 * RATE


@given(st.lists(st.integers(0, 700), min_size=1, max_size=12), st.sampled_from([3, 6]))
def test_blocks_of_any_size_give_the_same_as_one(sizes: list[int], factor: int) -> None:
    noise = np.random.default_rng(len(sizes)).integers(-9_000, 9_000, sum(sizes)).astype(np.int16)
    down, up = Downsampler(factor), Upsampler(factor)
    ends = np.cumsum(sizes)
    low = [down.push(noise[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    high: list[Wave] = [up.push(block) for block in low]
    assert np.allclose(np.concatenate(low), Downsampler(factor).push(noise), atol=0.01)
    assert np.allclose(np.concatenate(high), Upsampler(factor).push(np.concatenate(low)), atol=0.01)
    assert len(np.concatenate(low)) == len(noise) // factor


def test_what_is_too_loud_for_16_bits_is_clipped_and_does_not_wrap() -> None:
    assert to_samples(np.array([40_000.0, -40_000.0, 0.4, -1.6], np.float32)).tolist() == [32_767, -32_768, 0, -2]
    square = np.where(np.arange(RATE) // 48 % 2, 32_767, -32_768).astype(np.int16)
    there = there_and_back(square, 6).astype(int)
    assert abs(np.diff(there)).max() < 20_000  # the filter overshoots by 9 %: a wrap would be a step of 65 535
