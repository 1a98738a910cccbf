"""Relays in this process: two of our ports for each call, and what joins them. Sound stays in the media thread.

::

    caller's offer -> kept                    port(called).offer -> for the called side
                      port(caller).answer <- port(called).accept <- called side's answer      then: PortBridge.join(both)

What the called side is offered begins with the codecs that the caller has, in the caller's order: whichever it takes, packets
pass without a codec. The codecs behind them are decoded and encoded. Devices that answer one WebRTC offer get a port each,
forked from the first; phones that answer one RTP offer share it, and the last one is heard.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field, replace
from functools import partial
from typing import Final, cast

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay import relay as tell
from sinchphone.gateway.relay.description import check_address, codecs, with_packet_times_of
from sinchphone.gateway.relay.ends import End
from sinchphone.gateway.relay.port_bridge import PortBridge
from sinchphone.gateway.relay.relay import MAX_EARLY, NOT_ANSWERED, MediaTransport, RelayEvent, Side, silence_of
from sinchphone.media.network.simulated_line import SimulatedLine
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import (
    CandidateFound,
    Connected,
    FirstPacket,
    Moved,
    PacketTap,
    PassingPort,
    PortDigitHeard,
    PortEvent,
    PortFailed,
    PortLost,
    PortOptions,
    PortSilent,
    PortWarning,
    Redirected,
    RestartWanted,
    RtpPortOptions,
)
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

CODECS: Final = ("opus", "PCMU", "PCMA", "G722")


@quick_dataclass(frozen=True, slots=True)
class LocalOptions:
    """How the ports of a relay are reached and reach their peers. Their codecs are the relay's business. ``line``: what happens to their
    packets; ``tap``: what is told of those of a call, by its id, where anybody wants to know."""

    webrtc: PortOptions = field(default_factory=partial(PortOptions, loopback=True))
    rtp: RtpPortOptions = field(default_factory=RtpPortOptions)
    line: SimulatedLine | None = None
    tap: Callable[[str], PacketTap | None] = lambda _: None

    def of_call(self, call_id: str) -> "LocalOptions":
        """The same for the ports of one call."""
        tap = self.tap(call_id)
        return replace(self, webrtc=replace(self.webrtc, line=self.line, tap=tap), rtp=replace(self.rtp, line=self.line, tap=tap))


class LocalRelays:
    """Implements relay.Relays."""

    def __init__(self, media: MediaThread, options: LocalOptions | None = None) -> None:
        self._media = media
        self._options = options or LocalOptions()
        self._relays: set[LocalRelay] = set()

    def relay(self, call_id: str, caller: MediaTransport, *, signalled_from: str | None = None) -> "LocalRelay":
        """The media of a new call whose caller uses that transport."""
        relay = LocalRelay(self._media, self._options.of_call(call_id), self._relays, caller, signalled_from)
        self._relays.add(relay)
        return relay

    async def close(self) -> None:
        """Delete what is left. May be called twice."""
        for relay in list(self._relays):
            await relay.delete()


class LocalRelay:
    """Implements relay.Relay. For one event loop, which need not be the media thread's."""

    def __init__(
        self, media: MediaThread, options: LocalOptions, siblings: "set[LocalRelay]", caller: MediaTransport, signalled_from: str | None
    ) -> None:
        self._media = media
        self._options = options
        self._siblings = siblings
        self._transports = {Side.CALLER: caller}
        self._signalled_from = {Side.CALLER: signalled_from}
        self._ends: list[End] = []  # all that aren't closed
        self._caller: End | None = None
        self._first: End | None = None  # the end that offered to the called side; forks come from it
        self._branches: dict[str, End] = {}
        self._called: End | None = None  # who is heard
        self._accepting = asyncio.Lock()
        self._early: dict[str, list[Candidate | None]] = {}
        self._offered = ""  # by the caller
        self._given: str | None = None  # our answer to it
        self._proposed: End | None = None  # who was offered anew without the other's knowledge
        self._bridge = PortBridge(media)
        self._events: Outbox[RelayEvent] = Outbox()
        self._forking: set[asyncio.Task[PassingPort]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Future[None] | None = None

    # the calls of the signaling

    async def offer(self, offer: str, towards: MediaTransport, *, signalled_from: str | None = None) -> str:
        """Take the caller's offer, give the one for the called side. Raises MediaError where ours to the caller couldn't be given."""
        self._check_open()
        if self._caller is not None:
            raise LocalProtocolError("a relay takes one first offer")
        if self._transports[Side.CALLER] is not MediaTransport.WEBRTC:
            check_address(offer)
        known = codecs(offer)
        self._offered = offer
        self._transports[Side.CALLED], self._signalled_from[Side.CALLED] = towards, signalled_from
        self._caller = self._end(Side.CALLER, CODECS)
        await self._caller.check(offer)
        self._first = self._end(Side.CALLED, tuple(dict.fromkeys((*known, *CODECS))))
        return with_packet_times_of(await self._first.offer(), offer)

    async def ringing(self, answer: str, *, branch: str = "") -> None:
        """Take the answer of a WebRTC branch that only rings: it's connected, and not heard."""
        if self._transports.get(Side.CALLED) is MediaTransport.WEBRTC:
            await self._accept(answer, branch)

    async def answer(self, answer: str, *, branch: str = "", signalled_from: str | None = None) -> str:
        """Take the answer of the called side, give ours for the caller."""
        called = await self._accept(answer, branch, signalled_from)
        caller = self._caller
        if caller is None:
            raise LocalProtocolError("there is no offer to answer")
        if called is not self._called:
            self._called = called
            if called.connected is not None:  # it was while it rang
                self._events.put(tell.SideConnected(Side.CALLED, called.connected.codec))
        if self._given is None:
            self._given = with_packet_times_of(await caller.answer(self._offered, called.codec), answer)
        await self._join(caller, called)
        return self._given

    async def withdraw(self) -> None:
        """Our proposal was refused: what was agreed before stays."""
        if self._proposed is not None:
            proposed, self._proposed = self._proposed, None
            await proposed.withdraw()

    async def propose(self, side: Side) -> str:
        """A new offer of ours for a side, which is told whether the other one holds it."""
        caller, called = self._both()
        own, other = (caller, called) if side is Side.CALLER else (called, caller)
        given = await own.reoffer(held=not other.hears)
        self._proposed = own
        return given.sdp

    def hears(self, side: Side) -> bool:
        """Whether that side wants to hear."""
        end = self._caller if side is Side.CALLER else self._called
        return end is None or end.hears

    async def settle(self, side: Side, answer: str) -> None:
        """Take the answer to it."""
        caller, called = self._both()
        if self._proposed is not (caller if side is Side.CALLER else called):
            raise LocalProtocolError("there is no offer to answer")
        await self._proposed.settle(answer)
        self._proposed = None
        await self._join(caller, called)

    async def replace(self, side: Side, offer: str, transport: MediaTransport, *, signalled_from: str | None = None) -> str:
        """Answer the offer of somebody who takes that side's place: with an end of their own, joined to the other one."""
        caller, called = self._both()
        old, other = (caller, called) if side is Side.CALLER else (called, caller)
        if transport is not MediaTransport.WEBRTC:
            check_address(offer)
        before = self._transports[side], self._signalled_from[side]
        self._transports[side], self._signalled_from[side] = transport, signalled_from
        end = self._end(side, CODECS)
        try:
            given = await end.answer(offer, other.codec)
        except MediaError:
            self._transports[side], self._signalled_from[side] = before
            self._drop(end)
            raise
        if side is Side.CALLER:
            self._caller = caller = end
        else:
            self._called = self._branches[""] = called = end
        await self._join(caller, called)
        self._drop(old)
        return given

    async def renew(self, side: Side, offer: str) -> str:
        """Answer a new offer of a side; the other one hears what it sends from then on, or silence."""
        caller, called = self._both()
        own, other = (caller, called) if side is Side.CALLER else (called, caller)
        given = await own.reanswer(offer, other.codec, held=not other.hears)
        await self._join(caller, called)
        return given

    async def add_candidate(self, side: Side, candidate: Candidate | None, *, branch: str = "") -> None:
        """Take a trickled candidate; those of a branch that didn't answer yet are kept for it."""
        end = self._caller if side is Side.CALLER else self._branches.get(branch)
        if end is not None:
            await end.add_candidate(candidate)
        elif side is Side.CALLED and (branch in self._early or len(self._early) < MAX_EARLY):
            kept = self._early.setdefault(branch, [])
            if len(kept) < MAX_EARLY:
                kept.append(candidate)

    async def dtmf(self, towards: Side, digits: str) -> None:
        """Send digits to a side; returns when they are sent."""
        end = self._caller if towards is Side.CALLER else self._called
        if end is None:
            raise MediaError("nobody is there to take digits")
        await end.port.dtmf(digits)

    @property
    def passes(self) -> tuple[bool, ...]:
        """From the caller and from the called side: whether packets pass without a codec; empty before both are joined."""
        return self._bridge.passes

    def events(self) -> Outbox[RelayEvent]:
        """What happens, in order; ends when the relay is deleted. One reader."""
        return self._events

    async def delete(self) -> None:
        """End the media and free its ports. May be called twice; who comes second waits for the first."""
        if self._closing is None:
            self._closing = start_task(self._close(), name="relay-close")
        await asyncio.shield(self._closing)

    # inside

    def _check_open(self) -> None:
        if self._closing is not None:
            raise MediaError("the relay is deleted")

    def _both(self) -> tuple[End, End]:
        self._check_open()
        if self._caller is None or self._called is None or self._given is None:
            raise LocalProtocolError(NOT_ANSWERED)
        return self._caller, self._called

    def _end(self, side: Side, wanted: tuple[str, ...]) -> End:
        transport = self._transports[side]
        port: PassingPort
        if transport is MediaTransport.WEBRTC:
            port = self._media.ports.port(replace(self._options.webrtc, codecs=wanted))
        else:
            came_from, secured = self._signalled_from[side], transport is MediaTransport.SRTP
            port = self._media.rtp_ports.port(replace(self._options.rtp, codecs=wanted, srtp=secured, signalled_from=came_from))
        end = End(side, transport, port, self._heard)
        self._ends.append(end)
        return end

    async def _join(self, caller: End, called: End) -> None:
        await self._bridge.join(
            caller.port, called.port, speak=(caller.speaks, called.speaks), fill=(caller.wants_silence, called.wants_silence)
        )

    async def _accept(self, answer: str, branch: str, signalled_from: str | None = None) -> End:
        """The end of a branch, which has taken the branch's answer."""
        async with self._accepting:
            self._check_open()
            end = self._branches.get(branch)
            if end is None:
                end = await self._branch(branch)
                for candidate in self._early.pop(branch, ()):
                    await end.add_candidate(candidate)
            if signalled_from is not None:
                await end.trust_source(signalled_from)
            await end.accept(answer)
            return end

    async def _branch(self, branch: str) -> End:
        """The first branch gets the end that offered; so do others over RTP, where the last answer counts."""
        first = self._first
        if first is None:
            raise LocalProtocolError("there is no offer to answer")
        if self._branches and self._transports[Side.CALLED] is MediaTransport.WEBRTC:
            if len(self._branches) >= MAX_EARLY:
                raise MediaError("too many devices answer")
            port = await self._fork(first.port)
            end = End(Side.CALLED, MediaTransport.WEBRTC, port, self._heard, branch=branch, forked=True)
            self._ends.append(end)
        else:
            end = first
        self._branches[branch] = end
        return end

    async def _fork(self, port: PassingPort) -> PassingPort:
        """A fork, which doesn't get lost when who waits for it is cancelled: ``delete`` closes it."""
        forking = start_task(_forked(port), name="relay-fork")
        self._forking.add(forking)
        fork = await asyncio.shield(forking)
        self._forking.discard(forking)
        return fork

    def _heard(self, end: End, event: PortEvent) -> None:
        """An event of a port. Of the called side's branches only the one that is heard counts."""
        if isinstance(event, CandidateFound):
            self._events.put(tell.BranchCandidate(end.branch, event.candidate))
            return
        if end not in (self._caller, self._called):
            if end.over and end is not self._first:
                self._retire(end)
            return
        match event:
            case Connected(pair=_, codec=codec):
                self._events.put(tell.SideConnected(end.side, codec))
            case PortFailed(reason=reason):
                self._events.put(tell.SideLost(end.side, reason))
            case PortLost(silent_s=silent_s):
                self._events.put(tell.SideLost(end.side, silence_of(silent_s)))
            case PortSilent(silent_s):
                self._events.put(tell.SideSilent(end.side, silent_s))
            case PortDigitHeard(digit=digit, duration_ms=duration_ms, in_band=in_band):
                other = self._called if end is self._caller else self._caller
                passed = (other is not None and other.press(digit)) or in_band  # where it takes no events it has heard it in the sound
                self._events.put(tell.SideDigitHeard(end.side, digit, duration_ms, passed))
            case FirstPacket() | RestartWanted() | Moved() | Redirected() | PortWarning():  # not asked again for the path's sake
                pass

    def _retire(self, end: End) -> None:
        """Close the end of a branch that gave up; should it answer all the same, it gets another one."""
        self._branches.pop(end.branch, None)
        self._drop(end)

    def _drop(self, end: End) -> None:
        if end in self._ends:
            self._ends.remove(end)
            start_task(end.close(), name="relay-retire", among=self._retiring)

    async def _close(self) -> None:
        self._siblings.discard(self)
        with suppress(LocalProtocolError, MediaError):  # the media thread was stopped, and with it all that was in it
            await self._bridge.part()
        for forking in tuple(self._forking):  # who waits for one takes it out
            with suppress(MediaError, LocalProtocolError):
                await (await forking).close()
        try:
            await asyncio.gather(*(end.close() for end in self._ends), *self._retiring)
        finally:
            self._ends.clear()
            self._events.end()


async def _forked(port: PassingPort) -> PassingPort:
    return cast(PassingPort, await port.fork())
