"""A leg's receive side: packets in from the network, samples out at the moment somebody needs them.

::

    network thread -> push -> jitter buffer -> pull -> decode, rebuild or conceal -> stretch -> samples -> sound thread

Nothing is decoded ahead and nothing waits in a queue: the delay is what the network's jitter asks for and no more.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.jitter import JitterBuffer, Lost, NotYet, Packet
from sinchphone.audio.stretch import adjust
from sinchphone.errors import MediaError

MAX_PAYLOAD_BYTES: Final = 1500  # an RTP packet fits into one datagram

_WAIT_SAMPLES: Final = 480  # made up at a time while a packet is late: the shortest that Opus conceals well
_FADE_FROM: Final = 20_160  # samples: 20 ms beyond the longest pause between Opus DTX packets (400 ms), whose background noise must go on
_FADE_TO: Final = RATE  # made-up sound is silent after a second
_SLACK: Final = 0.010  # [s] that the delay may be above the target, or 15 % of it
_SLACK_SHARE: Final = 0.15
_SHORTAGE: Final = 0.006  # [s] that it may be below: the target has 8 ms more than the jitter seen
_MAX_BLOCK: Final = 0.060  # [s] of a pull that is allowed for


class Decoder(Protocol):
    """One codec. ``duration`` and ``recoverable`` keep no state: they are called in the network thread while the others work."""

    def duration(self, payload: bytes) -> int:
        """Samples in a packet; 0 where it isn't one."""

    def recoverable(self, payload: bytes) -> int:
        """Samples before the packet that ``recover`` can rebuild from it; 0 where it carries no copy."""

    def decode(self, payload: bytes) -> Samples:
        """The packet's sound. Raises MediaError."""

    def conceal(self, samples: int) -> Samples:
        """``samples`` (at most a packet's) that carry on the sound before them. Raises MediaError."""

    def recover(self, payload: bytes, samples: int) -> Samples:
        """The last ``samples`` before the packet, from the copy in it. Raises MediaError."""


@dataclass(frozen=True, slots=True)
class ReceiverStats:
    """Counters since the start. ``None``: not known yet."""

    packets_received: int  # all that were pushed
    packets_late: int  # came after their moment
    packets_skipped: int  # came in time, but were left out in order to catch up
    bad_packets: int  # could not be decoded, or fit no stream
    concealed_samples: int  # made up; what was rebuilt from a copy isn't
    played_samples: int  # handed out since the first sound, with the concealed ones
    delay_ms: float | None  # from the arrival over the fastest path to the pull
    target_ms: float
    jitter_ms: float | None  # RFC 3550 A.8


class Receiver:
    """Turns one peer's packets into an endless line of samples. ``push`` and ``pull`` don't raise, whatever the peer sends.

    The buffer's lock is held for a few microseconds at a time, never while decoding: a network thread doesn't wait for a sound thread.
    """

    def __init__(self, decoder: Decoder, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._decoder = decoder
        self._clock = clock
        self._buffer = JitterBuffer()
        self._lock = threading.Lock()  # of the buffer and the count of bad packets
        self._pulling = threading.Lock()  # of all the rest: a decoder stands one thread
        self._ahead = silence(0)  # decoded, not handed out yet
        self._heard = False  # the first sound came
        self._made_up = 0  # samples in a row
        self._bad = self._received = self._concealed = self._played = 0
        self._delay: float | None = None

    def push(self, sequence: int, timestamp: int, payload: bytes, now: float | None = None) -> None:
        """Take a packet that arrived at ``now`` on ``clock`` (or just now). Any thread."""
        at = self._clock() if now is None else now
        samples = self._decoder.duration(payload) if 0 < len(payload) <= MAX_PAYLOAD_BYTES else 0
        packet = Packet(sequence % 0x10000, timestamp % 0x100000000, payload, samples, self._decoder.recoverable(payload) if samples else 0)
        with self._lock:
            self._received += 1
            if samples:
                self._buffer.push(packet, at)
            else:
                self._bad += 1

    def pull(self, samples: int) -> Samples:
        """Exactly the next ``samples``, decoded now; silence before the first sound. Any thread."""
        with self._pulling:
            now = self._clock()
            while len(self._ahead) < samples:
                self._ahead = np.concatenate([self._ahead, self._next(now, samples)])
            pulled, self._ahead = self._ahead[:samples], self._ahead[samples:]
            if self._heard:
                self._played += samples
            return pulled

    def stats(self) -> ReceiverStats:
        """Counters at this moment. Any thread."""
        with self._lock:
            buffer, bad, received = self._buffer.stats(), self._bad, self._received
        return ReceiverStats(
            packets_received=received,
            packets_late=buffer.late,
            packets_skipped=buffer.skipped,
            bad_packets=bad + buffer.stray,
            concealed_samples=self._concealed,
            played_samples=self._played,
            delay_ms=None if self._delay is None else self._delay * 1000,
            target_ms=buffer.target * 1000,
            jitter_ms=None if buffer.jitter is None else buffer.jitter * 1000,
        )

    def _next(self, now: float, wanted: int) -> Samples:
        """At least one sample more."""
        with self._lock:
            pulled = self._buffer.pull(now)
            delay, target = self._buffer.delay(now), self._buffer.target
        match pulled:
            case Packet():
                return self._decode(pulled, delay + pulled.samples / RATE, target, wanted)
            case Lost():
                return self._fill(pulled)
            case NotYet():
                return self._wait(wanted)

    def _decode(self, packet: Packet, delay: float, target: float, wanted: int) -> Samples:
        self._delay = delay + len(self._ahead) / RATE
        try:
            sound = self._decoder.decode(packet.payload)
        except MediaError:
            sound = silence(0)
        if not len(sound):
            with self._lock:
                self._bad += 1
            return self._conceal(packet.samples)
        self._heard = True
        self._made_up = 0
        return self._fit(sound, delay, target, min(wanted / RATE, _MAX_BLOCK))

    def _fit(self, sound: Samples, delay: float, target: float, block: float) -> Samples:
        """Shorten or lengthen ``sound`` a little where the delay is off the target.

        ``delay`` is what protects from jitter: it ends when a packet is asked for, which happens at the start of a block. So it moves
        in steps of up to a block, and the room between too much and too little is wider than that, lest the one follow the other.
        """
        if delay > target + max(_SLACK, _SLACK_SHARE * target, block):
            return adjust(sound, delay - target)
        if delay < target - _SHORTAGE:
            return adjust(sound, delay - (target - _SHORTAGE))
        return sound

    def _fill(self, hole: Lost) -> Samples:
        if hole.copy is not None:
            try:
                sound = self._decoder.recover(hole.copy.payload, hole.samples)
            except MediaError:
                return self._conceal(hole.samples)
            self._made_up = 0
            return sound
        return self._conceal(hole.samples)

    def _wait(self, wanted: int) -> Samples:
        if not self._heard:
            return silence(wanted - len(self._ahead))
        with self._lock:
            self._buffer.wait(_WAIT_SAMPLES)
        return self._conceal(_WAIT_SAMPLES)

    def _conceal(self, samples: int) -> Samples:
        """Made-up sound, which fades when it's all there is for long."""
        begun = self._made_up
        self._made_up += samples
        if begun >= _FADE_TO:
            return silence(samples)
        self._concealed += samples
        try:
            sound = self._decoder.conceal(samples)
        except MediaError:
            return silence(samples)
        if self._made_up <= _FADE_FROM:
            return sound
        gain = (_FADE_TO - np.arange(begun, begun + samples, dtype=np.float32)) / (_FADE_TO - _FADE_FROM)
        return (sound * np.clip(gain, 0, 1)).astype(np.int16)
