"""Session descriptions, read liberally and written strictly (RFC 8866, RFC 3264, RFC 4568).

``read_session`` takes whatever phones, browsers, trunks and proxies write; ``write_session`` writes ours, those of WebRTC and those
of RTP. What an answer may say to an offer is in ``offer_answer`` and in ``media/webrtc``. ``read_blocks`` and ``write_blocks`` are the
lines themselves, for relays, which change some and leave the rest as it came.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import field
from typing import Final, TypeAlias

from sinchphone.errors import RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass

MAX_SDP_BYTES: Final = 64 * 1024  # a browser's offer with video is about 6 kB
MAX_SECTIONS: Final = 16
MAX_FORMATS: Final = 64  # of one section
MAX_CRYPTOS: Final = 16
_MAX_REFUSED_FORMATS: Final = 16  # in an answer, which must not grow beyond what may be read

SENDRECV, SENDONLY, RECVONLY, INACTIVE = "sendrecv", "sendonly", "recvonly", "inactive"
DIRECTIONS: Final = (SENDRECV, SENDONLY, RECVONLY, INACTIVE)
NO_ADDRESS: Final = "the session description names no address (c=), neither for the sound nor for the session"  # RFC 8866 5.7
TELEPHONE_EVENT: Final = "telephone-event"
PLAIN_PROFILES: Final = ("RTP/AVP", "RTP/AVPF")
SECURE_PROFILES: Final = ("RTP/SAVP", "RTP/SAVPF")
SUITE_KEY_BYTES: Final = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30}  # master key and salt, RFC 4568 6.2

_STATIC: Final = {
    0: ("PCMU", 8000),
    3: ("GSM", 8000),
    4: ("G723", 8000),
    8: ("PCMA", 8000),
    9: ("G722", 8000),
    18: ("G729", 8000),
}  # RFC 3551 6
_NUMBER: Final = re.compile(r"[0-9]{1,9}")  # no more: int() raises for thousands of digits
_VERSION: Final = re.compile(r"[0-9]{1,20}")
_TOKEN: Final = re.compile(r"[!-~]{1,64}")
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_RTPMAP: Final = re.compile(r"([0-9]{1,3})\s+([!-.0-~]{1,64})/(0{0,5}[1-9][0-9]{0,5})(?:/([0-9]{1,2}))?\s*")
_CRYPTO: Final = re.compile(
    r"([0-9]{1,9})\s+([A-Za-z0-9_]{1,64})\s+inline:([A-Za-z0-9+/=]{1,128})((?:\|[^|\s]{1,64}){0,2})((?:\s+\S{1,64}){0,8})\s*"
)
_LIFETIME: Final = re.compile(r"\|(?:2\^)?[0-9]{1,20}")
_NO_HOST: Final = "127.0.0.1"  # RFC 8829 5.2.1: the origin of an author who doesn't want to say where it is

Line: TypeAlias = tuple[str, str]  # ``x=value``
Block: TypeAlias = list[Line]
Attributes: TypeAlias = tuple[tuple[str, str], ...]  # names and values of ``a=`` lines


@quick_dataclass(frozen=True, slots=True)
class Format:
    """A payload number and what it stands for; ``name`` as its registration spells it (PCMU, PCMA, G722, opus, telephone-event)."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""  # of a=fmtp

    @property
    def encoding(self) -> str:
        """What ``a=rtpmap`` says of it."""
        return f"{self.name}/{self.clock_rate}{f'/{self.channels}' if self.channels > 1 else ''}"

    @property
    def rtpmap(self) -> tuple[str, str]:
        """The attribute that names it."""
        return "rtpmap", f"{self.payload_type} {self.encoding}"

    @property
    def fmtp(self) -> tuple[str, str]:
        """The attribute of its parameters."""
        return "fmtp", f"{self.payload_type} {self.parameters}"

    def is_same_as(self, other: "Format") -> bool:
        """Whether both stand for the same encoding, whatever their numbers (RFC 3264 6.1)."""
        return (self.name.lower(), self.clock_rate, self.channels) == (other.name.lower(), other.clock_rate, other.channels)


@quick_dataclass(frozen=True, slots=True)
class Crypto:
    """One SDES line (RFC 4568 9.1): the suite and the key with which its sender protects what it sends."""

    tag: int
    suite: str
    key: bytes = field(repr=False)  # master key and salt

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


@quick_dataclass(frozen=True, slots=True)
class PacketTimes:
    """How much sound somebody wants in a packet, and how much they take at most [ms]; ``None`` where they don't say (RFC 8866 6.4)."""

    wanted_ms: int | None = None
    most_ms: int | None = None

    @property
    def attributes(self) -> Attributes:
        """The lines that say so."""
        said = (("ptime", self.wanted_ms), ("maxptime", self.most_ms))
        return tuple((name, str(value)) for name, value in said if value is not None)


ANY_LENGTH: Final = PacketTimes()


@quick_dataclass(frozen=True, slots=True)
class Section:
    """One ``m=`` section. ``address`` is its own or the session's, empty where neither has one that can be read; ``attributes`` are its
    own, in order."""

    kind: str
    port: int
    profile: str
    payloads: tuple[str, ...]  # as they stand in the m= line
    address: str = ""
    attributes: Attributes = ()
    session_direction: str = SENDRECV

    def all(self, name: str) -> list[str]:
        """The values of every attribute of that name."""
        return values_of(self.attributes, name)

    def first(self, name: str) -> str | None:
        """The value of the first attribute of that name."""
        return next(iter(self.all(name)), None)

    @property
    def is_secure(self) -> bool:
        """Whether its profile is one of SRTP's."""
        return self.profile in SECURE_PROFILES

    @property
    def has_sound(self) -> bool:
        """Whether it's sound over RTP that isn't refused."""
        return self.kind == "audio" and self.port > 0 and self.profile in PLAIN_PROFILES + SECURE_PROFILES

    @property
    def said_direction(self) -> str:
        """What its sender says that it wants."""
        return next((key for key, _ in self.attributes if key in DIRECTIONS), self.session_direction)

    @property
    def direction(self) -> str:
        """What its sender wants. ``c=0.0.0.0`` is how old phones hold (RFC 3264 8.4): nothing may be sent to them."""
        return _NOT_LISTENING[self.said_direction] if is_unspecified(self.address) else self.said_direction

    @property
    def is_bundle_only(self) -> bool:
        """Whether its port 0 refuses nothing: it's sent over another section's transport, or not at all (RFC 8843 6)."""
        return self.port == 0 and self.first("bundle-only") is not None

    @property
    def mid(self) -> str | None:
        """Its name among the sections (RFC 5888), where that may be repeated in a line of ours."""
        found = self.first("mid")
        return found if found is not None and _is_token(found) else None

    @property
    def formats(self) -> tuple[Format, ...]:
        """What its sender takes, most wanted first; numbers without meaning are left out."""
        mapped = dict(_mappings(self.all("rtpmap")))
        parameters = dict(_parameters(self.all("fmtp")))
        found = []
        for number in map(int, filter(_NUMBER.fullmatch, self.payloads)):
            name, rate, channels = mapped.get(number, (*_STATIC.get(number, ("", 0)), 1))
            if name and number < 128:
                found.append(Format(number, name, rate, channels, parameters.get(number, "")))
        return tuple(found)

    @property
    def cryptos(self) -> tuple[Crypto, ...]:
        """The SDES keys that we can use, most wanted first (RFC 4568 6.1)."""
        found = (_read_crypto(line) for line in self.all("crypto")[:MAX_CRYPTOS])
        return tuple(one for one in found if one is not None)

    @property
    def packet_times(self) -> PacketTimes:
        """How long its packets are to be; what can't be read isn't said."""
        return read_packet_times(self.attributes)

    @property
    def rtcp_mux(self) -> bool:
        """Whether RTCP may come to the RTP port (RFC 5761)."""
        return self.first("rtcp-mux") is not None

    @property
    def rtcp_port(self) -> int:
        """Where RTCP goes: ``a=rtcp`` (RFC 3605), the RTP port where multiplexed, else the next port."""
        said = _number((self.first("rtcp") or "").split(" ")[0])
        if said is not None and 0 < said < 65536:
            return said
        return self.port if self.rtcp_mux else min(self.port + 1, 65535)


@quick_dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description. ``session_id`` and ``version`` are those of ``o=``; a version that stays means that nothing changed.

    ``address`` is the session's, for sections that say none; ``attributes`` are those before the first section, in order.
    """

    session_id: str
    version: int
    address: str
    sections: tuple[Section, ...]
    attributes: Attributes = ()

    def all(self, name: str) -> list[str]:
        """The values of every attribute of that name at session level."""
        return values_of(self.attributes, name)

    @property
    def has_pictures(self) -> bool:
        """Whether its sender wants pictures, one way at least."""
        return any(one.kind == "video" and (one.port or one.is_bundle_only) and one.said_direction != INACTIVE for one in self.sections)

    def bundle_of(self, section: Section) -> tuple[int, ...]:
        """The sections of the BUNDLE group that it's in, in the group's order (RFC 8843 7.2); empty where it's in none."""
        mid = section.mid
        for group in (value.split() for value in self.all("group")):
            if group[:1] == ["BUNDLE"] and mid in group[1:]:
                places = {one.mid: index for index, one in enumerate(self.sections)}
                return tuple(places[mid] for mid in dict.fromkeys(group[1:]) if mid in places)
        return ()


_MIRRORED: Final = {SENDONLY: RECVONLY, RECVONLY: SENDONLY}
_NOT_LISTENING: Final = {SENDRECV: SENDONLY, SENDONLY: SENDONLY, RECVONLY: INACTIVE, INACTIVE: INACTIVE}


def read_session(sdp: str) -> SessionDescription:
    """What a description says; raises RemoteProtocolError for what isn't one."""
    head, *blocks = read_blocks(sdp)
    if sdp.partition("\n")[0].strip() != "v=0":
        raise RemoteProtocolError("the session description doesn't begin with v=0")
    if len(blocks) > MAX_SECTIONS:
        raise RemoteProtocolError(f"the session description has {len(blocks)} media lines")
    address = connection_host(head)
    direction = next((value for key, value in head if key == "a" and value in DIRECTIONS), SENDRECV)
    origin = next((value for key, value in head if key == "o"), "").split()
    version = origin[2] if len(origin) > 2 and _VERSION.fullmatch(origin[2]) else "0"
    sections = tuple(_read_section(block, address, direction) for block in blocks)
    return SessionDescription(origin[1] if len(origin) > 1 else "", int(version), address, sections, attributes_of(head))


def write_session(session: SessionDescription) -> str:
    """The text of a description of ours. Without an address of the session every section has its own."""
    author = session.address or _NO_HOST
    head: Block = [("v", "0"), ("o", f"- {session.session_id} {session.version} {_connection(author)}"), ("s", "-")]
    if session.address:
        head.append(("c", _connection(session.address)))
    blocks = [[*head, ("t", "0 0"), *map(_attribute_line, session.attributes)]]
    for section in session.sections:
        block = [("m", f"{section.kind} {section.port} {section.profile} {' '.join(section.payloads)}")]
        if section.address and section.address != session.address:
            block.append(("c", _connection(section.address)))
        blocks.append(block + [_attribute_line(one) for one in section.attributes])
    return write_blocks(blocks)


def read_blocks(sdp: str) -> list[Block]:
    """The lines of the session, then of each section, which begins with its ``m=``; what isn't ``x=...`` is left out. Raises
    RemoteProtocolError for a text that is too long."""
    if len(sdp) > MAX_SDP_BYTES:
        raise RemoteProtocolError("the session description is too long")
    blocks: list[Block] = [[]]
    for line in sdp.split("\n"):
        key, separator, value = line.partition("=")
        if not separator or len(key.strip()) != 1:
            continue
        if key.strip() == "m":
            blocks.append([])
        blocks[-1].append((key.strip(), value.strip()))
    return blocks


def write_blocks(blocks: Iterable[Block]) -> str:
    """The text of lines."""
    return "".join(f"{key}={value}\r\n" for block in blocks for key, value in block)


def attribute(line: Line) -> Line | None:
    """Name and value of an ``a=`` line; ``None`` for another one."""
    if line[0] != "a":
        return None
    name, _, value = line[1].partition(":")
    return name.strip(), value.strip()


def attributes_of(block: Block) -> Attributes:
    """Names and values of the block's ``a=`` lines, in order."""
    return tuple(found for line in block if (found := attribute(line)) is not None)


def values_of(attributes: Attributes, name: str) -> list[str]:
    """The values of every attribute of that name."""
    return [value for key, value in attributes if key == name]


def read_packet_times(attributes: Attributes) -> PacketTimes:
    """What the attributes of a section say about the length of packets."""
    wanted, most = (next((_milliseconds(value) for value in values_of(attributes, name)), None) for name in ("ptime", "maxptime"))
    return PacketTimes(wanted, most)


def connection_host(block: Block) -> str:
    """The host of ``c=``, without the TTL of a multicast address; empty where there is none that can be read."""
    words = next((value for key, value in block if key == "c"), "").split()
    host = words[2].split("/")[0] if len(words) == 3 else ""
    return host if _HOST.fullmatch(host) else ""


def is_unspecified(address: str) -> bool:
    """Whether that's nobody's address: empty, ``0.0.0.0``, ``::`` or a name in ``.invalid``."""
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return not address or address.endswith(".invalid")  # RFC 6157 5.2, RFC 3264 8.4


def mirrored(direction: str) -> str:
    """The same direction from the other end."""
    return _MIRRORED.get(direction, direction)


def agreed_direction(ours: str, peer_allows: str) -> str:
    """The direction, seen from us, that both sides want (RFC 3264 6.1)."""
    sends = all(one in (SENDRECV, SENDONLY) for one in (ours, peer_allows))
    receives = all(one in (SENDRECV, RECVONLY) for one in (ours, peer_allows))
    return {(True, True): SENDRECV, (True, False): SENDONLY, (False, True): RECVONLY, (False, False): INACTIVE}[sends, receives]


def refused(section: Section) -> Section:
    """The answer to a section that isn't taken: port 0, the rest as it came (RFC 3264 6). Its formats mean nothing; there must be one."""
    return Section(section.kind, 0, section.profile, section.payloads[:_MAX_REFUSED_FORMATS] or ("0",))


def _is_token(text: str) -> bool:
    """Whether a peer's word may be repeated in a line of ours."""
    return _TOKEN.fullmatch(text) is not None


def _read_section(block: Block, address: str, direction: str) -> Section:
    words = block[0][1].split()
    port = _number(words[1].split("/")[0]) if len(words) > 3 else None
    if port is None or port > 65535 or not all(map(_TOKEN.fullmatch, words)):
        raise RemoteProtocolError("the session description has a media line that can't be read")
    payloads = tuple(words[3 : 3 + MAX_FORMATS])
    return Section(words[0], port, words[2], payloads, connection_host(block) or address, attributes_of(block), direction)


def _mappings(values: list[str]) -> list[tuple[int, tuple[str, int, int]]]:
    found = (match for value in values if (match := _RTPMAP.fullmatch(value)))
    return [(int(one[1]), (one[2], int(one[3]), int(one[4] or 1))) for one in found]


def _parameters(values: list[str]) -> list[tuple[int, str]]:
    split = (value.partition(" ") for value in values)
    return [(int(number), rest.strip()[:512]) for number, _, rest in split if _NUMBER.fullmatch(number)]


def _read_crypto(line: str) -> Crypto | None:
    """None for a suite that isn't ours, for MKIs, and for session parameters, which must be understood (RFC 4568 6.3.7)."""
    match = _CRYPTO.fullmatch(line)
    if match is None or match[2] not in SUITE_KEY_BYTES:
        return None
    if match[4] and not _LIFETIME.fullmatch(match[4]):
        return None
    if any(not word.startswith("-") for word in match[5].split()):
        return None
    try:
        key = base64.b64decode(match[3], validate=True)
    except binascii.Error:
        return None
    return Crypto(int(match[1]), match[2], key) if len(key) == SUITE_KEY_BYTES[match[2]] else None


def _milliseconds(text: str) -> int | None:
    """Whole ones; some write fractions, and nought for nothing."""
    return _number(text.strip().partition(".")[0]) or None


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _connection(address: str) -> str:
    """What ``c=`` says of an address, and ``o=``."""
    return f"IN {'IP6' if ':' in address else 'IP4'} {address}"


def _attribute_line(attribute: tuple[str, str]) -> Line:
    name, value = attribute
    return "a", f"{name}:{value}" if value else name
