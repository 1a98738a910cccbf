"""``doctor --microphone``: what is played on the loudspeaker is listened for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import Samples
from sinchphone.cli.doctor import microphone_loop
from sinchphone.media.local_audio.devices import sound_cards as devices

Air = Callable[[Samples], Samples]
LATE_SAMPLES = 4_800  # 100 ms
MORE_SAMPLES = 24_000


def late(sound: Samples) -> Samples:
    return np.concatenate([np.zeros(LATE_SAMPLES, np.int16), sound, np.zeros(MORE_SAMPLES, np.int16)])


def noise(sound: Samples) -> Samples:
    return np.random.default_rng(1).integers(-3_000, 3_000, len(sound) + MORE_SAMPLES).astype(np.int16)


def faint_hiss(sound: Samples) -> Samples:
    return np.resize(np.array([1, -1], np.int16), len(sound))


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[Air], None]:
    """A loudspeaker and a microphone with air between them."""
    opened: list[Any] = []

    class Stream:
        def __init__(self, device: Any, exchange: Any, ended: Any) -> None:
            self.exchange = exchange

        def close(self) -> None:
            pass

    def breathe(air: Air) -> None:
        class Microphone(Stream):
            def open(self) -> None:
                opened.append(self)

        class Loudspeaker(Stream):
            def open(self) -> None:
                heard = air(self.exchange(72_000))
                for at in range(0, len(heard), 480):
                    opened[-1].exchange(heard[at : at + 480])

        monkeypatch.setattr(devices, "Microphone", Microphone)
        monkeypatch.setattr(devices, "Loudspeaker", Loudspeaker)

    monkeypatch.setattr(devices, "list_devices", lambda: (devices.SoundDevice(0, "card", "ALSA", 1, 2, True, True),))
    monkeypatch.setattr(microphone_loop, "TAIL_SECONDS", 0.01)
    return breathe


@pytest.mark.parametrize(
    ("air", "result", "words"),
    [
        (late, "ok", "card hears card after 100 ms"),
        (noise, "warning", "hears other sound"),
        (faint_hiss, "warning", "hears silence"),
        (np.zeros_like, "problem", "gives no sound at all"),
    ],
)
def test_the_doctor_says_what_the_microphone_hears_of_the_loudspeaker(
    room: Callable[[Air], None], sinchphone: Any, platform: Any, air: Air, result: str, words: str
) -> None:
    room(air)
    ran = sinchphone("doctor", "--microphone", "--json")
    [check] = [event for event in ran.events if event.get("id") == "microphone"]
    assert (check["result"], words in check["summary"]) == (result, True), check
    assert (check["hint"] is None) is (result == "ok")


def test_nothing_is_played_unless_it_is_asked_for(sinchphone: Any, platform: Any) -> None:
    ran = sinchphone("doctor", "--json")
    assert "microphone" not in [event.get("id") for event in ran.events]


def test_the_cloud_has_no_microphone(sinchphone: Any) -> None:
    assert sinchphone("doctor", "--cloud", "--microphone").code == 2
