"""Where a recording is put: under a name of its own while it's written, under its own at the end."""

import os
from collections.abc import Callable
from pathlib import Path

from sinchphone.errors import AudioFileError
from sinchphone.media.sound import RecordFinished


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


def put_in_place(finished: RecordFinished, part: Path, check: Callable[[], None]) -> None:
    """Give a finished recording its name, unless ``check`` says that a file has appeared there meanwhile; one of which nothing is kept
    goes. Raises AudioFileError where that can't be."""
    try:
        if finished.is_kept:
            check()
            part.replace(finished.path)
        else:
            part.unlink(missing_ok=True)
    except (AudioFileError, OSError) as error:
        raise AudioFileError(f"the recording can't be called {finished.path}: {error}", hint=f"it stays in {part}") from error
