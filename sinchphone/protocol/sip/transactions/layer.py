"""Every transaction of one agent: which message belongs to which, and who is told (RFC 3261 17.1.3, 17.2.3)."""

import heapq
from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar

from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.sip.message import Request, Response
from sinchphone.protocol.sip.transactions.transaction import (
    Pass,
    SendMessage,
    TimedOut,
    Timing,
    Transaction,
    TransactionEffect,
    TransactionKind,
    TransactionState,
    Unreachable,
    client_key,
    server_key,
)
from sinchphone.quick_dataclass import quick_dataclass

MAX_TRANSACTIONS: Final = 20_000
HopT = TypeVar("HopT")  # where a message goes or came from: the shell's business


@quick_dataclass(frozen=True, slots=True)
class Transmit(Generic[HopT]):
    """Send a message. ``key``: whose it is, to be told when it can't be sent."""

    message: Request | Response
    hop: HopT
    key: str


@quick_dataclass(frozen=True, slots=True)
class Arrived(Generic[HopT]):
    """A new request. ``key`` is for the response; an ACK of a 2xx has none, and takes none."""

    key: str | None
    request: Request
    hop: HopT


@quick_dataclass(frozen=True, slots=True)
class Responded:
    """A response to a request of ours."""

    key: str
    response: Response


@quick_dataclass(frozen=True, slots=True)
class Unanswered:
    """A request of ours got no final response in time."""

    key: str


@quick_dataclass(frozen=True, slots=True)
class Unsent:
    """A request of ours couldn't be sent."""

    key: str


@quick_dataclass(frozen=True, slots=True)
class TransactionOver:
    """A transaction is over and forgotten."""

    key: str


LayerEffect: TypeAlias = Transmit[HopT] | Arrived[HopT] | Responded | Unanswered | Unsent | TransactionOver


class Layer(Generic[HopT]):
    """The transactions of one agent. ``now`` is any clock that doesn't go back [s]."""

    def __init__(self, timing: Timing | None = None, *, most: int = MAX_TRANSACTIONS) -> None:
        self._timing = timing or Timing()
        self._most = most
        self._transactions: dict[str, tuple[Transaction, HopT]] = {}
        self._due: list[tuple[float, str]] = []  # a heap; what is in it too early is put in again
        self.dropped = 0  # requests that found no room, and responses that belong to nothing

    def __len__(self) -> int:
        return len(self._transactions)

    @property
    def deadline(self) -> float | None:
        """When ``elapse`` is due; None when nothing is open."""
        while self._due:
            at, key = self._due[0]
            due = self._transactions[key][0].deadline if key in self._transactions else None
            if due is None:
                heapq.heappop(self._due)
            elif due > at:
                heapq.heapreplace(self._due, (due, key))
            else:
                return at
        return None

    def request(self, request: Request, hop: HopT, now: float, *, is_reliable: bool) -> tuple[str, list[LayerEffect[HopT]]]:
        """Open a client transaction (RFC 3261 17.1) at ``now`` [s]; its key, and what to do. The request has its Via. Raises
        LocalProtocolError where one with that branch is open."""
        key = "c|" + client_key(request)
        if key in self._transactions:
            raise LocalProtocolError("a transaction with that branch is open")
        kind = TransactionKind.CLIENT_INVITE if request.method == "INVITE" else TransactionKind.CLIENT_OTHER
        transaction = Transaction(kind, request, now, is_reliable=is_reliable, timing=self._timing)
        self._open(key, transaction, hop)
        return key, self._effects(key, transaction.start())

    def sent(self, key: str) -> Request | None:
        """The request of an open transaction."""
        return self._transactions[key][0].request if key in self._transactions else None

    def hop(self, key: str) -> HopT | None:
        """Where an open transaction goes to or comes from."""
        return self._transactions[key][1] if key in self._transactions else None

    def respond(self, key: str, response: Response, now: float) -> list[LayerEffect[HopT]]:
        """Answer a request; nothing where its transaction is over."""
        return self._step(key, lambda one: one.take(response, now))

    def unsent(self, key: str, now: float) -> list[LayerEffect[HopT]]:
        """The transport gave up on a message with that key."""
        return self._step(key, lambda one: one.unsent(now))

    def receive(self, message: Request | Response, hop: HopT, now: float, *, is_reliable: bool) -> list[LayerEffect[HopT]]:
        """Take a message that came."""
        if isinstance(message, Response):
            key = "c|" + client_key(message)
            sent = self.sent(key)
            if sent is None or len(message.vias) != len(sent.vias):  # it's somebody else's (RFC 3261 8.1.3.3)
                self.dropped += 1
                return []
            return self._step(key, lambda one: one.take(message, now))
        return self._receive_request(message, hop, now, is_reliable=is_reliable)

    def forget(self, key: str) -> None:
        """Let go of a transaction: a cancelled INVITE is over after 64*T1, final response or not (RFC 3261 9.1)."""
        self._transactions.pop(key, None)

    def knows(self, message: Request | Response) -> bool:
        """Whether a message belongs to an open transaction: a repeat, an ACK, a response."""
        key = "c|" + client_key(message) if isinstance(message, Response) else "s|" + server_key(message)
        return key in self._transactions

    def invite_key(self, cancel: Request) -> str | None:
        """The open transaction of the INVITE that a CANCEL is for (RFC 3261 9.2)."""
        key = "s|" + server_key(Request(cancel.headers, b"", "INVITE", cancel.uri))
        return key if key in self._transactions else None

    def elapse(self, now: float) -> list[LayerEffect[HopT]]:
        """What is due."""
        effects: list[LayerEffect[HopT]] = []
        while (at := self.deadline) is not None and at <= now:
            effects += self._step(self._due[0][1], lambda one: one.elapse(now))
        return effects

    def _receive_request(self, request: Request, hop: HopT, now: float, *, is_reliable: bool) -> list[LayerEffect[HopT]]:
        key = "s|" + server_key(request)
        if key in self._transactions:
            if request.method == "ACK":
                taken = self._transactions[key][0].state is not TransactionState.ACCEPTED
                return self._step(key, lambda one: one.acknowledged(now)) if taken else [Arrived(None, request, hop)]
            return self._step(key, lambda one: one.repeated(now))
        if request.method == "ACK":
            return [Arrived(None, request, hop)]
        if len(self._transactions) >= self._most:
            self.dropped += 1
            return []
        kind = TransactionKind.SERVER_INVITE if request.method == "INVITE" else TransactionKind.SERVER_OTHER
        self._open(key, Transaction(kind, request, now, is_reliable=is_reliable, timing=self._timing), hop)
        return [Arrived(key, request, hop)]

    def _step(self, key: str, step: Callable[[Transaction], list[TransactionEffect]]) -> list[LayerEffect[HopT]]:
        if key not in self._transactions:
            return []
        transaction, _ = self._transactions[key]
        before = transaction.deadline
        effects = self._effects(key, step(transaction))
        due = transaction.deadline
        if transaction.is_over:
            del self._transactions[key]
            effects.append(TransactionOver(key))
        elif due is not None and before is not None and due < before:  # else what is in the heap is early enough
            heapq.heappush(self._due, (due, key))
        return effects

    def _open(self, key: str, transaction: Transaction, hop: HopT) -> None:
        self._transactions[key] = (transaction, hop)
        if transaction.deadline is not None:
            heapq.heappush(self._due, (transaction.deadline, key))

    def _effects(self, key: str, effects: list[TransactionEffect]) -> list[LayerEffect[HopT]]:
        hop = self._transactions[key][1]
        found: list[LayerEffect[HopT]] = []
        for effect in effects:
            match effect:
                case SendMessage(message):
                    found.append(Transmit(message, hop, key))
                case Pass(response):
                    found.append(Responded(key, response))
                case TimedOut():
                    found.append(Unanswered(key))
                case Unreachable():
                    found.append(Unsent(key))
        return found
