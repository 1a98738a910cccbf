"""The section of pictures in a description, bundled with the sound: what the peer takes, and what ours says (RFC 8843, RFC 7742).

Orientation extensions are not agreed to, so that senders turn their pictures themselves (RFC 7742 4). Repair is by NACK on the same
SSRC, without RTX.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sinchphone.media.agreement import PictureAgreement
from sinchphone.media.webrtc.formats import NACK, TRANSPORT_CC, fed_back, numbering_of
from sinchphone.protocol.rtp.packet import VIDEO_RATE
from sinchphone.protocol.rtp.transport_feedback import EXTENSION_URI
from sinchphone.protocol.sdp.session_description import Attributes, Format, SessionDescription
from sinchphone.quick_dataclass import quick_dataclass

VIDEO: Final = "video"
_OUR_NUMBERS: Final = {"VP8": 96, "H264": 102}  # as browsers number them
_PARAMETERS: Final = {"VP8": "", "H264": "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}
_FEEDBACK: Final = (NACK, "nack pli", "ccm fir")


@quick_dataclass(frozen=True, slots=True)
class RemotePictures:
    """What a peer's description says about the pictures that we take."""

    index: int  # of the section
    codec: str
    payload_type: int
    direction: str
    nack: bool
    numbering: int | None  # the header extension of packets' numbers, where they are fed back

    @property
    def receives(self) -> bool:
        """Whether the peer wants to see us."""
        return self.direction in ("sendrecv", "recvonly")

    def agreement(self, offered: Sequence[str] = ()) -> PictureAgreement:
        """What is agreed on where these are taken. ``offered``: the codecs of our offer, whose number may come then."""
        ours = {_OUR_NUMBERS[self.codec]} if self.codec in offered else set()
        receives = frozenset({self.payload_type} | ours)
        return PictureAgreement(self.codec, self.payload_type, receives, self.receives, self.nack, self.numbering)


def read_pictures(session: SessionDescription, sound: int, codecs: Sequence[str]) -> RemotePictures | None:
    """The pictures that share the transport of the sound in section ``sound``, in the first of the peer's codecs that is among ours;
    ``None`` where there are none, or none that fit: the sound goes on without."""
    for index in session.bundle_of(session.sections[sound]):
        section = session.sections[index]
        if section.kind != VIDEO or not (section.port or section.is_bundle_only):
            continue
        for form in section.formats:
            if form.name.upper() in codecs and _fits(form):
                said_of = {"*", str(form.payload_type)}
                return RemotePictures(
                    index,
                    form.name.upper(),
                    form.payload_type,
                    section.said_direction,
                    not said_of.isdisjoint(fed_back(section, NACK)),
                    None if said_of.isdisjoint(fed_back(section, TRANSPORT_CC)) else numbering_of(section),
                )
    return None


def offered_pictures(codecs: Sequence[str], numbering: int | None) -> tuple[tuple[str, ...], Attributes]:
    """Payload types and attributes of our offer."""
    return _written({_OUR_NUMBERS[name]: name for name in codecs}, numbering, nack=True)


def answered_pictures(remote: RemotePictures) -> tuple[tuple[str, ...], Attributes]:
    """Those of our answer, which takes one codec."""
    return _written({remote.payload_type: remote.codec}, remote.numbering, nack=remote.nack)


def _fits(form: Format) -> bool:
    """H.264 needs fragments of our frames, and the profile that our encoder has (RFC 6184 8.1)."""
    if form.clock_rate != VIDEO_RATE:
        return False
    if form.name.upper() != "H264":
        return True
    pairs = (part.strip().partition("=") for part in form.parameters.lower().split(";"))
    said = {name: value for name, _, value in pairs}
    return said.get("packetization-mode") == "1" and said.get("profile-level-id", "42").startswith("42")


def _written(names: Mapping[int, str], numbering: int | None, *, nack: bool) -> tuple[tuple[str, ...], Attributes]:
    attributes = [] if numbering is None else [("extmap", f"{numbering} {EXTENSION_URI}")]
    for number, name in names.items():
        attributes.append(("rtpmap", f"{number} {name}/{VIDEO_RATE}"))
        attributes += [("fmtp", f"{number} {_PARAMETERS[name]}")] if _PARAMETERS[name] else []
        kinds = [kind for kind in _FEEDBACK if nack or kind != NACK] + ([] if numbering is None else [TRANSPORT_CC])
        attributes += [("rtcp-fb", f"{number} {kind}") for kind in kinds]
    return tuple(map(str, names)), tuple(attributes)
