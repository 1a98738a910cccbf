"""Requests for packets that didn't come: generic NACK as bytes, and which packets to ask for when (RFC 4585 6.2.1)."""

import struct
from collections import deque
from collections.abc import Iterable
from typing import Final

from sinchphone.protocol.rtp.packet import RTPFB, VERSION, RtcpReport, encode_report, parts_of
from sinchphone.protocol.rtp.sequence import PAST, SEQUENCES
from sinchphone.quick_dataclass import quick_dataclass

MAX_ROUND_TRIP: Final = 0.100  # [s] over a longer path what is sent again comes too late for a conversation

_GENERIC_NACK: Final = 1
_ITEM: Final = struct.Struct("!HH")
_MAX_ITEMS: Final = 32  # taken from one compound packet

MAX_NACKED: Final = 25  # packets in one request
_MAX_GAP: Final = 25  # packets of sound: half a second that is missing is an interruption, no loss to mend
_MAX_REQUESTS: Final = 100  # packets that are waited for; more are missing in a flood of numbers only
_TRIES: Final = 3
FIRST_ROUND_TRIP: Final = 0.050  # [s] until it is known
_LEAST_WAIT: Final = 0.020  # [s] between two requests for the same packet
_FORGET: Final = 0.400  # [s] nobody waits longer than that for a packet
_OVERTAKEN_FRESH: Final = 10.0  # [s] a packet that was only overtaken is remembered: others will be,
_OVERTAKEN_MORE: Final = 0.010  # [s] as late and a little more,
_LONGEST_PATIENCE: Final = 0.080  # [s] within bounds: an answer must still come in time
_SURELY_OURS: Final = 0.7  # of the round trip: what comes sooner after the request was only overtaken


@quick_dataclass(frozen=True, slots=True)
class Nack:
    """Packets of one source that its receiver misses."""

    ssrc: int
    sequences: tuple[int, ...]


def encode_nack(sender: int, nack: Nack, cname: str) -> bytes:
    """A compound packet: an empty receiver report, the sender's name, the request (RFC 4585 3.1). At most 25 packets are asked for."""
    items = _pack(nack.sequences[:MAX_NACKED])
    body = struct.pack("!II", sender, nack.ssrc) + b"".join(_ITEM.pack(first, mask) for first, mask in items)
    head = struct.pack("!BBH", VERSION | _GENERIC_NACK, RTPFB, len(body) // 4)
    return encode_report(RtcpReport(sender, None, ()), cname) + head + body


def decode_nacks(data: bytes) -> list[Nack]:
    """The requests in a compound packet, up to the first part that can't be read."""
    nacks: list[Nack] = []
    left = _MAX_ITEMS
    for kind, form, body in parts_of(data):
        items = range(8, min(len(body) - 3, 8 + 4 * left), 4)
        if (kind, form) == (RTPFB, _GENERIC_NACK) and items:
            left -= len(items)
            sequences = tuple(sequence for at in items for sequence in _unpack(*_ITEM.unpack_from(body, at)))
            nacks.append(Nack(int.from_bytes(body[4:8], "big"), sequences))
    return nacks


@quick_dataclass(frozen=True, slots=True)
class RepairPatience:
    """What is asked for: gaps of so many packets at most, so often, until it is too late [s], over paths with such a round trip [s]."""

    gap: int
    tries: int
    forget: float
    round_trip: float


SOUND_PATIENCE: Final = RepairPatience(_MAX_GAP, _TRIES, _FORGET, MAX_ROUND_TRIP)
PICTURE_PATIENCE: Final = RepairPatience(100, 10, 1.0, 0.400)  # nothing can be shown without it


class Missing:
    """Which packets of one source didn't come, and when to ask for them (again). All times in seconds of one clock."""

    def __init__(self, patience: RepairPatience = SOUND_PATIENCE) -> None:
        self._terms = patience
        self._round_trip: float | None = None
        self._shortest: float | None = None
        self._highest: int | None = None
        self._requests: dict[int, _Request] = {}
        self._found: dict[int, _Request] = {}  # whose sound came by another way before them
        self._answers: dict[int, int] = {}  # that may still come, for packets that have come or are waited for no longer
        self._overtaken: deque[tuple[float, float]] = deque(maxlen=_MAX_REQUESTS)  # when one came by itself, and how late

    @property
    def round_trip(self) -> float | None:
        """How long an answer takes, as far as it's known [s]."""
        return self._round_trip

    @round_trip.setter
    def round_trip(self, seconds: float | None) -> None:
        self._round_trip = seconds
        if seconds is not None:
            self._shortest = seconds if self._shortest is None else min(seconds, self._shortest)

    def __len__(self) -> int:
        """Packets that are waited for."""
        return len(self._requests)

    def arrived(self, sequence: int, now: float) -> bool:
        """A packet came; whether it is one that was sent again at our request."""
        if self._highest is None:
            self._highest = sequence
            return False
        ahead = (sequence - self._highest) % SEQUENCES
        if 0 < ahead < PAST:
            if ahead == 1 and len(self._requests) < _MAX_REQUESTS:
                pass  # nothing is missing
            elif ahead <= self._terms.gap and len(self._requests) < _MAX_REQUESTS:
                first = _Request(now, next_at=now + self._patience(now))
                self._requests |= {(self._highest + step) % SEQUENCES: first for step in range(1, ahead)}
            else:
                self._requests.clear()
                self._found.clear()
                self._answers.clear()
            self._highest = sequence
            return False
        request = self._requests.pop(sequence, None) or self._found.pop(sequence, None)
        if request is None:
            return self._comes_again(sequence)
        least = FIRST_ROUND_TRIP if self._shortest is None else self._shortest  # one report that was late says little of an answer
        again = request.tries > 0 and now - request.asked_at >= _SURELY_OURS * least
        self._expect_answers(sequence, request.tries - again)
        if not again:
            self._overtaken.append((now, now - request.missed_at))
        return again

    def _expect_answers(self, sequence: int, count: int) -> None:
        if count:
            self._answers[sequence] = count
            if len(self._answers) > _MAX_REQUESTS:
                del self._answers[next(iter(self._answers))]

    def _comes_again(self, sequence: int) -> bool:
        """Whether a packet that has come already is one more answer to our requests."""
        left = self._answers.pop(sequence, 0)
        if left > 1:
            self._answers[sequence] = left - 1
        return left > 0

    def found(self, sequence: int) -> bool:
        """What the packet held came by another way: no need to ask for it. Whether it was missing."""
        request = self._requests.pop(sequence, None)
        if request is not None:
            if len(self._found) >= _MAX_REQUESTS:
                self._found.clear()
            self._found[sequence] = request
        return request is not None

    def _patience(self, now: float) -> float:
        """How long to wait for a packet that may only be overtaken [s]: where none was, it's asked for at once."""
        late = [seconds for at, seconds in self._overtaken if now - at < _OVERTAKEN_FRESH]
        return min(max(late) + _OVERTAKEN_MORE, _LONGEST_PATIENCE) if late else 0.0

    def due(self, now: float) -> tuple[int, ...]:
        """The packets to ask for at this moment; counts as asked. Nothing where the path is too long for an answer in time."""
        due: list[int] = []
        for sequence, request in list(self._requests.items()):
            if now - request.missed_at > self._terms.forget:
                del self._requests[sequence]
                self._expect_answers(sequence, request.tries)  # it's given up, and may come all the same: over a long queue
            elif request.tries < self._terms.tries and now >= request.next_at and self._expected_round_trip <= self._terms.round_trip:
                wait = max(_LEAST_WAIT, 1.25 * self._expected_round_trip)
                asked_at = request.asked_at if request.tries else now
                self._requests[sequence] = _Request(request.missed_at, request.tries + 1, asked_at, now + wait)
                due.append(sequence)
        return tuple(due)

    @property
    def _expected_round_trip(self) -> float:
        return FIRST_ROUND_TRIP if self._round_trip is None else self._round_trip


@quick_dataclass(frozen=True, slots=True)
class _Request:
    missed_at: float
    tries: int = 0
    asked_at: float = 0.0  # for the first time
    next_at: float = 0.0


def _pack(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Pairs of a sequence number and a mask of the sixteen after it."""
    items: list[tuple[int, int]] = []
    for sequence in sequences:
        ahead = (sequence - items[-1][0]) % SEQUENCES if items else 0
        if 1 <= ahead <= 16:
            items[-1] = (items[-1][0], items[-1][1] | 1 << (ahead - 1))
        elif not items or ahead:
            items.append((sequence, 0))
    return items


def _unpack(first: int, mask: int) -> list[int]:
    return [first, *((first + step) % SEQUENCES for step in range(1, 17) if mask >> (step - 1) & 1)]
