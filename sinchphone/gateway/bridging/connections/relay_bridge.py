"""A call whose media pass through a relay: nobody else wants to be heard in it.

::

    the caller's offer, the called side's answer -> RelayBridge -> Relay
"""

from contextlib import suppress
from functools import partial
from typing import assert_never

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.bridging.hold import HoldNews
from sinchphone.gateway.bridging.key_presses import SignalledDigits
from sinchphone.gateway.bridging.lifetime import CallLifetime
from sinchphone.gateway.bridging.transfer import transfer
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.leg import (
    AnswerChanged,
    Answered,
    BranchRings,
    DigitPressed,
    Early,
    Gone,
    IncomingLeg,
    Leg,
    LegEvent,
    OutgoingLeg,
    Reoffered,
    Ringing,
    TransferAsked,
    Trickled,
)
from sinchphone.gateway.legs.reasons import NOT_DESCRIBED, OFFER_IGNORED, UNCHANGEABLE, CallRefusedError, failure_of_error
from sinchphone.gateway.relay.relay import BranchCandidate, Relay, Side, SideConnected, SideDigitHeard, SideLost, SideSilent


class RelayBridge:
    """Passes the media through a relay. ``run`` is awaited beside."""

    def __init__(self, lifetime: CallLifetime, leg: OutgoingLeg, relay: Relay) -> None:
        self._lifetime = lifetime
        self.leg = leg
        self._legs: dict[Side, Leg] = {Side.CALLER: lifetime.caller, Side.CALLED: leg}
        self._relay = relay
        lifetime.keep(relay.delete)  # at once: a call that is over before it rings makes no offer
        self._told = {Side.CALLER: "", Side.CALLED: ""}  # our last description for each side
        self._signalled = {Side.CALLER: SignalledDigits(), Side.CALLED: SignalledDigits()}
        self._hold_news = {side: HoldNews(partial(self._tell_hold, side)) for side in Side}

    async def offer(self) -> str:
        """Made from the caller's."""
        self._lifetime.spawn(self._watch(), "relay")
        for side in self._signalled:
            self._lifetime.spawn(self._pass_digits(side), "digits")
            self._lifetime.spawn(self._hold_news[side].run(), "hold")
        assert self._lifetime.caller.offer is not None, "who waits for our offer has a port of ours"
        self._told[Side.CALLED] = await self._relay.offer(
            self._lifetime.caller.offer, self.leg.transport, signalled_from=self.leg.signalled_from
        )
        return self._told[Side.CALLED]

    async def ringing(self, sdp: str, branch: str) -> None:
        """Connect a device in advance."""
        await self._relay.ringing(sdp, branch=branch)

    async def early(self, sdp: str) -> None:
        """Told to the caller as early media."""
        self._told[Side.CALLER] = await self._relay.answer(sdp, signalled_from=self.leg.signalled_from)
        await self._lifetime.caller.early(self._told[Side.CALLER])

    async def answer(self, sdp: str | None, branch: str) -> None:
        """The caller's description is made, and kept for ``join``."""
        if sdp is not None:
            self._told[Side.CALLER] = await self._relay.answer(sdp, branch=branch, signalled_from=self.leg.signalled_from)
        elif not self._told[Side.CALLER]:
            raise MediaError(NOT_DESCRIBED)

    async def join(self) -> None:
        """Answer the caller."""
        await self._lifetime.caller.answer(self._told[Side.CALLER])
        self._lifetime.answered()

    async def take(self, event: LegEvent) -> None:
        """What the caller's leg says."""
        if self._legs[Side.CALLER] is self._lifetime.caller:
            await self._take(Side.CALLER, self._lifetime.caller, event)

    async def take_called(self, event: LegEvent) -> None:
        """What the called leg says."""
        if self._legs[Side.CALLED] is self.leg:
            await self._take(Side.CALLED, self.leg, event)

    async def replace(self, side: Side, by: IncomingLeg) -> None:
        """Who waits for our offer isn't taken."""
        if by.offer is None:
            raise CallRefusedError(Failure(501, "who takes a call's place has to offer sound at once"))
        given = await self._relay.replace(side, by.offer, by.transport, signalled_from=by.signalled_from)
        self._legs[side], self._told[side] = by, given
        await by.answer(given)
        self._hold_news[side].forget()
        for one in Side:
            self._hold_news[one.other].changed(held=not self._relay.hears(one))

    async def take_replacing(self, side: Side, event: LegEvent) -> None:
        """What a leg says that has taken that side's place."""
        await self._take(side, self._legs[side], event)

    async def dtmf(self, digits: str) -> None:
        """As telephone-events."""
        await self._relay.dtmf(Side.CALLED, digits)

    async def _take(self, side: Side, leg: Leg, event: LegEvent) -> None:
        match event:
            case Trickled(candidate=candidate, branch=branch):
                await self._relay.add_candidate(side, candidate, branch=branch)
            case Reoffered(sdp=sdp):
                await self._renew(side, leg, sdp)
            case AnswerChanged():
                self._hold_news[side].repeat()
            case TransferAsked():
                self._lifetime.spawn(transfer(leg, self._leg_of(side.other), event, self._lifetime.leg_id_of), "transfer")
            case DigitPressed(digit=digit, duration_ms=duration_ms):
                self._signalled[side].signalled(digit, duration_ms)
            case Ringing() | BranchRings() | Early() | Answered() | Gone():  # the call's, not its media's
                pass
            case _:
                assert_never(event)

    async def _renew(self, side: Side, leg: Leg, sdp: str | None) -> None:
        """The other side isn't asked, but told afterwards who holds it."""
        try:
            if sdp is None:
                await self._offer_anew(side, leg)
            else:
                self._told[side] = await self._relay.renew(side, sdp)
                await leg.answer_reoffer(self._told[side])
        except MediaError as error:
            await leg.refuse_reoffer(failure_of_error(error))
        else:
            self._hold_news[side.other].changed(held=not self._relay.hears(side))

    async def _tell_hold(self, side: Side, held: bool) -> None:
        """That the other side holds it, or doesn't any more. Raises MediaError where it refuses."""
        offer = await self._relay.propose(side)
        try:
            await self._relay.settle(side, await self._leg_of(side).reoffer(offer))
        except MediaError:
            await self._relay.withdraw()
            raise
        self._told[side] = offer
        self._hold_news[side.other].changed(held=not self._relay.hears(side))

    async def _offer_anew(self, side: Side, leg: Leg) -> None:
        """To a side that asks for an offer of ours, and answers it in its ACK (RFC 3261 14.2)."""
        try:
            offer = await self._relay.propose(side)
        except LocalProtocolError as error:
            raise MediaError(UNCHANGEABLE) from error
        try:
            answer = await leg.answer_reoffer(offer, offered=False)
            if answer is None:
                raise MediaError(OFFER_IGNORED)
            await self._relay.settle(side, answer)
        except MediaError:
            await self._relay.withdraw()
            raise
        self._told[side] = offer

    async def _pass_digits(self, side: Side) -> None:
        """Digits that come by signaling alone: as telephone-events, or by signaling again."""
        to = side.other
        while True:
            digit, duration_ms = await self._signalled[side].next()
            try:
                await self._relay.dtmf(to, digit)
            except MediaError:
                await self._send_digit(to, digit, duration_ms)

    async def _send_digit(self, to: Side, digit: str, duration_ms: int) -> None:
        with suppress(MediaError):  # there is no way to tell
            await self._leg_of(to).send_digit(digit, duration_ms)

    async def _watch(self) -> None:
        async for event in self._relay.events():
            match event:
                case SideConnected(side, codec):
                    self._lifetime.note_sound(f"the {side.name.lower()} side", codec)
                    await self._leg_of(side).media_connected(codec)
                case SideLost(side, reason):
                    await self._leg_of(side).media_failed(reason)
                case SideSilent(side, silent_s):
                    await self._leg_of(side).media_silent(silent_s)
                case BranchCandidate(branch, candidate):
                    await self.leg.trickle(candidate, branch=branch)
                case SideDigitHeard(side, digit, duration_ms, passed):
                    self._signalled[side].heard(digit, duration_ms)
                    if not passed:
                        await self._send_digit(side.other, digit, duration_ms)

    def _leg_of(self, side: Side) -> Leg:
        return self._legs[side]
