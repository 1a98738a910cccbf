"""Records what is seen of the peer with what is said and heard: one file, written by a thread, playable up to its last second.

::

    far pictures, at the time of their sound -----------------\\
                                                                -> [bounded] -> H.264, AAC -> name.part -> (closed) -> name
    near, far sound (a tap of the call's leg) -> TwoTrack ----/                     (thread)

A picture stays until the next one comes. MP4 is written in fragments of a second, so that no index is needed at the end.
"""

import os
import queue
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeAlias

import av
import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.twotrack import Stereo, TrackSide, TwoTrack
from sinchphone.errors import AudioFileError
from sinchphone.media.options import RECORDER_CLOSES_SECONDS
from sinchphone.media.pictures.pictures import PictureWarning
from sinchphone.media.recording_path import check_free, part_of, put_in_place, unwritten
from sinchphone.media.sound import RecordFinished, RecordStarted
from sinchphone.picture.frame import Picture, black
from sinchphone.picture.scale import fitted

WIDTH, HEIGHT = 640, 360  # of the file: pictures of a call change their size, those of a file don't
_RATE: Final = 30  # pictures a second at most
_STILL_WRITTEN_SECONDS: Final = 0.5  # after which a picture that stays is written again
_KEY_SECONDS: Final = 1
_QUEUE: Final = 1_500  # 20 ms of sound, or a picture, each: some twenty seconds
_MAX_PICTURES: Final = 30  # that wait; newer ones are left out
_TICKS: Final = 1_000  # of pictures, a second
_MUXERS: Final = {
    ".mkv": ("matroska", {"cluster_time_limit": "1000", "flush_packets": "1", "max_interleave_delta": "1000000"}),
    ".mp4": (
        "mp4",
        {
            "movflags": "empty_moov+default_base_moof+delay_moov",
            "frag_duration": "1000000",
            "flush_packets": "1",
            "max_interleave_delta": "1000000",
        },
    ),
}

Report: TypeAlias = Callable[[RecordStarted | RecordFinished | PictureWarning], None]


def check_picture_recording(path: Path, *, force: bool) -> None:
    """Raises AudioFileError where no recording can be put at ``path``: unknown ending, no such folder, or taken and not ``force``."""
    if path.suffix.lower() not in _MUXERS:
        raise AudioFileError(f"{path}: a recording of pictures must end in .mkv or .mp4", hint="choose one of these endings")
    try:
        check_free(path, force=force)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise AudioFileError(f"{path} can't be written: {error.strerror or error}") from error


class PictureRecorder:
    """One recording. Implements media.sound.Tap. ``open`` and ``close`` block on the disk; ``report`` is called from any thread."""

    def __init__(self, path: str, report: Report, *, force: bool = False) -> None:
        self._path = Path(path)
        self._name = path
        self._force = force
        self._report = report
        self._part = part_of(self._path, self)
        self._work: queue.Queue[tuple[Picture, float] | Stereo] = queue.Queue(_QUEUE)
        self._room = threading.BoundedSemaphore(_MAX_PICTURES)
        self._lost = 0  # samples that found no room
        self._tracks: TwoTrack | None = None
        self._file: _MediaFile | None = None
        self._began_at = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="picture recorder", daemon=True)

    def open(self) -> None:
        """Checks the name and makes the temporary file beside it. Raises AudioFileError."""
        check_picture_recording(self._path, force=self._force)
        try:
            os.close(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # what people say is for its owner
            self._file = _MediaFile(self._part, self._path.suffix.lower())
        except (OSError, av.FFmpegError) as error:
            raise AudioFileError(f"{self._path} can't be written: {error.strerror or error}") from error

    def start(self, now: float) -> None:
        """The time line of the recording begins."""
        self._began_at = now
        self._tracks = TwoTrack(now)
        self._thread.start()
        self._report(RecordStarted(path=self._name))

    def show(self, picture: Picture, at: float) -> None:
        """A picture of the peer, seen at that time. Any one thread at a time."""
        if self._tracks is not None and self._room.acquire(blocking=False):
            try:
                self._work.put_nowait((picture, at - self._began_at))
            except queue.Full:
                self._room.release()

    def near(self, samples: Samples, now: float) -> None:
        """What was said here, the last sample at ``now``."""
        if self._tracks is not None:
            self._tracks.put(TrackSide.NEAR, samples, now)

    def far(self, samples: Samples, now: float) -> None:
        """What was heard here, the last sample at ``now``."""
        if self._tracks is not None:
            self._tracks.put(TrackSide.FAR, samples, now)

    def flush(self, now: float) -> None:
        """Hands over what is complete by ``now``."""
        if self._tracks is not None:
            self._put_sound(self._tracks.pull(now))

    def close(self) -> None:
        """Finishes the file and puts it in its place, within three seconds. May be called twice."""
        if self._closing.is_set() or self._file is None:
            return
        tracks, self._tracks = self._tracks, None
        if tracks is None:
            self._closing.set()
            self._file.close()
            self._part.unlink(missing_ok=True)
            return
        self._put_sound(tracks.finish())
        self._closing.set()
        self._thread.join(RECORDER_CLOSES_SECONDS)
        if self._thread.is_alive():
            late = unwritten(self._path, self._part)
            self._report(PictureWarning(message=str(late), hint=late.hint))

    def _put_sound(self, block: Stereo) -> None:
        """What found no room before is silence."""
        filled = np.concatenate([np.zeros((min(self._lost, RATE), 2), np.int16), block]) if self._lost else block
        try:
            self._work.put_nowait(filled)
            self._lost -= len(filled) - len(block)
        except queue.Full:
            self._lost += len(block)

    # the thread

    def _write_all(self) -> None:
        file, failure = self._file, None
        assert file is not None
        try:
            try:
                self._write(file)
            finally:
                file.close()
        except (OSError, av.FFmpegError) as error:
            failure = f"{self._path} ends here: {error.strerror or error}"
            self._report(PictureWarning(message=failure, hint="free some space"))
        finished = RecordFinished(path=self._name, seconds=file.seconds, failure=failure)
        try:
            put_in_place(finished, self._part, lambda: check_picture_recording(self._path, force=self._force))
        except AudioFileError as error:
            self._report(PictureWarning(message=str(error), hint=error.hint))
        else:
            self._report(finished)

    def _write(self, file: "_MediaFile") -> None:
        file.show(black(WIDTH, HEIGHT), 0.0)
        while True:
            try:
                work = self._work.get(timeout=0.1)
            except queue.Empty:
                if self._closing.is_set():
                    return
                continue
            if isinstance(work, tuple):
                self._room.release()
                file.show(*work)
            else:
                file.hear(work)


class _MediaFile:
    """The file. Raises OSError and FFmpegError."""

    def __init__(self, path: Path, suffix: str) -> None:
        name, options = _MUXERS[suffix]
        self._container = av.open(str(path), "w", format=name, options=options)
        self._sight: Any = self._container.add_stream("libx264", rate=_RATE, options={"preset": "ultrafast", "crf": "23"})
        self._sight.width, self._sight.height, self._sight.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        self._sight.time_base = self._sight.codec_context.time_base = Fraction(1, _TICKS)
        self._sight.codec_context.gop_size, self._sight.codec_context.max_b_frames = _RATE * _KEY_SECONDS, 0
        self._sight.codec_context.thread_count = 1
        self._sound: Any = self._container.add_stream("aac", rate=RATE, layout="stereo")
        self._sound.bit_rate = 128_000
        self._samples = 0
        self._ticks = -1  # of the last picture
        self._last: av.VideoFrame | None = None

    @property
    def seconds(self) -> float:
        """Of sound."""
        return self._samples / RATE

    def show(self, picture: Picture, at: float) -> None:
        """A picture from then on."""
        self._encode(_on_canvas(picture), at)

    def hear(self, block: Stereo) -> None:
        """The sound that follows."""
        if not len(block):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
        self._samples += len(block)
        self._mux(self._sound.encode(frame))
        if self._last is not None and self.seconds - self._ticks / _TICKS > _STILL_WRITTEN_SECONDS:
            self._encode(self._last, self.seconds)

    def close(self) -> None:
        """Write what there is."""
        try:
            if self._last is not None:
                self._mux([*self._sight.encode(None), *self._sound.encode(None)])
        finally:
            self._container.close()

    def _encode(self, frame: av.VideoFrame, at: float) -> None:
        ticks = round(at * _TICKS)
        if ticks - self._ticks < _TICKS // (2 * _RATE):
            return
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS)
        self._ticks, self._last = ticks, frame
        self._mux(self._sight.encode(frame))

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            self._container.mux(packet)


def _on_canvas(picture: Picture) -> av.VideoFrame:
    """The picture in the middle of one of the file's size."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.planes), format="yuv420p")
    width, height = (side // 2 * 2 for side in fitted(picture.width, picture.height, WIDTH, HEIGHT))
    if (width, height) == (picture.width, picture.height) == (WIDTH, HEIGHT):
        return frame
    small = frame.reformat(width=width, height=height).to_ndarray().astype(np.uint8, copy=False)
    whole = black(WIDTH, HEIGHT)
    made = Picture(small)
    top, left = (HEIGHT - height) // 4 * 2, (WIDTH - width) // 4 * 2
    whole.brightness[top : top + height, left : left + width] = made.brightness
    for under, over in zip(whole.differences, made.differences, strict=True):
        under[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2] = over
    return av.VideoFrame.from_ndarray(whole.planes, format="yuv420p")
