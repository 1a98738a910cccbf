"""A leg's send side: frames to a codec to RTP, at once and without a queue; or somebody else's packets, or digits (RFC 3550).

One line of sequence numbers and one of time stamps, whatever goes into it::

    send(frame)     samples, cut to packets, encoded   \\
    carry(sound)    of another leg's packet, encoded     |
    forward(frame)  a packet of another leg, as it is   >--> sequence, time stamp, SSRC --> transmit
    event(packet)   a digit, in place of sound         /

    adapt(report), resend(numbers) --> RedundancyController --> bit rate, forward error correction, copies in what ``send`` sends (RFC 2198)
    what the path carries (``PathControl``) -->
"""

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Final

from sinchphone.audio.frame import FRAME_SECONDS, RATE, Frame, Samples
from sinchphone.audio.redundancy import HEADER_BYTES, RedundancyController
from sinchphone.errors import MediaError
from sinchphone.media.agreement import Agreement, OpusWishes, RepairTerms
from sinchphone.media.codecs.codec import OPUS, CodecFormat, DecodedFrame, EncodedFrame
from sinchphone.media.codecs.opus import is_needless
from sinchphone.media.legs.packet_time import USUAL_MS, Packetizer, fits, most_frames, packet_ms
from sinchphone.media.legs.path_control import PathControl
from sinchphone.media.legs.repair import Copies, Resends
from sinchphone.media.legs.shared_encoding import LegEncoder
from sinchphone.protocol.congestion.allocation import Demand, Priority
from sinchphone.protocol.rtp.packet import ReportBlock, RtpPacket, SenderInfo, encode_packet, ntp_time
from sinchphone.protocol.rtp.telephone_event import EventPacket
from sinchphone.protocol.rtp.transport_feedback import EXTENSION_BYTES
from sinchphone.protocol.sdp.session_description import PacketTimes

_PAUSE_SECONDS: Final = 0.3  # a longer gap between two frames is a pause on the time line too, not a late frame
_MAX_GAP: Final = 50  # lost packets in a row that are shown to the peer as such; 1 s
_MAX_STRAY: Final = 1.0  # [s] that a passed time stamp may be off the clock before it counts as another time line


class Outbound:
    """Encodes and numbers. In the media thread only."""

    def __init__(self, ssrc: int, path: PathControl, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.octets = 0  # of payload
        self.faults = 0  # frames that the encoder refused
        self.suspended = False  # a digit is being sent: no sound meanwhile
        self._path = path
        self._clock = clock
        self._agreement: Agreement | None = None
        self._encoder: LegEncoder | None = None
        self._redundancy = RedundancyController(fec=False, red=False)
        self._setting = self._redundancy.setting
        self._terms: tuple[CodecFormat, OpusWishes, RepairTerms, PacketTimes, int | None] | None = None  # that the redundancy is for
        self._copies = Copies(0)
        self._resends = Resends()
        self._reported_at = 0.0  # by the peer
        self._sequence = secrets.randbits(15)  # of the next packet; the lower half: the first wrap comes late (RFC 3711 3.3.1)
        self._timestamp = secrets.randbits(32)  # of the last sound, before the first one that of the start
        self._placed_at: float | None = None  # when that was
        self._mark = False  # the next packet of sound is the first after a pause
        self._talking = False  # sound was sent, not only digits
        self._passing = _Passing()
        self._carrying = _Carrying()
        self._sends_others = False  # one of the two is in use
        self._packetizer = Packetizer(USUAL_MS)

    @property
    def active(self) -> bool:
        """Whether something may be sent."""
        return self._agreement is not None

    def start(self, agreement: Agreement) -> None:
        """The peer can hear us from now on, in this way. Raises MediaError where the codec isn't there."""
        before = self._agreement
        if before is None or self._encoder is None or before.codec != agreement.codec:
            self._encoder = LegEncoder(agreement.codec)
            self._passing = _Passing()
        self._agreement = agreement
        self._set_ladder(agreement)
        if before is None or (before.codec, before.packet_times) != (agreement.codec, agreement.packet_times):
            self._packetizer = Packetizer(packet_ms(agreement.codec, agreement.packet_times, self._setting.frames))
        self._encoder.adapt(self._setting)
        if self._placed_at is None:
            self._placed_at = self._clock()

    def stop(self) -> None:
        """Send nothing more."""
        self._agreement = None
        self._path.demand(self.ssrc, None)
        self._packetizer.clear()

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms, in as many packets as that makes; nothing happens before ``start``.

        The marker bit is set after a pause only (RFC 3551 4.1): there is none in what is said unless the peer wants silence suppressed.
        """
        if self._agreement is None or self._encoder is None:
            return
        paused = self._pass_time(self._clock())
        self._forget_others()
        if paused or self.suspended:
            self._packetizer.clear()
        if self.suspended:
            return
        self._mark = self._mark or paused
        for before, sound in self._packetizer.push(frame):
            timestamp = (self._timestamp - before // self._agreement.codec.samples_per_tick) & 0xFFFFFFFF
            self._send_packet(self._agreement, self._encoder, sound, timestamp)

    def _forget_others(self) -> None:
        if self._sends_others:
            self._passing, self._carrying, self._sends_others = _Passing(), _Carrying(), False

    def _send_packet(self, agreement: Agreement, encoder: LegEncoder, sound: Samples, timestamp: int) -> None:
        try:
            payload = encoder.encode(sound)
        except MediaError:
            self.faults += 1
            return
        if self._path.is_held or (self._setting.dtx and is_needless(payload)):
            self._mark = True  # the next packet is the first after a pause (RFC 3551 4.1)
            return
        payload_type, red = agreement.payload_type, agreement.repair.red
        redundant = self._copies.wrap(timestamp, payload, self._setting.copies)
        if redundant is not None and red is not None:
            payload_type, payload = red, redundant
        marker, self._mark = self._mark, False
        self._put(payload_type, payload, timestamp, self._sequence, marker=marker)

    def takes(self, frame: EncodedFrame) -> bool:
        """Whether the peer takes such packets of somebody else as they are, as far as it has said what it takes."""
        agreement = self._agreement
        return agreement is None or (agreement.codec == frame.codec and fits(frame.codec, frame.payload, agreement.packet_times))

    def forward(self, frame: EncodedFrame) -> bool:
        """Send somebody else's packet with our numbers, gaps as they are; whether it went out."""
        agreement = self._agreement
        if agreement is None or not self.takes(frame):
            return False
        now = self._clock()
        self._copies.forget()
        self._packetizer.clear()
        self._carrying = _Carrying()
        self._sends_others = True
        place = self._passing.place(frame, self._sequence, self.timestamp, now)
        if self.suspended:
            self._passing.renumber()
        if place is None:
            return False
        sequence, timestamp = place
        if (sequence - self._sequence) & 0x8000 == 0:
            self._timestamp, self._placed_at, self._talking = timestamp, now, True
        return not self.suspended and self._put(agreement.payload_type, frame.payload, timestamp, sequence, marker=frame.marker)

    def carry(self, heard: DecodedFrame) -> None:
        """Encode and send what another leg's packet held, at the distances of its own time line."""
        if self._agreement is None or self._encoder is None:
            return
        now = self._clock()
        self._passing = _Passing()
        self._sends_others = True
        began = self._carrying.place(heard, self.timestamp * self._agreement.codec.samples_per_tick, now)
        if self.suspended:
            self._packetizer.clear()
            return
        self._mark = self._mark or heard.marker
        for before, sound in self._packetizer.push(heard.sound):
            timestamp = (began - before) // self._agreement.codec.samples_per_tick & 0xFFFFFFFF
            self._send_packet(self._agreement, self._encoder, sound, timestamp)
        self._timestamp, self._placed_at, self._talking = began // self._agreement.codec.samples_per_tick & 0xFFFFFFFF, now, True

    def event(self, packet: EventPacket) -> None:
        """Send a packet of a digit. It isn't sent again: a digit's end is in three packets (RFC 4733 2.5.1.4)."""
        if self._agreement is None or self._agreement.event is None:
            return
        self._passing.renumber()
        self._copies.forget()
        payload_type = self._agreement.event.payload_type
        self._put(payload_type, packet.payload, packet.timestamp, self._sequence, marker=packet.marker, keep=False)

    @property
    def timestamp(self) -> int:
        """The time stamp of sound that would go now, after what went before."""
        rate = 0 if self._agreement is None else self._agreement.codec.clock_rate
        elapsed = 0.0 if self._placed_at is None else max(self._clock() - self._placed_at, FRAME_SECONDS)
        return (self._timestamp + round(elapsed * rate)) & 0xFFFFFFFF

    def adapt(self, block: ReportBlock) -> None:
        """Take the peer's report of what it lost: spend more or less on redundancy, as far as the path carries it."""
        now = self._clock()
        if not self._path.is_congested(self._reported_at):
            self._redundancy.reported(block.fraction_lost / 256, now)
        self._reported_at = now
        self.follow_path()

    def follow_path(self) -> None:
        """What the path carries may have changed: send as much from now on."""
        self._limit()
        self._climb()

    def resend(self, sequences: Iterable[int]) -> None:
        """The peer misses these packets: send those again that are still kept, but into no queue that they fell out of.

        Nor where the path is too narrow for copies: there forward error correction mends most of it, with half the delay. To a peer that
        takes no copies, only over a link that is known to be fast (with copies, over 40 kbit/s of which 5 % get lost, PESQ 2.73 to 2.92).
        """
        now = self._clock()
        if self._agreement is None or not self._agreement.repair.nack or self._path.is_congested(now):
            return
        packets, first = self._resends.answer(sequences)
        self._redundancy.requested(first, now)
        self.follow_path()
        if self._path.is_told and self._setting.fec_percent and self._redundancy.is_short:
            return
        if self._agreement.repair.red is None and not self._path.carries_more:
            return
        for packet in packets:
            self._path.resend(packet)

    def report(self, now_epoch: float) -> SenderInfo | None:
        """What a sender report says now; ``None`` before the first packet."""
        if self._placed_at is None or not self.packets or self._agreement is None:
            return None
        elapsed = round((self._clock() - self._placed_at) * self._agreement.codec.clock_rate)
        return SenderInfo(ntp_time(now_epoch), (self._timestamp + elapsed) & 0xFFFFFFFF, self.packets, self.octets)

    def _set_ladder(self, agreement: Agreement) -> None:
        """From its foot where the terms are new, else from where it was."""
        self._copies = Copies(agreement.payload_type)
        terms = (agreement.codec, agreement.opus, agreement.repair, agreement.packet_times, agreement.numbering)
        if terms != self._terms:
            opus, self._terms = agreement.opus, terms
            self._redundancy = RedundancyController(
                fec=opus.fec,
                dtx=opus.dtx and agreement.codec == OPUS,
                red=agreement.repair.red is not None,
                max_bitrate=opus.max_bitrate,
                max_frames=most_frames(agreement.codec, agreement.packet_times),
                header_bytes=HEADER_BYTES + (0 if agreement.numbering is None else EXTENSION_BYTES),
            )
            self._resends = Resends()
        self._limit()
        self._setting = self._redundancy.setting

    def _limit(self) -> None:
        """Ask for what is wanted now, and make do with what there is."""
        self._redundancy.relay_bytes = self._path.relay_bytes
        demand = Demand(priority=Priority.SOUND, least=0.0, most=self._redundancy.wanted)
        self._path.demand(self.ssrc, demand)
        self._redundancy.expect(lossy=self._path.is_shared, in_bursts=self._path.loses_in_bursts)
        self._redundancy.limit(self._path.share(self.ssrc), self._path.steady_share(self.ssrc), self._clock())

    def _climb(self) -> None:
        """To where the redundancy is."""
        setting = self._redundancy.setting
        if self._encoder is not None and setting != self._setting:
            self._encoder.adapt(setting)
        if self._agreement is not None and setting.frames != self._setting.frames:
            self._packetizer.resize(packet_ms(self._agreement.codec, self._agreement.packet_times, setting.frames))
        self._setting = setting

    def _put(self, payload_type: int, payload: bytes, timestamp: int, sequence: int, *, marker: bool, keep: bool = True) -> bool:
        data = self._path.pad(encode_packet(RtpPacket(payload_type, sequence, timestamp, self.ssrc, payload, marker)))
        if not self._path.send(data):
            return False
        if keep:
            self._resends.keep(sequence, data)
        if (sequence - self._sequence) & 0x8000 == 0:
            self._sequence = (sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return True

    def _pass_time(self, now: float) -> bool:
        """Move the time stamp to the next frame; whether there was a pause before it."""
        assert self._agreement is not None, "asked by send() only"
        gap = 0.0 if self._placed_at is None else now - self._placed_at
        frames = round(gap / FRAME_SECONDS) if gap > _PAUSE_SECONDS else 1
        samples = round(FRAME_SECONDS * self._agreement.codec.clock_rate)
        self._timestamp = (self._timestamp + frames * samples) & 0xFFFFFFFF
        self._placed_at = now
        talked, self._talking = self._talking, True
        return talked and gap > _PAUSE_SECONDS


class _Carrying:
    """The distance between another leg's time line and ours, for sound that is encoded anew [samples at 48 kHz]."""

    def __init__(self) -> None:
        self._newest: DecodedFrame | None = None
        self._came_at = 0.0
        self._offset = 0

    def place(self, heard: DecodedFrame, ours: int, now: float) -> int:
        """Where the sound begins on our line: at ``ours`` where it's the first, or strays."""
        newest, came_at = self._newest, self._came_at
        self._newest, self._came_at = heard, now
        if newest is None or abs((heard.at - newest.at) / RATE - (now - came_at)) > _MAX_STRAY:
            self._offset = ours - heard.at
        return heard.at + self._offset


class _Passing:
    """The distance between another leg's numbers and ours. A gap in its numbers stays a gap in ours, so that the peer knows of the loss."""

    def __init__(self) -> None:
        self._newest: EncodedFrame | None = None
        self._came_at = 0.0
        self._time_offset = 0
        self._sequence_offset: int | None = None
        self._first = 0  # of our numbers that belongs to this distance

    def renumber(self) -> None:
        """Packets of ours came in between: the next one is numbered after them."""
        self._sequence_offset = None

    def place(self, frame: EncodedFrame, sequence: int, timestamp: int, now: float) -> tuple[int, int] | None:
        """Our sequence number and time stamp for ``frame``: those given where it's the first of its kind. ``None`` for one that is
        doubled, or too late to have a number."""
        newest = self._newest
        steps = 1 if newest is None else (frame.sequence - newest.sequence + 0x8000) % 0x10000 - 0x8000
        if -_MAX_GAP <= steps <= 0:
            if steps == 0 or self._sequence_offset is None or (frame.sequence + self._sequence_offset - self._first) & 0x8000:
                return None
        else:
            if newest is None or abs(steps) > _MAX_GAP or self._strays(frame, newest, now):
                self._time_offset, self._sequence_offset = timestamp - frame.timestamp, None
            if self._sequence_offset is None:
                self._sequence_offset, self._first = sequence - frame.sequence, sequence
            self._newest, self._came_at = frame, now
        return (frame.sequence + self._sequence_offset) & 0xFFFF, (frame.timestamp + self._time_offset) & 0xFFFFFFFF

    def _strays(self, frame: EncodedFrame, newest: EncodedFrame, now: float) -> bool:
        """Whether its time stamp is of another line than that of the packet before."""
        ticks = (frame.timestamp - newest.timestamp + 0x80000000) % 0x100000000 - 0x80000000
        return abs(ticks / frame.codec.clock_rate - (now - self._came_at)) > _MAX_STRAY
