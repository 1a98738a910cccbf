"""The microphone without a call: heard again, and metered."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import Samples
from sinchphone.cli import signals
from sinchphone.cli.commands.setup import devices_try
from sinchphone.cli.terminal.session import Session
from sinchphone.media.local_audio.devices import sound_cards as devices

played: list[Samples] = []
LOUD = (np.sin(np.arange(4800) / 10) * 8000).astype(np.int16)


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Samples], None]:
    """A card whose microphone captures one block as soon as it is opened."""
    blocks = [LOUD]

    class Stream:
        def __init__(self, device: Any, exchange: Any, ended: Any) -> None:
            self.exchange = exchange

        def close(self) -> None:
            pass

    class Microphone(Stream):
        def open(self) -> None:
            self.exchange(blocks[0])

    class Loudspeaker(Stream):
        def open(self) -> None:
            played.append(self.exchange(10_000))

    played.clear()
    found = (devices.SoundDevice(0, "card", "ALSA", 1, 2, True, True), devices.SoundDevice(1, "headset", "ALSA", 1, 2, False, False))
    monkeypatch.setattr(devices, "list_devices", lambda: found)
    monkeypatch.setattr(devices, "Microphone", Microphone)
    monkeypatch.setattr(devices, "Loudspeaker", Loudspeaker)
    monkeypatch.setattr(devices_try, "RECORD_SECONDS", 0.01)
    monkeypatch.setattr(devices_try, "METER_SECONDS", 0.01)

    def capture(block: Samples) -> None:
        blocks[0] = block

    return capture


def test_what_the_microphone_heard_is_played_back(sinchphone: Any) -> None:
    ran = sinchphone("devices", "test", "--output", "headset", "--json")
    [tested, result] = ran.events
    assert (ran.code, result["ok"]) == (0, True)
    assert (tested["microphone"], tested["loudspeaker"], tested["heard"]) == ("card", "headset", True)
    assert -20 < tested["level_dbfs"] < -10
    assert played[0][: len(LOUD)].tolist() == LOUD.tolist()
    assert not played[0][len(LOUD) :].any()


def test_silence_fails_the_test_with_a_hint(sinchphone: Any, card: Any) -> None:
    card(np.zeros(4800, np.int16))
    ran = sinchphone("devices", "test")
    assert (ran.code, "nothing was heard" in ran.err, "hint:" in ran.err) == (12, True, True)


def test_a_named_device_that_is_missing_is_exit_11(sinchphone: Any) -> None:
    assert sinchphone("devices", "test", "--input", "banana").code == 11
    assert sinchphone("devices", "meter", "--input", "banana").code == 11


def test_levels_are_told_until_ctrl_c_which_is_a_normal_end(sinchphone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    tell = Session.tell

    def count(session: Any, event: Any, **more: Any) -> None:
        tell(session, event, **more)
        told.append(event.level_dbfs)
        if len(told) == 3:
            signals._receive(signals.INTERRUPT, None)

    monkeypatch.setattr(Session, "tell", count)
    ran = sinchphone("devices", "meter", "--json")
    assert ran.code == 0
    assert -20 < told[0] < -10 and math.isinf(told[1])
    assert [one["event"] for one in ran.events[:3]] == ["device.level"] * 3
    assert ran.events[1]["level_dbfs"] is None
