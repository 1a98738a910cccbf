"""A user agent without a browser: subscribes at a push service and reads what is pushed (JSON over a WebSocket, as autopush has it).

::

    connect -> hello -> another id than before? register anew -> Subscribed
            -> notification -> decrypt -> ack -> Pushed | Unreadable
    cut off -> Disconnected, and again after a while
"""

import asyncio
import json
import secrets
import uuid
from collections.abc import AsyncGenerator
from dataclasses import field
from typing import Final, TypeAlias

import aiohttp

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.webpush.encryption import MAX_PUSH_BYTES, ReceiverKeys, decrypt_push
from sinchphone.protocol.webpush.keys import AUTH_BYTES, RANDOM_KEY_BYTES, KeyPair, read_base64, write_base64
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record
from sinchphone.signaling.pubsub.backoff import Backoff

DEFAULT_SERVICE: Final = "wss://push.services.mozilla.com/"  # where a platform proposes none
ANSWER_S: Final = 10.0
BEAT_S: Final = 60.0  # a silent connection is looked at
MAX_FRAME_BYTES: Final = 16 * 1024
_DELIVERED, _UNREADABLE = 100, 101  # codes of acknowledgements


@quick_dataclass(frozen=True, slots=True)
class Subscribed:
    """Connected: pushes come, to this endpoint. Again after each interruption, perhaps with another endpoint."""

    subscription: PushSubscription


@quick_dataclass(frozen=True, slots=True)
class Pushed:
    """A push came: its content."""

    content: bytes = field(repr=False)


@quick_dataclass(frozen=True, slots=True)
class Unreadable:
    """A push came that isn't for us, was changed, or is too long."""


@quick_dataclass(frozen=True, slots=True)
class Disconnected:
    """The push service is away; we try to get back."""

    reason: str


UserAgentEvent: TypeAlias = Subscribed | Pushed | Unreadable | Disconnected


class UserAgent:
    """One subscription at one push service, for pushes of one sender. ``events`` is read once."""

    def __init__(self, session: aiohttp.ClientSession, service: str, sender_key: bytes) -> None:
        """``service`` is a WebSocket's URL; ``sender_key`` the public key of who pushes. ``session`` stays the caller's."""
        self._session = session
        self._service = service
        self._sender_key = sender_key
        self._keys = ReceiverKeys(KeyPair.from_random(secrets.token_bytes(RANDOM_KEY_BYTES)), secrets.token_bytes(AUTH_BYTES))
        self._channel_id = str(uuid.uuid4())
        self._uaid = ""
        self._endpoint = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def events(self) -> AsyncGenerator[UserAgentEvent, None]:
        """What happens, until cancelled."""
        backoff, attempt = Backoff(), 0
        while True:
            try:
                async with self._session.ws_connect(self._service, heartbeat=BEAT_S, max_msg_size=MAX_FRAME_BYTES, compress=0) as socket:
                    self._socket = socket
                    await self._greet(socket)
                    attempt = 0
                    yield Subscribed(PushSubscription(self._endpoint, self._keys.pair.public_bytes, self._keys.auth))
                    async for frame in socket:
                        event = await self._take(socket, _read(frame))
                        if event is not None:
                            yield event
                reason = "the push service closed the connection"
            except (OSError, aiohttp.ClientError, TimeoutError, RemoteProtocolError, ValueError) as error:
                reason = f"the push service can't be reached: {error or type(error).__name__}"
            finally:
                self._socket = None
            yield Disconnected(reason)
            await backoff.wait(attempt)
            attempt += 1

    async def unsubscribe(self) -> None:
        """Take no more pushes; where the push service isn't there it finds out by itself."""
        socket, self._endpoint = self._socket, ""
        if socket is None or socket.closed:
            return
        try:
            async with asyncio.timeout(1.0):
                await socket.send_json({"messageType": "unregister", "channelID": self._channel_id, "code": 200})
        except (OSError, TimeoutError):
            return

    async def _greet(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Say hello, and subscribe where the push service doesn't know us."""
        async with asyncio.timeout(ANSWER_S):
            channels = [self._channel_id] if self._endpoint else []
            hello = {"messageType": "hello", "use_webpush": True, "uaid": self._uaid, "channelIDs": channels, "broadcasts": {}}
            await socket.send_json(hello)
            answer = _read(await socket.receive())
            if answer.text("messageType") != "hello" or answer.number("status") != 200:
                raise RemoteProtocolError("the push service doesn't want us")
            uaid = answer.token("uaid")
            if uaid != self._uaid or not self._endpoint:
                self._uaid = uaid
                await self._register(socket)

    async def _register(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        key = write_base64(self._sender_key)
        await socket.send_json({"messageType": "register", "channelID": self._channel_id, "key": key})
        while True:
            answer = _read(await socket.receive())
            if answer.optional_text("messageType") == "register":
                break
        if answer.number("status") != 200:
            raise RemoteProtocolError("the push service takes no subscription")
        self._endpoint = answer.text("pushEndpoint", limit=2048)

    async def _take(self, socket: aiohttp.ClientWebSocketResponse, message: Record) -> UserAgentEvent | None:
        """A message of the push service; only notifications of our channel concern us."""
        if message.optional_text("messageType") != "notification" or message.value("channelID") != self._channel_id:
            return None
        code, event = _DELIVERED, self._open(message)
        if isinstance(event, Unreadable):
            code = _UNREADABLE
        update = {"channelID": self._channel_id, "version": message.text("version"), "code": code}
        await socket.send_json({"messageType": "ack", "updates": [update]})
        return event

    def _open(self, message: Record) -> UserAgentEvent:
        try:
            body = read_base64(message.text("data", limit=2 * MAX_PUSH_BYTES), "data")
            return Pushed(decrypt_push(body, self._keys))
        except RemoteProtocolError:
            return Unreadable()


def _read(frame: aiohttp.WSMessage) -> Record:
    """Raises RemoteProtocolError for what is no JSON object, and where the connection is at its end."""
    if frame.type is not aiohttp.WSMsgType.TEXT:
        raise RemoteProtocolError("it closed the connection")
    try:
        return Record(json.loads(frame.data))
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("it doesn't speak JSON") from error
