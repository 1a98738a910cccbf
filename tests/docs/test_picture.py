"""The picture of the README is one of a call that was made."""

import importlib.util
import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path

import pytest

from tests.docs.dockit.picture import PICTURE, ROOT, Terminal, call, draw


def _lines(svg: str) -> list[str]:
    return [unescape(line).replace("\xa0", " ") for line in re.findall(r"<text[^>]*>(.*?)</text>", svg)]


def _shows_a_call(svg: str) -> None:
    ET.fromstring(svg)
    text = "\n".join(_lines(svg))
    for words in ("$ sinchphone listen --user bob", "alice calls", "$ sinchphone call bob --user alice", "ringing", "connected (opus"):
        assert words in text
    assert len(re.findall(r"you \S*[▁-█].*far \S*[▁-█].*opus, loss", text)) == 2, "both hear and are heard"
    assert not [line for line in _lines(svg) if re.search(r"help\S|ringing\S|0:00 .", line)], "nothing of an earlier line is left"
    assert "url(http" not in svg, "it loads nothing"


def test_the_picture_shows_a_call_with_two_headsets() -> None:
    _shows_a_call(PICTURE.read_text())


def test_the_picture_can_be_made_again(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("lab", ROOT / "tests" / "conftest.py")
    assert spec is not None and spec.loader is not None
    lab = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lab)
    if missing := lab.missing_package():
        pytest.skip(f"needs the package {missing}")
    _shows_a_call(draw(call(tmp_path)))


def test_a_line_that_is_drawn_again_replaces_the_first() -> None:
    terminal = Terminal()
    terminal.feed("one\r\ntwo\x1b[2K\rthree\r\n\x1b[1A\x1b[2K\rfour")
    assert terminal.text == "one\nfour\n"
    terminal.feed("\x1b[1A\rse\x1b[Jven")
    assert terminal.text == "seven"
