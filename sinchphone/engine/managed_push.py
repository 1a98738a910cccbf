"""Managed push of one client: subscribes for pushes, sleeps without any other connection, and is woken by a push about a call.

::

    start: user agent -> subscription -> platform (push profile)
    idle for a while  -> asleep: nothing subscribed but the push service
    push -> inbox: news? -> awake: subscribed, and the platform sends the call's INVITE (again)
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, assert_never

from sinchphone.engine.events.events import ClientEvent, ClientWarning, FellAsleep, PushDropped, PushReceived
from sinchphone.engine.link import Link
from sinchphone.errors import ForbiddenError, LocalProtocolError, NetworkError, SinchphoneError
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import NO_PUSH, PushConfig
from sinchphone.signaling.push.inbox import PushCounts, PushInbox, PushVerdict
from sinchphone.signaling.push.notification import CallNotification
from sinchphone.signaling.push.user_agent import (
    DEFAULT_SERVICE,
    Disconnected,
    Pushed,
    Subscribed,
    Unreadable,
    UserAgent,
    UserAgentEvent,
)
from sinchphone.tasks import cancel_all, close_in_turn, start_task

SUBSCRIBE_S: Final = 15.0  # until the push service and the platform have us
AWAKE_S: Final = 30.0  # after a push; the INVITE takes a moment at most
LOOK_S: Final = 0.2  # how often we look whether we may sleep
_LINE: Final = "push"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What a payload that came elsewhere is worth. ``call`` is what it tells of, where it could be read."""

    is_valid: bool
    has_timed_out: bool
    call: CallNotification | None


class ManagedPush:
    """For the loop's thread. ``busy`` says whether there are calls; ``tell`` gets events."""

    def __init__(self, link: Link, *, busy: Callable[[], bool], tell: Callable[[ClientEvent], None]) -> None:
        self._link = link
        self._busy = busy
        self._tell = tell
        self._inbox = PushInbox()
        self._sleep_after: float | None = None
        self._awake_until = 0.0
        self._subscription: PushSubscription | None = None  # what the platform knows
        self._agent: UserAgent | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._subscribed = asyncio.Event()
        self._trouble: SinchphoneError | None = None

    @property
    def counts(self) -> PushCounts:
        """What became of the pushes so far."""
        return self._inbox.counts

    async def start(self, subscription: PushSubscription | None, service: str | None, sleep_after: float | None) -> None:
        """Take pushes: with a subscription that an app has elsewhere, whose pushes it hands to ``relay``; or with a user agent of our own
        at ``service``, the platform's or Mozilla's where none is named. With ``sleep_after`` seconds without a call it sleeps. Raises
        LocalProtocolError, ForbiddenError, NetworkError, and what the platform refuses it with; it may be tried again then, and where
        this was cancelled."""
        if self._tasks or self._subscription is not None:
            raise LocalProtocolError("managed push is on already")
        push = self._link.registration.push
        if push is None:
            raise ForbiddenError(NO_PUSH)
        if subscription is not None:
            await self._tell_platform(subscription)
        else:
            await self._start_agent(push, service)
        self._sleep_after = sleep_after
        if sleep_after is not None:
            self._stay_awake(sleep_after)
            self._tasks.append(start_task(self._doze(sleep_after), name="sleep"))

    def relay(self, payload: Mapping[str, Any] | bytes) -> PushResult:
        """A push that came elsewhere: its content. Wakes the client where it tells of a call."""
        verdict, call = self._take(payload)
        valid = verdict is not PushVerdict.UNREADABLE
        return PushResult(is_valid=valid, has_timed_out=verdict is PushVerdict.EXPIRED, call=call)

    def wake(self) -> None:
        """Subscribe again, for a while at least."""
        self._stay_awake(AWAKE_S)
        self._link.wake()

    def settle(self) -> None:
        """A call came, for which it woke up: it may sleep again when that is over."""
        if self._sleep_after is not None:
            self._awake_until = asyncio.get_running_loop().time() + self._sleep_after

    async def close(self) -> None:
        """No more pushes; the platform learns it where they were ours."""
        if self._agent is None:
            await cancel_all(self._tasks)
            return
        await close_in_turn(self._agent.unsubscribe, partial(cancel_all, self._tasks))  # over its connection, which ends with the tasks
        try:
            async with asyncio.timeout(1.0):
                await self._link.dialect.set_push_profile(None)
        except (SinchphoneError, TimeoutError):
            return  # the push service says so to who pushes

    async def _start_agent(self, push: PushConfig, service: str | None) -> None:
        """Return when the platform has our subscription. Where it doesn't come to that, or this is cancelled, it's as before."""
        self._tasks.append(start_task(self._follow(push, service), name="pushes"))
        try:
            await self._wait_until_subscribed()
        except BaseException:
            try:
                await self.close()
            finally:
                self._tasks.clear()
                self._agent = self._subscription = self._trouble = None
                self._subscribed.clear()
            raise

    async def _wait_until_subscribed(self) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBE_S):
                await self._subscribed.wait()
        except TimeoutError:
            raise self._trouble or NetworkError("the push service doesn't answer", hint="check the network") from None
        if self._trouble is not None:
            raise self._trouble

    async def _follow(self, push: PushConfig, service: str | None) -> None:
        """What the user agent tells; another one where the platform has another key or proposes another service."""
        while True:
            agent = self._agent = UserAgent(self._link.session, service or push.service or DEFAULT_SERVICE, push.key)
            events = agent.events()
            try:
                async for event in events:
                    await self._take_event(event)
                    now = self._link.registration.push
                    if isinstance(event, Disconnected) and now is not None and now != push:
                        push = now
                        break
            finally:
                await events.aclose()

    async def _take_event(self, event: UserAgentEvent) -> None:
        match event:
            case Subscribed(subscription=subscription):
                await self._subscribe(subscription)
            case Pushed(content=content):
                self._take(content)
            case Unreadable():
                self._take(None)
            case Disconnected(reason=reason):
                self._trouble = NetworkError(reason, hint="check the network")
                if self._subscribed.is_set():
                    self._link.interrupt(_LINE, reason)
            case _:
                assert_never(event)

    async def _subscribe(self, subscription: PushSubscription) -> None:
        """Connected: the platform learns where pushes go, if that is news."""
        first = not self._subscribed.is_set()
        try:
            if subscription != self._subscription:
                await self._tell_platform(subscription)
            self._trouble = None
            self._link.resume(_LINE)
        except SinchphoneError as error:
            self._trouble = error
            if not first:
                self._tell(ClientWarning(message=f"the platform takes no push subscription: {error}", hint=error.hint))
        self._subscribed.set()

    async def _tell_platform(self, subscription: PushSubscription) -> None:
        await self._link.dialect.set_push_profile(subscription)
        self._subscription = subscription

    def _take(self, content: Mapping[str, Any] | bytes | None) -> tuple[PushVerdict, CallNotification | None]:
        verdict, call = self._inbox.take(content, self._link.dialect.now)  # the platform's clock says when it was sent
        if verdict is PushVerdict.NEWS and call is not None:
            woke = self._link.is_asleep
            self.wake()
            self._tell(PushReceived(notification=call, woke=woke))
        else:
            self._tell(PushDropped(reason=f"a push {verdict.value}"))
        return verdict, call

    def _stay_awake(self, seconds: float) -> None:
        self._awake_until = max(self._awake_until, asyncio.get_running_loop().time() + seconds)

    async def _doze(self, sleep_after: float) -> None:
        """Sleep when there was no call for a while, and only while pushes come."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._busy() or not self._link.ready.is_set():
                self._stay_awake(sleep_after)
            elif not self._link.is_asleep and asyncio.get_running_loop().time() >= self._awake_until:
                self._link.sleep()
                self._tell(FellAsleep())
