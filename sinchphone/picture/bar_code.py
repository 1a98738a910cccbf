"""A picture that moves and says its number: blocks of black and white along its upper edge that survive scaling and a lossy codec.

Whoever sees such a picture at the other end knows whose it is and which one, so that frames can be counted and pictures told apart.
"""

from typing import Final

import numpy as np

from sinchphone.picture.frame import Picture, black, even
from sinchphone.quick_dataclass import quick_dataclass

_COLUMNS, _ROWS = 16, 3  # of blocks: 32 bits of what it says, 16 that check it
_SHARE: Final = 0.375  # of the height
_DARK, _BRIGHT = 20, 235
_MIDDLE: Final = 0.5  # of a block is looked at, each way
_POLYNOMIAL: Final = 0x1021  # CRC-16/CCITT
_NUMBERS: Final = 1 << 24


@quick_dataclass(frozen=True, slots=True)
class PictureCode:
    """Which picture of which source (0 to 255); numbers begin again after 2^24."""

    number: int
    source: int


def draw_code(code: PictureCode, width: int, height: int, taken_at: float = 0.0) -> Picture:
    """The test picture of that number: its code, and below it colours and a square that move."""
    width, height = even(width), even(height)
    picture = black(width, height, taken_at)
    seen, (blue, red) = picture.brightness, picture.differences
    shift = 7 * code.number
    down, across = np.arange(height)[:, np.newaxis], np.arange(width)
    seen[:] = (across + down // 2 + shift) % 220 + 16
    blue[:] = (across[: width // 2] + shift) % 224 + 16
    red[:] = (down[: height // 2] * 2 + 90 * code.source) % 224 + 16
    side = max(2, height // 6)
    top = int(height * _SHARE)
    top += (3 * code.number) % max(1, height - top - side)
    left = shift % max(1, width - side)
    seen[top : top + side, left : left + side] = _BRIGHT
    upper = round(height * _SHARE)
    blue[: upper // 2], red[: upper // 2] = 128, 128
    for index, bit in enumerate(_bits(code)):
        seen[_block(index, width, height)] = _BRIGHT if bit else _DARK
    return picture


def read_code(picture: Picture) -> PictureCode | None:
    """What a picture says; ``None`` where that isn't there or can't be read for sure."""
    seen = picture.brightness
    if picture.height < 6 * _ROWS or picture.width < 2 * _COLUMNS:
        return None
    value = 0
    for index in range(_COLUMNS * _ROWS):
        value = value << 1 | bool(seen[_block(index, picture.width, picture.height, _MIDDLE)].mean() > 128)
    said, check = divmod(value, 1 << 16)
    return PictureCode(said % _NUMBERS, said // _NUMBERS) if check == _check(said) else None


def _bits(code: PictureCode) -> list[bool]:
    said = (code.source & 0xFF) << 24 | code.number % _NUMBERS
    value = said << 16 | _check(said)
    return [bool(value >> place & 1) for place in reversed(range(_COLUMNS * _ROWS))]


def _check(said: int) -> int:
    remainder = 0xFFFF
    for place in reversed(range(32)):
        top = (remainder >> 15 ^ said >> place) & 1
        remainder = (remainder << 1 & 0xFFFF) ^ (_POLYNOMIAL if top else 0)
    return remainder


def _block(index: int, width: int, height: int, share: float = 1.0) -> tuple[slice, slice]:
    row, column = divmod(index, _COLUMNS)
    return _middle(row, _SHARE * height / _ROWS, share), _middle(column, width / _COLUMNS, share)


def _middle(index: int, size: float, share: float) -> slice:
    begin = size * (index + (1 - share) / 2)
    return slice(round(begin), max(round(begin) + 1, round(begin + size * share)))
