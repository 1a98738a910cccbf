"""What goes around every route of the exchange.

::

    counted -> once ready -> cors -> errors as JSON -> asked by name -> faults that were asked for -> route
"""

import asyncio
import logging
import secrets
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.access.admission import check_host
from sinchphone.exchange.access.connections import ConnectionGuard
from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.lifecycle import Lifecycle
from sinchphone.exchange.management.access import is_management
from sinchphone.exchange.management.faults_routes import FaultsRoutes
from sinchphone.exchange.management.health import HEALTH_PATHS
from sinchphone.exchange.options import CALLING_ROOT
from sinchphone.exchange.parked_answer import at_end
from sinchphone.exchange.record.current_call import current_call
from sinchphone.exchange.refusals import EXCHANGE_FAILED, RefusedError
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.verifications.routes import VERIFICATION_ROOT
from sinchphone.signaling.fields import write_json
from sinchphone.signaling.papi.names import API_ROOT
from sinchphone.signaling.rest.refusals import write_error
from sinchphone.signaling.wire import CORS_HEADERS, ErrorCode

STORE_RETRY_SECONDS: Final = 1  # where it isn't reached, or too many want something of it

_logger = logging.getLogger(__name__)


def counted(guard: ConnectionGuard, intake: Intake) -> Middleware:
    """Outermost. A connection that is being served makes room for no other as long as there are idle ones."""

    def end(transport: asyncio.Transport | None, response: web.StreamResponse | None) -> None:
        if response is not None and not intake.is_open:
            response.force_close()
        guard.ended(transport)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if current_call.get():  # what the last request over this connection was about; of ten thousand polls each setting takes 200 bytes
            current_call.set("")
        guard.began(request)
        over = partial(end, request.transport)  # a poll that is parked lets go of its transport
        try:
            response = await handler(request)
        except BaseException:
            over(None)
            raise
        at_end(response, over)
        return response

    return middleware


def once_ready(lifecycle: Lifecycle) -> Middleware:
    """Requests that come while we still read what we knew wait a moment. Those that come when another process has the store aren't served
    any more."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in HEALTH_PATHS:
            return await handler(request)
        await lifecycle.ready.wait()
        if lifecycle.is_leaving:
            await lifecycle.closing.wait()
            raise web.HTTPServiceUnavailable
        return await handler(request)

    return middleware


def asked_by_name(listening: str) -> Middleware:
    """Refuses requests for another host than the one that listens (``check_host``)."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        check_host(request, listening)
        return await handler(request)

    return middleware


def faulty(faults: FaultsRoutes, guard: ConnectionGuard) -> Middleware:
    """Innermost, so that a fault that was asked for is answered as one of the platform's would be; no poll that came before is."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await (handler(request) if guard.is_woken(request.transport) else faults.around(request, handler))

    return middleware


@web.middleware
async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets browser clients from anywhere in: what counts is the signature, not where a page came from. Not into what is for whoever runs
    the exchange."""
    if is_management(request.path):
        return await handler(request)
    response = _preflight() if request.method == "OPTIONS" else await handler(request)
    at_end(response, _open_to_pages)
    return response


def _open_to_pages(response: web.StreamResponse | None) -> None:
    if response is not None:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = "Date"


def _preflight() -> web.Response:
    allowed = {"Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE", "Access-Control-Allow-Headers": CORS_HEADERS}
    return web.Response(status=204, headers={**allowed, "Access-Control-Max-Age": "86400"})


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal as ``{code, message, reference}``; the reference is also in our log."""
    try:
        return await handler(request)
    except RefusedError as refusal:
        answer = _refused(request, refusal.status, refusal.code, str(refusal))
        if refusal.retry_s is not None:
            answer.headers["Retry-After"] = str(refusal.retry_s)
        return answer
    except RemoteProtocolError as error:
        return _refused(request, 400, ErrorCode.INVALID_PARAMETERS, str(error))
    except StoreError as error:
        answer = _refused(request, 503, ErrorCode.INTERNAL, str(error))
        answer.headers["Retry-After"] = str(STORE_RETRY_SECONDS)
        return answer
    except web.HTTPException as error:
        code = ErrorCode.NOT_FOUND if error.status == 404 else ErrorCode.INVALID_REQUEST
        return _refused(request, error.status, code, error.reason)
    except Exception:
        _logger.exception("a request could not be served")
        return _refused(request, 500, ErrorCode.INTERNAL, EXCHANGE_FAILED)


def _refused(request: web.Request, status: int, code: ErrorCode, message: str) -> web.Response:
    """The older dialect, the calling and the verification API call the number ``errorCode``."""
    reference = secrets.token_hex(8)
    _logger.debug("refused with %d (%d), reference %s", status, code, reference)
    legacy = request.rel_url.raw_path.startswith((f"{API_ROOT}/", f"{CALLING_ROOT}/", f"{VERIFICATION_ROOT}/"))
    body = write_json({"errorCode": int(code), "message": message, "reference": reference}) if legacy else None
    return web.Response(body=body or write_error(code, message, reference), status=status, content_type="application/json")
