"""Where the peer of a call may send us, and what it's told of that: by ourselves, and with our own rights (RFC 5589).

Nobody spends our money: no number is called on another's word. A call that takes the place of one that goes on is no new one.
"""

from typing import Final

from sinchphone.engine.calls.details import CallDetails
from sinchphone.errors import ForbiddenError, MediaError, NotFoundError, TransferError
from sinchphone.protocol.call.states import Cause
from sinchphone.protocol.call.transfer_events import TransferNews, TransferWish
from sinchphone.protocol.names import ROOM_PREFIX, is_user_id
from sinchphone.protocol.phone_numbers import without_separators
from sinchphone.signaling.dialect import Domain

REPLACED: Final = "replaced-call"  # dialled for a call whose end is no user: the platform knows it by its id, and nobody else has that name
_STATUSES: Final = {Cause.DENIED: 603, Cause.NO_ANSWER: 480, Cause.TIMEOUT: 480, Cause.CANCELED: 487, Cause.HUNG_UP: 480}
_OF_ERRORS: Final = ((NotFoundError, 404), (ForbiddenError, 403), (MediaError, 488))


def destination_of(wish: TransferWish) -> tuple[Domain, str]:
    """Whom we are to call. Raises TransferError."""
    to = wish.to.removeprefix("sip:")
    if "@" in to or to.startswith("sips:"):
        return _address(to, wish)
    if to.startswith(ROOM_PREFIX):
        return Domain.CONFERENCE, to.removeprefix(ROOM_PREFIX)
    if _is_number(to):
        return _costly(Domain.PSTN, to, wish)
    if not is_user_id(to):
        raise TransferError("that is no user, number or SIP address", status=400)
    return Domain.MXP, to


def _address(to: str, wish: TransferWish) -> tuple[Domain, str]:
    user = to.removeprefix("sips:").partition("@")[0]
    return _costly(Domain.SIP, to, wish) if wish.replaces or _is_number(user) else (Domain.SIP, to)


def _costly(domain: Domain, identity: str, wish: TransferWish) -> tuple[Domain, str]:
    if wish.replaces:
        return Domain.MXP, REPLACED
    raise TransferError("this phone calls no numbers on another's word", status=403)


def _is_number(name: str) -> bool:
    return without_separators(name).removeprefix("+").isdecimal()


def news_of(details: CallDetails) -> TransferNews:
    """How a call that was made for a transfer ended before it was established."""
    failure = details.failure
    known = failure.code if failure is not None and failure.code is not None and 400 <= failure.code < 700 else None
    said = failure.message if failure is not None else str(details.error or "")
    known = known or next((status for kind, status in _OF_ERRORS if isinstance(details.error, kind)), None)
    status = known or (_STATUSES.get(details.cause, 500) if details.cause is not None else 500)
    return TransferNews(status, said or str(details.cause or "").replace("_", " "))
