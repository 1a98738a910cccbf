"""The lengths in the header of a WAV file that is still being written: libav tells hours there until the file is closed. Pure."""

import struct
from typing import Final

HEADER_BYTES: Final = 512  # what libav writes before the samples is shorter
_CHUNK: Final = struct.Struct("<4sI")
_MOST: Final = 0xFFFF_FFFE  # all ones mean that nobody knows


def lengths(head: bytes, size: int) -> list[tuple[int, bytes]]:
    """What belongs where, as (offset, bytes), for a file of ``size`` bytes that begins with ``head`` to tell how much is in it, in whole
    samples. Nothing where that isn't a WAV file, or is longer than its header can tell."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE" or size > _MOST:
        return []
    at, sample_bytes = 12, 1
    while at + _CHUNK.size <= len(head):
        name, length = _CHUNK.unpack_from(head, at)
        at += _CHUNK.size
        if name == b"data":
            sound = max(0, size - at) // sample_bytes * sample_bytes
            return [(4, _length(at + sound - 8)), (at - 4, _length(sound))]
        if name == b"fmt ":
            (sample_bytes,) = struct.unpack_from("<H", head, at + 12)
        at += length + length % 2
    return []


def _length(value: int) -> bytes:
    return struct.pack("<I", value)
