"""Where a recording is put: under a name of its own while it's written, under its own at the end."""

import os
from pathlib import Path

from sinchphone.errors import AudioFileError


def check_free(path: Path, *, force: bool) -> None:
    """Raises AudioFileError where no recording can be put: no such folder, or taken and not ``force``; OSError where that can't be seen."""
    if not path.parent.is_dir():
        raise AudioFileError(f"{path}: there is no folder {path.parent}", hint="create it first")
    if path.is_dir():
        raise AudioFileError(f"{path} is a folder", hint="name a file")
    if path.exists() and not force:
        raise AudioFileError(f"{path} exists already", hint="choose another name, or --force to overwrite it")


def part_of(path: Path, recorder: object) -> Path:
    """The name of that recorder's file while it's written."""
    return path.parent / f".{path.name}.{os.getpid()}-{id(recorder):x}.part"


def unwritten(path: Path, part: Path) -> AudioFileError:
    """The disk takes longer than anybody waits for."""
    return AudioFileError(f"{path} isn't written yet: the disk is too slow", hint=f"what there is stays in {part}")


def misnamed(path: Path, part: Path, error: Exception) -> AudioFileError:
    """It's written, and can't have its name."""
    return AudioFileError(f"the recording can't be called {path}: {error}", hint=f"it stays in {part}")
