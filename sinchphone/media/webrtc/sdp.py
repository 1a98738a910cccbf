"""The session descriptions of a leg with one stream of sound: reads any offer or answer liberally, writes ours (RFC 8829, RFC 9429).

What peers get wrong or do differently is settled here, so that nobody else has to know: lines without ``a=mid``, video
and data sections that are refused, ICE and DTLS attributes at session level, any of the SAVP profiles.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sinchphone.errors import MediaError
from sinchphone.media.webrtc.formats import Formats, OfferedCodec, answered_lines, choose, offered_lines, read_formats
from sinchphone.protocol.sdp import DIRECTIONS, MAX_SDP_BYTES, MAX_SECTIONS, Block, attributes_of, read_blocks, write_blocks

MAX_CANDIDATES: Final = 64  # a phone with Wi-Fi, mobile data and a VPN trickles about 20
_PROFILES: Final = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")
_SETUPS: Final = ("actpass", "active", "passive")
_ICE_CHARACTERS: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")  # no more: int() raises for thousands of digits
_TOKEN: Final = re.compile(r"[^\s\x00-\x1f]{1,64}")
_MIRRORED: Final = {"sendonly": "recvonly", "recvonly": "sendonly"}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a DTLS certificate (RFC 8122)."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class MediaSection:
    """One ``m=`` section as it came: enough to refuse it in an answer."""

    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """The values of every attribute of that name."""
        return [value for key, value in self.attributes if key == name]

    def first(self, name: str) -> str | None:
        """The value of the first attribute of that name."""
        return next(iter(self.all(name)), None)


@dataclass(frozen=True, slots=True)
class RemoteAudio:
    """What a peer's description says about its sound."""

    index: int  # of the section
    mid: str | None
    bundled: bool  # the section is in a BUNDLE group
    ufrag: str
    password: str
    lite: bool
    fingerprints: tuple[Fingerprint, ...]
    setup: str  # actpass, active, passive, or empty where it isn't said: active in an offer, passive in an answer (RFC 4145 4)
    direction: str
    formats: Formats  # that the peer takes
    sound: OfferedCodec  # the one of them that is taken
    candidates: tuple[str, ...]
    complete: bool  # no candidates will be trickled
    sections: tuple[MediaSection, ...]

    @property
    def sends(self) -> bool:
        """Whether the peer wants to be heard."""
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """Whether the peer wants to hear us."""
        return self.direction in ("sendrecv", "recvonly")


@dataclass(frozen=True, slots=True)
class LocalDescription:
    """What our descriptions say about us."""

    session_id: int
    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    ssrc: int
    cname: str
    version: int = 2  # of the description, one more in each later one (RFC 3264 8)


def read_description(sdp: str, codecs: Sequence[str] = ("opus",), prefer: str | None = None) -> RemoteAudio:
    """The peer's sound in an offer or answer; raises MediaError where there is none that fits.

    Taken is the first of the peer's codecs that is among ours, or ``prefer`` where both have it.
    """
    if len(sdp) > MAX_SDP_BYTES:
        raise MediaError("the peer's session description is too long")
    session, sections = _split(sdp)
    for index, section in enumerate(sections):
        if section.kind == "audio" and section.port and section.profile in _PROFILES:
            feedback = section.all("rtcp-fb") if section.profile.endswith("F") else []
            formats = read_formats(section.formats, section.all("rtpmap"), section.all("fmtp"), feedback)
            return _read_audio(index, section, session, tuple(sections), formats, choose(formats, codecs, prefer))
    raise MediaError("the peer's session description has no sound over DTLS-SRTP")


def write_offer(local: LocalDescription, codecs: Sequence[str] = ("opus",)) -> str:
    """Our offer: one audio section, no candidates (they are trickled, RFC 8840)."""
    head = [*_session(local), "a=group:BUNDLE 0", "a=msid-semantic: WMS *"]
    return _join(head + _audio(local, _PROFILES[0], offered_lines(codecs), "actpass", "sendrecv", "0"))


def write_answer(local: LocalDescription, offer: RemoteAudio, setup: str | None = None, candidates: Sequence[str] = ()) -> str:
    """Our answer: the offered sound is taken, everything else refused, in the order of the offer (RFC 3264 6).

    ``setup``: that of the call, where this isn't its first answer; ``candidates``: to be put into it.
    """
    direction = _MIRRORED.get(offer.direction, offer.direction)
    return _write_alike(local, offer, offer.mid, setup or answering_setup(offer), direction, candidates)


def write_again(local: LocalDescription, remote: RemoteAudio, mid: str | None, candidates: Sequence[str]) -> str:
    """A later offer of ours, in the shape of what was agreed on (RFC 3264 8). ``remote``: the peer's last description."""
    return _write_alike(local, remote, mid, "actpass", "sendrecv", candidates)


def _write_alike(
    local: LocalDescription, remote: RemoteAudio, mid: str | None, setup: str, direction: str, candidates: Sequence[str]
) -> str:
    head = _session(local)
    if remote.bundled:  # a group that wasn't offered must not be answered (RFC 8843 7.3); libwebrtc refuses it
        head.append(f"a=group:BUNDLE {mid}")
    if mid is not None:
        head.append("a=msid-semantic: WMS *")
    body: list[str] = []
    for index, section in enumerate(remote.sections):
        if index == remote.index:
            body += _audio(local, section.profile, answered_lines(remote.sound, remote.formats), setup, direction, mid)
            body += [f"a={candidate}" for candidate in candidates]
        else:
            body += _refused(section)
    return _join(head + body)


def answering_setup(offer: RemoteAudio) -> str:
    """Our ``a=setup`` to an offer: active wherever the peer lets us choose (RFC 8842 5.3); an offer that says nothing is active."""
    return "passive" if offer.setup in ("", "active") else "active"


def _split(sdp: str) -> tuple[MediaSection, list[MediaSection]]:
    """The session level (as a section of its own) and the media sections."""
    head, *blocks = read_blocks(sdp)
    if len(blocks) > MAX_SECTIONS:
        raise MediaError("the peer's session description has too many media sections")
    return MediaSection("", 0, "", (), attributes_of(head)), [_section(block) for block in blocks]


def _section(block: Block) -> MediaSection:
    words = block[0][1].split()
    port = words[1].partition("/")[0] if len(words) > 3 else ""
    if not _NUMBER.fullmatch(port):
        raise MediaError("a media line in the peer's session description can't be read")
    return MediaSection(words[0], int(port), words[2], tuple(words[3:]), attributes_of(block))


def _read_audio(
    index: int, section: MediaSection, session: MediaSection, sections: tuple[MediaSection, ...], formats: Formats, sound: OfferedCodec
) -> RemoteAudio:
    mid = _token(section.first("mid"))
    ufrag, password = (_either(section, session, name) for name in ("ice-ufrag", "ice-pwd"))
    if not (_ICE_CHARACTERS.fullmatch(ufrag) and _ICE_CHARACTERS.fullmatch(password) and len(password) >= 22):
        raise MediaError("the peer's session description has no ICE credentials")
    return RemoteAudio(
        index=index,
        mid=mid,
        bundled=mid is not None and _bundles(session, mid),
        ufrag=ufrag,
        password=password,
        lite=session.first("ice-lite") is not None,
        fingerprints=_fingerprints(section, session),
        setup=_one_of(_SETUPS, _either(section, session, "setup")) or "",
        direction=_direction(section) or _direction(session) or "sendrecv",
        formats=formats,
        sound=sound,
        candidates=tuple(section.all("candidate")[:MAX_CANDIDATES]),
        complete=section.first("end-of-candidates") is not None or session.first("end-of-candidates") is not None,
        sections=sections,
    )


def _bundles(session: MediaSection, mid: str) -> bool:
    """Whether a BUNDLE group contains the section (RFC 8843 7.2)."""
    groups = [value.split() for value in session.all("group")]
    return any(group[:1] == ["BUNDLE"] and mid in group[1:] for group in groups)


def _fingerprints(section: MediaSection, session: MediaSection) -> tuple[Fingerprint, ...]:
    found = section.all("fingerprint") or session.all("fingerprint")
    pairs = [value.split() for value in found]
    fingerprints = tuple(Fingerprint(pair[0].lower(), pair[1].upper()) for pair in pairs if len(pair) == 2)
    if not any(each.algorithm in ("sha-256", "sha-384", "sha-512") for each in fingerprints):
        raise MediaError("the peer's session description has no certificate fingerprint that can be checked")
    return fingerprints


def _either(section: MediaSection, session: MediaSection, name: str) -> str:
    return section.first(name) or session.first(name) or ""


def _one_of(words: tuple[str, ...], value: str) -> str | None:
    return value if value in words else None


def _direction(section: MediaSection) -> str | None:
    return next((key for key, _ in section.attributes if key in DIRECTIONS), None)


def _token(value: str | None) -> str | None:
    return value if value is not None and _TOKEN.fullmatch(value) else None


def _session(local: LocalDescription) -> list[str]:
    return ["v=0", f"o=- {local.session_id} {local.version} IN IP4 127.0.0.1", "s=-", "t=0 0"]


def _audio(local: LocalDescription, profile: str, formats: tuple[str, list[str]], setup: str, direction: str, mid: str | None) -> list[str]:
    numbers, format_lines = formats
    return [
        f"m=audio 9 {profile} {numbers}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        "a=ice-options:trickle",
        *(f"a=fingerprint:{each.algorithm} {each.value}" for each in local.fingerprints),
        f"a=setup:{setup}",
        *([] if mid is None else [f"a=mid:{mid}"]),
        f"a={direction}",
        "a=rtcp-mux",
        *format_lines,
        "a=ptime:20",
        f"a=msid:{local.cname} {local.cname}",
        f"a=ssrc:{local.ssrc} cname:{local.cname}",
    ]


def _refused(section: MediaSection) -> list[str]:
    """A section with port 0, which refuses it (RFC 3264 6)."""
    mid = _token(section.first("mid"))
    formats = " ".join(section.formats)
    return [
        f"m={section.kind} 0 {section.profile} {formats}",
        "c=IN IP4 0.0.0.0",
        *([] if mid is None else [f"a=mid:{mid}"]),
        "a=inactive",
    ]


def _join(lines: list[str]) -> str:
    return write_blocks([[(line[0], line[2:]) for line in lines]])
