"""What we draw with is drawn only where it can be shown."""

import io
import os
import pty
from collections.abc import Iterator
from typing import TextIO

import pytest

from sinchphone.cli.terminal.output.lines import Line
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.text.charset import DRAWN, in_ascii, takes_drawing


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    far, near = pty.openpty()
    with os.fdopen(near, "w", encoding="utf-8") as stream:
        yield stream
    os.close(far)


@pytest.mark.parametrize(
    ("environ", "takes"),
    [
        ({"LANG": "en_GB.UTF-8"}, True),
        ({"LANG": "C.utf8"}, True),
        ({"LC_ALL": "C", "LANG": "en_GB.UTF-8"}, False),
        ({"LC_ALL": "POSIX"}, False),
        ({"LC_ALL": "sv_SE.ISO-8859-1"}, False),
        ({"LC_CTYPE": "sv_SE.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),  # which Python itself puts there
        ({"LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_ALL": "C", "PYTHONUTF8": "1"}, True),
    ],
)
def test_a_terminal_without_utf8_in_its_locale_gets_ascii(environ: dict[str, str], takes: bool, terminal: TextIO) -> None:
    assert takes_drawing(terminal, environ) is takes


def test_a_file_or_pipe_gets_what_its_encoding_takes() -> None:
    assert takes_drawing(io.TextIOWrapper(io.BytesIO(), "utf-8"), {"LC_ALL": "C"})
    assert not takes_drawing(io.TextIOWrapper(io.BytesIO(), "latin-1"), {"LANG": "en_GB.UTF-8"})


def test_everything_that_is_drawn_has_a_likeness_in_ascii() -> None:
    assert in_ascii(DRAWN).isascii()
    assert len(in_ascii(DRAWN)) == len(DRAWN), "no line becomes longer"


def test_signs_of_ours_are_in_ascii_and_names_of_others_are_escaped_by_the_stream() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "ascii", errors="backslashreplace")
    Screen(stream, stream).write([Line("Åsa: one ↵ two", result=True), Line("level ██▅ …")])
    assert written.getvalue() == b"\\xc5sa: one / two\nlevel ### ~\n"
