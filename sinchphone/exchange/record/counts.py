"""What an exchange counts as long as it runs, for who measures it: calls by state and end, and how long things took.

Whoever knows more says more: what is said twice, or of a call that isn't counted, changes nothing. Costs no more than the counting.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sinchphone.histogram import Histogram
from sinchphone.protocol.call.states import Cause, State

CALL_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CALLBACK_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # a backend has 5 s


@dataclass(slots=True)
class _CountedCall:
    kind: str
    placed_at: float
    state: State = State.PROGRESSING


class CallCounts:
    """Calls from their placement on. ``now`` is in seconds of any clock, the same for all; ``kind``: what was called."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, Cause]] = Counter()  # by kind and cause
        self.ringing_seconds = Histogram(CALL_BOUNDS)  # from the placement until somebody rings
        self.answer_seconds = Histogram(CALL_BOUNDS)  # and until somebody answers
        self._open: dict[str, _CountedCall] = {}  # by call id

    def placed(self, call_id: str, kind: str, now: float) -> None:
        """A call goes on from now on."""
        self._open.setdefault(call_id, _CountedCall(kind, now))

    def rang(self, call_id: str, now: float) -> None:
        """Somebody rings."""
        call = self._open.get(call_id)
        if call is not None and call.state is State.PROGRESSING:
            call.state = State.RINGING
            self.ringing_seconds.note(max(0.0, now - call.placed_at))

    def answered(self, call_id: str, now: float) -> None:
        """Somebody has answered."""
        self.rang(call_id, now)
        call = self._open.get(call_id)
        if call is not None and call.state is State.RINGING:
            call.state = State.ANSWERED
            self.answer_seconds.note(max(0.0, now - call.placed_at))

    def over(self, call_id: str, cause: Cause) -> None:
        """It's over."""
        call = self._open.pop(call_id, None)
        if call is not None:
            self.ended[call.kind, cause] += 1

    def going_on(self) -> Counter[tuple[str, State]]:
        """How many aren't over, by kind and state."""
        return Counter((call.kind, call.state) for call in self._open.values())


class CallbackCounts:
    """Requests to backends."""

    def __init__(self) -> None:
        self.taken_seconds = Histogram(CALLBACK_BOUNDS)  # by those that were answered well
        self.failed_seconds = Histogram(CALLBACK_BOUNDS)  # by those that were not

    def note(self, seconds: float, *, failed: bool) -> None:
        """One is over."""
        (self.failed_seconds if failed else self.taken_seconds).note(seconds)
