"""The pictures of ``sinchphone help screens`` are of runs, small, and load nothing; the page shows every one."""

import os
import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path

import pytest

from tests.docs.dockit.picture import ROOT, Terminal
from tests.docs.dockit.screens import FOLDER, PICTURES, Lab, drawn, home

MAX_BYTES = 16_000
WORDS = {
    "incoming": ("alice calls", "a or Enter answer"),
    "call": ("established bob", "opus, loss"),
    "call-light": ("connected (opus, host)", "q hang up"),
    "statistics": ("path direct (host)", "MOS ", "< > microphone"),
    "statistics-ascii": ("path direct (host)", "MOS ", "#"),
    "room": ("joining standup as alice", "standup 0:"),
    "history": ("mum (bob)", "missed, they gave up", "Lunch-at-noon?"),
    "devices": ("Null Output [ear]", "default"),
    "doctor": ("skipped", "the echo came back after"),
    "errors": ("there is no user nobody", "no such command 'cal'"),
    "errors-no-color": ("there is no user nobody", "no such command 'cal'"),
    "plain": ("q hang up   m mute   ? help", "ended after 0:03"),
}


def text_of(svg: str) -> str:
    return "\n".join(unescape(line).replace("\xa0", " ") for line in re.findall(r"<text[^>]*>(.*?)</text>", svg))


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_is_small_shows_what_it_should_and_loads_nothing(name: str) -> None:
    svg = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    ET.fromstring(svg)
    assert len(svg.encode()) < MAX_BYTES
    assert "url(http" not in svg
    text = text_of(svg).replace("\n", " ")
    assert not [words for words in WORDS[name] if words not in text and words not in text.replace("  ", " ")]


def test_the_page_shows_every_picture_that_is_made_and_no_other() -> None:
    page = (ROOT / "sinchphone" / "docs" / "screens.md").read_text(encoding="utf-8")
    shown = re.findall(r"\(screens/(.+?)\.svg\)", page)
    assert sorted(shown) == sorted(PICTURES) == sorted(file.stem for file in FOLDER.iterdir())


def test_a_picture_can_be_made_again(tmp_path: Path) -> None:
    picture = PICTURES["errors"]
    made = drawn("errors", picture.make(Lab(home(tmp_path, dict(os.environ))), picture.look), picture.look)
    assert not [words for words in WORDS["errors"] if words not in text_of(made)]


def test_a_long_line_goes_on_in_the_next_unless_the_program_keeps_it_from_that() -> None:
    terminal = Terminal(columns=4)
    terminal.feed("abcdef\r\n\x1b[?7lghijkl")
    assert terminal.text == "abcd\nef\nghijkl"
