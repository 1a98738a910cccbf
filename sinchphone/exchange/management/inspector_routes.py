"""The inspector: a page about what happens here, for a browser on this machine, and what only it asks for.

::

    GET /__sinchphone/                    -> the page; its token stands behind # in its address, where no server and no log sees it
    GET /__sinchphone/page/{file}         -> its modules and style, as they are in the package
    GET /__sinchphone/rooms               -> conference rooms, and who is in them
    GET /__sinchphone/recordings[/{key}]  -> recordings of calls, and one of them; DELETE forgets it

The page itself has no secret in it: whoever opens it without the token sees nothing. It takes no code from anywhere else (CSP).
"""

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import web

from sinchphone.exchange.access.admission import is_loopback
from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.exchange.management.access import ManagementAccess, json_answer
from sinchphone.exchange.options import MANAGEMENT_PATH
from sinchphone.exchange.recordings.shared_recordings import SharedRecordings
from sinchphone.exchange.refusals import forbidden, not_found
from sinchphone.signaling.wire import write_time

PAGE_PATH: Final = f"{MANAGEMENT_PATH}/"
ROOMS_PATH: Final = f"{MANAGEMENT_PATH}/rooms"
RECORDINGS_PATH: Final = f"{MANAGEMENT_PATH}/recordings"
_FOLDER: Final = Path(__file__).with_name("inspector")
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class InspectorRoutes:
    """The routes of one exchange."""

    def __init__(self, access: ManagementAccess, rooms: Rooms | None, recordings: SharedRecordings) -> None:
        self._access = access
        self._rooms = rooms
        self._recordings = recordings

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get(MANAGEMENT_PATH, self._lead)
        router.add_get(PAGE_PATH, self._index)
        router.add_get(f"{MANAGEMENT_PATH}/page/{{file}}", self._page)
        router.add_get(ROOMS_PATH, self._list_rooms)
        router.add_get(RECORDINGS_PATH, self._list_recordings)
        router.add_get(f"{RECORDINGS_PATH}/{{key}}", self._give_recording)
        router.add_delete(f"{RECORDINGS_PATH}/{{key}}", self._delete_recording)

    async def _lead(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.Response(status=307, headers={**_HEADERS, "Location": PAGE_PATH})

    async def _index(self, request: web.Request) -> web.Response:
        return await self._give(request, "index.html")

    async def _page(self, request: web.Request) -> web.Response:
        return await self._give(request, request.match_info["file"])

    async def _give(self, request: web.Request, name: str) -> web.Response:
        self._check(request)
        known = {file.name: file for file in _FOLDER.iterdir() if file.suffix in _TYPES}
        if name not in known:
            raise not_found("there is no such page")
        content = await asyncio.to_thread(known[name].read_bytes)
        return web.Response(body=content, content_type=_TYPES[known[name].suffix], charset="utf-8", headers=_HEADERS)

    def _check(self, request: web.Request) -> None:
        """Raises RefusedError for another machine, another name of ours, and for a page from elsewhere."""
        if not is_loopback(request.remote or ""):
            raise forbidden("the inspector is for this machine")
        self._access.check_page(request)

    async def _list_rooms(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        found = self._rooms.open_rooms(application.key) if self._rooms is not None else {}
        rooms = [
            {
                "id": room,
                "participants": [
                    {"name": one.participant.cli, "seconds": one.seconds, "muted": one.muted, "onhold": one.on_hold} for one in who
                ],
            }
            for room, who in found.items()
        ]
        return json_answer({"rooms": rooms}, private=True)

    async def _list_recordings(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        files = await self._recordings.listed(application.key)
        return json_answer(
            {"recordings": [{"key": file.name, "size": file.bytes, "at": write_time(file.made_at)} for file in files]}, private=True
        )

    async def _give_recording(self, request: web.Request) -> web.StreamResponse:
        application, _ = await self._access.receive(request)
        return await self._recordings.respond(request, application.key, request.match_info["key"])

    async def _delete_recording(self, request: web.Request) -> web.Response:
        application, _ = await self._access.receive(request)
        await self._recordings.delete(application.key, request.match_info["key"])
        return json_answer({}, private=True)
