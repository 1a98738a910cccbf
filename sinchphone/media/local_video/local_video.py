"""A person's pictures at a call: a source in a thread of its own, joined to a leg, and whoever looks.

::

    PictureSource.read -> PictureLeg.send, Viewer.near       (the source's thread)
    PictureLeg.show    -> Viewer.far                         (the decoder's thread)
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sinchphone.errors import AudioFileError, DeviceError, SinchphoneError
from sinchphone.media.local_video.sources import LOCAL_HINT, BarCodeSource, FileSource, PictureSource
from sinchphone.media.outbox import Outbox
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.pictures.pictures import (
    CameraStarted,
    CameraStopped,
    PictureCounts,
    PictureEvent,
    PictureOptions,
    PicturesFinished,
    PictureWarning,
    Viewer,
)
from sinchphone.media.sound import Tap
from sinchphone.picture.bar_code import read_code
from sinchphone.picture.frame import Picture, black

if TYPE_CHECKING:  # its codecs are loaded for a recording alone
    from sinchphone.media.local_video.recorder import PictureRecorder

_STILL_SENT_SECONDS: Final = 0.5  # between two pictures of what doesn't move: paused, or after the end of a file
_SOURCE_CLOSES_SECONDS: Final = 1.0
_PAUSED_SIZE: Final = (320, 180)


def check_source(options: PictureOptions) -> None:
    """What a call would find out too late; nothing is opened for long. Raises DeviceError where a camera that was named isn't there,
    AudioFileError where the file isn't."""
    try:
        if options.sends:
            _find(options)
    except DeviceError:
        if options.camera is not None:
            raise


def _find(options: PictureOptions) -> Callable[[], PictureSource]:
    if options.test:
        return lambda: BarCodeSource(options.test_source)
    if options.play is not None:
        path = options.play
        if isinstance(path, str) and path != "-":
            check_pictures(path)
        return lambda: FileSource(path)
    from sinchphone.media.local_video.cameras import find_camera

    return find_camera(options.camera)


class LocalVideo:
    """Implements media.pictures.Pictures. The source is opened at ``connect``, never before; ``open`` only looks whether it's there."""

    def __init__(self, options: PictureOptions) -> None:
        self._options = options
        self._events: Outbox[PictureEvent] = Outbox()
        self._viewer: Viewer | None = None
        self._leg: PictureLeg | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Event()  # pause, resume, end
        self._paused = False
        self._ended = False
        self._source: PictureSource | None = None
        self._make: Callable[[], PictureSource] | None = None
        self._seen = self._recognised = 0
        self._recorder = None if options.record is None else _recorder(options.record, self._events.put, force=options.force)

    async def open(self) -> None:
        """Raises DeviceError where a camera that was named isn't there, AudioFileError where the file isn't, or no recording can be. No
        camera at all is none: one PictureWarning says so, and the peer's pictures are seen."""
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.open)
        if not self._options.sends:
            return
        try:
            self._make = await asyncio.to_thread(_find, self._options)
        except DeviceError as error:
            if self._options.camera is not None:
                raise
            self._events.put(PictureWarning(message=str(error), hint=error.hint))

    async def connect(self, leg: PictureLeg) -> None:
        """Show and send from now on; ``leg`` may be another one than before."""
        if self._leg is not None:
            self._leg.on_picture(None)
        if self._recorder is not None and self._leg is None:
            self._recorder.start(time.monotonic())
        self._leg = leg
        leg.on_picture(self._show)
        if self._make is not None and self._thread is None and not self._ended:
            self._thread = threading.Thread(target=self._send_all, args=(self._make,), name="pictures", daemon=True)
            self._thread.start()

    @property
    def tap(self) -> Tap | None:
        """Who is to hear both sides' sound from ``connect`` on: the recording."""
        return self._recorder

    def view(self, viewer: Viewer | None) -> None:
        """Who looks at them from now on."""
        self._viewer = viewer

    def pause(self, paused: bool) -> None:
        """While paused the camera is closed, and the peer sees black."""
        self._paused = paused
        self._changed.set()
        source = self._source
        if paused and source is not None:
            source.close()

    def counts(self) -> PictureCounts:
        """What was seen so far."""
        return PictureCounts(seen=self._seen, recognised=self._recognised)

    def events(self) -> Outbox[PictureEvent]:
        """What happens; ends when it's closed. One reader."""
        return self._events

    async def close(self) -> None:
        """Close the camera. May be called twice."""
        self._ended = True
        if self._leg is not None:
            self._leg.on_picture(None)
        self._changed.set()
        source, thread = self._source, self._thread
        if source is not None:
            source.close()
        if thread is not None:
            await asyncio.to_thread(thread.join, _SOURCE_CLOSES_SECONDS)
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)
        self._events.end()

    def _show(self, picture: Picture, at: float) -> None:
        self._seen += 1
        if self._options.test and read_code(picture) is not None:
            self._recognised += 1
        if self._recorder is not None:
            self._recorder.show(picture, at)
        viewer = self._viewer
        if viewer is not None:
            viewer.far(picture, at)

    # the source's thread

    def _send_all(self, make: Callable[[], PictureSource]) -> None:
        last: Picture | None = None
        done = False
        while not self._ended:
            self._changed.clear()
            if self._paused or done:
                still = black(*_PAUSED_SIZE) if self._paused else last
                if still is not None:
                    self._send(replace(still, taken_at=time.monotonic()))
                self._changed.wait(_STILL_SENT_SECONDS)
                continue
            source = self._source = make()
            try:
                last = self._send_from(source) or last
            except SinchphoneError as error:
                self._events.put(PictureWarning(message=str(error), hint=error.hint or "the peer sees no picture; the sound goes on"))
                done = True
            finally:
                source.close()
                source.release()
                self._source = None
            if not self._paused and not self._ended:
                done = True

    def _send_from(self, source: PictureSource) -> Picture | None:
        """Send what the source gives, until it ends or is closed; the last picture."""
        leg, last = self._leg, None
        width, height, rate = source.open()
        if source.is_camera:
            self._events.put(CameraStarted(name=source.name))
        try:
            if leg is not None:
                leg.describe(width, height, rate)
            while not (self._paused or self._ended) and (picture := source.read()) is not None:
                last = picture
                self._send(picture)
        finally:
            if source.is_camera:
                self._events.put(CameraStopped(name=source.name))
        if not (self._paused or self._ended or source.is_camera):
            self._events.put(PicturesFinished(path=source.name))
        return last

    def _send(self, picture: Picture) -> None:
        leg, viewer = self._leg, self._viewer
        if leg is not None:
            leg.send(picture)
        if viewer is not None:
            viewer.near(picture)


def _recorder(path: str, report: Callable[[PictureEvent], None], *, force: bool) -> "PictureRecorder":
    from sinchphone.media.local_video.recorder import PictureRecorder

    return PictureRecorder(path, report, force=force)


def check_pictures(path: str) -> None:
    """Raises AudioFileError where the file has no pictures; of a pipe only whether it's there."""
    found = Path(path)
    if not found.exists():
        raise AudioFileError(f"{path} isn't there", hint=LOCAL_HINT)
    if found.is_file():
        source = FileSource(path)
        try:
            source.open()
        finally:
            source.release()
