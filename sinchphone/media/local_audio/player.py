"""Plays files to the peer: a thread decodes ahead, the media loop takes a frame whenever it needs one and never waits.

::

    files -> AudioReader -> [at most two seconds] -> next_frame() -> the leg
             (thread)                                (media loop)
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio import files
from sinchphone.media.sound import PlayFinished, PlayStarted, SoundEvent, SoundWarning

READ_AHEAD_SAMPLES: Final = 2 * RATE
CUSHION_SAMPLES: Final = 3 * FRAME_SAMPLES  # a live source that ran dry goes on once so much is there, or every frame would have a hole

_Piece: TypeAlias = Samples | SoundEvent


class Player:
    """Plays ``paths`` one after the other without a gap between them, then silence. ``report`` is called from either thread."""

    def __init__(self, paths: Sequence[str], report: Callable[[SoundEvent], None]) -> None:
        self._paths = tuple(paths)
        self._report = report
        self._changed = threading.Condition()
        self._pieces: deque[_Piece] = deque()
        self._buffered = 0
        self._ended = False
        self._dry = True
        self._closed = False
        self._reader: files.AudioReader | None = None
        self._thread = threading.Thread(target=self._read_all, name="sinchphone player", daemon=True)

    def open(self) -> None:
        """Checks every file and begins to decode the first. Blocks on the disk; raises AudioFileError."""
        for path in self._paths:
            files.check(path)
        self._thread.start()

    def next_frame(self) -> Frame:
        """The next 20 ms: what there is, then silence. Doesn't block."""
        frame, filled, events = silence(), 0, list[SoundEvent]()
        with self._changed:
            self._dry = self._dry and self._buffered < CUSHION_SAMPLES and not self._ended
            while self._pieces:
                piece = self._pieces[0]
                if not isinstance(piece, np.ndarray):
                    events.append(piece)
                    self._pieces.popleft()
                elif filled < FRAME_SAMPLES and not self._dry:
                    filled += self._fill(frame[filled:], piece)
                else:
                    break
            self._dry = self._dry or filled < FRAME_SAMPLES
            self._changed.notify()
        for event in events:
            self._report(event)
        return frame

    def _fill(self, gap: Samples, piece: Samples) -> int:
        """Puts the first piece's samples into ``gap``; what doesn't fit stays the first piece."""
        fits = min(len(gap), len(piece))
        gap[:fits] = piece[:fits]
        self._buffered -= fits
        if fits < len(piece):
            self._pieces[0] = piece[fits:]
        else:
            self._pieces.popleft()
        return fits

    def close(self) -> None:
        """Stop reading. Doesn't wait for the thread, which may hang on a pipe or a network disk. May be called twice."""
        with self._changed:
            self._closed = True
            if self._reader is not None:
                self._reader.stop()
            self._changed.notify()

    def _read_all(self) -> None:
        for number, path in enumerate(self._paths):
            self._put(PlayStarted(path=path))
            failure: str | None = "it could not be read"
            try:
                failure = self._read(path)
            finally:  # whatever happens, nobody may wait for the end of a file for ever
                self._put(PlayFinished(path=path, last=number == len(self._paths) - 1, failure=failure))
        with self._changed:
            self._ended = True

    def _read(self, path: str) -> str | None:
        """Decodes one file; returns why nothing of it can be heard. What is to be said about it is said when it has been played."""
        reader = files.AudioReader(path)
        with self._changed:
            self._reader = reader
            if self._closed:
                return None
        try:
            for block in reader.blocks():
                if not self._put(block):
                    break
        except AudioFileError as error:
            self._put(SoundWarning(message=str(error), hint=error.hint))
            return str(error)
        finally:
            reader.close()
        if reader.damage:
            self._put(SoundWarning(message=f"{files.display_name(path)} {reader.damage}", hint=""))
        return None

    def _put(self, piece: _Piece) -> bool:
        """Waits for room; False when the player was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._buffered < READ_AHEAD_SAMPLES)
            if self._closed:
                return False
            self._pieces.append(piece)
            self._buffered += len(piece) if isinstance(piece, np.ndarray) else 0
            return True
