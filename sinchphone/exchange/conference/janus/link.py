"""The connection to a Janus: its WebSocket API, one session, a handle for each who is in a room.

::

    attach -> handle -> request (create, join, mute, ...) -> answer        events of a handle -> whoever attached it
    the connection breaks, Janus ends or starts anew -> Janus forgets the session -> every handle is told that it's gone
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import aiohttp

from sinchphone.errors import MediaError
from sinchphone.tasks import start_task

PLUGIN: Final = "janus.plugin.audiobridge"
JANUS_ANSWER_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 4.0  # a connection without an answer for half of that is broken
KEEP_ALIVE_SECONDS: Final = 20.0  # Janus forgets a session after 60 s
MAX_MESSAGE_BYTES: Final = 256 * 1024
LINK_GONE: Final = "the connection to Janus is gone"
GONE: Final[Mapping[str, Any]] = {"janus": "gone"}  # of our own: Janus has forgotten the handle

Hear: TypeAlias = Callable[[Mapping[str, Any]], None]

_log = logging.getLogger(__name__)


class JanusRefusedError(MediaError):
    """Janus doesn't do what it was asked; ``code`` is its plugin's number."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"Janus refused: {reason[:200]}")
        self.code = code


class JanusLink:
    """Of one event loop. Connects with the first handle; where that broke, with the next."""

    def __init__(self, url: str) -> None:
        """``url``: of Janus' WebSocket API."""
        self._url = url
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._session = 0
        self._opening = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._handles: dict[int, Hear] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def attach(self, hear: Hear) -> "JanusHandle":
        """A new handle, whose events ``hear`` is told. Raises MediaError."""
        await self.open()
        found = await self.ask(janus="attach", plugin=PLUGIN)
        number = int(found["data"]["id"])
        self._handles[number] = hear
        return JanusHandle(self, number)

    async def ask(self, **members: Any) -> Mapping[str, Any]:
        """What Janus answers, in the end. Raises MediaError where it refuses or doesn't answer."""
        socket, number = self._socket, str(next(self._numbers))
        if socket is None:
            raise MediaError("there is no connection to Janus any more")
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        session = {"session_id": self._session} if self._session else {}
        try:
            async with asyncio.timeout(JANUS_ANSWER_SECONDS):
                await socket.send_json({**session, **members, "transaction": number})
                return await answer
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise MediaError("Janus doesn't answer") from error
        finally:
            del self._waiting[number]

    async def tell(self, **members: Any) -> None:
        """What Janus only acknowledges. Where the connection is gone its reader says so."""
        if self._socket is not None:
            with suppress(aiohttp.ClientError, ConnectionError):
                await self._socket.send_json({"session_id": self._session, **members, "transaction": "told"})

    async def close(self) -> None:
        """Disconnect; Janus lets go of all. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
        if self._http is not None:
            await self._http.close()
            self._http = None

    def forget(self, number: int) -> None:
        """Nobody wants to hear of that handle any more."""
        self._handles.pop(number, None)

    async def open(self) -> None:
        """Connect, where we aren't. Raises MediaError."""
        async with self._opening:
            if self._socket is not None:
                return
            for task in self._tasks:
                task.cancel()
            self._http = self._http or aiohttp.ClientSession()
            try:
                async with asyncio.timeout(JANUS_ANSWER_SECONDS):
                    self._socket = await self._http.ws_connect(
                        self._url, protocols=["janus-protocol"], heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_MESSAGE_BYTES
                    )
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                raise MediaError(f"Janus can't be reached at {self._url}", hint="is it running, with its WebSocket transport?") from error
            self._session = 0
            self._tasks = [start_task(self._read(self._socket), name="janus")]
            try:
                self._session = int((await self.ask(janus="create"))["data"]["id"])
            except BaseException:  # a connection without a session is of no use
                socket, self._socket = self._socket, None
                await socket.close()
                raise
            self._tasks.append(start_task(self._keep_alive(), name="janus keep-alive"))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    with suppress(ValueError, KeyError, TypeError, AttributeError):  # nothing that an AudioBridge says
                        self._take(message.json())
        finally:
            self._break()

    def _take(self, said: Mapping[str, Any]) -> None:
        answer, kind = self._waiting.get(said.get("transaction", "")), said["janus"]
        if kind == "ack":  # the answer itself is an event that follows
            return
        if answer is not None:
            if answer.done():
                return
            if kind == "error":
                answer.set_exception(JanusRefusedError(int(said["error"]["code"]), str(said["error"]["reason"])))
            else:
                answer.set_result(said)
        elif kind == "timeout":
            self._break()
        elif said.get("sender") in self._handles:
            self._handles[said["sender"]](said)

    def _break(self) -> None:
        if self._socket is None:
            return
        self._socket = None
        handles, self._handles = list(self._handles.values()), {}
        if handles:
            _log.error("the connection to Janus is gone, and with it who was in its rooms: %d", len(handles))
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(MediaError(LINK_GONE))
        for hear in handles:
            hear(GONE)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            await self.tell(janus="keepalive")


class JanusHandle:
    """What one participant is at Janus."""

    def __init__(self, link: JanusLink, number: int) -> None:
        self._link = link
        self._number = number

    async def request(
        self, request: str, *, offer: str | None = None, update: bool = False, **members: Any
    ) -> tuple[Mapping[str, Any], str]:
        """Ask the plugin; its answer, and the session description for an ``offer``, which is a later one where it is an ``update``. Raises
        MediaError."""
        described = {"jsep": {"type": "offer", "sdp": offer, **({"update": True} if update else {})}} if offer is not None else {}
        body = {"request": request, **{name: value for name, value in members.items() if value is not None}}
        answer = await self._link.ask(janus="message", handle_id=self._number, body=body, **described)
        data: Mapping[str, Any] = answer.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise JanusRefusedError(int(data.get("error_code", 0)), str(data["error"]))
        return data, str(answer.get("jsep", {}).get("sdp", ""))

    async def trickle(self, candidate: Mapping[str, Any]) -> None:
        """Tell a candidate of the participant's."""
        await self._link.tell(janus="trickle", handle_id=self._number, candidate=candidate)

    async def detach(self) -> None:
        """Leave. Never raises because of Janus: what it forgot already is as well."""
        self._link.forget(self._number)
        with suppress(MediaError):
            await self._link.ask(janus="detach", handle_id=self._number)
