"""Reads the text files of an npm package that somebody has, packed (.tgz) or as a folder.

Nothing is written, nothing is run, and a package that is made to harm finds nothing to do: links and devices are passed over, names are
only compared, and what is read is bounded.
"""

import gzip
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

from sinchphone.errors import ConfigError

MAX_FILES: Final = 20_000
MAX_SOURCE_BYTES: Final = 1_000_000
MAX_PACKAGE_BYTES: Final = 64 * 1024 * 1024  # unpacked
_HINT: Final = "give the published .tgz, or the folder that it was unpacked to"


def package_files(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Name and text of the package's files of a ``wanted`` name. Raises ConfigError where it's no package, or passes a limit."""
    try:
        yield from _in_folder(path, wanted) if path.is_dir() else _in_archive(path, wanted)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        words = (isinstance(error, OSError) and error.strerror) or error
        raise ConfigError(f"{path} can't be read as a package: {words}", hint=_HINT) from error


class _Bounded:
    """A stream that ends with ConfigError once it gave more than it may."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = MAX_PACKAGE_BYTES

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size if 0 <= size <= self._left else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise ConfigError(f"the package has more than {MAX_PACKAGE_BYTES // 1024 // 1024} MB unpacked", hint=_HINT)
        return data


def _in_archive(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    with gzip.open(path) as unpacked, tarfile.open(fileobj=cast(IO[bytes], _Bounded(unpacked)), mode="r|") as archive:
        for number, member in enumerate(archive):
            if number >= MAX_FILES:
                raise ConfigError(f"the package has more than {MAX_FILES} files", hint=_HINT)
            if member.isreg() and member.size <= MAX_SOURCE_BYTES and wanted(member.name):
                content = archive.extractfile(member)
                if content is not None:
                    yield member.name, content.read(MAX_SOURCE_BYTES).decode(errors="replace")


def _in_folder(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    number, left = 0, MAX_PACKAGE_BYTES
    for folder, _, names in os.walk(path):  # doesn't follow links
        for name in names:
            number += 1
            file = Path(folder, name)
            relative = file.relative_to(path).as_posix()
            if number > MAX_FILES:
                raise ConfigError(f"the folder has more than {MAX_FILES} files", hint=_HINT)
            if not wanted(relative) or not stat.S_ISREG((seen := file.lstat()).st_mode) or seen.st_size > MAX_SOURCE_BYTES:
                continue
            left -= seen.st_size
            if left < 0:
                raise ConfigError(f"the folder has more than {MAX_PACKAGE_BYTES // 1024 // 1024} MB", hint=_HINT)
            yield relative, file.read_bytes()[:MAX_SOURCE_BYTES].decode(errors="replace")
