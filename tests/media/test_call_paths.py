"""One file a call: what ``{call}`` stands for in the paths of recordings and pipes, and which bytes of a shared one are whose."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio.pipes import PipeIn, PipeOut, check_paths, claim_output
from sinchphone.media.sound import Descriptor, PipeEnded, PipeStarted, SoundEvent, SoundOptions, file_name_of

PATIENCE_S = 20.0
FRAME = np.full(FRAME_SAMPLES, 7, np.int16)


def until(done: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_the_call_is_named_in_each_path_and_a_descriptor_stays_what_it_is() -> None:
    options = SoundOptions(record="r-{call}.wav", pipe_in="{call}/{call}.in", pipe_out=Descriptor("fd:3", 3)).of_call("01ABC-d_e")
    assert (options.record, options.pipe_in, options.pipe_out) == ("r-01ABC-d_e.wav", "01ABC-d_e/01ABC-d_e.in", Descriptor("fd:3", 3))
    plain = SoundOptions(play=("{call}.wav",))
    assert plain.of_call("x") == plain, "what is played is nobody's"


@pytest.mark.parametrize("call_id", ["../../etc/passwd", "a/b", "..", ".", "", "a\0b", "a\nb", "é", "x" * 300, "con:", "a.b", "\ud800"])
def test_no_id_that_a_peer_chose_leaves_the_folder(call_id: str) -> None:
    name = file_name_of(call_id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name)


@given(st.text(max_size=80), st.text(max_size=80))
def test_two_calls_have_two_names(one: str, other: str) -> None:
    assert (file_name_of(one) == file_name_of(other)) is (one == other)


def test_calls_that_share_a_file_write_one_after_the_other_and_say_from_where(tmp_path: Path) -> None:
    shared = claim_output(str(tmp_path / "heard.raw"), force=False)
    told: list[SoundEvent] = []
    for _ in range(2):
        pipe = PipeOut(shared, told.append)
        pipe.open()
        pipe.put(FRAME)
        pipe.close()
    size = 2 * FRAME_SAMPLES
    path = str(tmp_path / "heard.raw")
    assert told == [
        PipeStarted(path=path, outward=True, offset=0),
        PipeEnded(path=path, outward=True, bytes=size),
        PipeStarted(path=path, outward=True, offset=size),
        PipeEnded(path=path, outward=True, bytes=size),
    ]
    assert (tmp_path / "heard.raw").stat().st_size == 2 * size


def test_a_call_that_rings_takes_nothing_out_of_the_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "said"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    told: list[SoundEvent] = []
    rings, talks = PipeIn(str(fifo), told.append), PipeIn(str(fifo), told.append)
    rings.open()
    talks.open()
    os.write(writer, FRAME.tobytes())
    time.sleep(0.05)
    until(lambda: talks.next_frame().any())
    rings.close()
    talks.close()
    os.close(writer)
    assert told == [PipeStarted(path=str(fifo), outward=False, offset=None), PipeEnded(path=str(fifo), outward=False, bytes=1920)]


def test_what_cannot_be_written_or_read_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    for pipe_in, pipe_out, words in (
        (None, str(tmp_path), "folder"),
        (str(tmp_path), None, "folder"),
        (None, str(tmp_path / "there"), "exists already"),
        (str(tmp_path / "nowhere"), None, "no such file"),
        (None, str(tmp_path / "no" / "x"), "no such folder"),
        (None, str(tmp_path / "there" / "x"), "no such folder"),
        (None, str(tmp_path / "no" / "{call}.raw"), "no such folder"),
        (None, "a\0b", "can't be written"),
    ):
        with pytest.raises(AudioFileError, match=words):
            check_paths(pipe_in, pipe_out, force=False)
    check_paths(str(tmp_path / "there"), str(tmp_path / "{call}.raw"), force=False)
    check_paths(None, str(tmp_path / "there"), force=True)
    check_paths("fd:3", "fd:4", force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
