"""Publish and subscribe: channels, time tokens, a bounded history and who listens (pure; waiting is ``polling``'s).

A client names the time token it has seen up to and gets what came after it, so nothing is lost while it is away for a moment.
Networks (subscribe keys) know nothing of each other.
"""

import logging
import sys
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from sinchphone.errors import ForbiddenError
from sinchphone.exchange.access.limits import Shares
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.channels import is_derived_channel
from sinchphone.exchange.pubsub.timetokens import TimeTokens
from sinchphone.exchange.record.record import EventRecord

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


@dataclass(frozen=True, slots=True)
class Posted:
    """A published message. ``payload`` is a JSON value, and so is ``meta``, what the publisher says about it."""

    token: int
    channel: str
    payload: Any = field(repr=False)
    publisher: str
    meta: Any = field(default=None, repr=False)


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

    __slots__ = ("began_at", "broke_off_at", "heard_at", "listener", "polls", "posted")

    def __init__(self) -> None:
        self.posted: deque[Posted] = deque()
        self.polls: list[Poll] = []
        self.heard_at = float("-inf")  # when somebody last listened
        self.began_at = float("-inf")  # since when somebody does, without a long pause
        self.listener = ""  # the last one
        self.broke_off_at: float | None = None  # when the last one's connection was closed without an answer and without goodbye

    def is_listening(self, now: float) -> bool:
        return bool(self.polls) or now - self.heard_at <= AWAY_SECONDS

    def hear(self, now: float) -> None:
        if not self.is_listening(now):
            self.began_at = now
        self.heard_at = now

    def is_idle(self, now: float) -> bool:
        broke_off = self.broke_off_at is not None and now - self.broke_off_at <= BROKEN_SECONDS
        return not self.posted and not self.is_listening(now) and not broke_off


class _Network:
    """The channels under one subscribe key, and what all their messages weigh."""

    def __init__(self, publish_key: str, options: ExchangeOptions) -> None:
        self.publish_key = publish_key
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

    def _give_up(self, name: str) -> None:
        for poll in self.channels.pop(name).polls:
            poll.is_given_up = True
            poll.bell.set()

    def keep(self, posted: Posted, weight: int, now: float, limit: int, owner: str) -> None:
        channel = self.channel(posted.channel, owner)
        channel.posted.append(posted)
        if len(channel.posted) > limit:
            channel.posted.popleft()
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

    def sweep(self, now: float) -> None:
        """Forget channels that nobody uses, now and then."""
        if now - self.swept_at < AWAY_SECONDS:
            return
        self.swept_at = now
        for name in [name for name, channel in self.channels.items() if channel.is_idle(now)]:
            del self.channels[name]
            self.made_up.remove(name)


class Broker:
    """All networks of an exchange. ``now`` is wall clock time [s since the epoch] throughout."""

    def __init__(self, options: ExchangeOptions, record: EventRecord | None = None) -> None:
        """``record`` is told of all that is published."""
        self._options = options
        self._record = record or EventRecord(is_on=False)
        self._networks: dict[str, _Network] = {}
        self.tokens = TimeTokens()

    def add_network(self, subscribe_key: str, publish_key: str) -> None:
        """Serve a network."""
        self._networks[subscribe_key] = _Network(publish_key, self._options)

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
        network = self._network(subscribe_key)
        self.check_message(channel, size)
        posted = Posted(self.tokens.next(now) if token is None else token, channel, payload, publisher[:MAX_CHANNEL_CHARACTERS], meta)
        network.keep(posted, _weight(payload, meta, size), now, self._options.history_per_channel, owner)
        network.forget(now - self._options.history_seconds, self._options.history_bytes)
        network.sweep(now)
        self._record.published(subscribe_key, channel, payload, publisher=posted.publisher, owner=owner, size=size, now=now)
        for poll in (*network.channel(channel).polls, *network.watchers.get(channel, ())):
            poll.bell.set()
        return posted

    def since(self, subscribe_key: str, channels: Iterable[str], token: int) -> tuple[Posted, ...]:
        """What was posted on the channels after ``token``, oldest first: at most ``MAX_MESSAGES``; ask again for the rest."""
        kept = self._network(subscribe_key).channels
        found = [posted for name in set(channels) & kept.keys() for posted in kept[name].posted if posted.token > token]
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

    def end(self, poll: Poll, now: float, *, broke_off: bool = False) -> None:
        """A listener stops to wait; unless it has said goodbye it may be back in a moment. ``broke_off``: it closed its connection."""
        network = self._network(poll.subscribe_key)
        network.polls.remove(poll)
        for channel in (network.channels.get(name) for name in poll.channels):
            if channel is not None and poll in channel.polls:
                channel.polls.remove(poll)
                channel.heard_at = now
                channel.listener = poll.listener
        if broke_off:  # what it listened to by other requests, which may just have been answered, is left alone too
            for channel in (each for one in self._networks.values() for each in one.channels.values()):
                if not channel.polls and channel.listener == poll.listener:
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
        return float("inf") if kept is None else 0.0 if kept.polls else max(0.0, now - kept.heard_at)

    def broken_off_for(self, subscribe_key: str, channel: str, now: float) -> float:
        """How long ago the channel's last listener closed its connection while it waited, without goodbye, as the system does for a program
        that is killed [s]; 0 where none did, or somebody listens again. Who sleeps, or has lost the network, closes nothing."""
        kept = self._network(subscribe_key).channels.get(channel)
        return 0.0 if kept is None or kept.broke_off_at is None else max(0.0, now - kept.broke_off_at)

    def expect(self, subscribe_key: str, channel: str, now: float) -> None:
        """Somebody is about to listen: counts as listening for a moment."""
        self._network(subscribe_key).channel(channel).hear(now)

    def leave(self, subscribe_key: str, channels: Iterable[str], listener: str) -> None:
        """A listener says that it won't be back. Raises UnknownKeyError."""
        kept = self._network(subscribe_key).channels
        for channel in (kept[name] for name in set(channels) & kept.keys()):
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
        return Counter(poll.listener for poll in kept.polls) if kept is not None else Counter()

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
