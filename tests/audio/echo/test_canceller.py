"""The echo canceller as a whole, on noise that is played in a small room: it learns fast there, so seconds are enough."""

import numpy as np
import pytest

from sinchphone.audio.echo.canceller import EchoCanceller, HighPass
from sinchphone.audio.echo.spectra import BLOCK
from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.signals import Sine

SECONDS = 4
RESPONSE = np.zeros(2000)
RESPONSE[0], RESPONSE[150], RESPONSE[900], RESPONSE[1900] = 0.25, -0.12, 0.08, 0.03


def noise(seconds: float = SECONDS, level: float = 3000.0) -> Samples:
    """In syllables, as speech is."""
    times = np.arange(round(seconds * RATE)) / RATE
    loud = 0.05 + np.abs(np.sin(2 * np.pi * 2.3 * times) * np.sin(2 * np.pi * 0.9 * times + 1))
    sound: Samples = (np.random.default_rng(1).normal(0, level, len(times)) * loud).astype(np.int16)
    return sound


def echo_of(played: Samples, delays: list[int]) -> Samples:
    """Of each equal part of the time, at another delay."""
    heard = np.convolve(played, RESPONSE)[: len(played)]
    part = np.arange(len(played)) * len(delays) // len(played)
    at = np.arange(len(played)) - np.array(delays)[part]
    echo: Samples = np.where(at >= 0, heard[np.maximum(at, 0)], 0).astype(np.int16)
    return echo


def through(canceller: EchoCanceller, captured: Samples, played: Samples) -> Samples:
    """The loudspeaker is a block ahead."""
    sent = []
    canceller.play(played[:BLOCK])
    for start in range(0, len(captured) - BLOCK + 1, BLOCK):
        canceller.play(played[start + BLOCK : start + 2 * BLOCK])
        sent.append(canceller.capture(captured[start : start + BLOCK]))
    return np.concatenate(sent)


def weaker_by(echo: Samples, sent: Samples, begin: float, end: float) -> float:
    window = slice(round(begin * RATE), round(end * RATE))
    return dbfs(echo[window]) - dbfs(sent[window])


def test_what_comes_back_of_the_loudspeaker_is_gone_within_two_seconds() -> None:
    played = noise(3)
    echo = echo_of(played, [1000])
    assert weaker_by(echo, through(EchoCanceller(), echo, played), 2, 3) > 25


@pytest.mark.parametrize("jump", [400, 3000, -700])
def test_a_device_that_is_later_or_sooner_all_at_once_is_followed_within_a_second(jump: int) -> None:
    played = noise()
    echo = echo_of(played, [1000, 1000 + jump])
    sent = through(EchoCanceller(), echo, played)
    assert weaker_by(echo, sent, 3, 4) > 25


def test_a_delay_of_half_a_second_is_found() -> None:
    played = noise()
    echo = echo_of(played, [RATE // 2])
    assert weaker_by(echo, through(EchoCanceller(), echo, played), 3, 4) > 20


def test_a_loudspeaker_that_stops_and_goes_on_leaves_its_echo_known() -> None:
    """While it stops nothing is played: then it is as far ahead as before."""
    played = noise(3)
    echo = echo_of(played, [1000])
    canceller = EchoCanceller()
    through(canceller, echo, played)
    for _ in range(25):
        canceller.capture(np.zeros(BLOCK, np.int16))
    again = echo_of(played, [1000])
    assert weaker_by(again, through(canceller, again, played), 1.5, 3) > 20


def test_who_speaks_while_nothing_is_played_comes_through_two_milliseconds_late() -> None:
    said = Sine(440).pull(RATE)
    sent = through(EchoCanceller(), said, np.zeros(RATE, np.int16))
    assert dbfs(sent[RATE // 2 :]) == pytest.approx(dbfs(said), abs=0.5)
    steady = slice(RATE // 2, RATE // 2 + 4800)
    likeness = [float(np.dot(sent[steady].astype(float), said[RATE // 2 - late : RATE // 2 - late + 4800])) for late in range(109)]
    assert abs(int(np.argmax(likeness)) - 96) <= 12, "and a few samples for the rumble that is cut"


def test_sound_that_cannot_be_an_echo_of_silence_is_left_alone_whatever_it_is() -> None:
    said = noise(1)
    assert dbfs(through(EchoCanceller(), said, np.zeros(RATE, np.int16))) == pytest.approx(dbfs(said), abs=0.5)


def test_rumble_is_cut_and_speech_is_not() -> None:
    changes = []
    for hertz in (20, 300):
        said = Sine(hertz).pull(RATE).astype(np.float32)
        first, second = HighPass(50.0), HighPass(50.0)
        passed = np.concatenate([second.push(first.push(block)) for block in said.reshape(-1, BLOCK)])
        changes.append(20 * np.log10(np.std(passed[RATE // 2 :]) / np.std(said[RATE // 2 :])))
    assert changes[0] < -12 and abs(changes[1]) < 0.5
