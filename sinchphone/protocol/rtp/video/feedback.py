"""What receivers of pictures ask of their senders: a key frame (PLI, FIR), or less of everything (REMB)."""

import struct
from collections.abc import Iterator
from typing import Final

from sinchphone.protocol.rtp.packet import VERSION, RtcpReport, encode_report, parts_of
from sinchphone.quick_dataclass import quick_dataclass

_PSFB: Final = 206
_PLI, _FIR, _APPLICATION = 1, 4, 15
_REMB: Final = b"REMB"
_MAX_ENTRIES: Final = 32  # taken from one packet


@quick_dataclass(frozen=True, slots=True)
class KeyFrameRequest:
    """A receiver needs a key frame of one source. ``number``: that of a FIR; the same one again is no new request (RFC 5104 4.3.1.2)."""

    ssrc: int
    number: int | None = None


@quick_dataclass(frozen=True, slots=True)
class MaximumBitrate:
    """A receiver takes no more than that [bit/s] in all (draft-alvestrand-rmcat-remb-03)."""

    bitrate: int


def encode_pli(sender: int, media: int, cname: str) -> bytes:
    """A compound packet that asks for a key frame (RFC 4585 6.3.1)."""
    body = struct.pack("!BBHII", VERSION | _PLI, _PSFB, 2, sender, media)
    return encode_report(RtcpReport(sender, None, ()), cname) + body


def decode_picture_feedback(data: bytes) -> Iterator[KeyFrameRequest | MaximumBitrate]:
    """The requests in a compound packet, up to the first part that can't be read."""
    for kind, form, body in parts_of(data):
        if kind == _PSFB and len(body) >= 8:
            yield from _decode(form, body)


def _decode(form: int, body: bytes) -> Iterator[KeyFrameRequest | MaximumBitrate]:
    if form == _PLI:
        yield KeyFrameRequest(int.from_bytes(body[4:8], "big"))
    elif form == _FIR:
        for at in range(8, min(len(body) - 7, 8 + 8 * _MAX_ENTRIES), 8):
            yield KeyFrameRequest(int.from_bytes(body[at : at + 4], "big"), body[at + 4])
    elif form == _APPLICATION and body[8:12] == _REMB and len(body) >= 16:
        exponent, mantissa = body[13] >> 2, (body[13] & 3) << 16 | body[14] << 8 | body[15]
        yield MaximumBitrate(mantissa << exponent)
