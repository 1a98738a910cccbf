"""What is known about a call, as it stands or as it ended."""

from dataclasses import replace

from sinchphone.errors import SinchphoneError
from sinchphone.protocol.call.states import Cause, EndedBy, State
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class CallDetails:
    """Points in time are seconds since the epoch, ``None`` where the call never came so far."""

    started_at: float
    progressing_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    established_at: float | None = None
    ended_at: float | None = None
    cause: Cause | None = None
    ended_by: EndedBy | None = None
    failure: CallFailure | None = None  # what the peer or the platform said
    error: SinchphoneError | None = None  # what went wrong here
    codec: str | None = None
    video_codec: str | None = None  # None where there are no pictures
    pair: str | None = None  # how the peer was reached: host, srflx, prflx or relay

    def entered(self, state: State, at: float) -> "CallDetails":
        """The same call, in that state since then."""
        match state:
            case State.PROGRESSING:
                return replace(self, progressing_at=at)
            case State.RINGING:
                return replace(self, ringing_at=at)
            case State.ANSWERED:
                return replace(self, answered_at=at)
            case State.ESTABLISHED:
                return replace(self, established_at=at)
            case State.CREATED | State.ENDED:
                return self

    @property
    def setup_ms(self) -> int | None:
        """From the start to progressing, as in Sinch's SDK; the others of these follow it. ``None``: it never came so far."""
        return _between(self.started_at, self.progressing_at)

    @property
    def notifying_ms(self) -> int | None:
        """From progressing to ringing."""
        return _between(self.progressing_at, self.ringing_at)

    @property
    def ringing_ms(self) -> int | None:
        """From ringing to answered."""
        return _between(self.ringing_at, self.answered_at)

    @property
    def accepting_ms(self) -> int | None:
        """From answered to established."""
        return _between(self.answered_at, self.established_at)

    @property
    def establishing_ms(self) -> int | None:
        """From the start to established: all of these together."""
        return _between(self.started_at, self.established_at)

    @property
    def had_audio(self) -> bool:
        """Whether sound flowed."""
        return self.established_at is not None

    @property
    def duration_ms(self) -> int:
        """From established to the end; 0 for a call that never was, or that still is."""
        if self.established_at is None or self.ended_at is None:
            return 0
        return round(1000 * (self.ended_at - self.established_at))


def _between(begun_at: float | None, ended_at: float | None) -> int | None:
    return None if begun_at is None or ended_at is None else round(1000 * (ended_at - begun_at))
