"""Calls of simulated phones to numbers of the exchange, over HTTP.

::

    POST   /__sinchphone/calls {"to", "from", "sound" (base64), "tone", "digits", "seconds", "ringSeconds", "endAfterSound"} -> 201
    GET    /__sinchphone/calls/{id} -> {"id", "state", "failure", "seconds", "digits", "heardSeconds"}
    DELETE /__sinchphone/calls/{id} -> hung up
"""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from aiohttp import web

from sinchphone.errors import DestinationError, RemoteProtocolError
from sinchphone.exchange.destinations.backend_calls import BackendCalls, SimulatedCallStatus, SimulatedCallWish
from sinchphone.exchange.destinations.gateway import GatewayOnDemand
from sinchphone.exchange.directory.accounts import Accounts
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.management.access import ManagementAccess, json_answer
from sinchphone.exchange.management_paths import CALLS_PATH, MAX_SOUND_BYTES
from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.exchange.refusals import RefusedError
from sinchphone.protocol.phone_numbers import PRIVATE, read_number
from sinchphone.protocol.voice_limits import MAX_CALL_SECONDS
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.fields import Record

_SIMULATED: Final = "simulated call"  # what other processes ask
_BODY_BYTES: Final = 2 * MAX_SOUND_BYTES
_DIGITS: Final = re.compile(r"[0-9*#A-DwW]{1,128}")

_Serve: TypeAlias = Callable[[str, str], Awaitable[Mapping[str, Any]]]  # the application's key, the call


class SimulatedCallsRoutes:
    """The routes of one exchange."""

    def __init__(
        self, gateway: GatewayOnDemand, accounts: Accounts, access: ManagementAccess, others: ProcessRequests | None = None
    ) -> None:
        """``others``: the processes that may have a call, where this exchange has several."""
        self._gateway = gateway
        self._others = others
        self._serves: Mapping[str, _Serve] = {"tell": self._tell, "hang up": self._hang_up}
        if others is not None:
            others.serve(_SIMULATED, self._serve_other)
        self._accounts = accounts
        self._access = access

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_post(CALLS_PATH, self._call)
        router.add_get(f"{CALLS_PATH}/{{call}}", self._route("tell"))
        router.add_delete(f"{CALLS_PATH}/{{call}}", self._route("hang up"))

    def _route(self, name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A route about one call, which another process may have."""

        async def answer(request: web.Request) -> web.Response:
            application, _ = await self._access.receive(request)
            call = request.match_info["call"]
            try:
                return json_answer(await self._serves[name](application.key, call))
            except RefusedError as error:
                if error.status != 404 or self._others is None:
                    raise
                answer = await self._others.ask_all(application.key, _SIMULATED, {"name": name, "call": call})
                if answer is None:
                    raise
                return json_answer(answer)

        return answer

    async def _serve_other(self, application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._serves[members["name"]](application, members["call"])

    async def _calls(self) -> BackendCalls:
        return (await self._gateway.ready()).backend_calls

    async def _call(self, request: web.Request) -> web.Response:
        application, body = await self._access.receive(request, body_bytes=_BODY_BYTES)
        wish = self._read(application, body)
        return json_answer(_members(await (await self._calls()).simulate(application.key, wish)), status=201)

    async def _tell(self, application: str, call: str) -> Mapping[str, Any]:
        return _members((await self._calls()).simulated(application, call))

    async def _hang_up(self, application: str, call: str) -> Mapping[str, Any]:
        await (await self._calls()).hang_up_simulated(application, call)
        return {}

    def _read(self, application: Application, body: bytes) -> SimulatedCallWish:
        """Raises RemoteProtocolError."""
        asked = Record.parse(body)
        asked.only("to", "from", "sound", "tone", "digits", "seconds", "ringSeconds", "endAfterSound")
        number = _number(asked.text("to", limit=64), "to")
        shown = asked.text("from", limit=64)
        digits = asked.optional_text("digits", limit=128) or ""
        if digits and not _DIGITS.fullmatch(digits):
            raise asked.odd("digits", "digits: 0-9, *, #, A-D, w and W")
        return SimulatedCallWish(
            number=number,
            shown=None if shown.lower() == PRIVATE else _number(shown, "from"),
            user=self._accounts.resolve(application, Recipient(number, IdentityKind.NUMBER)),
            sound=_sound(asked),
            tone_hz=asked.number("tone", low=1, high=23_999) if asked.has("tone") else None,
            digits=digits,
            talk_s=asked.number("seconds", low=0, high=MAX_CALL_SECONDS) if asked.has("seconds") else None,
            ring_s=asked.number("ringSeconds", low=1, high=MAX_CALL_SECONDS) if asked.has("ringSeconds") else None,
            ends_after_sound=asked.flag("endAfterSound", default=False),
        )


def _sound(asked: Record) -> bytes:
    text = asked.value("sound")
    if text is None:
        return b""
    try:
        sound = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        sound = None
    if sound is None or len(sound) > MAX_SOUND_BYTES:
        raise asked.odd("sound", f"a file of at most {MAX_SOUND_BYTES} bytes in base64")
    return sound


def _number(text: str, name: str) -> str:
    try:
        return read_number(text)
    except DestinationError as error:
        raise RemoteProtocolError(f"{name}: {error}") from error


def _members(status: SimulatedCallStatus) -> dict[str, Any]:
    failure = status.failure
    return {
        "id": status.id,
        "state": status.state.value,
        "failure": {"status": failure[0], "reason": failure[1]} if failure is not None else None,
        "seconds": round(status.talked_s, 3) if status.talked_s is not None else None,
        "digits": status.digits,
        "heardSeconds": status.heard_s,
    }
