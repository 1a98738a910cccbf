"""The session descriptions of a leg with one stream of sound: reads any offer or answer liberally, writes ours (RFC 8829, RFC 9429).

What peers get wrong or do differently is settled here, so that nobody else has to know: lines without ``a=mid``, video
and data sections that are refused, ICE and DTLS attributes at session level, any of the SAVP profiles.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sinchphone.errors import MediaError, RemoteProtocolError
from sinchphone.media.webrtc.formats import Formats, OfferedCodec, WrittenFormats, answered_formats, choose, offered_formats, read_formats
from sinchphone.protocol.sdp import (
    INACTIVE,
    SENDRECV,
    Section,
    SessionDescription,
    is_token,
    mirrored,
    read_session,
    refused,
    write_session,
)

MAX_CANDIDATES: Final = 64  # a phone with Wi-Fi, mobile data and a VPN trickles about 20
_PROFILES: Final = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")
_SETUPS: Final = ("actpass", "active", "passive")
_STREAMS: Final = ("msid-semantic", " WMS *")  # as libwebrtc writes it
_NO_PORT: Final = 9
_ICE_CHARACTERS: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104  no socket: candidates say where we are (RFC 8829 5.2.1)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a DTLS certificate (RFC 8122)."""

    algorithm: str
    value: str


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
    sections: tuple[Section, ...]

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
    try:
        session = read_session(sdp)
    except RemoteProtocolError as error:
        raise MediaError(f"the peer's session description can't be used: {error}") from error
    for index, section in enumerate(session.sections):
        if section.kind == "audio" and section.port and section.profile in _PROFILES:
            feedback = section.all("rtcp-fb") if section.profile.endswith("F") else []
            formats = read_formats(section.payloads, section.all("rtpmap"), section.all("fmtp"), feedback)
            return _read_audio(index, section, session, formats, choose(formats, codecs, prefer))
    raise MediaError("the peer's session description has no sound over DTLS-SRTP")


def write_offer(local: LocalDescription, codecs: Sequence[str] = ("opus",)) -> str:
    """Our offer: one audio section, no candidates (they are trickled, RFC 8840)."""
    section = _audio(local, _PROFILES[0], offered_formats(codecs), "actpass", SENDRECV, "0")
    return _write(local, [("group", "BUNDLE 0"), _STREAMS], [section])


def write_answer(local: LocalDescription, offer: RemoteAudio, setup: str | None = None, candidates: Sequence[str] = ()) -> str:
    """Our answer: the offered sound is taken, everything else refused, in the order of the offer (RFC 3264 6).

    ``setup``: that of the call, where this isn't its first answer; ``candidates``: to be put into it.
    """
    return _write_alike(local, offer, offer.mid, setup or answering_setup(offer), mirrored(offer.direction), candidates)


def write_again(local: LocalDescription, remote: RemoteAudio, mid: str | None, candidates: Sequence[str]) -> str:
    """A later offer of ours, in the shape of what was agreed on (RFC 3264 8). ``remote``: the peer's last description."""
    return _write_alike(local, remote, mid, "actpass", SENDRECV, candidates)


def _write_alike(
    local: LocalDescription, remote: RemoteAudio, mid: str | None, setup: str, direction: str, candidates: Sequence[str]
) -> str:
    head = [] if mid is None else [_STREAMS]
    if remote.bundled:  # a group that wasn't offered must not be answered (RFC 8843 7.3); libwebrtc refuses it
        head.insert(0, ("group", f"BUNDLE {mid}"))
    sections = [_refused(section) for section in remote.sections]
    profile, formats = remote.sections[remote.index].profile, answered_formats(remote.sound, remote.formats)
    sections[remote.index] = _audio(local, profile, formats, setup, direction, mid, candidates)
    return _write(local, head, sections)


def answering_setup(offer: RemoteAudio) -> str:
    """Our ``a=setup`` to an offer: active wherever the peer lets us choose (RFC 8842 5.3); an offer that says nothing is active."""
    return "passive" if offer.setup in ("", "active") else "active"


def _read_audio(index: int, section: Section, session: SessionDescription, formats: Formats, sound: OfferedCodec) -> RemoteAudio:
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
        lite=bool(session.all("ice-lite")),
        fingerprints=_fingerprints(section, session),
        setup=_one_of(_SETUPS, _either(section, session, "setup")) or "",
        direction=section.said_direction,  # the address says nothing: ICE finds it
        formats=formats,
        sound=sound,
        candidates=tuple(section.all("candidate")[:MAX_CANDIDATES]),
        complete=section.first("end-of-candidates") is not None or bool(session.all("end-of-candidates")),
        sections=session.sections,
    )


def _bundles(session: SessionDescription, mid: str) -> bool:
    """Whether a BUNDLE group contains the section (RFC 8843 7.2)."""
    groups = [value.split() for value in session.all("group")]
    return any(group[:1] == ["BUNDLE"] and mid in group[1:] for group in groups)


def _fingerprints(section: Section, session: SessionDescription) -> tuple[Fingerprint, ...]:
    found = section.all("fingerprint") or session.all("fingerprint")
    pairs = [value.split() for value in found]
    fingerprints = tuple(Fingerprint(pair[0].lower(), pair[1].upper()) for pair in pairs if len(pair) == 2)
    if not any(each.algorithm in ("sha-256", "sha-384", "sha-512") for each in fingerprints):
        raise MediaError("the peer's session description has no certificate fingerprint that can be checked")
    return fingerprints


def _either(section: Section, session: SessionDescription, name: str) -> str:
    return section.first(name) or next(iter(session.all(name)), "")


def _one_of(words: tuple[str, ...], value: str) -> str | None:
    return value if value in words else None


def _token(value: str | None) -> str | None:
    return value if value is not None and is_token(value) else None


def _audio(
    local: LocalDescription,
    profile: str,
    formats: WrittenFormats,
    setup: str,
    direction: str,
    mid: str | None,
    candidates: Sequence[str] = (),
) -> Section:
    """The section of our sound; its port is of no use before there are candidates (RFC 8840 4.1.1)."""
    attributes = [
        ("rtcp", f"{_NO_PORT} IN IP4 {_ANYWHERE}"),
        ("ice-ufrag", local.ufrag),
        ("ice-pwd", local.password),
        ("ice-options", "trickle"),
        *(("fingerprint", f"{each.algorithm} {each.value}") for each in local.fingerprints),
        ("setup", setup),
        *_mid(mid),
        (direction, ""),
        ("rtcp-mux", ""),
        *formats.attributes,
        ("ptime", "20"),
        ("msid", f"{local.cname} {local.cname}"),
        ("ssrc", f"{local.ssrc} cname:{local.cname}"),
        *((name, value) for name, _, value in (candidate.partition(":") for candidate in candidates)),
    ]
    return Section("audio", _NO_PORT, profile, formats.payloads, _ANYWHERE, tuple(attributes))


def _refused(section: Section) -> Section:
    return replace(refused(section), address=_ANYWHERE, attributes=(*_mid(_token(section.first("mid"))), (INACTIVE, "")))


def _mid(mid: str | None) -> list[tuple[str, str]]:
    return [] if mid is None else [("mid", mid)]


def _write(local: LocalDescription, attributes: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    return write_session(SessionDescription(str(local.session_id), local.version, "", tuple(sections), tuple(attributes)))
