"""What several options read from: one stream has one reader, whatever it is called."""

import os
import re
import stat
from collections.abc import Iterable
from typing import Final, TypeAlias

import typer

_NUMBERED: Final = re.compile(r"(?:fd:|/dev/fd/|/proc/self/fd/)(\d{1,6})", re.ASCII)
_STANDARD: Final = ("-", "/dev/stdin")
_Stream: TypeAlias = int | tuple[int, int]  # a descriptor, or the device and inode of a FIFO


def check_readers(options: Iterable[tuple[str, str]]) -> None:
    """Raises BadParameter where two options, each with its path (an empty one is none), read the same stream."""
    readers: dict[_Stream, str] = {}
    for option, path in options:
        stream = _stream(path)
        if stream is None:
            continue
        if stream in readers:
            what = "standard input" if stream == 0 else path
            raise typer.BadParameter(f"{readers[stream]} and {option} {path} both read {what}")
        readers[stream] = f"{option} {path}"


def is_standard_input(path: str) -> bool:
    """Whether that path, as an option names it, is our standard input."""
    return _stream(path) == 0


def _stream(path: str) -> _Stream | None:
    """``None`` for a file, which any number may read."""
    if path in _STANDARD:
        return 0
    if match := _NUMBERED.fullmatch(path):
        return int(match[1])
    try:
        seen = os.stat(path)  # noqa: PTH116 - an empty path is none
    except (OSError, ValueError):
        return None
    return (seen.st_dev, seen.st_ino) if stat.S_ISFIFO(seen.st_mode) else None
