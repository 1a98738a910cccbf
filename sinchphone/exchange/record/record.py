"""The record of one exchange: facts by call, and those of no call, all bounded.

::

    rooms -> rest, published, sip, callback, note -> the call's own list, or that of what belongs to none -> readers, followers

A call may be known by several names: its own id, those of its legs, their SIP Call-IDs; ``link`` says so. What somebody floods the
exchange with pushes out what belongs to no call, and calls that nobody placed; not those that were.
"""

import asyncio
import re
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from sinchphone.exchange.record.counts import CallbackCounts, CallCounts
from sinchphone.exchange.record.facts import MAX_BODY_BYTES, CallbackFact, Fact, Note, PublishedFact, RawHeaders, RestFact, SipFact
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.exchange.record.sound import SoundRecord
    from sinchphone.media.port import PacketTap

_CALL_ID: Final = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*(\S{1,256})")
_INVITE: Final = b"INVITE "
_FRAME: Final = "10 "  # how MXP frames begin: "10 <session> …"
_MAX_FOLLOWED: Final = 2_000  # facts that wait for a reader who is slow


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RecordLimits:
    """How much is kept. What is in calls' own first facts stays; then the latest."""

    calls: int = 500  # that were placed
    strangers: int = 200  # dialogs that belong to no call that was placed
    first_facts: int = 300  # of one call
    latest_facts: int = 1_200
    others: int = 5_000  # facts that belong to no call
    bytes: int = 48 * 1024 * 1024  # of all


class RecordedCall:
    """One call, or something that may turn out to be a part of one."""

    __slots__ = (
        "application",
        "began_at",
        "callee",
        "caller",
        "ended_at",
        "ending",
        "first",
        "id",
        "keys",
        "latest",
        "left_out",
        "parts",
        "weight",
        "whole",
    )

    def __init__(self, call_id: str, began_at: float, latest_facts: int) -> None:
        self.id = call_id
        self.application = ""
        self.caller = ""
        self.callee = ""
        self.began_at = began_at
        self.ended_at: float | None = None
        self.ending = ""
        self.keys: list[bytes] = []  # of its messages
        self.first: list[Fact] = []
        self.latest: deque[Fact] = deque(maxlen=latest_facts)
        self.left_out = 0
        self.weight = 0
        self.parts: list[str] = []  # names of groups that belong to it
        self.whole: str | None = None  # the call that this is a part of

    def facts(self) -> Iterator[Fact]:
        """All that are kept, in the order in which they came."""
        yield from self.first
        yield from self.latest


@dataclass(eq=False, slots=True)
class Follower:
    """Somebody who reads facts as they come. ``lost`` counts those that came too fast."""

    bell: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: deque[tuple[Fact, str | None]] = field(default_factory=lambda: deque(maxlen=_MAX_FOLLOWED))
    lost: int = 0

    def put(self, fact: Fact, name: str | None) -> None:
        """Something happened; ``name`` is the call's."""
        self.lost += len(self.waiting) == _MAX_FOLLOWED
        self.waiting.append((fact, name))
        self.bell.set()

    async def take(self) -> list[tuple[Fact, str | None]]:
        """What came since last time, waiting for something. Cancelling is safe."""
        await self.bell.wait()
        self.bell.clear()
        taken = list(self.waiting)
        self.waiting.clear()
        return taken


class EventRecord:
    """The record. It's used in the exchange's event loop only; nothing here waits, and nothing raises."""

    def __init__(self, limits: RecordLimits | None = None, *, is_on: bool = True, keeps_sound: bool = False) -> None:
        """``is_on``: whether anything is kept at all (it is counted in any case); ``keeps_sound``: packets of sound too."""
        self.is_on = is_on
        self.sound = _sound_record() if is_on and keeps_sound else None
        self.call_counts = CallCounts()
        self.callback_counts = CallbackCounts()
        self._limits = limits or RecordLimits()
        self._seq = 0
        self._calls: OrderedDict[str, RecordedCall] = OrderedDict()
        self._strangers: OrderedDict[str, RecordedCall] = OrderedDict()
        self._others: deque[Fact] = deque()
        self._weight = 0
        self._followers: list[Follower] = []

    # What rooms say

    def tick(self) -> int:
        """The number of the event that begins now."""
        self._seq += 1
        return self._seq

    def began(self, call_id: str, *, application: str, caller: str, callee: str, keys: Iterable[bytes] = ()) -> None:
        """A call was placed; ``keys`` are those of its messages."""
        if not self.is_on:
            return
        call = self._known(call_id) or RecordedCall(call_id, time.time(), self._limits.latest_facts)
        self._calls[call_id] = call
        call.application, call.caller, call.callee = application, caller, callee
        call.keys += [key for key in keys if key not in call.keys]
        self._make_room()
        self.note(call_id, "call", "exchange", "exchange", f"{caller} calls {callee}")

    def names_callee(self, call_id: str, callee: str) -> None:
        """It turned out whom a call is for; nobody still where that is empty."""
        call = self._known(call_id)
        if call is not None and callee and callee != call.callee:
            call.callee = callee
            self.note(call_id, "call", "exchange", "exchange", f"{call.caller} calls {callee}")

    def link(self, part: str, call_id: str) -> None:
        """What is known by the name ``part`` belongs to that call."""
        if not self.is_on or part == call_id:
            return
        call = self._known(call_id)
        inner = self._known(part)
        if call is None:
            return
        if inner is None:
            inner = self._strangers[part] = RecordedCall(part, time.time(), self._limits.latest_facts)
        if part in self._strangers:
            self._calls[part] = self._strangers.pop(part)
        self._make_room()
        if inner.whole is None and self.whole_name(call_id) != part:
            inner.whole = call_id
            call.parts.append(part)

    def ended(self, call_id: str, why: str = "", *, is_failure: bool = False) -> None:
        """A call is over. The first word counts."""
        call = self._known(call_id)
        if call is not None and call.ended_at is None:
            call.ended_at, call.ending = time.time(), why
            self.note(call_id, "call", "exchange", "exchange", f"over{f': {why}' if why else ''}", is_failure=is_failure)

    def rest(
        self, seq: int, began_at: float, *, user: str, remote: str, local: str, method: str, path: str, headers: RawHeaders, body: bytes,
        status: int, answer: bytes, call_id: str | None
    ) -> None:  # fmt: skip
        """A request was answered."""
        body, answer = body[:MAX_BODY_BYTES], answer[:MAX_BODY_BYTES]
        fact = RestFact(
            seq=seq, answered_seq=self.tick(), began_at=began_at, at=time.time(), user=user, remote=remote, local=local, method=method,
            path=path, headers=headers, body=body, status=status, answer=answer,
        )  # fmt: skip
        self._add(fact, call_id)

    def published(self, network: str, channel: str, payload: object, *, publisher: str, owner: str, size: int, now: float) -> None:
        """A message was published."""
        if not self.is_on:
            return
        session = payload[len(_FRAME) :].partition(" ")[0] if isinstance(payload, str) and payload.startswith(_FRAME) else None
        self._add(PublishedFact(self.tick(), now, network, channel, payload, publisher, owner, size), session)

    def sip(self, data: bytes, transport: str, remote: tuple[str, int], local: tuple[str, int], *, is_ours: bool) -> None:
        """A SIP message came, or was sent."""
        if not self.is_on:
            return
        found = _CALL_ID.search(data)
        name = sip_name(found[1].decode(errors="replace")) if found is not None else None
        if name is not None and self._known(name) is None:
            if data.startswith(_INVITE):
                self._strangers[name] = RecordedCall(name, time.time(), self._limits.latest_facts)
                self._make_room()
            else:
                name = None
        self._add(SipFact(self.tick(), time.time(), data[:MAX_BODY_BYTES], transport, remote, local, is_ours), name)

    def callback(
        self, call_id: str | None, seq: int, began_at: float, *, url: str, headers: Sequence[tuple[str, str]], body: bytes,
        status: int | None,
        answer: bytes = b"", failure: str = ""
    ) -> None:  # fmt: skip
        """A backend was told of an event of that call, or of none."""
        if not self.is_on:
            return
        fact = CallbackFact(
            seq=seq, answered_seq=self.tick(), began_at=began_at, at=time.time(), url=url, headers=headers, body=body[:MAX_BODY_BYTES],
            status=status, answer=answer[:MAX_BODY_BYTES], failure=failure,
        )  # fmt: skip
        self._add(fact, call_id)

    def note(
        self, call_id: str | None, about: Literal["call", "media"], source: str, target: str, text: str, *, is_failure: bool = False
    ) -> None:
        """The exchange says something itself."""
        if self.is_on:
            fact = Note(seq=self.tick(), at=time.time(), about=about, source=source, target=target, text=text, is_failure=is_failure)
            self._add(fact, call_id)

    def tap(self, call_id: str) -> "PacketTap | None":
        """What keeps the packets of a call's sound, in the media loop; ``None`` where nobody wants them."""
        return self.sound.tap(call_id) if self.sound is not None else None

    # What readers ask

    def calls(self) -> list[RecordedCall]:
        """The calls that were placed, the oldest first, without those that are parts of others."""
        return [call for call in self._calls.values() if call.whole is None]

    def call(self, call_id: str) -> RecordedCall | None:
        """The whole call that is known by that name, where there is one."""
        return self._calls.get(self.whole_name(call_id))

    def group(self, name: str) -> RecordedCall | None:
        """What is known by that name itself: a call or a part of one."""
        return self._known(name)

    def whole_name(self, name: str) -> str:
        """The id of the whole call that something of that name belongs to: its own where it's no part."""
        for _ in range(len(self._calls) + 1):
            group = self._known(name)
            if group is None or group.whole is None:
                return name
            name = group.whole
        return name

    def parts(self, call: RecordedCall) -> list[RecordedCall]:
        """That call and all its parts."""
        found, waiting = [call], list(call.parts)
        while waiting:
            part = self._known(waiting.pop(0))
            if part is not None and part not in found:
                found.append(part)
                waiting += part.parts
        return found

    def others(self) -> list[Fact]:
        """What belongs to no call that was placed, in the order in which it came."""
        strange = [fact for group in self._strangers.values() for fact in group.facts()]
        return sorted((*self._others, *strange), key=lambda fact: fact.seq)

    def clear(self, application: str) -> None:
        """Forget an application's calls, and all that belongs to none."""
        for call in [call for call in self.calls() if call.application == application]:
            parts = {part.id for part in self.parts(call)}
            for part in parts:
                self._calls.pop(part, None)
            if self.sound is not None:
                self.sound.forget(parts)
        self._strangers.clear()
        self._others.clear()
        self._weight = sum(call.weight for call in self._calls.values())

    def wake_followers(self) -> None:
        """Have them look, though nothing happened: the exchange closes."""
        for follower in self._followers:
            follower.bell.set()

    @contextmanager
    def following(self) -> Iterator[Follower]:
        """Read facts as they come."""
        follower = Follower()
        self._followers.append(follower)
        try:
            yield follower
        finally:
            self._followers.remove(follower)

    # Inside

    def _known(self, name: str) -> RecordedCall | None:
        return self._calls.get(name) or self._strangers.get(name)

    def _add(self, fact: Fact, name: str | None) -> None:
        if not self.is_on:
            return
        group = self._known(name) if name is not None else None
        weight = fact.weight
        self._weight += weight
        if group is None:
            self._others.append(fact)
            while len(self._others) > self._limits.others:
                self._weight -= self._others.popleft().weight
        else:
            group.weight += weight
            if len(group.first) < self._limits.first_facts:
                group.first.append(fact)
            else:
                self._add_latest(group, fact)
        if self._weight > self._limits.bytes:
            self._slim()
        for follower in self._followers:
            follower.put(fact, name if group is not None else None)

    def _add_latest(self, group: RecordedCall, fact: Fact) -> None:
        if len(group.latest) == self._limits.latest_facts:
            gone = group.latest.popleft().weight
            group.weight -= gone
            self._weight -= gone
            group.left_out += 1
        group.latest.append(fact)

    def _make_room(self) -> None:
        while len(self._strangers) > self._limits.strangers:
            self._drop(self._strangers)
        while len(self._calls) > self._limits.calls:
            self._drop(self._calls)

    def _slim(self) -> None:
        """Drop the oldest until all weighs no more than it may: first what belongs to no call, calls last."""
        while self._weight > self._limits.bytes and self._others:
            self._weight -= self._others.popleft().weight
        for groups, kept in ((self._strangers, 0), (self._calls, 1)):
            while self._weight > self._limits.bytes and len(groups) > kept:
                self._drop(groups)
        for call in self._calls.values():  # a single one that is too much
            while self._weight > self._limits.bytes and (call.latest or call.first):
                gone = (call.latest.popleft() if call.latest else call.first.pop()).weight
                call.weight -= gone
                self._weight -= gone
                call.left_out += 1

    def _drop(self, groups: "OrderedDict[str, RecordedCall]") -> None:
        """The oldest, with its parts."""
        _, gone = groups.popitem(last=False)
        self._weight -= gone.weight
        for part in gone.parts:
            for kept in (self._calls, self._strangers):
                if part in kept and kept[part].whole == gone.id:
                    self._weight -= kept.pop(part).weight


def sip_name(call_id: str) -> str:
    """The name under which a SIP dialog is recorded: anybody chooses Call-IDs, so they can't be taken for ids of calls."""
    return f"sip {call_id}"


def _sound_record() -> "SoundRecord":
    from sinchphone.exchange.record.sound import SoundRecord

    return SoundRecord()
