"""What a terminal replies, and how pictures are shown by that; it is waited for a moment only, and nothing of it is a key."""

import asyncio
import time
from collections.abc import Callable

import pytest

from sinchphone.cli.terminal.flags.commands import VideoWindow
from sinchphone.cli.terminal.keys import Keys
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.video import protocols
from sinchphone.cli.terminal.video.protocols import Answers, ask, choose, read_answers
from sinchphone.picture.graphics.drawing import Cell
from sinchphone.picture.graphics.half_blocks import HalfBlocks
from sinchphone.picture.graphics.iterm2 import InlineImages
from sinchphone.picture.graphics.kitty import KittyImages
from sinchphone.picture.graphics.sixel import Sixels

KITTY = [b"\x1b_Gi=31;OK\x1b\\", b"\x1b[6;19;9t", b"\x1bP>|kitty(0.26.5)\x1b\\", b"\x1b[?62;c"]
XTERM = [b"\x1b[?1;0;256S", b"\x1bP>|XTerm(379)\x1b\\", b"\x1b[?63;1;2;4;6;9;15;16;22;28c"]
ITERM = [b"\x1b_Gi=31;ENOENT:no\x1b\\", b"\x1b[6;17;8t", b"\x1bP>|iTerm2 3.5.0\x1b\\", b"\x1b[?64;1;2;4;6;17;18;21;22c"]
VSCODE = [b"\x1bP>|xterm.js(5.6.0)\x1b\\", b"\x1b[?1;2c"]
TRUE = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


class Typed(Keys):
    """A keyboard whose terminal replies what the test says."""

    usable = True

    def __init__(self) -> None:
        super().__init__(None)

    def replies(self, *parts: bytes) -> Callable[[], None]:
        """What sends it, in pieces."""

        def send() -> None:
            for part in parts:
                asyncio.get_running_loop().call_soon(self._read, part)

        return send


class Asked(Screen):
    """A terminal that replies once it's asked."""

    def __init__(self, keys: Typed, replies: list[bytes]) -> None:
        self.questions: list[str] = []
        self._keys = keys
        self._replies = replies

    def ask(self, question: str) -> None:
        self.questions.append(question)
        self._keys.replies(*self._replies)()


@pytest.mark.parametrize(
    ("replies", "answers", "drawing"),
    [
        (KITTY, Answers(kitty=True, cell=Cell(9, 19)), KittyImages),
        (XTERM, Answers(sixel=True, registers=256), Sixels),
        (ITERM, Answers(inline=True, sixel=True, cell=Cell(8, 17)), InlineImages),
        (VSCODE, Answers(), HalfBlocks),
        ([b"\x1b[6;0;0t", b"\x1b[?6c"], Answers(), HalfBlocks),
    ],
)
@pytest.mark.parametrize("piece", [1, 3, 1000])
async def test_what_a_terminal_replies_says_how_and_nothing_of_it_is_a_key(
    replies: list[bytes], answers: Answers, drawing: type, piece: int
) -> None:
    keys, whole = Typed(), b"m" + b"".join(replies) + b"q"
    screen = Asked(keys, [whole[at : at + piece] for at in range(0, len(whole), piece)])
    found = await ask(keys, screen, TRUE)
    assert found == answers
    assert isinstance(choose(VideoWindow.AUTO, found, TRUE), drawing)
    async with asyncio.timeout(5):
        assert [await keys.press(), await keys.press()] == ["m", "q"]
    assert keys._waiting.empty()


async def test_a_terminal_that_says_nothing_is_waited_for_a_moment_and_its_late_reply_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "_ASK_SECONDS", 0.05)
    keys = Typed()
    began = time.monotonic()
    assert await ask(keys, Asked(keys, []), TRUE) == Answers()
    assert time.monotonic() - began < 5
    keys.replies(*KITTY)()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert keys._waiting.empty() and keys._parser.replies is None


@pytest.mark.parametrize("environment", [{"TMUX": "/tmp/x", **TRUE}, {"TERM": "tmux-256color"}, {"TERM": "screen-256color"}])
async def test_a_multiplexer_is_not_asked_and_gets_characters(environment: dict[str, str]) -> None:
    keys = Typed()
    screen = Asked(keys, KITTY)
    answers = await ask(keys, screen, environment)
    assert not screen.questions
    assert isinstance(choose(VideoWindow.AUTO, answers, environment), HalfBlocks)


async def test_replies_without_end_are_kept_up_to_a_bound() -> None:
    keys = Typed()
    parts = [b"\x1bP>|" + b"x" * 10_000 + b"\x1b\\"] * 100 + [b"\x1b[?6c"]
    found = await keys.ask(keys.replies(*parts), lambda reply: reply == "never", 0.05)
    assert sum(map(len, found)) < 10_000
    assert read_answers(found) == Answers()


@pytest.mark.parametrize(
    ("how", "drawing"),
    [
        (VideoWindow.KITTY, KittyImages),
        (VideoWindow.ITERM2, InlineImages),
        (VideoWindow.SIXEL, Sixels),
        (VideoWindow.BLOCKS, HalfBlocks),
    ],
)
def test_what_is_asked_for_by_name_is_drawn(how: VideoWindow, drawing: type) -> None:
    assert isinstance(choose(how, Answers(kitty=True), TRUE), drawing)


def test_a_terminal_without_graphics_and_colours_shows_nothing() -> None:
    assert choose(VideoWindow.AUTO, Answers(), {"TERM": "vt100"}) is None
