"""What the parts of one conversation share: its caller, its tasks, what is to be freed, and how it ends."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from sinchphone.gateway.legs.leg import Failure, IncomingLeg, LegEvent, OutgoingLeg
from sinchphone.protocol.callback_events import Reason

Who: TypeAlias = Literal["caller", "called", "exchange", "time"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation ended. Without a ``failure`` somebody just hung up. ``reason``: what DiCE says, where that isn't obvious."""

    by: Who
    failure: Failure | None = None
    reason: Reason | None = None


class Stage(Protocol):
    """One conversation, as its parts see it."""

    @property
    def caller(self) -> IncomingLeg:
        """Who called."""

    def run_leg(self, leg: OutgoingLeg) -> None:
        """Run it beside, hang it up when the conversation ends, and release it at last."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have that done beside; cancelled with the conversation."""

    def keep(self, close: Callable[[], Awaitable[object]]) -> None:
        """Call that when the conversation is over; what was kept last is closed first."""

    def answered(self) -> None:
        """The caller's call was answered."""

    def end(self, ending: Ending) -> None:
        """The conversation is over; the first word counts."""


class CallerFace(Protocol):
    """Whatever has the caller's media at present. Methods raise MediaError."""

    async def take(self, event: LegEvent) -> None:
        """Something that the caller's leg said about media: a candidate, a new offer, a digit, an answer."""
