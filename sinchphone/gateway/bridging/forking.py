"""Connecting the caller to somebody: one or several legs ring at the same time, the first that takes the call has it.

::

    leg 1 -- bridge 1 \\
    leg 2 -- bridge 2  >-- the caller: hears that it rings, early sound of a single leg, the answer of the first
    leg 3 -- bridge 3 /          a leg that sends the call on has others in its place
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sinchphone.errors import MediaError, NoPortError, SinchphoneError
from sinchphone.gateway.bridging.bridges import Bridge
from sinchphone.gateway.bridging.forwarding import Forwarding
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.bridging.local_ends.local_end import LocalEnd
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.leg import Answered, BranchRings, Early, Gone, Leg, LegEvent, OutgoingLeg, Ringing
from sinchphone.gateway.legs.reasons import ELSEWHERE, NO_ANSWER, CallEnding, failure_of_error
from sinchphone.protocol.callbacks.events import Reason
from sinchphone.protocol.sip.uri import SipAddress

AT_ONCE: Final = 4  # legs that are called at the same time: of phones that are registered most may be dead
TURN_SECONDS: Final = 1.0  # until the next have their turn; an INVITE over UDP has gone out twice by then
FINAL: Final = 600  # from here on: declined for all devices (RFC 3261 16.7)
RING_SECONDS: Final = 62.0  # callers over MXP give up after 60 s themselves

_log = logging.getLogger(__name__)

MakeBridge = Callable[[OutgoingLeg], Bridge]
OnAnswer = Callable[[Bridge], Awaitable[bool]]  # asks the backend; False: the call is over


class Forking:
    """The called legs of one conversation (implements ``lifetime.CallerMedia`` for all their bridges)."""

    def __init__(
        self,
        lifetime: CallLifetime,
        legs: Sequence[OutgoingLeg],
        make_bridge: MakeBridge,
        on_answer: OnAnswer,
        forwarding: Forwarding,
        end: LocalEnd | None = None,
    ) -> None:
        """``end``: where the caller's media end; who was told things before hears a ringing tone where it was told things before."""
        self._lifetime = lifetime
        self._end = end
        self._make_bridge = make_bridge
        self._bridges = {leg: make_bridge(leg) for leg in legs}
        self._several = len(legs) > 1
        self._on_answer = on_answer
        self._forwarding = forwarding
        self._failures: list[Failure] = []
        self._open = set(legs)
        self._called: set[OutgoingLeg] = set()
        self._changed = asyncio.Event()  # a leg is over
        self._rang = False
        self._winner: OutgoingLeg | None = None
        self._is_dropped = False
        self._decided = asyncio.Event()

    @property
    def legs(self) -> Sequence[OutgoingLeg]:
        """Those that aren't over."""
        return [leg for leg in self._bridges if leg in self._open]

    async def ring(self, seconds: float | None) -> None:
        """Call them all, a few at a time; returns when one took the call. Where none does within that time, or all refuse, the
        conversation ends."""
        try:
            async with asyncio.timeout(seconds or RING_SECONDS):
                await self._call_in_turn(list(self._bridges))
                await self._decided.wait()
        except TimeoutError:
            self._lifetime.end(CallEnding("time", NO_ANSWER, Reason.NO_ANSWER))

    async def _call_in_turn(self, legs: list[OutgoingLeg]) -> None:
        """The first few at once, the next a moment later or as soon as those are over; all ring on side by side."""
        for first in range(0, len(legs), AT_ONCE):
            if first:
                await self._had_their_turn()
            if self._decided.is_set():
                return
            for leg in legs[first : first + AT_ONCE]:
                self._call(leg)

    async def _had_their_turn(self) -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                while not self._decided.is_set() and self._called & self._open:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    async def take(self, event: LegEvent) -> None:
        """What the caller's leg says about media: for the bridge that has the call, or for all that may get it."""
        bridges = list(self._bridges.values()) if self._winner is None else [self._bridges[self._winner]]
        for bridge in bridges:
            await bridge.take(event)

    def _call(self, leg: OutgoingLeg) -> None:
        self._called.add(leg)
        self._lifetime.run_leg(leg)
        self._lifetime.spawn(self._read(leg, self._bridges[leg]), "called leg")
        self._lifetime.spawn(self._start(leg, self._bridges[leg]), "call")

    async def _start(self, leg: OutgoingLeg, bridge: Bridge) -> None:
        try:
            await leg.start(await bridge.offer())
        except SinchphoneError as error:
            if isinstance(error, NoPortError):  # the caller isn't told how many there are
                _log.warning("a call can't be carried: %s", error)
            await self._give_up(leg, failure_of_error(error))

    async def _read(self, leg: OutgoingLeg, bridge: Bridge) -> None:
        async for event in leg.events():
            try:
                await self._take(leg, bridge, event)
            except SinchphoneError as error:
                await self._give_up(leg, failure_of_error(error))

    async def _take(self, leg: OutgoingLeg, bridge: Bridge, event: LegEvent) -> None:
        match event:
            case Ringing():
                await self._tell_ringing()
            case BranchRings(branch=branch, sdp=sdp):
                await bridge.ringing(sdp, branch)
            case Early(sdp=sdp):
                if self._several or not await self._hear_early(bridge, sdp):
                    await self._tell_ringing()
            case Answered():
                await self._answered(leg, bridge, event)
            case Gone():
                await self._left(leg, event)
            case _:
                await bridge.take_called(event)

    async def _hear_early(self, bridge: Bridge, sdp: str) -> bool:
        """Whether what comes before the answer can be heard. A description that can't be used decides nothing: the answer's will
        (RFC 3261 13.2.1)."""
        try:
            await bridge.early(sdp)
        except NoPortError:
            raise
        except MediaError as error:
            _log.info("what comes before the answer can't be heard: %s", error)
            return False
        return True

    async def _tell_ringing(self) -> None:
        if not self._rang and self._winner is None:
            self._rang = True
            await self._lifetime.ring()
            if self._end is not None:
                await self._end.ring()

    async def _answered(self, leg: OutgoingLeg, bridge: Bridge, event: Answered) -> None:
        if self._winner is leg:
            return
        if self._winner is not None or self._is_dropped:
            await leg.hang_up(ELSEWHERE)
            return
        self._winner = leg
        self._decided.set()
        for other in self.legs:
            if other is not leg:
                await other.hang_up(ELSEWHERE)
        self._lifetime.spawn(self._end_when_used_up(leg), "allowance")
        await bridge.answer(event.sdp, event.branch)
        self._lifetime.spawn(self._join(leg, bridge), "join")

    async def _end_when_used_up(self, leg: OutgoingLeg) -> None:
        failure = await leg.used_up()
        if leg in self._open:
            self._lifetime.end(CallEnding("time", failure))

    async def _join(self, leg: OutgoingLeg, bridge: Bridge) -> None:
        try:
            if await self._on_answer(bridge):
                await bridge.join()
        except SinchphoneError as error:
            await self._give_up(leg, failure_of_error(error))

    async def _give_up(self, leg: OutgoingLeg, failure: Failure) -> None:
        await leg.hang_up(failure)
        await self._call_next(leg, failure)

    async def _left(self, leg: OutgoingLeg, gone: Gone) -> None:
        """The other side ended it. A phone that has refused what we offered may be offered something else."""
        other = leg.alternative() if leg in self._open and not self._decided.is_set() else None
        if other is None:
            await self._call_next(leg, gone.failure, gone.moved)
        else:
            self._forwarding.replaced(leg, other)
            self._call_instead(leg, [other])

    async def _call_next(self, leg: OutgoingLeg, failure: Failure | None, moved: Sequence[SipAddress] = ()) -> None:
        """A leg hasn't got the call: those whom it names, or who were named beside it, are called in its place."""
        others: Sequence[OutgoingLeg] = ()
        if leg in self._open and not self._decided.is_set() and (failure is None or failure.status < FINAL):
            try:
                others = await self._forwarding.after(leg, moved)
            except SinchphoneError as error:
                failure = failure_of_error(error)
        for other in others:
            self._lifetime.take_over(other)
        if others and not self._decided.is_set():
            self._call_instead(leg, others)
        else:
            self._gone(leg, failure)

    def _call_instead(self, leg: OutgoingLeg, others: Sequence[OutgoingLeg]) -> None:
        self._open.discard(leg)
        self._open |= set(others)
        self._several = self._several or len(others) > 1
        for other in others:
            self._bridges[other] = self._make_bridge(other)
            self._call(other)

    def let_go(self, leg: Leg) -> None:
        """Somebody else has the place of the leg that took the call: its end is nothing to the call any more."""
        self._open -= {one for one in self._open if one is leg}

    async def drop(self) -> None:
        """The caller goes elsewhere: hang up on all of them, whose ends are nothing to the call any more. May be called twice."""
        self._is_dropped = True
        self._decided.set()
        legs, answered = self.legs, self._winner
        self._open.clear()
        for leg in legs:
            await self._lifetime.dismiss(leg, None if leg is answered else ELSEWHERE)

    def _gone(self, leg: OutgoingLeg, failure: Failure | None) -> None:
        """A leg is over."""
        if leg not in self._open:
            return
        self._open.discard(leg)
        self._changed.set()
        if self._winner is leg:
            self._lifetime.end(CallEnding("called", failure))
        elif self._winner is None:
            self._failures.append(failure or NO_ANSWER)
            final = self._failures[-1].status >= FINAL
            if final or not self._open:
                self._decided.set()
                self._lifetime.end(CallEnding("called", self._failures[-1] if final else best_of(self._failures)))


def best_of(failures: Sequence[Failure]) -> Failure:
    """What to tell a caller of several refusals: the one that says most about people, as a forking proxy does (RFC 3261 16.7)."""
    ranks = (486, 600, 603, 480, 408)
    return min(failures, key=lambda failure: ranks.index(failure.status) if failure.status in ranks else len(ranks) + failure.status)
