"""Live raw sound from and to other programs: 48 kHz, mono, signed 16 bit, little endian; paced by the call, never blocking it.

::

    program -> file, FIFO or fd:N -> PipeIn (thread) -> [at most half a second] -> next_frame()   (media loop)
    put(far sound) -> [at most a second] -> PipeOut (thread) -> file, FIFO or fd:N -> program
"""

import errno
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio.descriptors import check_kind, claim, descriptor_of, wait_readable, wait_writable
from sinchphone.media.sound import CALL, Descriptor, PipeEnded, PipeStarted, SoundEvent, SoundWarning

_READ_BYTES: Final = 3840  # 40 ms
_WRITE_BYTES: Final = 1920  # less than PIPE_BUF: a pipe that poll calls writable takes it whole
_BUFFERED_IN: Final = RATE  # bytes, half a second: a writer that is faster waits
_BUFFERED_OUT: Final = 2 * RATE  # bytes, a second: from a reader that is slower the oldest is kept back
_PIPE_WAIT_SECONDS: Final = 0.1
_PIPE_HINT: Final = "name a file, a FIFO or fd:N"


class PipeIn:
    """What a program says in the call. A FIFO may have one writer after the other; where there is nothing, it is silent."""

    def __init__(self, source: str | Descriptor, report: Callable[[SoundEvent], None] = lambda _: None) -> None:
        """``source``: a path, ``fd:N``, or a descriptor that was claimed before. ``report`` is called when it begins to be read, with the
        first frame, and by ``close``."""
        self._source = source
        self._report = report
        self._read_bytes = 0
        self._descriptor = -1
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._closed = False
        self._thread = threading.Thread(target=self._read_all, name="sinchphone pipe in", daemon=True)

    def open(self) -> None:
        """Open it without waiting for a writer. Raises AudioFileError."""
        self._descriptor = _open_to_read(self._source)

    def next_frame(self) -> Frame:
        """The next 20 ms, filled up with silence. Doesn't block. The first begins to read: what comes before is not for this call."""
        frame = silence()
        if self._thread.ident is None and not self._closed:
            self._report(PipeStarted(path=str(self._source), outward=False, offset=_offset(self._descriptor)))
            self._thread.start()
        with self._changed:
            whole = min(2 * FRAME_SAMPLES, len(self._bytes) & ~1)
            frame[: whole // 2] = np.frombuffer(bytes(self._bytes[:whole]), "<i2")
            del self._bytes[:whole]
            self._changed.notify()
        return frame

    def close(self) -> None:
        """Stop reading. May be called twice."""
        with self._changed:
            first, self._closed = not self._closed, True
            self._changed.notify()
        if first and self._thread.ident is not None:
            self._report(PipeEnded(path=str(self._source), outward=False, bytes=self._read_bytes))
        elif first and self._descriptor >= 0:
            os.close(self._descriptor)

    def _read_all(self) -> None:
        try:
            while self._has_room():
                if not wait_readable(self._descriptor, _PIPE_WAIT_SECONDS):
                    continue
                read = os.read(self._descriptor, _READ_BYTES)
                if not read:
                    return
                with self._changed:
                    self._bytes += read
                    self._read_bytes += len(read)
        except OSError:
            return  # somebody closed the descriptor: as at its end
        finally:
            os.close(self._descriptor)

    def _has_room(self) -> bool:
        """Waits for room; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._bytes) < _BUFFERED_IN)
            return not self._closed


class PipeOut:
    """What a program hears of the call. ``report`` is called from the thread where nothing can be written any more, and by ``close``."""

    def __init__(self, target: str | Descriptor, report: Callable[[SoundEvent], None], *, force: bool = False) -> None:
        """``target``: a path, ``fd:N``, or a descriptor that was claimed before."""
        self._target = target
        self._force = force
        self._report = report
        self._written = 0  # bytes
        self._started = False
        self._failure: str | None = None
        self._descriptor: int | None = None
        self._changed = threading.Condition()
        self._blocks: deque[bytes] = deque()
        self._waiting = 0  # bytes
        self._closed = False
        self._thread = threading.Thread(target=self._write_all, name="sinchphone pipe out", daemon=True)

    def open(self) -> None:
        """Open it without waiting for a reader. Raises AudioFileError; an existing plain file is refused without ``force``."""
        self._descriptor = _open_to_write(self._target, force=self._force)
        self._thread.start()

    def put(self, samples: Samples) -> None:
        """The next samples of the far end. Doesn't block."""
        block = samples.astype("<i2", copy=False).tobytes()
        if not self._started:
            self._started = True
            self._report(PipeStarted(path=str(self._target), outward=True, offset=_offset(self._descriptor)))
        with self._changed:
            self._blocks.append(block)
            self._waiting += len(block)
            while self._waiting > _BUFFERED_OUT:
                self._waiting -= len(self._blocks.popleft())
            self._changed.notify()

    def close(self) -> None:
        """Write what is waiting if the reader takes it within a moment, and close. May be called twice."""
        with self._changed:
            first, self._closed = not self._closed, True
            self._changed.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(2 * _PIPE_WAIT_SECONDS)
        if first and self._thread.ident is not None:
            self._report(PipeEnded(path=str(self._target), outward=True, bytes=self._written, failure=self._failure))

    def _write_all(self) -> None:
        try:
            while (block := self._next()) is not None:
                self._write(block)
        except OSError as error:
            self._failure = f"nothing more can be written to {self._target}: {error.strerror or error}"
            self._report(SoundWarning(message=self._failure, hint=""))
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._blocks)
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._waiting -= len(block)
            return block

    def _write(self, block: bytes) -> None:
        """All of it, unless the reader has gone or doesn't take it and the call is over. A FIFO waits for another reader."""
        while block:
            if self._descriptor is None and not self._reopen():
                return
            assert self._descriptor is not None
            if not wait_writable(self._descriptor, _PIPE_WAIT_SECONDS):
                if self._closed:
                    return
                continue
            try:
                written = os.write(self._descriptor, block[:_WRITE_BYTES])
                block, self._written = block[written:], self._written + written
            except BrokenPipeError:
                if not isinstance(self._target, str) or descriptor_of(self._target) is not None:
                    raise
                os.close(self._descriptor)
                self._descriptor = None

    def _reopen(self) -> bool:
        """Whether a FIFO has a reader now; waits a moment where it hasn't."""
        assert isinstance(self._target, str), "a descriptor is never opened again"
        self._descriptor = _open_fifo_to_write(self._target)
        if self._descriptor is None:
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _PIPE_WAIT_SECONDS)
        return self._descriptor is not None


def _offset(descriptor: int | None) -> int | None:
    """Where a plain file goes on; ``None`` for what has no such thing."""
    try:
        return None if descriptor is None else os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError:
        return None


def claim_output(target: str, *, force: bool) -> str | Descriptor:
    """A plain file to which several calls write one after the other, opened once for all of them; a FIFO and ``fd:N`` stay what they are.
    Raises AudioFileError; an existing file is refused without ``force``."""
    if descriptor_of(target) is not None or CALL in target or _is_fifo(target):
        return target
    opened = _open_to_write(target, force=force)
    assert opened is not None, "that is a FIFO without a reader"
    return Descriptor(target, opened)


def check_paths(pipe_in: str | None, pipe_out: str | None, *, force: bool) -> None:
    """Raises AudioFileError for what can't be read or written, without opening it. What stands for a call's id is looked at when the call
    is there."""
    for path, writes in ((pipe_in, False), (pipe_out, True)):
        if path is not None and descriptor_of(path) is None:
            _check_path(path, writes=writes, force=force)


def _check_path(path: str, *, writes: bool, force: bool) -> None:
    verb = "written" if writes else "read"
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - of a text that may be empty
    try:
        mode = None if CALL in path else os.stat(path).st_mode  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        mode = None
        if not writes:
            raise AudioFileError(f"{path or 'an empty path'} can't be read: there is no such file", hint=_PIPE_HINT) from None
    except (OSError, ValueError) as error:
        raise AudioFileError(f"{path} can't be {verb}: {getattr(error, 'strerror', None) or error}", hint=_PIPE_HINT) from error
    if mode is not None:
        check_kind(path, mode)
    if not path or not os.path.isdir(folder):  # noqa: PTH112
        raise AudioFileError(f"{path or 'an empty path'} can't be {verb}: there is no such folder", hint=_PIPE_HINT)
    if writes and mode is not None and stat.S_ISREG(mode) and not force:
        raise AudioFileError(f"{path} exists already", hint="--force overwrites it")
    if mode is not None and not os.access(path, os.W_OK if writes else os.R_OK):
        raise AudioFileError(f"{path} can't be {verb}: permission denied", hint=_PIPE_HINT)


def _open_to_read(source: str | Descriptor) -> int:
    given = claim(source, "read") if isinstance(source, str) else source
    try:
        if isinstance(given, Descriptor):
            return given.number if given is not source else os.dup(given.number)
        mode = os.stat(given).st_mode  # noqa: PTH116 - the same error for all of it
        check_kind(given, mode)
        # Open for both, a FIFO never ends: a writer may go and another one come.
        return os.open(given, os.O_RDWR | os.O_NONBLOCK if stat.S_ISFIFO(mode) else os.O_RDONLY)
    except OSError as error:
        raise AudioFileError(f"{source} can't be read: {error.strerror or error}", hint=_PIPE_HINT) from error


def _open_to_write(target: str | Descriptor, *, force: bool) -> int | None:
    given = claim(target, "write") if isinstance(target, str) else target
    try:
        if isinstance(given, Descriptor):
            return given.number if given is not target else os.dup(given.number)
        if _is_fifo(given):
            return _open_fifo_to_write(given)
        return os.open(given, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL), 0o600)
    except FileExistsError as error:
        raise AudioFileError(f"{target} exists already", hint="--force overwrites it") from error
    except OSError as error:
        raise AudioFileError(f"{target} can't be written: {error.strerror or error}", hint=_PIPE_HINT) from error


def _is_fifo(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except FileNotFoundError:
        return False
    check_kind(path, mode)
    return stat.S_ISFIFO(mode)


def _open_fifo_to_write(path: str) -> int | None:
    """``None`` while nobody reads."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return None
        raise
