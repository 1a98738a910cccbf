"""Pictures of characters, on a small terminal that understands what is written."""

import re

import numpy as np
import pytest

from sinchphone.picture.frame import Colours
from sinchphone.picture.graphics.half_blocks import ColourDepth, HalfBlocks

TOKEN = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|(.)|(\r)", re.DOTALL)


class Terminal:
    """Rows and columns of (upper, lower) colours, as far as half-blocks need one."""

    def __init__(self, rows: int, columns: int) -> None:
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}
        self.row = self.column = 0
        self.written = 0
        self._size = rows, columns
        self._pen = {"38": "", "48": ""}

    def write(self, text: str) -> None:
        for arguments, letter, character, _ in (match.groups() for match in TOKEN.finditer(text)):
            if letter == "m":
                self._colour(arguments)
            elif letter:
                self._move(letter, int(arguments or 1))
            elif character == "\r" or character is None:
                self.column = 0
            else:
                self._put(character)

    def _colour(self, arguments: str) -> None:
        words = arguments.split(";")
        if words in ([""], ["0"]):
            self._pen = {"38": "", "48": ""}
            return
        while words:
            count = 5 if words[1] == "2" else 3
            self._pen[words[0]] = ";".join(words[1:count])
            words = words[count:]

    def _move(self, letter: str, count: int) -> None:
        match letter:
            case "A":
                self.row -= count
            case "B":
                self.row += count
            case "G":
                self.column = count - 1
            case _:
                raise AssertionError(letter)
        assert 0 <= self.row < self._size[0]

    def _put(self, character: str) -> None:
        assert character in " ▀"
        assert self.column < self._size[1]
        below = self._pen["48"]
        self.cells[self.row, self.column] = (below if character == " " else self._pen["38"]), below
        self.column += 1
        self.written += 1


def colour_at(terminal: Terminal, row: int, column: int) -> tuple[int, int, int]:
    text = terminal.cells[row // 2, column][row % 2]
    red, green, blue = map(int, text.split(";")[1:])
    return red, green, blue


def noise(seed: int, rows: int = 12, columns: int = 20) -> Colours:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)


def test_every_cell_shows_its_two_colours_and_the_cursor_is_back_where_it_was() -> None:
    terminal, blocks = Terminal(6, 20), HalfBlocks(ColourDepth.TRUE)
    for seed in range(4):
        colours = noise(seed)
        terminal.write(blocks.draw(colours))
        shown = np.array([[colour_at(terminal, row, column) for column in range(20)] for row in range(12)])
        assert np.abs(shown + 4 - colours.astype(int)).max() <= 12
        assert (terminal.row, terminal.column) == (0, 0)


def test_a_picture_that_stays_costs_nothing_and_a_change_costs_its_cells() -> None:
    terminal, blocks, colours = Terminal(6, 20), HalfBlocks(ColourDepth.TRUE), noise(1)
    terminal.write(blocks.draw(colours))
    assert terminal.written == 120
    assert blocks.draw(colours) == ""
    nearly = np.clip(colours.astype(int) + 3, 0, 255).astype(np.uint8)
    assert blocks.draw(nearly) == ""
    colours[7, 4:6] = 255 - colours[7, 4:6]
    colours[7, 4:6] ^= 128
    colours[0, 19] ^= 128
    text = blocks.draw(colours)
    terminal.write(text)
    assert terminal.written == 120 + 3
    assert len(text) < 150


def test_a_slow_change_is_seen_in_the_end() -> None:
    blocks, colours = HalfBlocks(ColourDepth.TRUE), np.full((2, 1, 3), 100, np.uint8)
    blocks.draw(colours)
    written = [blocks.draw(np.full((2, 1, 3), 100 + step, np.uint8)) for step in range(40)]
    assert 1 <= sum(map(bool, written)) <= 5


def test_one_colour_over_many_cells_is_written_once() -> None:
    text = HalfBlocks(ColourDepth.TRUE).draw(np.full((2, 60, 3), 80, np.uint8))
    assert text.count("48;2;") == 1 and "▀" not in text


def test_another_size_and_a_lost_screen_are_written_whole() -> None:
    blocks = HalfBlocks(ColourDepth.TRUE)
    blocks.draw(noise(1))
    smaller, again = Terminal(4, 10), Terminal(4, 10)
    smaller.write(blocks.draw(noise(1, 8, 10)))
    blocks.forget()
    again.write(blocks.draw(noise(1, 8, 10)))
    assert smaller.written == again.written == 40


def test_an_odd_row_is_left_out() -> None:
    terminal = Terminal(2, 3)
    terminal.write(HalfBlocks(ColourDepth.TRUE).draw(noise(1, 5, 3)))
    assert terminal.written == 6


@pytest.mark.parametrize(
    ("colour", "index"),
    [((0, 0, 0), 232), ((255, 0, 0), 196), ((0, 255, 0), 46), ((255, 255, 255), 255), ((128, 128, 128), 243), ((90, 0, 130), 54)],
)
def test_256_colours_are_the_nearest_of_the_cube_and_the_greys(colour: tuple[int, int, int], index: int) -> None:
    text = HalfBlocks(ColourDepth.INDEXED).draw(np.full((2, 1, 3), colour, np.uint8))
    found = re.findall(r"48;5;(\d+)", text)
    assert found and abs(int(found[0]) - index) <= 1
