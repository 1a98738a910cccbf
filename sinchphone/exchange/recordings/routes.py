"""The REST API of recordings: an application lists, fetches and deletes its own.

::

    GET    /calling/v1/recording          -> {"recordings": [{"key", "size", "timestamp"}]}
    GET    /calling/v1/recording/{key}    -> the file
    DELETE /calling/v1/recording/{key}
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from aiohttp import web

from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.recordings.recordings import Recordings
from sinchphone.exchange.refusals import not_found
from sinchphone.protocol.callbacks.events import write_timestamp
from sinchphone.signaling.fields import write_json

RECORDINGS_PATH: Final = "/calling/v1/recording"
_ONE: Final = f"{RECORDINGS_PATH}/{{key}}"
_TYPES: Final = {".mp3": "audio/mpeg", ".wav": "audio/wav", ".ogg": "audio/ogg", ".flac": "audio/flac"}


class RecordingRoutes:
    """The routes of one exchange."""

    def __init__(self, recordings: Recordings, verifier: Verifier, *, body_bytes: int) -> None:
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
        application = await self._asked_by(request, once=False)
        files = await asyncio.to_thread(self._recordings.listed, application)
        listed = [{"key": file.name, "size": file.bytes, "timestamp": write_timestamp(file.made_at)} for file in files]
        return web.Response(body=write_json({"recordings": listed}), content_type="application/json")

    async def _give(self, request: web.Request) -> web.StreamResponse:
        path = await self._found(request, once=False)
        return web.FileResponse(
            path,
            headers={"Content-Type": _TYPES.get(path.suffix, "application/octet-stream"), "X-Content-Type-Options": "nosniff"},
        )

    async def _delete(self, request: web.Request) -> web.Response:
        path = await self._found(request, once=True)
        await asyncio.to_thread(self._recordings.delete, path.name)
        return web.Response(body=write_json({}), content_type="application/json")

    async def _found(self, request: web.Request, *, once: bool) -> Path:
        application = await self._asked_by(request, once=once)
        path = await asyncio.to_thread(self._recordings.find, application, request.match_info["key"])
        if path is None:
            raise not_found("there is no such recording")
        return path

    async def _asked_by(self, request: web.Request, *, once: bool) -> str:
        """Whose recordings. Raises RefusedError."""
        received = await receive(request, self._body_bytes)
        return (await self._verifier.backend(received, time.time(), once=once)).key
