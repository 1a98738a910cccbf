"""Makes the OpenAPI document (3.1) out of the routes that an exchange has, so that none is missing (pure).

::

    router -> (method, path) -> what ``descriptions`` says of it, or nothing -> paths, parameters, bodies, answers, who may
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiohttp import web

from sinchphone.exchange.openapi.descriptions import DESCRIPTIONS, SCHEMAS, AskedBy, Operation, asked_by, tag_of

_LEFT_OUT: Final = ("*", "HEAD")  # what is refused whatever it is, and what aiohttp adds to each GET
_ANY_JSON: Final = {"application/json": {"schema": {"type": ["object", "array"]}}}
_ERROR: Final = {"description": "Refused, in the platform's words.", "content": _ANY_JSON}
_SIGNED: Final = {"type": "apiKey", "in": "header", "name": "Authorization"}
_SCHEMES: Final[Mapping[AskedBy, Mapping[str, Any]]] = {
    AskedBy.BASIC: {"type": "http", "scheme": "basic", "description": "The application's key and secret."},
    AskedBy.APPLICATION: {**_SIGNED, "description": "Application KEY:SIGNATURE, with x-timestamp (Sinch, signed requests)."},
    AskedBy.INSTANCE: {**_SIGNED, "description": "Instance ID:SIGNATURE, with x-timestamp."},
    AskedBy.TOKEN: {"type": "http", "scheme": "bearer", "description": "A registration token (JWT)."},
    AskedBy.TICKET: {**_SIGNED, "description": "user TICKET, or application KEY."},
    AskedBy.MANAGEMENT: {"type": "http", "scheme": "bearer", "description": "The management token; in the SMS API the secret too."},
}
_ABOUT: Final = "Sinch's REST APIs as the local exchange has them, its pub/sub network, and what is its own under /__sinchphone."


def routes_of(router: web.UrlDispatcher) -> list[tuple[str, str]]:
    """Method and path of every route that serves something."""
    found = {(route.method, route.resource.canonical) for route in router.routes() if route.resource is not None}
    return sorted((method, path) for method, path in found if method not in _LEFT_OUT)


def document(routes: Iterable[tuple[str, str]], version: str) -> dict[str, Any]:
    """The document of these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in routes:
        paths.setdefault(path, {})[method.lower()] = _operation(method, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The exchange of sinchphone",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],  # wherever the document came from
        "paths": paths,
        "components": {
            "securitySchemes": {scheme.value: dict(described) for scheme, described in _SCHEMES.items()},
            "schemas": dict(SCHEMAS),
        },
    }


def _operation(method: str, path: str) -> dict[str, Any]:
    known = DESCRIPTIONS.get(f"{method} {path}", Operation())
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"\{(\w+)\}", path)]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in known.query]
    written: dict[str, Any] = {
        "operationId": _name(method, path),
        "tags": [tag_of(path)],
        "summary": known.summary or f"{method} {path}",
        "parameters": parameters,
        "responses": {str(known.status): {"description": "Done."}, "default": _ERROR},
        "security": [{scheme.value: []} for scheme in asked_by(path, known)],
    }
    if known.body is not None:
        written["requestBody"] = {"required": True, "content": {"application/json": {"schema": dict(known.body)}}}
    return {name: value for name, value in written.items() if value or name == "security"}


def _name(method: str, path: str) -> str:
    """As in ``getXmsV1PlanBatches``."""
    words = re.findall(r"[A-Za-z0-9]+", path)
    return method.lower() + "".join(word[0].upper() + word[1:] for word in words) + ("Index" if path.endswith("/") else "")
