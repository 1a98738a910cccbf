"""The three standard streams: what becomes of them where they are closed, full, stuck, or used by others too."""

import contextlib
import io
import os
import select
import stat
import sys
from typing import Any, Final, TextIO

from sinchphone.errors import OutputError

_STDERR: Final = 2


def fill_closed_streams() -> None:
    """Whoever started us with a closed standard stream (``2>&-``) gets nothing there, and no file of ours takes its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def wait_for_readers() -> None:
    """From now on nothing that is written to standard output and error is lost where these are non-blocking, see ``_WaitingFile``."""
    sys.stdout, sys.stderr = _waiting(sys.stdout), _waiting(sys.stderr)


class _WaitingFile(io.FileIO):
    """A descriptor that may be non-blocking, or become so at any time by whoever shares it: a write to it waits for the reader all the
    same. Nothing is queued. A signal ends the wait if its handler raises; a reader that goes away is an OSError."""

    def write(self, data: Any) -> int:
        """Write some of ``data``: how much."""
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written


def _waiting(stream: TextIO) -> TextIO:
    """``stream`` on a file that waits, where it is one of ours. A peer's name may have letters that its encoding lacks."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _open(stream.fileno(), stream.encoding, line_buffering=stream.line_buffering, close=False)


def _open(descriptor: int, encoding: str, *, line_buffering: bool, close: bool) -> TextIO:
    file = io.BufferedWriter(_WaitingFile(descriptor, "w", closefd=close))
    return io.TextIOWrapper(file, encoding=encoding, errors="backslashreplace", line_buffering=line_buffering)


def hush(stream: TextIO) -> None:
    """From now on ``stream`` leads nowhere: nothing that is still buffered can fail, not even at the exit."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def hush_stuck() -> None:
    """Hush those of standard output and error whose reader has stopped reading, so that they take nothing now."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if not select.select([], [stream.fileno()], [], 0)[1]:
                hush(stream)


def unwritable(error: OSError) -> OutputError:
    """Standard output refused: a full disk, say. It's hushed from now on."""
    hush(sys.stdout)
    return OutputError(f"standard output can't be written: {error.strerror or error}", hint="is the disk full?")


def keep_stderr_to_ourselves() -> None:
    """From now on only ``sys.stderr`` leads to standard error, not descriptor 2: C libraries (PortAudio, ALSA) print their troubles
    there from threads of their own, in the middle of our screen. What they mean comes as an error of ours."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.fileno() != _STDERR:
            return
        ours, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        sys.stderr = _open(ours, sys.stderr.encoding, line_buffering=True, close=True)


def stdout_pipe() -> int | None:
    """The descriptor of standard output where that is a pipe."""
    try:
        descriptor = sys.stdout.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):
        return None
