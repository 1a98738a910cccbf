"""Looks at the process that hosts our exchange, and tells it to end. Ask only where the exchange has proved that it's ours."""

import json
import time
from dataclasses import dataclass
from typing import Final, Self

import aiohttp

from sinchphone.errors import NetworkError, PlatformError, RemoteProtocolError
from sinchphone.exchange.options import HOST_PATH, STOP_PATH, HostKind
from sinchphone.local.probe import ExchangeProbe, HostAnswer
from sinchphone.protocol.auth import decode_secret, sign_request
from sinchphone.signaling.fields import Record
from sinchphone.signaling.wire import AUTHORIZATION_HEADER, JSON_CONTENT_TYPE, TIMESTAMP_HEADER, write_time

_SECONDS: Final = 5.0
_MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """What a process says that hosts. ``calls`` that aren't over, ``callers`` that only call, ``phones`` that wait."""

    kind: HostKind
    version: str
    pid: int
    seconds: int
    log: str | None
    calls: int
    callers: int
    phones: int

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises RemoteProtocolError."""
        told = Record.parse(body)
        try:
            kind = HostKind(told.text("kind"))
        except ValueError as error:
            raise told.odd("kind", "a kind of process") from error
        counts = {name: int(told.number(name)) for name in ("pid", "seconds", "calls", "callers", "phones")}
        return cls(kind=kind, version=told.text("version"), log=told.optional_text("log"), **counts)


class InUseError(NetworkError):
    """The exchange doesn't end: somebody calls, or it isn't for us to end."""


@dataclass(frozen=True, slots=True)
class HostControl:
    """Speaks with the exchange that ``probe`` found."""

    probe: ExchangeProbe

    async def report(self) -> HostReport:
        """How it is. Raises NetworkError and PlatformError."""
        try:
            return HostReport.parse(await self._request("GET", HOST_PATH, None))
        except RemoteProtocolError as error:
            raise PlatformError(f"the exchange's report can't be read: {error}") from error

    async def stop(self, answer: HostAnswer, *, unused: bool, replaced: bool = False) -> None:
        """Tell the process that gave ``answer`` to end, with ``unused`` only where nobody calls; ``replaced``: we listen on its port as
        soon as it's free. Raises InUseError where it goes on, NetworkError and PlatformError."""
        body = json.dumps({"id": answer.host_id, "unused": unused, "replaced": replaced, "asker": self.probe.asker}).encode()
        await self._request("POST", STOP_PATH, body)

    async def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        stamp, content_type = write_time(time.time()), JSON_CONTENT_TYPE if body is not None else ""
        signature = sign_request(method, path, body, content_type, stamp, decode_secret(self.probe.credentials.secret))
        headers = {TIMESTAMP_HEADER: stamp, AUTHORIZATION_HEADER: f"Application {self.probe.credentials.key}:{signature}"}
        headers |= {"Content-Type": content_type} if content_type else {}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
                session.request(method, f"{self.probe.url}{path}", data=body, headers=headers, allow_redirects=False) as answer,
            ):
                content = await answer.content.read(_MAX_BYTES)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise NetworkError("the exchange doesn't answer") from error
        if answer.status == 409:
            raise InUseError(f"the exchange goes on: {_message_of(content)}")
        if answer.status != 200:
            raise PlatformError(f"the exchange refuses: {_message_of(content)}", status=answer.status)
        return content


def _message_of(body: bytes) -> str:
    try:
        return Record.parse(body).text("message", limit=200)
    except RemoteProtocolError:
        return "it doesn't say why"
