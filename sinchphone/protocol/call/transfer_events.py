"""Transfer in MXP, which has no method for it: two client events of ours. Clients that don't know them ignore them.

::

    {"name": "Transfer", "to": "+46…", "replaces": ""}              call that one instead; in place of the sender's call of that id with it
    {"name": "Transferred", "status": 100, "reason": ""}            it's under way; a final status of SIP follows

Who is told so calls by itself. Its call names the one that it replaces in a public header, which the exchange and the called user's phone
know: they put it in the place of that call, without ringing, or refuse it. A call's id is known to its two ends and the exchange alone.
"""

import json
from typing import Final, TypeAlias

from sinchphone.quick_dataclass import quick_dataclass

MAX_TO: Final = 256
MAX_REPLACES: Final = 64  # characters of a call's id
REPLACES_HEADER: Final = "x-sinchphone-replaces"
NO_CALL_TO_REPLACE: Final = "there is no such call to be replaced"
NO_TRANSFER_NEWS: Final = "the other side doesn't say what came of the transfer"
_MAX_BODY: Final = 2_048
_ASK, _TELL = "Transfer", "Transferred"


@quick_dataclass(frozen=True, slots=True)
class TransferWish:
    """The peer is to call that user, number or SIP address instead; in place of that call with it, where there is one."""

    to: str
    replaces: str = ""


@quick_dataclass(frozen=True, slots=True)
class TransferNews:
    """How that goes, in SIP's numbers: below 200 it's under way."""

    status: int
    reason: str = ""


TransferEvent: TypeAlias = TransferWish | TransferNews


def encode_transfer(event: TransferEvent) -> str:
    """As the body of a client event."""
    match event:
        case TransferWish(to, replaces):
            return json.dumps({"name": _ASK, "to": to, **({"replaces": replaces} if replaces else {})})
        case TransferNews(status, reason):
            return json.dumps({"name": _TELL, "status": status, "reason": reason[:MAX_TO]})


def decode_transfer(body: str) -> TransferEvent | None:
    """One of both; ``None`` for any other client event, and for what can't be read."""
    if len(body) > _MAX_BODY:
        return None
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match read:
        case {"name": "Transfer", "to": str(to), **more} if 0 < len(to) <= MAX_TO and to.isprintable():
            replaces = more.get("replaces", "")
            if isinstance(replaces, str) and len(replaces) <= MAX_REPLACES and replaces.isprintable():
                return TransferWish(to, replaces)
        case {"name": "Transferred", "status": int(status), **more} if 100 <= status < 700:
            reason = more.get("reason")
            return TransferNews(status, reason[:MAX_TO] if isinstance(reason, str) else "")
    return None
