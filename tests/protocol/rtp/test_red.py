"""RFC 2198 as bytes: what is written is read, what is cut short is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.rtp.red import MAX_BLOCKS, MAX_COPY_BYTES, MAX_OFFSET, Block, decode_red, encode_red

PAYLOADS = st.binary(min_size=1, max_size=200)
COPIES = st.builds(Block, st.integers(0, 127), st.integers(0, MAX_OFFSET), PAYLOADS)
PRIMARIES = st.builds(Block, st.integers(0, 127), st.just(0), PAYLOADS)


@given(st.lists(COPIES, max_size=MAX_BLOCKS - 1), PRIMARIES)
def test_what_is_written_is_read(copies: list[Block], primary: Block) -> None:
    assert decode_red(encode_red([*copies, primary])) == (*copies, primary)


def test_the_example_of_the_rfc_is_laid_out_as_drawn() -> None:
    """RFC 2198 4: a header of four bytes for the copy, one byte for the primary, then both."""
    copy, primary = Block(7, 160 * 4, b"older"), Block(5, 0, b"newest")
    word = 1 << 31 | 7 << 24 | 640 << 10 | 5
    assert encode_red([copy, primary]) == word.to_bytes(4, "big") + b"\x05" + b"older" + b"newest"


@given(st.lists(COPIES, min_size=1, max_size=3), PRIMARIES, st.data())
def test_a_packet_that_is_cut_short_within_its_copies_is_refused(copies: list[Block], primary: Block, data: st.DataObject) -> None:
    whole = encode_red([*copies, primary])
    size = data.draw(st.integers(0, len(whole) - len(primary.payload) - 1))
    with pytest.raises(RemoteProtocolError):
        decode_red(whole[:size])


@given(st.binary(max_size=300))
def test_any_bytes_are_blocks_or_an_error_of_the_peer(payload: bytes) -> None:
    try:
        blocks = decode_red(payload)
    except RemoteProtocolError:
        return
    assert len(blocks) <= MAX_BLOCKS
    assert sum(len(block.payload) for block in blocks) < len(payload)


def test_headers_without_end_are_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_red(b"\xff\x00\x00\x00" * 300)


def test_an_empty_copy_or_primary_is_left_out() -> None:
    assert decode_red(encode_red([Block(111, 960, b""), Block(111, 0, b"x")])) == (Block(111, 0, b"x"),)
    assert decode_red(encode_red([Block(111, 960, b"x"), Block(111, 0, b"")])) == (Block(111, 960, b"x"),)


@pytest.mark.parametrize("copy", [Block(111, MAX_OFFSET + 1, b"x"), Block(111, -1, b"x"), Block(111, 960, bytes(MAX_COPY_BYTES + 1))])
def test_a_copy_that_does_not_fit_the_fields_is_our_mistake(copy: Block) -> None:
    with pytest.raises(LocalProtocolError):
        encode_red([copy, Block(111, 0, b"x")])
