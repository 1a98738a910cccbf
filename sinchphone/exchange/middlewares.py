"""What goes around every route of the exchange: pages may read the answers, and every refusal is JSON."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.management.access import is_management
from sinchphone.exchange.options import CALLING_ROOT
from sinchphone.exchange.parked_answer import at_end
from sinchphone.exchange.refusals import EXCHANGE_FAILED, RefusedError
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.verifications.routes import VERIFICATION_ROOT
from sinchphone.signaling.fields import write_json
from sinchphone.signaling.papi.names import API_ROOT
from sinchphone.signaling.rest.refusals import write_error
from sinchphone.signaling.wire import CORS_HEADERS, ErrorCode

_logger = logging.getLogger(__name__)

Route: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def cors(request: web.Request, handler: Route) -> web.StreamResponse:
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
async def errors_as_json(request: web.Request, handler: Route) -> web.StreamResponse:
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
        return _refused(request, 503, ErrorCode.INTERNAL, str(error))
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
