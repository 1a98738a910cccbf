"""Who may ask under ``/__sinchphone``: whoever has the application's secret, or its management token; a page from elsewhere never.

::

    request -> Host, Origin: this exchange itself -> Application key:signature, Basic key:secret or Bearer token -> application, body

The rules are those of every route there, and of the page that is served there; a browser is never told that it may read an answer (CORS).
"""

import hmac
import time
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from sinchphone.exchange.access.admission import check_own_host, check_own_page, is_loopback
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.options import MANAGEMENT_PATH
from sinchphone.exchange.refusals import forbidden, unauthorized
from sinchphone.signaling.fields import write_json

_BEARER: Final = "bearer"


def is_management(path: str) -> bool:
    """Whether a path is one of those."""
    return path == MANAGEMENT_PATH or path.startswith(f"{MANAGEMENT_PATH}/")


class ManagementAccess:
    """Lets requests in. One for all routes under ``/__sinchphone``."""

    def __init__(self, directory: Directory, verifier: Verifier, *, listening: str, body_bytes: int) -> None:
        """``listening`` is the host that the exchange listens on; ``body_bytes`` limits a request's body."""
        self._verifier = verifier
        self._listening = listening
        self._body_bytes = body_bytes
        self._tokens = [(management_token(one.secret).encode(), one) for one in directory.applications()]

    def check_page(self, request: web.Request) -> None:
        """Raises RefusedError unless the request is for this exchange by a name of its own, and comes from no page but its own."""
        check_own_host(request, self._listening)
        check_own_page(request)

    async def receive(self, request: web.Request, *, body_bytes: int | None = None) -> tuple[Application, bytes]:
        """Whose exchange it is, of that application's alone, and the body; ``body_bytes`` where it may be longer. What is signed and
        changes something is served once. Raises RefusedError."""
        check_own_page(request)
        received = await receive(request, body_bytes or self._body_bytes)
        scheme, _, token = (received.authorization or "").strip().partition(" ")
        if scheme.lower() == _BEARER:
            self.check_page(request)
            return self._holder(request, token.strip()), received.body
        return await self._verifier.backend(received, time.time(), once=request.method not in ("GET", "HEAD")), received.body

    def _holder(self, request: web.Request, token: str) -> Application:
        """Whose token that is. It's in the clear, so it's for this machine."""
        if not is_loopback(request.remote or ""):
            raise forbidden("Authorization: from other machines requests are signed with the application's secret")
        for known, application in self._tokens:
            if hmac.compare_digest(known, token.encode(errors="replace")):
                return application
        raise unauthorized("Authorization: that is not this exchange's token")


def json_answer(members: Mapping[str, Any], status: int = 200, *, private: bool = False) -> web.Response:
    """An answer to a management request. ``private``: no browser keeps it."""
    headers = {"Cache-Control": "no-store"} if private else None
    return web.Response(status=status, body=write_json(members), content_type="application/json", headers=headers)
