"""RTP headers and RTCP reports as bytes, and the counters behind a receiver report (RFC 3550)."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from sinchphone.protocol.rtp.sequence import PAST, SEQUENCES
from sinchphone.quick_dataclass import quick_dataclass

HEADER: Final = struct.Struct("!BBHII")
VERSION: Final = 0x80
_PADDED: Final = 0x20
_MARKER: Final = 0x80
_MAX_DROPOUT: Final = 3000  # packets, a minute of sound (RFC 3550 A.1)

_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
VIDEO_RATE: Final = 90_000  # [Hz] of time stamps of pictures (RFC 3551 5)
RTPFB: Final = 205  # feedback about the transport (RFC 4585 6.1)
_CNAME: Final = 1
_BLOCK: Final = struct.Struct("!IIIIII")
_SENDER: Final = struct.Struct("!QIII")
_NTP_EPOCH: Final = 2_208_988_800  # seconds from 1900 to 1970 (RFC 868)


@quick_dataclass(frozen=True, slots=True)
class RtpPacket:
    """An RTP packet without what nobody here needs: CSRCs, extensions, padding."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False


@quick_dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says about one source (RFC 3550 6.4.1)."""

    ssrc: int
    fraction_lost: int  # of 256, since the last report
    packets_lost: int
    highest_sequence: int
    jitter: int  # [RTP ticks]
    last_sr: int  # the middle 32 bits of the NTP time of the last sender report, 0 for none
    delay_since_last_sr: int  # [1/65536 s]


@quick_dataclass(frozen=True, slots=True)
class SenderInfo:
    """What a sender says about itself (RFC 3550 6.4.1)."""

    ntp_time: int  # 32.32 fixed point since 1900
    rtp_timestamp: int
    packets: int
    octets: int


@quick_dataclass(frozen=True, slots=True)
class RtcpReport:
    """A sender report, or a receiver report where ``sender`` is ``None``."""

    ssrc: int
    sender: SenderInfo | None
    blocks: tuple[ReportBlock, ...]


def ntp_time(seconds: float) -> int:
    """Seconds since 1970 as an NTP time, 32.32 fixed point."""
    return int((seconds + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def is_rtcp(datagram: bytes) -> bool:
    """Whether a datagram of a multiplexed stream is RTCP (RFC 5761 4: packet types 192 to 223)."""
    return len(datagram) > 1 and 192 <= datagram[1] <= 223


def encode_packet(packet: RtpPacket) -> bytes:
    """An RTP packet as bytes."""
    second = packet.payload_type | (_MARKER if packet.marker else 0)
    return HEADER.pack(VERSION, second, packet.sequence, packet.timestamp, packet.ssrc) + packet.payload


def decode_packet(data: bytes, *, empty: bool = False) -> RtpPacket | None:
    """The packet in ``data``; ``None`` where it isn't one, or has no payload at all, unless ``empty``: packets of padding alone probe the
    path (RFC 3550 5.1), and have numbers that aren't missing."""
    if len(data) < HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    start = HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data) - (data[-1] if first & _PADDED else 0)
    if first & 0xC0 != VERSION or start > end or (start == end and not empty):
        return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & _MARKER))


def pad_packet(packet: bytes, size: int) -> bytes:
    """The RTP packet with so many bytes of padding (RFC 3550 5.1), 1 to 255."""
    return bytes([packet[0] | _PADDED]) + packet[1:] + bytes(size - 1) + bytes([size])


def padding_bytes(packet: bytes) -> int:
    """How many of them an RTP packet has."""
    return packet[-1] if packet[0] & _PADDED else 0


def encode_report(report: RtcpReport, cname: str) -> bytes:
    """A compound packet: the report and the source's name (RFC 3550 6.1)."""
    body = struct.pack("!I", report.ssrc)
    if report.sender is not None:
        sender = report.sender
        body += _SENDER.pack(sender.ntp_time, sender.rtp_timestamp & 0xFFFFFFFF, sender.packets & 0xFFFFFFFF, sender.octets & 0xFFFFFFFF)
    body += b"".join(_encode_block(block) for block in report.blocks)
    return _rtcp(_RR if report.sender is None else _SR, len(report.blocks), body) + _encode_name(report.ssrc, cname)


def encode_bye(ssrc: int, cname: str) -> bytes:
    """A compound packet: an empty receiver report, the source's name, and that it leaves (RFC 3550 6.6)."""
    return encode_report(RtcpReport(ssrc, None, ()), cname) + _rtcp(_BYE, 1, struct.pack("!I", ssrc))


def parts_of(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The parts of a compound packet (RFC 3550 6.1), up to the first that can't be read: each one's type, its count or format, and what
    follows these, without padding."""
    position = 0
    while position + 4 <= len(data):
        first, kind, words = struct.unpack_from("!BBH", data, position)
        begin, end = position + 4, position + 4 + 4 * words
        if first & 0xC0 != VERSION or end > len(data):
            return
        yield kind, first & 0x1F, data[begin : max(begin, end - (data[end - 1] if first & _PADDED else 0))]
        position = end


def decode_reports(data: bytes) -> list[RtcpReport]:
    """The reports in a compound packet, up to the first part that can't be read."""
    reports: list[RtcpReport] = []
    for kind, count, body in parts_of(data):
        if kind in (_SR, _RR):
            report = _decode_report(body, count, kind == _SR)
            if report is None:
                break
            reports.append(report)
    return reports


def _rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", VERSION | count, kind, len(body) // 4) + body


def _encode_name(ssrc: int, cname: str) -> bytes:
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, _CNAME, len(name)) + name + b"\0"
    return _rtcp(_SDES, 1, chunk + bytes(-len(chunk) % 4))


def _encode_block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, block.packets_lost)) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc, block.fraction_lost << 24 | lost, block.highest_sequence, block.jitter, block.last_sr, block.delay_since_last_sr
    )


def _decode_report(body: bytes, count: int, has_sender: bool) -> RtcpReport | None:
    start = 4 + (_SENDER.size if has_sender else 0)
    if len(body) < start + count * _BLOCK.size:
        return None
    sender = SenderInfo(*_SENDER.unpack_from(body, 4)) if has_sender else None
    blocks = tuple(_decode_block(body, start + index * _BLOCK.size) for index in range(count))
    return RtcpReport(int.from_bytes(body[:4], "big"), sender, blocks)


def _decode_block(body: bytes, at: int) -> ReportBlock:
    ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, at)
    lost = loss & 0xFFFFFF
    return ReportBlock(ssrc, loss >> 24, lost - (1 << 24) if lost & 0x800000 else lost, highest, jitter, last_sr, delay)


class Reception:
    """What arrived of one source: order, loss and jitter (RFC 3550 A.1, A.3, A.8). ``rate`` is the RTP clock [Hz]."""

    def __init__(self, ssrc: int, rate: int = 48_000) -> None:
        self.ssrc = ssrc
        self.rate = rate
        self.received = 0
        self._first: int | None = None
        self._highest = 0  # with the number of cycles above the lower 16 bits
        self._jitter = 0.0
        self._transit: float | None = None
        self._reported = (0, 0)  # expected and received at the last report

    def count(self, sequence: int, timestamp: int | None, now: float) -> None:
        """A packet arrived at ``now`` [s]. ``timestamp`` is ``None`` where it isn't that of its sending (RFC 4733 events)."""
        self.received += 1
        if self._first is None:
            self._first = self._highest = sequence
        else:
            ahead = (sequence - self._highest) % SEQUENCES
            self._highest += ahead if ahead < PAST else 0
        if timestamp is None:
            return
        transit = now * self.rate - timestamp
        if self._transit is not None:
            step = abs(transit - self._transit)
            if step < self.rate:  # a second and more is a new time line (or the wrap), not jitter
                self._jitter += (step - self._jitter) / 16
        self._transit = transit

    def is_next(self, sequence: int) -> bool:
        """Whether nothing is missing between the newest packet and one with that number."""
        return self._first is not None and (sequence - self._highest) % SEQUENCES == 1

    def is_near(self, sequence: int) -> bool:
        """Whether a packet with that number may go on where the newest one was (RFC 3550 A.1)."""
        return self._first is not None and 0 < (sequence - self._highest) % SEQUENCES < _MAX_DROPOUT

    @property
    def expected(self) -> int:
        """How many packets were sent, as far as the sequence numbers tell."""
        return 0 if self._first is None else self._highest - self._first + 1

    @property
    def lost(self) -> int:
        """Packets that didn't arrive; doubles make it smaller, never negative."""
        return max(0, self.expected - self.received)

    @property
    def transit(self) -> float | None:
        """When the last packet came by our clock, less when it was sent by its own [s]; ``None`` before the first one."""
        return None if self._transit is None else self._transit / self.rate

    @property
    def jitter_ms(self) -> float:
        """The interarrival jitter."""
        return self._jitter / self.rate * 1000

    def report(self, last_sr: int, delay_since_last_sr: int) -> ReportBlock:
        """The block for the next report; the lost fraction counts from the report before it."""
        expected, received = self.expected - self._reported[0], self.received - self._reported[1]
        self._reported = (self.expected, self.received)
        fraction = 0 if expected <= 0 or received >= expected else ((expected - received) << 8) // expected
        return ReportBlock(
            self.ssrc, min(fraction, 255), self.lost, self._highest & 0xFFFFFFFF, int(self._jitter), last_sr, delay_since_last_sr
        )


def round_trip_ms(block: ReportBlock, now_ntp: int) -> float | None:
    """The time to the peer and back from a report about us (RFC 3550 6.4.1); ``None`` before our first sender report reached it."""
    if not block.last_sr:
        return None
    ticks = ((now_ntp >> 16) - block.last_sr - block.delay_since_last_sr) & 0xFFFFFFFF
    return ticks / 65.536 if ticks < 0x80000000 else 0.0


def block_about(reports: Sequence[RtcpReport], ssrc: int) -> ReportBlock | None:
    """The newest block about ``ssrc``."""
    return next((block for report in reversed(reports) for block in report.blocks if block.ssrc == ssrc), None)
