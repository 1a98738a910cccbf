"""``POST /__sinchphone/reset``: an application's part of the exchange as if it had just been started for the first time.

Its calls end, its users are forgotten with their devices, messages, passwords and names, and so is what was used, came and was asked for.
Key and secret stay, and phones that run make themselves known again::

    calls end, at every process -> what is kept is forgotten, once -> what each process knows alone is forgotten, at every process
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web

from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.management.access import ManagementAccess
from sinchphone.exchange.options import MANAGEMENT_PATH
from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.signaling.fields import write_json

RESET_PATH: Final = f"{MANAGEMENT_PATH}/reset"
_RESET: Final = "reset"  # what other processes ask

Forget: TypeAlias = Callable[[Application], Awaitable[None]]  # what one room knows of an application


class ResetRoute:
    """The route of one exchange."""

    def __init__(
        self,
        access: ManagementAccess,
        directory: Directory,
        others: ProcessRequests | None = None,
        *,
        end_calls: Forget,
        forget_kept: Forget,
        forget_own: Forget,
    ) -> None:
        """``end_calls`` comes first, since calls still need everything else; ``forget_kept`` is about what all processes share,
        ``forget_own`` about what one knows alone: what the store refuses of them isn't done, and the request is refused. ``others`` where
        this exchange has several."""
        self._access = access
        self._directory = directory
        self._others = others
        self._forget_kept = forget_kept
        self._own_steps: Mapping[str, Forget] = {"calls": end_calls, "own": forget_own}
        if others is not None:
            others.serve(_RESET, self._serve_other)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the route."""
        router.add_post(RESET_PATH, self._reset)

    async def _reset(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        await self._everywhere("calls", application)
        await self._forget_kept(application)
        await self._everywhere("own", application)
        return web.Response(body=write_json({}), content_type="application/json")

    async def _everywhere(self, step: str, application: Application) -> None:
        """Raises RefusedError where another process doesn't answer: then it may be done once more."""
        await self._own_steps[step](application)
        if self._others is not None:
            await self._others.ask_each(application.key, _RESET, {"step": step})

    async def _serve_other(self, key: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        application = self._directory.application(key)
        if application is not None:
            await self._own_steps[members["step"]](application)
        return {}
