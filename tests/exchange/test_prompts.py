from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import RATE
from sinchphone.audio.levels.level import dbfs
from sinchphone.errors import AudioFileError
from sinchphone.exchange.destinations import prompts
from sinchphone.exchange.destinations.prompts import load, spell_digit, spell_number

RECORDINGS = ("connected", "speech", "called", "echo", "digit", "pressed", "bad-line", "error", "machine", "hello")
NAMES = (*RECORDINGS, "plus", "star", "hash", *"0123456789abcd")


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_there_as_loud_as_the_others_and_without_long_silence(name: str) -> None:
    samples = load(name)
    assert dbfs(samples) == pytest.approx(-20, abs=1.5)
    assert abs(samples[:2400]).max() > 100
    assert abs(samples[-2400:]).max() > 100


def test_prompts_last_as_long_as_they_should() -> None:
    assert 4 * RATE < len(load("connected")) < 8 * RATE
    assert 15 * RATE < len(load("speech")) <= 20 * RATE
    assert all(len(load(digit)) < 0.8 * RATE for digit in "0123456789")


def test_a_prompt_is_decoded_once_and_nobody_can_change_it() -> None:
    assert load("called") is load("called")
    with pytest.raises(ValueError, match="read-only"):
        load("called")[0] = 1


def test_a_prompt_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AudioFileError, match="no such file"):
        load("nonsense")


def test_a_number_is_spelt_digit_by_digit() -> None:
    spelt = spell_number("+14")
    start = 0
    for name in ("plus", "1", "4"):
        samples = load(name)
        assert np.array_equal(spelt[start : start + len(samples)], samples)
        start += len(samples) + RATE // 10
    assert start == len(spelt)


def test_marks_in_a_number_are_not_spelt() -> None:
    assert np.array_equal(spell_number("+1 (415) 555-01.00"), spell_number("+14155550100"))


def test_no_number_is_nothing_to_say() -> None:
    assert len(spell_number("")) == 0


def test_the_recordings_are_small() -> None:
    folder = Path(prompts.__file__).with_name("recordings")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 150_000
    assert {file.stem for file in folder.iterdir()} == set(NAMES)


def test_every_key_of_a_telephone_has_a_name() -> None:
    names = [spell_digit(digit) for digit in "0123456789*#ABCD"]
    assert all(len(name) > RATE / 10 for name in names)
    assert len({name.tobytes() for name in names}) == 16
    assert len(spell_digit("x")) == 0
