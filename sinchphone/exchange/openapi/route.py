"""``GET /openapi.json``: the document of the routes that this exchange has, for anybody."""

from importlib.metadata import version
from typing import Final

from aiohttp import web

from sinchphone.exchange.openapi.document import document, routes_of
from sinchphone.signaling.fields import write_json

OPENAPI_PATH: Final = "/openapi.json"


def add_to(router: web.UrlDispatcher) -> None:
    """Add the route. The document has those that are added later too."""
    made: list[bytes] = []

    async def serve(request: web.Request) -> web.Response:
        if not made:
            made.append(write_json(document(routes_of(router), version("sinchphone"))))
        return web.Response(body=made[0], content_type="application/json")

    router.add_get(OPENAPI_PATH, serve)
