"""A leg's arrivals: sound into the receiver (or, as it is, to another leg), digits as events, and what there is to report about them.

::

    take(data) -> sound, with copies of it (RFC 2198) -> receiver, or the sink       wanted(): what to ask for again (RFC 4585)
               -> digits -> on_digit       and those that are in the sound -> on_tone
"""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from sinchphone.audio.frame import RATE
from sinchphone.audio.stream_watch import StreamWatch
from sinchphone.errors import RemoteProtocolError
from sinchphone.media.agreement import COMFORT_NOISE, Agreement
from sinchphone.media.codecs.choice import AnyDecoder, mark
from sinchphone.media.codecs.codec import CodecFormat, EncodedFrame
from sinchphone.media.legs.digits.tone_listener import ToneListener
from sinchphone.media.legs.receiver import MAX_PAYLOAD_BYTES, Receiver
from sinchphone.protocol.rtp.nack import Missing, Nack
from sinchphone.protocol.rtp.packet import Reception, ReportBlock, RtcpReport, RtpPacket, decode_packet
from sinchphone.protocol.rtp.red import Block, decode_red
from sinchphone.protocol.rtp.telephone_event import Digit, DigitReceiver

_SOURCE_SILENT_SECONDS: Final = 0.2  # a second source is heard once the first has been quiet for that long
_ASIDE: Final = 64  # packets without sound whose place among the others is known

Sink = Callable[[EncodedFrame], object]


class Inbound:
    """Sorts out what the packets are and whose. In the media thread only. ``on_digit`` is told of each digit, once; ``on_tone`` of each
    that comes as sound, from a peer that agreed to no telephone-events."""

    def __init__(
        self,
        on_digit: Callable[[Digit], None],
        on_tone: Callable[[Digit], None] | None = None,
        *,
        may_pause: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``may_pause``: the peer may suppress silence."""
        self.watch: Final = StreamWatch(may_pause=may_pause)
        self.packets = 0  # with those that are lost: all that were sent for the first time
        self.octets = 0  # of payload
        self._decoder = AnyDecoder()
        self.receiver: Final = Receiver(self._decoder, clock=clock)
        self._on_digit = on_digit
        self._on_tone = on_tone
        self._tones: ToneListener | None = None
        self._clock = clock
        self._sounds: dict[int, CodecFormat] = {}  # by payload type
        self._reds: frozenset[int] = frozenset()  # payload types of sound with copies
        self._events: dict[int, int] = {}  # payload type to clock rate
        self._sink: Sink | None = None
        self._digits = DigitReceiver()
        self._source: Reception | None = None
        self._missing = Missing()
        self._round_trip: float | None = None  # [s]
        self._lost_before = 0  # by sources that have been replaced
        self._aside = _Aside()
        self._heard_at = 0.0
        self._last_sr: tuple[int, int, float] | None = None  # source, the middle of its NTP time, when it came
        self._taken: tuple[float, int] | None = None  # of its last sender report: NTP time [s] and time stamp

    def expect(self, agreement: Agreement) -> None:
        """What may come from now on. Raises MediaError where a codec isn't there."""
        self._decoder.load([agreement.codec])
        self._decoder.expect(agreement.receives)
        self._listen_for_tones(agreement)
        self._sounds, self._events, self._reds = dict(agreement.receives), dict(agreement.events), agreement.repair.reds

    def _listen_for_tones(self, agreement: Agreement) -> None:
        if agreement.event is not None or self._on_tone is None:
            self._tones = None
            return
        self._tones = self._tones or ToneListener(self._on_tone)
        self._tones.expect(agreement)

    def divert(self, sink: Sink | None) -> None:
        """From now on give sound to ``sink`` as it comes, instead of the receiver."""
        self._sink = sink

    def take(self, data: bytes) -> bool:
        """An authentic RTP packet; whether it is sound that was taken in."""
        packet = decode_packet(data)
        if packet is None or len(packet.payload) >= MAX_PAYLOAD_BYTES:
            return False
        now, blocks = self._clock(), self._blocks(packet)
        if not blocks:
            self._take_aside(packet, now)
            return False
        source = self._select(packet.ssrc, self._sounds[blocks[-1].payload_type].clock_rate, now)
        if source is None:
            return False
        resumed = packet.marker and source.is_next(packet.sequence)
        again = self._arrive(packet, source, packet.timestamp, now)
        self.watch.came(now, resumed=resumed)
        if self._digits.sounds:
            self.expire(now)
        self._take_sound(packet, blocks, now, again=again)
        return True

    def goes_on_with(self, data: bytes) -> bool:
        """Whether an RTP packet is the next of a stream that has stopped: of the same SSRC, and not far ahead."""
        packet, source = decode_packet(data), self._source
        if packet is None or source is None or not self.is_missing():
            return False
        return packet.ssrc == source.ssrc and source.is_near(packet.sequence)

    def is_missing(self) -> bool:
        """Whether the peer ought to send, and nothing comes, or nothing ever came."""
        return self.watch.is_missing(self._clock())

    def wanted(self) -> Nack | None:
        """The packets to ask for at this moment, if there are any and an answer may come in time."""
        sequences = self._missing.due(self._clock()) if len(self._missing) else ()
        return Nack(self._source.ssrc, sequences) if sequences and self._source is not None else None

    def measured(self, round_trip_ms: float) -> None:
        """How long an answer takes."""
        self._missing.round_trip = self._round_trip = round_trip_ms / 1000

    def expire(self, now: float | None = None) -> None:
        """Tell of a digit whose end was lost."""
        self._tell(self._digits.expire(self._clock() if now is None else now))

    def note(self, report: RtcpReport) -> None:
        """A report of the peer; a sender report is answered with its time."""
        self.watch.reported(self._clock())
        if report.sender is None or (self._source is not None and report.ssrc != self._source.ssrc):  # pictures have their own
            return
        self._last_sr = (report.ssrc, (report.sender.ntp_time >> 16) & 0xFFFFFFFF, self._clock())
        self._taken = report.sender.ntp_time / (1 << 32), report.sender.rtp_timestamp

    def heard_at(self, ntp: float) -> float | None:
        """When sound of that time at the sender [s, NTP] is played here; ``None`` while nothing plays, or before it has reported."""
        if self._taken is None or self._source is None:
            return None
        at, timestamp = self._taken
        scale = RATE // self._source.rate
        return self.receiver.heard_at((timestamp * scale + round((ntp - at) * RATE)) & 0xFFFFFFFF)

    def report(self) -> tuple[ReportBlock, ...]:
        """What to report about the source, if there is one."""
        if self._source is None:
            return ()
        if self._last_sr is None or self._last_sr[0] != self._source.ssrc:
            return (self._source.report(0, 0),)
        _, middle, came_at = self._last_sr
        return (self._source.report(middle, int((self._clock() - came_at) * 65_536) & 0xFFFFFFFF),)

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return self._lost_before + (self._source.lost if self._source else 0)

    @property
    def transit(self) -> float | None:
        """How long the last packet took [s], by the peer's clock and ours: only changes mean anything. ``None`` before the first one."""
        return self._source.transit if self._source else None

    @property
    def jitter_ms(self) -> float | None:
        """Interarrival jitter; ``None`` before the first packet."""
        return self._source.jitter_ms if self._source else None

    def _blocks(self, packet: RtpPacket) -> tuple[Block, ...]:
        """The frames in a packet, oldest first; none where there's no sound in it that we know."""
        if packet.payload_type in self._sounds:
            return (Block(packet.payload_type, 0, packet.payload),)
        if packet.payload_type not in self._reds:
            return ()
        try:
            blocks = decode_red(packet.payload)
        except RemoteProtocolError:
            return ()
        known = tuple(block for block in blocks if block.payload_type in self._sounds)
        return known if known and known[-1] is blocks[-1] and not blocks[-1].offset else ()

    def _take_sound(self, packet: RtpPacket, blocks: tuple[Block, ...], now: float, *, again: bool) -> None:
        """The packet's own frame, and the copies of those before it. Of these only what is missing is passed on, in its order."""
        *copies, primary = blocks
        if self._tones is not None and not again:
            self._tones.push(packet.sequence, primary.payload_type, primary.payload)
        frames = [(packet.sequence, primary)]
        for age, copy in enumerate(reversed(copies), 1):
            number = (packet.sequence - age) & 0xFFFF
            if number in self._aside:  # before a digit, or held back while it was sent
                break
            if self._missing.found(number) or self._sink is None:
                frames.append((number, copy))
        if self._sink is not None:
            for number, block in reversed(frames):
                self._pass_on(packet, number, block)
            return
        for number, block in frames:
            timestamp = (packet.timestamp - block.offset) * self._sounds[block.payload_type].samples_per_tick
            spare = again or block is not primary
            self.receiver.push(self._aside.close_up(number), timestamp, mark(block.payload_type, block.payload), now, spare=spare)

    def _pass_on(self, packet: RtpPacket, number: int, block: Block) -> None:
        if self._sink is not None:
            codec, timestamp = self._sounds[block.payload_type], (packet.timestamp - block.offset) & 0xFFFFFFFF
            marker = packet.marker and number == packet.sequence
            self._sink(EncodedFrame(codec, block.payload, timestamp, self._aside.close_up(number), marker))

    def _take_aside(self, packet: RtpPacket, now: float) -> None:
        """A packet that belongs to the stream and isn't sound: a digit or comfort noise. It arrived, so it counts as received.

        Some gateways send digits with an SSRC of their own, beside that of the sound: they are heard all the same.
        """
        clock_rate = self._events.get(packet.payload_type)
        if clock_rate is None and packet.payload_type != COMFORT_NOISE:
            self._pass_over(packet, now)
            return
        source = self._select(packet.ssrc, None, now)
        if source is not None:
            again = self._arrive(packet, source, None, now)
            self.watch.came(now, rests=clock_rate is None)
            self._aside.put(packet.sequence)
            if not again:
                self.receiver.rest(-math.inf if clock_rate else -float(packet.payload[0] & 0x7F))  # the level of noise: RFC 3389 3.1
        if clock_rate is None:
            return
        self._tones = None  # it sends them all the same
        exact = self._source is None or self._source.rate == clock_rate
        self._tell(self._digits.push(packet.payload, packet.timestamp, marker=packet.marker, clock_rate=clock_rate, now=now, exact=exact))

    def _pass_over(self, packet: RtpPacket, now: float) -> None:
        """A packet of the same source that we can't read: it has a number all the same, and isn't missing."""
        source = self._source
        if source is not None and packet.ssrc == source.ssrc and not self._missing.arrived(packet.sequence, now):
            source.count(packet.sequence, None, now)

    def _arrive(self, packet: RtpPacket, source: Reception, timestamp: int | None, now: float) -> bool:
        """Count a packet; whether it was sent again at our request, which tells nothing of the line (as RFC 4588 says of its own)."""
        again = self._missing.arrived(packet.sequence, now)
        if not again:
            self.packets += 1
            self.octets += len(packet.payload)
            source.count(packet.sequence, timestamp, now)
        return again

    def _tell(self, digits: list[Digit]) -> None:
        for digit in digits:
            self._on_digit(digit)

    def _select(self, ssrc: int, clock_rate: int | None, now: float) -> Reception | None:
        """The source with that SSRC; ``None`` where another one is speaking."""
        source = self._source
        if source is None or source.ssrc != ssrc or clock_rate not in (None, source.rate):
            if source is not None:
                if source.ssrc != ssrc and now - self._heard_at < _SOURCE_SILENT_SECONDS:
                    return None
                self._lost_before += source.lost
                if source.ssrc != ssrc:
                    self._tell(self._digits.restart())
                    self._aside = _Aside()
                    self._missing = Missing()
                    self._missing.round_trip = self._round_trip
                    self.receiver.restart()
            self._source = source = Reception(ssrc, clock_rate or 8_000)
        self._heard_at = now
        return source


class _Aside:
    """Takes packets without sound out of the sequence numbers: whoever looks for lost sound must not find them missing."""

    def __init__(self) -> None:
        self._numbers: deque[int] = deque(maxlen=_ASIDE)
        self._count = 0

    def __contains__(self, sequence: int) -> bool:
        """Whether it's the number of such a packet."""
        return sequence in self._numbers

    def put(self, sequence: int) -> None:
        """A packet without sound came."""
        if sequence not in self._numbers:
            self._numbers.append(sequence)
            self._count += 1

    def close_up(self, sequence: int) -> int:
        """The number that a packet of sound has among those of sound."""
        later = sum((number - sequence) & 0xFFFF < 0x8000 for number in self._numbers) if self._numbers else 0
        return (sequence - self._count + later) & 0xFFFF
