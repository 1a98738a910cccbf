"""A PubNub-compatible pub/sub client: subscribes by long poll and publishes in order, through cut connections and broker restarts."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import aiohttp

from sinchphone.errors import LocalProtocolError, NetworkError, PlatformError, RemoteProtocolError, SinchphoneError
from sinchphone.signaling.http.transport import OversizedAnswerError
from sinchphone.signaling.pubsub.answers import read_publish_answer, read_time_answer
from sinchphone.signaling.pubsub.backoff import Backoff
from sinchphone.signaling.pubsub.requests import HEARTBEAT_S, POLL_TIMEOUT_S, BrokerRequests, is_final, joined, refusal
from sinchphone.signaling.pubsub.subscription import (
    Interrupted,
    PayloadReceived,
    PubSubCounters,
    PubSubEvent,
    Subscription,
    SubscriptionResumed,
)

__all__ = ["Backoff", "Interrupted", "PayloadReceived", "PubSub", "PubSubCounters", "PubSubEvent", "SubscriptionResumed"]

PUBLISH_TIMEOUT_S = 5.0  # of one try; the whole publish has a deadline
MAX_URL_CHARACTERS = 7_500  # a longer publish is a POST: servers take request lines of 8 kB


class PubSub:
    """One pub/sub network. ``origin`` is ``host`` or ``host:port``; without a publish key it's for receiving only."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        origin: str,
        secure: bool,
        subscribe_key: str,
        publish_key: str | None = None,
        uuid: str,
        backoff: Backoff | None = None,
        poll_timeout_s: float = POLL_TIMEOUT_S,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._requests = BrokerRequests(
            session,
            origin=origin,
            secure=secure,
            subscribe_key=subscribe_key,
            uuid=uuid,
            poll_timeout_s=poll_timeout_s,
            heartbeat_s=heartbeat_s,
        )
        self._publish_key = publish_key
        self._backoff = backoff or Backoff()
        self._publishing = asyncio.Lock()
        self._subscriptions: set[Subscription] = set()
        self.counters = PubSubCounters()

    async def events(self, channels: Sequence[str]) -> AsyncIterator[PubSubEvent]:
        """What happens on the channels: the first ``SubscriptionResumed`` says that it stands, then every message comes once, in
        order. Interruptions are told and overcome.

        Raises ForbiddenError or PlatformError where the broker refuses keys or channels from the first. A refusal later is an
        interruption, after which the registration should be confirmed: the platform may have changed its keys. No task is left
        when the iteration ends or is cancelled.
        """
        subscription = Subscription(self._requests, joined(channels), self._backoff, self.counters)
        self._subscriptions.add(subscription)
        try:
            while True:
                for event in await subscription.step():
                    yield event
        finally:
            self._subscriptions.discard(subscription)

    async def publish(self, channel: str, payload: object, *, deadline_s: float = 10.0) -> str:
        """Publish a JSON value; gives its timetoken. Publishes of one object go out one after the other, in the order of the calls.

        Tries again through failing connections until ``deadline_s`` is over, so the message may arrive twice. Raises NetworkError
        or PlatformError then, or at once where the broker refuses (ForbiddenError, PlatformError). A cancelled publish may or may
        not have happened.
        """
        if self._publish_key is None:
            raise LocalProtocolError("there is no key for publishing on this network")
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        url, body = self._requests.publish_request(self._publish_key, joined([channel]), text, MAX_URL_CHARACTERS)
        clock = asyncio.get_running_loop().time
        deadline = clock() + deadline_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._publishing.acquire()
        except TimeoutError as error:
            raise NetworkError("an earlier message isn't through yet", hint="check the network connection") from error
        try:
            return await self._publish_until(deadline, url, body)
        finally:
            self._publishing.release()

    def renew(self) -> None:
        """This machine's network may have changed: subscribe over a new connection, from where we are. Nothing is told of it. A
        subscription that is interrupted is tried again at once."""
        self._requests.renew()
        self.retry_now()

    def retry_now(self) -> None:
        """The network may be back: what is interrupted is tried again at once. What works is left alone."""
        for subscription in self._subscriptions:
            subscription.retry_now()

    async def leave(self, channels: Sequence[str]) -> None:
        """Say good-bye to the channels, within two seconds. It's a courtesy: whether it arrives doesn't matter."""
        await self._requests.leave(joined(channels))

    async def time(self) -> int:
        """The broker's time, in units of 100 ns since 1970. Raises NetworkError, PlatformError."""
        try:
            answer = await self._requests.time()
            return read_time_answer(answer.body)
        except (RemoteProtocolError, OversizedAnswerError) as error:
            raise PlatformError(f"the broker's time can't be read: {error}") from error

    @property
    def heartbeats(self) -> int:
        """How many heartbeats were answered."""
        return self._requests.heartbeats

    async def _publish_until(self, deadline: float, url: str, body: bytes | None) -> str:
        clock, attempt = asyncio.get_running_loop().time, 0
        while True:
            outcome = await self._publish_once(url, body, max(0.01, min(PUBLISH_TIMEOUT_S, deadline - clock())))
            if isinstance(outcome, str):
                self.counters.published += 1
                return outcome
            delay_s = self._backoff.delay_s(attempt)
            if clock() + delay_s >= deadline:
                raise outcome
            attempt += 1
            self.counters.publish_retries += 1
            await asyncio.sleep(delay_s)

    async def _publish_once(self, url: str, body: bytes | None, timeout_s: float) -> str | SinchphoneError:
        """The timetoken, or why it's worth trying again. Raises where it isn't."""
        try:
            answer = await self._requests.publish(url, body, timeout_s=timeout_s)
        except NetworkError as error:
            return error
        except OversizedAnswerError as error:
            return PlatformError(f"can't publish: {error}")
        refused = refusal(answer, "publish")
        if refused is not None and is_final(answer):
            raise refused
        try:
            return refused or read_publish_answer(answer.body)
        except RemoteProtocolError as error:
            raise PlatformError(f"can't publish: {error}", status=answer.status) from error
