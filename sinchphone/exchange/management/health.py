"""``GET /health`` and ``/ready``: 503 until everything listens, then 200, and 503 again once the exchange leaves its place; ``/ready`` also
from when it takes no new calls."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from aiohttp import web

from sinchphone.exchange.options import SERVICE
from sinchphone.signaling.fields import write_json

HEALTH_PATHS: Final = ("/health", "/ready")


class HealthRoutes:
    """The routes of one exchange; they are answered while other requests still wait for its start."""

    def __init__(self, lives: Callable[[], bool], is_ready: Callable[[], bool]) -> None:
        self._states = dict(zip(HEALTH_PATHS, (lives, is_ready), strict=True))

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        for path in HEALTH_PATHS:
            router.add_get(path, self._tell)

    async def _tell(self, request: web.Request) -> web.Response:
        good = self._states[request.path]()
        members = {"service": SERVICE, "version": version("sinchphone"), "status": "ok" if good else "starting"}
        return web.Response(status=200 if good else 503, body=write_json(members), content_type="application/json")
