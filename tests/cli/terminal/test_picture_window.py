"""Pictures above the status line: what is due, how large, and who else writes to the same terminal."""

import asyncio
import contextlib
import io
import os
import time
from collections.abc import Iterator

import pytest

from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.screen.status_line import Status
from sinchphone.cli.terminal.video.protocols import colour_depth
from sinchphone.cli.terminal.video.window import PictureWindow
from sinchphone.picture.bar_code import PictureCode, draw_code
from sinchphone.picture.frame import Picture
from sinchphone.picture.graphics.half_blocks import ColourDepth, HalfBlocks
from sinchphone.tasks import start_task

ROOM = (60, 20)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Screen, "Tape"]]:
    tape = Tape()
    screen = Screen(None, tape, live=True)
    assert screen._status_line is not None
    monkeypatch.setattr(screen._status_line, "room", lambda: ROOM)
    screen.draw(Status("established", "bob", 1.0))
    yield screen, tape


class Tape(io.StringIO):
    """A stream that keeps what is written."""

    @property
    def text(self) -> str:
        return self.getvalue()


def picture(number: int) -> Picture:
    return draw_code(PictureCode(number, 1), 320, 180, time.monotonic())


async def shown(window: PictureWindow) -> None:
    await window._show()


async def test_a_picture_makes_its_rows_and_the_next_one_writes_only_what_changed(written: tuple[Screen, Tape]) -> None:
    screen, tape = written
    window = PictureWindow(screen, HalfBlocks(ColourDepth.TRUE), remote=False)
    window.far(picture(1), 0.0)
    await shown(window)
    first = len(tape.text)
    assert screen.picture_rows == 17  # 60 x 34 samples
    assert tape.text.count("\n") == 17
    await shown(window)
    assert len(tape.text) == first  # the same one
    window.far(picture(2), 0.0)
    await shown(window)
    assert 0 < len(tape.text) - first < first
    assert tape.text.count("\n") == 17


async def test_a_line_that_is_told_takes_the_picture_away_and_it_comes_again_whole(written: tuple[Screen, Tape]) -> None:
    screen, tape = written
    window = PictureWindow(screen, HalfBlocks(ColourDepth.TRUE), remote=False)
    window.far(picture(1), 0.0)
    await shown(window)
    screen.note("a line")
    assert screen.picture_rows == 0
    before = len(tape.text)
    screen.draw(Status("established", "bob", 2.0))
    await shown(window)
    assert screen.picture_rows == 17
    assert len(tape.text) - before > 10_000


async def test_a_picture_waits_for_its_sound_and_older_ones_are_left_out(written: tuple[Screen, Tape]) -> None:
    screen, _ = written
    window = PictureWindow(screen, HalfBlocks(ColourDepth.TRUE), remote=False)
    window.far(picture(1), time.monotonic() + 60)
    await shown(window)
    assert screen.picture_rows == 0
    one, two = picture(2), picture(3)
    for each in (one, two):
        window.far(each, 0.0)
    window._waiting.rotate(-1)
    await shown(window)
    assert window._shown[0] is two


async def test_over_ssh_the_bytes_a_second_are_bounded(written: tuple[Screen, Tape]) -> None:
    screen, tape = written
    window = PictureWindow(screen, HalfBlocks(ColourDepth.TRUE), remote=True)
    before = len(tape.text)
    window.far(picture(1), 0.0)
    pause = await window._show()
    assert pause >= 0.8 * (len(tape.text) - before) / 300_000


async def test_ones_own_picture_is_in_the_corner_and_goes_by_a_key(written: tuple[Screen, Tape]) -> None:
    screen, tape = written
    window = PictureWindow(screen, HalfBlocks(ColourDepth.TRUE), remote=False)
    window.far(picture(1), 0.0)
    window.near(picture(40))
    await shown(window)
    before = len(tape.text)
    window.shows_self = False
    await shown(window)
    assert len(tape.text) > before


async def test_a_terminal_that_reads_nothing_holds_up_nobody() -> None:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(writing, b"x" * 65_536):
                pass
        with os.fdopen(writing, "w", closefd=False) as stream:
            screen = Screen(None, stream, live=True)
            screen._status = Status("established", "bob", 1.0)
            assert screen.begin_picture(4, "") is False
            os.read(reading, 1 << 20)
            assert screen.begin_picture(4, "") is True
            screen.write_picture(4, "text")
            assert b"text" in os.read(reading, 1 << 20)
    finally:
        os.close(reading)
        os.close(writing)


async def test_a_picture_that_a_slow_terminal_takes_slowly_holds_up_neither_the_status_nor_what_is_told_for_ever() -> None:
    """The far end reads nothing for a while in the middle of a picture; then all is there, one after the other."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        screen = Screen(None, stream, live=True)
        screen.draw(Status("established", "bob", 1.0))
        assert screen.begin_picture(4, "[gone]")
        frame = "x" * 300_000
        drawn = start_task(asyncio.to_thread(screen.write_picture, 4, frame), name="picture")
        await asyncio.sleep(0.05)
        began = time.monotonic()
        screen.draw(Status("established", "bob", 2.0))
        assert not screen.begin_picture(4, "[gone]")
        assert time.monotonic() - began < 1.0
        taken = start_task(asyncio.to_thread(read_all, reading), name="terminal")
        await asyncio.sleep(0)
        screen.note("a line")
        await drawn
    text = (await taken).decode()
    assert text.count(frame) == 1 and text.index(frame) < text.index("[gone]") < text.index("a line")
    os.close(reading)


def read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 65_536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("environment", "depth"),
    [
        ({"COLORTERM": "truecolor", "TERM": "xterm"}, ColourDepth.TRUE),
        ({"TERM": "xterm-kitty"}, ColourDepth.TRUE),
        ({"TERM": "xterm-256color"}, ColourDepth.INDEXED),
        ({"TERM": "vt100"}, None),
        ({}, None),
    ],
)
def test_colours_are_those_that_the_terminal_says_it_has(environment: dict[str, str], depth: ColourDepth | None) -> None:
    assert colour_depth(environment) is depth
