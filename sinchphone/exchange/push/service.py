"""The exchange's own push service: user agents, their subscriptions, and messages that wait for them (RFC 8030, WebSocket as autopush's).

::

    sender   -> take(token, message)   -> kept until its time is over, at most MAX_WAITING an agent
    agent    <- deliver(notification)  <- as long as it isn't acknowledged, again after each hello

Nothing of it outlives the exchange: an agent that comes back is told another id, and subscribes anew. One that stays away is forgotten, so
that who pushes to it learns that it's gone.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sinchphone.errors import RemoteProtocolError, SinchphoneError
from sinchphone.exchange.access.limits import Allowances
from sinchphone.protocol.webpush.encryption import CONTENT_ENCODING, MAX_PUSH_BYTES
from sinchphone.protocol.webpush.keys import read_base64, write_base64
from sinchphone.protocol.webpush.vapid import read_vapid
from sinchphone.quick_dataclass import quick_dataclass

SERVICE_PATH: Final = "/push"  # where agents connect
ENDPOINT_PATH: Final = f"{SERVICE_PATH}/v2/"  # and where senders post
ON_ITS_WAY: Final = "it's on its way to another process; try again"
MESSAGE_PATH: Final = f"{SERVICE_PATH}/m/"
MAX_TTL_S: Final = 2_592_000.0  # 30 days: more is cut down (RFC 8030 5.2)
RELEASED_S: Final = 10.0
AWAY_S: Final = 60.0  # an agent that was away for longer is forgotten
MAX_AGENTS: Final = 1_000
MAX_CHANNELS: Final = 8  # of an agent
MAX_WAITING: Final = 32  # messages of an agent
POSTS_AT_ONCE: Final = 40  # to one subscription
POSTS_A_SECOND: Final = 2.0  # and later

_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_DIGITS: Final = re.compile(r"[0-9]{1,12}")

Deliver: TypeAlias = Callable[[dict[str, Any]], None]


class PushRefusedError(SinchphoneError):
    """A message or a subscription that the push service doesn't take. ``errno`` as autopush numbers it."""

    def __init__(self, status: int, errno: int, message: str, *, retry_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.errno = errno
        self.retry_s = retry_s


@quick_dataclass(frozen=True, slots=True)
class PushMessage:
    """What a sender posts: the headers that count, and the encrypted body."""

    ttl: str | None
    topic: str | None
    encoding: str
    authorization: str = field(repr=False)
    body: bytes = field(repr=False)


@quick_dataclass(frozen=True, slots=True)
class PushReceipt:
    """That a message was taken: its id, and for how long it's kept [s]."""

    message_id: str
    ttl_s: int


@dataclass(slots=True)
class _Waiting:
    channel_id: str
    topic: str | None
    body: bytes
    until: float


@dataclass(slots=True, eq=False)
class PushAgent:
    """A user agent. ``deliver`` is there while it's connected."""

    uaid: str
    deliver: Deliver | None = None
    away_since: float = 0.0
    tokens: dict[str, str] = field(default_factory=dict)  # by channel id
    waiting: dict[str, _Waiting] = field(default_factory=dict)  # by message id, oldest first

    def arrive(self, deliver: Deliver) -> None:
        """It's connected, and told over that connection."""
        self.deliver = deliver

    def depart(self, now: float) -> None:
        """It isn't any more."""
        self.deliver, self.away_since = None, now


@quick_dataclass(frozen=True, slots=True)
class _Subscription:
    agent: PushAgent
    channel_id: str
    key: bytes  # whose pushes it takes
    endpoint: str


class PushService:
    """All agents of one exchange. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self) -> None:
        self._agents: dict[str, PushAgent] = {}
        self._subscriptions: dict[str, _Subscription] = {}  # by token
        self._allowances: Allowances[str] = Allowances(POSTS_AT_ONCE, POSTS_A_SECOND)
        self._released: dict[str, float] = {}  # tokens of agents that went to another process -> until when that may not know them yet

    def greet(self, uaid: str, deliver: Deliver, now: float) -> PushAgent:
        """An agent says hello: the one that it was, or a new one. What waits for it is delivered. Raises PushRefusedError."""
        self._forget_gone(now)
        agent = self._agents.get(uaid)
        if agent is None:
            if self.is_full:
                raise PushRefusedError(503, 202, f"{MAX_AGENTS} agents are connected already")
            agent = PushAgent(secrets.token_hex(16))
            self._agents[agent.uaid] = agent
        agent.arrive(deliver)
        for message_id in [name for name, waiting in agent.waiting.items() if waiting.until <= now]:
            del agent.waiting[message_id]
        for message_id, waiting in agent.waiting.items():
            deliver(_notification(message_id, waiting))
        return agent

    @property
    def is_full(self) -> bool:
        """Whether it takes no more agents."""
        return len(self._agents) >= MAX_AGENTS

    def knows(self, uaid: str) -> bool:
        """Whether there is such an agent."""
        return uaid in self._agents

    def has(self, token: str) -> bool:
        """Whether that is the token of somebody who is subscribed here."""
        return token in self._subscriptions

    def is_on_its_way(self, token: str) -> bool:
        """Whether that is the token of somebody who went to another process a moment ago."""
        return token in self._released and token not in self._subscriptions

    def release(self, uaid: str, now: float) -> dict[str, Any] | None:
        """An agent goes to another process, with all that it has: as JSON, for ``adopt`` there. ``None`` for an unknown one."""
        self._forget_gone(now)
        agent = self._agents.pop(uaid, None)
        if agent is None:
            return None
        agent.depart(now)
        subscriptions = {token: self._subscriptions.pop(token) for token in agent.tokens.values()}
        self._released.update(dict.fromkeys(subscriptions, now + RELEASED_S))
        return {
            "uaid": uaid,
            "subscriptions": [[token, one.channel_id, write_base64(one.key), one.endpoint] for token, one in subscriptions.items()],
            "waiting": [[name, one.channel_id, one.topic, write_base64(one.body), one.until] for name, one in agent.waiting.items()],
        }

    def adopt(self, state: Mapping[str, Any], now: float) -> None:
        """An agent comes from another process, which released it."""
        agent = self._agents[state["uaid"]] = PushAgent(state["uaid"], away_since=now)
        for token, channel_id, key, endpoint in state["subscriptions"]:
            agent.tokens[channel_id] = token
            self._subscriptions[token] = _Subscription(agent, channel_id, read_base64(key, "key"), endpoint)
            self._released.pop(token, None)
        for name, channel_id, topic, body, until in state["waiting"]:
            agent.waiting[name] = _Waiting(channel_id, topic, read_base64(body, "body"), until)

    def part(self, agent: PushAgent, deliver: Deliver, now: float) -> None:
        """An agent's connection is gone, unless it has another one by now."""
        if agent.deliver is deliver:
            agent.depart(now)

    def register(self, agent: PushAgent, channel_id: str, key: bytes, origin: str) -> str:
        """Subscribe; the endpoint, under ``origin`` (scheme and host). ``key`` is the public key of the one sender. Again with the same
        channel, it's another endpoint. Raises PushRefusedError."""
        if self._agents.get(agent.uaid) is not agent:
            raise PushRefusedError(410, 105, "this agent is connected elsewhere by now")
        if channel_id not in agent.tokens and len(agent.tokens) >= MAX_CHANNELS:
            raise PushRefusedError(400, 105, f"an agent has {MAX_CHANNELS} channels at most")
        self.unregister(agent, channel_id)
        token = secrets.token_urlsafe(32)
        endpoint = f"{origin}{ENDPOINT_PATH}{token}"
        agent.tokens[channel_id] = token
        self._subscriptions[token] = _Subscription(agent, channel_id, key, endpoint)
        return endpoint

    def unregister(self, agent: PushAgent, channel_id: str) -> None:
        """End a subscription, if there is one: its messages are gone too."""
        token = agent.tokens.pop(channel_id, None)
        if token is not None:
            del self._subscriptions[token]
            agent.waiting = {name: one for name, one in agent.waiting.items() if one.channel_id != channel_id}

    def acknowledge(self, agent: PushAgent, message_id: str) -> None:
        """An agent has a message."""
        agent.waiting.pop(message_id, None)

    def withdraw(self, message_id: str) -> bool:
        """A sender doesn't want a message delivered any more; whether it was still there (RFC 8030 6.2)."""
        return any(agent.waiting.pop(message_id, None) is not None for agent in self._agents.values())

    def owns(self, endpoint: str) -> bool:
        """Whether it's an endpoint of this service, of somebody who is subscribed."""
        found = self._subscriptions.get(endpoint.rpartition("/")[2])
        return found is not None and found.endpoint == endpoint

    def take(self, token: str, message: PushMessage, now: float) -> PushReceipt:
        """Take a message and deliver it, now or later. Raises PushRefusedError."""
        self._forget_gone(now)
        subscription = self._subscriptions.get(token)
        if subscription is None and token in self._released:
            raise PushRefusedError(503, 202, ON_ITS_WAY, retry_s=1)
        if subscription is None:
            raise PushRefusedError(410, 103, "nobody is subscribed here any more")
        ttl_s, topic = _ttl_of(message), _topic_of(message)
        _check_content(message)
        self._check_sender(subscription, message, now)
        if not self._allowances.take(token, now):
            raise PushRefusedError(429, 202, "too many messages; wait a moment", retry_s=1)
        return self._deliver(subscription, _Waiting(subscription.channel_id, topic, message.body, now + ttl_s), ttl_s)

    def _check_sender(self, subscription: _Subscription, message: PushMessage, now: float) -> None:
        try:
            sender = read_vapid(message.authorization, subscription.endpoint, now)
        except RemoteProtocolError as error:
            raise PushRefusedError(401, 109, str(error)) from error
        if sender.key != subscription.key:
            raise PushRefusedError(401, 109, "the subscription is for another sender's key")

    def _deliver(self, subscription: _Subscription, message: _Waiting, ttl_s: int) -> PushReceipt:
        agent, message_id = subscription.agent, write_base64(secrets.token_bytes(18))
        if message.topic is not None:
            for name in [name for name, one in agent.waiting.items() if (one.channel_id, one.topic) == (message.channel_id, message.topic)]:
                del agent.waiting[name]
        if agent.deliver is not None or ttl_s:
            agent.waiting[message_id] = message
            while len(agent.waiting) > MAX_WAITING:
                del agent.waiting[next(iter(agent.waiting))]
        if agent.deliver is not None:
            agent.deliver(_notification(message_id, message))
        return PushReceipt(message_id, ttl_s)

    def _forget_gone(self, now: float) -> None:
        for agent in [one for one in self._agents.values() if one.deliver is None and now - one.away_since > AWAY_S]:
            for channel_id in tuple(agent.tokens):
                self.unregister(agent, channel_id)
            del self._agents[agent.uaid]
        self._released = {token: until for token, until in self._released.items() if until > now}


def _notification(message_id: str, message: _Waiting) -> dict[str, Any]:
    head = {"messageType": "notification", "channelID": message.channel_id, "version": message_id}
    return {**head, "data": write_base64(message.body), "headers": {"encoding": CONTENT_ENCODING}} if message.body else head


def _ttl_of(message: PushMessage) -> int:
    if message.ttl is None or not _DIGITS.fullmatch(message.ttl):
        raise PushRefusedError(400, 111, "TTL is needed, in seconds")
    return int(min(int(message.ttl), MAX_TTL_S))


def _topic_of(message: PushMessage) -> str | None:
    if message.topic is not None and not _TOPIC.fullmatch(message.topic):
        raise PushRefusedError(400, 113, "Topic has 1 to 32 characters of base64url")
    return message.topic


def _check_content(message: PushMessage) -> None:
    if len(message.body) > MAX_PUSH_BYTES:
        raise PushRefusedError(413, 104, f"a push has {MAX_PUSH_BYTES} bytes at most")
    if message.body and message.encoding.strip().lower() != CONTENT_ENCODING:
        raise PushRefusedError(400, 110, f"Content-Encoding should be {CONTENT_ENCODING}")
