"""Requests to rtpengine and its answers: its ``ng`` protocol, datagrams of a cookie, a space and a JSON object.

A request that gets no answer is sent again with the same cookie; rtpengine repeats the answer that it gave before, so that
nothing is done twice.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sinchphone.errors import MediaError

SEND_AGAIN_SECONDS: Final = (0.25, 0.5, 1.0, 1.5)  # until the next try, after the last until we give up
MAX_REQUEST_BYTES: Final = 60_000  # less than a datagram can hold
RTPENGINE_HINT: Final = "is rtpengine running, and does its --listen-ng name this address?"


class NoAnswerError(MediaError):
    """Rtpengine said nothing; it may be there all the same."""


class FullError(MediaError):
    """Rtpengine has as many calls as it takes."""


class NgLink:
    """A socket for the requests of one event loop, opened by the first one."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self._transport: asyncio.DatagramTransport | None = None
        self._opening = asyncio.Lock()
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._cookies = 0
        self._name = secrets.token_hex(6)
        self._closed = False

    async def request(self, command: str, *, patience: Sequence[float] | None = None, **keys: object) -> dict[str, Any]:
        """What rtpengine answers to a command. Raises MediaError where it refuses or says nothing: by then it was asked as often as
        ``patience`` has waits [s]. Cancelling it is safe.

        Keys that are ``None`` are left out; an underscore in a name stands for a hyphen.
        """
        asked = {name.replace("_", "-"): value for name, value in keys.items() if value is not None}
        body = json.dumps({"command": command, **asked}, separators=(",", ":")).encode()
        if len(body) > MAX_REQUEST_BYTES:
            raise MediaError("a session description is too long for rtpengine")
        self._cookies += 1
        cookie = f"{self._name}_{self._cookies}".encode()
        return _read(await self._exchange(await self._opened(), cookie, body, patience or SEND_AGAIN_SECONDS))

    def close(self) -> None:
        """Close the socket; requests that wait fail, and so do those that come later. May be called twice."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        for waiting in self._waiting.values():
            waiting.cancel("closed")

    async def _opened(self) -> asyncio.DatagramTransport:
        """Connected to rtpengine: nobody else's datagram is taken."""
        async with self._opening:
            if self._closed:
                raise MediaError("the link to rtpengine was closed")
            if self._transport is None or self._transport.is_closing():
                loop = asyncio.get_running_loop()
                try:
                    self._transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(self._waiting), remote_addr=self.address)
                except OSError as error:
                    raise MediaError(f"no socket for rtpengine: {error.strerror or error}", hint=RTPENGINE_HINT) from error
            return self._transport

    async def _exchange(self, transport: asyncio.DatagramTransport, cookie: bytes, body: bytes, waits: Sequence[float]) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[cookie] = answer
        try:
            for seconds in waits:
                transport.sendto(cookie + b" " + body)
                await asyncio.wait([answer], timeout=seconds)
                if answer.done():
                    break
        finally:
            del self._waiting[cookie]
        if answer.cancelled():
            raise MediaError("the link to rtpengine was closed")
        if not answer.done():
            host, port = self.address
            raise NoAnswerError(f"rtpengine at {host}:{port} does not answer", hint=RTPENGINE_HINT)
        return answer.result()


class _Answers(asyncio.DatagramProtocol):
    """Takes answers to the requests that wait; anything else, doubles too, is dropped."""

    def __init__(self, waiting: Mapping[bytes, asyncio.Future[bytes]]) -> None:
        self._waiting = waiting

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        cookie, _, body = data.partition(b" ")
        waiting = self._waiting.get(cookie)
        if waiting is not None and not waiting.done():
            waiting.set_result(body)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there at the moment: perhaps it is being restarted, the request is sent again."""


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MediaError("rtpengine's answer can't be read") from error
    if not isinstance(answer, dict):
        raise MediaError("rtpengine's answer can't be read")
    match answer.get("result"), answer.get("error-reason"):
        case (("ok" | "pong"), _):
            return answer
        case ("load limit", _) | (_, "Ran out of ports"):
            raise FullError("rtpengine is at its limit of calls")
        case _:
            raise MediaError(f"rtpengine refused: {str(answer.get('error-reason', 'it gave no reason'))[:200]}")
