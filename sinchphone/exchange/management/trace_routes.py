"""What happened, over HTTP: the record's calls and events, secrets as stars.

::

    GET /__sinchphone/trace/calls                  -> the calls that are kept, the newest first
    GET /__sinchphone/trace/calls/{call}           -> one call's events; {call} is its id, the beginning of it, or "last"
    GET /__sinchphone/trace/calls/{call}/capture   -> the same as a capture file (pcapng)
    GET /__sinchphone/trace/others                 -> events of no call
    GET /__sinchphone/trace/live                   -> events as they come (server-sent events)
"""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.management.access import ManagementAccess, json_answer
from sinchphone.exchange.management_paths import TRACE_PATH, TRACED_CALLS_PATH
from sinchphone.exchange.refusals import not_found, too_many
from sinchphone.exchange.tracing.summaries import CallSummary
from sinchphone.exchange.tracing.tracer import LAST, Tracer
from sinchphone.protocol.trace.event import TraceEvent
from sinchphone.protocol.trace.pcapng import write_pcapng

MAX_BODIES_BYTES: Final = 4 * 1024 * 1024  # of all bodies in one answer: later ones are left out
MAX_READERS: Final = 16  # of what comes, at the same time
_ALIVE_SECONDS: Final = 15.0  # without an event, after which the connection is shown to be alive
_LEFT_OUT: Final = "(left out: the answer would be too long)"


class TraceRoutes:
    """The routes of one exchange. Once ``closing`` is set, readers are told goodbye."""

    def __init__(self, tracer: Tracer, access: ManagementAccess, closing: asyncio.Event) -> None:
        self._tracer = tracer
        self._access = access
        self._closing = closing
        self._readers = 0

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get(TRACED_CALLS_PATH, self._calls)
        router.add_get(f"{TRACED_CALLS_PATH}/{{call}}", self._call)
        router.add_get(f"{TRACED_CALLS_PATH}/{{call}}/capture", self._capture)
        router.add_get(f"{TRACE_PATH}/others", self._others)
        router.add_get(f"{TRACE_PATH}/live", self._live)

    async def _calls(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        return json_answer({"calls": [call.to_json() for call in self._tracer.calls(application)]}, private=True)

    async def _call(self, request: web.Request) -> web.Response:
        application, call = await self._find(request)
        return json_answer({"call": call.to_json(), "events": _bounded(self._tracer.events(application, call.id))}, private=True)

    async def _capture(self, request: web.Request) -> web.Response:
        application, call = await self._find(request)
        events, sound = self._tracer.events(application, call.id), self._tracer.sound(application, call.id)
        file = await asyncio.to_thread(write_pcapng, events, sound)
        headers = {"Content-Disposition": 'attachment; filename="call.pcapng"'}
        return web.Response(body=file, content_type="application/vnd.tcpdump.pcap", headers=headers)

    async def _others(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        return json_answer({"events": _bounded(self._tracer.others(application))}, private=True)

    async def _find(self, request: web.Request) -> tuple[Application, CallSummary]:
        application, _ = await self._access.receive(request)
        name = request.match_info["call"]
        call = self._tracer.call(application, name)
        if call is None and name == LAST:
            raise not_found("no call is in the record yet")
        if call is None:
            raise not_found("there is no such call in the record, or more than one begins so")
        return application, call

    async def _live(self, request: web.Request) -> web.StreamResponse:
        application, _ = await self._access.receive(request)
        if self._readers >= MAX_READERS:
            raise too_many(f"{MAX_READERS} readers follow already")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        self._readers += 1
        try:
            with suppress(ConnectionResetError):  # the reader is gone
                await self._stream(response, application)
        finally:
            self._readers -= 1
        return response

    async def _stream(self, response: web.StreamResponse, application: Application) -> None:
        await response.write(b": hello\n\n")
        with self._tracer.following(application) as following:
            while not self._closing.is_set():
                try:
                    async with asyncio.timeout(_ALIVE_SECONDS):
                        events = await following.take()
                except TimeoutError:
                    await response.write(b": alive\n\n")
                    continue
                text = "".join(f"data: {json.dumps(event)}\n\n" for event in _bounded(events))
                await response.write(text.encode())


def _bounded(events: Iterable[TraceEvent]) -> list[dict[str, Any]]:
    """Events as JSON, whose bodies all together aren't longer than an answer may be."""
    found, left = [], MAX_BODIES_BYTES
    for event in events:
        members = event.to_json()
        left -= len(event.body)
        if left < 0 and event.body:
            members["body"] = _LEFT_OUT
        found.append(members)
    return found
