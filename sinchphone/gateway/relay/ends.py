"""One end of a bridged call: a port of ours whose descriptions carry its candidates, with whoever reads its events."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias, assert_never, cast

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay.description import takes_events, with_candidates
from sinchphone.gateway.relay.relay import MediaTransport, Side
from sinchphone.media.port import (
    CandidateFound,
    Connected,
    FirstPacket,
    Moved,
    PassingPort,
    PortDigitHeard,
    PortEvent,
    PortFailed,
    PortLost,
    PortSilent,
    PortWarning,
    Redirected,
    RestartWanted,
    RtpPassingPort,
)
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.protocol.sdp.session_description import SENDONLY, SENDRECV
from sinchphone.tasks import start_task

GATHER_SECONDS: Final = 3.0  # a port itself stops asking its servers after two
_MAX_DIGITS_WAITING: Final = 64  # that wait to be sent

Told: TypeAlias = Callable[["End", PortEvent], None]


class End:
    """A port and what is known about it. ``told`` gets its events, but not the candidates that are in its description."""

    def __init__(
        self, side: Side, transport: MediaTransport, port: PassingPort, told: Told, *, branch: str = "", forked: bool = False
    ) -> None:
        self.side = side
        self.branch = branch
        self.port = port
        self.connected: Connected | None = None
        self.over = False  # it failed or was lost
        self.accepted = ""  # the peer's last answer
        self._transport = transport
        self._told = told
        self._takes_events = False
        self._candidates: list[str] = []
        self._described = forked  # the forks' description is the first port's: their candidates can't be in it
        self._gathered = asyncio.Event()
        self._digits: asyncio.Queue[str] = asyncio.Queue(_MAX_DIGITS_WAITING)
        self._tasks = [
            start_task(self._read(), name=f"relay-{side}-events"),
            start_task(self._type(), name=f"relay-{side}-digits"),
        ]

    @property
    def rtp(self) -> RtpPassingPort:
        """The port, where it can be offered anew. Raises MediaError where it can't."""
        if self._transport is MediaTransport.WEBRTC:
            raise MediaError("a WebRTC side can't be offered anew")
        return cast(RtpPassingPort, self.port)

    @property
    def codec(self) -> str | None:
        """The name of what was agreed on; ``None`` before that."""
        return None if self.port.codec is None else self.port.codec.name

    @property
    def speaks(self) -> bool:
        """Whether the peer sends all the time, as agreed: a WebRTC side does, one that holds has its music, or nothing."""
        return self._transport is MediaTransport.WEBRTC or self.rtp.direction == "sendrecv"

    @property
    def hears(self) -> bool:
        """Whether the peer wants to hear, as agreed last; before that it does."""
        return self.connected is None or self.port.direction in (SENDRECV, SENDONLY)

    @property
    def wants_silence(self) -> bool:
        """Whether the peer gets silence where there's nothing for it: PBXs take a missing stream for the end of the call."""
        return self._transport is not MediaTransport.WEBRTC

    async def offer(self) -> str:
        """Our offer."""
        return await self._with_candidates(await self.port.offer())

    async def accept(self, answer: str) -> None:
        """Take the peer's answer: that of an RTP side may change, that of a WebRTC side is the same each time."""
        if answer == self.accepted or (self.accepted and self._transport is MediaTransport.WEBRTC):
            return
        await self.port.accept(Description("answer", answer))
        self.accepted, self._takes_events = answer, takes_events(answer)

    async def check(self, offer: str) -> None:
        """Raises MediaError where the peer's offer can't be answered."""
        await self.port.check(Description("offer", offer))

    async def answer(self, offer: str, prefer: str | None) -> str:
        """Our answer to the peer's offer."""
        given = await self.port.answer(Description("offer", offer), prefer=prefer)
        self._takes_events = takes_events(offer)
        return await self._with_candidates(given)

    async def reanswer(self, offer: str, prefer: str | None, *, held: bool) -> str:
        """Our answer to a later offer of the peer, whom the other side holds, or doesn't. What a WebRTC peer wants is in the offer itself
        (an ICE restart, hold)."""
        given = await self._reanswer(Description("offer", offer), prefer, SENDONLY if held else SENDRECV)
        self._takes_events = takes_events(offer)
        return given.sdp

    async def reoffer(self, *, held: bool) -> Description:
        """A later offer of ours to the peer, whom the other side holds, or doesn't."""
        return await self.port.reoffer(direction=SENDONLY if held else SENDRECV)

    async def withdraw(self) -> None:
        """That was refused. An offer over WebRTC waits no longer by itself."""
        if self._transport is not MediaTransport.WEBRTC:
            await self.rtp.withdraw()

    async def _reanswer(self, offer: Description, prefer: str | None, direction: str) -> Description:
        if self._transport is not MediaTransport.WEBRTC:
            return await self.rtp.reanswer(offer, direction=direction, prefer=prefer)
        try:
            return await self.port.answer(offer)
        except LocalProtocolError as error:
            raise MediaError("a side that isn't connected yet can't be offered anew") from error

    async def trust_source(self, host: str) -> None:
        """An RTP peer's signaling comes from there; WebRTC finds its own way."""
        if self._transport is not MediaTransport.WEBRTC:
            await self.rtp.trust_source(host)

    async def settle(self, answer: str) -> None:
        """Take the peer's answer to a later offer of ours, be it the same as before."""
        await self.port.accept(Description("answer", answer))
        self.accepted, self._takes_events = answer, takes_events(answer)

    def press(self, digit: str) -> bool:
        """Have a digit sent to the peer, after those before; ``False`` where it takes none, or isn't there."""
        if self.connected is None or not self._takes_events or self._digits.full():
            return False
        self._digits.put_nowait(digit)
        return True

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """Take a candidate of the peer."""
        await self.port.add_candidate(candidate)

    async def close(self) -> None:
        """Close the port and stop reading. May be called twice."""
        try:
            await self.port.close()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def _with_candidates(self, description: Description) -> str:
        if self._transport is not MediaTransport.WEBRTC:
            return description.sdp
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await self._gathered.wait()
        self._described = True
        return with_candidates(description.sdp, self._candidates)

    async def _read(self) -> None:
        async for event in self.port.events():
            match event:
                case CandidateFound(candidate=candidate) if not self._described:
                    if candidate is None:
                        self._gathered.set()
                    else:
                        self._candidates.append(candidate.candidate)
                    continue
                case Connected():
                    self.connected = event
                case PortFailed() | PortLost():
                    self.over = True
                case (
                    CandidateFound()
                    | FirstPacket()
                    | PortSilent()
                    | PortDigitHeard()
                    | RestartWanted()
                    | Moved()
                    | Redirected()
                    | PortWarning()
                ):
                    pass
                case _:
                    assert_never(event)
            self._told(self, event)

    async def _type(self) -> None:
        while True:
            digit = await self._digits.get()
            with suppress(MediaError):  # the peer is gone, or took back that it takes them
                await self.port.dtmf(digit)
