"""Who answers, by how they greet: the exchange's own recordings, tones, noise."""

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.levels.answering_machine import AnsweringMachineDetector, BeepDetector, Detection
from sinchphone.audio.tones.signals import Sine
from sinchphone.exchange.destinations.behaviour import prepare
from sinchphone.exchange.destinations.dialplan import plan_for
from sinchphone.exchange.destinations.prompts import load
from sinchphone.signaling.dialect import Domain


def judge(samples: Samples) -> tuple[Detection | None, float]:
    detector = AnsweringMachineDetector()
    for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        verdict = detector.push(samples[at : at + FRAME_SAMPLES])
        if verdict is not None:
            return verdict, detector.seconds
    return None, detector.seconds


def quiet(seconds: float) -> Samples:
    return silence(round(seconds * RATE))


def test_a_short_hello_and_silence_is_somebody() -> None:
    verdict, seconds = judge(np.concatenate([quiet(0.5), load("hello"), quiet(2)]))
    assert verdict is Detection.HUMAN and seconds < 3


@pytest.mark.parametrize("name", ["machine", "speech"])
def test_a_long_greeting_is_a_machine(name: str) -> None:
    verdict, seconds = judge(np.concatenate([quiet(0.5), load(name)]))
    assert verdict is Detection.LONG_GREETING and seconds < 4


def test_silence_at_the_beginning_is_told_as_that() -> None:
    verdict, seconds = judge(quiet(4))
    assert verdict is Detection.INITIAL_SILENCE and seconds == pytest.approx(2.5)


def test_a_beep_at_once_is_a_machine() -> None:
    verdict, seconds = judge(np.concatenate([quiet(0.2), Sine(1000.0).pull(RATE)]))
    assert verdict is Detection.BEEP and seconds < 0.6


def test_the_simulated_machine_beeps_after_its_greeting_and_nothing_of_the_greeting_is_a_beep() -> None:
    plan = plan_for(Domain.PSTN, "+14155550111")
    assert plan is not None
    act, beep = prepare(plan), BeepDetector()
    heard = [number / 50 for number in range(round(act.words_s * 50) + 50) if beep.push(act.party.tick(silence()))]
    assert act.words_s - 0.4 < heard[0] < act.words_s


@pytest.mark.parametrize("hz", [100.0, 3500.0])
def test_tones_that_no_machine_beeps_with_are_none(hz: float) -> None:
    beep = BeepDetector()
    tone = Sine(hz)
    assert not any(beep.push(tone.pull()) for _ in range(50))


def noisy(samples: Samples, level_dbfs: float) -> Samples:
    """With a line's noise, which has more low tones than high ones."""
    noise = np.convolve(np.random.default_rng(1).standard_normal(len(samples)), np.ones(24), "same")
    scaled = noise / np.sqrt((noise**2).mean()) * 32768 * 10 ** (level_dbfs / 20)
    mixed: Samples = np.clip(samples + scaled, -32768, 32767).astype(np.int16)
    return mixed


@pytest.mark.parametrize("level_dbfs", [-60.0, -45.0, -40.0, -36.0])
@pytest.mark.parametrize(("name", "verdict"), [("hello", Detection.HUMAN), ("machine", Detection.LONG_GREETING)])
def test_a_lines_noise_is_no_greeting(name: str, verdict: Detection, level_dbfs: float) -> None:
    heard = np.concatenate([quiet(0.5), load(name), quiet(3)])
    assert judge(noisy(heard, level_dbfs))[0] is verdict


def test_noise_alone_is_silence() -> None:
    assert judge(noisy(quiet(4), -38.0))[0] is Detection.INITIAL_SILENCE


@pytest.mark.parametrize(("name", "verdict"), [("hello", Detection.HUMAN), ("machine", Detection.LONG_GREETING)])
def test_who_speaks_at_once_is_heard_from_the_first_word_on(name: str, verdict: Detection) -> None:
    assert judge(np.concatenate([load(name), quiet(3)]))[0] is verdict
