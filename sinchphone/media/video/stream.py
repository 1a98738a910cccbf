"""One leg's pictures over the path of its sound.

::

    PictureLeg.send -> VideoSender -> PathControl         PictureLeg.show <- VideoReceiver <- take <- the path
    control(data): reports, requests of the peer          report, tend: ours
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from sinchphone.media.agreement import PictureAgreement
from sinchphone.media.clock import steady_epoch
from sinchphone.media.legs.path_control import PathControl
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.port import PictureStats
from sinchphone.media.video.receiver import SoundClock, VideoReceiver
from sinchphone.media.video.sender import VideoSender
from sinchphone.protocol.rtp.nack import MAX_NACKED, Nack, decode_nacks, encode_nack
from sinchphone.protocol.rtp.packet import RtcpReport, block_about, decode_packet, decode_reports, encode_report, ntp_time, round_trip_ms
from sinchphone.protocol.rtp.video.feedback import KeyFrameRequest, MaximumBitrate, decode_picture_feedback, encode_pli
from sinchphone.quick_dataclass import quick_dataclass

_TEND_SECONDS: Final = 0.02


@quick_dataclass(frozen=True, slots=True)
class StreamPlace:
    """Where a stream of pictures belongs."""

    ssrc: int
    cname: str
    path: PathControl
    sound: SoundClock
    transmit: Callable[[bytes], bool]  # of RTCP


class VideoStream:
    """In the media loop only."""

    def __init__(
        self, place: StreamPlace, leg: PictureLeg, *, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = steady_epoch
    ) -> None:
        self._place = place
        self._wall = wall
        self._sender = VideoSender(place.ssrc, place.path, clock=clock)
        self._receiver = VideoReceiver(leg.show, place.sound, clock=clock)
        self._terms: PictureAgreement | None = None
        self._fir: int | None = None  # the number of the last one
        self._tending: asyncio.TimerHandle | None = None
        leg.join(self._sender.push, self._sender.describe)

    def agree(self, terms: PictureAgreement) -> None:
        """See the peer in this way from now on."""
        self._terms = terms
        self._receiver.expect(terms)
        if self._tending is None:
            self._tend()

    def open(self) -> None:
        """Send as agreed, if the peer wants to see us."""
        if self._terms is not None and self._terms.sends:
            self._sender.start(self._terms)
        else:
            self._sender.stop()

    def shut(self) -> None:
        """Send nothing more, until ``open``."""
        self._sender.stop()

    def close(self) -> None:
        """End the threads."""
        self._sender.stop()
        self._receiver.stop()
        if self._tending is not None:
            self._tending.cancel()

    def owns(self, data: bytes) -> bool:
        """Whether an RTP packet is one of pictures, by its payload type."""
        return self._terms is not None and data[1] & 0x7F in self._terms.receives

    def take(self, data: bytes) -> None:
        """An authentic RTP packet of pictures."""
        self._place.path.arrived(data, self._place.ssrc, self._place.cname)
        packet = decode_packet(data, empty=True)
        if packet is not None and self._receiver.take(packet):
            self._ask()

    def control(self, data: bytes) -> None:
        """An authentic RTCP packet."""
        self._take_reports(decode_reports(data))
        for nack in decode_nacks(data):
            if nack.ssrc == self._place.ssrc:
                self._sender.resend(nack.sequences)
        for one in decode_picture_feedback(data):
            match one:
                case MaximumBitrate(bitrate):
                    self._sender.limit(bitrate)
                case KeyFrameRequest(ssrc, number) if ssrc == self._place.ssrc and (number is None or number != self._fir):
                    self._fir = self._fir if number is None else number
                    self._sender.request_key()
        self._sender.follow_path()

    def report(self) -> bytes:
        """The RTCP packet for this moment."""
        report = RtcpReport(self._place.ssrc, self._sender.report(self._wall()), self._receiver.report())
        return self._place.path.control(encode_report(report, self._place.cname))

    def stats(self) -> PictureStats:
        """Counters at this moment."""
        sender, receiver = self._sender, self._receiver
        sent = None if sender.setting is None else (sender.setting.width, sender.setting.height)
        return PictureStats(
            codec=None if self._terms is None else self._terms.codec,
            pictures_sent=sender.pictures,
            pictures_received=receiver.pictures,
            pictures_dropped=receiver.dropped,
            packets_sent=sender.packets,
            packets_received=receiver.packets,
            packets_lost=receiver.lost,
            bytes_sent=sender.octets,
            bytes_received=receiver.octets,
            sent_size=sent,
            received_size=receiver.size,
        )

    def _take_reports(self, reports: list[RtcpReport]) -> None:
        for report in reports:
            self._receiver.note(report)
        block = block_about(reports, self._place.ssrc)
        if block is None:
            return
        round_trip = round_trip_ms(block, ntp_time(self._wall()))
        self._place.path.reported(block, round_trip)
        if round_trip is not None:
            self._sender.round_trip = round_trip / 1000
            self._receiver.measured(round_trip)

    def _ask(self) -> None:
        """For packets that didn't come, or for a new beginning."""
        wanted = self._receiver.wanted()
        if wanted is not None:
            for at in range(0, len(wanted.sequences), MAX_NACKED):
                part = Nack(wanted.ssrc, wanted.sequences[at : at + MAX_NACKED])
                self._transmit(encode_nack(self._place.ssrc, part, self._place.cname))
        source = self._receiver.needs_key()
        if source is not None:
            self._transmit(encode_pli(self._place.ssrc, source, self._place.cname))

    def _transmit(self, packet: bytes) -> None:
        """A packet of RTCP; it counts with what the path may carry."""
        self._place.transmit(self._place.path.control(packet))

    def _tend(self) -> None:
        self._tending = asyncio.get_running_loop().call_later(_TEND_SECONDS, self._tend)
        self._receiver.tend()
        self._sender.follow_path()
        self._ask()
