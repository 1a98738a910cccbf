"""Digits as RTP events: the payload, a machine that sends digits and one that hears them (RFC 4733).

::

    push("5#")  -> DigitSender.tick() every 20 ms   -> EventPacket | None (sound may go)
    packets     -> DigitReceiver.push(), expire()   -> Digit, once each, with its duration

An event's packets share one time stamp, that of its beginning, and say how long it has lasted so far; the last one is sent three
times. So a digit is heard as long as one of its packets arrives.
"""

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.digits import DIGITS
from sinchphone.quick_dataclass import quick_dataclass

PAUSES: Final = {"w": 0.5, "W": 1.0}  # [s]
MAX_UNSENT_DIGITS: Final = 256  # waiting to be sent
TICK_SECONDS: Final = 0.020  # between two packets: that of the sound (RFC 4733 2.5.1.1)

_PAYLOAD: Final = struct.Struct("!BBH")
_END: Final = 0x80
_VOLUME: Final = 0x3F
_MAX_DURATION: Final = 0xFFFF  # longer events go on in a segment with a time stamp of its own (RFC 4733 2.5.1.3)
_TONE_TICKS: Final = 5  # 100 ms; Q.24 asks for 40 at least
_END_PACKETS: Final = 3  # RFC 4733 2.5.1.4
_GAP_TICKS: Final = 5  # from the end of one digit to the next, the repeated ends among them
_LEVEL: Final = 10  # -10 dBm0, as telephones are (Q.23)

_SILENT_SECONDS: Final = 0.25  # the end was lost: senders say every 20 or 50 ms that it goes on
_BELIEVED_SECONDS: Final = 0.25  # beyond twice the time that passed: what a stall of the network makes of it
_END_AGAIN_SECONDS: Final = 0.1  # after the beginning, by time stamps
_FINISHED: Final = 16  # events whose late packets are known
_STALE_SECONDS: Final = 5.0  # a time stamp so much in the past isn't late any more: the sender began anew
_BURST: Final = 24  # digits at once: what a stall of the network may hold up
_PER_SECOND: Final = 15.0  # no keypad is faster (Q.24: 40 ms of tone, 40 ms of pause)


@quick_dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload of one packet. ``duration`` is in ticks of its payload type's clock."""

    code: int
    end: bool
    volume: int  # [-dBm0], 0 to 63
    duration: int


@quick_dataclass(frozen=True, slots=True)
class EventPacket:
    """What to send now. ``timestamp`` is that of the event's beginning, the same in all its packets."""

    payload: bytes
    timestamp: int
    marker: bool


@quick_dataclass(frozen=True, slots=True)
class Digit:
    """A digit that was heard: one of ``DIGITS``."""

    digit: str
    duration_ms: int


def encode_event(event: TelephoneEvent) -> bytes:
    """The four bytes of an event (RFC 4733 2.3)."""
    return _PAYLOAD.pack(event.code, (_END if event.end else 0) | min(event.volume, _VOLUME), min(event.duration, _MAX_DURATION))


def decode_event(payload: bytes) -> TelephoneEvent | None:
    """The first event of a payload; ``None`` where it's too short. (Several in one packet are for tones we don't know.)"""
    if len(payload) < _PAYLOAD.size:
        return None
    code, flags, duration = _PAYLOAD.unpack_from(payload)
    return TelephoneEvent(code, bool(flags & _END), flags & _VOLUME, duration)


def check_digits(digits: str) -> None:
    """Raises LocalProtocolError where something in ``digits`` can't be sent."""
    wrong = sorted(set(digits) - set(DIGITS) - set(PAUSES))
    if wrong:
        raise LocalProtocolError(f"not a digit: {' '.join(wrong)}", hint="digits are 0-9 * # A-D; w waits half a second, W a second")
    if len(digits) > MAX_UNSENT_DIGITS:
        raise LocalProtocolError(f"more than {MAX_UNSENT_DIGITS} digits")


@quick_dataclass(frozen=True, slots=True)
class _Tick:
    """What one tick sends: nothing, or a packet of a digit that has lasted for so many ticks."""

    code: int | None = None
    ticks: int = 0
    end: bool = False
    over: bool = False  # the digit or pause is: it can be heard as a whole from now on
    last: bool = False  # of the digit or pause


class DigitSender:
    """Sends digits one after the other. While ``sounding``, the sound is held back: an event's packets take its place in the stream."""

    def __init__(self, clock_rate: int) -> None:
        """``clock_rate`` [Hz] of the events' payload type."""
        self.pushed = 0
        self.done = 0  # of those pushed: equal when there is nothing left
        self.told = 0  # of those pushed: their end was sent once, so that the peer may act on them already
        self.clock_rate = clock_rate
        self._steps: deque[_Tick] = deque()
        self._timestamp = 0

    @property
    def sounding(self) -> bool:
        """Whether the next tick gives a packet."""
        return bool(self._steps) and self._steps[0].code is not None

    @property
    def idle(self) -> bool:
        """Whether all was sent."""
        return not self._steps

    def push(self, digits: str) -> None:
        """Send these after the ones before. Raises LocalProtocolError."""
        check_digits(digits)
        if self.pushed - self.done + len(digits) > MAX_UNSENT_DIGITS:
            raise LocalProtocolError(f"more than {MAX_UNSENT_DIGITS} digits wait to be sent")
        for digit in digits:
            self._steps.extend(_pause(PAUSES[digit]) if digit in PAUSES else _tone(DIGITS.index(digit)))
        self.pushed += len(digits)

    def tick(self, timestamp: int) -> EventPacket | None:
        """The packet for this moment, 20 ms after the one before. ``timestamp`` is that of the sound which would go now."""
        if not self._steps:
            return None
        step = self._steps.popleft()
        self.told += step.over
        self.done += step.last
        if step.code is None:
            return None
        marker = step.ticks == 1 and not step.end
        if marker:
            self._timestamp = timestamp & 0xFFFFFFFF
        event = TelephoneEvent(step.code, step.end, _LEVEL, round(step.ticks * TICK_SECONDS * self.clock_rate))
        return EventPacket(encode_event(event), self._timestamp, marker)


def _tone(code: int) -> Iterator[_Tick]:
    for ticks in range(1, _TONE_TICKS):
        yield _Tick(code, ticks)
    for sent in range(_END_PACKETS):
        yield _Tick(code, _TONE_TICKS, end=True, over=sent == 0)
    for left in range(_GAP_TICKS - _END_PACKETS, -1, -1):
        yield _Tick(last=left == 0)


def _pause(seconds: float) -> Iterator[_Tick]:
    for left in range(round(seconds / TICK_SECONDS) - 1, -1, -1):
        yield _Tick(over=left == 0, last=left == 0)


@quick_dataclass(frozen=True, slots=True)
class _Sounding:
    """The event that goes on."""

    code: int
    timestamp: int  # of its segment
    before: float  # [s] of the segments before
    duration: float  # [s] of this segment
    heard_at: float
    begun_at: float
    exact: bool  # its duration can be believed

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        said, passed = self.before + self.duration, self.heard_at - self.begun_at
        return said if self.exact or said <= 2 * passed + _BELIEVED_SECONDS else passed + TICK_SECONDS


class DigitReceiver:
    """Hears digits, each once, whatever packets of it are lost, doubled or late. Digits that come faster than anybody dials are dropped."""

    def __init__(self) -> None:
        self.dropped = 0
        self._sounding: _Sounding | None = None
        self._finished: deque[int] = deque(maxlen=_FINISHED)  # time stamps
        self._last: _Sounding | None = None  # of those
        self._allowance = float(_BURST)
        self._allowed_at: float | None = None

    def push(self, payload: bytes, timestamp: int, *, marker: bool, clock_rate: int, now: float, exact: bool = True) -> list[Digit]:
        """Take a packet that arrived at ``now`` [s]; ``clock_rate`` is that of its payload type. The digits that are over by that.

        Not ``exact``: the sound has another clock rate, and senders disagree about which of the two durations are counted in (baresip
        says 8000 and counts in Opus' 48 000). Then a duration that can't be is replaced by the time that passed.
        """
        digits = self.expire(now)
        event = decode_event(payload)
        if event is None or event.code >= len(DIGITS) or timestamp in self._finished:
            return digits
        current = self._sounding
        if current is not None and timestamp != current.timestamp:
            if _is_late(timestamp, current.timestamp, clock_rate):
                return digits
            if _continues(event, timestamp, marker, current):
                self._finished.append(current.timestamp)
                before = current.before + _MAX_DURATION / clock_rate
                current = replace(current, timestamp=timestamp, before=before, duration=0.0)
            else:
                digits += self._finish(now)
                current = None
        elif current is None and self._finished and _is_late(timestamp, self._finished[-1], clock_rate):
            return digits
        if current is None and self._is_end_again(event, timestamp, marker, clock_rate):
            return digits
        if current is None:
            current = _Sounding(event.code, timestamp, 0.0, 0.0, now, now, exact)
        if event.code == current.code:
            self._sounding = replace(current, duration=max(current.duration, event.duration / clock_rate), heard_at=now)
            digits += self._finish(now) if event.end else []
        return digits

    @property
    def sounds(self) -> bool:
        """Whether a digit's end is waited for."""
        return self._sounding is not None

    def expire(self, now: float) -> list[Digit]:
        """The digit whose end was lost, once nothing of it has come for a while."""
        if self._sounding is None or now - self._sounding.heard_at < _SILENT_SECONDS:
            return []
        return self._finish(now)

    def restart(self) -> list[Digit]:
        """The sender was replaced by another, whose time stamps are its own. What goes on is over."""
        digits = [] if self._sounding is None else self._finish(self._sounding.heard_at)
        self._finished.clear()
        self._last = None
        return digits

    def _finish(self, now: float) -> list[Digit]:
        sounding, self._sounding = self._sounding, None
        if sounding is None:
            return []
        self._finished.append(sounding.timestamp)
        self._last = sounding
        if not self._allow(now):
            self.dropped += 1
            return []
        return [Digit(DIGITS[sounding.code], round(sounding.seconds * 1000))]

    def _is_end_again(self, event: TelephoneEvent, timestamp: int, marker: bool, clock_rate: int) -> bool:
        """Whether it's one more end of the last digit: rtpengine 10.5, where it changes the clock rate, gives each a time stamp of its own.

        A digit that begins while the one before lasts can't be another one.
        """
        last = self._last
        if last is None or marker or not event.end or event.code != last.code:
            return False
        since = (timestamp - last.timestamp) % (1 << 32) / clock_rate
        return since < min(last.duration, _END_AGAIN_SECONDS)

    def _allow(self, now: float) -> bool:
        since = 0.0 if self._allowed_at is None else max(0.0, now - self._allowed_at)
        self._allowance = min(_BURST, self._allowance + since * _PER_SECOND)
        self._allowed_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


def _is_late(timestamp: int, known: int, clock_rate: int) -> bool:
    """Whether it is from before ``known``, and not so long before that the sender must have begun anew."""
    behind = (known - timestamp) % (1 << 32)
    return 0 < behind < _STALE_SECONDS * clock_rate


def _continues(event: TelephoneEvent, timestamp: int, marker: bool, current: _Sounding) -> bool:
    """Whether it's the next segment of a digit that is held down for long."""
    return event.code == current.code and not marker and (timestamp - current.timestamp) % (1 << 32) == _MAX_DURATION
