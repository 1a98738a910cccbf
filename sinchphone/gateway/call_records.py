"""The calls of a gateway that go on, and those that are over since a while, for who asks about them by id (Sinch Voice REST, calls)."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from sinchphone.protocol.callbacks.events import CallDomain, CallResult, DisconnectedCallEvent, Identity, Reason
from sinchphone.protocol.callbacks.svaml import PlayFiles, Say, Svaml

MAX_ENDED: Final = 10_000  # that are remembered
ENDED_SECONDS: Final = 3600.0  # for which they are


class SteeredCall(Protocol):
    """A call that goes on, as its backend may steer it. Neither method waits for what it begins."""

    @property
    def talked_seconds(self) -> float | None:
        """Since the answer; ``None`` where there was none."""

    def update(self, answer: Svaml) -> None:
        """Carry out instructions, then hang up or go on. Raises RefusedError."""

    def announce(self, words: tuple[Say | PlayFiles, ...], *, caller: bool, called: bool) -> None:
        """Say something to one side or both. Raises RefusedError."""


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """One call. ``ended`` is what DiCE says of it, once it is over."""

    id: str
    application: str
    to: Identity
    domain: CallDomain
    began_at: float  # seconds since the epoch
    call: SteeredCall | None
    custom: str = ""
    ended: DisconnectedCallEvent | None = None
    ended_at: float = 0.0  # time.monotonic

    @property
    def duration_s(self) -> int:
        """How long they have talked."""
        if self.ended is not None:
            return self.ended.duration_s or 0
        return int((self.call.talked_seconds or 0) if self.call is not None else 0)

    @property
    def result(self) -> CallResult:
        """What came of it so far."""
        if self.ended is not None:
            return self.ended.result
        return CallResult.ANSWERED if self.call is not None and self.call.talked_seconds is not None else CallResult.NONE

    @property
    def reason(self) -> Reason:
        """Why it is over."""
        return self.ended.reason if self.ended is not None else Reason.NONE


class CallRecords:
    """All of a gateway's. Ended ones are forgotten after a while, or when they are too many."""

    def __init__(self) -> None:
        self._going_on: dict[str, CallRecord] = {}
        self._ended: OrderedDict[str, CallRecord] = OrderedDict()

    def began(self, record: CallRecord) -> None:
        """A call goes on from now on."""
        self._going_on[record.id] = record

    def ended(self, record: CallRecord, event: DisconnectedCallEvent) -> None:
        """It is over."""
        self._going_on.pop(record.id, None)
        record.call, record.ended, record.ended_at = None, event, time.monotonic()
        self._ended[record.id] = record
        self._forget()

    def find(self, application: str, call_id: str) -> CallRecord | None:
        """A call of that application; ``None`` where there is none, or it is over since long."""
        self._forget()
        record = self._going_on.get(call_id) or self._ended.get(call_id)
        return record if record is not None and record.application == application else None

    def forget(self, application: str) -> None:
        """Forget the ended calls of an application."""
        for call_id in [record.id for record in self._ended.values() if record.application == application]:
            del self._ended[call_id]

    def _forget(self) -> None:
        oldest = time.monotonic() - ENDED_SECONDS
        while self._ended and (len(self._ended) > MAX_ENDED or next(iter(self._ended.values())).ended_at < oldest):
            self._ended.popitem(last=False)
