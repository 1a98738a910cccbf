"""Requests of backends: which application asks, how they are answered, and how often one may ask."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from functools import partial
from typing import TypeAlias

from aiohttp import web

from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.record.requests import note_call
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import write_json


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class BackendRequest:
    """A request that an application's backend has proved to send. ``named`` are the parts of its path; ``note_call`` is told which call
    it is about, once it's known to be the application's."""

    application: Application
    named: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    note_call: Callable[[str], None] = field(repr=False)


Serve: TypeAlias = Callable[[BackendRequest], Awaitable[Mapping[str, object]]]


class BackendRequests:
    """Makes routes for backends: application-signed, or Basic with key and secret.

    A signature isn't kept from being used again: the SDKs sign with milliseconds, so that two equal callouts at once have one.
    """

    def __init__(self, verifier: Verifier, *, body_bytes: int) -> None:
        """``body_bytes`` limits a request's body."""
        self._verifier = verifier
        self._body_bytes = body_bytes

    def route(self, serve: Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A route that ``serve`` answers, for applications that prove who they are."""

        async def answer(request: web.Request) -> web.Response:
            received = await receive(request, self._body_bytes)
            application = await self._verifier.backend(received, time.time(), once=False)
            asked = BackendRequest(
                application=application,
                named=dict(request.match_info),
                headers=dict(request.headers),
                body=received.body,
                note_call=partial(note_call, request),
            )
            return web.Response(body=write_json(await serve(asked)), content_type="application/json")

        return answer
