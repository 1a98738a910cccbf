"""``listen`` with sound devices that are named and missing: it says so before somebody calls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.media.local_audio.devices import sound_cards as devices

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _one_headset(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    headset = devices.SoundDevice(0, "USB Headset", "ALSA", 1, 2, default_input=True, default_output=True)
    monkeypatch.setattr(devices, "list_devices", lambda: (headset,))


@pytest.mark.parametrize("flag", ["--input", "--output", "--ring"])
def test_listen_does_not_start_with_a_named_device_that_is_missing(platform: Any, sinchphone: Run, flag: str) -> None:
    done = sinchphone("listen", "--auto-answer", "--for", "1s", flag, "Jabra")
    assert done.code == 11
    assert "'Jabra'" in done.err
    assert "USB Headset" in done.err


def test_a_microphone_that_no_call_needs_may_be_missing(platform: Any, sinchphone: Run, tmp_path: Path) -> None:
    for more in (("--no-mic",), ("--tone", "440"), ("--no-audio",)):
        assert sinchphone("listen", "--auto-answer", "--for", "0.1s", "--input", "Jabra", *more).code == 0


def test_listen_starts_with_a_named_device_that_is_there(platform: Any, sinchphone: Run) -> None:
    assert sinchphone("listen", "--auto-answer", "--for", "0.1s", "--input", "usb", "--ring", "HEADSET").code == 0
