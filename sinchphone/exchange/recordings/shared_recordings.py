"""The recordings of all processes of an exchange: the one that made a recording has it, and any gives it out.

::

    list   -> every process says what it has
    fetch  -> not here: who has it? -> a piece after the other: it puts one where the asking process takes it away
    delete -> whoever has it
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.exchange.recordings.recordings import RecordingFile, Recordings
from sinchphone.exchange.refusals import not_found
from sinchphone.exchange.store.feed import Pieces

PIECE_BYTES: Final = 256 * 1024
_TYPES: Final = {".mp3": "audio/mpeg", ".wav": "audio/wav", ".ogg": "audio/ogg", ".flac": "audio/flac"}
_LIST, _GIVE, _DELETE = "recordings", "recording", "delete recording"  # what other processes ask


class SharedRecordings:
    """As one process knows them: its ``own``, and where this exchange has several those of the ``others``, by ``pieces``."""

    def __init__(self, own: Recordings, others: ProcessRequests | None = None, pieces: Pieces | None = None) -> None:
        self._own = own
        self._others = others
        self._pieces = pieces
        if others is not None:
            for kind, serve in ((_LIST, self._list), (_GIVE, self._give), (_DELETE, self._delete)):
                others.serve(kind, serve)

    async def listed(self, application: str) -> list[RecordingFile]:
        """An application's that are complete, the newest first. Raises RefusedError where a process doesn't say what it has."""
        files = {one.name: one for one in await asyncio.to_thread(self._own.listed, application)}
        if self._others is not None:
            for told in await self._others.ask_each(application, _LIST, {}):
                files |= {name: RecordingFile(name, size, made_at) for name, size, made_at in told["files"]}
        return sorted(files.values(), key=lambda file: (file.made_at, file.name), reverse=True)

    async def respond(self, request: web.Request, application: str, name: str) -> web.StreamResponse:
        """Answer with an application's recording of that name. Raises RefusedError."""
        kind = _TYPES.get(Path(name).suffix, "application/octet-stream")
        headers = {"Content-Type": kind, "X-Content-Type-Options": "nosniff"}
        path = await asyncio.to_thread(self._own.find, application, name)
        if path is not None:
            return web.FileResponse(path, headers=headers)
        told = await self._ask_whoever_has_it(application, _GIVE, {"name": name, "offset": 0})
        response = web.StreamResponse(headers={**headers, "Content-Length": str(told["size"])})
        await response.prepare(request)
        if request.method != "HEAD":
            await self._pass_on(response, application, name, told)
        return response

    async def delete(self, application: str, name: str) -> None:
        """Forget an application's recording of that name. Raises RefusedError."""
        path = await asyncio.to_thread(self._own.find, application, name)
        if path is not None:
            await asyncio.to_thread(self._own.delete, path.name)
        else:
            await self._ask_whoever_has_it(application, _DELETE, {"name": name})

    async def _ask_whoever_has_it(self, application: str, kind: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = await self._others.ask_all(application, kind, members) if self._others is not None else None
        if answer is None:
            raise not_found("there is no such recording")
        return answer

    async def _pass_on(self, response: web.StreamResponse, application: str, name: str, told: Mapping[str, Any]) -> None:
        """Where that process goes meanwhile, the connection breaks off before all is there."""
        assert self._pieces is not None and self._others is not None, "somebody told"
        passed = 0
        while content := await self._pieces.borrow(application, told["piece"]):
            await response.write(content)
            passed += len(content)
            if passed >= told["size"]:
                break
            told = await self._others.ask(application, told["process"], _GIVE, {"name": name, "offset": passed})

    # What other processes ask

    async def _list(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        files = await asyncio.to_thread(self._own.listed, application)
        return {"files": [[file.name, file.bytes, file.made_at] for file in files]}

    async def _give(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self._pieces is not None and self._others is not None, "somebody asks"
        path = await self._found(application, members)
        size, content = await asyncio.to_thread(_read, path, int(members["offset"]))
        piece = await self._pieces.lend(application, content)
        return {"process": self._others.process, "size": size, "piece": piece}

    async def _delete(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        path = await self._found(application, members)
        await asyncio.to_thread(self._own.delete, path.name)
        return {}

    async def _found(self, application: str, members: Mapping[str, Any]) -> Path:
        path = await asyncio.to_thread(self._own.find, application, str(members["name"]))
        if path is None:
            raise not_found("there is no such recording")
        return path


def _read(path: Path, offset: int) -> tuple[int, bytes]:
    """How long a file is, and a piece of it. Raises RefusedError where it's gone meanwhile."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return path.stat().st_size, file.read(PIECE_BYTES)
    except FileNotFoundError as error:
        raise not_found("there is no such recording any more") from error
