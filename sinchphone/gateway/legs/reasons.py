"""Why a call ended, from the words of one side to the words of the other. Pure.

::

    MXP cause and failure  ->  Failure (SIP's numbers)  ->  SIP status, or MXP DENY / ERROR with a failure body
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from sinchphone.errors import (
    BACKEND_HANGS_UP,
    EXCHANGE_CLOSING,
    ForbiddenError,
    MediaError,
    NetworkError,
    NoPortError,
    NoServerError,
    NotFoundError,
    SinchphoneError,
)
from sinchphone.exchange.refusals import TOO_LONG_REASON, RefusedError
from sinchphone.gateway.call_facts import Failure
from sinchphone.protocol.call.states import ICE_FAILED, NETWORK_DOMAIN, Cause
from sinchphone.protocol.callbacks.events import Reason
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.protocol.sip.session.state import ELSEWHERE as COMPLETED_ELSEWHERE
from sinchphone.quick_dataclass import quick_dataclass

BUSY: Final = Failure(486, "Busy here")
DECLINED: Final = Failure(603, "Declined")
BACKEND_HUNG_UP: Final = Failure(603, BACKEND_HANGS_UP)
NO_ANSWER: Final = Failure(480, "Nobody answered")
NOBODY_NOTICED: Final = Failure(480, "No device took notice")
VANISHED: Final = Failure(408, "The other side vanished", "media")
CLOSING: Final = Failure(503, EXCHANGE_CLOSING)
BROKEN: Final = Failure(500, "The exchange failed")
UNAVAILABLE: Final = Failure(480, "Not available at the moment")
CROWDED: Final = Failure(486, "Too many calls at the moment")
NO_LINE: Final = Failure(503, "No line is free at the moment")
ELSEWHERE: Final = Failure(200, COMPLETED_ELSEWHERE, "sip")  # nothing failed: somebody else has the call (RFC 3326 4.1)
NOT_DESCRIBED: Final = "the called side answered without a description"
OFFER_IGNORED: Final = "the other side didn't answer our offer"
UNCHANGEABLE: Final = "the sound of this call can't be changed now"
TOO_LONG: Final = Failure(408, TOO_LONG_REASON)


Who: TypeAlias = Literal["caller", "called", "exchange", "time"]


@quick_dataclass(frozen=True, slots=True)
class CallEnding:
    """How a bridged call ended. Without a ``failure`` somebody just hung up. ``reason``: what DiCE says, where that isn't obvious."""

    by: Who
    failure: Failure | None = None
    reason: Reason | None = None


class CallRefusedError(SinchphoneError):
    """A call that can't be made, and what the caller is told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


_DENIALS: Final = (486, 600, 603)  # what people decide; the rest is failure
_STATUSES: Final[Mapping[Cause, Failure]] = {
    Cause.DENIED: DECLINED,
    Cause.NO_ANSWER: NO_ANSWER,
    Cause.TIMEOUT: NOBODY_NOTICED,
    Cause.INACTIVE: VANISHED,
    Cause.FAILURE: BROKEN,
}
_OF_ERRORS: Final[tuple[tuple[type[SinchphoneError], int], ...]] = (
    (NoServerError, 404),
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (MediaError, 488),
    (NetworkError, 503),
)
_SAID_ALIKE: Final = (400, 403, 404, 484, 503)  # that HTTP and SIP mean the same by


def failure_of_mxp(cause: Cause | None, failure: CallFailure | None) -> Failure | None:
    """What an MXP call's end means to the other side; ``None`` for a call that just ended (hung up, cancelled)."""
    general = _STATUSES.get(cause) if cause is not None else BROKEN
    if general is None:
        return None
    if failure is None:
        return general
    if failure.code == ICE_FAILED:
        return Failure(general.status, failure.message or general.reason, "media")
    code = failure.code if failure.code is not None and 400 <= failure.code < 700 else None
    domain = failure.domain if failure.domain in ("sip", "media") else general.domain
    return Failure(code or general.status, failure.message or general.reason, domain)


def vanished(reason: str) -> Failure:
    """Somebody was lost in mid-call, and how."""
    return Failure(VANISHED.status, reason, VANISHED.domain)


def as_told(failure: Failure) -> CallFailure:
    """What an MXP client reads of it."""
    later = "" if failure.retry_after_s is None else f", to be tried again in {failure.retry_after_s} s"
    return CallFailure(failure.status, failure.reason + later, failure.domain, dict(failure.headers))


def is_denial(failure: Failure) -> bool:
    """Whether somebody decided that: MXP's DENY; anything else is an ERROR."""
    return failure.status in _DENIALS


def failure_of_error(error: SinchphoneError) -> Failure:
    """What an error of ours means to the other side: in SIP's numbers, and without what only concerns this machine."""
    match error:
        case CallRefusedError():
            return error.failure
        case RefusedError(status=status) if status in _SAID_ALIKE:
            return Failure(status, str(error))
        case RefusedError(status=429):
            return CROWDED
        case RefusedError(status=status):
            return UNAVAILABLE if status < 500 else BROKEN
        case NoPortError():
            return NO_LINE
        case _:
            status = next((status for kind, status in _OF_ERRORS if isinstance(error, kind)), 500)
            return Failure(status, str(error), NETWORK_DOMAIN if isinstance(error, NetworkError) else "exchange")
