"""Transfer in MXP, which has no method for it: two client events of ours. Clients that don't know them ignore them.

::

    {"name": "Transfer", "to": "+46…"}                              call that one instead
    {"name": "Transferred", "status": 100, "reason": ""}            it's under way; a final status of SIP follows
"""

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_TO: Final = 256
_MAX_BODY: Final = 2_048
_ASK, _TELL = "Transfer", "Transferred"


@dataclass(frozen=True, slots=True)
class TransferWish:
    """The peer is to call that user, number or SIP address instead."""

    to: str


@dataclass(frozen=True, slots=True)
class TransferNews:
    """How that goes, in SIP's numbers: below 200 it's under way."""

    status: int
    reason: str = ""


TransferEvent: TypeAlias = TransferWish | TransferNews


def encode_transfer(event: TransferEvent) -> str:
    """As the body of a client event."""
    match event:
        case TransferWish(to):
            return json.dumps({"name": _ASK, "to": to})
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
        case {"name": "Transfer", "to": str(to)} if 0 < len(to) <= MAX_TO and to.isprintable():
            return TransferWish(to)
        case {"name": "Transferred", "status": int(status), **more} if 100 <= status < 700:
            reason = more.get("reason")
            return TransferNews(status, reason[:MAX_TO] if isinstance(reason, str) else "")
    return None
