"""What the B2BUA sees of a call's two ends, whatever protocol they speak.

::

    IncomingLeg   somebody called us:  ring, early, answer  ->  the caller
    OutgoingLeg   we call somebody:    start                ->  Ringing, Early, Answered  ->  the B2BUA
    both          events(): what the other side does; hang_up: refuse, cancel or leave, whichever fits

Descriptions are SDP. What goes wrong is said in SIP's numbers throughout (RFC 3261 21): they are the finest that any side has.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import field
from typing import Protocol, TypeAlias

from sinchphone.gateway.call_facts import CallerName, Dialled, Failure
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.protocol.call.transfer_events import TransferNews
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.protocol.sip.uri import SipAddress
from sinchphone.quick_dataclass import quick_dataclass

# What legs tell


@quick_dataclass(frozen=True, slots=True)
class Ringing:
    """The called side rings."""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class BranchRings:
    """One of several devices rings, and this is its answer if it takes the call."""

    branch: str
    sdp: str = field(repr=False)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """The called side is to be heard before it answers."""

    sdp: str = field(repr=False)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The called side took the call. ``sdp`` is ``None`` where an early answer stands; ``branch`` which device it was."""

    sdp: str | None = field(repr=False)
    branch: str = ""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Trickled:
    """A candidate of the other side; ``None`` ends them."""

    candidate: Candidate | None
    branch: str = ""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Reoffered:
    """The other side offers anew (hold, resume, another address); ``None``: it wants an offer of ours. To be answered, or refused."""

    sdp: str | None = field(repr=False)


@quick_dataclass(frozen=True, slots=True)
class AnswerChanged:
    """The other side has answered what was agreed on by something else: it is to be offered anew."""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DigitPressed:
    """The other side sent a digit by signaling (SIP INFO)."""

    digit: str
    duration_ms: int


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TransferAsked:
    """This side wants the other one to call ``to`` instead: a user, a number or a SIP address. To be told what comes of it. ``replaces``:
    in the place of the call that it has there, by its leg's id or as a dialog of its own with us."""

    to: str
    replaces: str | ReplacedDialog = ""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The other side ended the call: gave up, refused, left or vanished. The last event, exactly once. ``moved``: whom it wants to be
    called instead."""

    failure: Failure | None = None
    moved: tuple[SipAddress, ...] = ()


LegEvent: TypeAlias = Ringing | BranchRings | Early | Answered | Trickled | Reoffered | AnswerChanged | DigitPressed | TransferAsked | Gone


class Leg(Protocol):
    """One end of a call. Orders never wait for the other side; what comes too late is ignored."""

    @property
    def id(self) -> str:
        """The leg's own call id."""

    @property
    def transport(self) -> MediaTransport:
        """How it carries its media."""

    @property
    def signalled_from(self) -> str | None:
        """The IP address that the other side's signaling comes from, where its media may come from there too."""

    @property
    def media_host(self) -> str | None:
        """The address of ours that its RTP uses; ``None`` where it has none (WebRTC)."""

    def events(self) -> AsyncIterator[LegEvent]:
        """What the other side does, in order; ends after Gone. One reader."""

    async def trickle(self, candidate: Candidate | None, *, branch: str = "") -> None:
        """Tell a candidate of ours; legs without ICE ignore it."""

    async def media_connected(self, codec: str) -> None:
        """Sound can flow to and from this end."""

    async def media_failed(self, reason: str) -> None:
        """This end's media can't be reached, or vanished: the leg ends, and says Gone."""

    async def media_silent(self, silent_s: float) -> None:
        """Nothing has come from this end for so long: the leg ends if its signaling knows no better."""

    async def send_digit(self, digit: str, duration_ms: int) -> None:
        """Tell a digit by signaling. Raises MediaError where that isn't possible."""

    async def answer_reoffer(self, sdp: str, *, offered: bool = True) -> str | None:
        """Our answer to ``Reoffered``. Where that had no description (``offered`` False), ``sdp`` is our offer, and its answer is returned.
        Raises MediaError where none comes."""

    async def reoffer(self, sdp: str) -> str:
        """Offer the other side a change of ours, once it is answered; its answer. Raises MediaError where it refuses, or doesn't answer."""

    async def transfer(self, to: str, replaces: str = "") -> Failure | None:
        """Have this side call ``to`` instead, by itself and with its own rights, in place of the call ``replaces``; why it didn't."""

    async def tell_transfer(self, news: TransferNews) -> None:
        """How the transfer goes that this side has asked for."""

    async def refuse_reoffer(self, failure: Failure) -> None:
        """What it offered anew can't be had; the call goes on as before."""

    async def hang_up(self, failure: Failure | None = None) -> None:
        """End the call, in any state: refuse, cancel or leave, whichever fits."""

    async def run(self) -> None:
        """Carry the leg until it is over and its goodbyes are said. Cancelling it hangs up. Whoever makes a leg awaits this."""


class IncomingLeg(Leg, Protocol):
    """Somebody calls."""

    @property
    def caller(self) -> CallerName:
        """Who calls."""

    @property
    def dialled(self) -> Dialled:
        """Whom they asked for."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Public headers."""

    @property
    def offer(self) -> str | None:
        """The caller's offer; ``None`` where it waits for ours (SIP only)."""

    async def ring(self) -> None:
        """Tell the caller that it rings."""

    async def early(self, sdp: str) -> None:
        """Let the caller hear what comes before the answer."""

    async def answer(self, sdp: str) -> None:
        """Take the call. An early answer has the same SDP."""


class OutgoingLeg(Leg, Protocol):
    """We call somebody."""

    async def start(self, offer: str) -> None:
        """Call, with that offer. Raises nothing: a call that can't be placed is Gone."""

    @property
    def forwards_as(self) -> str | None:
        """The user by whose rights it may send the call on; ``None`` where it's no phone of a user's."""

    def alternative(self) -> "OutgoingLeg | None":
        """Another way to call the same side, where it is gone because it has refused our description; what was taken for this leg is the
        other's."""

    async def used_up(self) -> Failure:
        """To be awaited once it is answered: why the call has to end, when it has used up what its user may have. A leg that costs
        nothing never returns."""

    def release(self) -> None:
        """Free what was taken when the leg was made (a line of a trunk). Called when all is over, whether it ever ran or not."""
