"""SIP transactions as tables (RFC 3261 17, with the Accepted states of RFC 6026).

::

    client INVITE   CALLING -1xx-> PROCEEDING -2xx-> ACCEPTED -M->        COMPLETED (3xx-6xx, ACK sent) -D->
    client other    TRYING -1xx-> PROCEEDING -final-> COMPLETED -K->
    server INVITE   PROCEEDING -2xx-> ACCEPTED -L->                       COMPLETED (3xx-6xx) -ACK-> CONFIRMED -I->
    server other    TRYING -1xx-> PROCEEDING -final-> COMPLETED -J->

A transaction takes one input and returns effects. Every state has a deadline: RFC 3261 leaves an INVITE in PROCEEDING without
one; here the limits below end those too. What has no row is ignored.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

from sinchphone.protocol.sip.message import MAX_FORWARDS, Request, Response
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of RFC 3261 17.1.1.1 [s], and limits where it has none."""

    t1: float = 0.5  # estimated round trip
    t2: float = 4.0  # longest interval between repeats
    t4: float = 5.0  # how long a message may stay in the network
    invite_limit: float = 600.0  # an INVITE without a final response: longer than anybody lets it ring

    @property
    def give_up(self) -> float:
        """64*T1: timers B, F, H, J, L, M."""
        return 64 * self.t1


class TransactionKind(StrEnum):
    """The four machines."""

    CLIENT_INVITE = "client INVITE"
    CLIENT_OTHER = "client"
    SERVER_INVITE = "server INVITE"
    SERVER_OTHER = "server"


class TransactionState(StrEnum):
    """The states of all four."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class What(StrEnum):
    """What can happen to a transaction."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    REPEATED = "the request again"
    ACK = "ACK"
    REPEAT = "time to repeat"  # timers A, E, G
    GIVE_UP = "time to give up"  # the state's own deadline
    UNSENT = "the transport failed"


class Do(StrEnum):
    """What a row does."""

    SEND = "send the request or the last response"
    DELIVER = "give the response to the user of the transaction"
    ACK = "acknowledge"
    KEEP = "send this response and keep it for repeats"
    TIMED_OUT = "tell that nobody answered"
    UNREACHABLE = "tell that it couldn't be sent"


@quick_dataclass(frozen=True, slots=True)
class SendMessage:
    """Give this to the transport."""

    message: Request | Response


@quick_dataclass(frozen=True, slots=True)
class Pass:
    """Give this to the user of the transaction."""

    response: Response


@quick_dataclass(frozen=True, slots=True)
class TimedOut:
    """No response came in time: to be taken like a 408 (RFC 3261 8.1.3.1). Of a server: no ACK came."""


@quick_dataclass(frozen=True, slots=True)
class Unreachable:
    """The transport couldn't send: to be taken like a 503."""


TransactionEffect: TypeAlias = SendMessage | Pass | TimedOut | Unreachable
_Row: TypeAlias = tuple[TransactionState, tuple[Do, ...]]

_ENDS_UNSENT: Final[_Row] = (TransactionState.TERMINATED, (Do.UNREACHABLE,))
_ENDS_UNANSWERED: Final[_Row] = (TransactionState.TERMINATED, (Do.TIMED_OUT,))
_ENDS: Final[_Row] = (TransactionState.TERMINATED, ())

TABLE: Final[dict[tuple[TransactionKind, TransactionState, What], _Row]] = {
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING, What.REPEAT): (TransactionState.CALLING, (Do.SEND,)),  # timer A
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING, What.GIVE_UP): _ENDS_UNANSWERED,  # timer B
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING, What.UNSENT): _ENDS_UNSENT,
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING, What.PROVISIONAL): (TransactionState.PROCEEDING, (Do.DELIVER,)),
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING, What.SUCCESS): (TransactionState.ACCEPTED, (Do.DELIVER,)),
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING, What.FAILURE): (TransactionState.COMPLETED, (Do.ACK, Do.DELIVER)),
    (TransactionKind.CLIENT_INVITE, TransactionState.PROCEEDING, What.PROVISIONAL): (TransactionState.PROCEEDING, (Do.DELIVER,)),
    (TransactionKind.CLIENT_INVITE, TransactionState.PROCEEDING, What.SUCCESS): (TransactionState.ACCEPTED, (Do.DELIVER,)),
    (TransactionKind.CLIENT_INVITE, TransactionState.PROCEEDING, What.FAILURE): (TransactionState.COMPLETED, (Do.ACK, Do.DELIVER)),
    (TransactionKind.CLIENT_INVITE, TransactionState.PROCEEDING, What.GIVE_UP): _ENDS_UNANSWERED,
    (TransactionKind.CLIENT_INVITE, TransactionState.ACCEPTED, What.SUCCESS): (
        TransactionState.ACCEPTED,
        (Do.DELIVER,),
    ),  # repeated, or of another branch of a fork
    (TransactionKind.CLIENT_INVITE, TransactionState.ACCEPTED, What.GIVE_UP): _ENDS,  # timer M
    (TransactionKind.CLIENT_INVITE, TransactionState.COMPLETED, What.FAILURE): (TransactionState.COMPLETED, (Do.ACK,)),
    (TransactionKind.CLIENT_INVITE, TransactionState.COMPLETED, What.GIVE_UP): _ENDS,  # timer D
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING, What.REPEAT): (TransactionState.TRYING, (Do.SEND,)),  # timer E
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING, What.GIVE_UP): _ENDS_UNANSWERED,  # timer F
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING, What.UNSENT): _ENDS_UNSENT,
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING, What.PROVISIONAL): (TransactionState.PROCEEDING, (Do.DELIVER,)),
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING, What.SUCCESS): (TransactionState.COMPLETED, (Do.DELIVER,)),
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING, What.FAILURE): (TransactionState.COMPLETED, (Do.DELIVER,)),
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING, What.REPEAT): (TransactionState.PROCEEDING, (Do.SEND,)),
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING, What.GIVE_UP): _ENDS_UNANSWERED,
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING, What.UNSENT): _ENDS_UNSENT,
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING, What.PROVISIONAL): (TransactionState.PROCEEDING, (Do.DELIVER,)),
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING, What.SUCCESS): (TransactionState.COMPLETED, (Do.DELIVER,)),
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING, What.FAILURE): (TransactionState.COMPLETED, (Do.DELIVER,)),
    (TransactionKind.CLIENT_OTHER, TransactionState.COMPLETED, What.GIVE_UP): _ENDS,  # timer K
    (TransactionKind.SERVER_INVITE, TransactionState.PROCEEDING, What.REPEATED): (TransactionState.PROCEEDING, (Do.SEND,)),
    (TransactionKind.SERVER_INVITE, TransactionState.PROCEEDING, What.PROVISIONAL): (TransactionState.PROCEEDING, (Do.KEEP,)),
    (TransactionKind.SERVER_INVITE, TransactionState.PROCEEDING, What.SUCCESS): (TransactionState.ACCEPTED, (Do.KEEP,)),
    (TransactionKind.SERVER_INVITE, TransactionState.PROCEEDING, What.FAILURE): (TransactionState.COMPLETED, (Do.KEEP,)),
    (TransactionKind.SERVER_INVITE, TransactionState.PROCEEDING, What.GIVE_UP): _ENDS_UNANSWERED,
    (TransactionKind.SERVER_INVITE, TransactionState.ACCEPTED, What.SUCCESS): (
        TransactionState.ACCEPTED,
        (Do.KEEP,),
    ),  # repeated by the session until its ACK
    (TransactionKind.SERVER_INVITE, TransactionState.ACCEPTED, What.GIVE_UP): _ENDS,  # timer L
    (TransactionKind.SERVER_INVITE, TransactionState.COMPLETED, What.REPEATED): (TransactionState.COMPLETED, (Do.SEND,)),
    (TransactionKind.SERVER_INVITE, TransactionState.COMPLETED, What.REPEAT): (TransactionState.COMPLETED, (Do.SEND,)),  # timer G
    (TransactionKind.SERVER_INVITE, TransactionState.COMPLETED, What.ACK): (TransactionState.CONFIRMED, ()),
    (TransactionKind.SERVER_INVITE, TransactionState.COMPLETED, What.GIVE_UP): _ENDS_UNANSWERED,  # timer H
    (TransactionKind.SERVER_INVITE, TransactionState.COMPLETED, What.UNSENT): _ENDS_UNSENT,
    (TransactionKind.SERVER_INVITE, TransactionState.CONFIRMED, What.GIVE_UP): _ENDS,  # timer I
    (TransactionKind.SERVER_OTHER, TransactionState.TRYING, What.PROVISIONAL): (TransactionState.PROCEEDING, (Do.KEEP,)),
    (TransactionKind.SERVER_OTHER, TransactionState.TRYING, What.SUCCESS): (TransactionState.COMPLETED, (Do.KEEP,)),
    (TransactionKind.SERVER_OTHER, TransactionState.TRYING, What.FAILURE): (TransactionState.COMPLETED, (Do.KEEP,)),
    (TransactionKind.SERVER_OTHER, TransactionState.TRYING, What.GIVE_UP): _ENDS,
    (TransactionKind.SERVER_OTHER, TransactionState.PROCEEDING, What.REPEATED): (TransactionState.PROCEEDING, (Do.SEND,)),
    (TransactionKind.SERVER_OTHER, TransactionState.PROCEEDING, What.PROVISIONAL): (TransactionState.PROCEEDING, (Do.KEEP,)),
    (TransactionKind.SERVER_OTHER, TransactionState.PROCEEDING, What.SUCCESS): (TransactionState.COMPLETED, (Do.KEEP,)),
    (TransactionKind.SERVER_OTHER, TransactionState.PROCEEDING, What.FAILURE): (TransactionState.COMPLETED, (Do.KEEP,)),
    (TransactionKind.SERVER_OTHER, TransactionState.PROCEEDING, What.GIVE_UP): _ENDS,
    (TransactionKind.SERVER_OTHER, TransactionState.COMPLETED, What.REPEATED): (TransactionState.COMPLETED, (Do.SEND,)),
    (TransactionKind.SERVER_OTHER, TransactionState.COMPLETED, What.GIVE_UP): _ENDS,  # timer J
}

FIRST: Final = {
    TransactionKind.CLIENT_INVITE: TransactionState.CALLING,
    TransactionKind.CLIENT_OTHER: TransactionState.TRYING,
    TransactionKind.SERVER_INVITE: TransactionState.PROCEEDING,
    TransactionKind.SERVER_OTHER: TransactionState.TRYING,
}

# How long a state lasts: (over UDP, over a reliable transport).
LIMITS: Final[dict[tuple[TransactionKind, TransactionState], Callable[[Timing], tuple[float, float]]]] = {
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING): lambda at: (at.give_up, at.give_up),  # B
    (TransactionKind.CLIENT_INVITE, TransactionState.PROCEEDING): lambda at: (at.invite_limit, at.invite_limit),
    (TransactionKind.CLIENT_INVITE, TransactionState.ACCEPTED): lambda at: (at.give_up, at.give_up),  # M
    (TransactionKind.CLIENT_INVITE, TransactionState.COMPLETED): lambda at: (at.give_up, 0.0),  # D, 32 s
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING): lambda at: (at.give_up, at.give_up),  # F
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING): lambda at: (at.give_up, at.give_up),  # F goes on
    (TransactionKind.CLIENT_OTHER, TransactionState.COMPLETED): lambda at: (at.t4, 0.0),  # K
    (TransactionKind.SERVER_INVITE, TransactionState.PROCEEDING): lambda at: (at.invite_limit, at.invite_limit),
    (TransactionKind.SERVER_INVITE, TransactionState.ACCEPTED): lambda at: (at.give_up, at.give_up),  # L
    (TransactionKind.SERVER_INVITE, TransactionState.COMPLETED): lambda at: (at.give_up, at.give_up),  # H
    (TransactionKind.SERVER_INVITE, TransactionState.CONFIRMED): lambda at: (at.t4, 0.0),  # I
    (TransactionKind.SERVER_OTHER, TransactionState.TRYING): lambda at: (at.give_up, at.give_up),
    (TransactionKind.SERVER_OTHER, TransactionState.PROCEEDING): lambda at: (at.give_up, at.give_up),
    (TransactionKind.SERVER_OTHER, TransactionState.COMPLETED): lambda at: (at.give_up, 0.0),  # J
}

# Where something is repeated over UDP: the first interval and the longest. Timer A has no longest (RFC 3261 17.1.1.2).
REPEATS: Final[dict[tuple[TransactionKind, TransactionState], Callable[[Timing], tuple[float, float]]]] = {
    (TransactionKind.CLIENT_INVITE, TransactionState.CALLING): lambda at: (at.t1, at.give_up),  # A
    (TransactionKind.CLIENT_OTHER, TransactionState.TRYING): lambda at: (at.t1, at.t2),  # E
    (TransactionKind.CLIENT_OTHER, TransactionState.PROCEEDING): lambda at: (at.t2, at.t2),
    (TransactionKind.SERVER_INVITE, TransactionState.COMPLETED): lambda at: (at.t1, at.t2),  # G
}


class Transaction:
    """One transaction. ``now`` is any clock that doesn't go back [s]."""

    def __init__(self, kind: TransactionKind, request: Request, now: float, *, is_reliable: bool, timing: Timing) -> None:
        self.kind = kind
        self.request = request
        self.state = FIRST[kind]
        self._timing = timing
        self._is_reliable = is_reliable
        self._last: Response | None = None  # of a server, for repeats
        self._repeat_at: float | None = None
        self._interval = self._longest = 0.0
        self._until = now
        self._enter(self.state, now)

    @property
    def is_over(self) -> bool:
        """Whether it may be forgotten."""
        return self.state is TransactionState.TERMINATED

    @property
    def deadline(self) -> float | None:
        """When ``elapse`` is due; None only when it's over."""
        if self.is_over:
            return None
        return self._until if self._repeat_at is None else min(self._until, self._repeat_at)

    def start(self) -> list[TransactionEffect]:
        """A client's first message."""
        return [SendMessage(self.request)]

    def take(self, response: Response, now: float) -> list[TransactionEffect]:
        """A client's response that came, or a server's that is to be sent."""
        status = response.status
        what = What.PROVISIONAL if status < 200 else What.SUCCESS if status < 300 else What.FAILURE
        return self._step(what, now, response)

    def repeated(self, now: float) -> list[TransactionEffect]:
        """The request came to a server again."""
        return self._step(What.REPEATED, now)

    def acknowledged(self, now: float) -> list[TransactionEffect]:
        """The ACK of a final response that isn't 2xx came."""
        return self._step(What.ACK, now)

    def unsent(self, now: float) -> list[TransactionEffect]:
        """The transport gave up on a message."""
        return self._step(What.UNSENT, now)

    def elapse(self, now: float) -> list[TransactionEffect]:
        """What is due at ``now``."""
        if self.is_over:
            return []
        if now >= self._until:
            return self._step(What.GIVE_UP, now)
        if self._repeat_at is None or now < self._repeat_at:
            return []
        self._interval = min(2 * self._interval, self._longest)
        self._repeat_at = now + self._interval
        return self._step(What.REPEAT, now)

    def _step(self, what: What, now: float, response: Response | None = None) -> list[TransactionEffect]:
        row = TABLE.get((self.kind, self.state, what))
        if row is None:
            return []
        state, actions = row
        if state is not self.state:
            self._enter(state, now)
        return [effect for action in actions if (effect := self._do(action, response)) is not None]

    def _enter(self, state: TransactionState, now: float) -> None:
        was_trying = self.kind is TransactionKind.CLIENT_OTHER and (self.state, state) == (
            TransactionState.TRYING,
            TransactionState.PROCEEDING,
        )
        self.state = state
        self._repeat_at = None
        if state is TransactionState.TERMINATED:
            return
        unreliable, reliable = LIMITS[self.kind, state](self._timing)
        if not was_trying:  # timer F counts from the start
            self._until = now + (reliable if self._is_reliable else unreliable)
        if (self.kind, state) in REPEATS and not self._is_reliable:
            self._interval, self._longest = REPEATS[self.kind, state](self._timing)
            self._repeat_at = now + self._interval

    def _do(self, action: Do, response: Response | None) -> TransactionEffect | None:
        match action:
            case Do.SEND if self.kind in (TransactionKind.CLIENT_INVITE, TransactionKind.CLIENT_OTHER):
                return SendMessage(self.request)
            case Do.SEND:
                return SendMessage(self._last) if self._last is not None else None
            case Do.TIMED_OUT:
                return TimedOut()
            case Do.UNREACHABLE:
                return Unreachable()
            case _ if response is None:
                return None
            case Do.ACK:
                return SendMessage(acknowledge(self.request, response))
            case Do.KEEP:
                self._last = response
                return SendMessage(response)
            case Do.DELIVER:
                return Pass(response)
        return None


def acknowledge(invite: Request, response: Response) -> Request:
    """The ACK of a final response that isn't 2xx: hop by hop, in the INVITE's transaction (RFC 3261 17.1.1.3)."""
    headers = [("Via", invite.values("Via")[0]), ("Max-Forwards", str(MAX_FORWARDS)), ("From", invite.first("From") or "")]
    headers += [("To", response.first("To") or ""), ("Call-ID", invite.call_id), ("CSeq", f"{invite.cseq.number} ACK")]
    return Request((*headers, *_repeated_headers(invite)), b"", "ACK", invite.uri)


def cancel(invite: Request, reason: str = "") -> Request:
    """The CANCEL of an INVITE (RFC 3261 9.1), with a Reason header's value (RFC 3326)."""
    names = [
        ("Via", invite.values("Via")[0]),
        ("Max-Forwards", str(MAX_FORWARDS)),
        ("From", invite.first("From") or ""),
        ("To", invite.first("To") or ""),
    ]
    headers = [*names, ("Call-ID", invite.call_id), ("CSeq", f"{invite.cseq.number} CANCEL"), *_repeated_headers(invite)]
    headers += [("Reason", reason)] if reason else []
    return Request(tuple(headers), b"", "CANCEL", invite.uri)


def _repeated_headers(invite: Request) -> list[tuple[str, str]]:
    names = ("Route", "Authorization", "Proxy-Authorization")  # credentials: RFC 3261 22.1
    return [(name, value) for name in names for value in invite.all(name)]


def is_known_branch(branch: str) -> bool:
    """Whether a branch names a transaction by itself (RFC 3261 17.2.3); a bare cookie doesn't."""
    return len(branch) > len("z9hG4bK") and branch[:7].lower() == "z9hg4bk"


def server_key(request: Request) -> str:
    """What names the transaction of a request: the same for its repeats, its ACK and (without the method) its CANCEL."""
    method = "INVITE" if request.method == "ACK" else request.method
    via = request.via
    if is_known_branch(via.branch):
        return f"{via.branch}|{via.sent_by}|{method}"
    return f"{via}|{request.uri}|{request.call_id}|{request.cseq.number}|{request.sender.tag}|{method}"  # older than RFC 3261: 17.2.3


def client_key(message: Request | Response) -> str:
    """What names a client's transaction in its request and in every response (RFC 3261 17.1.3)."""
    return f"{message.via.branch}|{message.cseq.method}"
