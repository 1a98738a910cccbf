"""Faults over HTTP, and what they do to requests.

::

    POST   /__sinchphone/faults  {"path": "/publish/*", "status": 503, "delayMs": 200, "drop": false, "times": 3}  -> 201, the rule
    GET    /__sinchphone/faults       -> those in force
    DELETE /__sinchphone/faults[/ID]  -> all of them, or one
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.management.access import ManagementAccess, json_answer
from sinchphone.exchange.management.faults import MAX_DELAY_SECONDS, MAX_TIMES, FaultRule, Faults
from sinchphone.exchange.management_paths import FAULTS_PATH
from sinchphone.exchange.refusals import RefusedError, not_found
from sinchphone.signaling.fields import Record, is_writable, write_json
from sinchphone.signaling.wire import ErrorCode

_CODES: Final = {401: ErrorCode.INVALID_CREDENTIALS, 403: ErrorCode.FORBIDDEN, 404: ErrorCode.NOT_FOUND, 429: ErrorCode.TOO_MANY}
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_WITHOUT_BODY: Final = (204, 205, 304)


class FaultsRoutes:
    """The routes of one exchange, and the middleware that carries the faults out."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def add_to(self, router: web.UrlDispatcher, access: ManagementAccess) -> None:
        """Add the routes."""

        async def listed(request: web.Request) -> web.Response:
            await access.receive(request)
            return json_answer({"faults": [_members(one) for one in self._faults.rules()]})

        async def add(request: web.Request) -> web.Response:
            _, body = await access.receive(request)
            return json_answer(_members(self._faults.add(read_fault(body))), status=201)

        async def clear(request: web.Request) -> web.Response:
            await access.receive(request)
            return json_answer({"removed": self._faults.clear()})

        async def remove(request: web.Request) -> web.Response:
            await access.receive(request)
            if not self._faults.remove(request.match_info["fault"]):
                raise not_found("there is no such fault, or it's used up")
            return json_answer({"removed": 1})

        router.add_get(FAULTS_PATH, listed)
        router.add_post(FAULTS_PATH, add)
        router.add_delete(FAULTS_PATH, clear)
        router.add_delete(f"{FAULTS_PATH}/{{fault}}", remove)

    def clear(self) -> None:
        """None is in force any more."""
        self._faults.clear()

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A middleware, inside of the one that writes refusals as JSON."""
        rule = self._faults.take(request.method, request.path) if self._faults else None
        if rule is None:
            return await handler(request)
        await asyncio.sleep(rule.delay_seconds)
        if rule.drop:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable  # nobody gets it
        if rule.status is None:
            return await handler(request)
        if rule.body is None and rule.status >= 400:
            code = _CODES.get(rule.status, ErrorCode.INTERNAL if rule.status >= 500 else ErrorCode.INVALID_REQUEST)
            raise RefusedError(rule.status, code, "a fault that was asked for")
        body = None if rule.status in _WITHOUT_BODY else write_json(rule.body) if rule.body is not None else b"{}"
        return web.Response(status=rule.status, body=body, content_type="application/json")


def read_fault(body: bytes) -> FaultRule:
    """A rule as it's asked for. Raises RemoteProtocolError."""
    asked = Record.parse(body)
    asked.only("path", "method", "delayMs", "drop", "status", "body", "times")
    path = asked.text("path")
    if not path.startswith(("/", "*")):
        raise asked.odd("path", "a path such as /publish/*")
    method = (asked.optional_text("method", limit=16) or "").upper()
    if method and method not in _METHODS:
        raise asked.odd("method", f"one of {', '.join(_METHODS)}")
    status = int(asked.number("status", low=200, high=599)) if asked.has("status") else None
    if status is not None and status not in {one.value for one in HTTPStatus}:
        raise asked.odd("status", "a status of HTTP")
    answer = asked.value("body")
    if answer is not None and (status is None or not isinstance(answer, dict | list) or not is_writable(answer)):
        raise asked.odd("body", "an object or a list, beside a status")
    if answer is not None and status in _WITHOUT_BODY:
        raise RemoteProtocolError(f"an answer with the status {status} has no body")
    rule = FaultRule(
        path=path,
        method=method,
        delay_seconds=asked.number("delayMs", default=0.0, high=MAX_DELAY_SECONDS * 1000) / 1000,
        drop=asked.flag("drop", default=False),
        status=status,
        body=answer,
        times=int(asked.number("times", low=1, high=MAX_TIMES)) if asked.has("times") else None,
    )
    if not (rule.delay_seconds or rule.drop or rule.status):
        raise RemoteProtocolError("a fault has a status, a delayMs or drop")
    if rule.drop and rule.status:
        raise asked.odd("drop", "without a status")
    return rule


def _members(rule: FaultRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "path": rule.path,
        "method": rule.method or None,
        "delayMs": round(rule.delay_seconds * 1000),
        "drop": rule.drop,
        "status": rule.status,
        "body": rule.body,
        "times": rule.times,
    }
