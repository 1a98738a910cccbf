"""A level that is told again and again stands in one place of a terminal, and in lines of its own where nothing may be redrawn."""

import io
import math

import pytest

from sinchphone.cli.terminal.output.lines import Line
from sinchphone.cli.terminal.output.listings import DeviceLevel
from sinchphone.cli.terminal.screen.screen import Screen

UP = "\x1b[A\r\x1b[K"


class Terminal(io.StringIO):
    """Standard output at a terminal, or not."""

    is_terminal = True

    def isatty(self) -> bool:
        return self.is_terminal


def tell_three(screen: Screen) -> None:
    for level in (-20.0, -math.inf, -30.0):
        screen.tell(DeviceLevel(microphone="card", level_dbfs=level))


def test_levels_stand_in_one_place_of_a_terminal() -> None:
    out = Terminal()
    screen = Screen(out, io.StringIO(), live=True)
    tell_three(screen)
    assert [line.startswith(UP) for line in out.getvalue().split("\n")[:3]] == [False, True, True]
    screen.write([Line("a warning", always=True)])
    screen.tell(DeviceLevel(microphone="card", level_dbfs=-20.0))
    assert out.getvalue().count(UP) == 2


@pytest.mark.parametrize(("live", "is_terminal"), [(False, True), (True, False)])
def test_levels_are_lines_of_their_own_elsewhere(live: bool, is_terminal: bool) -> None:
    out = Terminal()
    out.is_terminal = is_terminal
    tell_three(Screen(out, io.StringIO(), live=live))
    assert (out.getvalue().count("\n"), "\x1b" in out.getvalue()) == (3, False)
