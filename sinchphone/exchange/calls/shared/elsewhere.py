"""Calls that another process of the exchange has to answer: what was asked for there is in its hands already, such as a conference room.

::

    here: Destinations.find -> Elsewhere(process) -> ask "place" -> there: placed as if it had been asked -> its Placement
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any, Final, TypeAlias

from sinchphone.exchange.calls.delivery import Caller
from sinchphone.exchange.calls.line import Destinations
from sinchphone.exchange.calls.shared.carried_calls import CarriedCalls
from sinchphone.exchange.calls.shared.shared_calls import SharedCalls
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.processes.requests import ProcessRequests
from sinchphone.exchange.refusals import not_found
from sinchphone.protocol.mxp.message import Client
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallRequest, Placement
from sinchphone.signaling.ocra.calls import read_call_request, read_placement, write_call_request, write_placement

_PLACE: Final = "place"

PlaceForDevice: TypeAlias = Callable[[Device, CallRequest, str], Awaitable[Placement]]  # who calls, what, its sub-instance


@quick_dataclass(frozen=True, slots=True)
class PlacedBy:
    """Who placed a call for somebody who is no device: a ``process``; the call is a part of the one that is ``known_as`` that."""

    process: str = ""
    known_as: str = ""


HERE: Final = PlacedBy()
PlaceForGateway: TypeAlias = Callable[[Caller, CallRequest, PlacedBy], Awaitable[Placement]]


@quick_dataclass(frozen=True, slots=True)
class OtherProcesses:
    """What calls have to do with the other processes. ``own_ends``: who answers here, whatever a backend says."""

    requests: ProcessRequests
    shared: SharedCalls
    carried: CarriedCalls
    directory: Directory
    own_ends: Sequence[Destinations]

    async def place(self, caller: Caller, request: CallRequest, process: str, *, sub_instance: str = "", known_as: str = "") -> Placement:
        """Have another process answer a call. Raises RefusedError."""
        members = {
            "instance": caller.instance_id,
            "sub_instance": sub_instance,
            "client": None if caller.device is not None else astuple(caller.client),
            "process": self.requests.process,
            "known_as": known_as,
            "display_name": request.display_name,
            "request": write_call_request(request).decode(),
        }
        answer = await self.requests.ask(caller.application.key, process, _PLACE, members)
        return read_placement(answer["placement"].encode())

    def serve(self, for_device: PlaceForDevice, for_gateway: PlaceForGateway) -> None:
        """Take the calls that other processes hand on."""

        async def place(application: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
            request = replace(read_call_request(members["request"].encode()), display_name=members["display_name"])
            served, device = self.directory.application(application), self.directory.device(members["instance"])
            if served is None:
                raise not_found("there is no such application here")
            if members["client"] is not None:
                caller = Caller(served, Client(*members["client"]), members["instance"])
                placement = await for_gateway(caller, request, PlacedBy(members["process"], members["known_as"]))
            elif device is None or device.application is not served:
                raise not_found("there is no such device any more")
            else:
                placement = await for_device(device, request, members["sub_instance"])
            return {"placement": write_placement(placement, 0.0).decode()}

        self.requests.serve(_PLACE, place)
