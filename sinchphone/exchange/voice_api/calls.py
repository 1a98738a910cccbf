"""The REST API of calls (Sinch Voice REST): callouts, what is known of a call, and what it is told while it goes on.

::

    POST  /calling/v1/callouts                     -> a call of the gateway   -> {"callId"}
    GET   /calling/v1/calls/id/{id}                -> what is known of a call
    PATCH /calling/v1/calls/id/{id}                -> instructions, then hangup, continue or park
    PATCH /calling/v1/calls/id/{id}/leg/{leg}      -> something is said to the caller, the callee or both
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web

from sinchphone.exchange.destinations.backend_calls import BackendCalls, CallInformation, LegOfCall
from sinchphone.exchange.destinations.gateway import GatewayOnDemand
from sinchphone.exchange.options import CALLING_ROOT
from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.exchange.refusals import RefusedError, invalid
from sinchphone.exchange.voice_api.backend_requests import BackendRequest, BackendRequests
from sinchphone.exchange.voice_api.bodies import read_announcement, read_callout, read_update
from sinchphone.protocol.voice_limits import FREE
from sinchphone.signaling.wire import ErrorCode, write_time

_CALL: Final = f"{CALLING_ROOT}/calls/id/{{call}}"
_CALL_REQUEST: Final = "call"  # what other processes ask
_MISSING: Final = "this exchange has nothing of the calling API there"

_Serve: TypeAlias = Callable[[BackendCalls, str, Mapping[str, str], bytes], Mapping[str, object]]  # the application's key, path, body


class CallRoutes:
    """The routes of one exchange."""

    def __init__(self, gateway: GatewayOnDemand, requests: BackendRequests, others: ProcessRequests | None = None) -> None:
        """``others``: the processes that may have a call, where this exchange has several."""
        self._gateway = gateway
        self._requests = requests
        self._others = others
        self._serves: Mapping[str, _Serve] = {"tell": _tell, "update": _update, "announce": _announce}
        if others is not None:
            others.serve(_CALL_REQUEST, self._serve_other)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post(f"{CALLING_ROOT}/callouts", self._requests.route(self._call_out))
        router.add_get(_CALL, self._route("tell"))
        router.add_patch(_CALL, self._route("update"))
        router.add_patch(f"{_CALL}/leg/{{leg}}", self._route("announce"))

    def _route(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A route about one call, which another process may have."""

        async def serve(request: BackendRequest) -> Mapping[str, object]:
            try:
                return await self._served(name, request.application.key, request.named, request.body, request.note_call)
            except RefusedError as error:
                if error.status != 404 or self._others is None:
                    raise
                members = {"name": name, "named": dict(request.named), "body": request.body.decode(errors="replace")}
                answer = await self._others.ask_all(request.application.key, _CALL_REQUEST, members)
                if answer is None:
                    raise
                return answer

        return self._requests.route(serve)

    async def _serve_other(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._served(members["name"], application, members["named"], members["body"].encode(), lambda _: None)

    async def _served(
        self, name: str, application: str, named: Mapping[str, str], body: bytes, note_call: Callable[[str], None]
    ) -> Mapping[str, object]:
        """Who asks about another's call learns nothing of the body, and stands in no record of that call."""
        calls = await self._calls()
        calls.call(application, named["call"])
        note_call(named["call"])
        return self._serves[name](calls, application, named, body)

    async def _calls(self) -> BackendCalls:
        return (await self._gateway.ready()).backend_calls

    async def _call_out(self, request: BackendRequest) -> Mapping[str, object]:
        callout = read_callout(request.body, request.headers)
        calls = await self._calls()
        call = calls.call_out(request.application.key, callout)
        request.note_call(call)
        return {"callId": call}


def _tell(calls: BackendCalls, application: str, named: Mapping[str, str], body: bytes) -> Mapping[str, object]:
    return _members(calls.call(application, named["call"]))


def _update(calls: BackendCalls, application: str, named: Mapping[str, str], body: bytes) -> Mapping[str, object]:
    calls.update_call(application, named["call"], read_update(body))
    return {}


def _announce(calls: BackendCalls, application: str, named: Mapping[str, str], body: bytes) -> Mapping[str, object]:
    try:
        leg = LegOfCall(named["leg"].lower())
    except ValueError as error:
        raise invalid("leg: it should be caller, callee or both") from error
    calls.announce(application, named["call"], read_announcement(body), leg)
    return {}


def add_the_rest(router: web.UrlDispatcher) -> None:
    """A route for all of the calling API that isn't there. To be added last."""
    router.add_route("*", f"{CALLING_ROOT}/{{rest:.*}}", _refuse)


async def _refuse(request: web.Request) -> web.Response:
    raise RefusedError(501, ErrorCode.NOT_THERE, _MISSING)


def _members(call: CallInformation) -> dict[str, object]:
    """A call as the SDKs read it: without ``from``, where that of PyPI (1.1.4) stumbles."""
    return {
        "to": {"type": call.to.type, "endpoint": call.to.endpoint},
        "domain": call.domain,
        "callId": call.id,
        "duration": call.duration_s,
        "status": "FINAL" if call.is_over else "ONGOING",
        "result": call.result,
        "reason": call.reason,
        "timestamp": write_time(call.began_at),
        "custom": call.custom,
        "userRate": FREE,
        "debit": FREE,
    }
