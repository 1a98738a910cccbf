"""What waits for users who are away: instant messages with the time tokens that they were published with (pure)."""

from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from sinchphone.exchange.pubsub.broker import Posted
from sinchphone.quick_dataclass import quick_dataclass

MAX_FRAMES: Final = 2_000  # of one transport in a mailbox: who writes too much pushes out only their own
MAX_MAILBOX_BYTES: Final = 16 * 1024 * 1024
FRAME_OVERHEAD_BYTES: Final = 256


@quick_dataclass(frozen=True, slots=True)
class Kept:
    """A frame of an instant message that waits for a user."""

    posted: Posted
    transport_id: str

    @property
    def token(self) -> int:
        """Its time token."""
        return self.posted.token

    @property
    def size_bytes(self) -> int:
        """What it takes."""
        return len(str(self.posted.payload)) + FRAME_OVERHEAD_BYTES


@dataclass(slots=True)
class Mailbox:
    """One user's."""

    frames: list[Kept] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0

    def put(self, kept: Kept) -> list[Kept]:
        """Keep a frame, once; what had to make room for it."""
        if self._has(kept.token):
            return []
        insort(self.frames, kept, key=attrgetter("token"))
        self.counts[kept.transport_id] += 1
        self.size_bytes += kept.size_bytes
        dropped = []
        while (crowded := self._crowded(kept.transport_id)) is not None:
            oldest = next(frame for frame in self.frames if frame.transport_id == crowded)
            self.frames.remove(oldest)
            self._discount([oldest])
            dropped.append(oldest)
        return dropped

    def after(self, token: int) -> list[Kept]:
        """What came after a time token, oldest first."""
        return self.frames[bisect_right(self.frames, token, key=attrgetter("token")) :]

    def drop_until(self, token: int) -> list[Kept]:
        """Forget what came up to a time token; what that was."""
        count = bisect_right(self.frames, token, key=attrgetter("token"))
        dropped, self.frames = self.frames[:count], self.frames[count:]
        self._discount(dropped)
        return dropped

    def drop(self, token: int) -> None:
        """Forget the frame of that time token, if it's there."""
        if self._has(token):
            self._discount([self.frames.pop(bisect_right(self.frames, token, key=attrgetter("token")) - 1)])

    def _has(self, token: int) -> bool:
        place = bisect_right(self.frames, token, key=attrgetter("token"))
        return place > 0 and self.frames[place - 1].token == token

    def _crowded(self, newest: str) -> str | None:
        """The transport that has to give up a frame, if one has."""
        if self.counts[newest] > MAX_FRAMES:
            return newest
        return self.counts.most_common(1)[0][0] if self.size_bytes > MAX_MAILBOX_BYTES else None

    def _discount(self, dropped: list[Kept]) -> None:
        self.size_bytes -= sum(kept.size_bytes for kept in dropped)
        self.counts.subtract(kept.transport_id for kept in dropped)
