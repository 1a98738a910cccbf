"""Shows a call's pictures above the status line: the newest that is due, as often as the terminal keeps up with.

::

    threads that make pictures: far(picture, at), near(picture) -> the newest of each
    run(): the due one, made small and drawn in a thread -> what changed -> the screen, in a thread, bounded in bytes a second
"""

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from sinchphone.media.video.stills import Scaler
from sinchphone.picture.frame import Picture
from sinchphone.picture.graphics.drawing import USUAL_CELL, Cell, Drawing
from sinchphone.picture.scale import fitted, inset

if TYPE_CHECKING:
    from sinchphone.cli.terminal.screen.screen import Screen

_PICTURES_A_SECOND: Final = 15.0  # pictures a second at most
_SHARE: Final = 4.0  # of the time that a picture takes to be made: no more than so much of a core is spent
_NEAR_BYTES: Final = 3_000_000  # a second to a terminal of this machine,
_FAR_BYTES: Final = 300_000  # and to one at the other end of ssh
_WAITING: Final = 8  # pictures that aren't due yet
_INSET: Final = 4  # of the width: the picture of oneself


class PictureWindow:
    """Implements media.pictures.Viewer. ``cell``: how large one is where the terminal's size doesn't say so."""

    def __init__(self, screen: "Screen", drawing: Drawing, *, remote: bool, cell: Cell | None = None) -> None:
        self.shows_self = True  # in the corner
        self._screen = screen
        self._drawing = drawing
        self._cell = cell or USUAL_CELL
        self._scaler = Scaler()
        self._bytes = _FAR_BYTES if remote else _NEAR_BYTES
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
        due = time.monotonic()
        while True:
            pause = await self._show()
            now = time.monotonic()
            due = max(due + 1 / _PICTURES_A_SECOND, now + pause)
            await asyncio.sleep(due - now)

    async def _show(self) -> float:
        """Show what is due; how long to wait afterwards at least [s]."""
        far, near = self._due() or self._shown[0], self._near if self.shows_self else None
        main, corner = (near, None) if far is None else (far, near)
        room = self._screen.picture_room()
        if main is None or room is None:
            return 0.0
        cell = self._screen.cell() or self._cell
        columns, rows = self._drawing.fit(main.width, main.height, *room, cell)
        there = self._screen.picture_rows == rows
        if there and (far, near) == self._shown:
            return 0.0
        if not there:
            self._drawing.forget()
        began = time.perf_counter()
        text = await asyncio.to_thread(self._render, main, corner, (columns, rows), cell)
        took = time.perf_counter() - began
        moved = self._screen.picture_rows != (rows if there else self._screen.picture_rows)
        if moved or not self._screen.begin_picture(rows, self._drawing.clear):
            self._drawing.forget()
        else:
            self._shown = (far, near)
            await asyncio.to_thread(self._screen.write_picture, rows, text)
        return max((_SHARE - 1) * took, len(text) / self._bytes)

    def _due(self) -> Picture | None:
        """The newest that is due; older ones are left out."""
        now, found = time.monotonic(), None
        while self._waiting and self._waiting[0][0] <= now:
            found = self._waiting.popleft()[1]
        return found

    def _render(self, main: Picture, corner: Picture | None, cells: tuple[int, int], cell: Cell) -> str:
        width, height = self._drawing.samples(main.width, main.height, *cells, cell)
        colours = self._scaler.scale(main, width, height)
        if corner is not None:
            size = fitted(corner.width, corner.height, max(1, width // _INSET), max(1, height // _INSET))
            colours = inset(colours, self._scaler.scale(corner, *size))
        return self._drawing.draw(colours, *cells)
