"""Requests as they came: what a signature covers, and what says who signed."""

from dataclasses import field

from aiohttp import web

from sinchphone.exchange.request_bodies import read_body
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.wire import TIMESTAMP_HEADER


@quick_dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """What a signature covers and what says who signed, exactly as it came. ``path`` is percent-encoded, without the query."""

    method: str
    path: str
    body: bytes = field(repr=False)
    content_type: str
    timestamp: str
    authorization: str | None = field(repr=False)


async def receive(request: web.Request, limit_bytes: int) -> ReceivedRequest:
    """All of a request. Raises RefusedError where its body is longer than ``limit_bytes`` or doesn't come."""
    headers, body = request.headers, await read_body(request, limit_bytes)
    content_type, stamp = headers.get("Content-Type", ""), headers.get(TIMESTAMP_HEADER, "")
    return ReceivedRequest(request.method, request.rel_url.raw_path, body, content_type, stamp, headers.get("Authorization"))
