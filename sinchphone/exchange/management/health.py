"""``GET /health`` and ``/ready``: 503 until everything listens, then 200, and 503 again once the exchange leaves its place."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from aiohttp import web

from sinchphone.exchange.options import SERVICE
from sinchphone.signaling.fields import write_json

HEALTH_PATHS: Final = ("/health", "/ready")


class HealthRoutes:
    """The routes of one exchange; they are answered while other requests still wait for its start."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        for path in HEALTH_PATHS:
            router.add_get(path, self._tell)

    async def _tell(self, request: web.Request) -> web.Response:
        ready = self._is_ready()
        members = {"service": SERVICE, "version": version("sinchphone"), "status": "ok" if ready else "starting"}
        return web.Response(status=200 if ready else 503, body=write_json(members), content_type="application/json")
