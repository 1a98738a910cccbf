"""Runs one program with everything about it bounded: its time, what it says, and what it starts.

::

    facts -> its standard input          first line of its output -> told as soon as it is there
             a group of processes of its own, killed as one at its end, at the time limit, or when it is stopped
"""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

MAX_OUTPUT_BYTES: Final = 1_000_000  # of both streams together
MAX_LINE_BYTES: Final = 4_096  # that are kept of each
_LOOK_SECONDS: Final = 0.05


class Program:
    """One run. ``run`` blocks and belongs into a thread; ``stop`` may be called from anywhere, more than once."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], said: bytes, limit_s: float) -> None:
        """``said`` is its standard input; it may take ``limit_s`` seconds."""
        self._arguments = arguments
        self._environment = environment
        self._unsaid = said
        self._limit_s = limit_s
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = {"stdout": bytearray(), "stderr": bytearray()}
        self._count = 0

    def run(self, on_line: Callable[[str], object]) -> str | None:
        """Run it to its end; why it failed, or ``None``. ``on_line`` gets the first line of its output, if it says any."""
        try:
            process = self._process = subprocess.Popen(  # noqa: S603 - the user's own
                self._arguments,
                env=dict(self._environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"it can't be run: {getattr(error, 'strerror', None) or error}"
        with process:
            try:
                failure = self._follow(process, on_line)
            finally:
                self.stop()
                for pipe in (process.stdin, process.stdout, process.stderr):
                    with contextlib.suppress(OSError):  # it didn't read all that it was told
                        assert pipe is not None, "all three were asked for"
                        pipe.close()
            code = process.wait()
        last = self._words("stderr")
        return failure or (f"it ended with {code}{f': {last}' if last else ''}" if code else None)

    def stop(self) -> None:
        """Kill it with all that it started and that stayed in its group."""
        self._stopped.set()
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _follow(self, process: "subprocess.Popen[bytes]", on_line: Callable[[str], object]) -> str | None:
        """Until it ends by itself (``None``) or has to be ended, and why."""
        deadline, told = time.monotonic() + self._limit_s, False
        with selectors.DefaultSelector() as selector:
            self._watch(selector, process)
            while True:
                ended = process.poll() is not None
                self._exchange(selector, 0 if ended else _LOOK_SECONDS)
                line = self._first_line(whole=ended)
                if line is not None and not told:
                    told = True
                    on_line(line)
                if self._stopped.is_set():
                    return "the phone ended first"
                if ended:
                    return None
                if self._count > MAX_OUTPUT_BYTES:
                    return f"it wrote more than {MAX_OUTPUT_BYTES} bytes"
                if time.monotonic() > deadline:
                    return f"it was not done within {self._limit_s:g} s"

    def _watch(self, selector: selectors.BaseSelector, process: "subprocess.Popen[bytes]") -> None:
        for pipe, event, name in (
            (process.stdin, selectors.EVENT_WRITE, "stdin"),
            (process.stdout, selectors.EVENT_READ, "stdout"),
            (process.stderr, selectors.EVENT_READ, "stderr"),
        ):
            assert pipe is not None, "all three were asked for"
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, event, name)

    def _exchange(self, selector: selectors.BaseSelector, timeout: float) -> None:
        """Write what it takes, read what it says. What it lets go of is let go of."""
        if not selector.get_map():
            self._stopped.wait(timeout)
            return
        for key, _ in selector.select(timeout):
            pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]
            try:
                over = self._write(pipe) if key.data == "stdin" else self._read(pipe, key.data)
            except BlockingIOError:
                continue
            except OSError:  # it has closed its standard input
                over = True
            if over:
                selector.unregister(pipe)
                with contextlib.suppress(OSError):
                    pipe.close()

    def _write(self, pipe: IO[bytes]) -> bool:
        written = os.write(pipe.fileno(), self._unsaid)
        self._unsaid = self._unsaid[written:]
        return not self._unsaid

    def _read(self, pipe: IO[bytes], name: str) -> bool:
        chunk = os.read(pipe.fileno(), 65_536)
        self._count += len(chunk)
        heard = self._heard[name]
        heard += chunk if name == "stderr" else chunk[: MAX_LINE_BYTES - len(heard)]
        if name == "stderr":
            del heard[:-MAX_LINE_BYTES]
        return not chunk

    def _first_line(self, *, whole: bool) -> str | None:
        heard = bytes(self._heard["stdout"])
        if b"\n" not in heard and len(heard) < MAX_LINE_BYTES and not (whole and heard):
            return None
        return heard.split(b"\n", 1)[0].decode("utf-8", errors="replace").strip()

    def _words(self, name: str) -> str:
        """The last line that it said there."""
        lines = self._heard[name].decode("utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""
