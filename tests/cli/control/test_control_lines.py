"""Lines out of a stream, whatever its pieces."""

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.cli.control.lines import LineSplitter


def read(chunks: list[bytes], limit: int = 10) -> list[bytes | None]:
    splitter = LineSplitter(limit)
    return [line for chunk in chunks for line in splitter.push(chunk)] + splitter.finish()


def test_a_line_may_come_in_pieces_and_several_at_once() -> None:
    assert read([b"on", b"e\ntwo\nth", b"ree\n"]) == [b"one", b"two", b"three"]


def test_the_last_line_may_lack_its_end_and_empty_ones_are_none() -> None:
    assert read([b"\n\r\n  \none\r\n\ntwo"]) == [b"one", b"two"]


def test_a_line_that_is_too_long_is_told_once_and_its_rest_forgotten() -> None:
    assert read([b"x" * 11, b"x" * 50, b"x\nnext\n"]) == [None, b"next"]
    assert read([b"0123456789\n"]) == [b"0123456789"], "as long as it may be"


def test_an_endless_line_takes_no_more_memory_than_a_line_may() -> None:
    splitter = LineSplitter(1000)
    told = [line for _ in range(10_000) for line in splitter.push(b"\x00" * 100)]
    assert told == [None]
    assert len(splitter._begun) == 0


@given(st.lists(st.binary(max_size=8), max_size=8), st.lists(st.integers(1, 5), min_size=1))
def test_how_the_bytes_are_cut_changes_nothing(lines: list[bytes], sizes: list[int]) -> None:
    whole = b"\n".join(line.replace(b"\n", b"") for line in lines)
    chunks, at = [], 0
    for number in range(len(whole)):
        if at >= len(whole):
            break
        size = sizes[number % len(sizes)]
        chunks.append(whole[at : at + size])
        at += size
    assert read(chunks) == read([whole])
