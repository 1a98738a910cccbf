"""Keeps instant messages until every device of their addressee has them, across the exchange's own restarts.

A device is known by the channels that it polls together: its own and its user's. The time token it names says what it has; one that
starts anew (token 0) is sent back to the first message that waits.

::

    published on a user's channel -> store -> broker, mailbox -> since(): with what is new on the other channels -> seen(): forget
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.directory import memory
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.messages.mailbox import Kept, Mailbox
from sinchphone.exchange.messages.transports import Transports
from sinchphone.exchange.pubsub.broker import MAX_MESSAGES, Broker, MessageTooLargeError, Posted
from sinchphone.exchange.pubsub.timetokens import TICKS
from sinchphone.exchange.store.feed import Feed, FeedMessage
from sinchphone.exchange.store.store import Store
from sinchphone.exchange.store.tables import MAILBOXES, MESSAGES, SEEN, TIME_TOKENS, Row
from sinchphone.protocol.mxp.message import parse_fragment

KEPT_SECONDS: Final = 30 * 86_400.0


class Postbox:
    """The mailboxes of all users of an exchange."""

    def __init__(self, broker: Broker, directory: Directory, transports: Transports, store: Store) -> None:
        self._broker = broker
        self._directory = directory
        self._transports = transports
        self._store = store
        self._mailboxes: dict[tuple[str, str], Mailbox] = {}  # by application key and user id
        directory.keep_messages(self._forget)

    async def recall(self, now: float) -> None:
        """Know again what was kept before this exchange started. Raises StoreError."""
        messages, mailboxes = await self._store.read(MESSAGES), await self._store.read(MAILBOXES)
        marks = [mark for _, mark in await self._store.read(TIME_TOKENS)] if self._broker.feed is None else []
        seen = [up_to for *_, up_to in await self._store.read(SEEN)]
        highest = max((0, *marks, *seen, *(row[2] for row in messages), *(row[2] for row in mailboxes)))
        if self._broker.feed is None:
            self._broker.tokens.go_on(highest, self._reserve)
        oldest = int((now - KEPT_SECONDS) * TICKS)
        for key, user_id, delivered_up_to in mailboxes:
            if (application := self._directory.application(key)) is not None:
                application.delivered[user_id] = delivered_up_to
        for key, user_id, token, transport_id, frame, publisher in messages:
            application = self._directory.application(key)
            if token < oldest:
                self._store.drop(MESSAGES, key, user_id, token)
            elif application is not None:
                posted = Posted(token, application.transport_channel(user_id), frame, publisher)
                self._put(application, user_id, Kept(posted, transport_id))

    async def publish(
        self, subscribe_key: str, channel: str, frames: Sequence[object], *, publisher: str, meta: Any = None, owner: str = ""
    ) -> int:
        """Publish messages one after the other; the token of the last. Frames of an instant message for somebody are made safe first:
        what is delivered was kept. Raises what ``Broker.publish`` raises, and StoreError."""
        about = 0 if meta is None else _size(meta)
        sizes = [about + _size(frame) for frame in frames]
        for size in sizes:
            self._broker.check_message(channel, size)
        if (feed := self._broker.feed) is not None:
            return await self._put_in_order(feed, subscribe_key, channel, frames, sizes, publisher=publisher, meta=meta, owner=owner)
        user, tokens = self._addressee(subscribe_key, channel, frames), [self._broker.tokens.next(time.time()) for _ in frames]
        if user is not None:
            await self._make_safe(*user, tokens, frames, publisher)
            user = user if user[1] in user[0].users else None  # else forgotten meanwhile, with all that waited
        if not self._broker.tokens.is_last(tokens[-1]):  # who has a later one would miss these
            before, tokens = tokens, [self._broker.tokens.next(time.time()) for _ in frames]
            if user is not None:
                self._move(*user, before, tokens, frames, publisher)
        for token, frame, size in zip(tokens, frames, sizes, strict=True):
            message = partial(self._broker.publish, subscribe_key, channel, frame, size=size, publisher=publisher, meta=meta, owner=owner)
            posted = message(now=time.time(), token=token)
            if user is not None:
                self._take(*user, Kept(posted, _transport_id(frame) or ""))
        return tokens[-1]

    def waiting_frames(self) -> int:
        """How many frames of messages are kept."""
        return sum(len(mailbox.frames) for mailbox in self._mailboxes.values())

    async def _put_in_order(
        self, feed: Feed, subscribe_key: str, channel: str, frames: Sequence[object], sizes: Sequence[int], **about: Any
    ) -> int:
        """The messages have their place among those of all processes; the token of the last. Raises StoreError."""
        user = self._addressee(subscribe_key, channel, frames)
        messages = [
            self._broker.message(subscribe_key, channel, frame, size=size, **about) for frame, size in zip(frames, sizes, strict=True)
        ]
        if user is not None:
            messages = [replace(one, kept_for=user[1], transport_id=_transport_id(one.payload) or "") for one in messages]
        return max(await feed.publish(messages))

    def receive(self, message: FeedMessage, token: int, own: bool) -> None:
        """A message that any process took has its place among the others. ``own``: this one took it."""
        posted = Posted(token, message.channel, message.payload, message.publisher, message.meta)
        self._broker.take(message.network, posted, size=message.size, now=time.time(), owner=message.owner)
        application = self._directory.application(message.application)
        if own and message.kept_for and application is not None and message.kept_for not in application.users:
            self._store.drop(MESSAGES, application.key, message.kept_for, token)  # forgotten meanwhile, with all that waited
        elif message.kept_for and application is not None:
            dropped = self._put(application, message.kept_for, Kept(posted, message.transport_id))
            for gone in dropped if own else ():
                self._store.drop(MESSAGES, application.key, message.kept_for, gone.token)

    def follow(self) -> None:
        """Know what other processes deliver."""

        def delivered(row: Row) -> None:
            key, user_id, token = row
            if (application := self._directory.application(key)) is not None:
                application.delivered[user_id] = max(token, application.delivered.get(user_id, 0))

        def came(row: Row) -> None:
            key, user_id, token, transport_id, frame, publisher = row
            application = self._directory.application(key)
            if application is not None:
                self._put(application, user_id, Kept(Posted(token, application.transport_channel(user_id), frame, publisher), transport_id))

        def went(key: tuple[Any, ...]) -> None:
            self._mailbox(key[0], key[1]).drop(key[2])
            self._let_go_if_empty(key[0], key[1])

        def forgotten(key: tuple[Any, ...]) -> None:
            if (application := self._directory.application(key[0])) is not None:
                application.delivered.pop(key[1], None)

        self._store.follow(MAILBOXES, delivered, forgotten)
        self._store.follow(MESSAGES, came, went)

    def clear(self, application: Application, undo: ExitStack) -> None:
        """Forget what waits for the application's users, unless it's undone."""
        gone = {key[1]: self._mailboxes.pop(key) for key in [key for key in self._mailboxes if key[0] == application.key]}
        undo.callback(self._put_back, application, gone, dict(application.delivered))
        application.delivered.clear()
        for table in (MESSAGES, MAILBOXES):
            self._store.drop_where(table, application=application.key)

    def _forget(self, application: Application, user_id: str) -> Callable[[], None]:
        """Forget what waits for a user who is forgotten; what is returned brings it back."""
        mailbox, delivered = self._mailboxes.pop((application.key, user_id), None), application.delivered.pop(user_id, None)
        for table in (MESSAGES, MAILBOXES):
            self._store.drop_where(table, application=application.key, user_id=user_id)
        gone = {user_id: mailbox} if mailbox is not None else {}
        return partial(self._put_back, application, gone, {user_id: delivered} if delivered is not None else {})

    def _put_back(self, application: Application, gone: Mapping[str, Mailbox], delivered: Mapping[str, int]) -> None:
        for user_id, mailbox in gone.items():
            for kept in mailbox.frames:
                self._take(application, user_id, kept)
                posted = kept.posted
                self._store.put(MESSAGES, application.key, user_id, kept.token, kept.transport_id, posted.payload, posted.publisher)
        for user_id, token in delivered.items():
            application.delivered[user_id] = max(token, application.delivered.get(user_id, 0))
            self._store.put(MAILBOXES, application.key, user_id, application.delivered[user_id])

    def begin(self, device: Device, now: float) -> int:
        """A device starts to poll: the token that it's given."""
        present = self._broker.tokens.present(now)
        waiting = self._mailbox(device.application.key, device.user_id).after(device.seen_up_to)
        device.live_since = present if waiting else 0
        return waiting[0].token - 1 if waiting else present

    def seen(self, device: Device, token: int, now: float) -> None:
        """A device says that it has everything up to a token."""
        token = min(token, self._broker.tokens.present(now))
        if token <= device.seen_up_to:
            return
        mailbox = self._mailbox(device.application.key, device.user_id)
        news = [kept for kept in mailbox.after(device.seen_up_to) if kept.token <= token]
        device.seen_up_to = token
        if news:
            memory.write_seen(self._store, device)
            self._delivered(device, mailbox, now)

    def since(self, device: Device, channels: Sequence[str], token: int) -> tuple[Posted, ...]:
        """What was posted on the channels after ``token``, oldest first, with what waited for the device."""
        application = device.application
        key, own = application.broadcast.subscribe_key, application.transport_channel(device.user_id)
        others = self._broker.since(key, [name for name in channels if name != own], max(token, device.live_since))
        live = self._broker.since(key, [own], max(token, device.known_since))
        kept = [kept.posted for kept in self._mailbox(application.key, device.user_id).after(token)]
        found = {posted.token: posted for posted in (*kept, *live, *others)}
        return tuple(found[one] for one in sorted(found)[:MAX_MESSAGES])

    def _delivered(self, device: Device, mailbox: Mailbox, now: float) -> None:
        application, user_id = device.application, device.user_id
        devices = [other for other in application.users.get(user_id, {}).values() if not other.has_expired(now)]
        everybody = min((other.seen_up_to for other in devices), default=0)
        for gone in mailbox.drop_until(everybody):
            self._store.drop(MESSAGES, application.key, user_id, gone.token)
        if self._let_go_if_empty(application.key, user_id):  # nor does it matter any more what a device has had
            if application.delivered.pop(user_id, None) is not None:
                self._store.drop(MAILBOXES, application.key, user_id)
        elif device.seen_up_to > application.delivered.get(user_id, 0):
            application.delivered[user_id] = device.seen_up_to
            self._store.put(MAILBOXES, application.key, user_id, device.seen_up_to)

    def _addressee(self, subscribe_key: str, channel: str, frames: Sequence[object]) -> tuple[Application, str] | None:
        """Whose instant messages these are, if they are any that can be read."""
        application = self._directory.application_of(subscribe_key)
        user_id = application.transport_channels.get(channel) if application is not None else None
        transport_id = _transport_id(frames[0])
        if application is None or user_id is None or transport_id is None:
            return None
        return (application, user_id) if self._transports.has_member(application, transport_id, user_id) else None

    async def _make_safe(
        self, application: Application, user_id: str, tokens: Sequence[int], frames: Sequence[object], publisher: str
    ) -> None:
        kept = _rows(application, user_id, tokens, frames, publisher)
        try:
            await self._store.keep(MESSAGES, *kept)
        except asyncio.CancelledError:  # whoever publishes has gone, and won't be told that it was taken
            for token in tokens:
                self._store.drop(MESSAGES, application.key, user_id, token)
            raise

    def _move(
        self, application: Application, user_id: str, before: Sequence[int], after: Sequence[int], frames: Sequence[object], publisher: str
    ) -> None:
        for old, row in zip(before, _rows(application, user_id, after, frames, publisher), strict=True):
            self._store.drop(MESSAGES, application.key, user_id, old)
            self._store.put(MESSAGES, *row)

    def _take(self, application: Application, user_id: str, kept: Kept) -> None:
        dropped = self._put(application, user_id, kept)
        dropped += self._mailbox(application.key, user_id).drop_until(int((time.time() - KEPT_SECONDS) * TICKS))
        for gone in dropped:
            self._store.drop(MESSAGES, application.key, user_id, gone.token)

    def _put(self, application: Application, user_id: str, kept: Kept) -> list[Kept]:
        """Keep it; what had to make room for it."""
        return self._mailboxes.setdefault((application.key, user_id), Mailbox()).put(kept)

    def _mailbox(self, application_key: str, user_id: str) -> Mailbox:
        """To be looked into: whoever has nothing waiting has none."""
        return self._mailboxes.get((application_key, user_id)) or Mailbox()

    def _let_go_if_empty(self, application_key: str, user_id: str) -> bool:
        """Whether nothing waits for a user: users come and go, and may be without number."""
        is_empty = not self._mailbox(application_key, user_id).frames
        if is_empty:
            self._mailboxes.pop((application_key, user_id), None)
        return is_empty

    def _reserve(self, mark: int) -> None:
        self._store.put(TIME_TOKENS, 1, mark)


def _rows(application: Application, user_id: str, tokens: Sequence[int], frames: Sequence[object], publisher: str) -> list[Row]:
    return [(application.key, user_id, token, _transport_id(frame), frame, publisher) for token, frame in zip(tokens, frames, strict=True)]


def _size(value: object) -> int:
    """What a JSON value takes on the wire [bytes]."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def _transport_id(payload: object) -> str | None:
    """Which transport a published frame is of, where it's one of an instant message. Raises MessageTooLargeError for a piece of one that
    nobody could put together: so the sender learns it."""
    try:
        fragment = parse_fragment(payload)
    except RemoteProtocolError:
        return None
    if fragment.transport_id is not None and fragment.is_too_long:
        raise MessageTooLargeError("Message Too Large")
    return fragment.transport_id
