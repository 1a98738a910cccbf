"""The media ports of one call: one for each of the peer's devices, all with the offer of the first, until one of them has won.

::

    CallMachine's effects --> CallPorts --> MediaPort (one a device) --> port events --> MachineDriver's inbox
                                                                                    \\-> told: what is nothing to the machine
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from sinchphone.engine.calls.machine_driver import MachineDriver
from sinchphone.errors import SinchphoneError
from sinchphone.media import port as media
from sinchphone.media.port import MediaPort, MediaPorts, PortOptions, PortStats
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.sdp.jsep import Candidate, Description

Told: TypeAlias = media.Connected | media.Moved | media.Redirected | media.PortDigitHeard | media.PortWarning | media.RestartWanted

_log = logging.getLogger(__name__)


class CallPorts:
    """For the call's task."""

    def __init__(self, driver: MachineDriver, source: MediaPorts, options: PortOptions, *, tell: Callable[[str, Told], None]) -> None:
        """``tell`` hears what happens on the port of which device."""
        self._driver = driver
        self._source = source
        self._options = options
        self._tell = tell
        self._first: MediaPort | None = None
        self._first_is_out = False  # its device, but another one may still be forked from it
        self._of: dict[str, MediaPort] = {}

    def of(self, peer: str | None) -> MediaPort | None:
        """The port of that device of the peer."""
        return self._of.get(peer or "")

    @property
    def winner(self) -> MediaPort | None:
        """The port of the device that has won the call."""
        return self.of(self._driver.machine.winner)

    async def make_offer(self) -> v.OfferReady:
        """The offer that all of the peer's devices get. Raises MediaError."""
        self._first = self._source.port(self._options)
        return v.OfferReady(await self._first.offer())

    async def make_answer(self, peer: str, offer: Description) -> v.AnswerReady:
        """Our answer to the peer's first offer. Raises MediaError."""
        port = self._first = self._source.port(self._options)
        self._take(peer, port)
        return v.AnswerReady(await port.answer(offer))

    async def apply_answer(self, peer: str, answer: Description) -> None:
        """A device answered our offer. Raises MediaError."""
        assert self._first is not None, "an answer follows an offer"
        port = self._first if not self._of else await self._first.fork()
        self._take(peer, port)
        await port.accept(answer)
        await self.close_unused()

    async def add_candidate(self, peer: str, candidate: Candidate | None) -> None:
        """Where that device may be reached, too."""
        if (port := self.of(peer)) is not None:
            await port.add_candidate(candidate)

    async def describe_again(self, peer: str, theirs: Description | None, direction: str | None = None) -> bool:
        """Offer that direction, restart ICE, or go along with what the peer wants; whether that could be done. Where not, the sound goes on
        as it does."""
        port = self.of(peer)
        if port is None:
            return False
        try:
            if theirs is not None and theirs.type == "answer":
                await port.accept(theirs)
                return True
            if theirs is not None:
                ours = await port.answer(theirs)
            else:
                ours = await (port.restart() if direction is None else port.reoffer(direction=direction))
        except SinchphoneError as error:
            _log.info("the path to the peer stays as it is: %s", error)
            return False
        self._driver.put(v.DescribedAgain(peer, ours))
        return True

    async def drop(self, peer: str) -> None:
        """Its port is closed; but the first one is kept until whoever has won has a port, since others are forked from it."""
        port = self.of(peer)
        if port is not None and port is self._first:
            self._first_is_out = True
            await self.close_unused()
        elif port is not None:
            await port.close()

    async def close_unused(self) -> None:
        """Close the first port once its device is out and the one that has won has a port: no other is forked from it any more."""
        if self._first is not None and self._first_is_out and self.winner is not None:
            await self._first.close()

    async def stats(self) -> PortStats:
        """Counters of the leg that carries the sound."""
        port = self.winner
        return await port.stats() if port is not None else PortStats()

    async def close(self) -> None:
        """Close all of them."""
        ports = {port for port in (self._first, *self._of.values()) if port is not None}
        await asyncio.gather(*(port.close() for port in ports), return_exceptions=True)

    def _take(self, peer: str, port: MediaPort) -> None:
        self._of[peer] = port
        self._driver.start(self._read(peer, port))

    async def _read(self, peer: str, port: MediaPort) -> None:
        async for event in port.events():
            match event:
                case media.CandidateFound(candidate=candidate):
                    self._driver.put(v.LocalCandidate(peer, candidate))
                case media.PortFailed(reason=reason):
                    self._driver.put(v.MediaFailed(peer, reason))
                case media.PortLost():
                    self._driver.put(v.MediaLost(peer))
                case media.FirstPacket() | media.PortSilent():  # the monitor tells where none comes
                    pass
                case _:
                    self._pass_on(peer, event)

    def _pass_on(self, peer: str, event: Told) -> None:
        """Something that the call is told of, too."""
        self._tell(peer, event)
        match event:
            case media.Connected():
                self._driver.put(v.MediaConnected(peer))
            case media.RestartWanted():
                self._driver.put(v.PathFailing(peer))
            case media.Moved() | media.Redirected() | media.PortDigitHeard() | media.PortWarning():
                pass
