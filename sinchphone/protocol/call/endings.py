"""What a goodbye means: a peer's DENY, ERROR, LEAVE or CANCEL as cause, and who ended the call. (MXP v10, methods 5, 6, 7 and 9)

A client of the 1.x generation knows LEAVE and CANCEL without a body only, and says by a bare DENY that somebody declined, that it is busy
(then it never ACKed) and that it has rung for as long as it does (45 s). Our own DENY says by ``deny=yes`` that a person declined.
"""

from typing import Final

from sinchphone.protocol.call.states import NETWORK_DOMAIN, PLATFORM_DOMAIN, Cause, EndedBy
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Message, Method, decode_failure, encode_failure
from sinchphone.quick_dataclass import quick_dataclass

CLIENT_RINGS_S: Final = 44.0  # a 1.x client gives up 45 s after the INVITE, which we sent up to a second before
BUSY: Final = CallFailure(486, "busy")  # RFC 3261 21.4.24
VANISHED: Final = CallFailure(408, "the other side vanished", "media")  # RFC 3261 21.4.9; what we tell a peer that we lost
ELSEWHERE: Final = CallFailure(None, "it rings on another device only")
PLATFORM_DOMAINS: Final = ("exchange", PLATFORM_DOMAIN, NETWORK_DOMAIN)  # of failures that no person and no device decided
YES, NO = "yes", "no"
_BODILESS: Final = (Method.LEAVE, Method.CANCEL)  # 1.x clients know 5_null and 7_null, and nothing for a failure in the body


@quick_dataclass(frozen=True, slots=True)
class Goodbye:
    """Why somebody left. ``final``: a person decided, for all devices; ``only_this``: it says nothing about the user's other devices."""

    cause: Cause
    by: EndedBy = EndedBy.PEER
    failure: CallFailure | None = None
    final: bool = False
    only_this: bool = False


def failure_of(message: Message) -> CallFailure | None:
    """The reason that a peer gave, in the body or in a header; ``None`` where it gave none that can be read."""
    text = message.headers.get("error_json", "")
    if message.body_type == BodyType.ERROR and message.body:
        text = message.body
    elif message.body_type == BodyType.MESSAGE and message.body:
        return CallFailure(None, message.body[:256])
    return decode_failure(text) if text else None


def failure_parts(method: Method, failure: CallFailure | None) -> tuple[str, str, dict[str, str]]:
    """Body type, body and headers that tell a failure, in the one form that every client understands with that method."""
    if failure is None:
        return BodyType.NONE, "", {}
    if method in _BODILESS:
        return BodyType.NONE, "", {"error_json": encode_failure(failure)}
    return BodyType.ERROR, encode_failure(failure), {}


def refusal(message: Message, *, noticed: bool, after_s: float) -> Goodbye:
    """One device of the called user is out before the answer. ``noticed``: it had ACKed; ``after_s``: since the call was placed."""
    failure, only_this = failure_of(message), message.headers.get("denyall") == NO
    if message.method is not Method.DENY:
        failed = message.method is Method.ERROR or failure is not None
        return Goodbye(Cause.FAILURE if failed else Cause.HUNG_UP, ended_by(failure), failure, only_this=only_this)
    if failure is None and message.headers.get("deny") != YES:
        if after_s >= CLIENT_RINGS_S:
            return Goodbye(Cause.NO_ANSWER, EndedBy.TIME, only_this=True)
        if not noticed:
            return Goodbye(Cause.DENIED, failure=BUSY, only_this=True)
    return Goodbye(Cause.DENIED, failure=failure, final=not only_this, only_this=only_this)


def withdrawal(message: Message, *, picked_up: bool) -> Goodbye:
    """The caller ends an incoming call before it was answered, or as we pick it up. By DENY a 1.x caller sends away the devices of a
    user that took notice after the first."""
    failure = failure_of(message)
    match message.method:
        case Method.ERROR:
            return Goodbye(Cause.FAILURE, ended_by(failure), failure)
        case Method.LEAVE if picked_up:
            return departure(message)
        case Method.DENY:
            return Goodbye(Cause.CANCELED, failure=failure or ELSEWHERE)
        case _:
            denied_elsewhere = message.headers.get("deny") == YES
            return Goodbye(Cause.DENIED if denied_elsewhere else Cause.CANCELED, failure=failure)


def departure(message: Message) -> Goodbye:
    """The other end leaves an answered call: it hung up, or it had to."""
    failure = failure_of(message)
    if failure is not None and (failure.code, failure.domain) == (VANISHED.code, VANISHED.domain):
        return Goodbye(Cause.INACTIVE, EndedBy.MEDIA, failure)
    failed = message.method is Method.ERROR or YES in map(message.headers.get, ("failureterm", "iceFailed"))
    if failed or (failure is not None and failure.code is not None):
        return Goodbye(Cause.FAILURE, ended_by(failure), failure)
    return Goodbye(Cause.HUNG_UP, failure=failure)


def ended_by(failure: CallFailure | None) -> EndedBy:
    """Whose doing a failure is that the other end told."""
    domain = failure.domain if failure is not None else ""
    return EndedBy.MEDIA if domain == VANISHED.domain else EndedBy.PLATFORM if domain in PLATFORM_DOMAINS else EndedBy.PEER
