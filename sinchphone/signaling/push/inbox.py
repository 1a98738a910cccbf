"""What is done with the pushes that arrive: those about a call that can be taken come through, once; the others are counted (pure)."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.signaling.push.notification import CallNotification, read_content, read_payload

MAX_PUSHED_CALLS: Final = 256  # calls that were told of: a push service may deliver a push again


@dataclass(slots=True)
class PushCounts:
    """What became of pushes: told of a call, came too late, came again, couldn't be read (garbage, too long, for somebody else)."""

    taken: int = 0
    expired: int = 0
    repeated: int = 0
    unreadable: int = 0


class PushVerdict(Enum):
    """What a push is worth."""

    NEWS = "tells of a call"
    EXPIRED = "came too late"
    REPEATED = "came again"
    UNREADABLE = "can't be read"


class PushInbox:
    """The pushes of one client. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self) -> None:
        self.counts = PushCounts()
        self._seen: deque[str] = deque(maxlen=MAX_PUSHED_CALLS)

    def take(self, content: bytes | Mapping[str, Any] | None, now: float) -> tuple[PushVerdict, CallNotification | None]:
        """A push's content, as it came or as an app has it; None where it couldn't even be decrypted. What it's worth, and the call that it
        tells of."""
        try:
            notification = _read(content)
        except RemoteProtocolError:
            self.counts.unreadable += 1
            return PushVerdict.UNREADABLE, None
        if notification.has_timed_out(now):
            self.counts.expired += 1
            return PushVerdict.EXPIRED, notification
        if notification.call_id in self._seen:
            self.counts.repeated += 1
            return PushVerdict.REPEATED, notification
        self._seen.append(notification.call_id)
        self.counts.taken += 1
        return PushVerdict.NEWS, notification


def _read(content: bytes | Mapping[str, Any] | None) -> CallNotification:
    if content is None:
        raise RemoteProtocolError("a push that isn't for us")
    return read_content(content) if isinstance(content, bytes) else read_payload(content)
