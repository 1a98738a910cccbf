"""What can be called on every exchange beside its users: the dial plan's names and numbers, and conference rooms."""

import asyncio
import importlib
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Final

from sinchphone.exchange.calls.line import Answerer, CallLine, Elsewhere
from sinchphone.exchange.conference.rooms import Rooms, check_room_id
from sinchphone.exchange.destinations.dialplan import Plan, plan_for
from sinchphone.exchange.directory.devices import Application
from sinchphone.media.port import PortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.signaling.dialect import CallRequest, Domain

if TYPE_CHECKING:
    from sinchphone.media.network.simulated_line import SimulatedLine

_ATTENDANT: Final = "sinchphone.exchange.destinations.attendant"  # recordings and much else: a user's call to a user needs none of it


class Attendants:
    """Implements ``line.Destinations``."""

    def __init__(self, media: MediaThread, rooms: Rooms, bad_line: "SimulatedLine | None" = None) -> None:
        """``media`` carries the sound, over a ``bad_line`` where there is one; it is started with the first call."""
        self._media = media
        self._bad_line = bad_line
        self._rooms = rooms

    async def find(self, application: Application, request: CallRequest) -> Answerer | Elsewhere | None:
        """Who answers, or ``None``. Raises RefusedError and StoreError."""
        if request.domain is Domain.CONFERENCE:
            check_room_id(request.identity)
            process = await self._rooms.owners.claim(application.key, request.identity)
            if process is not None:
                return Elsewhere(process)
            self._rooms.check(application.key, request.identity)
            return self._take_seat
        plan = plan_for(request.domain, request.identity)
        return None if plan is None else partial(self._attend, plan)

    async def _attend(self, plan: Plan, line: CallLine) -> None:
        await (await _load()).attend(line, plan, self._media.start(), self._port(line))

    async def _take_seat(self, line: CallLine) -> None:
        await (await _load()).take_seat(line, self._rooms, self._media.start(), self._port(line))

    def _port(self, line: CallLine) -> PortOptions:
        return PortOptions(loopback=True, line=self._bad_line, tap=line.record.tap(line.request.call_id))


async def _load() -> ModuleType:
    return await asyncio.to_thread(importlib.import_module, _ATTENDANT)
