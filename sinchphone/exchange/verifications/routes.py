"""The Verification API over HTTP (Sinch Verification, v1). Devices name their application, backends sign or use Basic.

::

    POST /verification/v1/verifications                              -> a code goes out
    PUT  .../verifications/id/{id}, .../verifications/number/{number} -> a code is reported
    GET  .../verifications/id/{id}, .../reference/{reference}, .../{method}/number/{number}
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from aiohttp import web

from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.received import ReceivedRequest, receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.refusals import asks_too_often
from sinchphone.exchange.store.shared_limits import Limit, SharedLimits
from sinchphone.exchange.verifications.bodies import (
    read_method,
    read_report,
    read_start,
    read_verified_number,
    started_members,
    status_members,
)
from sinchphone.exchange.verifications.service import VerificationService
from sinchphone.signaling.fields import write_json

VERIFICATION_ROOT: Final = "/verification/v1"
_ALL: Final = f"{VERIFICATION_ROOT}/verifications"
_DEVICES: Final = Limit("devices that verify", 50, 5.0)  # requests of devices behind one address

_Serve: TypeAlias = Callable[[web.Request, Application, bytes], Awaitable[dict[str, Any]]]


class VerificationRoutes:
    """The routes of one exchange."""

    def __init__(self, service: VerificationService, verifier: Verifier, limits: SharedLimits, *, body_bytes: int) -> None:
        """``body_bytes`` limits a request's body."""
        self._service = service
        self._verifier = verifier
        self._body_bytes = body_bytes
        self._limits = limits

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post(_ALL, self._route(self._start))
        router.add_put(f"{_ALL}/id/{{id}}", self._route(self._report_by_id))
        router.add_put(f"{_ALL}/number/{{number}}", self._route(self._report_by_number))
        router.add_get(f"{_ALL}/id/{{id}}", self._route(self._by_id))
        router.add_get(f"{_ALL}/reference/{{reference}}", self._route(self._by_reference))
        router.add_get(f"{_ALL}/{{method}}/number/{{number}}", self._route(self._by_number))

    def _route(self, serve: _Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            received = await receive(request, self._body_bytes)
            body = await serve(request, await self._application(request, received), received.body)
            return web.Response(body=write_json(body), content_type="application/json")

        return answer

    async def _application(self, request: web.Request, received: ReceivedRequest) -> Application:
        """Whose number it is about: a backend proves it, a device only names its application."""
        scheme, _, rest = (received.authorization or "").strip().partition(" ")
        if scheme.lower() != "application" or ":" in rest:
            return await self._verifier.backend(received, time.time())
        application = self._verifier.application(received)
        if not await self._limits.take(_DEVICES, application.key, request.remote or "", time.time()):
            raise asks_too_often()
        return application

    async def _start(self, request: web.Request, application: Application, body: bytes) -> dict[str, Any]:
        wish = read_start(body)
        one = await self._service.start(application, wish)
        return started_members(one, wish, f"{request.scheme}://{request.host}{VERIFICATION_ROOT}")

    async def _report_by_id(self, request: web.Request, application: Application, body: bytes) -> dict[str, Any]:
        one = self._service.find(self._service.kept.of_id(application.key, request.match_info["id"]))
        return status_members(await self._service.report(application, one, read_report(body)))

    async def _report_by_number(self, request: web.Request, application: Application, body: bytes) -> dict[str, Any]:
        number, reported = read_verified_number(request.match_info["number"], "number"), read_report(body)
        one = self._service.find(self._service.kept.of_number(application.key, reported.method, number))
        return status_members(await self._service.report(application, one, reported))

    async def _by_id(self, request: web.Request, application: Application, body: bytes) -> dict[str, Any]:
        return status_members(self._service.find(self._service.kept.of_id(application.key, request.match_info["id"])))

    async def _by_reference(self, request: web.Request, application: Application, body: bytes) -> dict[str, Any]:
        return status_members(self._service.find(self._service.kept.of_reference(application.key, request.match_info["reference"])))

    async def _by_number(self, request: web.Request, application: Application, body: bytes) -> dict[str, Any]:
        method, number = read_method(request.match_info["method"]), read_verified_number(request.match_info["number"], "number")
        return status_members(self._service.find(self._service.kept.of_number(application.key, method, number)))
