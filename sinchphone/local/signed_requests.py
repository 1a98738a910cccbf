"""Requests to our own exchange, signed with the application's secret, which is never sent. Ask only where the exchange has proved that
it's ours."""

import time
from typing import Any, Final

import aiohttp
from yarl import URL

from sinchphone.errors import NetworkError, NotFoundError, PlatformError, RemoteProtocolError
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.protocol.auth import decode_secret, sign_request
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.wire import AUTHORIZATION_HEADER, JSON_CONTENT_TYPE, TIMESTAMP_HEADER, write_time

_SECONDS: Final = 5.0
MOST_BYTES: Final = 8 * 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024


class ConflictError(PlatformError):
    """The exchange won't, as things are (409)."""


@quick_dataclass(frozen=True, slots=True)
class SignedRequests:
    """Asks the exchange at ``url``."""

    url: str
    credentials: ApplicationCredentials

    async def ask(
        self,
        method: str,
        path: str,
        members: dict[str, Any] | None = None,
        *,
        query: str = "",
        seconds: float = _SECONDS,
        most_bytes: int = MOST_BYTES,
    ) -> bytes:
        """The answer's body. Raises ConflictError, NotFoundError and PlatformError for what is refused or longer than ``most_bytes``,
        NetworkError where no answer comes within ``seconds``. Cancelling is safe."""
        body = write_json(members) if members is not None else None
        stamp, content_type = write_time(time.time()), JSON_CONTENT_TYPE if body is not None else ""
        signature = sign_request(method, path, body, content_type, stamp, decode_secret(self.credentials.secret))
        headers = {TIMESTAMP_HEADER: stamp, AUTHORIZATION_HEADER: f"Application {self.credentials.key}:{signature}"}
        headers |= {"Content-Type": content_type} if content_type else {}
        url = URL(f"{self.url}{path}{f'?{query}' if query else ''}", encoded=True)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), skip_auto_headers=["Content-Type"]) as session,
                session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                content = await _read(answer.content, most_bytes)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise NetworkError("the exchange doesn't answer") from error
        match answer.status:
            case 200 | 201:
                return content
            case 404:
                raise NotFoundError(_message_of(content))
            case 409:
                raise ConflictError(_message_of(content), status=409)
            case status:
                raise PlatformError(f"the exchange refuses: {_message_of(content)}", status=status)


async def _read(content: aiohttp.StreamReader, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > most_bytes:
            raise PlatformError(f"the exchange's answer has more than {most_bytes // 1024 // 1024} MiB")
    return bytes(body)


def _message_of(body: bytes) -> str:
    try:
        return Record.parse(body).text("message", limit=500)
    except RemoteProtocolError:
        return "it doesn't say why"
