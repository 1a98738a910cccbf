"""A leg, and the port of ours at which its sound ends: descriptions that it takes and gets, and what happens at the port.

::

    the leg's offer, candidates, later offers -> port      port's descriptions -> the leg
    port's events -> the leg is told whether sound flows   digits -> whoever has the sound
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias, assert_never

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.bridging.hold import hears, offer_hold, wanted
from sinchphone.gateway.bridging.key_presses import DigitPath
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.legs.leg import IncomingLeg, Leg
from sinchphone.gateway.legs.reasons import OFFER_IGNORED, UNCHANGEABLE, failure_of_error
from sinchphone.gateway.relay.description import with_candidates
from sinchphone.gateway.relay.ends import GATHER_SECONDS
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.gateway.relay.terminations import RenewablePort
from sinchphone.media import port as media
from sinchphone.media.port import MediaPort
from sinchphone.protocol.sdp.jsep import Candidate, Description

TakeDigit: TypeAlias = Callable[[media.PortDigitHeard, DigitPath], Awaitable[None]]


class Candidates:
    """Collects a port's own candidates: legacy clients want them in the description."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._gathered = asyncio.Event()

    def take(self, candidate: Candidate | None) -> None:
        """One more; ``None`` ends them."""
        if candidate is None:
            self._gathered.set()
        else:
            self._found.append(candidate.candidate)

    async def complete(self, sdp: str) -> str:
        """The description with all candidates, once they are known."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await self._gathered.wait()
        return with_candidates(sdp, self._found)


class LegPort:
    """Of one side of a call. ``close`` it when somebody else has that side, or the call is over."""

    def __init__(self, lifetime: CallLifetime, leg: Leg, port: MediaPort, name: str, take_digit: TakeDigit) -> None:
        """``name``: of the side, for the record; ``take_digit`` gets the digits that come in the media."""
        self.leg = leg
        self.port = port
        self.is_connected = asyncio.Event()
        self._lifetime = lifetime
        self._name = name
        self._take_digit = take_digit
        self._candidates = Candidates()

    def watch(self) -> None:
        """Read the port's events, until it is closed."""
        self._lifetime.spawn(self._watch(), self._name)

    async def answer(self, offer: str | None) -> str:
        """Our description for who calls: an answer, or an offer where it has none. Raises MediaError where nothing fits."""
        made = await (self.port.offer() if offer is None else self.port.answer(Description("offer", offer)))
        return await self.complete(made.sdp)

    async def complete(self, sdp: str) -> str:
        """A description of the port's with all its candidates, where it has some."""
        return await self._candidates.complete(sdp) if self.leg.transport is MediaTransport.WEBRTC else sdp

    async def renew(self, sdp: str | None, *, held: bool) -> bool:
        """Answer a later offer of the leg, whom the other side holds, or doesn't; ``None``: it wants one of ours. Whether it was taken."""
        try:
            if sdp is None:
                await self._offer_anew()
            else:
                await self.leg.answer_reoffer(await self._reanswer(Description("offer", sdp), held=held))
        except MediaError as error:
            await self.leg.refuse_reoffer(failure_of_error(error))
            return False
        return True

    async def tell_hold(self, held: bool) -> None:
        """Offer the leg anew: whether it is held. Raises MediaError where it refuses, LocalProtocolError where it can't be offered now."""
        await offer_hold(self.port, self.leg, held=held)

    @property
    def hears(self) -> bool:
        """Whether the leg wants to hear, as agreed last."""
        return hears(self.port.direction)

    async def close(self) -> None:
        """Close the port. May be called twice."""
        await self.port.close()

    async def _reanswer(self, offer: Description, *, held: bool) -> str:
        try:
            if isinstance(self.port, RenewablePort):
                return (await self.port.reanswer(offer, direction=wanted(held=held))).sdp
            return (await self.port.answer(offer)).sdp  # a WebRTC port takes later offers as the first one
        except LocalProtocolError as error:
            raise MediaError(UNCHANGEABLE) from error

    async def _offer_anew(self) -> None:
        """Both hear each other again, unless the answer in the leg's ACK says otherwise (RFC 3261 14.2)."""
        if not isinstance(self.port, RenewablePort):
            raise MediaError("the sound of this call can't be changed")
        try:
            offer = await self.port.reoffer()
            try:
                answer = await self.leg.answer_reoffer(offer.sdp, offered=False)
                if answer is None:
                    raise MediaError(OFFER_IGNORED)
                await self.port.accept(Description("answer", answer))
            except MediaError:
                await self.port.withdraw()
                raise
        except LocalProtocolError as error:
            raise MediaError(UNCHANGEABLE) from error

    async def _watch(self) -> None:
        async for event in self.port.events():
            match event:
                case media.CandidateFound(candidate=candidate):
                    self._candidates.take(candidate)
                case media.Connected(codec=codec):
                    self.is_connected.set()
                    self._lifetime.note_sound(self._name, codec)
                    await self.leg.media_connected(codec)
                case media.PortFailed(reason=reason):
                    self._lifetime.note_sound(self._name, reason, is_failure=True)
                    await self.leg.media_failed(reason)
                case media.PortLost():
                    await self.leg.media_failed("nothing came any more")
                case media.PortSilent(silent_s):
                    await self.leg.media_silent(silent_s)
                case media.PortDigitHeard():
                    await self._take_digit(event, DigitPath.MEDIA)
                case media.FirstPacket() | media.RestartWanted() | media.Moved() | media.Redirected() | media.PortWarning():
                    pass
                case _:
                    assert_never(event)


async def answered(at: LegPort, by: IncomingLeg) -> LegPort:
    """Answer somebody who takes another one's place, at a new port. Raises MediaError; the port is closed then."""
    at.watch()
    try:
        await by.answer(await at.answer(by.offer))
    except BaseException:
        await at.close()
        raise
    return at
