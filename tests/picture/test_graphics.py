"""The graphics protocols: what a terminal makes of what is written is the picture, and each is bounded."""

import base64
import re
import zlib

import numpy as np
import pytest

from sinchphone.picture.bar_code import PictureCode, draw_code
from sinchphone.picture.frame import Colours
from sinchphone.picture.graphics.drawing import USUAL_CELL, Cell, cell_of, fitted_cells
from sinchphone.picture.graphics.iterm2 import InlineImages
from sinchphone.picture.graphics.kitty import KittyImages
from sinchphone.picture.graphics.sixel import Sixels

COMMAND = re.compile(r"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\")


def noise(seed: int, rows: int = 40, columns: int = 64) -> Colours:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)


class Kitty:
    """What kitty keeps."""

    def __init__(self) -> None:
        self.images: dict[str, Colours] = {}
        self.placed: list[tuple[str, str, str]] = []
        self._keys: dict[str, str] = {}
        self._data = ""

    def feed(self, text: str) -> None:
        assert not COMMAND.sub("", text).replace("\x1b7", "").replace("\x1b8", "")
        for said, data in COMMAND.findall(text):
            keys = dict(pair.split("=") for pair in said.split(","))
            assert keys["q"] == "2" and len(data) <= 4096
            if keys.get("a") == "d":
                self.images.pop(keys["i"], None)
                self.placed = [one for one in self.placed if one[0] != keys["i"]]
                continue
            self._keys, self._data = (keys, data) if "a" in keys else (self._keys, self._data + data)
            if keys["m"] == "0":
                self._show()

    def _show(self) -> None:
        keys = self._keys
        raw = zlib.decompress(base64.b64decode(self._data))
        self.images[keys["i"]] = np.frombuffer(raw, np.uint8).reshape(int(keys["v"]), int(keys["s"]), 3)
        self.placed.append((keys["i"], keys["c"], keys["r"]))


def test_kitty_shows_each_picture_whole_and_keeps_one_of_two_ids() -> None:
    kitty, images = Kitty(), KittyImages(1 << 20)
    ids = set()
    for seed in range(7):
        kitty.feed(images.draw(noise(seed), 32, 10))
        assert len(kitty.images) == 1 and [one[1:] for one in kitty.placed] == [("32", "10")]
        ((identity, shown),) = kitty.images.items()
        ids.add(identity)
        assert (shown == noise(seed)).all()
    assert len(ids) == 2
    kitty.feed(images.clear)
    assert not kitty.images and not kitty.placed


def sixels_of(text: str) -> Colours:
    """The raster that a terminal makes."""
    begun = re.match(r'\x1b7\x1bP0;1;0q"1;1;(\d+);(\d+)', text)
    assert begun is not None and text.endswith("\x1b\\\x1b8")
    raster: Colours = np.zeros((int(begun[2]) // 6 * 6 + 6, int(begun[1]), 3), np.uint8)
    palette: dict[int, tuple[int, ...]] = {}
    top = at = 0
    colour: tuple[int, ...] = (0, 0, 0)
    for said, chosen, count, many, one in re.findall(r"#(\d+;2;\d+;\d+;\d+)|#(\d+)|!(\d+)(.)|([?-~$\-])", text[begun.end() : -4]):
        if said:
            number, _, *levels = map(int, said.split(";"))
            palette[number] = tuple(round(255 * level / 100) for level in levels)
        elif chosen:
            colour = palette[int(chosen)]
        elif one == "$":
            at = 0
        elif one == "-":
            top, at = top + 6, 0
        else:
            times, bits = int(count or 1), ord(many or one) - 63
            for place in range(6):
                if bits >> place & 1:
                    raster[top + place, at : at + times] = colour
            at += times
    return raster[: int(begun[2])]


@pytest.mark.parametrize(("registers", "step"), [(1024, 51), (256, 51), (64, 85), (16, 255)])
def test_sixels_are_the_picture_in_the_colours_that_there_are(registers: int, step: int) -> None:
    drawing, colours = Sixels(registers, (640, 360)), noise(3)
    shown = sixels_of(drawing.draw(colours, 8, 2))
    assert shown.shape == colours.shape
    assert np.abs(shown.astype(int) - colours).max() <= step + 2
    flat = np.full((36, 36, 3), (200, 90, 33), np.uint8)
    assert np.abs(sixels_of(drawing.draw(flat, 4, 2)).mean(axis=(0, 1)) - flat[0, 0]).max() <= step / 16 + 2  # as a pattern
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= registers


def test_a_sixel_picture_is_no_larger_than_its_cells_and_than_what_is_quick() -> None:
    drawing = Sixels(256, (640, 360))
    columns, rows = drawing.fit(640, 360, 300, 90, Cell(10, 20))
    width, height = drawing.samples(640, 360, columns, rows, Cell(10, 20))
    assert (columns, rows) == (64, 18) and (width, height) == (640, 360)


def test_an_inline_image_is_a_file_of_its_cells_and_none_is_too_large() -> None:
    images = InlineImages(lambda colours: b"jpeg" * colours.shape[1], 1 << 20)
    text = images.draw(noise(1), 32, 10)
    found = re.fullmatch(r"\x1b7\x1b\]1337;File=inline=1;size=256;width=32;height=10;.*doNotMoveCursor=1:(.*)\x07\x1b8", text)
    assert found is not None and base64.b64decode(found[1]) == b"jpeg" * 64
    assert InlineImages(lambda colours: bytes(1 << 20), 1 << 20).draw(noise(1), 32, 10) == ""


@pytest.mark.parametrize(
    ("size", "cell"),
    [
        ((80, 24, 640, 384), Cell(8, 16)),
        ((80, 24, 0, 0), None),
        ((80, 24, 0, 384), None),
        ((0, 0, 640, 384), None),
        ((200, 50, 32_000, 0), None),
        ((200, 50, 640, 480), None),  # invented: cells of 3.2 x 9.6
        ((200, 50, 65_535, 65_535), None),
    ],
)
def test_a_cell_that_no_font_has_is_unknown(size: tuple[int, int, int, int], cell: Cell | None) -> None:
    assert cell_of(*size) == cell


@pytest.mark.parametrize("cell", [USUAL_CELL, Cell(7, 17), Cell(20, 40)])
@pytest.mark.parametrize("room", [(79, 20), (16, 4), (300, 10)])
def test_a_picture_keeps_its_shape_and_stays_in_its_room(cell: Cell, room: tuple[int, int]) -> None:
    columns, rows = fitted_cells(640, 360, *room, cell)
    assert 1 <= columns <= room[0] and 1 <= rows <= room[1]
    assert abs(columns * cell.width / (rows * cell.height) - 16 / 9) < 0.35


def test_a_picture_that_the_terminal_scales_is_sent_no_larger_than_it_is() -> None:
    picture = draw_code(PictureCode(1, 1), 320, 180)
    images = KittyImages(640 * 360)
    assert images.samples(picture.width, picture.height, 200, 60, USUAL_CELL) == (320, 180)
    assert images.samples(1280, 720, 200, 60, USUAL_CELL) == (640, 360)
    assert images.samples(1280, 720, 20, 6, USUAL_CELL) == (160, 90)
