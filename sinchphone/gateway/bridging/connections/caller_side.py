"""The caller of one call: what their leg says goes to whatever has their media, and their media end here where they must.

::

    leg's events -> read -> whatever has the caller's media (a relay's bridge, or our end); kept until there is something
"""

from collections.abc import Callable
from typing import Final

from sinchphone.errors import MediaError
from sinchphone.gateway.bridging.lifetime import CallerMedia, CallLifetime
from sinchphone.gateway.bridging.local_ends.local_end import LocalEnd
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.legs.leg import Gone, Leg, LegEvent, Reoffered
from sinchphone.gateway.legs.reasons import CallEnding, failure_of_error
from sinchphone.gateway.local_channel.legs import MemoryLegEnd
from sinchphone.media.port import MediaPort

MAX_HELD_EVENTS: Final = 64  # before anybody has the caller's media


class CallerSide:
    """Of one call."""

    def __init__(self, context: GatewayContext, lifetime: CallLifetime) -> None:
        self._context = context
        self._lifetime = lifetime
        self._media: CallerMedia | None = None
        self._held: list[LegEvent] = []
        self._end: LocalEnd | None = None

    @property
    def has_end(self) -> bool:
        """Whether the caller's media end here."""
        return self._end is not None

    async def read(self, is_replaced: Callable[[], bool]) -> None:
        """Take what the caller's leg says, until it is gone or somebody else has its place."""
        caller = self._lifetime.caller
        async for event in caller.events():
            if is_replaced():
                return
            if isinstance(event, Gone):
                self._lifetime.end(CallEnding("caller", event.failure))
            elif self._media is not None:
                await self._take(self._media, event)
            elif isinstance(event, Reoffered):
                await caller.refuse_reoffer(Failure(491, "not now"))
            elif len(self._held) < MAX_HELD_EVENTS:
                self._held.append(event)

    async def give(self, media: CallerMedia) -> None:
        """From now on that has the caller's media."""
        while self._held:
            await self._take(media, self._held.pop(0))
        self._media = media

    async def end(self) -> LocalEnd:
        """The caller, whose media end here. Raises MediaError."""
        if self._end is None:
            self._end = LocalEnd(self._lifetime, self.port_for(self._lifetime.caller), self._context.media)
            await self._end.open()
            await self.give(self._end)
        return self._end

    def port_for(self, leg: Leg) -> MediaPort:
        """Where a leg's media end here."""
        if isinstance(leg, MemoryLegEnd):
            self._context.media.start()
            return leg.port
        return self._context.media_backends.at(leg.media_host).port(leg.id, leg.transport, signalled_from=leg.signalled_from)

    async def _take(self, media: CallerMedia, event: LegEvent) -> None:
        try:
            await media.take(event)
        except MediaError as error:
            self._lifetime.end(CallEnding("exchange", failure_of_error(error)))
