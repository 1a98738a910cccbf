"""The microphone's sound made fit: echo removed, speech kept. Skips nothing: pywebrtc-audio is a dependency."""

import math

import numpy as np
import pytest

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.exchange.destinations.prompts import load
from sinchphone.media.local_audio import voice as module
from sinchphone.media.local_audio.voice import VoiceProcessing, is_headset, make_voice
from sinchphone.media.options import AudioOptions

BLOCK = 480


def talk(seconds: float) -> Samples:
    """Speech at the nominal level of a line, -26 dBFS (ITU-T P.56)."""
    speech = load("speech")
    wave = np.resize(speech, int(seconds * RATE)) * 10 ** ((-26 - dbfs(speech)) / 20)
    return np.rint(wave).astype(np.int16)  # type: ignore[no-any-return]


def room(far: Samples, delay_ms: float, drift_ppm: float = 0) -> Samples:
    """What a microphone hears of a loudspeaker in a room (RT60 0.3 s), 12 dB down, clipped softly on the way."""
    rng = np.random.default_rng(2)
    times = np.arange(RATE // 5) / RATE
    response = rng.normal(0, 1, len(times)) * np.exp(-6.9 * times / 0.3)
    response[0] = 3
    response *= 0.25 / math.sqrt(float(np.dot(response, response)))
    played = np.tanh(2 * far / 32_768) / 2
    if drift_ppm:
        played = np.interp(np.arange(len(played)) * (1 + drift_ppm * 1e-6), np.arange(len(played)), played)
    size = 1 << (len(played) + len(response)).bit_length()
    echo = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(response, size), size)[: len(far)]
    return np.rint(np.concatenate([np.zeros(int(delay_ms * RATE / 1000)), echo])[: len(far)] * 32_768).astype(np.int16)  # type: ignore[no-any-return]


def cleaned(voice: VoiceProcessing, captured: Samples, played: Samples) -> Samples:
    """Block by block, as the devices' threads do it: the loudspeaker two blocks ahead."""
    out = []
    starts = range(0, len(captured) - BLOCK + 1, BLOCK)
    voice.far(played[:BLOCK])
    for start in starts:
        voice.far(played[start + BLOCK : start + 2 * BLOCK])
        out.append(voice.near(captured[start : start + BLOCK]))
    return np.concatenate(out)


def canceller(**options: object) -> VoiceProcessing:
    voice = make_voice(AudioOptions(echo_cancel="on", **options), "speakers")  # type: ignore[arg-type]
    assert voice is not None
    return voice


@pytest.mark.parametrize(("delay_ms", "drift_ppm"), [(30, 0), (150, 0), (30, 100), (150, 100)])
def test_echo_is_at_least_25_db_weaker_after_6_seconds(delay_ms: float, drift_ppm: float) -> None:
    far = talk(14)
    echo = room(far, delay_ms, drift_ppm)
    rest = cleaned(canceller(), echo, far)[6 * RATE :]
    assert dbfs(echo[6 * RATE :]) - dbfs(rest) >= 25  # measured: 26 to 43


def test_what_is_said_here_is_kept_while_nobody_speaks_there() -> None:
    near = Sine(440).pull(2 * RATE)
    sent = cleaned(canceller(), near, silence(2 * RATE))[RATE:]
    assert share(sent, 440) > 0.95
    assert dbfs(sent) == pytest.approx(dbfs(near), abs=1.5)


def test_noise_is_lowered_and_a_faint_voice_is_lifted_where_that_is_asked_for() -> None:
    hiss = np.random.default_rng(5).normal(0, 200, 3 * RATE).astype(np.int16)
    quiet = canceller(noise_suppression="high")
    assert dbfs(cleaned(quiet, hiss, silence(len(hiss)))[2 * RATE :]) < dbfs(hiss) - 5
    faint = (talk(8) // 10).astype(np.int16)
    lifted = cleaned(canceller(gain_control=True), faint, silence(len(faint)))
    assert dbfs(lifted[4 * RATE :]) > dbfs(faint[4 * RATE :]) + 6


def test_what_is_left_of_an_echo_is_not_lifted_by_the_gain_control() -> None:
    far = talk(8)
    echo = room(far, 30)
    plain, lifting = (cleaned(canceller(gain_control=gain), echo, far)[5 * RATE :] for gain in (False, True))
    assert dbfs(lifting) < dbfs(plain) + 3


def test_a_loudspeaker_that_bursts_stalls_or_never_starts_stops_nothing() -> None:
    voice = canceller()
    block = talk(0.01)
    for _ in range(500):
        voice.far(block)
    lengths = (480, 480, 479, 1, 960, 0, 0, 2400)
    given = [len(voice.near(silence(length))) for length in lengths]
    assert given == [0, 960, 0, 0, 960, 0, 0, 2880], "whole frames, as far as they are full"
    assert sum(lengths) - sum(given) < 960


def test_auto_leaves_headsets_alone_and_off_does_nothing() -> None:
    assert make_voice(AudioOptions(), "MacBook Speakers") is not None
    assert make_voice(AudioOptions(), "Jabra Headset") is None
    assert make_voice(AudioOptions(), None) is None
    assert make_voice(AudioOptions(noise_suppression="low"), None) is not None
    assert make_voice(AudioOptions(echo_cancel="off"), "speakers") is None
    assert is_headset("AirPods Pro") and not is_headset("HDA Intel: ALC257")


def test_without_the_library_noise_stays_and_echo_goes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_module", lambda: None)
    assert make_voice(AudioOptions(noise_suppression="high"), None) is None
    assert make_voice(AudioOptions(noise_suppression="high"), "speakers") is not None
