"""How loud somebody arrives."""

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.levels.gain_control import TARGET_DBFS, GainControl
from sinchphone.audio.levels.level import dbfs

SYLLABLES = np.sin(2 * np.pi * 2.5 * np.arange(RATE) / RATE) > -0.5


def speaks(level_dbfs: float, seconds: int = 8) -> Samples:
    """Noise in syllables, so loud while it lasts."""
    wave = np.random.default_rng(1).normal(0, 10 ** (level_dbfs / 20) * 32_768, seconds * RATE)
    return np.clip(wave * np.tile(SYLLABLES, seconds), -32_768, 32_767).astype(np.int16)


def through(control: GainControl, said: Samples, *, holds: bool = False) -> Samples:
    return np.concatenate([control.push(block, holds=holds) for block in said.reshape(-1, FRAME_SAMPLES)])


def while_it_lasts(sent: Samples) -> float:
    last = sent[-2 * RATE :]
    return dbfs(last[np.tile(SYLLABLES, 2)])


@pytest.mark.parametrize("level", [-40.0, -30.0, -23.0, -15.0, -10.0])
def test_who_speaks_arrives_near_the_target_faint_or_loud(level: float) -> None:
    assert while_it_lasts(through(GainControl(), speaks(level))) == pytest.approx(TARGET_DBFS, abs=3)


def test_noise_alone_is_not_made_loud() -> None:
    hiss = np.random.default_rng(2).normal(0, 10 ** (-60 / 20) * 32_768, 8 * RATE).astype(np.int16)
    assert dbfs(through(GainControl(), hiss)[-RATE:]) < -55


def test_what_is_not_the_speakers_teaches_nothing() -> None:
    control = GainControl()
    said = speaks(-40.0, 4)
    assert (through(control, said, holds=True) == said).all()


def test_a_shout_after_a_whisper_is_not_cut_off() -> None:
    control = GainControl()
    through(control, speaks(-40.0))
    shout = (np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE) * 30_000).astype(np.int16)
    sent = through(control, shout)
    assert np.abs(sent.astype(int)).max() < 32_767
    assert dbfs(sent[-RATE // 5 :]) < dbfs(shout)


def test_silence_stays_silence() -> None:
    assert not through(GainControl(), np.zeros(RATE, np.int16)).any()


def hiss(level_dbfs: float, seconds: float) -> Samples:
    wave = np.random.default_rng(3).normal(0, 10 ** (level_dbfs / 20) * 32_768, round(seconds * RATE))
    return wave.astype(np.int16)


def gain_db(said: Samples) -> float:
    """By how much the last second of it is made louder."""
    return dbfs(through(GainControl(), said)[-RATE:]) - dbfs(said[-RATE:])


def test_who_speaks_faintly_in_noise_is_not_made_louder_than_the_noise_may_be() -> None:
    spoken = [hiss(level, 0.5) for _ in range(8) for level in (-33.0, -45.0)]
    assert gain_db(np.concatenate(spoken)) == pytest.approx(0.0, abs=0.5)
    in_silence = [hiss(level, 0.5) for _ in range(8) for level in (-33.0, -75.0)]
    assert gain_db(np.concatenate(in_silence)) > 6


def test_breaths_between_sentences_are_not_taken_for_faint_speech() -> None:
    quiet = [hiss(-75.0, 1.0)]
    talks = [hiss(level, 1.0) for _ in range(6) for level in (TARGET_DBFS, -48.0)]
    assert gain_db(np.concatenate([*quiet, *talks])) == pytest.approx(0.0, abs=0.5)


def test_what_is_too_faint_for_speech_is_none_however_quiet_it_is_otherwise() -> None:
    said = [hiss(level, 0.5) for _ in range(8) for level in (-63.0, -85.0)]
    assert gain_db(np.concatenate(said)) == pytest.approx(0.0, abs=0.5)
