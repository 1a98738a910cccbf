"""How a terminal shows pictures: asked, in what it replies to within a moment; without a word of it, in characters.

::

    question() -> the terminal: kitty's graphics? how large is a cell? colour registers? which program? what kind?
    its replies, the last of them what kind it is -> Answers -> choose() -> a Drawing, or none
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sinchphone.cli.terminal.flags.commands import VideoWindow
from sinchphone.picture.graphics.drawing import Cell, plausible
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.cli.terminal.keys import Keys
    from sinchphone.cli.terminal.screen.screen import Screen
    from sinchphone.picture.graphics.drawing import Drawing
    from sinchphone.picture.graphics.half_blocks import ColourDepth

_ASK_SECONDS: Final = 1.0  # the far end of a slow line has replied by then
_KIND: Final = re.compile(r"\x1b\[\?([\d;]*)c")  # DA1; 4 is sixel
_CELL: Final = re.compile(r"\x1b\[6;(\d{1,4});(\d{1,4})t")
_REGISTERS: Final = re.compile(r"\x1b\[\?1;0;(\d{1,7})S")  # XTSMGRAPHICS
_PROGRAM: Final = re.compile(r"\x1bP>\|(.*)\x1b\\", re.DOTALL)  # XTVERSION
_INLINE: Final = ("iTerm2", "WezTerm")  # programs that show inline images
_USUAL_REGISTERS: Final = 16  # a VT340's
_LOCAL_SAMPLES, _REMOTE_SAMPLES = 640 * 360, 320 * 180
_LOCAL_SIXELS, _REMOTE_SIXELS = (640, 360), (400, 240)


@quick_dataclass(frozen=True, slots=True)
class Answers:
    """What a terminal said of itself."""

    kitty: bool = False
    inline: bool = False
    sixel: bool = False
    registers: int | None = None
    cell: Cell | None = None


async def ask(keys: "Keys", screen: "Screen", environment: Mapping[str, str]) -> Answers:
    """Ask the terminal. A multiplexer is not asked: a picture would stand over its other panes, and stay there."""
    if "TMUX" in environment or environment.get("TERM", "").startswith(("screen", "tmux")):
        return Answers()
    replies = await keys.ask(lambda: screen.ask(question()), lambda reply: bool(_KIND.fullmatch(reply)), _ASK_SECONDS)
    return read_answers(replies)


def question() -> str:
    """What nearly every terminal replies to the last of, whatever it makes of the others."""
    from sinchphone.picture.graphics.kitty import QUESTION

    return f"{QUESTION}\x1b[16t\x1b[?1;1;0S\x1b[>q\x1b[c"


def read_answers(replies: Iterable[str]) -> Answers:
    """What the replies say."""
    from sinchphone.picture.graphics.kitty import ANSWER

    found = Answers()
    for reply in replies:
        if reply.startswith(ANSWER):
            found = replace(found, kitty=True)
        elif cell := _CELL.fullmatch(reply):
            found = replace(found, cell=plausible(Cell(int(cell[2]), int(cell[1]))))
        elif registers := _REGISTERS.fullmatch(reply):
            found = replace(found, registers=int(registers[1]))
        elif program := _PROGRAM.fullmatch(reply):
            found = replace(found, inline=program[1].startswith(_INLINE))
        elif kind := _KIND.fullmatch(reply):
            found = replace(found, sixel="4" in kind[1].split(";"))
    return found


def choose(how: VideoWindow, answers: Answers, environment: Mapping[str, str]) -> "Drawing | None":
    """What draws there; ``None`` where nothing can. What was asked for by name is drawn whatever the terminal said."""
    kinds = [how] if how is not VideoWindow.AUTO else _by_answers(answers)
    remote = is_remote(environment)
    most = _REMOTE_SAMPLES if remote else _LOCAL_SAMPLES
    match kinds[0]:
        case VideoWindow.KITTY:
            from sinchphone.picture.graphics.kitty import KittyImages

            return KittyImages(most)
        case VideoWindow.ITERM2:
            from sinchphone.media.video.stills import JpegEncoder
            from sinchphone.picture.graphics.iterm2 import InlineImages

            return InlineImages(JpegEncoder().compress, most)
        case VideoWindow.SIXEL:
            from sinchphone.picture.graphics.sixel import Sixels

            return Sixels(answers.registers or _USUAL_REGISTERS, _REMOTE_SIXELS if remote else _LOCAL_SIXELS)
        case _:
            from sinchphone.picture.graphics.half_blocks import HalfBlocks

            depth = colour_depth(environment)
            return None if depth is None else HalfBlocks(depth)


def _by_answers(answers: Answers) -> list[VideoWindow]:
    there = {VideoWindow.KITTY: answers.kitty, VideoWindow.ITERM2: answers.inline, VideoWindow.SIXEL: answers.sixel}
    return [kind for kind, has in there.items() if has] + [VideoWindow.BLOCKS]


def is_remote(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is at the other end of ssh."""
    return "SSH_CONNECTION" in environment


def colour_depth(environment: Mapping[str, str]) -> "ColourDepth | None":
    """What the terminal says that it has; ``None`` where that's too little for pictures of characters."""
    from sinchphone.picture.graphics.half_blocks import ColourDepth

    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return ColourDepth.TRUE
    term = environment.get("TERM", "")
    if "direct" in term or "kitty" in term:
        return ColourDepth.TRUE
    return ColourDepth.INDEXED if "256color" in term else None
