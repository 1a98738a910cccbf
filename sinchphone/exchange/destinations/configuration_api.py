"""The REST API of an application's callbacks (Sinch Voice REST, applications): where its backend is, read and set while the exchange runs.

::

    GET, POST /v1/configuration/callbacks/applications/{key} -> the gateway, made now if need be -> {"url": {"primary", "fallback"}}
"""

import time
from typing import Final

from aiohttp import web

from sinchphone.errors import ConfigError
from sinchphone.exchange.destinations.gateway import CallbackUrls, GatewayOnDemand
from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.refusals import forbidden, invalid
from sinchphone.signaling.fields import Record, write_json

_CALLBACKS: Final = tuple(f"{root}/configuration/callbacks/applications/{{application}}" for root in ("/v1", "/calling/v1"))


class ConfigurationRoutes:
    """The routes of one exchange."""

    def __init__(self, gateway: GatewayOnDemand, verifier: Verifier, *, body_bytes: int) -> None:
        """``body_bytes`` limits a request's body."""
        self._gateway = gateway
        self._verifier = verifier
        self._body_bytes = body_bytes
        self._configured: dict[str, CallbackUrls] = {}  # by application key: where they were before anybody set them

    async def forget(self, application: str) -> None:
        """Have the application's callbacks go where they went before they were set here."""
        urls = self._configured.pop(application, None)
        if urls is not None:
            (await self._gateway.ready()).set_callback_urls(application, urls)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes, as the SDKs send them and beside the rest of the calling API."""
        for path in _CALLBACKS:
            router.add_get(path, self._read)
            router.add_post(path, self._set)

    async def _read(self, request: web.Request) -> web.Response:
        application, _ = await self._asked(request, once=False)
        urls = (await self._gateway.ready()).callback_urls(application)
        return _answer({"url": {"primary": urls.primary, "fallback": urls.fallback}})

    async def _set(self, request: web.Request) -> web.Response:
        application, body = await self._asked(request, once=True)
        asked = Record.parse(body).record("url")
        urls = CallbackUrls(asked.optional_text("primary") or "", asked.optional_text("fallback") or "")
        try:
            gateway = await self._gateway.ready()
            before = gateway.callback_urls(application)
            gateway.set_callback_urls(application, urls)
            self._configured.setdefault(application, before)
        except ConfigError as error:
            raise invalid(str(error)) from error
        return _answer({})

    async def _asked(self, request: web.Request, *, once: bool) -> tuple[str, bytes]:
        """Whose callbacks, and the body. Raises RefusedError: an application has its own ones only."""
        received = await receive(request, self._body_bytes)
        application = await self._verifier.backend(received, time.time(), once=once)
        if request.match_info["application"] != application.key:
            raise forbidden("an application reads and sets its own callbacks only")
        return application.key, received.body


def _answer(content: dict[str, object]) -> web.Response:
    return web.Response(body=write_json(content), content_type="application/json")
