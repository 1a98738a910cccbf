"""Shows a call's pictures above the status line, as half-blocks: the newest that is due, as often as the terminal keeps up with.

::

    threads that make pictures: far(picture, at), near(picture) -> the newest of each
    run(): the due one, made small in a thread -> Screen.draw_picture -> what changed, bounded in bytes a second
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sinchphone.picture.frame import Colours, Picture
from sinchphone.picture.half_blocks import ColourDepth, HalfBlocks
from sinchphone.picture.scale import fitted, inset, shrunk

if TYPE_CHECKING:
    from sinchphone.cli.terminal.screen import Screen

_RATE: Final = 15.0  # pictures a second at most
_SHARE: Final = 5.0  # of the time that a picture takes to be made: no more than so much of a core is spent
_NEAR_BYTES: Final = 3_000_000  # a second to a terminal of this machine,
_FAR_BYTES: Final = 300_000  # and to one at the other end of ssh
_WAITING: Final = 8  # pictures that aren't due yet
_INSET: Final = 4  # of the width: the picture of oneself


def colour_depth(environment: Mapping[str, str]) -> ColourDepth | None:
    """What the terminal says that it has; ``None`` where that's too little."""
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return ColourDepth.TRUE
    term = environment.get("TERM", "")
    if "direct" in term or "kitty" in term:
        return ColourDepth.TRUE
    return ColourDepth.INDEXED if "256color" in term else None


class PictureWindow:
    """Implements media.pictures.Viewer."""

    def __init__(self, screen: "Screen", depth: ColourDepth, *, remote: bool | None = None) -> None:
        self.shows_self = True  # in the corner
        self._screen = screen
        self._blocks = HalfBlocks(depth)
        self._bytes = _FAR_BYTES if ("SSH_CONNECTION" in os.environ if remote is None else remote) else _NEAR_BYTES
        self._waiting: deque[tuple[float, Picture]] = deque(maxlen=_WAITING)
        self._near: Picture | None = None
        self._shown: tuple[Picture | None, Picture | None] = (None, None)

    def far(self, picture: Picture, at: float) -> None:
        """A picture of the peer, to be shown at that time."""
        self._waiting.append((at, picture))

    def near(self, picture: Picture) -> None:
        """One of ours."""
        self._near = picture

    async def run(self) -> None:
        """Show them until cancelled."""
        pause = 1 / _RATE
        while True:
            await asyncio.sleep(pause)
            pause = max(1 / _RATE, await self._show())

    async def _show(self) -> float:
        """Show what is due; how long to wait afterwards [s]."""
        far, near = self._due() or self._shown[0], self._near if self.shows_self else None
        main, corner = (near, None) if far is None else (far, near)
        room = self._screen.picture_room()
        if main is None or room is None:
            return 0.0
        columns, rows = fitted(main.width, main.height, room[0], 2 * room[1])
        rows = max(1, rows // 2)
        there = self._screen.picture_rows == rows
        if there and (far, near) == self._shown:
            return 0.0
        if not there:
            self._blocks.forget()
        began = time.perf_counter()
        text = await asyncio.to_thread(self._render, main, corner, columns, rows)
        took = time.perf_counter() - began
        if self._screen.picture_rows == (rows if there else self._screen.picture_rows) and self._screen.draw_picture(rows, text):
            self._shown = (far, near)
        else:
            self._blocks.forget()
        return max(_SHARE * took, len(text) / self._bytes)

    def _due(self) -> Picture | None:
        """The newest that is due; older ones are left out."""
        now, found = time.monotonic(), None
        while self._waiting and self._waiting[0][0] <= now:
            found = self._waiting.popleft()[1]
        return found

    def _render(self, main: Picture, corner: Picture | None, columns: int, rows: int) -> str:
        colours: Colours = shrunk(main, columns, 2 * rows)
        if corner is not None:
            size = fitted(corner.width, corner.height, columns // _INSET, 2 * rows // _INSET)
            colours = inset(colours, shrunk(corner, *size))
        return self._blocks.draw(colours)
