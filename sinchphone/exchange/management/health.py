"""``GET /health`` and ``/ready``: 503 until everything listens, then 200, and 503 again once the exchange leaves its place; ``/ready`` also
from when it takes no new calls, and while something that it needs isn't reached (Redis, a relay)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Final

from aiohttp import web

from sinchphone.exchange.options import SERVICE
from sinchphone.signaling.fields import write_json

HEALTH_PATHS: Final = ("/health", "/ready")
READY_SECONDS: Final = 2.0  # for all that is asked whether it's there
_FRESH_SECONDS: Final = 1.0  # anybody may ask: what it needs is asked no more often

Troubles = Callable[[], Awaitable[Mapping[str, str]]]


class HealthRoutes:
    """The routes of one exchange; they are answered while other requests still wait for its start. What is in its way isn't told: anybody
    asks here."""

    def __init__(self, lives: Callable[[], bool], is_ready: Callable[[], bool], troubles: Troubles) -> None:
        """``is_ready``: as far as it knows itself; ``troubles`` asks what it needs."""
        self._lives = lives
        self._is_ready = is_ready
        self._troubles = troubles
        self._asking = asyncio.Lock()
        self._asked_at = -_FRESH_SECONDS
        self._all_there = True

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/health", self._tell_health)
        router.add_get("/ready", self._tell_ready)

    async def _tell_health(self, request: web.Request) -> web.Response:
        return _answer("ok" if self._lives() else "starting")

    async def _tell_ready(self, request: web.Request) -> web.Response:
        if not self._is_ready():
            return _answer("starting")
        return _answer("ok" if await self._has_all() else "unavailable")

    async def _has_all(self) -> bool:
        async with self._asking:
            if time.monotonic() - self._asked_at >= _FRESH_SECONDS:
                self._all_there = not await troubles_in_time(self._troubles)
                self._asked_at = time.monotonic()
            return self._all_there


async def troubles_in_time(troubles: Troubles) -> Mapping[str, str]:
    """What is in an exchange's way; what doesn't answer within a time is."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await troubles()
    except TimeoutError:
        return {"exchange": f"what it needs didn't answer within {READY_SECONDS:g} s"}


def _answer(status: str) -> web.Response:
    members = {"service": SERVICE, "version": version("sinchphone"), "status": status}
    return web.Response(status=200 if status == "ok" else 503, body=write_json(members), content_type="application/json")
