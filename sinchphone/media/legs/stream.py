"""One leg's sound, whatever path its packets take: WebRTC and plain RTP share all that is in here.

::

    leg.send, forward, dtmf -> Outbound -> transmit -> the path
    leg.pull, divert, DigitHeard <- Inbound <- take <- the path        report, bye: RTCP about both
"""

import logging
import random
import time
from collections.abc import Callable
from typing import Final

from sinchphone.media.agreement import Agreement
from sinchphone.media.clock import steady_epoch
from sinchphone.media.codecs.codec import CodecFormat, DecodedFrame, EncodedFrame
from sinchphone.media.legs.digits.keypad import Keypad
from sinchphone.media.legs.inbound import Inbound, Sink
from sinchphone.media.legs.leg import PortLeg
from sinchphone.media.legs.outbound import Outbound
from sinchphone.media.legs.path_control import BELOW_BYTES, PathControl
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import FirstPacket, PortDigitHeard, PortEvent, PortStats
from sinchphone.protocol.rtp.nack import decode_nacks, encode_nack
from sinchphone.protocol.rtp.packet import RtcpReport, block_about, decode_reports, encode_bye, encode_report, ntp_time, round_trip_ms
from sinchphone.protocol.rtp.telephone_event import Digit
from sinchphone.protocol.rtp.transport_feedback import decode_feedbacks

_log = logging.getLogger(__name__)

_REPORT_SECONDS: Final = 1.0


class Stream:
    """Joins a leg to a path. In the media thread only, but for the leg's ``pull``."""

    def __init__(
        self,
        ssrc: int,
        cname: str,
        transmit: Callable[[bytes], bool],
        tell: Callable[[PortEvent], None],
        leg: PortLeg,
        *,
        may_pause: bool = False,
        max_kbps: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = steady_epoch,
    ) -> None:
        """``may_pause``: the peer may suppress silence. ``max_kbps``: all that may be sent. ``wall``: seconds since 1970, for reports."""
        self.agreement: Agreement | None = None
        self._cname = cname
        self._transmit = transmit
        self._tell = tell
        self._clock = clock
        self._wall = wall
        self.path: Final = PathControl(transmit, max_kbps=max_kbps, clock=clock)
        self._outbound = Outbound(ssrc, self.path, clock=clock)
        self._inbound = Inbound(self._digit_heard, self._tone_heard, may_pause=may_pause, clock=clock)
        self._keypad = Keypad(self._outbound)
        self._round_trip_ms: float | None = None
        self._sent_loss_percent: float | None = None
        self._heard = False
        self.received_at: float | None = None  # when the peer told last that packets of ours have come since it told before
        self._highest_told: int | None = None  # of our sequence numbers
        self._line_bytes = 0  # that came, with all headers
        leg.join(self._outbound, self._inbound)

    @property
    def codec(self) -> CodecFormat | None:
        """What was agreed on."""
        return None if self.agreement is None else self.agreement.codec

    def agree(self, agreement: Agreement) -> None:
        """Hear the peer in this way from now on. Raises MediaError where a codec isn't there."""
        self._inbound.expect(agreement)
        self.agreement = agreement
        self.path.agree(agreement.numbering)
        self._keypad.agree(agreement.event)

    def number(self, *, alike: int | None) -> None:
        """Pictures go over the same path, numbered by ``alike``: packets are, only where the sound is in the same way."""
        if self.agreement is not None and self.agreement.numbering != alike:
            self.path.agree(None)

    def heard_at(self, ntp: float) -> float | None:
        """When sound that the peer took at that time of its own [s, NTP] is heard here; ``None`` while that isn't known."""
        return self._inbound.heard_at(ntp)

    @property
    def delay(self) -> float:
        """How late the sound is heard after it could be [s]."""
        return (self._inbound.receiver.stats().delay_ms or 0.0) / 1000

    def delay_at_least(self, seconds: float) -> None:
        """Have it so late from now on: the pictures are."""
        self._inbound.receiver.delay_at_least(seconds)

    def expect(self, *, wanted: bool) -> None:
        """From now on the peer ought to send, or need not."""
        self._inbound.watch.expect(self._clock(), wanted=wanted)

    def open(self) -> None:
        """Send as agreed, from now on."""
        if self.agreement is not None:
            self._outbound.start(self.agreement)

    def shut(self) -> None:
        """Send nothing more, until ``open``."""
        self._keypad.stop()
        self._outbound.stop()

    def take(self, data: bytes, control: bool) -> None:
        """An authentic packet of the peer, RTP or RTCP."""
        if control:
            self._take_reports(decode_reports(data))
            for nack in decode_nacks(data):
                if nack.ssrc == self._outbound.ssrc:
                    self._outbound.resend(nack.sequences)
            self._take_feedback(data)
            return
        self._line_bytes += len(data) + BELOW_BYTES
        self.path.arrived(data, self._outbound.ssrc, self._cname)
        if self._inbound.take(data):
            if self._inbound.transit is not None:
                self.path.came(data, self._inbound.transit)
            if not self._heard:
                self._heard = True
                self._tell(FirstPacket())
            self._ask()

    def is_missing(self) -> bool:
        """Whether the peer ought to send, and nothing comes."""
        return self._inbound.is_missing()

    def goes_on_with(self, data: bytes) -> bool:
        """Whether an RTP packet is the next of a stream that has stopped."""
        return self._inbound.goes_on_with(data)

    async def dtmf(self, digits: str) -> None:
        """Send digits. Raises LocalProtocolError or MediaError."""
        await self._keypad.press(digits)

    def divert(self, sink: Sink | None) -> None:
        """Give what comes to ``sink`` instead of the receiver."""
        self._inbound.divert(sink)

    def takes(self, frame: EncodedFrame) -> bool:
        """Whether the peer takes such packets of another leg as they are."""
        return self._outbound.takes(frame)

    def forward(self, frame: EncodedFrame) -> bool:
        """Send a packet of another leg; whether it went out."""
        return self._outbound.forward(frame)

    def carry(self, heard: DecodedFrame) -> None:
        """Encode and send the sound of another leg's packet."""
        self._outbound.carry(heard)

    def check_in(self) -> float:
        """How long until the path should be measured by a check [s]; infinite where it needs none."""
        return self.path.check_in()

    def checked(self, path: object) -> int:
        """A check goes out over ``path``; its number."""
        number = self.path.checked(path)
        self._outbound.follow_path()  # an answer may be missing
        return number

    def answered(self, number: int) -> None:
        """The answer to the check of that number has come."""
        self.path.answered(number)
        self._outbound.follow_path()

    def report(self) -> bytes:
        """The RTCP packet for this moment (RFC 3550 6.4)."""
        self._inbound.expire()
        self._outbound.follow_path()  # a peer that never tells anything isn't waited for
        report = RtcpReport(self._outbound.ssrc, self._outbound.report(self._wall()), self._inbound.report())
        return self.path.control(encode_report(report, self._cname))

    def next_report_s(self, mean: float = _REPORT_SECONDS) -> float:
        """How long to wait before the next one: at random, lest many reports come at once (RFC 3550 6.2)."""
        return mean * random.uniform(0.5, 1.5)

    def bye(self) -> bytes:
        """The RTCP packet that says goodbye."""
        _log.debug("what came was put into order: %s", self._inbound.receiver.buffered())
        return encode_bye(self._outbound.ssrc, self._cname)

    def stats(self, codec: str | None) -> PortStats:
        """Counters at this moment."""
        played = self._inbound.receiver.stats()
        return PortStats(
            codec=codec,
            packets_sent=self._outbound.packets,
            packets_received=self._inbound.packets,
            packets_lost=self._inbound.lost,
            bytes_sent=self._outbound.octets,
            bytes_received=self._inbound.octets,
            line_bytes_sent=self.path.sent_bytes(self._outbound.ssrc),
            line_bytes_received=self._line_bytes,
            concealed_samples=played.concealed_samples,
            absent_samples=played.absent_samples,
            played_samples=played.played_samples,
            recovered_samples=played.recovered_samples,
            coded_bytes=played.coded_bytes,
            coded_samples=played.coded_samples,
            silent_s=self._inbound.watch.silent_s(self._clock()),
            jitter_ms=self._inbound.jitter_ms,
            delay_ms=played.delay_ms,
            round_trip_ms=self._round_trip_ms,
            sent_loss_percent=self._sent_loss_percent,
        )

    def _take_reports(self, reports: list[RtcpReport]) -> None:
        for report in reports:
            self._inbound.note(report)
        block = block_about(reports, self._outbound.ssrc)
        if block is not None:
            if block.highest_sequence != self._highest_told:
                self._highest_told, self.received_at = block.highest_sequence, self._clock()
            self._sent_loss_percent = block.fraction_lost / 2.56
            self._round_trip_ms = round_trip_ms(block, ntp_time(self._wall())) or self._round_trip_ms
            self.path.reported(block, self._round_trip_ms)
            self._outbound.adapt(block)
            if self._round_trip_ms is not None:
                self._inbound.measured(self._round_trip_ms)

    def _take_feedback(self, data: bytes) -> None:
        feedbacks = decode_feedbacks(data)
        for feedback in feedbacks:
            if self.path.fed_back(feedback):
                self.received_at = self._clock()
        if feedbacks:
            self._outbound.follow_path()

    def _ask(self) -> None:
        """For packets that didn't come."""
        wanted = self._inbound.wanted() if self.agreement is not None and self.agreement.repair.nack else None
        if wanted is not None:
            self._transmit(self.path.control(encode_nack(self._outbound.ssrc, wanted, self._cname)))

    def _digit_heard(self, digit: Digit) -> None:
        self._tell(PortDigitHeard(digit=digit.digit, duration_ms=digit.duration_ms))

    def _tone_heard(self, digit: Digit) -> None:
        self._tell(PortDigitHeard(digit=digit.digit, duration_ms=digit.duration_ms, in_band=True))


class StreamPort:
    """What a port's stream does for it over whichever transport: the part of ``media.port.PassingPort`` that WebRTC and RTP have alike. Who
    inherits it makes the ``_stream``."""

    _stream: Stream

    def __init__(self, events: Outbox[PortEvent] | None, leg: PortLeg | None) -> None:
        """``events`` and ``leg`` where they were handed out before the port was made."""
        self._events = events or Outbox[PortEvent]()
        self._leg = leg or PortLeg()

    def events(self) -> Outbox[PortEvent]:
        """What happens, in order; ends when the port is closed. One reader, on any loop."""
        return self._events

    @property
    def leg(self) -> PortLeg:
        """The sound face."""
        return self._leg

    @property
    def codec(self) -> CodecFormat | None:
        """What was agreed on; ``None`` before that."""
        return self._stream.codec

    async def dtmf(self, digits: str) -> None:
        """Send digits after those asked for before; returns when they are sent. Raises LocalProtocolError, MediaError."""
        await self._stream.dtmf(digits)

    def divert(self, sink: Sink | None) -> None:
        """From now on give what comes to ``sink`` instead of decoding it; ``None`` ends that. In the media loop only."""
        self._stream.divert(sink)

    def takes(self, frame: EncodedFrame) -> bool:
        """Whether the peer takes such packets of another port as they are. In the media loop only."""
        return self._stream.takes(frame)

    def forward(self, frame: EncodedFrame) -> bool:
        """Send a packet of another port as it is; whether it went out. In the media loop only."""
        return self._stream.forward(frame)

    def carry(self, heard: DecodedFrame) -> None:
        """Encode and send what a packet of another port held. In the media loop only."""
        self._stream.carry(heard)
