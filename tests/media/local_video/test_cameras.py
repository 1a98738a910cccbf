"""Cameras at their seams: stand-ins that answer as linuxpy and FFmpeg do, with real MJPEG and YUYV pictures."""

import sys
import threading
import time
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from sinchphone.errors import DeviceError, MediaError
from sinchphone.media.local_video import cameras
from sinchphone.media.local_video.cameras import Camera, FfmpegCamera, FrameDecoder, V4l2Camera, find_camera, list_cameras
from sinchphone.picture.bar_code import PictureCode, draw_code, read_code

CODE = PictureCode(77, 3)
SIZE = (640, 360)


def ffmpeg_picture() -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(draw_code(CODE, *SIZE).planes, format="yuv420p")


def jpeg() -> bytes:
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = SIZE
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 30)
    frame = ffmpeg_picture().reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def yuyv() -> bytes:
    return ffmpeg_picture().reformat(format="yuyv422").to_ndarray().tobytes()


@dataclass
class FakeFrame:
    data: bytes
    name: str
    width: int = SIZE[0]
    height: int = SIZE[1]

    @property
    def pixel_format(self) -> Any:
        return SimpleNamespace(name=self.name)

    def __len__(self) -> int:
        return len(self.data)

    def __bytes__(self) -> bytes:
        return self.data


class FakeV4l2:
    """As ``linuxpy.video.device``: one camera, which gives what ``frames`` says, or raises it."""

    V4L2Error = type("V4L2Error", (Exception,), {})
    Capability = SimpleNamespace(VIDEO_CAPTURE=1)

    def __init__(self, *frames: Any, formats: tuple[str, ...] = ("YUYV", "MJPEG")) -> None:
        self.frames = list(frames)
        self.names = formats
        self.opened = self.closed = 0
        self.wanted = ""
        self.PixelFormat = {name: name for name in formats}

    def iter_video_files(self) -> list[str]:
        return ["/dev/video0", "/dev/video1"]

    def Device(self, path: str, blocking: bool = True) -> Any:
        return FakeDevice(self, path)

    def VideoCapture(self, device: Any) -> Any:
        return FakeCapture(self)


@dataclass
class FakeDevice:
    library: FakeV4l2
    path: str

    @property
    def info(self) -> Any:
        return SimpleNamespace(card=f"Cam {self.path[-1]}", device_capabilities=[1] if self.path.endswith("0") else [])

    def open(self) -> None:
        self.library.opened += 1

    def close(self) -> None:
        self.library.closed += 1

    def __enter__(self) -> "FakeDevice":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass
class FakeCapture:
    library: FakeV4l2
    buffer: Any = field(init=False)

    def __post_init__(self) -> None:
        self.buffer = SimpleNamespace(frame_reader=SimpleNamespace(read=self.read))

    @property
    def formats(self) -> list[Any]:
        return [SimpleNamespace(pixel_format=SimpleNamespace(name=name)) for name in self.library.names]

    def set_format(self, width: int, height: int, form: str) -> None:
        self.library.wanted = form

    def set_fps(self, rate: object) -> None:
        raise OSError("this one has one rate only")

    def open(self) -> None:
        pass

    def get_format(self) -> Any:
        return SimpleNamespace(width=SIZE[0], height=SIZE[1])

    def read(self, timeout: float) -> Any:
        if not self.library.frames:
            time.sleep(0.01)
            return None
        found = self.library.frames.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        pass


def with_v4l2(monkeypatch: pytest.MonkeyPatch, library: FakeV4l2) -> V4l2Camera:
    monkeypatch.setattr(cameras, "_linuxpy", lambda: library)
    return V4l2Camera(Camera(0, "Cam", "/dev/video0"))


@pytest.mark.parametrize(("name", "data"), [("MJPEG", jpeg), ("YUYV", yuyv)])
def test_what_a_camera_of_linux_gives_becomes_the_picture_that_it_saw(monkeypatch: pytest.MonkeyPatch, name: str, data: Any) -> None:
    library = FakeV4l2(FakeFrame(data(), name), formats=(name,))
    camera = with_v4l2(monkeypatch, library)
    assert camera.open() == (*SIZE, 15.0)
    picture = camera.read()
    assert picture is not None and read_code(picture) == CODE
    assert library.wanted == name
    camera.close()
    assert camera.read() is None
    camera.release()
    assert (library.opened, library.closed) == (1, 1)


def test_a_broken_frame_and_a_pause_are_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeV4l2(FakeFrame(b"\xff\xd8 no picture", "MJPEG"), BlockingIOError(), FakeFrame(b"", "MJPEG"), FakeFrame(jpeg(), "MJPEG"))
    camera = with_v4l2(monkeypatch, library)
    camera.open()
    picture = camera.read()
    assert picture is not None and read_code(picture) == CODE


def test_a_camera_that_is_pulled_out_is_an_error_and_one_that_waits_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = with_v4l2(monkeypatch, FakeV4l2(OSError(19, "No such device")))
    camera.open()
    with pytest.raises(MediaError, match="gone"):
        camera.read()
    waiting = with_v4l2(monkeypatch, FakeV4l2())
    waiting.open()
    threading.Timer(0.05, waiting.close).start()
    assert waiting.read() is None


def test_a_camera_that_another_program_has_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeV4l2()
    camera = with_v4l2(monkeypatch, library)
    monkeypatch.setattr(FakeDevice, "open", lambda self: (_ for _ in ()).throw(OSError(16, "Device or resource busy")))
    with pytest.raises(DeviceError, match="busy"):
        camera.open()


@pytest.mark.skipif(sys.platform != "linux", reason="asks V4L2")
def test_cameras_are_listed_and_found_by_index_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "_linuxpy", FakeV4l2)
    assert list_cameras() == [Camera(0, "Cam 0", "/dev/video0")]
    assert find_camera("cam")().name == find_camera(0)().name == find_camera(None)().name == "Cam 0"
    for wanted in ("other", 1):
        with pytest.raises(DeviceError, match="there is no camera"):
            find_camera(wanted)


@dataclass
class FakeContainer:
    """As FFmpeg's device: nothing yet, then a picture, then the end."""

    answers: list[Any]
    closed: bool = False

    @property
    def streams(self) -> Any:
        return SimpleNamespace(video=[SimpleNamespace(width=SIZE[0], height=SIZE[1], average_rate=30)])

    def decode(self, stream: object) -> Any:
        while self.answers:
            found = self.answers.pop(0)
            if isinstance(found, Exception):
                raise found
            yield found

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("form", "address"), [("dshow", "video=Cam"), ("avfoundation", "Cam")])
def test_a_camera_of_other_systems_is_opened_by_ffmpeg(monkeypatch: pytest.MonkeyPatch, form: str, address: str) -> None:
    container = FakeContainer([BlockingIOError(), ffmpeg_picture()])
    asked: list[Any] = []

    def open_device(name: str, **how: Any) -> FakeContainer:
        asked.append((name, how["format"]))
        return container

    monkeypatch.setattr(av, "open", open_device)
    camera = FfmpegCamera(Camera(0, "Cam", "Cam"), form)
    assert camera.open() == (*SIZE, 30.0)
    assert asked == [(address, form)]
    picture = camera.read()
    assert picture is not None and read_code(picture) == CODE
    assert camera.read() is None
    camera.release()
    assert container.closed


def test_a_format_that_nobody_knows_is_no_picture() -> None:
    assert FrameDecoder().decode(np.zeros(10, np.uint8).tobytes(), "XYZ", *SIZE) is None
    assert FrameDecoder().decode(b"short", "YUYV", *SIZE) is None
