"""Standard output whose reader is slow, stuck or gone, on a descriptor that is non-blocking."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.control.schema import schema_text

LIMIT = 60.0

WRITING = """
import os, sys
from sinchphone.cli.terminal.streams import wait_for_readers
wait_for_readers()
for number in range(20_000):
    print("line", number, "é", flush=number % 100 == 0)
sys.stdout.flush()
print("err" * 50_000, file=sys.stderr)
"""

WRITING_WHEN_TOLD_TO_END = """
import sys
from sinchphone.cli.terminal.streams import StuckError, Writing, hush_stuck, wait_for_readers
wait_for_readers()
writing = Writing()
writing.free()
try:
    with writing.going_on():
        print("the result", flush=True)
except StuckError:
    hush_stuck()
    print("stuck", file=sys.stderr)
"""

MANY_FILES = """
import os, resource, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if most == resource.RLIM_INFINITY else min(4096, most), most))
files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
from sinchphone.cli.terminal.streams import hush_stuck, keep_stderr_to_ourselves, wait_for_readers
wait_for_readers()
keep_stderr_to_ourselves()
assert sys.stderr.fileno() > 1023
"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    yield ours, theirs
    for descriptor in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def start(*command: str, stdout: int, **options: Any) -> "subprocess.Popen[Any]":
    program = [sys.executable, *command]
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(program, stdout=stdout, **options)


def read_slowly(descriptor: int, into: list[bytes]) -> None:
    time.sleep(1.0)  # until whoever writes has met a full pipe
    while raw := os.read(descriptor, 8192):
        into.append(raw)
        time.sleep(0.001)


def all_read_slowly(descriptor: int, process: "subprocess.Popen[Any]") -> bytes:
    """What the process wrote until its end, which is a good one."""
    got: list[bytes] = []
    reader = threading.Thread(target=read_slowly, args=(descriptor, got))
    reader.start()
    assert process.wait(LIMIT) == 0
    reader.join(LIMIT)
    return b"".join(got)


def test_what_a_slow_reader_of_a_non_blocking_pipe_gets_is_whole(pipe: tuple[int, int]) -> None:
    ours, theirs = pipe
    process = start("-c", WRITING, stdout=theirs, stderr=theirs, env={**os.environ, "PYTHONUTF8": "1"})
    os.close(theirs)
    got = all_read_slowly(ours, process)
    expected = "".join(f"line {number} é\n" for number in range(20_000)) + "err" * 50_000 + "\n"
    assert got.decode() == expected


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of descriptors there")
def test_what_a_slow_reader_gets_is_whole_beside_a_thousand_open_files(pipe: tuple[int, int]) -> None:
    ours, theirs = pipe
    process = start("-c", MANY_FILES + "print('err' * 50_000, file=sys.stderr)", stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    got = all_read_slowly(ours, process)
    assert got.decode() == "err" * 50_000 + "\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of descriptors there")
def test_who_never_reads_is_told_from_who_reads_beside_a_thousand_open_files(pipe: tuple[int, int]) -> None:
    _, theirs = pipe
    fill(theirs)
    program = MANY_FILES + "hush_stuck(); print('lost', file=sys.stderr); print('told')"
    process = start("-c", program, stdout=subprocess.PIPE, stderr=theirs)
    assert (process.communicate(timeout=LIMIT)[0], process.returncode) == (b"told\n", 0)


def test_a_long_result_through_a_non_blocking_pipe_is_whole(pipe: tuple[int, int]) -> None:
    ours, theirs = pipe
    fill(theirs)
    process = start("-m", "sinchphone", "config", "schema", stdout=theirs)
    os.close(theirs)
    got = all_read_slowly(ours, process)
    assert got.strip(b"\0").decode().strip() == schema_text().strip()


def test_a_call_reports_every_event_to_a_reader_that_pauses(pipe: tuple[int, int]) -> None:
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')
    ours, theirs = pipe
    fill(theirs)
    process = start("-m", "sinchphone", "call", "tone", "--no-audio", "--json", "--max-duration", "1s", stdout=theirs)
    os.close(theirs)
    got = all_read_slowly(ours, process)
    events = [json.loads(line) for line in got.strip(b"\0").splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["event"] for event in events][-2:] == ["call.ended", "result"]


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM])
def test_a_reader_of_a_non_blocking_pipe_that_never_reads_doesnt_keep_us_from_ending(pipe: tuple[int, int], order: signal.Signals) -> None:
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')
    _, theirs = pipe
    fill(theirs)
    process = start("-m", "sinchphone", "call", "tone", "--no-audio", "--json", stdout=theirs)
    time.sleep(5)
    process.send_signal(order)
    assert process.communicate(timeout=LIMIT)[1] == b""
    assert process.returncode == 128 + order


@pytest.mark.skipif(sys.platform == "win32", reason="a signal ends no write there")
def test_a_result_that_is_written_after_a_signal_waits_no_longer_for_who_never_reads(pipe: tuple[int, int]) -> None:
    _, theirs = pipe
    fill(theirs)
    process = start("-c", WRITING_WHEN_TOLD_TO_END, stdout=theirs)
    assert process.communicate(timeout=LIMIT)[1] == b"stuck\n"


def test_a_reader_that_goes_away_while_we_wait_for_it_ends_the_call_quietly(pipe: tuple[int, int]) -> None:
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')
    ours, theirs = pipe
    fill(theirs)
    process = start("-m", "sinchphone", "call", "tone", "--no-audio", "--json", stdout=theirs)
    os.close(theirs)
    time.sleep(3)
    os.close(ours)
    assert process.communicate(timeout=LIMIT)[1] == b""
    assert process.returncode == 0


def fill(descriptor: int) -> None:
    while True:
        try:
            os.write(descriptor, bytes(4096))
        except BlockingIOError:
            return
