"""Transport-wide congestion control as bytes (draft-holmer-rmcat-transport-wide-cc-extensions-01): numbers and when they arrived.

Each packet of a transport has a number of its own, whatever stream it belongs to, in a header extension (RFC 8285); the receiver tells
when each one came, in RTCP packets of type 205/15.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from sinchphone.protocol.rtp.packet import HEADER, RTPFB, VERSION, RtcpReport, encode_report, parts_of
from sinchphone.protocol.rtp.sequence import PAST, SEQUENCES
from sinchphone.quick_dataclass import quick_dataclass

EXTENSION_URI: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
EXTENSION_BYTES: Final = 8  # of a packet: the extension's header, the number, padding
MAX_EXTENSION_ID: Final = 14  # of the header of one byte (RFC 8285 4.2)

_FORMAT: Final = 15
_EXTENDED: Final = 0x10
_ONE_BYTE, _TWO_BYTE = 0xBEDE, 0x1000

_ALONE: Final = tuple(struct.pack("!HHB", _ONE_BYTE, 1, identifier << 4 | 1) for identifier in range(MAX_EXTENSION_ID + 1))  # by its id

_TICKS: Final = 4000  # a second; a delta is 250 us
_REFERENCE_TICKS: Final = 256  # 64 ms
_REFERENCES: Final = 1 << 24
_MAX_RUN: Final = 0x1FFF
_VECTOR: Final = 7  # symbols of two bits in a chunk
_NONE, _SMALL, _LARGE = 0, 1, 2
_MAX_DELTA: Final = 0x7FFF

_MAX_STATUSES: Final = 400  # in a packet of ours: with the widest deltas it stays below the MTU
_MAX_TAKEN: Final = 2000  # of a peer's compound packet; a sender of sound has 50 a second
_KEPT: Final = 256  # arrivals that can be told of again, because one of before came late
_MAX_GAP: Final = 1000  # numbers that may be missing in a row, else it's another line of numbers


def number_packet(packet: bytes, extension_id: int, number: int) -> bytes:
    """The RTP packet (without extensions, CSRCs) with its transport-wide number (16 bits) in a one-byte header extension (RFC 8285 4.2)."""
    extension = struct.pack("!HHBHB", _ONE_BYTE, 1, extension_id << 4 | 1, number, 0)
    return bytes([packet[0] | _EXTENDED]) + packet[1 : HEADER.size] + extension + packet[HEADER.size :]


def packet_number(packet: bytes, extension_id: int) -> int | None:
    """The number in an RTP packet's header extension; ``None`` where it has none."""
    start = HEADER.size + 4 * (packet[0] & 0x0F)
    if not packet[0] & _EXTENDED or len(packet) < start + 4:
        return None
    if packet.startswith(_ALONE[extension_id], start) and len(packet) >= start + 8:
        return packet[start + 5] << 8 | packet[start + 6]  # as most senders' packets are
    profile, words = struct.unpack_from("!HH", packet, start)
    body = packet[start + 4 : start + 4 + 4 * words]
    elements = _elements(body, 1) if profile == _ONE_BYTE else _elements(body, 2) if profile & 0xFFF0 == _TWO_BYTE else ()
    value = next((value for identifier, value in elements if identifier == extension_id), b"")
    return int.from_bytes(value, "big") if len(value) == 2 else None


def _elements(body: bytes, head: int) -> Iterator[tuple[int, bytes]]:
    """The elements of an extension whose headers have so many bytes (RFC 8285 4.2, 4.3)."""
    position = 0
    while position < len(body):
        if not body[position]:  # padding
            position += 1
            continue
        if head == 1:
            identifier, size = body[position] >> 4, (body[position] & 0x0F) + 1
        else:
            identifier, size = body[position], body[position + 1] if position + 1 < len(body) else 0
        yield identifier, body[position + head : position + head + size]
        position += head + size


@quick_dataclass(frozen=True, slots=True)
class TransportFeedback:
    """What a receiver says of the packets from ``base`` on: when each came, in ticks of 250 us of its clock, ``None`` for not yet."""

    base: int
    arrivals: tuple[int | None, ...]

    @property
    def by_number(self) -> Iterator[tuple[int, float | None]]:
        """Each packet's number, and when it came [s]."""
        for step, ticks in enumerate(self.arrivals):
            yield (self.base + step) % SEQUENCES, None if ticks is None else ticks / _TICKS


WRAP_SECONDS: Final = _REFERENCES * _REFERENCE_TICKS / _TICKS  # 12 days, after which a receiver's clock begins again


class Arrivals:
    """When the numbered packets of one transport came, and what is still to be told of them. Times in seconds of one clock."""

    def __init__(self) -> None:
        self._ticks: dict[int, int] = {}  # by the number, with those of cycles before
        self._highest: int | None = None
        self._next = 0  # to tell of
        self._count = 0  # of feedback packets

    def note(self, number: int, now: float) -> None:
        """A packet came; a second time it's not counted."""
        if self._highest is None:
            self._highest = self._next = number + SEQUENCES
        step = (number - self._highest + PAST) % SEQUENCES - PAST
        if abs(step) > _MAX_GAP:
            self._ticks.clear()
            self._highest = self._next = number + SEQUENCES
            step = 0
        full = self._highest + step
        if full in self._ticks or full <= self._highest - _KEPT:
            return
        self._ticks[full] = round(now * _TICKS)
        self._next = min(self._next, full)  # what was overtaken by its report is told later
        self._highest = max(self._highest, full)

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return self._highest is not None and self._next <= self._highest

    def encode(self, sender: int, media: int, cname: str) -> list[bytes]:
        """Compound packets that tell of all since the last ones, each below the MTU."""
        packets = []
        while self:
            assert self._highest is not None, "there are arrivals"
            while self._next not in self._ticks:  # the highest is
                self._next += 1
            statuses = [self._ticks.get(number) for number in range(self._next, min(self._highest + 1, self._next + _MAX_STATUSES))]
            statuses = _near(statuses)
            body = struct.pack("!II", sender, media) + _encode_statuses(self._next, statuses, self._count)
            head = struct.pack("!BBH", VERSION | _FORMAT, RTPFB, len(body) // 4)
            packets.append(encode_report(RtcpReport(sender, None, ()), cname) + head + body)
            self._count = (self._count + 1) & 0xFF
            self._next += len(statuses)
        if self._highest is not None and len(self._ticks) > 2 * _KEPT:
            self._ticks = {number: ticks for number, ticks in self._ticks.items() if number > self._highest - _KEPT}
        return packets


def _near(statuses: list[int | None]) -> list[int | None]:
    """The first of them, as far as one packet can tell the time between two arrivals."""
    last = statuses[0]
    for index, ticks in enumerate(statuses):
        if ticks is not None and last is not None and abs(ticks - last) > _MAX_DELTA:
            return statuses[:index]
        last = last if ticks is None else ticks
    return statuses


def _encode_statuses(base: int, statuses: Sequence[int | None], count: int) -> bytes:
    first = next(ticks for ticks in statuses if ticks is not None)
    reference = first // _REFERENCE_TICKS
    last, symbols, deltas = reference * _REFERENCE_TICKS, [], b""
    for ticks in statuses:
        if ticks is None:
            symbols.append(_NONE)
            continue
        delta, last = ticks - last, ticks
        small = 0 <= delta <= 0xFF
        symbols.append(_SMALL if small else _LARGE)
        deltas += struct.pack("!B" if small else "!h", delta)
    head = struct.pack("!HHI", base % SEQUENCES, len(statuses), reference % _REFERENCES << 8 | count)
    body = head + b"".join(_encode_chunks(symbols)) + deltas
    return body + bytes(-len(body) % 4)


def _encode_chunks(symbols: list[int]) -> Iterator[bytes]:
    """Runs where they're as long as what a vector holds, vectors of two bits elsewhere: only the last one may have room left."""
    position = 0
    while position < len(symbols):
        symbol = symbols[position]
        run = next((step for step, other in enumerate(symbols[position:]) if other != symbol), len(symbols) - position)
        if run >= _VECTOR:
            yield struct.pack("!H", symbol << 13 | min(run, _MAX_RUN))
            position += min(run, _MAX_RUN)
            continue
        word = 0xC000
        for place, other in enumerate(symbols[position : position + _VECTOR]):
            word |= other << 2 * (_VECTOR - 1 - place)
        yield struct.pack("!H", word)
        position += _VECTOR


def decode_feedbacks(data: bytes) -> list[TransportFeedback]:
    """The feedback in a compound packet, up to the first part that can't be read."""
    found: list[TransportFeedback] = []
    left = _MAX_TAKEN
    for kind, form, body in parts_of(data):
        if (kind, form) == (RTPFB, _FORMAT):
            feedback = _decode(body[8:], left)
            if feedback is None:
                break
            left -= len(feedback.arrivals)
            found.append(feedback)
    return found


def _decode(body: bytes, most: int) -> TransportFeedback | None:
    if len(body) < 8:
        return None
    base, count, word = struct.unpack_from("!HHI", body)
    if not 0 < count <= most:
        return None
    symbols, position = _decode_chunks(body, count)
    ticks = (word >> 8) * _REFERENCE_TICKS
    arrivals: list[int | None] = []
    for symbol in symbols:
        size = symbol if symbol in (_SMALL, _LARGE) else 0
        if position + size > len(body):
            return None
        if size:
            ticks += int.from_bytes(body[position : position + size], "big", signed=size == _LARGE)
        arrivals.append(ticks if size else None)
        position += size
    return TransportFeedback(base, tuple(arrivals)) if len(arrivals) == count else None


def _decode_chunks(body: bytes, count: int) -> tuple[list[int], int]:
    """So many symbols, fewer where there are no more, and where the deltas begin."""
    symbols: list[int] = []
    position = 8
    while len(symbols) < count and position + 2 <= len(body):
        (chunk,) = struct.unpack_from("!H", body, position)
        position += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13 & 3] * min(chunk & _MAX_RUN, count - len(symbols))
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    return symbols[:count], position
