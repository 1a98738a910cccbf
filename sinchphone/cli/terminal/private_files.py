"""Files that are written for their owner's eyes only, as a whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from sinchphone.errors import OutputError

NOT_WRITTEN_HINT: Final = "check the folder, and the space on the disk"
_MODE: Final = 0o600


def write_private(file: Path, content: bytes, *, force: bool) -> None:
    """Write a file that nobody else can read; one that is there already only with ``force``, and it stays as it is where this fails.
    Raises OutputError."""
    try:
        if force and file.is_file():
            target = file.resolve()  # a link to it stays one
            part = target.parent / f".{target.name}.{os.getpid()}.part"
            _write_new(part, content)
            part.replace(target)
        elif force and file.exists():  # a device, a FIFO
            file.write_bytes(content)
        else:
            _write_new(file, content)
    except FileExistsError as error:
        raise OutputError(f"{file} exists already", hint="--force overwrites it") from error
    except OSError as error:
        raise OutputError(f"{file} can't be written: {error.strerror}", hint=NOT_WRITTEN_HINT) from error


def _write_new(file: Path, content: bytes) -> None:
    """Raises OSError, and leaves nothing then."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _MODE)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            file.chmod(_MODE)
            opened.write(content)
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise
