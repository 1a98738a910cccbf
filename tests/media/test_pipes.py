"""Raw sound from and to other programs."""

import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio.pipes import PipeIn, PipeOut
from sinchphone.media.sound import Descriptor, PipeEnded, PipeStarted, SoundEvent, SoundWarning

LIMIT = 20.0


def heard(pipe: PipeIn, samples: int) -> Samples:
    """Frames until ``samples`` that aren't silent came, without the silence around them."""
    frames: list[Samples] = []
    until = time.monotonic() + LIMIT
    while sum(np.count_nonzero(frame) for frame in frames) < samples and time.monotonic() < until:
        frames.append(pipe.next_frame())
        time.sleep(0.001)
    sound = np.concatenate(frames)
    there = np.flatnonzero(sound)
    return sound[there[0] : there[-1] + 1] if len(there) else silence(0)


def counting(samples: int) -> Samples:
    return (np.arange(samples) % 30_000 + 1).astype(np.int16)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_file_is_said_sample_by_sample_and_then_silence(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(counting(5000).tobytes())
    pipe = PipeIn(str(tmp_path / "raw"))
    pipe.open()
    assert np.array_equal(heard(pipe, 5000), counting(5000))
    assert not pipe.next_frame().any()
    pipe.close()


def test_a_fifo_has_one_writer_after_the_other_and_odd_writes_lose_nothing(fifo: Path) -> None:
    pipe = PipeIn(str(fifo))
    pipe.open()
    assert not pipe.next_frame().any()
    raw = counting(4000).tobytes()
    for piece in (raw[:3333], raw[3333:]):
        with fifo.open("wb") as writer:
            writer.write(piece)
    assert np.array_equal(heard(pipe, 4000), counting(4000))
    pipe.close()


def test_a_writer_that_is_faster_than_the_call_is_held_back(fifo: Path) -> None:
    pipe = PipeIn(str(fifo))
    pipe.open()
    written = 0

    def write() -> None:
        nonlocal written
        with fifo.open("wb", buffering=0) as writer:
            for _ in range(200):
                written += writer.write(bytes(9600)) or 0

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    assert written < 4 * RATE
    for _ in range(1100):
        pipe.next_frame()
        time.sleep(0.0005)
    thread.join(LIMIT)
    assert not thread.is_alive()
    pipe.close()


def test_what_is_heard_goes_to_a_descriptor_and_a_reader_that_leaves_is_told_once() -> None:
    reading, writing = os.pipe()
    told: list[SoundEvent] = []
    came = threading.Event()
    pipe = PipeOut(f"fd:{writing}", lambda event: (told.append(event), came.set())[0])  # type: ignore[func-returns-value]
    pipe.open()
    os.close(writing)
    sound = counting(3000)
    pipe.put(sound)
    raw = b""
    while len(raw) < 6000:
        raw += os.read(reading, 6000 - len(raw))
    assert np.array_equal(np.frombuffer(raw, "<i2"), sound)
    os.close(reading)
    pipe.put(sound)
    assert came.wait(LIMIT)
    pipe.close()
    assert [type(event) for event in told] == [PipeStarted, SoundWarning, PipeEnded]
    assert told[-1] == PipeEnded(path=f"fd:{writing}", outward=True, bytes=6000, failure=told[1].message)  # type: ignore[union-attr]


def test_a_fifo_without_a_reader_blocks_nothing_and_a_late_reader_hears_the_present(fifo: Path) -> None:
    pipe = PipeOut(str(fifo), print)
    pipe.open()
    began = time.monotonic()
    for _ in range(200):
        pipe.put(Sine(440).pull(FRAME_SAMPLES))
    assert time.monotonic() - began < 2
    reading = os.open(fifo, os.O_RDONLY)
    assert len(os.read(reading, 1000)) > 0
    os.close(reading)
    pipe.close()


def test_an_existing_file_is_refused_without_force_and_what_isnt_there_cant_be_read(tmp_path: Path) -> None:
    taken = tmp_path / "taken.raw"
    taken.write_bytes(b"precious")
    with pytest.raises(AudioFileError, match="exists"):
        PipeOut(str(taken), print).open()
    assert taken.read_bytes() == b"precious"
    over = PipeOut(str(taken), print, force=True)
    over.open()
    over.put(counting(10))
    over.close()
    assert taken.read_bytes() == counting(10).tobytes()
    for path in (str(tmp_path / "nowhere"), "fd:9999"):
        with pytest.raises(AudioFileError):
            PipeIn(path).open()


@pytest.fixture
def many_files() -> Iterator[None]:
    """So many open files that the next one has a number that ``select`` doesn't take."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(limits[0], 4096), limits[1]), limits[1]))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for one in opened:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_program_with_a_thousand_files_says_what_a_pipe_has(many_files: None, fifo: Path) -> None:
    pipe = PipeIn(str(fifo))
    pipe.open()
    pipe.next_frame()
    with fifo.open("wb") as writer:
        writer.write(counting(4000).tobytes())
    assert np.array_equal(heard(pipe, 4000), counting(4000))
    pipe.close()


def test_a_program_with_a_thousand_files_writes_what_it_hears(many_files: None) -> None:
    reader, writer = os.pipe()
    pipe = PipeOut(Descriptor("fd:3", writer), lambda _: None)
    pipe.open()
    os.close(writer)
    pipe.put(counting(960))
    pipe.close()
    with os.fdopen(reader, "rb") as heard_by:
        assert heard_by.read() == counting(960).tobytes()
