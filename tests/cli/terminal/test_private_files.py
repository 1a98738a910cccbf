"""Files for their owner's eyes: whole, or as they were before."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.terminal.private_files import write_private
from sinchphone.config import user_file
from sinchphone.errors import OutputError
from tests.disk import disk_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="a limit of files, modes and links are POSIX's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one."""
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file takes more than 100 bytes."""
    with disk_of(100):
        yield


@posix
@pytest.mark.parametrize("force", [True, False])
def test_a_file_that_the_disk_does_not_take_leaves_nothing(folder: Path, full_disk: None, force: bool) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        write_private(folder / "new.json", bytes(1_000), force=force)
    assert list(folder.iterdir()) == []


@posix
def test_a_file_that_the_disk_does_not_take_leaves_the_one_that_it_was_to_replace(folder: Path, full_disk: None) -> None:
    file = folder / "old.json"
    file.write_text("precious")
    with pytest.raises(OutputError, match="can't be written"):
        write_private(file, bytes(1_000), force=True)
    assert ([file], file.read_text()) == (list(folder.iterdir()), "precious")


@posix
def test_a_configuration_is_overwritten_as_a_whole_or_not_at_all(sinchphone: Callable[..., Any], full_disk: None) -> None:
    file = user_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('user = "ada"\n')
    ran = sinchphone("config", "init", "--force")
    assert (ran.code, "can't be written" in ran.err) == (14, True)
    assert file.read_text() == 'user = "ada"\n'


@posix
def test_a_replaced_file_is_its_owners_alone_and_a_link_to_it_stays_one(folder: Path) -> None:
    file, link = folder / "old.json", folder / "link.json"
    file.write_text("old")
    file.chmod(0o644)
    link.symlink_to(file)
    write_private(link, b"new", force=True)
    assert (link.is_symlink(), file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (True, "new", 0o600)
    assert sorted(folder.iterdir()) == [link, file]


def test_a_file_that_is_there_is_overwritten_with_force_alone(folder: Path) -> None:
    file = folder / "old.json"
    file.write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        write_private(file, b"new", force=False)
    assert file.read_text() == "old"


def test_what_a_process_of_the_same_number_has_left_is_in_nobodys_way(folder: Path) -> None:
    file, left = folder / "old.json", folder / f".old.json.{os.getpid()}.part"
    file.write_text("old")
    left.write_text("of a process that was killed")
    write_private(file, b"new", force=True)
    assert file.read_text() == "new"
    assert left.read_text() == "of a process that was killed"


@posix
def test_a_file_of_the_longest_name_is_replaced(folder: Path) -> None:
    file = folder / ("x" * 255)
    file.write_text("old")
    write_private(file, b"new", force=True)
    assert (list(folder.iterdir()), file.read_text()) == ([file], "new")


@pytest.fixture
def closed_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder takes a new file; whoever is root has to be told."""
    really = os.open

    def open_old(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", open_old)


@posix
@pytest.mark.parametrize("new", [b"new", b"a longer text than it was"])
def test_a_file_in_a_folder_that_takes_no_new_ones_is_overwritten_in_its_place(folder: Path, closed_folder: None, new: bytes) -> None:
    file = folder / "old.json"
    file.write_text("not so short")
    file.chmod(0o644)
    write_private(file, new, force=True)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (new, 0o600)


@posix
def test_a_file_in_such_a_folder_stays_as_it_is_on_a_full_disk(folder: Path, closed_folder: None, full_disk: None) -> None:
    file = folder / "old.json"
    file.write_text("precious")
    with pytest.raises(OutputError, match="can't be written"):
        write_private(file, bytes(1_000), force=True)
    assert file.read_text() == "precious"


@posix
def test_a_new_file_in_such_a_folder_is_refused_for_the_folders_sake(folder: Path, closed_folder: None) -> None:
    with pytest.raises(OutputError, match="Permission denied") as refused:
        write_private(folder / "new.json", b"new", force=True)
    assert "folder" in refused.value.hint
