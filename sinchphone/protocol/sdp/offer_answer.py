"""Offer and answer of one sound stream over RTP/AVP or RTP/SAVP (RFC 3264), as a machine::

    STABLE --offer()--> OFFERED --accept(answer)--> STABLE
                        OFFERED --withdraw()------> STABLE     the peer refused the new offer; what was agreed stays
    STABLE --answer(offer)--> STABLE

An answer takes one encoding and its telephone-events, so that a peer can't change in mid-call; every other media line is
refused with port 0. Payload numbers are per direction: we send the peer's and receive ours.
"""

from dataclasses import replace
from typing import Final

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.sdp import session_description as sdp
from sinchphone.protocol.sdp.session_description import (
    RECVONLY,
    SENDONLY,
    SENDRECV,
    TELEPHONE_EVENT,
    Crypto,
    Format,
    Section,
    SessionDescription,
)
from sinchphone.quick_dataclass import quick_dataclass

EVENT_PARAMETERS: Final = "0-15"  # the events of RFC 4733 3.2 that we know: 0-9 * # A-D
KNOWN: Final = {  # what we offer, under these numbers
    "PCMU": Format(0, "PCMU", 8000),
    "PCMA": Format(8, "PCMA", 8000),
    "G722": Format(9, "G722", 8000),  # 16 kHz of sound; the 8000 is an old mistake that stayed (RFC 3551 4.5.2)
    "opus": Format(96, "opus", 48000, 2, "useinbandfec=1"),
}
_EVENTS: Final = {
    8000: Format(101, TELEPHONE_EVENT, 8000, 1, EVENT_PARAMETERS),
    48000: Format(100, TELEPHONE_EVENT, 48000, 1, EVENT_PARAMETERS),
}


@quick_dataclass(frozen=True, slots=True)
class LocalCapabilities:
    """What we say about ourselves.

    ``codecs`` are names of ``KNOWN``, most wanted first; ``preferred`` goes before the peer's order when we answer.
    ``keys`` hold one key for each SDES suite that we take, most wanted first: with them we offer RTP/SAVP and accept nothing
    less where ``secure_only``; without them RTP/AVP is all we do.
    """

    address: str
    port: int
    codecs: tuple[str, ...]
    direction: str = SENDRECV
    preferred: str | None = None
    keys: tuple[Crypto, ...] = ()
    secure_only: bool = True
    ptime_ms: int = 20
    rtcp_mux: bool = False


@quick_dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides take. ``sends`` and ``receives`` are ours; a peer on hold doesn't receive, so we don't send."""

    remote: Section  # the peer's section: address, port, rtcp_port, ptime_ms
    codec: Format  # to send, under the peer's number
    receiving: tuple[Format, ...]  # what may come, under our numbers, telephone-events among them
    event: Format | None  # to send digits, under the peer's number
    sends: bool
    receives: bool
    our_key: Crypto | None = None
    peer_key: Crypto | None = None


class Negotiation:
    """The offers and answers of one leg."""

    def __init__(self, session_id: int) -> None:
        """``session_id``: for ``o=``, any number below 2**62 that isn't used twice."""
        self.agreed: Agreed | None = None
        self.is_offered = False
        self._session_id = str(session_id)
        self._version = 0
        self._written: tuple[Section, ...] = ()
        self._layout: tuple[Section, ...] = ()  # the peer's or our media lines, in order, refused ones too
        self._index = 0  # of our sound among them
        self._offered: tuple[Format, ...] = ()
        self._keys: tuple[Crypto, ...] = ()

    def offer(self, local: LocalCapabilities) -> str:
        """Our offer, first or later. Raises LocalProtocolError while one is open."""
        if self.is_offered:
            raise LocalProtocolError("an offer is open already")
        self._offered = self._offerable(local.codecs)
        self._keys = tuple(replace(key, tag=number) for number, key in enumerate(local.keys, 1))
        profile = sdp.SECURE_PROFILES[0] if self._keys else sdp.PLAIN_PROFILES[0]
        ours = _section(local, self._offered, self._keys, profile, local.direction, mux=local.rtcp_mux)
        others = [sdp.refused(section) for section in self._layout] or [ours]
        others[self._index] = ours
        self.is_offered = True
        return self._write(local, tuple(others))

    def withdraw(self) -> None:
        """The peer refused our offer; what was agreed before stays."""
        self.is_offered = False

    def accept(self, answer: str) -> Agreed:
        """What the peer's answer to our offer agrees on. Raises RemoteProtocolError where it doesn't fit; the offer is then over.
        LocalProtocolError where none is open."""
        if not self.is_offered:
            raise LocalProtocolError("no offer is open")
        self.is_offered = False
        session = sdp.read_session(answer)
        remote = session.sections[self._index] if self._index < len(session.sections) else None
        if remote is None or not remote.has_sound:
            raise RemoteProtocolError("the peer's answer refuses the sound")
        if not remote.address:
            raise RemoteProtocolError(sdp.NO_ADDRESS)
        if remote.is_secure != bool(self._keys):
            raise RemoteProtocolError("the peer's answer changes the profile of the offer")
        ours, theirs = self._keys_of(remote)
        common = [one for one in remote.formats if any(one.is_same_as(mine) for mine in self._offered)]
        codec = next((one for one in common if one.name.lower() != TELEPHONE_EVENT), None)
        if codec is None:
            raise RemoteProtocolError("the peer's answer has no encoding of the offer")
        mine = next(key for key, _ in self._written[self._index].attributes if key in sdp.DIRECTIONS)
        direction = sdp.agreed_direction(mine, sdp.mirrored(remote.direction))
        self._layout = self._written
        return self._agree(remote, codec, common, self._offered, direction, ours, theirs)

    def answer(self, offer: str, local: LocalCapabilities) -> tuple[str, Agreed]:
        """Our answer to the peer's offer. Raises RemoteProtocolError where nothing fits: it deserves a 488. LocalProtocolError
        while an offer of ours is open (491)."""
        if self.is_offered:
            raise LocalProtocolError("an offer of ours is open")
        session = sdp.read_session(offer)
        index, theirs = self._choose(session, local)
        remote = session.sections[index]
        codec = self._choose_codec(remote, local)
        if codec is None:
            raise RemoteProtocolError("the peer offers no encoding that is taken here")
        event = _event_for(codec, remote.formats)
        taken = (_answered(codec), *((replace(event, parameters=EVENT_PARAMETERS),) if event else ()))
        ours = None
        if theirs is not None:
            ours = next(replace(key, tag=theirs.tag) for key in local.keys if key.suite == theirs.suite)
        direction = sdp.agreed_direction(local.direction, sdp.mirrored(remote.direction))
        keys = (ours,) if ours else ()
        section = _section(local, taken, keys, remote.profile, direction, mux=remote.rtcp_mux and local.rtcp_mux)
        if remote.mid is not None:
            section = replace(section, attributes=(("mid", remote.mid), *section.attributes))
        written = [sdp.refused(one) for one in session.sections]
        written[index] = section
        self._layout, self._index = session.sections, index
        text = self._write(local, tuple(written))
        return text, self._agree(remote, codec, remote.formats, taken, direction, ours, theirs)

    def _offerable(self, codecs: tuple[str, ...]) -> tuple[Format, ...]:
        """Our formats with their events. A number that meant something else to this peer before keeps its meaning (RFC 3264 8.3.2)."""
        formats = [KNOWN[name] for name in codecs]
        rates = sorted({one.clock_rate for one in formats}, reverse=True)
        formats += [_EVENTS[rate] for rate in rates]
        known = self.agreed.receiving if self.agreed else ()
        kept = [next((replace(one, payload_type=old.payload_type) for old in known if old.is_same_as(one)), one) for one in formats]
        taken = {one.payload_type for one in known}
        numbers = iter(number for number in range(96, 128) if number not in taken and all(number != one.payload_type for one in kept))
        used: set[int] = set()
        for place, one in enumerate(kept):
            clashes = one.payload_type in used or any(old.payload_type == one.payload_type and not old.is_same_as(one) for old in known)
            kept[place] = replace(one, payload_type=next(numbers)) if clashes else one
            used.add(kept[place].payload_type)
        return tuple(kept)

    def _choose(self, session: SessionDescription, local: LocalCapabilities) -> tuple[int, Crypto | None]:
        """The media line to take, and the peer's key in it. The line that is in use stays; a secure one goes before a plain one."""
        suites = {key.suite for key in local.keys}
        found: list[tuple[bool, bool, int, Crypto | None]] = []
        for index, section in enumerate(session.sections):
            key = next((one for one in section.cryptos if one.suite in suites), None)
            usable = key is not None if section.is_secure else not (local.keys and local.secure_only)
            if section.has_sound and section.address and usable:
                found.append(
                    (self.agreed is not None and index == self._index, section.is_secure, -index, key if section.is_secure else None)
                )
        if not found:
            if any(section.has_sound and not section.address for section in session.sections):
                raise RemoteProtocolError(sdp.NO_ADDRESS)
            raise RemoteProtocolError("the peer offers no sound that can be taken here")
        _, _, index, key = max(found, key=lambda one: one[:3])
        return -index, key

    def _choose_codec(self, remote: Section, local: LocalCapabilities) -> Format | None:
        common = [one for one in remote.formats if any(one.is_same_as(KNOWN[name]) for name in local.codecs)]
        wanted = [one for one in common if local.preferred and one.name.lower() == local.preferred.lower()]
        return next(iter(wanted + common), None)

    def _keys_of(self, remote: Section) -> tuple[Crypto | None, Crypto | None]:
        """Our key and the peer's that an answer chose by its tag (RFC 4568 6.1)."""
        if not self._keys:
            return None, None
        for theirs in remote.cryptos:
            for ours in self._keys:
                if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                    return ours, theirs
        raise RemoteProtocolError("the peer's answer has no key for the offered ones")

    def _agree(
        self,
        remote: Section,
        codec: Format,
        theirs: tuple[Format, ...] | list[Format],
        receiving: tuple[Format, ...],
        direction: str,
        our_key: Crypto | None,
        peer_key: Crypto | None,
    ) -> Agreed:
        spelled = replace(codec, name=next(name for name in KNOWN if name.lower() == codec.name.lower()))
        sends, receives = direction in (SENDRECV, SENDONLY), direction in (SENDRECV, RECVONLY)
        event = _event_for(codec, tuple(theirs))
        self.agreed = Agreed(remote, spelled, receiving, event, sends, receives, our_key, peer_key)
        return self.agreed

    def _write(self, local: LocalCapabilities, sections: tuple[Section, ...]) -> str:
        """The text; ``o=`` counts every change, and only changes (RFC 3264 8)."""
        if sections != self._written:
            self._version += 1
            self._written = sections
        return sdp.write_session(SessionDescription(self._session_id, self._version, local.address, sections))


def _section(
    local: LocalCapabilities, formats: tuple[Format, ...], keys: tuple[Crypto, ...], profile: str, direction: str, *, mux: bool
) -> Section:
    attributes = [one.rtpmap for one in formats]
    attributes += [one.fmtp for one in formats if one.parameters]
    attributes += [("crypto", str(key)) for key in keys]
    attributes += [("rtcp-mux", "")] if mux else []
    attributes += [("ptime", str(local.ptime_ms)), (direction, "")]
    payloads = tuple(str(one.payload_type) for one in formats)
    return Section("audio", local.port, profile, payloads, local.address, tuple(attributes))


def _answered(codec: Format) -> Format:
    """The offered format with what we say about our decoder."""
    known = next(one for one in KNOWN.values() if one.is_same_as(codec))
    return replace(known, payload_type=codec.payload_type)


def _event_for(codec: Format, formats: tuple[Format, ...]) -> Format | None:
    """The telephone-events that go with an encoding: of its clock rate; some phones offer 8000 only, whatever the encoding."""
    events = [one for one in formats if one.name.lower() == TELEPHONE_EVENT]
    same = [one for one in events if one.clock_rate == codec.clock_rate]
    return next(iter(same + events), None)
