"""Who a call is with, as events: somebody else has the place of the one before."""

from dataclasses import dataclass
from typing import ClassVar

from sinchphone.signaling.dialect import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred:
    """The call goes on with somebody else: who was there has put the two in each other's place, and leaves."""

    NAME: ClassVar[str] = "call.transferred"
    call_id: str
    peer: str
    domain: Domain
