"""Colours are readable on the background that a terminal says it has, and on both where it says nothing."""

import ast
from pathlib import Path

import pytest

import sinchphone.cli
from sinchphone.cli.terminal.output.lines import _CHECK_STYLES
from sinchphone.cli.terminal.text.palette import SHADES, Background, Palette, background

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
BEHIND = {
    Background.DARK: [BLACK, (0, 43, 54), (30, 30, 30)],  # also Solarized's, and an editor's
    Background.LIGHT: [WHITE, (253, 246, 227)],
    Background.UNKNOWN: [BLACK, WHITE],
}
MANY = {"TERM": "xterm-256color"}


def color_of(number: int) -> tuple[int, int, int]:
    """Of xterm's 256."""
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    levels = (0, 95, 135, 175, 215, 255)
    return levels[(number - 16) // 36], levels[(number - 16) // 6 % 6], levels[(number - 16) % 6]


def luminance(color: tuple[int, int, int]) -> float:
    """WCAG 2.2."""
    parts = [value / 255 for value in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("behind", Background)
def test_every_colour_stands_out_from_what_is_behind_it(behind: Background) -> None:
    least = 4.0 if behind is Background.UNKNOWN else 5.0
    for name, number in SHADES[behind].items():
        assert min(contrast(color_of(number), color) for color in BEHIND[behind]) >= least, name


def test_every_style_that_a_line_may_have_is_known() -> None:
    known = {*SHADES[Background.DARK], "bold"}
    used = set(" ".join(_CHECK_STYLES.values()).split())
    for file in Path(sinchphone.cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name("Line"), args=[_, ast.Constant(str(style)), *_]):
                    used |= set(style.split())
    assert used == known


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"COLORFGBG": "15;0"}, Background.DARK),
        ({"COLORFGBG": "0;15"}, Background.LIGHT),
        ({"COLORFGBG": "0;default;15"}, Background.LIGHT),
        ({"COLORFGBG": "0;7"}, Background.LIGHT),
        ({"COLORFGBG": "12;8"}, Background.DARK),
        ({"COLORFGBG": "default;default"}, Background.UNKNOWN),
        ({"COLORFGBG": "0;999999999999"}, Background.UNKNOWN),
        ({"TERM": "linux"}, Background.DARK),
        (MANY, Background.UNKNOWN),
        ({}, Background.UNKNOWN),
    ],
)
def test_the_background_is_what_the_terminal_says(environ: dict[str, str], found: Background) -> None:
    assert background(environ) is found


def test_each_line_of_a_broken_text_has_its_colour_and_nothing_runs_on() -> None:
    painted = Palette(MANY).painted("error: one\n  two", "bold red")
    assert painted == "\x1b[1;38;5;161merror: one\x1b[0m\n\x1b[1;38;5;161m  two\x1b[0m"


def test_a_terminal_of_few_colours_gets_only_what_can_be_read_on_both_grounds() -> None:
    few = Palette({"TERM": "xterm"})
    assert few.painted("ok", "green") == "ok"
    assert few.painted("careful", "yellow") == "\x1b[1mcareful\x1b[0m"
    assert few.painted("error", "bold red") == "\x1b[1;31merror\x1b[0m"
    assert Palette({"TERM": "xterm", "COLORFGBG": "15;0"}).painted("ok", "green") == "\x1b[32mok\x1b[0m"
