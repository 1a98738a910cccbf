"""Starts the process in the background, in a command that needs an exchange. Imports little: the process is to start first of all.

::

    begin -> listens: somebody else does?  -> nothing begun
                      -> starts the process with the sockets -> settled: it hosts, or why it doesn't
"""

import asyncio
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from sinchphone.exchange.listening import PortTakenError, listen
from sinchphone.local.background.settings import HostSettings, Started, read_report

START_SECONDS: Final = 30.0  # for a process to start on a machine that is busy
_MODULE: Final = "sinchphone.local.background.process"
_MAX_REPORT_BYTES: Final = 64 * 1024
_PRIVATE: Final = "SINCH"  # how the variables begin that configure us: who starts next has others


class LaunchError(Exception):
    """No process could be started, for a reason that has nothing to do with the exchange."""


def is_possible(port: int) -> bool:
    """Whether this system has such processes, and the port is one that others can find."""
    return os.name == "posix" and bool(sys.executable) and port != 0


@dataclass(slots=True)
class Launch:
    """A process that is starting, and the sockets that it was given: ours until it hosts."""

    listening: Sequence[socket.socket]
    process: "subprocess.Popen[bytes] | None"

    @classmethod
    def begin(cls, settings: HostSettings) -> Self | None:
        """Start a process, unless somebody listens there already. Raises NetworkError where nobody can. Looks names up and may block."""
        try:
            listening = listen(settings.exchange.host, settings.exchange.port)
        except PortTakenError:
            return None
        try:
            return cls(listening, _start(settings, listening))
        except OSError:
            return cls(listening, None)

    async def settled(self) -> Started:
        """Return when the process hosts; the sockets are its own then. Raises what it says that keeps it from hosting, and LaunchError
        where it says nothing: then the sockets are still here. Cancelling is safe."""
        if self.process is None:
            raise LaunchError("no process could be started")
        line = await asyncio.to_thread(_read_line, self.process)
        if not line:
            raise LaunchError("the process ended")
        try:
            started = read_report(line)
        except ValueError as error:
            raise LaunchError("the process said something else") from error
        except BaseException:
            self.close()
            raise
        self.close()
        return started

    def close(self) -> None:
        """Let go of the sockets."""
        for one in self.listening:
            one.close()


def _start(settings: HostSettings, listening: Sequence[socket.socket]) -> "subprocess.Popen[bytes]":
    descriptors = [one.fileno() for one in listening]
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-P", "-m", _MODULE, *map(str, descriptors)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)},
        start_new_session=True,
        pass_fds=descriptors,
    )
    assert process.stdin is not None, "it's a pipe"
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(settings.write().encode())
    return process


def _read_line(process: "subprocess.Popen[bytes]") -> bytes:
    """Its answer; nothing, where it ended without one, or took too long and was ended."""
    assert process.stdout is not None, "it's a pipe"
    deadline, line = time.monotonic() + START_SECONDS, b""
    with process.stdout as answer, selectors.DefaultSelector() as selector:
        selector.register(answer, selectors.EVENT_READ)
        while not line.endswith(b"\n") and len(line) < _MAX_REPORT_BYTES:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                os.killpg(process.pid, signal.SIGKILL)
                break
            chunk = os.read(answer.fileno(), _MAX_REPORT_BYTES)
            if not chunk:
                break
            line += chunk
    process.wait()  # it ended at once: who hosts is its child
    return line if line.endswith(b"\n") else b""
