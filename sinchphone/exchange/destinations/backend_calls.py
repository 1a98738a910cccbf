"""What a backend may have a gateway do with calls (Sinch Voice REST, callouts and calls)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Protocol, TypeAlias

from sinchphone.protocol.callbacks.events import CallDomain, CallResult, Identity, Reason
from sinchphone.protocol.callbacks.svaml import Event, PlayFiles, Say, Svaml
from sinchphone.quick_dataclass import quick_dataclass


class LegOfCall(Enum):
    """Who is to hear something."""

    CALLER = "caller"
    CALLEE = "callee"
    BOTH = "both"


@quick_dataclass(frozen=True, slots=True)
class AnswerUrl:
    """Where the answer to an event of one callout is asked for, in place of the application's backend."""

    url: str


EventAnswer: TypeAlias = Svaml | AnswerUrl  # an answer in advance, or whom to ask


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Callout:
    """A call that a backend has the exchange make. ``destination`` is ``None`` where the answer to ICE says where it goes.

    ``script`` is carried out when it is answered, unless ACE is asked and says otherwise; ``None``: what ACE says. ``answers`` are what
    is known in advance of the answers to its events; ``asks`` which events the backend is told of beside those. ``headers`` go along with
    each callback. ``shown`` is the number that the called side sees; ``ring_s``: how long it may ring. ``spelt`` is said letter by letter,
    twice, before the script's end; ``hear`` is told of each key that is pressed, and says whether that is enough.
    """

    destination: Identity | None
    shown: str | None
    custom: str = ""
    dtmf: str = ""
    max_duration_s: int | None = None
    script: Svaml | None = None
    asks: frozenset[Event] = frozenset()
    answers: Mapping[Event, EventAnswer] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    ring_s: float | None = None
    spelt: str = field(default="", repr=False)
    hear: Callable[[str], Awaitable[bool]] | None = None

    def to(self, destination: Identity) -> "Callout":
        """The same to somebody."""
        return replace(self, destination=destination)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallInformation:
    """A call, as its backend may know it. ``began_at`` in seconds since the epoch."""

    id: str
    to: Identity
    domain: CallDomain
    custom: str
    began_at: float
    duration_s: int
    is_over: bool
    result: CallResult
    reason: Reason


class SimulatedCallState(Enum):
    """How far a call of a simulated phone is."""

    CALLING = "calling"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCallWish:
    """A call of a simulated phone to a number of the exchange's. It plays the file ``sound``, then ``tone_hz`` or silence, presses
    ``digits`` after the answer, and hangs up ``talk_s`` after it, or at the file's end where ``ends_after_sound``. ``user``: whose number
    that is, where no backend is asked. ``shown`` is the caller's number; ``None``: withheld."""

    number: str
    shown: str | None
    user: str | None = None
    sound: bytes = field(default=b"", repr=False)
    tone_hz: float | None = None
    digits: str = ""
    talk_s: float | None = None
    ring_s: float | None = None
    ends_after_sound: bool = False


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCallStatus:
    """What became of it so far. ``failure`` is SIP's number and words, where it didn't come about or broke off; ``talked_s`` counts from
    the answer; ``digits`` and ``heard_s``: keys and seconds of sound that came."""

    id: str
    state: SimulatedCallState
    failure: tuple[int, str] | None
    talked_s: float | None
    digits: str
    heard_s: float


class BackendCalls(Protocol):
    """The calls of a gateway, for the backends of its applications. ``application`` is a key. Methods raise RefusedError."""

    def call_out(self, application: str, callout: Callout) -> str:
        """Make a call; its id. Returns at once."""

    def call(self, application: str, call_id: str) -> CallInformation:
        """What is known of a call that goes on, or is over since a while."""

    def update_call(self, application: str, call_id: str, answer: Svaml) -> None:
        """Have instructions carried out in a call, then hang up or go on."""

    async def post_event(self, application: str, body: bytes) -> bytes | None:
        """Post an event to the application's backend; what it answers, ``None`` where there is none. Raises SinchphoneError."""

    def announce(self, application: str, call_id: str, words: tuple[Say | PlayFiles, ...], leg: LegOfCall) -> None:
        """Say something in a call."""

    async def simulate(self, application: str, wish: SimulatedCallWish) -> SimulatedCallStatus:
        """Have a simulated phone call."""

    def simulated(self, application: str, call_id: str) -> SimulatedCallStatus:
        """What became of such a call; it's remembered for a while."""

    async def hang_up_simulated(self, application: str, call_id: str) -> None:
        """The simulated phone hangs up."""

    async def forget(self, application: str) -> None:
        """End an application's callouts and simulated calls, and forget all calls of it."""
