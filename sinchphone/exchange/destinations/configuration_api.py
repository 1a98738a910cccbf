"""The REST API of an application's callbacks (Sinch Voice REST, applications): where its backend is, read and set while the exchange runs.

::

    GET, POST /v1/configuration/callbacks/applications/{key} -> the gateway, made now if need be -> {"url": {"primary", "fallback"}}
    POST at another process of this exchange -> a row        -> the gateway
"""

import asyncio
import logging
import time
from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext
from typing import Any, Final

from aiohttp import web

from sinchphone.errors import ConfigError, SinchphoneError
from sinchphone.exchange.destinations.gateway import CallbackUrls, Gateway, GatewayOnDemand
from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.options import CALLING_ROOT
from sinchphone.exchange.refusals import forbidden, invalid
from sinchphone.exchange.store.store import Store, StoreError, kept
from sinchphone.exchange.store.tables import CALLBACK_URLS, Row
from sinchphone.signaling.fields import Record, write_json
from sinchphone.tasks import start_task

_CALLBACKS: Final = tuple(f"{root}/configuration/callbacks/applications/{{application}}" for root in ("/v1", CALLING_ROOT))

_logger = logging.getLogger(__name__)


class ConfigurationRoutes:
    """The routes of one exchange."""

    def __init__(self, gateway: GatewayOnDemand, verifier: Verifier, *, body_bytes: int, store: Store | None = None) -> None:
        """``body_bytes`` limits a request's body; ``store``: what several processes share, where there are several."""
        self._gateway = gateway
        self._verifier = verifier
        self._body_bytes = body_bytes
        self._configured: dict[str, CallbackUrls] = {}  # by application key: where they were before anybody set them
        self._store = store
        self._news: dict[str, CallbackUrls | None] = {}  # what other processes set, until the gateway here knows
        self._telling: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Know what other processes have set, and from now on what they set. Raises StoreError."""
        if self._store is not None:
            for row in await self._store.read(CALLBACK_URLS):
                self._came(row)
            self._store.follow(CALLBACK_URLS, self._came, self._went)

    async def forget(self, application: str, undo: ExitStack) -> None:
        """Have the application's callbacks go where they went before they were set here, unless it's undone."""
        gateway = self._gateway.gateway
        if gateway is not None and application in self._configured:
            undo.callback(self._put, gateway, application, gateway.callback_urls(application))
        self._news[application] = None
        await self._apply()
        if self._store is not None:
            self._store.drop(CALLBACK_URLS, application)

    def _came(self, row: Row) -> None:
        application, primary, fallback = row
        self._news[application] = CallbackUrls(primary, fallback)
        self._apply_soon()

    def _went(self, key: tuple[Any, ...]) -> None:
        self._news[key[0]] = None
        self._apply_soon()

    def _apply_soon(self) -> None:
        if self._telling is None or self._telling.done():
            self._telling = start_task(self._apply_all(), name="callbacks that another process set")

    async def _apply_all(self) -> None:
        try:
            await self._apply()
        except SinchphoneError as error:
            _logger.error("callbacks go where they went before, and not where another process of this exchange was told: %s", error)

    async def _apply(self) -> None:
        """Raises RefusedError and ConfigError."""
        while self._news:
            gateway = await self._gateway.ready() if any(one is not None for one in self._news.values()) or self._configured else None
            news, self._news = self._news, {}
            for application, urls in news.items():
                if gateway is not None and urls is not None:
                    self._configured.setdefault(application, gateway.callback_urls(application))
                    gateway.set_callback_urls(application, urls)
                elif gateway is not None and (before := self._configured.pop(application, None)) is not None:
                    gateway.set_callback_urls(application, before)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes, as the SDKs send them and beside the rest of the calling API."""
        for path in _CALLBACKS:
            router.add_get(path, self._read)
            router.add_post(path, self._set)

    async def _read(self, request: web.Request) -> web.Response:
        application, _ = await self._asked(request, once=False)
        await self._apply()
        urls = (await self._gateway.ready()).callback_urls(application)
        return _answer({"url": {"primary": urls.primary, "fallback": urls.fallback}})

    async def _set(self, request: web.Request) -> web.Response:
        application, body = await self._asked(request, once=True)
        asked = Record.parse(body).record("url")
        urls = CallbackUrls(asked.optional_text("primary") or "", asked.optional_text("fallback") or "")
        await self._apply()
        try:
            gateway = await self._gateway.ready()
            async with self._kept() as undo:
                before = gateway.callback_urls(application) if application in self._configured else None
                self._put(gateway, application, urls)
                undo.callback(self._put_back, gateway, application, urls, before)
        except StoreError:
            raise
        except ConfigError as error:
            raise invalid(str(error)) from error
        return _answer({})

    def _kept(self) -> AbstractAsyncContextManager[ExitStack]:
        """What is changed inside is kept, where several processes share it, or undone. Raises StoreError."""
        return kept(self._store) if self._store is not None else nullcontext(ExitStack())

    def _put(self, gateway: Gateway, application: str, urls: CallbackUrls) -> None:
        """Raises ConfigError for what is no URL: nothing is changed then."""
        before = gateway.callback_urls(application)
        gateway.set_callback_urls(application, urls)
        self._configured.setdefault(application, before)
        if self._store is not None:
            self._store.put(CALLBACK_URLS, application, urls.primary, urls.fallback)

    def _put_back(self, gateway: Gateway, application: str, urls: CallbackUrls, before: CallbackUrls | None) -> None:
        """``before``: what was set before these, if anything was. Another request may have set others meanwhile."""
        if gateway.callback_urls(application) != urls:
            return
        if before is not None:
            self._put(gateway, application, before)
            return
        gateway.set_callback_urls(application, self._configured.pop(application))
        if self._store is not None:
            self._store.drop(CALLBACK_URLS, application)

    async def _asked(self, request: web.Request, *, once: bool) -> tuple[str, bytes]:
        """Whose callbacks, and the body. Raises RefusedError: an application has its own ones only."""
        received = await receive(request, self._body_bytes)
        application = await self._verifier.backend(received, time.time(), once=once)
        if request.match_info["application"] != application.key:
            raise forbidden("an application reads and sets its own callbacks only")
        return application.key, received.body


def _answer(content: dict[str, object]) -> web.Response:
    return web.Response(body=write_json(content), content_type="application/json")
