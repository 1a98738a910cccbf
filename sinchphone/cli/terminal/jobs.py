"""Job control: what we have of the terminal follows our job when it's stopped, continued, moved to the background and back, and quit.

::

    Ctrl-Z  SIGTSTP -> give the terminal back, stop                fg  SIGCONT -> take it again
    Ctrl-\\  SIGQUIT -> give the terminal back, die of it           bg  SIGCONT -> leave it alone
    fg of a running job, no signal at all -> ``keyboard.posix`` asks whose the terminal is
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Protocol


class TerminalUser(Protocol):
    """Something that changes the terminal: its modes, or what is on its screen."""

    def release(self) -> None:
        """Give it back as it was, for now. May be called at any time, more than once."""

    def reclaim(self) -> None:
        """Take it again if it's our job's; leave it alone otherwise."""


@contextlib.contextmanager
def job_control(users: Sequence[TerminalUser]) -> Iterator[None]:
    """While inside, ``users`` (which may grow) follow the job. Needs a running loop. Signals that are ignored stay ignored."""
    if os.name != "posix":
        yield
        return
    loop = asyncio.get_running_loop()
    taken = [number for number in (signal.SIGTSTP, signal.SIGQUIT) if signal.getsignal(number) is signal.SIG_DFL]
    if signal.SIGTSTP in taken:
        loop.add_signal_handler(signal.SIGTSTP, _stop, users)
    if signal.SIGQUIT in taken:
        signal.signal(signal.SIGQUIT, lambda *_: _quit(users))  # at once: it's for a program that doesn't react any more
    loop.add_signal_handler(signal.SIGCONT, reclaim, users)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGCONT)
        loop.remove_signal_handler(signal.SIGTSTP)
        if signal.SIGQUIT in taken:
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def release(users: Sequence[TerminalUser]) -> None:
    """Each gives back what it has."""
    for user in users:
        user.release()


def reclaim(users: Sequence[TerminalUser]) -> None:
    """Each takes what it had, if it's ours."""
    for user in users:
        user.reclaim()


def _stop(users: Sequence[TerminalUser]) -> None:
    """Stop as whoever sends SIGTSTP expects it: by the signal's default, which an orphaned job ignores (POSIX 2.4.3)."""
    release(users)
    loop = asyncio.get_running_loop()
    loop.remove_signal_handler(signal.SIGTSTP)
    os.kill(os.getpid(), signal.SIGTSTP)
    # Here we go on, after SIGCONT.
    loop.add_signal_handler(signal.SIGTSTP, _stop, users)
    reclaim(users)


def _quit(users: Sequence[TerminalUser]) -> None:
    release(users)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGQUIT)
