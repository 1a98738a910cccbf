"""The legs of a call between two ends inside the gateway: who calls is a part of the gateway itself, not somebody outside.

::

    FarEnd (a callout, a simulated phone)  <- orders of the call: Ringing, Early, Answered, Gone -   LocalCaller (IncomingLeg) -> B2buaCall
                                            - hang_up ->
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeAlias

from sinchphone.gateway.call_facts import CallerName, Dialled, Failure
from sinchphone.gateway.legs.leg import Answered, Early, Gone, LegEvent, Ringing
from sinchphone.gateway.local_channel.port import DESCRIPTION, MemoryPort, joined_ports
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.media.outbox import Outbox
from sinchphone.protocol.call.transfer_events import TransferNews
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

Carry: TypeAlias = Callable[["LocalCaller"], Coroutine[Any, Any, None]]

_NO_TRANSFER: Final = Failure(501, "an end inside the exchange is transferred to nobody")


class MemoryLegEnd:
    """What both ends have in common (implements most of ``legs.leg.Leg``): a port in memory, and orders that need no network."""

    transport = MediaTransport.RTP  # as far as anybody asks: without ICE
    signalled_from: str | None = None
    media_host: str | None = None

    def __init__(self, port: MemoryPort, call_id: str | None = None) -> None:
        self.id = call_id or str(uuid.uuid4())
        self.port = port
        self.offer: str | None = DESCRIPTION
        self._events = Outbox[LegEvent]()
        self._over = asyncio.Event()

    def events(self) -> Outbox[LegEvent]:
        """What the other end does; ends after Gone. One reader."""
        return self._events

    async def trickle(self, candidate: Candidate | None, *, branch: str = "") -> None:
        """There are no candidates."""

    async def media_connected(self, codec: str) -> None:
        """It always is."""

    async def media_failed(self, reason: str) -> None:
        """It can't."""

    async def media_silent(self, silent_s: float) -> None:
        """It may be."""

    async def send_digit(self, digit: str, duration_ms: int) -> None:
        """As the port does."""
        await self.port.dtmf(digit)

    async def answer_reoffer(self, sdp: str, *, offered: bool = True) -> str | None:
        """Nobody offers anew."""
        return None

    async def reoffer(self, sdp: str) -> str:
        """There is nothing to agree on: who is held hears what comes."""
        return DESCRIPTION

    async def transfer(self, to: str, replaces: str = "") -> Failure | None:
        """Nobody is there to call on another's word."""
        return _NO_TRANSFER

    async def tell_transfer(self, news: TransferNews) -> None:
        """Nobody has asked for one."""

    async def refuse_reoffer(self, failure: Failure) -> None:
        """Nobody offers anew."""

    async def run(self) -> None:
        """Until either end hangs up."""
        await self._over.wait()

    def gone(self, failure: Failure | None) -> None:
        """The other end has ended the call. Only the first counts."""
        if not self._over.is_set():
            self._events.put(Gone(failure=failure))
            self._events.end()
            self._over.set()


class FarEnd(MemoryLegEnd):
    """The end that calls. Its events are what becomes of the call."""

    def __init__(self, port: MemoryPort, caller: "LocalCaller") -> None:
        super().__init__(port, caller.id)
        self._caller = caller

    def tell(self, event: LegEvent) -> None:
        """What the call does."""
        self._events.put(event)

    async def hang_up(self, failure: Failure | None = None) -> None:
        """End the call, in any state."""
        self._caller.gone(failure)
        self.gone(None)


class LocalCaller(MemoryLegEnd):
    """The end that a call sees (implements ``legs.leg.IncomingLeg``): who calls, and what to tell them."""

    def __init__(self, caller: CallerName, dialled: Dialled, *, call_id: str | None = None) -> None:
        near, far = joined_ports()
        super().__init__(near, call_id)
        self.caller = caller
        self.dialled = dialled
        self.headers: Mapping[str, str] = {}
        self.far = FarEnd(far, self)

    async def ring(self) -> None:
        """Told to the far end."""
        self.far.tell(Ringing())

    async def early(self, sdp: str) -> None:
        """The far end hears already."""
        self.far.tell(Early(sdp=sdp))

    async def answer(self, sdp: str) -> None:
        """Told to the far end."""
        self.far.tell(Answered(sdp=None))

    async def hang_up(self, failure: Failure | None = None) -> None:
        """Told to the far end, with the reason."""
        self.far.gone(failure)
        self.gone(None)


class CalledParty(MemoryLegEnd):
    """Who is called by the exchange, as the one that a call begins with (implements ``legs.leg.IncomingLeg``): instructions are heard by
    the called side, as the platform has it for callouts."""

    def __init__(self, call_id: str, shown: CallerName, dialled: Dialled) -> None:
        """``shown``: who calls, as they see it. ``caller`` is who they are themselves, once that is decided."""
        self._channel = LocalCaller(shown, dialled, call_id=call_id)
        super().__init__(self._channel.far.port, call_id)
        self.dialled = dialled
        self.headers: Mapping[str, str] = {}
        self._carry: Carry | None = None
        self._begun = asyncio.Event()

    def place(self, carry: Carry) -> None:
        """Call them: ``carry`` carries the call to them to its end."""
        self._carry = carry
        self._begun.set()

    async def run(self) -> None:
        """Until either side hangs up. What becomes of the call to them are its events."""
        await self._begun.wait()
        carry = self._carry
        if carry is None:
            return
        called = start_task(carry(self._channel), name=f"called party {self.id}")
        try:
            async for event in self._channel.far.events():
                if isinstance(event, Gone):
                    self.gone(event.failure)
                else:
                    self._events.put(event)
            await called
        finally:
            called.cancel()
            await asyncio.wait([called])

    @property
    def caller(self) -> CallerName:
        """Who they are."""
        to = self.dialled
        return CallerName(to.domain, to.identity, to.identity if to.domain is Domain.PSTN else None)

    async def ring(self) -> None:
        """They ring already."""

    async def early(self, sdp: str) -> None:
        """They hear what there is."""

    async def answer(self, sdp: str) -> None:
        """They have answered."""

    async def hang_up(self, failure: Failure | None = None) -> None:
        """End the call, in any state."""
        self._begun.set()
        await self._channel.far.hang_up(failure)
        self.gone(None)
