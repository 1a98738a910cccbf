"""Cameras: V4L2 by linuxpy on Linux, AVFoundation and DirectShow by FFmpeg elsewhere. The only file that knows them.

PyAV's wheels for Linux have no V4L2; linuxpy (GPL-3.0-or-later) comes with the extra ``sinchphone[camera]``. What a camera gives, MJPEG
or YUYV, FFmpeg decodes.
"""

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np

from sinchphone.errors import DeviceError, MediaError
from sinchphone.media.local_video.sources import PictureSource, close_container
from sinchphone.media.video.codecs import as_picture
from sinchphone.picture.frame import Picture
from sinchphone.quick_dataclass import quick_dataclass

SIZE: Final = (640, 360)
RATE: Final = 15.0
_SILENT_SECONDS: Final = 3.0  # a camera that gives nothing for so long is reported; it may come back
_POLL_SECONDS: Final = 0.2
_LINUX_HINT: Final = "pip install 'sinchphone[camera]' has what reads cameras on Linux; --video-play and --video-test need none"
_FORMATS: Final = {"darwin": "avfoundation", "win32": "dshow"}
_FFMPEG_NAMES: Final = {"MJPEG": "mjpeg", "JPEG": "mjpeg"}
_RAW: Final = {"YUYV": ("yuyv422", 2), "NV12": ("nv12", 0), "YUV420": ("yuv420p", 0)}  # FFmpeg's name, and bytes a sample where packed


@quick_dataclass(frozen=True, slots=True)
class Camera:
    """One camera of this machine. ``address``: what opens it."""

    index: int
    name: str
    address: str


def list_cameras() -> list[Camera]:
    """The cameras that there are. Raises DeviceError where they can't be asked for."""
    found = _linux_cameras() if sys.platform == "linux" else _ffmpeg_cameras()
    return [Camera(index, name, address) for index, (name, address) in enumerate(found)]


def find_camera(wanted: int | str | None) -> Callable[[], PictureSource]:
    """What makes the source of the camera of that index or part of its name, or of the first one; nothing is opened. Raises DeviceError."""
    cameras = list_cameras()
    camera = _choose(cameras, wanted)
    if sys.platform == "linux":
        return lambda: V4l2Camera(camera)
    return lambda: FfmpegCamera(camera, _FORMATS[sys.platform])


def _choose(cameras: Sequence[Camera], wanted: int | str | None) -> Camera:
    if not cameras:
        raise DeviceError("there is no camera", hint="--video-test or --video-play FILE show something else")
    if wanted is None:
        return cameras[0]
    fits = [one for one in cameras if (one.index == wanted if isinstance(wanted, int) else wanted.lower() in one.name.lower())]
    if not fits:
        names = ", ".join(f"{one.index} {one.name}" for one in cameras)
        raise DeviceError(f"there is no camera {wanted}", hint=f"there are: {names}")
    return fits[0]


def _linux_cameras() -> list[tuple[str, str]]:
    device = _linuxpy()
    found = []
    for path in sorted(device.iter_video_files()):
        with suppress(OSError, device.V4L2Error), device.Device(path) as one:
            if device.Capability.VIDEO_CAPTURE in one.info.device_capabilities:
                found.append((str(one.info.card), str(path)))
    return found


def _linuxpy() -> Any:
    try:
        from linuxpy.video import device
    except ImportError as error:
        raise DeviceError("cameras can't be read: linuxpy isn't installed", hint=_LINUX_HINT) from error
    return device


def _ffmpeg_cameras() -> list[tuple[str, str]]:
    form = _FORMATS.get(sys.platform)
    if form is None or form not in av.formats_available:
        raise DeviceError(f"this build of FFmpeg reads no cameras ({form or sys.platform})", hint="--video-play FILE needs none")
    try:
        devices = av.enumerate_input_devices(form)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DeviceError(f"cameras can't be listed: {error}") from error
    found = [one for one in devices if "video" in (one.media_types or ["video"])]
    return [(one.description or one.name, one.name) for one in found]


class V4l2Camera:
    """A camera of Linux. MJPEG where it has that, else what FFmpeg can turn into pictures."""

    is_camera = True

    def __init__(self, camera: Camera) -> None:
        self.name = camera.name
        self._address = camera.address
        self._ended = False
        self._device: Any = None
        self._capture: Any = None
        self._frames: Any = None
        self._decoder = FrameDecoder()

    def open(self) -> tuple[int, int, float]:
        device = _linuxpy()
        try:
            self._device = device.Device(self._address, blocking=False)
            self._device.open()
            capture = self._capture = device.VideoCapture(self._device)
            names = {one.pixel_format.name for one in capture.formats}
            wanted = next((name for name in (*_FFMPEG_NAMES, *_RAW) if name in names), "MJPEG")
            capture.set_format(*SIZE, device.PixelFormat[wanted])
            with suppress(OSError):  # some have one rate only
                capture.set_fps(Fraction(RATE))
            capture.open()
            form = capture.get_format()
        except (OSError, device.V4L2Error, KeyError, ValueError) as error:
            self.release()
            raise DeviceError(f"the camera {self.name} can't be opened: {error}", hint="another program may use it") from error
        self._frames = capture.buffer.frame_reader
        return form.width, form.height, RATE

    def read(self) -> Picture | None:
        silent_since = time.monotonic()
        while not self._ended:
            try:
                frame = self._frames.read(_POLL_SECONDS)
            except (BlockingIOError, InterruptedError):  # nothing yet: that is no end
                frame = None
            except OSError as error:
                raise MediaError(f"the camera {self.name} is gone: {error}") from error
            if frame is not None and len(frame):
                picture = self._decoder.decode(bytes(frame), frame.pixel_format.name, frame.width, frame.height)
                if picture is not None:
                    return picture
            if time.monotonic() - silent_since > _SILENT_SECONDS:
                raise MediaError(f"the camera {self.name} gives no pictures")
        return None

    def close(self) -> None:
        self._ended = True

    def release(self) -> None:
        """In the reading thread."""
        for one in (self._capture, self._device):
            if one is not None:
                with suppress(OSError, ValueError):
                    one.close()
        self._capture = self._device = self._frames = None


class FrameDecoder:
    """What cameras give, as pictures. A broken frame is none: the next one comes soon."""

    def __init__(self) -> None:
        self._jpeg: Any = None

    def decode(self, data: bytes, form: str, width: int, height: int) -> Picture | None:
        """The picture in ``data``, of V4L2's pixel format of that name."""
        taken_at = time.monotonic()
        try:
            if form in _FFMPEG_NAMES:
                self._jpeg = self._jpeg or av.CodecContext.create(_FFMPEG_NAMES[form], "r")
                frames = self._jpeg.decode(av.Packet(data))
                return as_picture(frames[-1], taken_at) if frames else None
            name, packed = _RAW[form]
            shape = (height, width, packed) if packed else (height * 3 // 2, width)
            samples = np.frombuffer(data, np.uint8, math.prod(shape)).reshape(shape)
            return as_picture(av.VideoFrame.from_ndarray(samples, format=name), taken_at)
        except (av.FFmpegError, ValueError, KeyError, MediaError):
            return None


class FfmpegCamera:
    """A camera of macOS (AVFoundation) or Windows (DirectShow)."""

    is_camera = True

    def __init__(self, camera: Camera, form: str) -> None:
        self.name = camera.name
        self._address = camera.address
        self._form = form
        self._container: Any = None
        self._frames: Any = None
        self._ended = False

    def open(self) -> tuple[int, int, float]:
        address = f"video={self._address}" if self._form == "dshow" else self._address
        options = {"framerate": "30", "video_size": "640x480"}
        try:
            self._container = av.open(address, format=self._form, options=options)
            stream = self._container.streams.video[0]
        except (av.FFmpegError, OSError, IndexError) as error:
            hint = "another program may use it, or the system doesn't let this one (on macOS: Privacy, Camera)"
            raise DeviceError(f"the camera {self.name} can't be opened: {error}", hint=hint) from error
        self._frames = self._container.decode(stream)
        return stream.width, stream.height, float(stream.average_rate or 30)

    def read(self) -> Picture | None:
        while not self._ended:
            try:
                frame = next(self._frames, None)
            except BlockingIOError:  # AVFoundation has none yet: that is no end
                time.sleep(0.01)
                self._frames = self._container.decode(self._container.streams.video[0])
                continue
            except (av.FFmpegError, OSError) as error:
                raise MediaError(f"the camera {self.name} is gone: {error}") from error
            return None if frame is None else as_picture(frame, time.monotonic())
        return None

    def close(self) -> None:
        self._ended = True

    def release(self) -> None:
        """In the reading thread."""
        close_container(self._container)
        self._container = self._frames = None
