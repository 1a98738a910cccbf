"""The REST API of conferences (Sinch Voice REST, conferences).

::

    request -> which application's backend asks (``verification``) -> command -> rooms -> answer
                                                                       └> the process that has the room, where that's another
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web

from sinchphone.exchange.conference.rooms import ParticipantStatus, Rooms
from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.options import CALLING_ROOT
from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.protocol.callbacks.svaml_actions import MUSIC
from sinchphone.signaling.fields import Record, write_json

_CONFERENCE: Final = f"{CALLING_ROOT}/conferences/id/{{conference}}"
_PARTICIPANT: Final = f"{_CONFERENCE}/{{call}}"

_ROOM: Final = "room"  # what other processes ask

_Serve: TypeAlias = Callable[
    [str, str, str, bytes], Awaitable[bytes]
]  # the application's key, the conference, the call, the body; the answer


class ConferenceRoutes:
    """The routes of one exchange."""

    def __init__(self, rooms: Rooms, verifier: Verifier, *, body_bytes: int, others: ProcessRequests | None = None) -> None:
        """``body_bytes`` limits a request's body; ``others``: the processes that may have a room, where this exchange has several."""
        self._others = others
        self._serves: Mapping[str, _Serve] = {"list": self._list, "kick all": self._kick_all, "command": self._command, "kick": self._kick}
        if others is not None:
            others.serve(_ROOM, self._serve_other)
        self._rooms = rooms
        self._verifier = verifier
        self._body_bytes = body_bytes

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get(_CONFERENCE, self._route("list", once=False))
        router.add_delete(_CONFERENCE, self._route("kick all", once=True))
        router.add_patch(_PARTICIPANT, self._route("command", once=True))
        router.add_delete(_PARTICIPANT, self._route("kick", once=True))

    def _route(self, name: str, *, once: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
        """``once``: a signed request isn't served twice."""

        async def answer(request: web.Request) -> web.Response:
            received, now = await receive(request, self._body_bytes), time.time()
            application = await self._verifier.backend(received, now, once=once)
            named = request.match_info
            body = await self._serve(name, application.key, named["conference"], named.get("call", ""), received.body)
            return web.Response(body=body, content_type="application/json")

        return answer

    async def _serve(self, name: str, application: str, conference: str, call: str, body: bytes) -> bytes:
        process = self._rooms.owners.elsewhere(application, conference)
        if process is None or self._others is None:
            return await self._serves[name](application, conference, call, body)
        members = {"name": name, "conference": conference, "call": call, "body": body.decode(errors="replace")}
        answer = await self._others.ask(application, process, _ROOM, members)
        return str(answer["body"]).encode()

    async def _serve_other(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        body = await self._serves[members["name"]](application, members["conference"], members["call"], members["body"].encode())
        return {"body": body.decode()}

    async def _list(self, application: str, conference: str, call: str, body: bytes) -> bytes:
        there = self._rooms.participants(application, conference)
        return write_json({"participants": [_members(one) for one in there]})

    async def _kick_all(self, application: str, conference: str, call: str, body: bytes) -> bytes:
        await self._rooms.kick_all(application, conference)
        return write_json({})

    async def _kick(self, application: str, conference: str, call: str, body: bytes) -> bytes:
        await self._rooms.kick(application, conference, call)
        return write_json({})

    async def _command(self, application: str, conference: str, call: str, body: bytes) -> bytes:
        asked = Record.parse(body)
        where = application, conference, call
        match asked.text("command", limit=32):
            case "mute":
                self._rooms.mute(*where, muted=True)
            case "unmute":
                self._rooms.mute(*where, muted=False)
            case "onhold":
                self._rooms.hold(*where, held=True, music_name=_music(asked))
            case "resume":
                self._rooms.hold(*where, held=False)
            case _:
                raise asked.odd("command", "mute, unmute, onhold or resume")
        await self._rooms.settled(*where)
        return write_json({})


def _music(asked: Record) -> str | None:
    """What a participant on hold hears; silence where that isn't said."""
    name = asked.optional_text("moh", limit=32)
    if name not in (None, *MUSIC):
        raise asked.odd("moh", ", ".join(MUSIC))
    return name


def _members(status: ParticipantStatus) -> dict[str, object]:
    who = status.participant
    flags = {"muted": status.muted, "onhold": status.on_hold}
    return {"cli": who.cli, "id": who.id, "duration": int(status.seconds), **flags}
