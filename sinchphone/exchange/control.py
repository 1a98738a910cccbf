"""The process that hosts an exchange, as its user's other processes see it: how much it's used, and how it's told to end.

Requests but the first are signed with the application's secret (``Application key:signature``), which nobody but that user knows.

::

    GET  /?application=…&challenge=…&asker=…                     -> what this is; whom it serves has it proved
    GET  /exchange                                              -> who hosts, for how many
    POST /exchange/stop {"id", "unused", "replaced", "asker"}   -> ends, or 409 where it's another one, isn't to be ended, or is in use
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import field
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web

from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.identity import exchange_proof
from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.options import HOST_PATH, SERVICE, STOP_PATH, HostKind
from sinchphone.exchange.pubsub.origin import address_of
from sinchphone.exchange.refusals import RefusedError
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.wire import ErrorCode

_ASKED_SECONDS: Final = 1.5  # who asked for the proof so long ago may be about to register
_CHALLENGE_PAUSE_SECONDS: Final = 0.05
_MAX_ASKED: Final = 1_000
_MAX_ORDER_BYTES: Final = 4096
_NEW_SECONDS: Final = 10.0  # for a device that only calls to do so
_MAX_CHALLENGE_CHARACTERS: Final = 128


@quick_dataclass(frozen=True, slots=True)
class HostUse:
    """Who uses an exchange: ``calls`` that aren't over, ``callers``, devices that only call, and ``phones``, which wait. ``new_callers``
    are those callers that came a moment ago: they are about to call; who came earlier and doesn't call waits for messages."""

    calls: int
    callers: int
    phones: int
    new_callers: int


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """The process that hosts. ``settings`` tells configurations apart; ``stop`` ends the hosting soon, told whether another process takes
    its place: nobody can where there is none."""

    kind: HostKind = HostKind.PROGRAM
    settings: str = ""
    log: str | None = None
    stop: Callable[[bool], None] | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def introduction(self) -> dict[str, Any]:
        """What anybody may know."""
        return {"service": SERVICE, "version": version("sinchphone")}

    def details(self) -> dict[str, Any]:
        """What those may know who name the application."""
        return {"kind": self.kind.value, "settings": self.settings, "id": self.id}


class ControlRoutes:
    """The routes of one exchange."""

    def __init__(self, hosting: Hosting, verifier: Verifier, directory: Directory, calls_going_on: Callable[[], int]) -> None:
        self._hosting = hosting
        self._verifier = verifier
        self._directory = directory
        self._calls_going_on = calls_going_on
        self._since = time.monotonic()
        self._asked: dict[str, float] = {}

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/", self._identify)
        router.add_get(HOST_PATH, self._tell)
        router.add_post(STOP_PATH, self._stop)

    async def _identify(self, request: web.Request) -> web.Response:
        """Says what this is; to somebody who names an application and a random challenge, proves that it's served here, at the
        address where that one reached us."""
        identity = self._hosting.introduction()
        application = self._directory.application(request.query.get("application", ""))
        challenge = request.query.get("challenge", "")
        if application is not None and 0 < len(challenge) <= _MAX_CHALLENGE_CHARACTERS:
            identity |= self._hosting.details()
            self._note_asked(request.query.get("asker", challenge)[:_MAX_CHALLENGE_CHARACTERS])
            identity["proof"] = exchange_proof(application.secret, challenge, address_of(request.transport))
        return web.json_response(identity)

    def _note_asked(self, asker: str) -> None:
        """Somebody got our proof, and is about to use us."""
        self._asked.pop(asker, None)
        while len(self._asked) >= _MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[asker] = time.monotonic()

    def _usage(self, now: float) -> HostUse:
        devices = self._directory.listening(now)
        callers = [device for device in devices if not device.takes_calls]
        new = sum(abs(now - self._directory.began_to_listen(device)) < _NEW_SECONDS for device in callers)
        return HostUse(self._calls_going_on(), len(callers), len(devices) - len(callers), new)

    async def _tell(self, request: web.Request) -> web.Response:
        await self._receive(request, once=False)
        usage, hosting = self._usage(time.time()), self._hosting
        used = {"calls": usage.calls, "callers": usage.callers, "phones": usage.phones}
        process = {"pid": os.getpid(), "log": hosting.log, "seconds": int(time.monotonic() - self._since)}
        return _json({**hosting.introduction(), **hosting.details(), **process, **used})

    async def _stop(self, request: web.Request) -> web.Response:
        asked = Record.parse(await self._receive(request, once=True))
        calls, hosting = self._usage(time.time()).calls, self._hosting
        if asked.text("id", limit=64) != hosting.id:
            raise _conflict("another exchange has taken its place")
        unused, replaced = asked.flag("unused", default=False), asked.flag("replaced", default=False)
        if hosting.stop is None or (hosting.kind is HostKind.PROGRAM and not replaced):
            raise _conflict("it belongs to a terminal or a program, which ends it")
        if unused and not await self._is_unused(asked.optional_text("asker", limit=128)):
            raise _conflict("somebody calls")
        hosting.stop(replaced)
        return _json({"calls": calls})

    async def _is_unused(self, asker: str | None) -> bool:
        """Whether nobody calls, nor does a moment later of those who are about to; ``asker`` doesn't count."""
        deadline = time.monotonic() + 2 * _ASKED_SECONDS
        while True:
            usage, now = self._usage(time.time()), time.monotonic()
            if usage.calls or usage.new_callers or now >= deadline:
                return False
            if not any(at > now - _ASKED_SECONDS for other, at in self._asked.items() if other != asker):
                return True
            await asyncio.sleep(_CHALLENGE_PAUSE_SECONDS)

    async def _receive(self, request: web.Request, *, once: bool) -> bytes:
        received = await receive(request, _MAX_ORDER_BYTES)
        await self._verifier.backend(received, time.time(), once=once)
        return received.body


def _json(fields: dict[str, Any]) -> web.Response:
    return web.Response(body=write_json(fields), content_type="application/json")


def _conflict(message: str) -> RefusedError:
    return RefusedError(409, ErrorCode.INVALID_REQUEST, message)
