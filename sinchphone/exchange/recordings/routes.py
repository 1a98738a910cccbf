"""The REST API of recordings: an application lists, fetches and deletes its own.

::

    GET    /calling/v1/recording          -> {"recordings": [{"key", "size", "timestamp"}]}
    GET    /calling/v1/recording/{key}    -> the file
    DELETE /calling/v1/recording/{key}
"""

import time
from typing import Final

from aiohttp import web

from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.recordings.shared_recordings import SharedRecordings
from sinchphone.protocol.callbacks.events import write_timestamp
from sinchphone.signaling.fields import write_json

RECORDINGS_PATH: Final = "/calling/v1/recording"
_ONE: Final = f"{RECORDINGS_PATH}/{{key}}"


class RecordingRoutes:
    """The routes of one exchange."""

    def __init__(self, recordings: SharedRecordings, verifier: Verifier, *, body_bytes: int) -> None:
        """``body_bytes`` limits a request's body."""
        self._recordings = recordings
        self._verifier = verifier
        self._body_bytes = body_bytes

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add them."""
        router.add_get(RECORDINGS_PATH, self._list)
        router.add_get(_ONE, self._give)
        router.add_delete(_ONE, self._delete)

    async def _list(self, request: web.Request) -> web.Response:
        files = await self._recordings.listed(await self._asked_by(request, once=False))
        listed = [{"key": file.name, "size": file.bytes, "timestamp": write_timestamp(file.made_at)} for file in files]
        return web.Response(body=write_json({"recordings": listed}), content_type="application/json")

    async def _give(self, request: web.Request) -> web.StreamResponse:
        return await self._recordings.respond(request, await self._asked_by(request, once=False), request.match_info["key"])

    async def _delete(self, request: web.Request) -> web.Response:
        await self._recordings.delete(await self._asked_by(request, once=True), request.match_info["key"])
        return web.Response(body=write_json({}), content_type="application/json")

    async def _asked_by(self, request: web.Request, *, once: bool) -> str:
        """Whose recordings. Raises RefusedError."""
        received = await receive(request, self._body_bytes)
        return (await self._verifier.backend(received, time.time(), once=once)).key
