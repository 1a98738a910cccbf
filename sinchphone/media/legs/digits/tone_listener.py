"""Hears digits that a peer sends as sound, since it agreed to no telephone-events: decodes what arrives once more, for that alone.

The receiver's own sound is pulled by a device, and not at all where packets pass to another leg as they are; this one listens in either
case. A digit is heard some 40 ms after its end.
"""

from collections.abc import Callable

from sinchphone.audio.frame import RATE
from sinchphone.audio.tones.dtmf import Detector
from sinchphone.errors import MediaError
from sinchphone.media.agreement import Agreement
from sinchphone.media.codecs.choice import AnyDecoder, mark
from sinchphone.protocol.rtp.sequence import PAST
from sinchphone.protocol.rtp.telephone_event import Digit


class ToneListener:
    """In the media thread only. ``on_digit`` is told of each digit, once it's over."""

    def __init__(self, on_digit: Callable[[Digit], None]) -> None:
        self._on_digit = on_digit
        self._decoder = AnyDecoder()
        self._detector = Detector()
        self._last: int | None = None

    def expect(self, agreement: Agreement) -> None:
        """What may come from now on. Raises MediaError where a codec isn't there."""
        self._decoder.load([agreement.codec])
        self._decoder.expect(agreement.receives)

    def push(self, sequence: int, payload_type: int, payload: bytes) -> None:
        """A packet of sound that came. What comes behind a later one is left out: a digit lasts for two packets at least."""
        if self._last is not None and not 0 < (sequence - self._last) & 0xFFFF < PAST:
            return
        self._last = sequence
        try:
            sound = self._decoder.decode(mark(payload_type, payload))
        except MediaError:
            return
        for heard in self._detector.push(sound):
            self._on_digit(Digit(heard.digit, round(heard.samples * 1000 / RATE)))
