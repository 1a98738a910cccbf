"""The line between a gateway's signaling and its media: offer, answer, dtmf, delete (the model of rtpengine's ng protocol).

::

    caller's offer -> Relay.offer -> our offer to the called side
    our answer to the caller <- Relay.answer <- called side's answer        sound then flows through the relay

``relay.local`` implements it here, ``relay.rtpengine`` with rtpengine. Descriptions are SDP (RFC 8866) and carry
their candidates: nothing is trickled out.
"""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.quick_dataclass import quick_dataclass

NOT_ANSWERED: Final = "only an answered call can be offered anew"
MAX_EARLY: Final = 64  # candidates of a branch before its answer, and branches


def silence_of(seconds: float) -> str:
    """Why a side is given up from which nothing has come for so long."""
    return f"nothing has come for {seconds:.0f} s"


class Side(StrEnum):
    """One of the two ends of a bridged call."""

    CALLER = "caller"
    CALLED = "called"

    @property
    def other(self) -> "Side":
        """The one that it is bridged with."""
        return Side.CALLED if self is Side.CALLER else Side.CALLER


class MediaTransport(StrEnum):
    """How a side carries its media."""

    WEBRTC = "webrtc"  # ICE, DTLS-SRTP, rtcp-mux
    RTP = "rtp"  # RTP/AVP
    SRTP = "srtp"  # RTP/SAVP with SDES keys (RFC 4568)


@quick_dataclass(frozen=True, slots=True)
class SideDigitHeard:
    """A side sent a digit, as a telephone-event (RFC 4733) or, where none were agreed, as sound: one of ``0-9 * # A-D``."""

    side: Side
    digit: str
    duration_ms: int
    passed: bool = True  # the other side takes telephone-events and gets it; where not, there is SIP INFO or the like


@quick_dataclass(frozen=True, slots=True)
class SideConnected:
    """Media can flow to and from this side."""

    side: Side
    codec: str  # opus, PCMU, PCMA or G722


@quick_dataclass(frozen=True, slots=True)
class SideLost:
    """Nothing has come from this side for too long, or it can't be reached."""

    side: Side
    reason: str


@quick_dataclass(frozen=True, slots=True)
class BranchCandidate:
    """A candidate of ours for one branch only, where a WebRTC offer forked: for that device, if it can be told. ``None`` ends them.

    It may go untold: the device then learns the address from our checks, unless it is behind a strict NAT.
    """

    branch: str
    candidate: Candidate | None


@quick_dataclass(frozen=True, slots=True)
class SideSilent:
    """Nothing has come from a side over RTP for so long; said again after as long. Its signaling knows whether it's still there."""

    side: Side
    silent_s: float


RelayEvent: TypeAlias = SideDigitHeard | SideConnected | SideLost | SideSilent | BranchCandidate


class Relay(Protocol):
    """The media of one bridged call. Methods raise MediaError; cancelling one is safe, the relay must then be deleted."""

    async def offer(self, offer: str, towards: MediaTransport, *, signalled_from: str | None = None) -> str:
        """Take the caller's offer, give the one for the called side, whose signaling comes from that IP address (see ``Relays.relay``).
        Later offers are for ``renew``."""

    async def ringing(self, answer: str, *, branch: str = "") -> None:
        """Take the answer of a WebRTC branch that only rings, to connect it in advance where that is possible. Nobody hears it yet:
        ``answer`` with the same branch follows when it takes the call, or does not follow."""

    async def answer(self, answer: str, *, branch: str = "", signalled_from: str | None = None) -> str:
        """Take the answer of the called side (early or final, of one branch where the offer forked), give ours for the caller.

        ``signalled_from``: the IP address that it came from, which may not have been known before.

        The branch that answered last is the one that is heard. The same caller's answer comes out each time that its codec allows.
        Several devices of one WebRTC offer: only the one that takes the call here, those that just ring in ``ringing``.
        """

    async def replace(self, side: Side, offer: str, transport: MediaTransport, *, signalled_from: str | None = None) -> str:
        """Answer the offer of somebody who takes that side's place from now on; the other side isn't asked, and stays as it is. Raises
        MediaError, or LocalProtocolError before both were answered: then nothing has changed."""

    async def renew(self, side: Side, offer: str) -> str:
        """Answer a new offer of a side (hold, resume, another address, an ICE restart) without asking the other one, which stays as it is.

        Possible once both have been answered, whatever the other side is; while held, the other side hears
        what the holding side sends (its music), or silence. A side that the other one holds is answered so.
        """

    async def propose(self, side: Side) -> str:
        """A new offer of ours for a side, which asked for one (to resume, mostly) or is told that the other one holds it, or doesn't any
        more; ``settle`` takes its answer.

        As ``renew``, but the other way round: that side says last whether it holds. Raises MediaError, or LocalProtocolError where it
        can't be offered anything now.
        """

    def hears(self, side: Side) -> bool:
        """Whether that side wants to hear, as agreed last: one that holds doesn't."""

    async def settle(self, side: Side, answer: str) -> None:
        """Take a side's answer to ``propose``."""

    async def withdraw(self) -> None:
        """The offer that came out of ``propose`` was refused: what was agreed before stays."""

    async def add_candidate(self, side: Side, candidate: Candidate | None, *, branch: str = "") -> None:
        """Take a trickled candidate of a WebRTC side (and branch), before its answer too; ``None`` ends them."""

    async def dtmf(self, towards: Side, digits: str) -> None:
        """Send digits (``0-9 * # A-D``) to a side as telephone-events, after those asked for before. Raises
        MediaError where it takes none."""

    def events(self) -> AsyncIterator[RelayEvent]:
        """What happens, in order; ends when the relay is deleted. One reader.

        A telephone-event from one side is passed on to the other by the relay itself, and reported.
        """

    async def delete(self) -> None:
        """End the media and free its ports. May be called twice."""


class Relays(Protocol):
    """Makes relays."""

    def relay(self, call_id: str, caller: MediaTransport, *, signalled_from: str | None = None) -> Relay:
        """The media of a new call whose caller uses that transport.

        ``signalled_from``: the IP address that its signaling comes from; a phone behind NAT sends its sound from there too,
        whatever its description says.
        """

    async def close(self) -> None:
        """Delete what is left. May be called twice."""
