"""The folder of recordings: who may have which, and how many, how large and how old they get.

::

    20261129141500_APPLICATION_CALL.mp3        UTC; the application and the call as far as a file's name can have them
"""

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sinchphone.media.sound import file_name_of
from sinchphone.quick_dataclass import quick_dataclass

FOLDER: Final = "recordings"
MAX_RECORDINGS: Final = 200
MAX_BYTES: Final = 1024**3
MAX_AGE_SECONDS: Final = 30 * 86_400.0
_NAME: Final = re.compile(r"\d{14}_[A-Za-z0-9_-]{1,320}\.[a-z0-9]{1,8}")


@quick_dataclass(frozen=True, slots=True)
class RecordingFile:
    """A recording that is complete. ``made_at`` in seconds since the epoch: when it ended."""

    name: str
    bytes: int
    made_at: float


class Recordings:
    """The recordings of one exchange, or of one state folder. Methods block on the disk, shortly."""

    def __init__(
        self,
        folder: Path | None,
        *,
        count: int = MAX_RECORDINGS,
        total_bytes: int = MAX_BYTES,
        age_s: float = MAX_AGE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``folder``: of the exchange's state; without one they last as long as the exchange. The oldest give way to new ones."""
        self._given = folder / FOLDER if folder is not None else None
        self._temporary: Path | None = None
        self._count, self._bytes, self._age_s = count, total_bytes, age_s
        self._now = now

    def new(self, application: str, call_id: str, kind: str) -> Path:
        """Where the next recording of that call is put; ``kind`` is its ending. Old ones make room. Raises OSError."""
        self.prune(room_for=1)
        stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%d%H%M%S")
        stem = f"{stamp}_{file_name_of(application)}_{file_name_of(call_id)}"
        folder, number = self._folder(make=True), 1
        assert folder is not None
        path = folder / f"{stem}.{kind}"
        while path.exists():
            number += 1
            path = folder / f"{stem}-{number}.{kind}"
        return path

    def listed(self, application: str | None = None) -> list[RecordingFile]:
        """Those that are complete, the newest first; an application's, or all."""
        found = [(path, path.stat()) for path in self._files() if application is None or _is_of(application, path.name)]
        files = [RecordingFile(path.name, stat.st_size, stat.st_mtime) for path, stat in found]
        return sorted(files, key=lambda file: (file.made_at, file.name), reverse=True)

    def find(self, application: str, name: str) -> Path | None:
        """An application's recording of that name."""
        return next((path for path in self._files() if path.name == name and _is_of(application, name)), None)

    def path(self, name: str) -> Path | None:
        """Where the recording of that name is."""
        return next((path for path in self._files() if path.name == name), None)

    def delete(self, name: str) -> bool:
        """Whether there was one of that name."""
        found = [path for path in self._files() if path.name == name]
        for path in found:
            path.unlink(missing_ok=True)
        return bool(found)

    def prune(self, *, room_for: int = 0) -> None:
        """Delete what is too old, and the oldest of what is too much."""
        oldest, left = self._now() - self._age_s, self._bytes
        for number, file in enumerate(self.listed()):
            left -= file.bytes
            if number + room_for >= self._count or left < 0 or file.made_at < oldest:
                self.delete(file.name)

    def close(self) -> None:
        """Forget those that last as long as the exchange. May be called twice."""
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)

    def _folder(self, *, make: bool = False) -> Path | None:
        if self._given is not None:
            if make:
                self._given.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._given
        if make and self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="sinchphone-recordings-"))
        return self._temporary

    def _files(self) -> list[Path]:
        folder = self._folder()
        if folder is None or not folder.is_dir():
            return []
        return [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink()]


def _is_of(application: str, name: str) -> bool:
    return name[14:].startswith(f"_{file_name_of(application)}_")
