"""Everything a terminal can send beside keys, whole and cut in two anywhere: none of it is a key."""

import pytest

from sinchphone.cli.terminal.keyboard.parser import MAX_PASTE, KeyParser, Paste, Press

REPLIES = {
    "OSC 11, the background colour": b"\x1b]11;rgb:1a1a/1a1a/1a1a\x1b\\",
    "OSC 11 up to BEL": b"\x1b]11;rgb:aaaa/ffff/0000\x07",
    "OSC 52, the clipboard": b"\x1b]52;c;cXhhMTIz\x1b\\",
    "OSC in 8 bits": b"\x9d11;rgb:aaaa\x9c",
    "OSC l, a window's title in UTF-8": "\x1b]lé q ✜ x\x1b\\".encode(),
    "DCS, DECRQSS": b"\x1bP1$r0m\x1b\\",
    "DCS, XTVERSION": b"\x1bP>|XTerm(379)\x1b\\",
    "DCS, XTGETTCAP": b"\x1bP1+r436F=323536\x1b\\",
    "DCS in 8 bits": b"\x90>|mq12\x9c",
    "DCS in 8 bits, as UTF-8": "\x90>|mq12\x9c".encode(),
    "DCS with BEL in it": b"\x1bP>|a\x07x\x1b\\",
    "APC, kitty graphics": b"\x1b_Gi=31;OK\x1b\\",
    "PM": b"\x1b^private q\x1b\\",
    "SOS": b"\x1bXanything m 1 q\x1b\\",
    "CSI DA1": b"\x1b[?62;1;2;6;7;8;9;15;22c",
    "CSI DA2": b"\x1b[>41;379;0c",
    "CSI cursor position": b"\x1b[24;80R",
    "CSI in 8 bits": b"\x9b24;80R",
    "CSI DECRPM": b"\x1b[?2026;2$y",
    "CSI window size": b"\x1b[8;24;80t",
    "CSI focus": b"\x1b[I\x1b[O",
    "CSI arrow": b"\x1b[A",
    "CSI arrow with Control": b"\x1b[1;5D",
    "CSI F5": b"\x1b[15~",
    "CSI u, kitty's keyboard": b"\x1b[113;1:3u",
    "CSI of 3000 parameters": b"\x1b[" + b"1;" * 3000 + b"q",
    "SGR mouse": b"\x1b[<0;13;7M\x1b[<0;13;7m",
    "X10 mouse": b"\x1b[M qm",
    "urxvt mouse": b"\x1b[32;13;7M",
    "SS3 keypad": b"\x1bOq",
    "SS3 F1": b"\x1bOP",
    "SS3 in 8 bits": b"\x8fq",
    "SS3 with a parameter": b"\x1bO5P",
    "SS2": b"\x1bNq",
    "Linux console F1": b"\x1b[[A",
    "nF, character set": b"\x1b(B\x1b(0",
    "nF, S7C1T": b"\x1b F",
    "Alt and a key": b"\x1bq\x1bm\x1b1",
    "Alt and a letter beyond ASCII": "\x1bé".encode(),
    "Esc twice and an arrow": b"\x1b\x1b[A",
    "VT52 cursor position": b"\x1bY",
    "string broken off by CAN": b"\x1bP>|m\x18",
    "string broken off by another sequence": b"\x1b]11;rgb:\x1b[24;80R",
    "sequence broken off by another": b"\x1b[1;\x1b[A",
    "control amid a sequence": b"\x1b[1\r;5\nD",
    "a character cut off, whose rest looks like SOS": b"\xe1\x98",
    "bytes that are nothing": b"\xff\xfe\xc3\xe2\x82",
}


def pressed(*reads: bytes, apart: float = 0.0) -> list[Press]:
    parser = KeyParser()
    presses: list[Press] = []
    for number, read in enumerate(reads):
        presses += parser.expire(number * apart) + (parser.feed(read, number * apart) if read else [])
    return presses


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_of_the_terminal_is_no_key_and_the_next_key_is_one(reply: bytes) -> None:
    assert pressed(reply + b"a") == ["a"]
    assert pressed(b"7" + reply + b"q\r") == ["7", "q", "\n"]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_may_come_in_two_reads_cut_anywhere(reply: bytes) -> None:
    cuts = range(1, len(reply)) if len(reply) < 100 else (1, 2, 50, len(reply) - 1)
    for cut in cuts:
        assert pressed(reply[:cut], reply[cut:], b"a", apart=0.2) == ["a"], cut


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_may_come_a_byte_at_a_time(reply: bytes) -> None:
    assert pressed(*(reply[at : at + 1] for at in range(len(reply))), b"a", apart=0.0001) == ["a"]


def test_escape_and_the_rest_50_ms_later_are_one_sequence() -> None:
    assert pressed(b"\x1b", b"Oq", apart=0.05) == []
    assert pressed(b"\x1bO", b"q", apart=0.05) == []
    assert pressed(b"\x1b[<0;13;7", b"m", apart=0.05) == []


def test_escape_alone_is_a_key_half_a_second_later() -> None:
    assert pressed(b"\x1b", b"q", apart=0.6) == ["\x1b", "q"]
    assert pressed(b"\x1b", b"\x1b", b"q", apart=0.4) == []


@pytest.mark.parametrize("begun", [b"\x1b[", b"\x1bO", b"\x1b]", b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX", b"\x1b(", b"\x1b[M", b"\x9b1;"])
def test_what_is_begun_and_never_ended_is_given_up_after_a_silence(begun: bytes) -> None:
    assert pressed(begun, b"q", apart=1.1) == ["q"]


def test_a_string_that_never_ends_gives_keys_back_after_ten_seconds_however_fast_one_types() -> None:
    keys = pressed(b"\x1b]", *([b"1"] * 60), apart=0.25)
    assert 15 < len(keys) < 25


def test_the_deadline_is_there_while_something_is_unfinished_and_expiring_then_gives_it_up() -> None:
    parser = KeyParser()
    assert parser.deadline is None
    parser.feed(b"\x1b]11", 5.0)
    assert parser.deadline == 6.0
    parser.expire(5.5)
    assert parser.deadline == 6.0
    parser.expire(6.0)
    assert parser.deadline is None


def test_what_is_read_late_because_we_were_held_up_still_belongs_together() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b]11;rgb:", 0.0) == []
    assert parser.feed(b"1a1a/aaaa\x07q", 9.0) == ["q"]


def test_pasted_text_is_no_keys() -> None:
    assert pressed(b"\x1b[200~5551234q\r\x1b[A\x1b[201~m") == [Paste("5551234q\r\x1b[A"), "m"]


def test_a_paste_may_come_in_many_reads() -> None:
    raw = "\x1b[200~12é\x1b[20\x1b[201~a".encode()
    for cut in range(1, len(raw)):
        assert pressed(raw[:cut], raw[cut:]) == [Paste("12é\x1b[20"), "a"], cut


def test_a_long_paste_is_cut_and_says_how_much_was_dropped() -> None:
    [paste] = pressed(b"\x1b[200~" + b"1" * 100_000 + b"\x1b[201~")
    assert paste == Paste("1" * MAX_PASTE, 100_000 - MAX_PASTE)


def test_a_paste_that_never_ends_is_taken_as_it_is_after_a_silence() -> None:
    assert pressed(b"\x1b[200~12\x1b[2", b"", b"q", apart=3.0) == [Paste("12\x1b[2"), "q"]


def test_50_digits_pasted_without_brackets_are_50_keys() -> None:
    assert pressed(b"1" * 50) == ["1"] * 50


def test_letters_of_any_alphabet_are_keys_and_enter_is_one_letter() -> None:
    assert pressed("éя東🎉\r\n\t ".encode()) == ["é", "я", "東", "🎉", "\n", "\n", "\t", " "]
