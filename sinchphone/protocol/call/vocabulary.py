"""What goes into a call machine and what comes out of it: states, causes, inputs, effects."""

from enum import Enum
from typing import Final, TypeAlias

from sinchphone.protocol.call.states import Cause, EndedBy, State
from sinchphone.protocol.mxp.message import CallFailure, Message
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.quick_dataclass import quick_dataclass

# Inputs: the user's orders


@quick_dataclass(frozen=True, slots=True)
class Dial:
    """Start an outgoing call."""


@quick_dataclass(frozen=True, slots=True)
class Greet:
    """Start an incoming call: prepare our answer to its offer."""


@quick_dataclass(frozen=True, slots=True)
class Answer:
    """Pick up an incoming call."""


@quick_dataclass(frozen=True, slots=True)
class Ring:
    """Tell the caller of an incoming call that it rings, before our answer to its offer is ready: a gateway's may come late."""


@quick_dataclass(frozen=True, slots=True)
class Preview:
    """Let the caller of an incoming call hear us before we pick up (early media), as soon as our answer to its offer is ready."""


@quick_dataclass(frozen=True, slots=True)
class HangUp:
    """End the call, in any state. Before the answer this cancels an outgoing call and denies an incoming one.

    ``failure`` goes to the peer as the reason; ``this_device_only`` lets the user's other devices ring on. ``elsewhere``: an outgoing call
    that rings has been answered or denied by somebody who is none of its devices (OTHER_DEVICE_ANSWERED, DENIED).
    """

    failure: CallFailure | None = None
    this_device_only: bool = False
    elsewhere: Cause | None = None


@quick_dataclass(frozen=True, slots=True)
class Redirect:
    """While sound flows: offer the peer that ``direction`` of it, seen from here (sendonly puts it on hold, RFC 3264 8.4). A peer that
    knows of no later offers doesn't answer."""

    direction: str


@quick_dataclass(frozen=True, slots=True)
class TellClientEvent:
    """While sound flows: tell the peer that client event."""

    body: str


# Inputs: work that an effect asked for is done


@quick_dataclass(frozen=True, slots=True)
class OfferReady:
    """The media port made our offer."""

    offer: Description


@quick_dataclass(frozen=True, slots=True)
class AnswerReady:
    """The media port took the caller's offer and made our answer."""

    answer: Description


@quick_dataclass(frozen=True, slots=True)
class Placed:
    """The platform took the call. ``devices``: how many of the called user's it knows, ``None`` where it doesn't say (a gateway);
    ``pushed``: push notifications went out, so a device may take longer to wake up."""

    signal_channel: str
    devices: int | None = None
    pushed: bool = False


@quick_dataclass(frozen=True, slots=True)
class Failed:
    """What an effect asked for could not be done."""

    failure: CallFailure
    by: EndedBy = EndedBy.PLATFORM


# Inputs: the media port's events. ``peer`` is the peer's instance id.


@quick_dataclass(frozen=True, slots=True)
class LocalCandidate:
    """A candidate of ours for that peer; ``None`` ends them."""

    peer: str
    candidate: Candidate | None


@quick_dataclass(frozen=True, slots=True)
class MediaConnected:
    """Sound can flow to and from that peer."""

    peer: str


@quick_dataclass(frozen=True, slots=True)
class MediaFailed:
    """That peer can't be reached."""

    peer: str
    reason: str


@quick_dataclass(frozen=True, slots=True)
class MediaLost:
    """That peer was reached and has vanished."""

    peer: str


@quick_dataclass(frozen=True, slots=True)
class PathFailing:
    """The path to that peer fails, or there may be a better one."""

    peer: str


@quick_dataclass(frozen=True, slots=True)
class DescribedAgain:
    """That peer's media port has a later offer, or the answer to one of the peer's."""

    peer: str
    description: Description


# Inputs: the peer, and time


@quick_dataclass(frozen=True, slots=True)
class Received:
    """A message of this call's MXP conversation."""

    message: Message


@quick_dataclass(frozen=True, slots=True)
class Elapsed:
    """The machine's deadline has come."""


Input: TypeAlias = (
    Dial
    | Greet
    | Answer
    | Ring
    | Preview
    | HangUp
    | Redirect
    | TellClientEvent
    | OfferReady
    | AnswerReady
    | Placed
    | Failed
    | LocalCandidate
    | MediaConnected
    | MediaFailed
    | MediaLost
    | PathFailing
    | DescribedAgain
    | Received
    | Elapsed
)


# Effects


@quick_dataclass(frozen=True, slots=True)
class MakeOffer:
    """Have the media port make an offer; then OfferReady or Failed."""


@quick_dataclass(frozen=True, slots=True)
class PlaceCall:
    """Place the call with the platform; then Placed or Failed."""

    offer: Description


@quick_dataclass(frozen=True, slots=True)
class MakeAnswer:
    """Have the media port answer the peer's offer; then AnswerReady or Failed."""

    peer: str
    offer: Description


@quick_dataclass(frozen=True, slots=True)
class ApplyAnswer:
    """Give that peer's answer to its media port."""

    peer: str
    answer: Description


@quick_dataclass(frozen=True, slots=True)
class AddCandidate:
    """Give that peer's candidate to its media port; ``None`` ends them."""

    peer: str
    candidate: Candidate | None


@quick_dataclass(frozen=True, slots=True)
class Renegotiate:
    """Give that peer's later offer, or its answer to one of ours, to its media port; without one, have the port make an offer of that
    ``direction``, or one that restarts ICE. Then DescribedAgain where the port has something to say; the sound goes on either way."""

    peer: str
    description: Description | None = None
    direction: str | None = None


@quick_dataclass(frozen=True, slots=True)
class DropPeer:
    """Close that peer's media port."""

    peer: str


@quick_dataclass(frozen=True, slots=True)
class CarrySound:
    """Join the user's sound to that peer; ``early``: before the answer (announcements, a far ringing tone)."""

    peer: str
    early: bool = False


@quick_dataclass(frozen=True, slots=True)
class ClientEventHeard:
    """The peer that the call is with has told that client event."""

    body: str


@quick_dataclass(frozen=True, slots=True)
class Send:
    """Publish the message on each of the channels."""

    message: Message
    channels: tuple[str, ...]


@quick_dataclass(frozen=True, slots=True)
class Entered:
    """The call is in this state now."""

    state: State


@quick_dataclass(frozen=True, slots=True)
class Ended:
    """The call is over. The last effect, exactly once."""

    cause: Cause
    by: EndedBy
    failure: CallFailure | None = None


Effect: TypeAlias = (
    MakeOffer
    | PlaceCall
    | MakeAnswer
    | ApplyAnswer
    | AddCandidate
    | Renegotiate
    | DropPeer
    | CarrySound
    | ClientEventHeard
    | Send
    | Entered
    | Ended
)


class Phase(Enum):
    """Where the machine stands; finer than State."""

    NEW = "new"
    OFFERING = "our offer is being made"
    PLACING = "the platform was asked"
    WITHDRAWING = "hung up while the platform was being asked"
    CALLING = "no device has taken notice yet"
    RINGING_OUT = "a device has taken notice"
    PREPARING = "our answer is being made"
    RINGING_AHEAD = "rings; our answer is still being made"
    RINGING_IN = "the user decides"
    JOINING = "picked up; the caller has not confirmed us yet"
    CONNECTING = "answered; no sound yet"
    TALKING = "sound flows"
    FADING = "the sound broke off; a goodbye may be on its way"
    OVER = "ended"


#: what people see of a phase
STATES: Final = {
    Phase.NEW: State.CREATED,
    Phase.OFFERING: State.CREATED,
    Phase.PLACING: State.CREATED,
    Phase.WITHDRAWING: State.CREATED,
    Phase.CALLING: State.PROGRESSING,
    Phase.RINGING_OUT: State.RINGING,
    Phase.PREPARING: State.CREATED,
    Phase.RINGING_AHEAD: State.RINGING,
    Phase.RINGING_IN: State.RINGING,
    Phase.JOINING: State.RINGING,
    Phase.CONNECTING: State.ANSWERED,
    Phase.TALKING: State.ESTABLISHED,
    Phase.FADING: State.ESTABLISHED,
    Phase.OVER: State.ENDED,
}
