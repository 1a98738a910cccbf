"""What the record is told of HTTP requests, and which of them: not the long polls, nor what is published, which it knows already."""

import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sinchphone.exchange.options import HOST_PATH, MANAGEMENT_PATH
from sinchphone.exchange.record.current_call import current_call
from sinchphone.exchange.record.record import EventRecord
from sinchphone.hosts import join_host

_USER: Final = web.RequestKey("recorded user", str)
_CALL: Final = web.RequestKey("recorded call", str)
_BODY: Final = web.RequestKey("recorded body", bytes)
_SILENT: Final = ("/publish/", "/subscribe/", "/v2/subscribe/", "/v2/presence/", "/time/", "/health", "/ready", MANAGEMENT_PATH, HOST_PATH)


def note_user(request: web.Request, user_id: str) -> None:
    """Who sent a request, now that it was proved."""
    request[_USER] = user_id


def note_call(request: web.Request, call_id: str) -> None:
    """Which call a request is about."""
    request[_CALL] = call_id
    current_call.set(call_id)


def note_body(request: web.Request, body: bytes) -> None:
    """What a request brought."""
    request[_BODY] = body


def _is_recorded(request: web.Request) -> bool:
    """Whether a request is worth an event."""
    path = request.rel_url.raw_path
    return path != "/" and not path.startswith(_SILENT) and request.method != "OPTIONS"


def recording(record: EventRecord) -> Middleware:
    """What goes around all requests, and puts them into the record."""

    @web.middleware
    async def recorded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not record.is_on or not _is_recorded(request):
            return await handler(request)
        seq, began_at = record.tick(), time.time()
        response = await handler(request)
        _record(record, request, seq, began_at, response)
        return response

    return recorded


def _record(record: EventRecord, request: web.Request, seq: int, began_at: float, response: web.StreamResponse) -> None:
    answer = response.body if isinstance(response, web.Response) else None
    record.rest(
        seq,
        began_at,
        user=request.get(_USER, ""),
        remote=_address(request, "peername"),
        local=_address(request, "sockname"),
        method=request.method,
        path=request.rel_url.raw_path_qs,
        headers=request.raw_headers,
        body=request.get(_BODY, b""),
        status=response.status,
        answer=answer if isinstance(answer, bytes) else b"",
        call_id=request.get(_CALL),
    )


def _address(request: web.Request, which: str) -> str:
    found = request.transport.get_extra_info(which) if request.transport is not None else None
    return join_host(str(found[0]), int(found[1])) if isinstance(found, tuple) and len(found) >= 2 else ""
