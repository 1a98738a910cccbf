"""One subscription: where it stands, what each answer brings, and how it comes back after a failure.

::

    subscribe tt=0 -> SubscriptionResumed -> poll tt -> Received... -> poll tt' -> ...
                                  | fails
                                  v
                       Interrupted -> wait (back-off) -> subscribe tt=0 answered? -> SubscriptionResumed -> poll with the OLD tt
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TypeAlias

from sinchphone.errors import PlatformError, RemoteProtocolError, SinchphoneError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.http.transport import HttpAnswer, OversizedAnswerError
from sinchphone.signaling.pubsub.answers import RecentMessages, SubscribeAnswer, read_subscribe_answer, skip_past
from sinchphone.signaling.pubsub.backoff import Backoff, RetryPause
from sinchphone.signaling.pubsub.requests import BrokerRequests, is_final, refusal

QUIET_RETRY_S = 5.0  # a poll that was held this long and then cut (proxies do that) is first repeated without a word
HOLLOW_POLL_S = 0.05  # a poll that is answered faster, without news, is not a long poll

_log = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True)
class PayloadReceived:
    """A message of a channel. ``payload`` is whatever JSON was published."""

    channel: str
    payload: object = field(repr=False)
    timetoken: str


@quick_dataclass(frozen=True, slots=True)
class Interrupted:
    """The subscription doesn't work for now; it's tried again."""

    reason: str


@quick_dataclass(frozen=True, slots=True)
class SubscriptionResumed:
    """The subscription works: what's published from now on (after an interruption: since it began) will be received."""


PubSubEvent: TypeAlias = PayloadReceived | Interrupted | SubscriptionResumed


@dataclass(slots=True)
class PubSubCounters:
    """What has happened so far."""

    received: int = 0
    repeated: int = 0  # messages that the broker sent again
    ignored: int = 0  # messages that can't be read
    interruptions: int = 0
    published: int = 0
    publish_retries: int = 0


class Subscription:
    """Where one subscription stands. ``step`` does one request and tells what it brought."""

    def __init__(self, requests: BrokerRequests, channels: str, backoff: Backoff, counters: PubSubCounters) -> None:
        self._requests = requests
        self._backoff = backoff
        self._pause = RetryPause()
        self._counters = counters
        self._channels = channels
        self._timetoken = "0"
        self._region: int | None = None
        self._recent = RecentMessages()
        self._failures = 0  # since the last answered poll
        self._hollow = 0  # answers in a row that came at once, without news
        self._announced = False  # SubscriptionResumed was told, and not Interrupted since
        self._silent = True  # nothing was told yet
        self._stood = False  # it has worked
        self._unreadable = 0  # polls in a row whose answer can't be read
        self._retried = False  # a cut poll was repeated without a word

    def retry_now(self) -> None:
        """Where it waits before another try: don't, and begin with short delays again."""
        self._pause.cut()

    async def step(self) -> list[PubSubEvent]:
        """Wait where that's due, send one request, and tell what it brought. Raises ForbiddenError or PlatformError where the broker
        refuses the first subscribe."""
        if self._failures and not self._announced:
            if await self._pause.wait(self._backoff.delay_s(self._failures - 1)):
                self._failures = 1
            if self._timetoken != "0":
                return await self._probe()
        elif self._hollow > 2:
            await self._backoff.wait(self._hollow - 3)
        self._pause.begin_try()
        started = asyncio.get_running_loop().time()
        outcome = await self._requests.poll(self._channels, self._timetoken, self._region)
        return [] if outcome is None else self._take(outcome, asyncio.get_running_loop().time() - started)

    async def _probe(self) -> list[PubSubEvent]:
        """Whether subscribing works again. A subscribe from 0 is answered at once and leaves our place alone."""
        self._pause.begin_try()
        outcome = await self._requests.poll(self._channels, "0", None)
        assert outcome is not None, "a poll from 0 is answered at once"
        answer = self._understood(outcome)
        if isinstance(answer, SinchphoneError):
            return self._failed(answer)
        self._announced = True
        return [SubscriptionResumed()]

    def _take(self, outcome: HttpAnswer | SinchphoneError, held_s: float) -> list[PubSubEvent]:
        answer = self._understood(outcome)
        if not isinstance(answer, SinchphoneError):
            self._retried = False
            return self._answered(answer, held_s)
        if self._announced and held_s >= QUIET_RETRY_S and not self._retried:
            self._retried = True
            return []
        return self._failed(answer)

    def _understood(self, outcome: HttpAnswer | SinchphoneError) -> SubscribeAnswer | SinchphoneError:
        """The answer, or why to try again. Raises where the broker refuses from the first; later that may pass, since a broker that
        was started anew learns its keys as devices register."""
        if isinstance(outcome, OversizedAnswerError):
            return self._skipped(outcome.beginning) or outcome
        if isinstance(outcome, SinchphoneError):
            return outcome
        refused = refusal(outcome, "subscribe")
        if refused is not None:
            if is_final(outcome) and not self._stood:
                raise refused
            return refused
        try:
            return read_subscribe_answer(outcome.body)
        except RemoteProtocolError as error:
            failure = PlatformError(f"can't subscribe: {error}", status=outcome.status)
            return self._skipped(outcome.body) or failure

    def _skipped(self, body: bytes) -> SubscribeAnswer | None:
        """An answer that can't be read twice in a row is passed over, if it tells its timetoken: the same place would bring it again.
        The first time it may just have been cut short."""
        self._unreadable += 1
        skipped = skip_past(body) if self._unreadable > 1 else None
        if skipped is not None:
            _log.warning("an answer of the broker can't be read: going on without it")
        return skipped

    def _failed(self, error: SinchphoneError) -> list[PubSubEvent]:
        self._failures += 1
        tell = self._announced or self._silent
        self._announced = self._silent = False
        if not tell:
            return []
        self._counters.interruptions += 1
        return [Interrupted(str(error))]

    def _answered(self, answer: SubscribeAnswer, held_s: float) -> list[PubSubEvent]:
        counters = self._counters
        fresh = [message for message in answer.messages if self._recent.is_new(message)]
        counters.ignored += answer.ignored
        counters.repeated += len(answer.messages) - len(fresh)
        counters.received += len(fresh)
        is_first = self._timetoken == "0"
        self._hollow = self._hollow + 1 if not (fresh or is_first) and held_s < HOLLOW_POLL_S else 0
        self._timetoken, self._region = answer.timetoken, answer.region
        self._failures = self._unreadable = 0
        events: list[PubSubEvent] = [] if self._announced else [SubscriptionResumed()]
        self._announced, self._silent, self._stood = True, False, True
        return events + [PayloadReceived(message.channel, message.payload, message.timetoken) for message in fresh]
