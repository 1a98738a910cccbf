"""Publish and subscribe: channels, time tokens, a bounded history and who listens (pure; waiting is ``polling``'s).

A client names the time token it has seen up to and gets what came after it, so nothing is lost while it is away for a moment.
Networks (subscribe keys) know nothing of each other.
"""

import logging
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol

from sinchphone.errors import ForbiddenError
from sinchphone.exchange.access.limits import Shares
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.channels import is_derived_channel
from sinchphone.exchange.pubsub.timetokens import FeedTokens, TimeTokens
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.store.feed import Feed, FeedMessage
from sinchphone.quick_dataclass import quick_dataclass

MAX_CHANNEL_CHARACTERS = 92  # PubNub's limit, of a channel and a user id
MAX_CHANNELS = 100  # in one subscribe request
MAX_MESSAGES = 100  # in one answer: PubNub's subscriber queue; clients limit an answer's size by it
MESSAGE_OVERHEAD_BYTES = 512  # what a kept message costs beside its text
_INFLATION = 24  # "{}," are three bytes of text, and 72 in memory
BROKEN_SECONDS = 60.0  # this long it is known that a listener's connection broke off
AWAY_SECONDS = 20.0  # this long after its last poll a listener that hasn't said goodbye still counts: it may be reconnecting


_logger = logging.getLogger(__name__)


class BrokerError(ForbiddenError):
    """The broker doesn't take a request."""


class UnknownKeyError(BrokerError):
    """No network has this subscribe key, or not with this publish key."""


class MessageTooLargeError(BrokerError):
    """A message is longer than the broker carries."""


class TooManyPollsError(BrokerError):
    """A network has more waiting polls, or one poll more channels, than the broker serves."""


class InvalidChannelError(BrokerError):
    """A channel or user id that can't be one."""


@quick_dataclass(frozen=True, slots=True)
class Posted:
    """A published message. ``payload`` is a JSON value, and so is ``meta``, what the publisher says about it."""

    token: int
    channel: str
    payload: Any = field(repr=False)
    publisher: str
    meta: Any = field(default=None, repr=False)


class Attendance(Protocol):
    """Who tells the other processes of this exchange at which channels somebody listens here."""

    def began(self, application: str, network: str, channel: str) -> None:
        """Somebody waits for the channel's messages."""

    def expected(self, application: str, network: str, channel: str, now: float) -> None:
        """Somebody is about to."""

    def ended(self, application: str, network: str, channel: str, now: float, *, broke_off: bool) -> None:
        """Nobody does any more; they may be back in a moment, or closed their connection."""

    def left(self, application: str, network: str, channel: str, elsewhere: Iterable[str]) -> None:
        """They said goodbye, also for these processes."""


class Bell(Protocol):
    """What wakes a waiting poll (``asyncio.Event`` is one)."""

    def set(self) -> None:
        """Ring."""


@dataclass(slots=True, eq=False)
class Poll:
    """Somebody who waits for messages of some channels. ``owner`` is who answers for it, nobody where that's the exchange itself;
    ``is_given_up``: it had to make room for a newer one."""

    subscribe_key: str
    channels: tuple[str, ...]
    listener: str
    bell: Bell
    owner: str = ""
    is_given_up: bool = False


class _Channel:
    """One channel's last messages and listeners."""

    __slots__ = ("began_at", "broke_off_at", "elsewhere", "heard_at", "listener", "polls", "posted")

    def __init__(self) -> None:
        self.posted: deque[Posted] | tuple[()] = ()  # most channels never have any, and an empty deque takes 760 bytes
        self.polls: list[Poll] = []
        self.heard_at = float("-inf")  # when somebody last listened
        self.began_at = float("-inf")  # since when somebody does, without a long pause
        self.listener = ""  # the last one
        self.elsewhere: dict[str, float] = {}  # by other process of this exchange: until when somebody listens there
        self.broke_off_at: float | None = None  # when the last one's connection was closed without an answer and without goodbye

    def is_listening(self, now: float) -> bool:
        return bool(self.polls) or now - self.last_heard_at <= AWAY_SECONDS

    @property
    def last_heard_at(self) -> float:
        """When somebody last listened here or elsewhere; infinity while somebody does elsewhere."""
        return max((self.heard_at, *self.elsewhere.values())) if self.elsewhere else self.heard_at

    def hear(self, now: float) -> None:
        if not self.is_listening(now):
            self.began_at = now
        self.heard_at = now

    def after(self, token: int) -> Iterator[Posted]:
        """What was posted after ``token``, the latest first: tokens rise, and most who ask have seen nearly all."""
        return takewhile(lambda posted: posted.token > token, reversed(self.posted))

    def leave(self, left: "dict[str, set[_Channel]]", listener: str) -> None:
        """That listener was the last one here; ``left``: channels by it."""
        if listener == self.listener:
            return
        if self.listener in left:
            left[self.listener].discard(self)
            if not left[self.listener]:
                del left[self.listener]
        if listener:
            left.setdefault(listener, set()).add(self)
        self.listener = listener

    def is_idle(self, now: float) -> bool:
        broke_off = self.broke_off_at is not None and now - self.broke_off_at <= BROKEN_SECONDS
        return not self.posted and not self.is_listening(now) and not broke_off


class _Network:
    """The channels under one subscribe key, and what all their messages weigh."""

    def __init__(self, publish_key: str, options: ExchangeOptions, application: str, left: "dict[str, set[_Channel]]") -> None:
        self.publish_key = publish_key
        self._left = left
        self.application = application
        self.polls: Shares[Poll] = Shares(options.polls, options.polls_per_owner)
        self.made_up: Shares[str] = Shares(options.channels, options.channels_per_owner)  # channels that aren't of a device or a call
        self.channels: dict[str, _Channel] = {}
        self.history: deque[tuple[Posted, int, float]] = deque()  # weight, when; oldest first, those that left their channel early too
        self.weight = 0
        self.watchers: dict[str, list[Poll]] = {}  # by channel
        self.swept_at = float("-inf")

    def channel(self, name: str, owner: str = "") -> _Channel:
        """A channel, made where there is none; one that is made up may take the place of the oldest."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = _Channel()
            if not is_derived_channel(name):
                for gone in self.made_up.add(name, owner):
                    self._give_up(gone)
        self.made_up.touch(name)
        return channel

    def _forget_channel(self, name: str) -> "_Channel":
        channel = self.channels.pop(name)
        channel.leave(self._left, "")
        return channel

    def _give_up(self, name: str) -> None:
        for poll in self._forget_channel(name).polls:
            poll.is_given_up = True
            poll.bell.set()

    def keep(self, posted: Posted, weight: int, now: float, limit: int, owner: str) -> None:
        channel = self.channel(posted.channel, owner)
        kept = channel.posted or deque()
        kept.append(posted)
        if len(kept) > limit:
            kept.popleft()
        channel.posted = kept
        self.history.append((posted, weight, now))
        self.weight += weight

    def forget(self, before: float, limit: int) -> None:
        """Drop what was published before that time, and the oldest until all weigh no more than ``limit``."""
        while self.history and (self.weight > limit or self.history[0][2] < before):
            posted, weight, _ = self.history.popleft()
            self.weight -= weight
            kept = self.channels.get(posted.channel)
            if kept is not None and kept.posted and kept.posted[0] is posted:
                kept.posted.popleft()
                kept.posted = kept.posted or ()

    def sweep(self, now: float) -> None:
        """Forget channels that nobody uses, now and then."""
        if now - self.swept_at < AWAY_SECONDS:
            return
        self.swept_at = now
        for name in [name for name, channel in self.channels.items() if channel.is_idle(now)]:
            self._forget_channel(name)
            self.made_up.remove(name)


class Broker:
    """All networks of an exchange. ``now`` is wall clock time [s since the epoch] throughout."""

    def __init__(
        self, options: ExchangeOptions, record: EventRecord | None = None, feed: Feed | None = None, attendance: Attendance | None = None
    ) -> None:
        """``record`` is told of all that is published; ``feed``: the messages of all processes, where this exchange has several, and
        ``attendance``, who tells them where somebody listens."""
        self.feed = feed
        self._attendance = attendance
        self._options = options
        self._record = record or EventRecord(is_on=False)
        self._networks: dict[str, _Network] = {}
        self._left: dict[str, set[_Channel]] = {}  # by their last listener
        self.tokens = TimeTokens() if feed is None else FeedTokens(lambda: feed.token, options.history_seconds)

    def add_network(self, subscribe_key: str, publish_key: str, application: str = "") -> None:
        """Serve a network of an application's."""
        self._networks[subscribe_key] = _Network(publish_key, self._options, application, self._left)

    def check(self, subscribe_key: str, publish_key: str | None = None) -> None:
        """Raises UnknownKeyError unless there is such a network (and ``publish_key``, where given, is its)."""
        network = self._networks.get(subscribe_key)
        if network is None:
            raise UnknownKeyError("Invalid Subscribe Key")
        if publish_key is not None and publish_key != network.publish_key:
            raise UnknownKeyError("Invalid Key")

    def check_message(self, channel: str, size: int) -> None:
        """Raises InvalidChannelError or MessageTooLargeError for what ``publish`` wouldn't take."""
        _check_name(channel)
        if size + len(channel) > self._options.message_bytes:
            raise MessageTooLargeError("Message Too Large")

    def publish(
        self,
        subscribe_key: str,
        channel: str,
        payload: Any,
        *,
        size: int,
        publisher: str,
        now: float,
        token: int | None = None,
        meta: Any = None,
        owner: str = "",
    ) -> Posted:
        """Post a message and wake who waits for it. ``size`` is its length on the wire [bytes]; ``token`` was taken for it before, and
        none that was handed out since may be known to a listener: that one would miss the message.

        Raises UnknownKeyError, InvalidChannelError or MessageTooLargeError.
        """
        self.check(subscribe_key)
        self.check_message(channel, size)
        posted = Posted(self.tokens.next(now) if token is None else token, channel, payload, publisher[:MAX_CHANNEL_CHARACTERS], meta)
        self.take(subscribe_key, posted, size=size, now=now, owner=owner)
        return posted

    def post(self, subscribe_key: str, channel: str, payload: Any, *, size: int, publisher: str, now: float) -> None:
        """Publish from inside the exchange: at once, or as soon as it has its place among the messages of all processes. Raises what
        ``publish`` raises."""
        if self.feed is None:
            self.publish(subscribe_key, channel, payload, size=size, publisher=publisher, now=now)
            return
        self.check_message(channel, size)
        self.feed.post(self.message(subscribe_key, channel, payload, size=size, publisher=publisher))

    def message(
        self, subscribe_key: str, channel: str, payload: Any, *, size: int, publisher: str, meta: Any = None, owner: str = ""
    ) -> FeedMessage:
        """A message for the feed. Raises UnknownKeyError."""
        return FeedMessage(
            application=self._network(subscribe_key).application,
            network=subscribe_key,
            channel=channel,
            payload=payload,
            size=size,
            publisher=publisher[:MAX_CHANNEL_CHARACTERS],
            meta=meta,
            owner=owner,
        )

    def take(self, subscribe_key: str, posted: Posted, *, size: int, now: float, owner: str = "") -> None:
        """A message has its place among the others: keep it, and wake who waits for it. Raises UnknownKeyError."""
        network, channel, payload, meta = self._network(subscribe_key), posted.channel, posted.payload, posted.meta
        network.keep(posted, _weight(payload, meta, size), now, self._options.history_per_channel, owner)
        network.forget(now - self._options.history_seconds, self._options.history_bytes)
        network.sweep(now)
        self._record.published(subscribe_key, channel, payload, publisher=posted.publisher, owner=owner, size=size, now=now)
        for poll in (*network.channel(channel).polls, *network.watchers.get(channel, ())):
            poll.bell.set()

    def since(self, subscribe_key: str, channels: Iterable[str], token: int) -> tuple[Posted, ...]:
        """What was posted on the channels after ``token``, oldest first: at most ``MAX_MESSAGES``; ask again for the rest."""
        kept = self._network(subscribe_key).channels
        found = [posted for name in set(channels) & kept.keys() for posted in kept[name].after(token)]
        found.sort(key=lambda posted: posted.token)
        return tuple(found[:MAX_MESSAGES])

    def begin(self, poll: Poll, now: float) -> None:
        """A listener starts to wait: its bell rings with the next message.

        Raises UnknownKeyError, InvalidChannelError or TooManyPollsError.
        """
        network = self._network(poll.subscribe_key)
        if len(poll.channels) > MAX_CHANNELS:
            raise TooManyPollsError("Too many channels")
        for name in poll.channels:
            _check_name(name)
        network.sweep(now)
        for gone in network.polls.add(poll, poll.owner) if poll.owner else ():
            _logger.info("a poll makes room for a newer one of %s", poll.owner)
            gone.is_given_up = True
            gone.bell.set()
        for name in poll.channels:
            channel = network.channel(name, poll.owner)
            channel.hear(now)
            channel.polls.append(poll)
            channel.broke_off_at = None
            if self._attendance is not None:
                self._attendance.began(network.application, poll.subscribe_key, name)

    def end(self, poll: Poll, now: float, *, broke_off: bool = False) -> None:
        """A listener stops to wait; unless it has said goodbye it may be back in a moment. ``broke_off``: it closed its connection."""
        network = self._network(poll.subscribe_key)
        network.polls.remove(poll)
        for name, channel in ((name, network.channels.get(name)) for name in poll.channels):
            if channel is not None and poll in channel.polls:
                channel.polls.remove(poll)
                channel.heard_at = now
                channel.leave(self._left, poll.listener)
                if self._attendance is not None and not channel.polls:
                    self._attendance.ended(network.application, poll.subscribe_key, name, now, broke_off=broke_off)
        if broke_off:  # what it listened to by other requests, which may just have been answered, is left alone too
            for channel in self._left.get(poll.listener, ()):
                if not channel.polls:
                    channel.broke_off_at = now

    def watch(self, poll: Poll) -> None:
        """The exchange itself follows these channels: its bell rings with each message, and nobody counts as listening."""
        watchers = self._network(poll.subscribe_key).watchers
        for name in poll.channels:
            watchers.setdefault(name, []).append(poll)

    def unwatch(self, poll: Poll) -> None:
        """That's enough."""
        watchers = self._network(poll.subscribe_key).watchers
        for name in poll.channels:
            watchers[name].remove(poll)
            if not watchers[name]:
                del watchers[name]

    def away_for(self, subscribe_key: str, channel: str, now: float) -> float:
        """How long nobody has listened to that channel [s]: 0 while somebody does, infinity where nobody did or they said goodbye."""
        kept = self._network(subscribe_key).channels.get(channel)
        return float("inf") if kept is None else 0.0 if kept.polls else max(0.0, now - kept.last_heard_at)

    def broken_off_for(self, subscribe_key: str, channel: str, now: float) -> float:
        """How long ago the channel's last listener closed its connection while it waited, without goodbye, as the system does for a program
        that is killed [s]; 0 where none did, or somebody listens again. Who sleeps, or has lost the network, closes nothing."""
        kept = self._network(subscribe_key).channels.get(channel)
        return 0.0 if kept is None or kept.broke_off_at is None else max(0.0, now - kept.broke_off_at)

    def expect(self, subscribe_key: str, channel: str, now: float) -> None:
        """Somebody is about to listen: counts as listening for a moment."""
        network = self._network(subscribe_key)
        network.channel(channel).hear(now)
        if self._attendance is not None:
            self._attendance.expected(network.application, subscribe_key, channel, now)

    def leave(self, subscribe_key: str, channels: Iterable[str], listener: str) -> None:
        """A listener says that it won't be back. Raises UnknownKeyError."""
        network = self._network(subscribe_key)
        for name in set(channels) & network.channels.keys():
            channel = network.channels[name]
            if self._attendance is not None:
                self._attendance.left(network.application, subscribe_key, name, channel.elsewhere)
            for poll in channel.polls:
                if poll.listener == listener:
                    poll.bell.set()
            channel.polls = [poll for poll in channel.polls if poll.listener != listener]
            channel.heard_at, channel.broke_off_at = float("-inf"), None

    def is_listening(self, subscribe_key: str, channel: str, now: float) -> bool:
        """Whether somebody waits for the channel's messages, or did a moment ago and hasn't left."""
        kept = self._network(subscribe_key).channels.get(channel)
        return kept is not None and kept.is_listening(now)

    def began_to_listen(self, subscribe_key: str, channel: str) -> float:
        """Since when somebody waits for the channel's messages: long ago, where nobody does."""
        kept = self._network(subscribe_key).channels.get(channel)
        return kept.began_at if kept is not None else float("-inf")

    def listeners(self, subscribe_key: str, channel: str) -> Counter[str]:
        """Who waits for the channel's messages at this moment, and how many times."""
        kept = self._network(subscribe_key).channels.get(channel)
        if kept is None:
            return Counter()
        elsewhere = [f"another process {name}" for name, until in kept.elsewhere.items() if until == float("inf")]
        return Counter((*(poll.listener for poll in kept.polls), *elsewhere))

    def heard_elsewhere(self, subscribe_key: str, channel: str, process: str, until: float, *, broke_off: bool) -> None:
        """Somebody listens at another process (infinity), or did until then."""
        kept = self._network(subscribe_key).channel(channel)
        kept.elsewhere[process] = until
        if until == float("inf"):
            kept.broke_off_at = None
        elif broke_off and not kept.polls and kept.last_heard_at <= until:
            kept.broke_off_at = until

    def left_elsewhere(self, subscribe_key: str, channel: str, process: str) -> None:
        """They won't be back."""
        kept = self._network(subscribe_key).channels.get(channel)
        if kept is not None:
            kept.elsewhere.pop(process, None)

    def is_polled(self, subscribe_key: str, channel: str) -> bool:
        """Whether somebody waits for the channel's messages at this process."""
        kept = self._network(subscribe_key).channels.get(channel)
        return kept is not None and bool(kept.polls)

    def dismiss(self, subscribe_key: str, channel: str) -> None:
        """Whoever listens here said goodbye to another process: their polls are answered, and don't count."""
        kept = self._network(subscribe_key).channels.get(channel)
        if kept is not None:
            for poll in kept.polls:
                poll.bell.set()
            kept.polls, kept.heard_at, kept.broke_off_at = [], float("-inf"), None

    def waiting_polls(self) -> int:
        """How many long polls wait, without the exchange's own."""
        return sum(len(network.polls) for network in self._networks.values())

    def wake_everybody(self) -> None:
        """Ring every bell: the exchange closes."""
        for network in self._networks.values():
            for channel in network.channels.values():
                for poll in channel.polls:
                    poll.bell.set()

    def _network(self, subscribe_key: str) -> _Network:
        self.check(subscribe_key)
        return self._networks[subscribe_key]


def _weight(payload: Any, meta: Any, size: int) -> int:
    """What a kept message takes in memory: its text, or the objects that a text of that size can become at most."""
    if isinstance(payload, list | dict) or isinstance(meta, list | dict):
        return _INFLATION * size + MESSAGE_OVERHEAD_BYTES
    return max(size, sys.getsizeof(payload)) + MESSAGE_OVERHEAD_BYTES


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_CHANNEL_CHARACTERS or "," in name:
        raise InvalidChannelError("Invalid Channel")
