"""The session descriptions of a leg with one stream of sound, and one of pictures where that is wanted: reads any offer or answer
liberally, writes ours (RFC 8829, RFC 9429).

What peers get wrong or do differently is settled here, so that nobody else has to know: lines without ``a=mid``, sections that are
refused, ICE and DTLS attributes at session level or in the section that carries the sound of a bundle, and any of the profiles that
RFC 8829 5.1.2 names: whether it's DTLS-SRTP is said by the fingerprint.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sinchphone.errors import MediaError, RemoteProtocolError
from sinchphone.media.codecs.codec import OPUS
from sinchphone.media.webrtc.formats import (
    OUR_NUMBERING,
    Formats,
    OfferedCodec,
    WrittenFormats,
    answered_formats,
    choose,
    offered_formats,
    read_formats,
)
from sinchphone.media.webrtc.pictures import VIDEO, RemotePictures, answered_pictures, offered_pictures, read_pictures
from sinchphone.protocol.sdp.session_description import (
    INACTIVE,
    SENDRECV,
    Section,
    SessionDescription,
    agreed_direction,
    mirrored,
    read_session,
    refused,
    write_session,
)
from sinchphone.quick_dataclass import quick_dataclass

MAX_CANDIDATES: Final = 64  # a phone with Wi-Fi, mobile data and a VPN trickles about 20
_PROFILES: Final = (  # RFC 8829 5.1.2
    "UDP/TLS/RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "RTP/SAVPF",
    "RTP/SAVP",
    "RTP/AVPF",
    "RTP/AVP",
    "TCP/DTLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVP",
)
_SETUPS: Final = ("actpass", "active", "passive")
_LINE: Final = re.compile(r"[ -~]{1,256}")
_STREAMS: Final = ("msid-semantic", " WMS *")  # as libwebrtc writes it
_NO_PORT: Final = 9
_ICE_CHARACTERS: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ANYWHERE: Final = "0.0.0.0"  # noqa: S104  no socket: candidates say where we are (RFC 8829 5.2.1)


@quick_dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a DTLS certificate (RFC 8122)."""

    algorithm: str
    value: str


@quick_dataclass(frozen=True, slots=True)
class RemoteAudio:
    """What a peer's description says about its sound."""

    index: int  # of the section
    carrier: int  # index of the section with the transport: the same, but where the sound is bundled with it (RFC 8843)
    mid: str | None
    bundled: bool  # the section is in a BUNDLE group
    rtcp_mux: bool  # RTCP may come to the RTP port (RFC 5761): ours has no other
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
    pictures: RemotePictures | None = None  # that share its transport, where we take any

    @property
    def line(self) -> tuple[str | None, int]:
        """Mid and index of the section that candidates are for."""
        return self.sections[self.carrier].mid, self.carrier

    @property
    def sends(self) -> bool:
        """Whether the peer wants to be heard."""
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """Whether the peer wants to hear us."""
        return self.direction in ("sendrecv", "recvonly")


@quick_dataclass(frozen=True, slots=True)
class LocalDescription:
    """What our descriptions say about us."""

    session_id: int
    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    ssrc: int
    cname: str
    version: int = 2  # of the description, one more in each later one (RFC 3264 8)
    picture_ssrc: int = 0


def read_description(sdp: str, codecs: Sequence[str] = ("opus",), prefer: str | None = None, pictures: Sequence[str] = ()) -> RemoteAudio:
    """The peer's sound in an offer or answer; raises MediaError where there is none that fits.

    Taken is the first of the peer's codecs that is among ours, or ``prefer`` where both have it; ``pictures`` are the codecs of those that
    we take, if any.
    """
    try:
        session = read_session(sdp)
    except RemoteProtocolError as error:
        raise MediaError(f"the peer's session description can't be used: {error}") from error
    index, carrier = _choose(session)
    section, transport = session.sections[index], session.sections[carrier]
    formats = read_formats(section, feedback=section.profile.endswith("F") and _has_rtcp_mux(section, transport))
    audio = _read_audio(index, carrier, session, formats, choose(formats, codecs, prefer))
    return replace(audio, pictures=read_pictures(session, index, pictures)) if pictures and audio.rtcp_mux else audio


def write_offer(local: LocalDescription, codecs: Sequence[str] = ("opus",), pictures: Sequence[str] = ()) -> str:
    """Our offer: one audio section, and one of pictures where there are codecs of any; no candidates (they are trickled, RFC 8840)."""
    transport = _Transport(local, "actpass")
    sections = [_media("audio", transport, _PROFILES[0], offered_formats(codecs), SENDRECV, "0")]
    if pictures:
        formats = WrittenFormats(*offered_pictures(pictures, OUR_NUMBERING if OPUS.name in codecs else None))
        sections.append(_media(VIDEO, transport, _PROFILES[0], formats, SENDRECV, "1"))
    return _write(local, [("group", " ".join(["BUNDLE", *map(str, range(len(sections)))])), _STREAMS], sections)


def write_answer(
    local: LocalDescription,
    offer: RemoteAudio,
    setup: str | None = None,
    candidates: Sequence[str] = (),
    *,
    direction: str = SENDRECV,
) -> str:
    """Our answer: the offered sound is taken, everything else refused, in the order of the offer (RFC 3264 6).

    ``setup``: that of the call, where this isn't its first answer; ``candidates``: to be put into it; ``direction``: what we want.
    """
    transport = _Transport(local, setup or answering_setup(offer), candidates, rtcp_mux=offer.rtcp_mux)
    return _write_alike(transport, offer, offer.mid, direction, answers=True)


def write_again(
    local: LocalDescription, remote: RemoteAudio, mid: str | None, candidates: Sequence[str] = (), *, direction: str = SENDRECV
) -> str:
    """A later offer of ours, in the shape of what was agreed on (RFC 3264 8). ``remote``: the peer's last description."""
    transport = _Transport(local, "actpass", candidates, rtcp_mux=remote.rtcp_mux)
    return _write_alike(transport, remote, mid, direction, answers=False)


def _write_alike(transport: "_Transport", remote: RemoteAudio, mid: str | None, wish: str, *, answers: bool) -> str:
    """``wish``: what we want, of sound and pictures alike; an answer agrees to no more than what is offered."""

    def agreed(theirs: str) -> str:
        return agreed_direction(wish, mirrored(theirs)) if answers else wish

    head = [] if mid is None else [_STREAMS]
    sections = [_refused(section) for section in remote.sections]
    audio, carrier, pictures = remote.sections[remote.index], remote.sections[remote.carrier], remote.pictures
    taken = {remote.index, remote.carrier}
    if remote.carrier != remote.index:  # who takes a section of a bundle takes the one that carries it, too (RFC 8843 7.3.2)
        sections[remote.carrier] = _carrying(transport, carrier)
    if pictures is not None:
        taken.add(pictures.index)
        section = remote.sections[pictures.index]
        written = WrittenFormats(*answered_pictures(pictures))
        carried = pictures.index != remote.carrier
        said = agreed(pictures.direction)
        sections[pictures.index] = _media(VIDEO, transport, section.profile, written, said, section.mid, carried=carried)
    formats = answered_formats(remote.sound, remote.formats)
    carried = remote.carrier != remote.index
    sections[remote.index] = _media("audio", transport, audio.profile, formats, agreed(remote.direction), mid, carried=carried)
    if remote.bundled:  # a group that wasn't offered must not be answered (RFC 8843 7.3); libwebrtc refuses it
        mids = {index: section.mid for index, section in enumerate(remote.sections)} | {remote.index: mid}
        order = sorted(taken, key=lambda index: (index != remote.carrier, index))  # the first is the one that carries
        head.insert(0, ("group", " ".join(["BUNDLE", *filter(None, (mids[index] for index in order))])))
    return _write(transport.local, head, sections)


def answering_setup(offer: RemoteAudio) -> str:
    """Our ``a=setup`` to an offer: active wherever the peer lets us choose (RFC 8842 5.3); an offer that says nothing is active."""
    return "passive" if offer.setup in ("", "active") else "active"


def _choose(session: SessionDescription) -> tuple[int, int]:
    """The section of sound to take, and the one with its transport: the first that has a certificate, else the first."""
    found = [(index, _carrier(session, index)) for index, section in enumerate(session.sections) if _is_sound(section)]
    carried = [(index, carrier) for index, carrier in found if carrier is not None]
    if not carried:
        raise MediaError("the peer's session description has no sound over DTLS-SRTP")
    return next((one for one in carried if session.sections[one[1]].all("fingerprint") or session.all("fingerprint")), carried[0])


def _is_sound(section: Section) -> bool:
    return section.kind == "audio" and section.profile in _PROFILES


def _carrier(session: SessionDescription, index: int) -> int | None:
    """Which section has the ICE and DTLS of that one; ``None`` where it's refused.

    In a bundle it's the first that isn't refused (RFC 8843 7.2). A section that repeats what that one says has no transport of its own:
    libwebrtc writes it so where it bundles at any price, and then takes no answer that refuses the first one.
    """
    section = session.sections[index]
    others = ((place, session.sections[place]) for place in session.bundle_of(section))
    shared = next((place for place, one in others if one.port and one.kind in ("audio", "video") and one.profile in _PROFILES), None)
    if section.is_bundle_only:
        return shared
    if not section.port:
        return None
    ufrag = section.first("ice-ufrag")
    return shared if shared is not None and ufrag in (None, session.sections[shared].first("ice-ufrag")) else index


def _has_rtcp_mux(section: Section, transport: Section) -> bool:
    return section.rtcp_mux or transport.rtcp_mux


def _read_audio(index: int, carrier: int, session: SessionDescription, formats: Formats, sound: OfferedCodec) -> RemoteAudio:
    section, transport = session.sections[index], session.sections[carrier]
    ufrag, password = (_either(transport, session, name) for name in ("ice-ufrag", "ice-pwd"))
    if not (_ICE_CHARACTERS.fullmatch(ufrag) and _ICE_CHARACTERS.fullmatch(password) and len(password) >= 22):
        raise MediaError("the peer's session description has no ICE credentials")
    return RemoteAudio(
        index=index,
        carrier=carrier,
        mid=section.mid,
        bundled=bool(session.bundle_of(section)),
        rtcp_mux=_has_rtcp_mux(section, transport),
        ufrag=ufrag,
        password=password,
        lite=bool(session.all("ice-lite")),
        fingerprints=_fingerprints(transport, session),
        setup=_one_of(_SETUPS, _either(transport, session, "setup")) or "",
        direction=section.said_direction,  # the address says nothing: ICE finds it
        formats=formats,
        sound=sound,
        candidates=tuple(transport.all("candidate")[:MAX_CANDIDATES]),
        complete=transport.first("end-of-candidates") is not None or bool(session.all("end-of-candidates")),
        sections=session.sections,
    )


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


@quick_dataclass(frozen=True, slots=True)
class _Transport:
    """What a section of ours says about ICE, DTLS and RTCP."""

    local: LocalDescription
    setup: str
    candidates: Sequence[str] = ()
    rtcp_mux: bool = True

    @property
    def attributes(self) -> list[tuple[str, str]]:
        return [
            ("rtcp", f"{_NO_PORT} IN IP4 {_ANYWHERE}"),
            ("ice-ufrag", self.local.ufrag),
            ("ice-pwd", self.local.password),
            ("ice-options", "trickle"),
            *(("fingerprint", f"{each.algorithm} {each.value}") for each in self.local.fingerprints),
            ("setup", self.setup),
            *((name, value) for name, _, value in (candidate.partition(":") for candidate in self.candidates)),
        ]

    @property
    def mux(self) -> list[tuple[str, str]]:
        return [("rtcp-mux", "")] if self.rtcp_mux else []


def _media(
    kind: str, transport: _Transport, profile: str, formats: WrittenFormats, direction: str, mid: str | None, *, carried: bool = False
) -> Section:
    """The section of our sound or pictures, both of one stream, so that the peer keeps lips and voice together. Its port is of no use
    before there are candidates (RFC 8840 4.1.1). ``carried``: by another section."""
    local = transport.local
    track, ssrc = (f"{local.cname}-{VIDEO}", local.picture_ssrc) if kind == VIDEO else (local.cname, local.ssrc)
    attributes = [
        *([] if carried else transport.attributes),
        *_mid(mid),
        (direction, ""),
        *transport.mux,
        *formats.attributes,
        *([] if kind == VIDEO else [("ptime", "20")]),
        ("msid", f"{local.cname} {track}"),
        ("ssrc", f"{ssrc} cname:{local.cname}"),
    ]
    return Section(kind, _NO_PORT, profile, formats.payloads, _ANYWHERE, tuple(attributes))


def _carrying(transport: _Transport, section: Section) -> Section:
    """A section that is taken for its transport alone, with the first of its formats: nothing is sent or received in it."""
    first = section.formats[:1]
    names = [one.rtpmap for one in first]
    names += [one.fmtp for one in first if _LINE.fullmatch(one.parameters)]
    attributes = (*transport.attributes, *_mid(section.mid), (INACTIVE, ""), *transport.mux, *names)
    payloads = tuple(str(one.payload_type) for one in first) or section.payloads[:1]
    return Section(section.kind, _NO_PORT, section.profile, payloads, _ANYWHERE, attributes)


def _refused(section: Section) -> Section:
    return replace(refused(section), address=_ANYWHERE, attributes=(*_mid(section.mid), (INACTIVE, "")))


def _mid(mid: str | None) -> list[tuple[str, str]]:
    return [] if mid is None else [("mid", mid)]


def _write(local: LocalDescription, attributes: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    return write_session(SessionDescription(str(local.session_id), local.version, "", tuple(sections), tuple(attributes)))
