"""What people are told of cameras: which there are, and that one runs."""

from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.screen.status_line import Status, status_text
from sinchphone.errors import DeviceError
from sinchphone.media.local_audio.devices import sound_cards
from sinchphone.media.local_video.cameras import Camera

Run = Callable[..., Any]


def test_cameras_are_listed_where_sound_devices_cannot_be(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library() -> list[Any]:
        raise DeviceError("PortAudio is missing")

    monkeypatch.setattr(sound_cards, "list_devices", no_library)
    monkeypatch.setattr("sinchphone.media.local_video.cameras.list_cameras", lambda: [Camera(0, "webcam", "/dev/video0")])
    ran = sinchphone("devices", "--json")
    assert ran.code == 11
    assert [event["name"] for event in ran.events if event["event"] == "camera"] == ["webcam"]


def test_the_status_line_says_which_camera_runs() -> None:
    assert "camera webcam" in status_text(Status("established", "bob", 65.0, camera="webcam"), 120)
    assert "camera" not in status_text(Status("established", "bob", 65.0), 120)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--camera", "nothere"), ExitCode.DEVICE, "there is no camera"),
        (("--video-play", "missing.mp4"), ExitCode.USAGE, "missing.mp4"),
    ],
)
def test_who_listens_is_told_at_once_of_a_camera_or_a_file_that_is_not_there(
    platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str], code: ExitCode, words: str
) -> None:
    monkeypatch.setattr("sinchphone.media.local_video.cameras.list_cameras", list)
    ran = sinchphone("listen", "--video", *options, "--auto-answer", "--for", "1s")
    assert ran.code == code
    assert words in ran.err
