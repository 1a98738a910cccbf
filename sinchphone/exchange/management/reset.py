"""``POST /__sinchphone/reset``: an application's part of the exchange as if it had just been started for the first time.

Its calls end, its users are forgotten with their devices, messages, passwords and names, and so is what was used, came and was asked for.
Key and secret stay, and phones that run make themselves known again.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from aiohttp import web

from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.management.access import ManagementAccess
from sinchphone.exchange.options import MANAGEMENT_PATH
from sinchphone.signaling.fields import write_json

RESET_PATH: Final = f"{MANAGEMENT_PATH}/reset"

Forget: TypeAlias = Callable[[Application], Awaitable[None]]  # what one room knows of an application


class ResetRoute:
    """The route of one exchange."""

    def __init__(self, access: ManagementAccess, steps: Sequence[Forget]) -> None:
        """``steps`` are carried out in their order: calls first, which still need everything else."""
        self._access = access
        self._steps = steps

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the route."""
        router.add_post(RESET_PATH, self._reset)

    async def _reset(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        for forget in self._steps:
            await forget(application)
        return web.Response(body=write_json({}), content_type="application/json")
