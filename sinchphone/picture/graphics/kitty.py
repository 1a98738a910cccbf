"""Pictures by kitty's graphics protocol: RGB, deflated, in chunks (https://sw.kovidgoyal.net/kitty/graphics-protocol/).

Two image ids are used in turn: a picture is there whole before the one under it is taken away. Nothing is answered (``q=2``).
"""

import base64
import zlib
from typing import Final

from sinchphone.picture.frame import Colours
from sinchphone.picture.graphics.drawing import Cell, bounded, fitted_cells

_IDS: Final = (0x53504831, 0x53504832)  # not likely those of another program in the same window
_PIECE_BYTES: Final = 4096
_BEGIN, _END = "\x1b_G", "\x1b\\"
_KEEP_CURSOR, _CURSOR_BACK = "\x1b7", "\x1b8"
QUESTION: Final = f"{_BEGIN}i=31,s=1,v=1,a=q,t=d,f=24;AAAA{_END}"
ANSWER: Final = f"{_BEGIN}i=31;OK"


class KittyImages:
    """Implements drawing.Drawing. ``most``: samples of a picture."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turn = 0
        self._shown: int | None = None

    def fit(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        return fitted_cells(width, height, columns, rows, cell)

    def samples(self, width: int, height: int, columns: int, rows: int, cell: Cell) -> tuple[int, int]:
        return bounded(width, height, columns, rows, cell, self._most)

    def draw(self, colours: Colours, columns: int, rows: int) -> str:
        identity, before = _IDS[self._turn], self._shown
        self._turn = (self._turn + 1) % len(_IDS)
        self._shown = identity
        height, width = colours.shape[:2]
        keys = f"a=T,f=24,o=z,s={width},v={height},i={identity},p=1,c={columns},r={rows},C=1,q=2"
        data = base64.b64encode(zlib.compress(colours.tobytes(), 1)).decode()
        chunks = [data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES)]
        pieces = [_KEEP_CURSOR]
        for index, chunk in enumerate(chunks):
            more = int(index < len(chunks) - 1)
            pieces.append(f"{_BEGIN}{keys},m={more};{chunk}{_END}" if not index else f"{_BEGIN}m={more},q=2;{chunk}{_END}")
        pieces.append(_removed(before) if before is not None else "")
        return "".join([*pieces, _CURSOR_BACK])

    def forget(self) -> None:
        self._shown = None

    @property
    def clear(self) -> str:
        return "".join(map(_removed, _IDS))


def _removed(identity: int) -> str:
    return f"{_BEGIN}a=d,d=I,i={identity},q=2{_END}"
