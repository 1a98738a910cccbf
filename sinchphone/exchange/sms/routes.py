"""The SMS API ("XMS") of the local exchange: it takes batches of texts as Sinch's does, and puts them into the inbox.

The service plan is the application's key; the API token is the application's secret, or its management token::

    POST /xms/v1/{plan}/batches                                       -> inbox, delivered at once
    GET  /xms/v1/{plan}/batches/{batch}[/delivery_report[/{number}]]  -> what was sent, that it was delivered
"""

import base64
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from aiohttp import web

from sinchphone.exchange.access.limits import Allowances
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.request_bodies import read_body
from sinchphone.exchange.sms.bodies import XmsError, batch_members, read_batch, read_msisdn, recipient_report_members, report_members
from sinchphone.exchange.sms.inbox import SmsInbox, TextMessage
from sinchphone.signaling.fields import write_json

XMS_ROOT: Final = "/xms/v1"
_PLAN: Final = f"{XMS_ROOT}/{{plan}}"
_BATCH: Final = f"{_PLAN}/batches/{{batch}}"
_AT_ONCE: Final = 200  # batches of an application
_A_SECOND: Final = 30.0

_Serve: TypeAlias = Callable[[Application, web.Request], Awaitable[tuple[int, dict[str, Any]]]]


class SmsRoutes:
    """The routes of one exchange."""

    def __init__(self, inbox: SmsInbox, directory: Directory, *, body_bytes: int) -> None:
        """``body_bytes`` limits a request's body."""
        self._inbox = inbox
        self._directory = directory
        self._body_bytes = body_bytes
        self._batches: Allowances[str] = Allowances(_AT_ONCE, _A_SECOND)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes, and one for all that isn't there."""
        router.add_post(f"{_PLAN}/batches", self._route(self._send))
        router.add_get(_BATCH, self._route(self._batch))
        router.add_get(f"{_BATCH}/delivery_report", self._route(self._report))
        router.add_get(f"{_BATCH}/delivery_report/{{number}}", self._route(self._report_of_number))
        router.add_route("*", f"{_PLAN}/{{rest:.*}}", self._route(_refuse))

    def _route(self, serve: _Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                status, members = await serve(self._application(request), request)
            except XmsError as refusal:
                status, members = refusal.status, {"code": refusal.code, "text": str(refusal)}
            except RefusedError as refusal:
                status, members = refusal.status, {"code": "syntax_constraint_violation", "text": str(refusal)}
            return web.Response(status=status, body=write_json(members), content_type="application/json")

        return answer

    def _application(self, request: web.Request) -> Application:
        """Whose plan it is. Raises XmsError."""
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        application = self._directory.application(request.match_info["plan"])
        secret = application.secret if application is not None else b""
        known = (base64.b64encode(secret).decode(), management_token(secret))
        fits = [hmac.compare_digest(one.encode(), token.strip().encode(errors="replace")) for one in known]
        if application is None or scheme.lower() != "bearer" or not any(fits):
            raise XmsError(401, "unauthorized", "the service plan is the application's key, the API token its secret")
        return application

    async def _send(self, application: Application, request: web.Request) -> tuple[int, dict[str, Any]]:
        asked, now, name = read_batch(await read_body(request, self._body_bytes)), time.time(), secrets.token_hex(13)
        if not self._batches.take(application.key, now):
            raise XmsError(429, "too_many_requests", "too many batches; wait a moment")
        texts = [(one, asked.text_for(one)) for one in asked.numbers]
        sent = await self._inbox.take(application.key, texts, sender=asked.sender, now=now, batch=name)
        return 201, batch_members(name, sent, asked)

    async def _batch(self, application: Application, request: web.Request) -> tuple[int, dict[str, Any]]:
        name, sent = self._sent(application, request)
        return 200, batch_members(name, sent)

    async def _report(self, application: Application, request: web.Request) -> tuple[int, dict[str, Any]]:
        name, sent = self._sent(application, request)
        return 200, report_members(name, sent)

    async def _report_of_number(self, application: Application, request: web.Request) -> tuple[int, dict[str, Any]]:
        name, sent = self._sent(application, request)
        number = read_msisdn(request.match_info["number"], "path")
        for message in sent:
            if message.number == number:
                return 200, recipient_report_members(name, message)
        raise _unknown()

    def _sent(self, application: Application, request: web.Request) -> tuple[str, list[TextMessage]]:
        name = request.match_info["batch"]
        sent = self._inbox.batch(application.key, name)
        if not sent:
            raise _unknown()
        return name, sent


async def _refuse(application: Application, request: web.Request) -> tuple[int, dict[str, Any]]:
    raise XmsError(501, "not_there", "this exchange takes batches and reports on them; it has nothing else of the SMS API")


def _unknown() -> XmsError:
    return XmsError(404, "not_found", "there is no such batch here, or not any more")
