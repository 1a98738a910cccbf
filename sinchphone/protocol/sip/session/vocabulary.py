"""What goes into and comes out of the machine of an INVITE session: orders, arrivals, effects and events."""

from dataclasses import field
from enum import StrEnum
from typing import TypeAlias

from sinchphone.errors import SinchphoneError
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.protocol.sip.message import Request, Response
from sinchphone.protocol.sip.uri import SipAddress, SipUri
from sinchphone.quick_dataclass import quick_dataclass


class SipPhase(StrEnum):
    """Where a session is. The first four are the caller's, the next two the callee's."""

    NEW = "new"
    CALLING = "calling"  # INVITE sent, nothing heard
    PROCEEDING = "proceeding"  # a provisional response came
    WITHDRAWING = "withdrawing"  # hung up before the answer: CANCEL, and BYE where a 200 crosses it
    INCOMING = "incoming"  # an INVITE came; ringing, early sound
    ACCEPTED = "accepted"  # 200 sent, no ACK yet
    TALKING = "talking"
    LEAVING = "leaving"  # BYE is on its way, or waits for the ACK
    OVER = "over"


# Events: what the user of a session sees, in order. Exactly one Refused or Ended is the last.


@quick_dataclass(frozen=True, slots=True)
class SipRinging:
    """The other side is being alerted (180), or something like it (181, 182, 183 without sound)."""

    status: int
    reason: str


@quick_dataclass(frozen=True, slots=True)
class SipEarly:
    """The other side's description before the answer: sound may come (RFC 3960)."""

    sdp: str
    status: int


@quick_dataclass(frozen=True, slots=True)
class SipAnswered:
    """The call is answered. Of an incoming call only where its INVITE had no offer: the answer to ours."""

    sdp: str


@quick_dataclass(frozen=True, slots=True)
class Refused:
    """No call came of it: the final status, 408 where nobody answered in time, 503 where nobody could be reached.

    ``error``: what stopped it here; ``None`` where the other side said so. ``moved``: whom it names instead, as far as that wasn't
    followed: for somebody who knows by whose rights (300, 301, 302). ``retry_after_s``: when to ask again, as far as that is told;
    ``headers``: its own ones, x-..., in small letters.
    """

    status: int
    reason: str
    error: SinchphoneError | None = field(default=None, compare=False)
    moved: tuple[SipAddress, ...] = field(default=(), compare=False)
    retry_after_s: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


@quick_dataclass(frozen=True, slots=True)
class SipReoffered:
    """The other side wants to change the sound: answer or refuse it. Without SDP it asks for our offer."""

    sdp: str | None


@quick_dataclass(frozen=True, slots=True)
class SipAnswerChanged:
    """The other side answered a refresh of the session with another description than before: the sound is to be offered anew."""


@quick_dataclass(frozen=True, slots=True)
class SipDigitHeard:
    """A digit in an INFO: one of ``0-9 * # A-D``."""

    digit: str
    duration_ms: int


@quick_dataclass(frozen=True, slots=True)
class SipReferred:
    """The other side wants its peer to call that address instead (REFER), in the place of the call that it names: ``ReferNews`` answers."""

    target: SipUri
    replaces: ReplacedDialog | None = None


@quick_dataclass(frozen=True, slots=True)
class SipEnded:
    """The call is over. ``status`` is the number that says why, where there is one (a Reason header's, 487 of a CANCEL, 408)."""

    reason: str
    status: int | None = None


SipEvent: TypeAlias = (
    SipRinging | SipEarly | SipAnswered | Refused | SipReoffered | SipAnswerChanged | SipDigitHeard | SipReferred | SipEnded
)


# Orders of the user.


@quick_dataclass(frozen=True, slots=True)
class SipDial:
    """Send the INVITE."""


@quick_dataclass(frozen=True, slots=True)
class SipRing:
    """180."""


@quick_dataclass(frozen=True, slots=True)
class SendEarly:
    """183 with a description."""

    sdp: str


@quick_dataclass(frozen=True, slots=True)
class SipAnswer:
    """200 with a description."""

    sdp: str


@quick_dataclass(frozen=True, slots=True)
class SipRefuse:
    """A final response of 300 and more. ``retry_after_s``: when to ask again (RFC 3261 20.33)."""

    status: int
    reason: str = ""
    retry_after_s: int | None = None


@quick_dataclass(frozen=True, slots=True)
class SipHangUp:
    """CANCEL, BYE or a refusal, whichever fits. ``status`` is why, in SIP's numbers, where it isn't just a hang-up (RFC 3326)."""

    reason: str = ""
    status: int | None = None


@quick_dataclass(frozen=True, slots=True)
class Reoffer:
    """Offer a change."""

    sdp: str


@quick_dataclass(frozen=True, slots=True)
class AnswerReoffer:
    """Answer the other side's offer, or give ours where it asked for one."""

    sdp: str


@quick_dataclass(frozen=True, slots=True)
class RefuseReoffer:
    """Refuse the other side's offer; the sound stays as it is."""

    status: int


@quick_dataclass(frozen=True, slots=True)
class SendDigit:
    """INFO with a digit."""

    digit: str
    duration_ms: int


@quick_dataclass(frozen=True, slots=True)
class DialogProbe:
    """Ask in the dialog whether the other side still knows the call, and end it where not. ``doubt``: why that is asked, for who reads why
    the call ended."""

    doubt: str


@quick_dataclass(frozen=True, slots=True)
class SendRefer:
    """Ask the other side to call that URI (REFER), once it has acknowledged our answer. ``ReferDone`` tells what came of it."""

    target: str


@quick_dataclass(frozen=True, slots=True)
class ReferNews:
    """How the call goes that the other side has asked for: the last one has a status of 200 and more (RFC 3515 2.4.5)."""

    status: int
    reason: str = ""


Order: TypeAlias = (
    SipDial
    | SipRing
    | SendEarly
    | SipAnswer
    | SipRefuse
    | SipHangUp
    | Reoffer
    | AnswerReoffer
    | RefuseReoffer
    | SendDigit
    | DialogProbe
    | SendRefer
    | ReferNews
)


# Arrivals.


@quick_dataclass(frozen=True, slots=True)
class GotResponse:
    """A response to the request of that number; what the transaction layer finds out is one too (408, 503)."""

    serial: int
    response: Response


@quick_dataclass(frozen=True, slots=True)
class GotRequest:
    """A new request in the dialog; ``key`` is for the reply. A CANCEL for the INVITE comes as ``GotCancel``."""

    key: str
    request: Request


@quick_dataclass(frozen=True, slots=True)
class GotCancel:
    """The INVITE with that key was cancelled (its CANCEL is answered already)."""

    key: str
    request: Request


@quick_dataclass(frozen=True, slots=True)
class GotAck:
    """The ACK of a 2xx."""

    request: Request


@quick_dataclass(frozen=True, slots=True)
class SipElapsed:
    """The deadline is there."""


Input: TypeAlias = Order | GotResponse | GotRequest | GotCancel | GotAck | SipElapsed


# Effects, to be performed in order.


@quick_dataclass(frozen=True, slots=True)
class SendRequest:
    """Send a request through a client transaction; responses come back with its number. Via and Contact are still to be added.

    ``next_uri``: where it goes first; ``in_dialog``: the way of the peer's own messages may be used.
    """

    serial: int
    request: Request
    next_uri: SipUri
    in_dialog: bool


@quick_dataclass(frozen=True, slots=True)
class SendAck:
    """Send the ACK of a 2xx: no transaction. Via is still to be added."""

    request: Request
    next_uri: SipUri


@quick_dataclass(frozen=True, slots=True)
class CancelRequest:
    """Cancel the INVITE of that number."""

    serial: int
    reason: str = ""


@quick_dataclass(frozen=True, slots=True)
class Reply:
    """Answer a request. A 2xx to an INVITE is repeated by the session, so the same one may come several times."""

    key: str
    response: Response


@quick_dataclass(frozen=True, slots=True)
class Notify:
    """Tell the user."""

    event: SipEvent


@quick_dataclass(frozen=True, slots=True)
class ReofferDone:
    """Our change is answered (``sdp``) or refused (``status``). Also: what the ACK answered to an offer of ours that was asked for."""

    sdp: str | None
    status: int = 200


@quick_dataclass(frozen=True, slots=True)
class DigitDone:
    """Our INFO was answered."""

    status: int


@quick_dataclass(frozen=True, slots=True)
class ReferDone:
    """What came of our REFER: the status of the other side's call, or its refusal."""

    status: int
    reason: str


Effect: TypeAlias = SendRequest | SendAck | CancelRequest | Reply | Notify | ReofferDone | DigitDone | ReferDone
