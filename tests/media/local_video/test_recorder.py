"""Recordings of pictures: what was seen and heard is in them, in step, also where the recording is cut off."""

import time
from pathlib import Path

import av
import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.errors import AudioFileError
from sinchphone.media.local_video.recorder import PictureRecorder, check_picture_recording
from sinchphone.media.pictures.pictures import PictureWarning
from sinchphone.media.sound import RecordFinished, RecordStarted
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture

BEGAN = 100.0
FLASH_S = 1.5  # when the sound and the picture change
SIZES = ((160, 90), (320, 180), (640, 360), (1280, 720))


def tone(hz: float, number: int, loud: bool) -> Samples:
    at = np.arange(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES) / RATE
    return (loud * 8000 * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def play_into(recorder: PictureRecorder, seconds: float) -> None:
    for number in range(round(seconds * 50)):
        at = BEGAN + number * 0.02
        while recorder._work.qsize() > 20 and recorder._thread.is_alive():
            time.sleep(0.002)
        recorder.near(tone(440, number, loud=True), at + 0.02)
        recorder.far(tone(620, number, loud=number * 0.02 >= FLASH_S), at + 0.02)
        recorder.flush(at + 0.02)
        if number % 3 == 0:
            size = SIZES[number // 30 % len(SIZES)]
            recorder.show(draw_code(PictureCode(number, 7), *size), at)


def read(path: Path) -> tuple[dict[int, float], Samples]:
    """When each test picture is shown, and the sound, near and far."""
    seen: dict[int, float] = {}
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            code = read_code(Picture(frame.to_ndarray().astype(np.uint8)))
            if code is not None and frame.time is not None:
                assert code.source == 7
                seen.setdefault(code.number, frame.time)
    with av.open(str(path)) as container:
        pieces = [frame.to_ndarray() for frame in container.decode(audio=0)]
    sound = np.concatenate(pieces, axis=1)
    return seen, (sound * 32767).astype(np.int16).T


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_pictures_of_any_size_and_both_sides_sound_are_in_step(tmp_path: Path, suffix: str) -> None:
    path, told = tmp_path / f"a{suffix}", list[object]()
    recorder = PictureRecorder(str(path), told.append)
    recorder.open()
    recorder.start(BEGAN)
    play_into(recorder, 3.0)
    recorder.close()
    assert told == [RecordStarted(path=str(path)), RecordFinished(path=str(path), seconds=3.0)]
    assert path.stat().st_mode & 0o777 == 0o600 and [each.name for each in tmp_path.iterdir()] == [path.name]
    seen, sound = read(path)
    assert len(seen) >= 0.9 * 50
    assert max(abs(at - number * 0.02) for number, at in seen.items()) < 0.04
    assert abs(sound[:, 0]).max() > 6000
    heard_at = int(np.flatnonzero(abs(sound[:, 1].astype(int)) > 3000)[0]) / RATE
    assert abs(heard_at - FLASH_S) < 0.08
    assert abs(len(sound) / RATE - 3.0) < 0.1


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_recording_that_is_cut_off_is_playable_up_to_its_last_second(tmp_path: Path, suffix: str) -> None:
    recorder = PictureRecorder(str(tmp_path / f"a{suffix}"), lambda event: None)
    recorder.open()
    recorder.start(BEGAN)
    play_into(recorder, 5.0)
    while not recorder._work.empty():
        recorder._thread.join(0.01)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(recorder._part.read_bytes())
    recorder.close()
    seen, sound = read(cut)
    assert max(seen.values()) > 3.4 and len(sound) / RATE > 3.4


def test_a_picture_that_stays_stays_in_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    recorder = PictureRecorder(str(path), lambda event: None)
    recorder.open()
    recorder.start(BEGAN)
    recorder.show(draw_code(PictureCode(1, 7), 320, 180), BEGAN + 0.1)
    for number in range(200):
        recorder.near(tone(440, number, loud=True), BEGAN + (number + 1) * 0.02)
        recorder.flush(BEGAN + (number + 1) * 0.02)
    recorder.close()
    with av.open(str(path)) as container:
        times = [frame.time or 0.0 for frame in container.decode(video=0)]
    assert times[-1] > 3.0 and max(np.diff(times)) < 1.0


def test_a_call_that_never_came_about_leaves_nothing(tmp_path: Path) -> None:
    recorder = PictureRecorder(str(tmp_path / "a.mp4"), lambda event: None)
    recorder.open()
    recorder.close()
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_during_the_call_is_neither_overwritten_nor_told_as_the_recording(tmp_path: Path) -> None:
    told, path = list[object](), tmp_path / "a.mkv"
    recorder = PictureRecorder(str(path), told.append)
    recorder.open()
    recorder.start(BEGAN)
    path.write_text("somebody else's")
    play_into(recorder, 0.5)
    recorder.close()
    assert path.read_text() == "somebody else's"
    assert not any(isinstance(event, RecordFinished) for event in told)
    [warning] = [event for event in told if isinstance(event, PictureWarning)]
    [part] = [file for file in tmp_path.iterdir() if file != path]
    assert "exists already" in warning.message and str(part) in warning.hint


def test_a_full_disk_is_told_and_what_there_is_stays(tmp_path: Path) -> None:
    told = list[object]()
    recorder = PictureRecorder(str(tmp_path / "a.mkv"), told.append)
    recorder.open()
    recorder.start(BEGAN)
    assert recorder._file is not None

    def full(packet: object) -> None:
        raise OSError(28, "No space left on device")

    recorder._file._container = Full(recorder._file._container, full)  # type: ignore[assignment]
    play_into(recorder, 1.0)
    recorder.close()
    assert any(isinstance(event, PictureWarning) and "No space left" in event.message for event in told)
    finished = [event for event in told if isinstance(event, RecordFinished)]
    assert len(finished) == 1 and finished[0].failure is not None


class Full:
    """A container on a full disk."""

    def __init__(self, container: object, mux: object) -> None:
        self.close = container.close  # type: ignore[attr-defined]
        self.mux = mux


@pytest.mark.parametrize(
    ("name", "words"), [("a.avi", "must end in .mkv or .mp4"), ("none/a.mkv", "there is no folder"), ("there.mkv", "exists already")]
)
def test_a_name_that_cannot_be_is_refused_before_the_call(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "there.mkv").touch()
    with pytest.raises(AudioFileError, match=words):
        check_picture_recording(tmp_path / name, force=False)
    if name == "there.mkv":
        check_picture_recording(tmp_path / name, force=True)
