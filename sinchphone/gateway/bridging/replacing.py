"""The two sides of a call, as they can be replaced: somebody comes in the place of one, and the other one isn't asked (RFC 3891)."""

from collections.abc import Callable

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.bridging.bridges import Bridge
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.legs.leg import Gone, IncomingLeg, Leg
from sinchphone.gateway.legs.reasons import CallEnding, CallRefusedError, failure_of_error
from sinchphone.gateway.open_calls import OpenCalls, OpenLeg
from sinchphone.gateway.relay.relay import Side


class ReplaceableSides:
    """Of one call, from when both talk (implements ``open_calls.ReplaceableCall``)."""

    def __init__(self, lifetime: CallLifetime, open_calls: OpenCalls, application: str) -> None:
        self._lifetime = lifetime
        self._open_calls = open_calls
        self._application = application
        self._bridge: Bridge | None = None
        self._let_go: Callable[[Leg], None] | None = None
        self._open: dict[Side, OpenLeg] = {}

    def talk(self, bridge: Bridge, let_go: Callable[[Leg], None]) -> None:
        """Both talk, by that bridge. ``let_go``: a called leg's end is nothing to the call any more."""
        self._bridge, self._let_go = bridge, let_go
        self._put(Side.CALLER, self._open[Side.CALLER].leg if Side.CALLER in self._open else self._lifetime.caller)
        self._put(Side.CALLED, bridge.leg)

    def is_replaced(self, side: Side, leg: Leg) -> bool:
        """Whether somebody else has that leg's place."""
        return side in self._open and self._open[side].leg is not leg

    async def part(self) -> None:
        """The caller goes elsewhere: hang up on who has come in the called side's place, whose end is nothing to the call any more."""
        self.close()
        called = self._open.pop(Side.CALLED, None)
        if called is not None and self._bridge is not None and called.leg is not self._bridge.leg:
            await called.leg.hang_up()

    def close(self) -> None:
        """The call is over."""
        for open_leg in self._open.values():
            self._open_calls.remove(open_leg.leg)

    async def replace(self, side: Side, by: IncomingLeg) -> None:
        """See ``ReplaceableCall``: the other side hears ``by`` from then on."""
        self._lifetime.spawn(self._exchange(side, by), "replacing")
        await self._lifetime.carry(by)

    async def _exchange(self, side: Side, by: IncomingLeg) -> None:
        old, bridge = self._open[side].leg, self._bridge
        assert bridge is not None  # both talk
        try:
            await bridge.replace(side, by)
        except (MediaError, LocalProtocolError, CallRefusedError) as error:
            await by.hang_up(failure_of_error(error))
            return
        self._put(side, by)
        if self._let_go is not None:
            self._let_go(old)
        await old.hang_up()
        async for event in by.events():
            if side not in self._open or self._open[side].leg is not by:
                return
            if isinstance(event, Gone):
                self._lifetime.end(CallEnding("caller" if side is Side.CALLER else "called", event.failure))
            else:
                await bridge.take_replacing(side, event)

    def _put(self, side: Side, leg: Leg) -> None:
        if side in self._open:
            self._open_calls.remove(self._open[side].leg)
        self._open[side] = OpenLeg(self, side, leg, self._application)
        self._open_calls.add(self._open[side])
