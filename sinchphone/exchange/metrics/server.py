"""An address beside the exchange's own, for who runs it: ``/health``, ``/ready`` and ``/metrics``. Nothing of it is on the public port.

::

    /health   200 as long as the process answers
    /ready    200 where it serves, else 503; the body says what is in its way
    /metrics  the figures, as Prometheus reads them
"""

import asyncio
import importlib
from collections.abc import Mapping
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web
from aiohttp.typedefs import Handler

from sinchphone.errors import ConfigError
from sinchphone.exchange.access.admission import check_host
from sinchphone.exchange.listening import listen
from sinchphone.exchange.management.health import troubles_in_time
from sinchphone.exchange.metrics.readings import ReadExchange
from sinchphone.exchange.options import SERVICE
from sinchphone.exchange.refusals import RefusedError
from sinchphone.hosts import join_host
from sinchphone.signaling.fields import write_json

if TYPE_CHECKING:
    from sinchphone.exchange.metrics.exposition import Exposition

_EXPOSITION: Final = "sinchphone.exchange.metrics.exposition"  # its library isn't loaded where nobody measures
_MAX_LINE_BYTES: Final = 8 * 1024


class MetricsServer:
    """``async with`` listens and ends it. Begin it before the exchange and end it after: it tells that, too."""

    def __init__(self, where: tuple[str, int], exchange: ReadExchange) -> None:
        """``where``: host and port; port 0 takes a free one."""
        self._host, self._port = where
        self._exchange = exchange
        self._exposition: Exposition | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._runner is not None, "it was started"
        return f"http://{join_host(self._host, int(self._runner.addresses[0][1]))}"

    async def __aenter__(self) -> Self:
        """Listen. Raises ConfigError without the library, NetworkError where that's not possible."""
        await asyncio.to_thread(self._load)
        application = web.Application(middlewares=[self._asked_by_name], client_max_size=0)
        application.router.add_get("/health", self._tell_health)
        application.router.add_get("/ready", self._tell_ready)
        application.router.add_get("/metrics", self._tell_metrics)
        runner = web.AppRunner(application, access_log=None, max_line_size=_MAX_LINE_BYTES, max_field_size=_MAX_LINE_BYTES)
        sockets = await asyncio.to_thread(listen, self._host, self._port)
        await runner.setup()
        for one in sockets:
            await web.SockSite(runner, one).start()
        self._runner = runner
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _load(self) -> None:
        try:
            self._exposition = importlib.import_module(_EXPOSITION).Exposition(self._exchange.readings)
        except ModuleNotFoundError as error:
            raise ConfigError("[exchange] metrics needs prometheus-client", hint='pip install "sinchphone[metrics]"') from error

    async def _tell_health(self, request: web.Request) -> web.Response:
        return _answer(200, {"status": "ok"})

    async def _tell_ready(self, request: web.Request) -> web.Response:
        troubles = await troubles_in_time(self._exchange.troubles)
        told = {"troubles": dict(troubles), "warnings": dict(self._exchange.warnings)}
        return _answer(503 if troubles else 200, {"status": "unavailable" if troubles else "ok", **told})

    async def _tell_metrics(self, request: web.Request) -> web.Response:
        assert self._exposition is not None, "it was loaded"
        body, content_type = self._exposition.write(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    @web.middleware
    async def _asked_by_name(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """No page of another host's name reads it (DNS rebinding)."""
        try:
            check_host(request, self._host)
        except RefusedError as refusal:
            return _answer(refusal.status, {"status": str(refusal)})
        return await handler(request)


def _answer(status: int, members: Mapping[str, object]) -> web.Response:
    body = write_json({"service": SERVICE, "version": version("sinchphone"), **members})
    return web.Response(status=status, body=body, content_type="application/json")
