"""The REST API of calls (Sinch Voice REST): callouts, what is known of a call, and what it is told while it goes on.

::

    POST  /calling/v1/callouts                     -> a call of the gateway   -> {"callId"}
    GET   /calling/v1/calls/id/{id}                -> what is known of a call
    PATCH /calling/v1/calls/id/{id}                -> instructions, then hangup, continue or park
    PATCH /calling/v1/calls/id/{id}/leg/{leg}      -> something is said to the caller, the callee or both
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from sinchphone.exchange.destinations.backend_calls import BackendCalls, CallInformation, LegOfCall
from sinchphone.exchange.destinations.gateway import GatewayOnDemand
from sinchphone.exchange.refusals import RefusedError, invalid
from sinchphone.exchange.voice_api.backend_requests import BackendRequest, BackendRequests
from sinchphone.exchange.voice_api.bodies import read_announcement, read_callout, read_update
from sinchphone.signaling.wire import ErrorCode, write_time

API_ROOT: Final = "/calling/v1"
_CALL: Final = f"{API_ROOT}/calls/id/{{call}}"
_FREE: Final = {"currencyId": "USD", "amount": 0}  # calls of this exchange cost nothing
_MISSING: Final = "this exchange has nothing of the calling API there"


class CallRoutes:
    """The routes of one exchange."""

    def __init__(self, gateway: GatewayOnDemand, requests: BackendRequests) -> None:
        self._gateway = gateway
        self._requests = requests

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post(f"{API_ROOT}/callouts", self._requests.route(self._call_out))
        router.add_get(_CALL, self._requests.route(self._tell))
        router.add_patch(_CALL, self._requests.route(self._update))
        router.add_patch(f"{_CALL}/leg/{{leg}}", self._requests.route(self._announce))

    async def _calls(self) -> BackendCalls:
        return (await self._gateway.ready()).backend_calls

    async def _call_out(self, request: BackendRequest) -> Mapping[str, object]:
        callout = read_callout(request.body, request.headers)
        calls = await self._calls()
        return {"callId": calls.call_out(request.application.key, callout)}

    async def _tell(self, request: BackendRequest) -> Mapping[str, object]:
        calls = await self._calls()
        return _members(calls.call(request.application.key, request.named["call"]))

    async def _update(self, request: BackendRequest) -> Mapping[str, object]:
        calls, call = await self._calls(), request.named["call"]
        calls.call(request.application.key, call)  # who asks about another's call learns nothing of the body
        calls.update_call(request.application.key, call, read_update(request.body))
        return {}

    async def _announce(self, request: BackendRequest) -> Mapping[str, object]:
        calls, call = await self._calls(), request.named["call"]
        calls.call(request.application.key, call)
        try:
            leg = LegOfCall(request.named["leg"].lower())
        except ValueError as error:
            raise invalid("leg: it should be caller, callee or both") from error
        calls.announce(request.application.key, call, read_announcement(request.body), leg)
        return {}


def add_the_rest(router: web.UrlDispatcher) -> None:
    """A route for all of the calling API that isn't there. To be added last."""
    router.add_route("*", f"{API_ROOT}/{{rest:.*}}", _refuse)


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
        "userRate": _FREE,
        "debit": _FREE,
    }
