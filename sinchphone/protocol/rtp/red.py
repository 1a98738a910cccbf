"""Redundant sound as bytes: one RTP payload that carries earlier ones once more (RFC 2198)."""

import struct
from collections.abc import Sequence
from typing import Final

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass

MAX_BLOCKS: Final = 8  # taken from a peer; senders use one to three
MAX_OFFSET: Final = (1 << 14) - 1  # [RTP ticks], RFC 2198 3
MAX_COPY_BYTES: Final = (1 << 10) - 1  # RFC 2198 3

_FOLLOWS: Final = 0x80  # another header follows this one
_HEADER: Final = struct.Struct("!I")


@quick_dataclass(frozen=True, slots=True)
class Block:
    """One encoding: its payload type, how long before the packet's own time stamp it begins [RTP ticks, 0 for the primary], its bytes."""

    payload_type: int
    offset: int
    payload: bytes


def encode_red(blocks: Sequence[Block]) -> bytes:
    """The payload with the copies, oldest first, and the primary encoding last. Raises LocalProtocolError for what doesn't fit."""
    *copies, primary = blocks
    heads = b"".join(_encode_head(copy) for copy in copies)
    return heads + bytes([primary.payload_type]) + b"".join(block.payload for block in blocks)


def decode_red(payload: bytes) -> tuple[Block, ...]:
    """The blocks in ``payload`` that hold anything: copies as they come, the primary encoding last.

    Raises RemoteProtocolError where it is cut short or has more than MAX_BLOCKS.
    """
    heads, start = _decode_heads(payload)
    blocks: list[Block] = []
    for payload_type, offset, size in heads[:-1]:
        if start + size > len(payload):
            raise RemoteProtocolError("a redundant packet is cut short")
        blocks.append(Block(payload_type, offset, payload[start : start + size]))
        start += size
    blocks.append(Block(heads[-1][0], 0, payload[start:]))
    return tuple(block for block in blocks if block.payload)


def _encode_head(copy: Block) -> bytes:
    if not (0 <= copy.offset <= MAX_OFFSET and len(copy.payload) <= MAX_COPY_BYTES):
        raise LocalProtocolError("a copy is too old or too long for RFC 2198")
    return _HEADER.pack((_FOLLOWS | copy.payload_type) << 24 | copy.offset << 10 | len(copy.payload))


def _decode_heads(payload: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """Payload type, offset and size of each block (the primary's size isn't said), and where the first one begins."""
    heads: list[tuple[int, int, int]] = []
    position = 0
    while len(heads) < MAX_BLOCKS and position < len(payload):
        if not payload[position] & _FOLLOWS:
            heads.append((payload[position], 0, 0))
            return heads, position + 1
        if position + _HEADER.size > len(payload):
            break
        (word,) = _HEADER.unpack_from(payload, position)
        heads.append((word >> 24 & 0x7F, word >> 10 & MAX_OFFSET, word & MAX_COPY_BYTES))
        position += _HEADER.size
    raise RemoteProtocolError("the headers of a redundant packet can't be read")
