"""Descriptors that a program was given, told from its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio.descriptors import check_given, claim
from sinchphone.media.local_audio.pipes import PipeIn, PipeOut
from sinchphone.media.sound import Descriptor


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_claimed_descriptor_stays_what_it_is_when_the_number_is_used_again(pipe: tuple[int, int], tmp_path: Path) -> None:
    reader, _ = pipe
    given = os.dup(reader)
    claimed = claim(f"fd:{given}", "read")
    os.close(given)
    other = os.open(tmp_path / "ours", os.O_CREAT | os.O_RDWR)  # gets the number that is free
    assert isinstance(claimed, Descriptor)
    assert os.path.sameopenfile(claimed.number, reader)
    for number in (other, claimed.number):
        os.close(number)


@pytest.mark.parametrize("use", ["read", "write"])
def test_one_that_is_not_open_was_not_given(use: str) -> None:
    with pytest.raises(AudioFileError, match="not given"):
        claim("fd:9999", use)  # type: ignore[arg-type]


def test_one_of_our_own_was_not_given(pipe: tuple[int, int]) -> None:
    with pytest.raises(AudioFileError, match="not given"):
        check_given(f"fd:{pipe[1]}", "write", inherited=True)
    os.set_inheritable(pipe[1], True)
    check_given(f"fd:{pipe[1]}", "write", inherited=True)


@pytest.mark.parametrize("path", ["fd:0", "fd:1", "fd:2"])
def test_sound_is_not_written_among_results_and_messages(path: str) -> None:
    with pytest.raises(AudioFileError, match="may not mix"):
        claim(path, "write")


@pytest.mark.parametrize("path", ["fd:1", "fd:2"])
def test_sound_is_not_read_from_outputs(path: str) -> None:
    with pytest.raises(AudioFileError, match="may not mix"):
        claim(path, "read")


def test_an_end_that_flows_the_other_way_is_refused(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with pytest.raises(AudioFileError, match="reading only"):
        claim(f"fd:{reader}", "write")
    with pytest.raises(AudioFileError, match="writing only"):
        claim(f"fd:{writer}", "read")


def test_a_folder_is_no_pipe(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for path in (str(tmp_path), f"fd:{folder}"):
            with pytest.raises(AudioFileError, match="folder"):
                PipeIn(path).open()
        with pytest.raises(AudioFileError, match="folder"):
            PipeOut(str(tmp_path), print, force=True).open()
    finally:
        os.close(folder)
