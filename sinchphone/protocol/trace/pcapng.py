"""A capture file of a call's events and sound, for Wireshark, sngrep and HOMER (pcapng, draft-ietf-opsawg-pcapng).

::

    interface 0 "sip and sound"  LINKTYPE_RAW             SIP as the UDP or TCP that it was, RTP decrypted
    interface 1 "the platform"   WIRESHARK_UPPER_PDU      REST and callbacks as http, pub/sub messages as json, notes as text

Addresses that nobody has (users behind HTTP, the backend) are left out in the second one, which has none to give.
"""

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import field
from typing import Final

from sinchphone.hosts import IpAddress, unbracketed
from sinchphone.protocol.trace.event import Route, TraceEvent, TraceKind
from sinchphone.quick_dataclass import quick_dataclass

_LINKTYPE_RAW: Final = 101
_LINKTYPE_UPPER_PDU: Final = 252
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _IF_NAME, _IF_TSRESOL = 1, 2, 9
_DISSECTOR_NAME: Final = 12  # EXP_PDU_TAG_DISSECTOR_NAME
_UDP, _TCP = 17, 6
_SNAPLEN: Final = 262_144
_MAX_IP_PAYLOAD: Final = 65_000
_UNKNOWN: Final = "192.0.2.1"  # RFC 5737
_DISSECTORS: Final = {
    TraceKind.REST: "http",
    TraceKind.CALLBACK: "http",
    TraceKind.PUBSUB: "json",
    TraceKind.MEDIA: "data-text-lines",
    TraceKind.CALL: "data-text-lines",
}


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SoundPacket:
    """An RTP packet, decrypted: ``at`` [s since the epoch]; ``route`` says between which addresses it went."""

    at: float
    route: Route
    data: bytes = field(repr=False)


def write_pcapng(events: Iterable[TraceEvent], sound: Iterable[SoundPacket] = ()) -> bytes:
    """The whole file."""
    streams = _Streams()
    packets: list[tuple[float, bytes]] = [(event.at, _event_block(event, streams)) for event in events]
    packets += [(one.at, _block(_PACKET, _packet(0, one.at, _datagram(one.route, one.data, _UDP, 0)))) for one in sound]
    packets.sort(key=lambda packet: packet[0])
    header = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    interfaces = (_interface(_LINKTYPE_RAW, "sip and sound"), _interface(_LINKTYPE_UPPER_PDU, "the platform"))
    return b"".join((_block(_SECTION, header), *interfaces, *(packet for _, packet in packets)))


class _Streams:
    """Where each TCP stream stands."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str], int] = {}

    def take(self, route: Route, size: int) -> int:
        """The sequence number of so many bytes."""
        key = route.source, route.target
        number = self._next.get(key, 1)
        self._next[key] = (number + size) % 2**32
        return number

    def seen(self, route: Route) -> int:
        """What the other side has sent."""
        return self._next.get((route.target, route.source), 1)


def _event_block(event: TraceEvent, streams: _Streams) -> bytes:
    comment = f"{event.source} -> {event.target}: {event.summary}"
    if event.kind is TraceKind.SIP and event.route is not None:
        data = event.body.encode(errors="replace")[:_MAX_IP_PAYLOAD]
        if event.route.transport == "udp":
            return _block(_PACKET, _packet(0, event.at, _datagram(event.route, data, _UDP, 0), comment))
        acknowledged = streams.seen(event.route)
        segment = _datagram(event.route, data, _TCP, streams.take(event.route, len(data)), acknowledged)
        return _block(_PACKET, _packet(0, event.at, segment, comment))
    name = _DISSECTORS.get(event.kind, "data-text-lines")
    body = (event.body or event.summary).encode(errors="replace")[: _SNAPLEN - 256]
    return _block(_PACKET, _packet(1, event.at, _tag(_DISSECTOR_NAME, name.encode()) + _tag(0, b"") + body, comment))


def _tag(code: int, value: bytes) -> bytes:
    padded = value + bytes(-len(value) % 4)
    return struct.pack(">HH", code, len(padded)) + padded


def _interface(linktype: int, name: str) -> bytes:
    options = _option(_IF_NAME, name.encode()) + _option(_IF_TSRESOL, b"\x06") + _option(0, b"")
    return _block(_INTERFACE, struct.pack("<HHI", linktype, 0, _SNAPLEN) + options)


def _packet(interface: int, at: float, data: bytes, comment: str = "") -> bytes:
    micros = max(0, int(at * 1_000_000))
    head = struct.pack("<IIIII", interface, micros >> 32, micros & 0xFFFFFFFF, len(data), len(data))
    shown = comment.encode(errors="replace")[:1_000].decode(errors="ignore").encode()
    options = _option(_COMMENT, shown) + _option(0, b"") if shown else b""
    return head + data + bytes(-len(data) % 4) + options


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _datagram(route: Route, data: bytes, protocol: int, sequence: int, acknowledged: int = 1) -> bytes:
    """An IP packet from one address to the other (RFC 791, RFC 8200) with UDP or TCP inside, checksums included."""
    (source, source_port), (target, target_port) = _address(route.source), _address(route.target)
    if source.version != target.version:
        source, target = _as_ipv4(source), _as_ipv4(target)
    if protocol == _UDP:
        inner = struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0) + data
        at = 6
    else:
        inner = struct.pack("!HHIIBBHHH", source_port, target_port, sequence, acknowledged, 5 << 4, 0x18, 65_535, 0, 0) + data
        at = 16
    head = source.packed + target.packed
    pseudo = head + (
        struct.pack("!BBH", 0, protocol, len(inner)) if source.version == 4 else struct.pack("!IHBB", len(inner), 0, 0, protocol)
    )
    inner = inner[:at] + struct.pack("!H", _checksum(pseudo + inner) or 0xFFFF) + inner[at + 2 :]
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(inner), protocol, 64) + head + inner
    plain = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 0, 0x4000, 64, protocol, 0) + head
    return plain[:10] + struct.pack("!H", _checksum(plain)) + plain[12:] + inner


def _address(text: str) -> tuple[IpAddress, int]:
    host, _, port = text.rpartition(":")
    try:
        number = int(port)
        return ipaddress.ip_address(unbracketed(host).partition("%")[0]), number if 0 <= number <= 65_535 else 0
    except ValueError:
        return ipaddress.ip_address(_UNKNOWN), 0


def _as_ipv4(address: IpAddress) -> IpAddress:
    return address if address.version == 4 else ipaddress.ip_address(_UNKNOWN)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
