"""The broker over HTTP, as PubNub's REST API: publish, subscribe (v2 and the older form), presence and time.

Paths are read raw: a ``/`` inside a message travels as ``%2F`` and must not be mistaken for a separator.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote_to_bytes

from aiohttp import web

from sinchphone.exchange.access.limits import Allowances
from sinchphone.exchange.directory.directory import Directory, KeyHolder
from sinchphone.exchange.messages.postbox import Postbox
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.parked_answer import ParkedAnswer, Parking
from sinchphone.exchange.pubnub.rights import ChannelRights, ForbiddenChannelError
from sinchphone.exchange.pubsub.broker import Broker, BrokerError, MessageTooLargeError, Posted, TooManyPollsError, UnknownKeyError
from sinchphone.exchange.pubsub.polling import Waiting
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.request_bodies import read_body, unpack
from sinchphone.exchange.store.feed import Feed

REGION = 1
MAX_TOKEN_DIGITS = 19

_Serve: TypeAlias = Callable[[web.Request, list[str]], Awaitable[web.StreamResponse]]
_Publish: TypeAlias = Callable[[Sequence[object]], Awaitable[int]]
_Write: TypeAlias = Callable[[tuple[Posted, ...], str, str], object]  # messages, the token of the last, the network's key


class TooFastError(BrokerError):
    """Somebody publishes more than the broker takes from one device."""


class InvalidRequestError(BrokerError):
    """A request that can't be read."""


class PubNubRoutes:
    """The routes of one broker. Once ``closing`` is set, polls are answered at once and for the last time."""

    def __init__(
        self,
        broker: Broker,
        directory: Directory,
        postbox: Postbox,
        rights: ChannelRights,
        options: ExchangeOptions,
        closing: asyncio.Event,
        parking: Parking,
        catch_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``parking``: of this server's connections; ``catch_up``: know what other processes of this exchange did, where there are such."""
        self._parking = parking
        self._catch_up = catch_up
        self._broker = broker
        self._directory = directory
        self._postbox = postbox
        self._rights = rights
        self._options = options
        self._closing = closing
        self._publishers: Allowances[str] = Allowances(options.publishes_at_once, options.publishes_a_second)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add all routes."""
        rest = "{rest:(?s:.*)}"
        router.add_get("/time/0", self._time)
        router.add_get(f"/publish/{rest}", self._publishing)
        router.add_post(f"/publish/{rest}", self._publishing)
        router.add_get(f"/v2/subscribe/{rest}", self._answering(self._subscribe))
        router.add_get(f"/subscribe/{rest}", self._answering(self._subscribe_v1))
        router.add_get(f"/v2/presence/{{prefix:sub[-_]key}}/{rest}", self._answering(self._presence))

    async def _time(self, request: web.Request) -> web.Response:
        return _json([self._broker.tokens.clock(time.time())])

    def _answering(self, serve: _Serve) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A route that gives ``serve`` the path's decoded segments and turns refusals into answers."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await serve(request, _segments(request))
            except ForbiddenChannelError as refusal:
                return _forbidden(refusal)
            except BrokerError as refusal:
                return _refused(refusal)

        return answer

    async def _holder(self, subscribe_key: str, publish_key: str | None = None) -> KeyHolder:
        """Whose keys these are: another process may have given them just now. Raises UnknownKeyError."""
        if self._catch_up is not None:
            try:
                return self._directory.holder(subscribe_key, publish_key)
            except UnknownKeyError:
                await self._catch_up()
        return self._directory.holder(subscribe_key, publish_key)

    async def _publishing(self, request: web.Request) -> web.Response:
        try:
            return await self._publish(request, _segments(request))
        except ForbiddenChannelError as refusal:
            return _forbidden(refusal)
        except BrokerError as refusal:
            return _json([0, str(refusal), self._present()], status=429 if isinstance(refusal, TooFastError) else 400)

    async def _publish(self, request: web.Request, segments: list[str]) -> web.Response:
        """``/publish/{publish key}/{subscribe key}/0/{channel}/0[/{message}]``"""
        match segments:
            case ["publish", publish_key, subscribe_key, _, channel, "0", text] if request.method == "GET":
                message = text
            case ["publish", publish_key, subscribe_key, _, channel, "0"] if request.method == "POST":
                message = ""
            case _:
                raise InvalidRequestError("Invalid Path")
        holder, now = await self._holder(subscribe_key, publish_key), time.time()
        owner = _owner(holder, request)
        if not self._publishers.take(owner, now):
            raise TooFastError("Too Many Messages: slow down")
        if request.method == "POST":
            message = await self._posted_message(request)
        size = len(message.encode())
        if size > self._options.message_bytes:
            raise MessageTooLargeError("Message Too Large")
        publisher = request.query.get("uuid", "")
        payload = _payload(message)
        publish = partial(self._postbox.publish, holder.network, channel, publisher=publisher, meta=_meta(request), owner=owner)
        try:
            token = await self._pass_on(holder, channel, payload, now, publish)
        except ForbiddenChannelError:
            if self._catch_up is None or self._rights.is_piece(holder, channel, payload):  # in its turn all was known
                raise
            await self._catch_up()  # another process may just have placed the call
            token = await self._pass_on(holder, channel, payload, now, publish)
        return _json([1, "Sent", str(token) if token else self._present()])

    async def _pass_on(self, holder: KeyHolder, channel: str, payload: object, now: float, publish: _Publish) -> int:
        """Publish what goes out now that somebody publishes this; its last token, 0 where it's a piece of what isn't whole."""
        async with self._in_turn(holder, channel, payload) as feed:
            frames = self._rights.frames(holder, channel, payload, now)
            if feed is not None:
                own = replace(
                    self._broker.message(holder.network, channel, payload, size=0, publisher=""), network=holder.keys.subscribe_key
                )
                feed.post(replace(own, is_piece=True))
            return await publish(frames) if frames else 0

    @contextlib.asynccontextmanager
    async def _in_turn(self, holder: KeyHolder, channel: str, payload: object) -> AsyncIterator[Feed | None]:
        """The pieces of an instant message may come to several processes of this exchange: each has all of them, in one order, by this
        feed."""
        feed = self._broker.feed
        if feed is None or not self._rights.is_piece(holder, channel, payload):
            yield None
            return
        async with self._directory.exclusive(holder.application):
            yield feed

    async def _posted_message(self, request: web.Request) -> str:
        limit = self._options.message_bytes
        try:
            return _text(unpack(await read_body(request, limit), request.headers.get("Content-Encoding", ""), limit))
        except RefusedError as refusal:
            raise MessageTooLargeError("Message Too Large") if refusal.status == 413 else InvalidRequestError("Invalid Body") from refusal

    async def _subscribe(self, request: web.Request, segments: list[str]) -> web.StreamResponse:
        """``/v2/subscribe/{subscribe key}/{channels}/0?tt={time token}&uuid={listener}``"""
        match segments:
            case ["v2", "subscribe", subscribe_key, channels, "0"]:
                since = self._token(request.query.get("tt", "0"))
            case _:
                raise InvalidRequestError("Invalid Path")
        return await self._poll(request, subscribe_key, channels, since, _written_v2)

    async def _subscribe_v1(self, request: web.Request, segments: list[str]) -> web.StreamResponse:
        """``/subscribe/{subscribe key}/{channels}/0/{time token}``"""
        match segments:
            case ["subscribe", subscribe_key, channels, "0", text]:
                since = self._token(text)
            case _:
                raise InvalidRequestError("Invalid Path")
        return await self._poll(request, subscribe_key, channels, since, _written_v1)

    async def _poll(self, request: web.Request, subscribe_key: str, channels: str, since: int, write: _Write) -> web.StreamResponse:
        """What came after ``since``, and the token that says so. Without a token the answer is the present one, at once."""
        holder = await self._holder(subscribe_key)
        names = tuple(channels.split(","))
        self._rights.check_reader(holder, names)
        listener, owner = _listener(holder, request), _owner(holder, request)
        seconds = self._options.poll_seconds if since and not self._closing.is_set() else 0.0
        after = since or self._broker.tokens.present(time.time())
        came: Callable[[], tuple[Posted, ...]] = partial(self._broker.since, holder.network, names, after)
        device = self._directory.listener(holder.network, names)
        if device is not None:
            if not since:
                after, seconds = self._postbox.begin(device, time.time()), 0.0
                came = tuple
            else:
                self._postbox.seen(device, since, time.time())
                came = partial(self._postbox.since, device, names, since)
        woken = self._parking.take(request.transport)
        waiting = woken or Waiting(self._broker, holder.network, names, came, listener=listener, owner=owner)
        written = partial(self._written, waiting, subscribe_key, after, write)
        if woken is None and seconds and not came():
            return ParkedAnswer(waiting, seconds, written, self._parking.park, self._options.quiet_seconds)
        try:
            return written()
        finally:
            waiting.end()

    def _written(self, waiting: Waiting, subscribe_key: str, after: int, write: _Write) -> web.Response:
        """The answer to a poll as it stands now."""
        try:
            posted = waiting.came()
        except BrokerError as refusal:
            return _refused(refusal)
        response = _json(write(posted, str(posted[-1].token if posted else after), subscribe_key))
        if self._closing.is_set():
            response.force_close()
        return response

    async def _presence(self, request: web.Request, segments: list[str]) -> web.Response:
        """``/v2/presence/sub-key/{subscribe key}/channel/{channels}/(leave|heartbeat)``"""
        match segments:
            case ["v2", "presence", _, subscribe_key, "channel", channels, "leave"]:
                holder, names = await self._holder(subscribe_key), channels.split(",")
                self._rights.check_reader(holder, names)
                self._broker.leave(holder.network, names, _listener(holder, request))
                return _json({"status": 200, "message": "OK", "action": "leave", "service": "Presence"})
            case ["v2", "presence", _, subscribe_key, "channel", _, "heartbeat"]:
                await self._holder(subscribe_key)
                return _json({"status": 200, "message": "OK", "service": "Presence"})
            case _:
                raise InvalidRequestError("Invalid Path")

    def _token(self, text: str) -> int:
        """The token that a client names, as far as we gave it. Raises InvalidRequestError."""
        if not text.isascii() or not text.isdecimal() or len(text) > MAX_TOKEN_DIGITS:
            raise InvalidRequestError("Invalid Timetoken")
        return self._broker.tokens.known(int(text), time.time())

    def _present(self) -> str:
        return str(self._broker.tokens.peek(time.time()))


def _json(value: object, *, status: int = 200) -> web.Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json", headers={"Cache-Control": "no-cache"})


def _written_v1(posted: tuple[Posted, ...], token: str, subscribe_key: str) -> object:
    return [[message.payload for message in posted], token, ",".join(message.channel for message in posted)]


def _written_v2(posted: tuple[Posted, ...], token: str, subscribe_key: str) -> object:
    return {"t": {"t": token, "r": REGION}, "m": [_envelope(message, subscribe_key) for message in posted]}


def _envelope(message: Posted, subscribe_key: str) -> dict[str, Any]:
    published = {"t": str(message.token), "r": REGION}
    members = {"a": "1", "f": 0, "i": message.publisher, "p": published, "k": subscribe_key, "c": message.channel}
    about = {} if message.meta is None else {"u": message.meta}
    return {**members, "d": message.payload, "b": message.channel, **about}


def _owner(holder: KeyHolder, request: web.Request) -> str:
    """To whose account a request goes: a user's, by the keys, or that of the address of a guest."""
    return f"user {holder.application.key} {holder.device.user_id}" if holder.device is not None else f"guest {request.remote}"


def _listener(holder: KeyHolder, request: web.Request) -> str:
    """Who listens, or says goodbye: the id that the client gives itself, which a guest could take from anybody."""
    device = holder.device.instance_id if holder.device is not None else ""
    return f"{device}{'/' if device else ''}{request.query.get('uuid', '')}"


def _refused(refusal: BrokerError) -> web.Response:
    status = 429 if isinstance(refusal, TooManyPollsError) else 400
    return _json({"message": str(refusal), "error": True, "service": "Access Manager", "status": status}, status=status)


def _forbidden(refusal: ForbiddenChannelError) -> web.Response:
    payload = {"channels": [refusal.channel]}
    return _json({"message": str(refusal), "payload": payload, "error": True, "service": "Access Manager", "status": 403}, status=403)


def _segments(request: web.Request) -> list[str]:
    """The decoded parts of the path. Raises InvalidRequestError where one isn't text."""
    return [_text(unquote_to_bytes(segment)) for segment in request.rel_url.raw_path.lstrip("/").split("/")]


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError("Invalid Encoding") from error


def _meta(request: web.Request) -> Any:
    """What a publisher says about a message, for the subscribers of v2 (PubNub REST, ``u``). Raises InvalidRequestError."""
    text = request.query.get("meta", "")
    return _payload(text) if text else None


def _payload(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # what can't be passed on isn't taken: lone surrogates, deep nests
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("Invalid JSON") from error
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # Python would read NaN and Infinity
