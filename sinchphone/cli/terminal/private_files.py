"""Files that are written for their owner's eyes only, as a whole or not at all."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from sinchphone.errors import OutputError

NOT_WRITTEN_HINT: Final = "check the folder, and the space on the disk"
_MODE: Final = 0o600
_NO_NEW_FILES: Final = (errno.EACCES, errno.EPERM, errno.EROFS)  # what a folder says that takes none
_NO_RESERVING: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)  # what a file system says that can't promise space


def write_private(file: Path, content: bytes, *, force: bool) -> None:
    """Write a file that nobody else can read; one that is there already only with ``force``, and it stays as it is where this fails.
    Raises OutputError."""
    try:
        if force and file.is_file():
            _replace(file.resolve(), content)  # a link to it stays one
        elif force and file.exists():  # a device, a FIFO
            file.write_bytes(content)
        else:
            _write_new(file, content)
    except FileExistsError as error:
        raise OutputError(f"{file} exists already", hint="--force overwrites it") from error
    except OSError as error:
        raise OutputError(f"{file} can't be written: {error.strerror}", hint=NOT_WRITTEN_HINT) from error


def _replace(file: Path, content: bytes) -> None:
    """Put a new file in the place of one; where the folder takes no new ones, write over it. Raises OSError."""
    part = file.parent / f".sinchphone-{secrets.token_hex(8)}.part"  # no other has that name, nor had it when it was killed
    try:
        _write_new(part, content)
        part.replace(file)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if error.errno not in _NO_NEW_FILES:
            raise
        _write_over(file, content)


def _write_over(file: Path, content: bytes) -> None:
    """Raises OSError, and nothing has changed where there's no space, or the file can't be made private."""
    with os.fdopen(os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0)), "r+b") as opened:
        file.chmod(_MODE)
        _reserve(opened.fileno(), len(content))
        opened.write(content)
        opened.truncate()


def _reserve(descriptor: int, size: int) -> None:
    """Have the space for so many bytes, or leave the file as long as it is. Raises OSError."""
    if not hasattr(os, "posix_fallocate"):
        return
    before = os.fstat(descriptor).st_size
    try:
        os.posix_fallocate(descriptor, 0, max(1, size))
    except OSError as error:
        os.ftruncate(descriptor, before)
        if error.errno not in _NO_RESERVING:
            raise


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
