"""Where pictures come from in place of a camera: the test picture, and files of whatever format FFmpeg reads."""

import threading
import time
from pathlib import Path
from typing import Any, Final, Protocol

import av

from sinchphone.errors import AudioFileError, MediaError
from sinchphone.media.options import NO_OTHER_FILES, STANDARD_INPUT
from sinchphone.media.sound import Descriptor
from sinchphone.media.video.codecs import as_picture
from sinchphone.picture.bar_code import PictureCode, draw_code
from sinchphone.picture.frame import Picture

_TEST_SIZE: Final = (640, 360)
_TEST_RATE: Final = 15.0
_USUAL_RATE: Final = 15.0
_MAX_RATE: Final = 60.0
LOCAL_HINT: Final = "name a file of pictures on this machine: neither addresses nor playlists are read"


class PictureSource(Protocol):
    """A camera, or what stands in its place. In one thread, but for ``close``."""

    name: str
    is_camera: bool

    def open(self) -> tuple[int, int, float]:
        """Begin: width, height and pictures a second. Raises DeviceError or AudioFileError."""

    def read(self) -> Picture | None:
        """The next picture, ``taken_at`` of ``time.monotonic``, once it's due; ``None`` after the last one. Raises MediaError."""

    def close(self) -> None:
        """End it; a ``read`` that waits returns. Any thread, more than once."""

    def release(self) -> None:
        """Let go of what it holds. In the reading thread, after the end."""


class Deadlines:
    """When each of so many pictures a second is due, and a wait that can be ended."""

    def __init__(self, rate: float) -> None:
        self._apart = 1 / rate
        self._begun_at = time.monotonic()
        self._ended = threading.Event()

    def wait(self, after: float) -> bool:
        """Until ``after`` seconds of the first; False where it was ended."""
        return not self._ended.wait(max(0.0, self._begun_at + after - time.monotonic()))

    def wait_for(self, number: int) -> bool:
        """Until that picture is due."""
        return self.wait(number * self._apart)

    def shift(self, seconds: float) -> None:
        """All that follows is later by so much."""
        self._begun_at += seconds

    @property
    def late(self) -> float:
        """Seconds since the first."""
        return time.monotonic() - self._begun_at

    def end(self) -> None:
        """No further wait."""
        self._ended.set()


class BarCodeSource:
    """A test picture that says its number, 15 times a second."""

    name = "test picture"
    is_camera = False

    def __init__(self, source: int) -> None:
        self._source = source
        self._number = 0
        self._due = Deadlines(_TEST_RATE)

    def open(self) -> tuple[int, int, float]:
        self._due = Deadlines(_TEST_RATE)
        return (*_TEST_SIZE, _TEST_RATE)

    def read(self) -> Picture | None:
        if not self._due.wait_for(self._number):
            return None
        self._number = max(self._number, int(self._due.late * _TEST_RATE))
        picture = draw_code(PictureCode(self._number, self._source), *_TEST_SIZE, time.monotonic())
        self._number += 1
        return picture

    def close(self) -> None:
        self._due.end()

    def release(self) -> None:
        """It holds nothing."""


class FileSource:
    """The pictures of a file at their times, or of a pipe as they arrive."""

    is_camera = False

    def __init__(self, path: str | Descriptor) -> None:
        self.name = str(path)
        self._path = path
        self._due = Deadlines(_USUAL_RATE)
        self._file: Any = None
        self._container: Any = None
        self._frames: Any = None
        self._first: float | None = None
        self._rate = _USUAL_RATE

    def open(self) -> tuple[int, int, float]:
        """Raises AudioFileError where there are no pictures in it."""
        try:
            self._file = self._open_file()
            self._container = av.open(self._file, options=NO_OTHER_FILES)
            stream = self._container.streams.video[0]
        except IndexError as error:
            raise AudioFileError(f"{self.name} has no pictures in it") from error
        except (av.FFmpegError, OSError) as error:
            raise AudioFileError(f"{self.name} can't be read as pictures: {error.strerror or error}", hint=LOCAL_HINT) from error
        stream.thread_count = 1
        self._frames = self._container.decode(stream)
        self._rate = min(float(stream.average_rate or _USUAL_RATE), _MAX_RATE)
        self._due, self._first = Deadlines(self._rate), None
        return stream.width or 640, stream.height or 360, self._rate

    def read(self) -> Picture | None:
        try:
            frame = next(self._frames, None)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{self.name} can't be read any further: {error}") from error
        if frame is None:
            return None
        at = frame.time if frame.time is not None else (self._first or 0.0) + 1 / self._rate
        if self._first is None:
            self._first = at
            self._due = Deadlines(self._rate)
        late = self._due.late - (at - self._first)
        if late > 0.5:  # the pipe paused: what follows is as late
            self._due.shift(late)
        if not self._due.wait(at - self._first):
            return None
        return as_picture(frame, time.monotonic())

    def close(self) -> None:
        """The container is closed by whoever reads, once that has ended."""
        self._due.end()

    def release(self) -> None:
        """Close the file. In the reading thread."""
        close_container(self._container)
        if self._file is not None:
            self._file.close()
        self._file = self._container = self._frames = None

    def _open_file(self) -> Any:
        if isinstance(self._path, Descriptor):
            return open(self._path.number, "rb", buffering=0, closefd=False)
        if self._path == STANDARD_INPUT:
            return open(0, "rb", buffering=0, closefd=False)
        return Path(self._path).open("rb", buffering=0)


def close_container(container: Any) -> None:
    """Close PyAV's container, if there is one."""
    if container is not None:
        container.close()
