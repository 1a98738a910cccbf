"""Records a call: near left and far right, or one track of them, written by a thread so that a slow disk never holds up sound.

::

    near, far blocks -> TwoTrack -> [at most ten seconds] -> layout -> AudioWriter -> name.part -> (closed) -> name
    (media loop)                                                       (thread)
"""

import queue
import threading
from collections.abc import Callable, Container
from pathlib import Path
from typing import Final

import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.mix import added
from sinchphone.audio.twotrack import Stereo, TrackSide, TwoTrack
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio.files import RECORDING_KINDS, AudioWriter, check_recording
from sinchphone.media.options import RECORDER_CLOSES_SECONDS, RecordLayout
from sinchphone.media.recording_path import part_of, put_in_place, unwritten
from sinchphone.media.sound import RecordFinished, RecordStarted, SoundEvent, SoundWarning

_QUEUE_BLOCKS: Final = 500  # ten seconds of 20 ms blocks


def laid_out(block: Stereo, layout: RecordLayout) -> Stereo:
    """The columns that are written: both sides, one of them, or their sum (clipped where both shout)."""
    match layout:
        case RecordLayout.STEREO:
            return block
        case RecordLayout.MIXED:
            return added(block[:, TrackSide.NEAR], block[:, TrackSide.FAR])[:, np.newaxis]
        case RecordLayout.NEAR:
            return block[:, TrackSide.NEAR : TrackSide.NEAR + 1]
        case RecordLayout.FAR:
            return block[:, TrackSide.FAR : TrackSide.FAR + 1]


class Recorder:
    """One recording. ``open`` and ``close`` block on the disk, the others don't; ``report`` is called from any thread."""

    def __init__(
        self,
        path: str,
        report: Callable[[SoundEvent], None],
        *,
        layout: RecordLayout = RecordLayout.STEREO,
        force: bool = False,
        kinds: Container[str] = RECORDING_KINDS,
    ) -> None:
        """``kinds``: endings of files that it may write, of ``files.ENCODINGS``."""
        self._kinds = kinds
        self._path = Path(path)
        self._name = path
        self._layout = layout
        self._force = force
        self._report = report
        self._part = part_of(self._path, self)
        self._blocks: queue.Queue[Stereo] = queue.Queue(_QUEUE_BLOCKS)
        self._lost = 0  # samples that found no room in the queue: silence in the recording, so that it stays in step
        self._tracks: TwoTrack | None = None
        self._writer: AudioWriter | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="sinchphone recorder", daemon=True)

    def open(self) -> None:
        """Checks the name and makes the temporary file beside it. Raises AudioFileError."""
        check_recording(self._path, force=self._force, kinds=self._kinds)
        self._writer = AudioWriter(self._part, self._path.suffix, name=self._path, channels=2 if self._layout is RecordLayout.STEREO else 1)

    def start(self, now: float) -> None:
        """The time line of the recording begins."""
        self._tracks = TwoTrack(now)
        self._thread.start()
        self._report(RecordStarted(path=self._name))

    def near(self, samples: Samples, now: float) -> None:
        """What was said here, the last sample at ``now``."""
        self._put(TrackSide.NEAR, samples, now)

    def far(self, samples: Samples, now: float) -> None:
        """What was heard here, the last sample at ``now``."""
        self._put(TrackSide.FAR, samples, now)

    def flush(self, now: float) -> None:
        """Hands over what is complete by ``now``; call it every 20 ms, in the thread that calls ``near`` and ``far``."""
        if self._tracks is not None:
            self._hand_over(self._tracks.pull(now))

    def _put(self, side: TrackSide, samples: Samples, now: float) -> None:
        if self._tracks is not None:
            self._tracks.put(side, samples, now)

    def _hand_over(self, block: Stereo) -> None:
        if self._lost:
            block = np.concatenate([np.zeros((min(self._lost, RATE), 2), np.int16), block])
        try:
            self._blocks.put_nowait(block)
            self._lost = max(0, self._lost - RATE)
        except queue.Full:
            self._lost += len(block) - min(self._lost, RATE)

    def close(self) -> None:
        """Finishes the file and puts it in its place, within three seconds. Nothing may be put any more. May be called twice."""
        if self._closing.is_set() or self._writer is None:
            return
        self._closing.set()
        if self._tracks is None:
            self._discard(self._writer)
            return
        self._hand_over(self._tracks.finish())
        self._thread.join(RECORDER_CLOSES_SECONDS)
        if self._thread.is_alive():
            late = unwritten(self._path, self._part)
            self._report(SoundWarning(message=str(late), hint=late.hint))

    def _discard(self, writer: AudioWriter) -> None:
        """The call never came about: leave nothing behind."""
        try:
            writer.close()
        finally:
            self._part.unlink(missing_ok=True)

    def _write_all(self) -> None:
        """The thread: write until closed, finish, rename. What an unlucky disk has taken is kept."""
        writer, failure = self._writer, None
        assert writer is not None
        try:
            try:
                self._write(writer)
            finally:
                writer.close()
        except AudioFileError as error:
            failure = str(error)
            self._report(SoundWarning(message=failure, hint=error.hint))
        try:
            self._publish(writer.seconds, failure)
        except AudioFileError as error:
            self._report(SoundWarning(message=str(error), hint=error.hint))

    def _write(self, writer: AudioWriter) -> None:
        while True:
            try:
                writer.write(laid_out(self._blocks.get(timeout=0.1), self._layout))
            except queue.Empty:
                if self._closing.is_set():
                    return

    def _publish(self, seconds: float, failure: str | None) -> None:
        """Give the finished file its name, without overwriting one that has appeared meanwhile. One without sound that failed goes."""
        finished = RecordFinished(path=self._name, seconds=seconds, failure=failure)
        put_in_place(finished, self._part, lambda: check_recording(self._path, force=self._force, kinds=self._kinds))
        self._report(finished)
