"""H.264 in RTP, non-interleaved mode: single NAL units, STAP-A and FU-A (RFC 6184 5)."""

from collections.abc import Iterator
from typing import Final

from sinchphone.protocol.rtp.video.part import Part

_START_CODE: Final = b"\0\0\0\1"
_TYPE: Final = 0x1F
_FU_A: Final = 28
_SLICE, _IDR, _SPS, _DELIMITER = 1, 5, 7, 9
_FIRST, _LAST = 0x80, 0x40  # of an FU header
_FIRST_MACROBLOCK: Final = 0x80  # of a slice header: ue(0), the first slice of a picture


def read_h264(payload: bytes) -> Part | None:
    """What a payload holds of a frame, with start codes (Annex B); ``None`` for one that can't be read."""
    if len(payload) < 2:
        return None
    match payload[0] & _TYPE:
        case 0 | 30 | 31:
            return None
        case kind if kind < 24:
            return Part(_START_CODE + payload, _begins(payload))
        case 24:  # STAP-A
            units = tuple(_aggregated(payload))
            return Part(b"".join(_START_CODE + unit for unit in units), any(map(_begins, units))) if units else None
        case 28:  # FU-A
            return _read_fragment(payload)
        case _:  # STAP-B, MTAP, FU-B: of the interleaved mode
            return None


def cut_h264(frame: bytes, most: int) -> list[bytes]:
    """The payloads of one frame with start codes, each of at most ``most`` bytes."""
    return [payload for unit in split_units(frame) for payload in ([unit] if len(unit) <= most else _fragments(unit, most))]


def is_h264_key(frame: bytes) -> bool:
    """Whether a frame with start codes can be decoded without those before it."""
    return any(unit[0] & _TYPE == _IDR for unit in split_units(frame))


def split_units(frame: bytes) -> Iterator[bytes]:
    """The NAL units between start codes of three or four bytes."""
    at = frame.find(b"\0\0\1")
    while at >= 0:
        following = frame.find(b"\0\0\1", at + 3)
        unit = frame[at + 3 : following if following >= 0 else len(frame)].rstrip(b"\0")
        if unit:
            yield unit
        at = following


def _aggregated(payload: bytes) -> Iterator[bytes]:
    at = 1
    while at + 2 < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        if not size or len(unit) < size:
            return
        yield unit
        at += 2 + size


def _read_fragment(payload: bytes) -> Part | None:
    if len(payload) < 3:
        return None
    indicator, header = payload[0], payload[1]
    if not header & _FIRST:
        return Part(payload[2:], starts=False)
    unit = bytes((indicator & ~_TYPE & 0xFF | header & _TYPE,)) + payload[2:]
    return Part(_START_CODE + unit, _begins(unit))


def _begins(unit: bytes) -> bool:
    """Whether a picture may begin with that unit: a parameter set before it, or its first slice."""
    kind = unit[0] & _TYPE
    return kind in (_SPS, _DELIMITER) or (kind in (_SLICE, _IDR) and len(unit) > 1 and bool(unit[1] & _FIRST_MACROBLOCK))


def _fragments(unit: bytes, most: int) -> Iterator[bytes]:
    indicator, kind, body = unit[0] & ~_TYPE & 0xFF | _FU_A, unit[0] & _TYPE, unit[1:]
    count = -(-len(body) // (most - 2))
    size = -(-len(body) // count)
    for at in range(0, len(body), size):
        ends = (_FIRST if not at else 0) | (_LAST if at + size >= len(body) else 0)
        yield bytes((indicator, ends | kind)) + body[at : at + size]
