"""VP8 in RTP: the descriptor before each packet's part of a frame (RFC 7741 4.2)."""

from typing import Final

from sinchphone.protocol.rtp.video.part import Part

_EXTENDED: Final = 0x80  # X: a second octet tells what follows
_START: Final = 0x10  # S: a partition begins here
_PARTITION: Final = 0x0F  # PID, with the reserved bit that makes it four bits wide in older drafts
_PICTURE_ID, _TL0, _TID, _KEY_INDEX = 0x80, 0x40, 0x20, 0x10
_LONG: Final = 0x80  # M: a picture id of 15 bits
MAX_PICTURE_ID: Final = 0x7FFF


def read_vp8(payload: bytes) -> Part | None:
    """What a payload holds of a frame; ``None`` for one that is only a descriptor, or not even that (some senders pad so)."""
    if not payload:
        return None
    first, start = payload[0], 1
    if first & _EXTENDED:
        if len(payload) < 2:
            return None
        flags, start = payload[1], 2
        if flags & _PICTURE_ID:
            start += 2 if len(payload) > start and payload[start] & _LONG else 1
        start += bool(flags & _TL0) + bool(flags & (_TID | _KEY_INDEX))
    if start >= len(payload):
        return None
    return Part(payload[start:], starts=bool(first & _START) and not first & _PARTITION)


def cut_vp8(frame: bytes, picture_id: int, most: int) -> list[bytes]:
    """The payloads of one frame, each of at most ``most`` bytes and all of nearly the same size."""
    head = bytes((_EXTENDED, _PICTURE_ID, _LONG | (picture_id & MAX_PICTURE_ID) >> 8, picture_id & 0xFF))
    count = -(-len(frame) // (most - len(head)))
    size = -(-len(frame) // count)
    parts = [frame[at : at + size] for at in range(0, len(frame), size)]
    return [(bytes((head[0] | _START,)) + head[1:] if not index else head) + part for index, part in enumerate(parts)]


def is_vp8_key(frame: bytes) -> bool:
    """Whether a frame can be decoded without those before it (RFC 6386 9.1)."""
    return bool(frame) and not frame[0] & 1
