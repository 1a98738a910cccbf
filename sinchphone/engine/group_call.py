"""A group call: everybody in it calls everybody else, with ordinary calls (``callGroup`` of the older SDK).

::

    join:  subscribe to the group's channel, then publish our user id there
    a user id on the channel            -> call that user
    a call from somebody of the group   -> answered
    two calls between the same two      -> the one of whose user id is the lesser stays

The channel is pub/sub's, with a name that the application makes up: whoever knows it is in the group. A newcomer isn't told who is there:
for a while after it joined, whoever calls it is of the group. A call that fails is placed again by who placed it; one that is hung up or
declined isn't.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias

from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.observed_call import MAX_UNREAD_EVENTS
from sinchphone.engine.events.event_log import EventLog
from sinchphone.engine.link import PUBSUB_UNREACHED, Link
from sinchphone.errors import LocalProtocolError, NetworkError, SinchphoneError
from sinchphone.protocol.call.states import Cause, EndedBy, State
from sinchphone.protocol.names import GROUP_RULE, is_group_name, is_user_id
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain
from sinchphone.signaling.pubsub.client import PayloadReceived, PubSub, SubscriptionResumed
from sinchphone.tasks import cancel_all, close_in_turn, start_task

MAX_OTHERS: Final = 15  # everybody sends to each of them; the exchange lets a user have 16 calls
NEWCOMER_S: Final = 15.0  # so long members may call a newcomer, who doesn't know them
JOIN_S: Final = 15.0
LEAVE_S: Final = 3.0  # for the calls to end
RETRY_S: Final = 1.0
MAX_TRIES: Final = 4  # of calling one member
AGAIN_S: Final = 1.0  # before the second; twice as long before each further one
REPEATED_S: Final = 10.0  # an announcement may come twice
MAX_ANNOUNCED: Final = 256

_log = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class LocalMediaAdded:
    """We are in the group: who is there calls us, with our sound."""

    group: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCallAdded:
    """Sound flows to and from another one in the group."""

    call: Call


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCallRemoved:
    """That one is gone."""

    call: Call


GroupEvent: TypeAlias = LocalMediaAdded | RemoteCallAdded | RemoteCallRemoved


class GroupCall:
    """One group that this client is in, until ``leave``. For the loop's thread."""

    def __init__(self, name: str, user_id: str, link: Link, place: Callable[[str], Awaitable[Call]]) -> None:
        """``place`` calls a user. Raises LocalProtocolError for a name that can't be one."""
        if not is_group_name(name):
            raise LocalProtocolError(GROUP_RULE)
        self.name = name
        self._user_id = user_id
        self._link = link
        self._place = place
        self._calls: dict[str, Call] = {}  # by the other's user id
        self._placing: set[str] = set()  # whom we are about to call
        self._known: set[str] = set()  # who announced themselves, or called when we were new
        self._events = EventLog[GroupEvent](MAX_UNREAD_EVENTS)
        self._channel: asyncio.Task[None] | None = None
        self._following: set[asyncio.Task[None]] = set()  # one for each call, to its end
        self._joined = asyncio.Event()
        self._joined_at = float("-inf")
        self._refused: SinchphoneError | None = None
        self._left = False
        self._leaving = asyncio.Event()

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls to the others, those that aren't established yet among them."""
        return tuple(self._calls.values())

    @property
    def is_over(self) -> bool:
        """Whether it was left."""
        return self._left

    def events(self) -> AsyncIterator[GroupEvent]:
        """What happens in the group, from the start on; ends when it is left."""
        return self._events.read()

    async def join(self) -> None:
        """Announce us. Raises NetworkError, ForbiddenError and PlatformError; it's left then, and where this is cancelled."""
        self._channel = start_task(self._follow_channel(), name=f"group {self.name}")
        try:
            await self._until_joined()
        except BaseException:
            await self.leave()
            raise
        self._events.put(LocalMediaAdded(group=self.name))

    async def leave(self) -> None:
        """Hang up all calls of the group. May be called more than once."""
        if self._left:
            return
        self._left = True
        self._leaving.set()
        try:
            await close_in_turn(
                partial(cancel_all, [self._channel] if self._channel is not None else []),
                self._hang_up_all,
                partial(cancel_all, self._following),
                partial(self._link.broadcast.leave, [self.name]),
            )
        finally:
            self._events.end()

    async def _hang_up_all(self) -> None:
        await asyncio.gather(*(call.hang_up() for call in self.calls))
        if self._following:
            await asyncio.wait(self._following, timeout=LEAVE_S)

    async def _until_joined(self) -> None:
        try:
            async with asyncio.timeout(JOIN_S):
                await self._joined.wait()
        except TimeoutError:
            raise self._refused or NetworkError(PUBSUB_UNREACHED, hint="check the network") from None
        if self._refused is not None:
            raise self._refused

    def takes(self, call: Call) -> bool:
        """Whether an incoming call is one of the group's; it is answered then."""
        if self._left or call.domain is not Domain.MXP:
            return False
        is_new = asyncio.get_running_loop().time() - self._joined_at < NEWCOMER_S
        if call.peer not in self._calls and call.peer not in self._known and not is_new:
            return False
        self._spawn(self._take(call), f"group call {call.id}")
        return True

    async def _take(self, call: Call) -> None:
        other = self._calls.get(call.peer)
        ours = call.peer in self._placing or (other is not None and other.outbound and other.state is not State.ESTABLISHED)
        if self._left or (ours and self._user_id < call.peer):
            await call.decline()  # they take ours
            return
        if other is None and len(self._calls) >= MAX_OTHERS:
            await call.decline(busy=True)
            return
        self._remember(call.peer)
        self._placing.discard(call.peer)
        self._calls[call.peer] = call
        if other is not None:
            await other.hang_up()
        await call.answer()
        await self._follow_call(call)

    async def _follow_channel(self) -> None:
        """Hear who comes, for ever, also when the network is another one; announce us once: who hears us again takes the call with us for
        lost."""
        while True:
            pubsub = self._link.broadcast
            try:
                await self._read(pubsub)
            except SinchphoneError as error:
                if not self._joined.is_set():
                    self._refused = error
                    self._joined.set()
                    return
                _log.info("the channel of group %s isn't there: %s", self.name, type(error).__name__)
            await asyncio.sleep(RETRY_S)

    async def _read(self, pubsub: PubSub) -> None:
        """Until the network is another one."""
        async for event in pubsub.events([self.name]):
            if pubsub is not self._link.broadcast:
                return
            if isinstance(event, SubscriptionResumed) and not self._joined.is_set():
                self._joined_at = asyncio.get_running_loop().time()
                await pubsub.publish(self.name, self._user_id)
                self._joined.set()
            elif isinstance(event, PayloadReceived):
                self._hear(event.payload)

    def _hear(self, payload: object) -> None:
        """Somebody says that they are here. Whatever it is, it harms nobody."""
        if not isinstance(payload, str) or not is_user_id(payload) or payload == self._user_id:
            return
        there = self._calls.get(payload)
        if payload in self._placing or (there is None and len(self._calls) + len(self._placing) >= MAX_OTHERS):
            return
        self._remember(payload)
        if there is None or _is_old(there):  # who comes again has lost the call
            self._placing.add(payload)
            self._spawn(self._call(payload, there), f"group {self.name} calls")

    def _remember(self, user_id: str) -> None:
        if len(self._known) < MAX_ANNOUNCED:
            self._known.add(user_id)

    async def _call(self, user_id: str, lost: Call | None) -> None:
        """Call a member, and again while the call fails and nobody else has one with it."""
        if lost is not None:
            await lost.hang_up()
        for tries in range(MAX_TRIES):
            if tries and await self._leaves_within(AGAIN_S * 2 ** (tries - 1)):
                return
            if tries and (user_id in self._calls or user_id in self._placing):  # they called, or announced themselves again
                return
            self._placing.add(user_id)
            if not await self._call_once(user_id):
                return
        _log.warning("a member of group %s can't be called", self.name)

    async def _leaves_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        except TimeoutError:
            return False
        return True

    async def _call_once(self, user_id: str) -> bool:
        """Whether it failed and may be tried again."""
        try:
            call = await self._place(user_id)
        except SinchphoneError as error:
            self._placing.discard(user_id)
            _log.info("a call of group %s can't be placed: %s", self.name, error)
            return isinstance(error, NetworkError)
        if self._left or user_id not in self._placing:  # we took theirs meanwhile
            await call.hang_up()
            return False
        self._placing.discard(user_id)
        self._calls[user_id] = call
        await self._follow_call(call)
        _log.info("a call of group %s ended: %s by %s", self.name, call.details.cause, call.details.ended_by)
        return _has_failed(call)

    async def _follow_call(self, call: Call) -> None:
        was_added = False
        async for state in call.states():
            if state is State.ESTABLISHED:
                was_added = True
                self._events.put(RemoteCallAdded(call=call))
        if self._calls.get(call.peer) is call:
            del self._calls[call.peer]
        if was_added:
            self._events.put(RemoteCallRemoved(call=call))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = start_task(work, name=name)
        self._following.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._following.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)


def _has_failed(call: Call) -> bool:
    return call.details.ended_by is not EndedBy.US and call.details.cause in (Cause.FAILURE, Cause.TIMEOUT, Cause.NO_ANSWER, Cause.INACTIVE)


def _is_old(call: Call) -> bool:
    return (call.talked_seconds or 0.0) > REPEATED_S
