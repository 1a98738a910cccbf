import struct

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.media.local_audio.wav_header import lengths

FORMAT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 48_000, 192_000, 4, 16)
HEAD = b"RIFF\xff\xff\xff\xffWAVE" + FORMAT + b"LIST\x05\x00\x00\x00odd!!\x00" + b"data\xff\xff\xff\xff"


def patched(head: bytes, size: int) -> bytes:
    file = bytearray(head)
    for offset, length in lengths(head, size):
        file[offset : offset + len(length)] = length
    return bytes(file)


def test_both_lengths_are_told_in_whole_samples() -> None:
    file = patched(HEAD, len(HEAD) + 403)
    assert struct.unpack_from("<I", file, 4) == (len(HEAD) + 400 - 8,)
    assert file[-8:] == b"data" + struct.pack("<I", 400)


def test_nothing_is_told_of_what_is_too_long_or_no_wav_file_or_has_no_sound_yet() -> None:
    assert lengths(HEAD, 2**32 + 1) == lengths(b"OggS" + bytes(100), 104) == lengths(HEAD[:-8], len(HEAD) - 8) == []


@given(st.binary(max_size=80), st.integers(0, 2**33))
def test_no_bytes_after_the_first_twelve_fail(rest: bytes, size: int) -> None:
    assert len(patched(HEAD[:12] + rest, size)) == 12 + len(rest)
