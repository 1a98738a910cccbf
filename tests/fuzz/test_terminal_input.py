"""However a terminal's bytes are cut into reads, the same keys and pastes come out; no reply yields any; what is kept is bounded.

The bytes are keys, well-formed control functions of ECMA-48 with arbitrary contents, and arbitrary bytes.
"""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.cli.terminal.keyboard.parser import MAX_PASTE, KeyParser, Paste, Press

PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
KEYS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffd").filter(lambda one: not "\x80" <= one <= "\x9f")
PARAMETERS = st.text(st.sampled_from("0123456789:;<=>?"), max_size=40)
INTERMEDIATES = st.text(st.sampled_from(" !\"#$%&'()*+,-./"), max_size=3)
FINALS = st.characters(min_codepoint=0x40, max_codepoint=0x7E)
CONTROL = (
    st.tuples(PARAMETERS, INTERMEDIATES, FINALS)
    .filter(lambda parts: (parts[0] + parts[1], parts[2]) not in (("200", "~"), ("", "M"), ("", "[")))
    .map("".join)
)
CONTENT = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), max_size=60)

REPLY = st.one_of(
    CONTROL.map(lambda rest: b"\x1b[" + rest.encode()),
    CONTROL.map(lambda rest: b"\x9b" + rest.encode()),
    st.tuples(st.sampled_from("PX]^_"), CONTENT).map(lambda parts: f"\x1b{parts[0]}{parts[1]}\x1b\\".encode()),
    st.tuples(st.sampled_from("\x90\x98\x9d\x9e\x9f"), CONTENT).map(lambda parts: f"{parts[0]}{parts[1]}\x9c".encode()),
    CONTENT.map(lambda content: f"\x1b]{content}\x07".encode()),
    st.tuples(PARAMETERS, FINALS).map(lambda parts: f"\x1bO{parts[0]}{parts[1]}".encode()),
    st.tuples(PRINTABLE, PRINTABLE, PRINTABLE).map(lambda report: f"\x1b[M{''.join(report)}".encode()),
    st.tuples(INTERMEDIATES.filter(bool), st.characters(min_codepoint=0x30, max_codepoint=0x7E)).map(
        lambda parts: f"\x1b{''.join(parts)}".encode()
    ),
)
PASTE = st.text(KEYS, max_size=40).map(lambda text: (f"\x1b[200~{text}\x1b[201~".encode(), [Paste(text)]))
PARTS = st.lists(
    st.one_of(
        KEYS.map(lambda key: (key.encode(), [key])),
        REPLY.map(lambda reply: (reply, [])),
        PASTE,
    ),
    max_size=12,
)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def fed(raw: bytes, cuts: list[int]) -> list[Press]:
    parser, pressed = KeyParser(), []
    ends = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    for number, (start, end) in enumerate(itertools.pairwise(ends)):
        pressed += parser.expire(0.1 * number) + parser.feed(raw[start:end], 0.1 * number)
    return pressed


@given(PARTS, CUTS)
def test_only_keys_and_pastes_come_out_in_order_however_the_bytes_are_cut(parts: list[tuple[bytes, list[Press]]], cuts: list[int]) -> None:
    raw = b"".join(part for part, _ in parts)
    assert fed(raw, cuts) == [press for _, presses in parts for press in presses]


@given(st.lists(st.one_of(st.binary(max_size=80), REPLY, st.sampled_from([b"\x1b[200~", b"\x1b[20", b"\x1b"]))), CUTS)
def test_any_bytes_give_the_same_however_they_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(parts)
    assert fed(raw, cuts) == fed(raw, [])


@given(st.lists(st.tuples(st.binary(max_size=200), st.floats(0, 3)), max_size=20))
def test_any_bytes_at_any_time_leave_a_parser_that_takes_keys_again_at_its_deadline(reads: list[tuple[bytes, float]]) -> None:
    parser, now = KeyParser(), 0.0
    for raw, wait in reads:
        now += wait
        parser.expire(now)
        for press in parser.feed(raw, now):
            assert isinstance(press, Paste) or ((len(press) == 1 and press not in "\x00\x1b\x18\x1a\ufffd") or press in "\x18\x1a")
        assert parser.deadline is None or now < parser.deadline <= now + 3.0
    if parser.deadline is not None:
        for press in parser.expire(parser.deadline):
            assert isinstance(press, Paste)
            assert len(press.text) <= MAX_PASTE
    assert parser.deadline is None
    assert parser.feed(b"\xc2\xa0q", now + 60)[-1:] == ["q"]
