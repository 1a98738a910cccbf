"""A leg to a conference room that another process of this exchange has: an MXP call over the channels that all processes read."""

from collections.abc import Mapping
from typing import Final

from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.gateway.call_facts import CallerName
from sinchphone.gateway.legs.mxp import MxpOutgoingLeg
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallRequest, Domain, Placement

_NO_HEADERS: Final[Mapping[str, str]] = {}


@quick_dataclass(frozen=True, slots=True)
class RoomElsewhere:
    """A room of another ``process``. ``participant``: the id of the call that enters it."""

    room: str
    process: str
    participant: str


class MxpRoomLeg(MxpOutgoingLeg):
    """Enters a room there."""

    def __init__(self, calls: Calls, broker: Broker, application: Application, where: RoomElsewhere, caller: CallerName) -> None:
        super().__init__(calls, broker, application, where.room, caller, _NO_HEADERS)
        self._where = where

    async def _invite(self, request: CallRequest) -> Placement:
        entering = CallRequest(request.call_id, Domain.CONFERENCE, self._where.room, request.offer, request.caller_id)
        return await self._calls.place_elsewhere(self._placing, entering, self._where.process, known_as=self._where.participant)
