import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, silence
from sinchphone.cli.calling.media.selfcheck import EchoProbe, Heard


def talk(probe: EchoProbe, *, delay_frames: int = 0, gain: float = 1.0, noise: float = 0.0, other: Frame | None = None) -> Heard:
    """Five seconds with somebody who says back what he hears, later and quieter, or something else."""
    source = np.random.default_rng(1)
    line = [silence() for _ in range(delay_frames)]
    far = silence()
    probe.begin()
    for _ in range(250):
        line.append(probe.tick(far))
        back = line.pop(0) * gain + noise * source.standard_normal(FRAME_SAMPLES)
        far = other if other is not None else np.clip(back, -32768, 32767).astype(np.int16)
    return probe.heard()


@pytest.mark.parametrize("delay_frames", [0, 3, 6, 40])
def test_an_echo_is_heard_and_its_delay_measured_to_a_frame(delay_frames: int) -> None:
    heard = talk(EchoProbe(), delay_frames=delay_frames, noise=30)
    assert heard.echo
    assert heard.delay_ms == pytest.approx(20 * delay_frames, abs=20)


def test_the_level_is_that_of_what_came_back() -> None:
    loud, quiet = talk(EchoProbe()), talk(EchoProbe(), gain=0.1)
    assert loud.level_dbfs == pytest.approx(-14, abs=0.5)
    assert quiet.level_dbfs == pytest.approx(-34, abs=0.5)


def test_silence_is_no_echo() -> None:
    assert talk(EchoProbe(), gain=0) == Heard(False, False, None, None)


def test_another_tone_is_sound_but_no_echo() -> None:
    tone = (10_000 * np.sin(2 * np.pi * 440 * np.arange(FRAME_SAMPLES) / 48_000)).astype(np.int16)
    heard = talk(EchoProbe(), other=tone)
    assert (heard.echo, heard.sound) == (False, True)
    assert heard.level_dbfs == pytest.approx(-13.3, abs=0.5)


def test_noise_is_sound_but_no_echo() -> None:
    heard = talk(EchoProbe(), gain=0, noise=3000)
    assert (heard.echo, heard.sound) == (False, True)


def test_only_one_of_the_two_tones_is_no_echo() -> None:
    tone = (10_000 * np.sin(2 * np.pi * 700 * np.arange(FRAME_SAMPLES) / 48_000)).astype(np.int16)
    assert not talk(EchoProbe(), other=tone).echo


def test_before_the_start_it_sends_silence_and_remembers_nothing() -> None:
    probe = EchoProbe()
    for _ in range(10):
        assert not probe.tick(np.full(FRAME_SAMPLES, 9000, np.int16)).any()
    assert probe.heard() == Heard(False, False, None, None)
    assert talk(probe).echo
