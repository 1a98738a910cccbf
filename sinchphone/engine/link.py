"""The registered line to a platform: keeps the instance known, both pub/sub networks subscribed, and mends them when they break.

::

    open: environment -> base URL -> register
    run:  broadcast and signal subscriptions -> frames to the client
          interrupted? -> environment.recover, dialect.confirm until it works -> reconnected
          the network changes meanwhile? -> all of it is tried again at once
    sleep: no subscriptions, until woken; pushes are waited for elsewhere, and their line is ours then (``interrupt``, ``resume``)
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import aclosing

import aiohttp

from sinchphone.engine.capabilities import Capabilities
from sinchphone.engine.environment import Environment
from sinchphone.engine.events.events import ClientEvent, Reconnected, Reconnecting
from sinchphone.errors import NetworkError, PlatformError
from sinchphone.signaling.api import Api
from sinchphone.signaling.dialect import Dialect, Registration
from sinchphone.signaling.http.network_changes import network_changes
from sinchphone.signaling.http.transport import connector
from sinchphone.signaling.ocra.dialect import OcraDialect
from sinchphone.signaling.pubsub.backoff import RetryPause
from sinchphone.signaling.pubsub.client import Interrupted, PayloadReceived, PubSub, SubscriptionResumed
from sinchphone.signaling.rest.instances import InstanceStore
from sinchphone.tasks import close_in_turn

PUBSUB_UNREACHED = "the platform's pub/sub network can't be reached"
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 15.0
BACK_S = 2.0  # how long the subscriptions may take after the platform knows us again


_logger = logging.getLogger(__name__)
_NETWORKS = frozenset({"broadcast", "signal"})


class _RegistrationChangedError(Exception):
    """The platform gave us other channels: subscribe again."""


class _AsleepError(Exception):
    """No more subscriptions for now."""


class Link:
    """One user's line. ``open`` first, then ``run`` in a task; ``ready`` tells when frames can come in."""

    def __init__(
        self,
        environment: Environment,
        user_id: str,
        store: InstanceStore,
        *,
        takes_calls: bool = True,
        capabilities: Capabilities | None = None,
        on_frame: Callable[[object], None],
        tell: Callable[[ClientEvent], None],
    ) -> None:
        """``on_frame`` gets every payload of our channels, ``tell`` what the user should know; without ``takes_calls`` the platform
        learns that nobody can be called here."""
        self.ready = asyncio.Event()
        self._environment = environment
        self._user_id = user_id
        self._store = store
        self._takes_calls = takes_calls
        self._can = capabilities or Capabilities()
        self._on_frame = on_frame
        self._tell = tell
        self._trouble = asyncio.Event()
        self._pause = RetryPause()  # between two tries to have the platform know us again
        self._awake = asyncio.Event()
        self._asleep = asyncio.Event()
        self._awake.set()
        self._down: set[str] = set()
        self.interrupted_by = ""  # why the platform's pub/sub network isn't there, or wasn't the last time

    async def open(self) -> Registration:
        """Find the platform and register there. Raises NetworkError, AuthenticationError, ForbiddenError, PlatformError."""
        base_url = await self._environment.open()
        self.session = aiohttp.ClientSession(connector=connector(self._environment.ca_file))
        self.dialect = self._speak(base_url)
        try:
            self._take(await self.dialect.register())
        except BaseException:
            await self._release()
            raise
        return self.registration

    def _speak(self, base_url: str) -> Dialect:
        environment, user_id = self._environment, self._user_id
        dialect: Dialect

        async def prove() -> str:
            return await environment.token(user_id, dialect.now)

        if environment.api is Api.PAPI:
            from sinchphone.signaling.papi.dialect import PapiDialect

            dialect = PapiDialect(
                self.session,
                base_url,
                environment.application_key,
                user_id,
                ticket=prove,
                store=self._store,
                takes_calls=self._takes_calls,
                calling=self._can.calling,
                messaging=self._can.messaging,
            )
            return dialect
        dialect = OcraDialect(
            self.session,
            base_url,
            environment.application_key,
            user_id,
            token=prove,
            store=self._store,
            takes_calls=self._takes_calls,
            names=environment.ocra_names,
        )
        return dialect

    async def run(self) -> None:
        """Keep the line until cancelled. Raises AuthenticationError and its like when the platform doesn't want us any more."""
        while True:
            try:
                await self._serve()
            except* _RegistrationChangedError:
                pass

    async def publish(self, channel: str, text: str) -> None:
        """Publish one frame of a call. Raises NetworkError or PlatformError."""
        await self._signal.publish(channel, text)

    def renew(self) -> None:
        """This machine's network may have changed: listen over new connections, and try at once what is broken."""
        self.broadcast.renew()
        self._signal.renew()
        self._pause.cut()

    def _retry_now(self) -> None:
        self.broadcast.retry_now()
        self._signal.retry_now()
        self._pause.cut()

    @property
    def is_asleep(self) -> bool:
        """Whether nothing is subscribed, because ``sleep`` was called and ``wake`` not yet."""
        return self._asleep.is_set()

    def sleep(self) -> None:
        """Subscribe to nothing: only a push can tell us of a call."""
        self._awake.clear()
        self._asleep.set()

    def wake(self) -> None:
        """Subscribe again; ``ready`` tells when frames come."""
        if self.is_asleep:
            self.ready.clear()
            self._asleep.clear()
            self._awake.set()

    async def publish_message(self, channel: str, text: str) -> None:
        """Publish one frame of an instant message, on the broadcast network. Raises NetworkError, ForbiddenError or PlatformError."""
        await self.broadcast.publish(channel, text)

    async def confirm(self) -> Registration:
        """Register again where the platform has forgotten us; we listen on the channels that it gives us when this returns. Raises what
        registering does, and NetworkError where these can't be heard in time."""
        fresh = await self.dialect.confirm()
        if self._is_news(fresh):
            self.ready.clear()
            self._trouble.set()
            if not await self._is_back():
                raise NetworkError(PUBSUB_UNREACHED)
        return fresh

    async def close(self) -> None:
        """Close connections; a platform that is reachable learns that we are gone."""
        for network in {self.broadcast, self._signal}:
            _logger.debug("at the broker %s, heartbeats %s", network.counters, network.heartbeats)
        await close_in_turn(*([] if self.is_asleep else [self._say_goodbye]), self._release)

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await asyncio.gather(
                    self.broadcast.leave(self._broadcast_channels),
                    self._signal.leave([self.registration.profile.signal_channel]),
                    return_exceptions=True,
                )
        except TimeoutError:
            pass

    async def _release(self) -> None:
        await close_in_turn(self.dialect.close, self.session.close, self._environment.close)

    def _is_news(self, fresh: Registration) -> bool:
        return (fresh.profile, fresh.pubsub) != (self.registration.profile, self.registration.pubsub)

    def _take(self, registration: Registration) -> None:
        """``broadcast`` is the network of invitations, messages and groups."""
        self.registration = registration
        pubsub, name = registration.pubsub, str(uuid.uuid4())
        self.broadcast = PubSub(
            self.session,
            origin=pubsub.origin,
            secure=pubsub.secure,
            subscribe_key=pubsub.broadcast_subscribe_key,
            publish_key=pubsub.broadcast_publish_key,
            uuid=name,
        )
        self._signal = PubSub(
            self.session,
            origin=pubsub.signal_origin or pubsub.origin,
            secure=pubsub.secure,
            subscribe_key=pubsub.signal_subscribe_key,
            publish_key=pubsub.signal_publish_key,
            uuid=name,
        )

    @property
    def _broadcast_channels(self) -> list[str]:
        """In one poll: INVITEs for this device and instant messages for the user."""
        profile = self.registration.profile
        return [profile.broadcast_channel, *([profile.transport_channel] if profile.transport_channel else [])]

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="subscriptions")
            group.create_task(self._upkeep(), name="upkeep")
            group.create_task(self._watch_network(), name="network changes")

    async def _watch_network(self) -> None:
        """Who is cut off tries again as soon as a link, an address or a route comes, in place of waiting out the delay."""
        while True:
            await self._trouble.wait()
            async with aclosing(network_changes()) as changes:
                async for _ in changes:
                    if not self._trouble.is_set():
                        break
                    _logger.debug("the network has changed: trying again at once")
                    self._retry_now()
                else:
                    return  # nobody tells us

    async def _listen(self) -> None:
        """Subscribed while awake."""
        while True:
            await self._awake.wait()
            self._down |= _NETWORKS
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._read("broadcast", self.broadcast, self._broadcast_channels), name="broadcast")
                    group.create_task(self._read("signal", self._signal, [self.registration.profile.signal_channel]), name="signal")
                    group.create_task(self._fall_asleep(), name="sleep")
            except* _AsleepError:
                await self._say_goodbye()
                self._down -= _NETWORKS
                self._look_whether_ready()

    async def _fall_asleep(self) -> None:
        await self._asleep.wait()
        raise _AsleepError

    async def _read(self, name: str, pubsub: PubSub, channels: list[str]) -> None:
        async for event in pubsub.events(channels):
            match event:
                case PayloadReceived(payload=payload):
                    self._on_frame(payload)
                case Interrupted(reason=reason):
                    self.interrupt(name, reason)
                case SubscriptionResumed():
                    self.resume(name)

    def resume(self, name: str) -> None:
        """That way to us is there again."""
        self._down.discard(name)
        self._look_whether_ready()

    def _look_whether_ready(self) -> None:
        if not self._down:
            self.ready.set()

    def interrupt(self, name: str, reason: str) -> None:
        """A way to us is broken: a subscription's, or the one of pushes. The platform is asked whether it still knows us."""
        self._down.add(name)
        self.interrupted_by = reason
        self.ready.clear()
        if not self._trouble.is_set():
            self._trouble.set()
            self._tell(Reconnecting(reason=reason))

    async def _upkeep(self) -> None:
        """The registration is looked after when it is due, and after every interruption."""
        while True:
            try:
                async with asyncio.timeout(self.registration.config_refresh_s):
                    await self._trouble.wait()
            except TimeoutError:
                pass
            await self._mend()
            if self._trouble.is_set() and await self._is_back():
                self._trouble.clear()
                self._tell(Reconnected())

    async def _is_back(self) -> bool:
        """Whether both subscriptions stand again, soon; else it went away once more, and is mended anew."""
        try:
            async with asyncio.timeout(BACK_S):
                await self.ready.wait()
        except TimeoutError:
            return False
        return True

    async def _mend(self) -> None:
        wait_s, failed = RETRY_FIRST_S, False
        while True:
            self._pause.begin_try()
            try:
                if self._trouble.is_set():
                    await self._environment.recover()
                fresh = await self.dialect.confirm()
                break
            except (NetworkError, PlatformError):
                failed = True
                cut = await self._pause.wait(wait_s)
                wait_s = RETRY_FIRST_S if cut else min(2 * wait_s, RETRY_MOST_S)
        if self._is_news(fresh):
            self._take(fresh)
            raise _RegistrationChangedError
        self.registration = fresh
        if failed:
            self._retry_now()
