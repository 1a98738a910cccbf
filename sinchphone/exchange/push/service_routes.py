"""The push service over HTTP: senders post to endpoints (RFC 8030), user agents keep a WebSocket (JSON messages as autopush has them)."""

import asyncio
import contextlib
import json
import re
import time
from typing import Any, Final

import aiohttp
from aiohttp import web

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.access.admission import check_origin
from sinchphone.exchange.pubsub.origin import origin_of
from sinchphone.exchange.push.service import (
    ENDPOINT_PATH,
    MESSAGE_PATH,
    SERVICE_PATH,
    PushAgent,
    PushMessage,
    PushRefusedError,
)
from sinchphone.exchange.push.shared_service import SharedPushService
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.request_bodies import read_body
from sinchphone.protocol.webpush.encryption import MAX_PUSH_BYTES
from sinchphone.protocol.webpush.keys import POINT_BYTES, read_base64, read_point
from sinchphone.signaling.fields import Record

HELLO_S: Final = 5.0  # until an agent has said who it is
BEAT_S: Final = 30.0  # how often a silent connection is looked at
MAX_FRAME_BYTES: Final = 4096
MAX_UNSENT: Final = 128  # frames for an agent that doesn't read

_CHANNEL: Final = re.compile(r"[0-9a-fA-F-]{32,36}")


class PushRoutes:
    """The routes of one push service. Once ``closing`` is set, agents are sent away."""

    def __init__(self, service: SharedPushService, closing: asyncio.Event) -> None:
        self._service = service
        self._closing = closing

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add all routes."""
        router.add_get(SERVICE_PATH, self._serve_agent)
        router.add_post(f"{ENDPOINT_PATH}{{token}}", self._take)
        router.add_delete(f"{MESSAGE_PATH}{{message}}", self._withdraw)

    async def _take(self, request: web.Request) -> web.Response:
        try:
            body = await _body_of(request)
            headers = request.headers
            encoding, authorization = headers.get("Content-Encoding", ""), headers.get("Authorization", "")
            message = PushMessage(headers.get("TTL"), headers.get("Topic"), encoding, authorization, body)
            receipt = await self._service.take(request.match_info["token"], message, time.time())
        except PushRefusedError as refusal:
            return _refused(refusal)
        location = f"{request.scheme}://{origin_of(request)}{MESSAGE_PATH}{receipt.message_id}"
        return web.Response(status=201, headers={"Location": location, "TTL": str(receipt.ttl_s)})

    async def _withdraw(self, request: web.Request) -> web.Response:
        try:
            if await self._service.withdraw(request.match_info["message"]):
                return web.Response(status=204)
        except PushRefusedError as refusal:
            return _refused(refusal)
        return _refused(PushRefusedError(404, 102, "there is no such message any more"))

    async def _serve_agent(self, request: web.Request) -> web.WebSocketResponse:
        check_origin(request)
        socket = web.WebSocketResponse(heartbeat=BEAT_S, max_msg_size=MAX_FRAME_BYTES, compress=False)
        await socket.prepare(request)
        connection = _Connection(self._service, socket, f"{request.scheme}://{origin_of(request)}")
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(connection.write(), name="to a push agent"), group.create_task(self._close(socket), name="close")]
            await connection.read()
            for task in others:
                task.cancel()
        return socket

    async def _close(self, socket: web.WebSocketResponse) -> None:
        await self._closing.wait()
        await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)


class _Connection:
    """One agent's connection."""

    def __init__(self, service: SharedPushService, socket: web.WebSocketResponse, origin: str) -> None:
        self._shared = service
        self._service = service.own
        self._socket = socket
        self._origin = origin
        self._unsent: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_UNSENT)
        self._deliver = self._put  # one object: it's compared
        self._agent: PushAgent | None = None

    def _put(self, message: dict[str, Any]) -> None:
        """What an agent that doesn't read misses waits until it says hello again."""
        with contextlib.suppress(asyncio.QueueFull):
            self._unsent.put_nowait(message)

    async def write(self) -> None:
        """Send what there is to be sent, until cancelled."""
        with contextlib.suppress(ConnectionError):  # its reader knows, too
            while True:
                await self._socket.send_json(await self._unsent.get())

    async def read(self) -> None:
        """Until the agent goes, or says something that nobody understands."""
        try:
            async with asyncio.timeout(HELLO_S) as patience:
                async for frame in self._socket:
                    if frame.type is not aiohttp.WSMsgType.TEXT:
                        return
                    await self._take(_read(frame.data))
                    if self._agent is not None:
                        patience.reschedule(None)
        except TimeoutError:
            return
        except (RemoteProtocolError, PushRefusedError, ConnectionError):
            await self._socket.close(code=aiohttp.WSCloseCode.POLICY_VIOLATION)
        finally:
            if self._agent is not None:
                self._service.part(self._agent, self._deliver, time.time())
            await self._socket.close()

    async def _take(self, message: dict[str, Any]) -> None:
        match message.get("messageType", "ping"):
            case "hello" if self._agent is None:
                await self._greet(message)
            case "ping":
                self._deliver({})
            case "register" if self._agent is not None:
                self._register(self._agent, message)
            case "unregister" if self._agent is not None:
                self._service.unregister(self._agent, _channel_of(message))
                self._deliver({"messageType": "unregister", "channelID": _channel_of(message), "status": 200})
            case "ack" if self._agent is not None:
                for update in Record(message).records("updates"):
                    self._service.acknowledge(self._agent, str(update.value("version")))
            case "nack" | "broadcast_subscribe" if self._agent is not None:
                pass
            case _:
                raise RemoteProtocolError("that is out of place")

    async def _greet(self, message: dict[str, Any]) -> None:
        said: list[dict[str, Any]] = []  # what waits comes after our hello
        self._agent = await self._shared.greet(str(message.get("uaid") or ""), said.append, time.time())
        self._agent.arrive(self._deliver)
        self._deliver({"messageType": "hello", "uaid": self._agent.uaid, "status": 200, "use_webpush": True, "broadcasts": {}})
        for one in said:
            self._deliver(one)

    def _register(self, agent: PushAgent, message: dict[str, Any]) -> None:
        channel = _channel_of(message)
        answer: dict[str, Any] = {"messageType": "register", "channelID": channel}
        try:
            key = read_base64(str(message.get("key") or ""), "key", size=POINT_BYTES)
            read_point(key, "key")
            endpoint = self._service.register(agent, channel, key, self._origin)
        except (RemoteProtocolError, PushRefusedError) as error:
            self._deliver({**answer, "status": 400, "message": str(error)})
            return
        self._deliver({**answer, "status": 200, "pushEndpoint": endpoint})


async def _body_of(request: web.Request) -> bytes:
    try:
        return await read_body(request, MAX_PUSH_BYTES)
    except RefusedError as refusal:
        raise PushRefusedError(refusal.status, 104, str(refusal)) from refusal


def _read(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("that is not JSON") from error
    if not isinstance(value, dict):
        raise RemoteProtocolError("that is not an object")
    return value


def _channel_of(message: dict[str, Any]) -> str:
    channel = message.get("channelID")
    if not isinstance(channel, str) or not _CHANNEL.fullmatch(channel):
        raise RemoteProtocolError("channelID should be a UUID")
    return channel


def _refused(refusal: PushRefusedError) -> web.Response:
    body = {"code": refusal.status, "errno": refusal.errno, "error": "refused", "message": str(refusal)}
    headers = {} if refusal.retry_s is None else {"Retry-After": str(refusal.retry_s)}
    return web.json_response(body, status=refusal.status, headers=headers)
