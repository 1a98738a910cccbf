"""Files that are written for their owner's eyes only."""

import os
from pathlib import Path
from typing import Final

from sinchphone.errors import OutputError

NOT_WRITTEN_HINT: Final = "check the folder, and the space on the disk"


def write_private(file: Path, content: bytes, *, force: bool) -> None:
    """Write a file that nobody else can read; one that is there already only with ``force``. Raises OutputError."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL) | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            file.chmod(0o600)
            opened.write(content)
    except FileExistsError as error:
        raise OutputError(f"{file} exists already", hint="--force overwrites it") from error
    except OSError as error:
        raise OutputError(f"{file} can't be written: {error.strerror}", hint=NOT_WRITTEN_HINT) from error
