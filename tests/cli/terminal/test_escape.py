"""What of a peer's text is shown, and what is written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.cli.terminal.text.escape import escape

# Spelt out once more, independently of the code: what may never reach a terminal.
HARMFUL = {
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    *"\u200e\u200f\u061c\u2028\u2029\ufeff\u00ad\u2060\u3164",
    *map(chr, range(0xE0001, 0xE0080)),
    *map(chr, range(0xD800, 0xE000)),
}


def test_what_moves_turns_or_hides_is_written_out() -> None:
    for harmful in sorted(HARMFUL):
        code = ord(harmful)
        written = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
        assert escape(f"bob{harmful}") == f"bob{written}"


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace, Ærøskøbing 東京 🎉",
        "👨‍👩‍👧‍👦",  # a family, joined with U+200D
        "👩🏽‍🚀 ❤️ ☎️ 1️⃣ 🏳️‍🌈 🇸🇪",  # skin, variation selectors, keycap, flags
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # England
        "می‌خواهم",  # Persian with U+200C
        "क्‍ष",  # Devanagari with U+200D
        "ស្រី\u200bស្អាត",  # Khmer, words parted by U+200B
        "ᠮᠣᠩᠭᠣᠯ\u180eᠠ",  # Mongolian with its vowel separator
        "葛\U000e0100",  # Japanese with an ideographic variation
        "🫩 \U0001fae9 \U0001fadc",  # Unicode 16, unknown to Python 3.11
        "\U0001faff \U000323b0",  # not assigned yet
        "\uf8ff \ue0b0",  # private
        "שלום مرحبا",  # right to left by its letters
    ],
)
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize("joiner", ["\u200b", "\u200c", "\u200d"])
def test_attack_a_joiner_that_joins_nothing_makes_no_second_bob(joiner: str) -> None:
    assert escape(f"bo{joiner}b") == f"bo\\u{ord(joiner):04x}b"
    assert escape(f"{joiner}bob{joiner}") == f"\\u{ord(joiner):04x}bob\\u{ord(joiner):04x}"


def test_attack_tags_hide_no_text_behind_a_flag() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "call +1900")
    assert "\\U000e0063" in escape(f"🏴{hidden}")


@given(st.text())
def test_escaped_text_is_one_harmless_line_of_limited_length(text: str) -> None:
    escaped = escape(text)
    assert not HARMFUL.intersection(escaped.replace("🏴\U000e0067\U000e0062", ""))
    assert len(escaped.splitlines()) <= 1
    assert len(escaped) <= 1_000 * len("\\U0010ffff")
