"""File descriptors that a program was given by whoever started it: told from those that it opened itself, and kept from them."""

import os
import re
import select
import stat
import sys
from typing import Final, Literal, TypeAlias

from sinchphone.errors import AudioFileError
from sinchphone.media.sound import Descriptor

Use: TypeAlias = Literal["read", "write"]

_NAME: Final = re.compile(r"fd:(\d{1,6})", re.ASCII)
_STANDARD: Final = {0: "standard input", 1: "standard output", 2: "standard error"}
_HINT: Final = "open one in the shell and name it: sinchphone ... --pipe-out fd:3 3>heard.raw"


def descriptor_of(path: str) -> int | None:
    """The descriptor that ``fd:N`` names; ``None`` for a path."""
    match = _NAME.fullmatch(path)
    return int(match[1]) if match else None


def claim(path: str, use: Use, *, inherited: bool = False) -> str | Descriptor:
    """What ``fd:N`` names, duplicated, so that it stays what it is whatever is opened or closed later; a path stays as it is.

    ``inherited``: it must have come from whoever started the program, as those of a command line do. What Python itself opens isn't
    inheritable (PEP 446), so our own sockets and files never pass for it. Raises AudioFileError.
    """
    check_given(path, use, inherited=inherited)
    number = descriptor_of(path)
    return path if number is None else Descriptor(path, os.dup(number))


def check_given(path: str, use: Use, *, inherited: bool = False) -> None:
    """Raises AudioFileError where ``fd:N`` names no descriptor that can be used so. Standard output and standard error belong to results
    and messages; standard input can only be read. Opens and keeps nothing."""
    number = descriptor_of(path)
    if number is None:
        return
    if number in _STANDARD and (number, use) != (0, "read"):
        raise AudioFileError(f"{path} is {_STANDARD[number]}: sound may not mix with what is there", hint=_HINT)
    try:
        if inherited and number not in _STANDARD and not os.get_inheritable(number):
            raise AudioFileError(f"{path} is not open: it was not given to sinchphone", hint=_HINT)
        check_kind(path, os.fstat(number).st_mode)
        if sys.platform != "win32":
            _check_direction(path, number, use)
    except OSError as error:
        raise AudioFileError(f"{path} is not open: it was not given to sinchphone", hint=_HINT) from error


def wait_readable(descriptor: int, seconds: float) -> bool:
    """Whether a read takes something at once, be it an end or an error; waits for it. Any number, unlike ``select``; not on Windows."""
    return _wait(descriptor, select.POLLIN, seconds)


def wait_writable(descriptor: int, seconds: float) -> bool:
    """Whether a write takes something at once, be it an error; waits for it. As ``wait_readable``."""
    return _wait(descriptor, select.POLLOUT, seconds)


def _wait(descriptor: int, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(round(1000 * seconds)))


def check_kind(path: str, mode: int) -> None:
    """Raises AudioFileError for what no sound can flow through."""
    if stat.S_ISDIR(mode):
        raise AudioFileError(f"{path} is a folder", hint="name a file, a FIFO or fd:N")


def _check_direction(path: str, number: int, use: Use) -> None:
    import fcntl

    access = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    if access not in (os.O_RDWR, os.O_RDONLY if use == "read" else os.O_WRONLY):
        opened = "writing" if use == "read" else "reading"
        raise AudioFileError(f"{path} is open for {opened} only", hint=_HINT)
