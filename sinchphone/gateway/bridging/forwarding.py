"""Calls that a called side sends on (300, 301, 302): by the rights of whose phone it is, in a bounded number of steps, in no circle.

::

    a leg is gone, and names Contacts -> the most wanted first -> Routes, as if that user dialled them -> legs that ring in its place
    none of those takes the call      -> the next ones
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from sinchphone.gateway.call_facts import Dialled, Failure, Source
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.legs.caller_names import dialled_in
from sinchphone.gateway.legs.leg import OutgoingLeg
from sinchphone.gateway.legs.reasons import CallRefusedError
from sinchphone.gateway.routing.routing import Dialling, Refuse, Route, ToAttendant, ToNumber, ToRoom, ToSip, ToUser
from sinchphone.protocol.sip.session.caller import wish
from sinchphone.protocol.sip.uri import SipAddress, SipUri
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain

MAX_DIVERSIONS: Final = 5  # of one call, those before it came here included
MAX_CALLED: Final = 16  # users, numbers and addresses in one call: phones that each name several make no flood of it

_log = logging.getLogger(__name__)


@quick_dataclass(frozen=True, slots=True)
class _RingTogether:
    """Whom to call at the same time. ``call`` is what it has become when ``by`` sends it on; ``None``: nobody of ours."""

    call: Dialling
    by: str | None
    targets: tuple[SipUri, ...]


@dataclass(eq=False, slots=True)
class _RingGroup:
    """Legs that ring together, and what is left to be tried when none of them takes the call."""

    open: set[OutgoingLeg] = field(default_factory=set)
    rest: list[_RingTogether] = field(default_factory=list)


class Forwarding:
    """Where the called sides of one call send it on."""

    def __init__(self, context: GatewayContext, application: str, *, by_backend: bool) -> None:
        """``by_backend``: a backend decides which calls go out, so that a phone only chooses among users."""
        self._context = context
        self._application = application
        self._by_backend = by_backend
        self._groups: dict[OutgoingLeg, _RingGroup] = {}
        self._calls: dict[OutgoingLeg, Dialling] = {}
        self._called: set[Dialled] = set()  # in this call, by whomever

    def began(self, route: Route, call: Dialling, legs: Sequence[OutgoingLeg]) -> None:
        """These legs are called at first."""
        self._called.add(_whom(route, call))
        self._put(_RingGroup(), call, legs)

    def replaced(self, leg: OutgoingLeg, other: OutgoingLeg) -> None:
        """The same side is called in another way."""
        group = self._groups.pop(leg)
        group.open.discard(leg)
        self._put(group, self._calls.pop(leg), [other])

    async def after(self, leg: OutgoingLeg, moved: Sequence[SipAddress]) -> Sequence[OutgoingLeg]:
        """Who is called now that a leg is gone without having taken the call; none where nobody is left. Raises CallRefusedError where the
        call can't be sent on as it wants."""
        group, call = self._groups.pop(leg), self._calls.pop(leg)
        group.open.discard(leg)
        if moved:
            left = [] if group.open else group.rest
            group = _RingGroup(rest=[*_steps(call, leg.forwards_as, moved), *left])
        elif group.open:
            return ()
        return await self._next(group)

    async def _next(self, group: _RingGroup) -> Sequence[OutgoingLeg]:
        refusal: CallRefusedError | None = None
        while group.rest:
            step, found = group.rest.pop(0), list[OutgoingLeg]()
            for target in step.targets:
                try:
                    found += await self._legs(target, step, group)
                except CallRefusedError as error:
                    refusal = refusal or _told(error, step.by)
            if found:
                return found
        if refusal is not None:
            raise refusal
        return ()

    async def _legs(self, target: SipUri, step: _RingTogether, group: _RingGroup) -> Sequence[OutgoingLeg]:
        """Raises CallRefusedError."""
        if step.call.diversions > MAX_DIVERSIONS or step.call.max_forwards < 1:
            raise CallRefusedError(Failure(483, "it was sent on too often"))
        if len(self._called) >= MAX_CALLED:
            raise CallRefusedError(Failure(483, "it was sent on to too many"))
        call = replace(step.call, dialled=self._dialled(target, step.by))
        route = self._permitted(self._context.routes.by_plan(call), call)
        legs = await self._context.legs.legs(route, call, self._application)
        self._called.add(_whom(route, call))
        self._put(group, call, legs)
        return legs

    def _dialled(self, target: SipUri, by: str | None) -> Dialled:
        if target.scheme == "tel" or self._context.routes.is_ours(target.host, target.port):
            return dialled_in(target)
        if by is None:
            raise CallRefusedError(Failure(403, "who isn't of this exchange sends calls to its users only"))
        return Dialled(Domain.SIP, str(target))

    def _permitted(self, route: Route, call: Dialling) -> Route:
        match route:
            case Refuse(failure):
                raise CallRefusedError(failure)
            case ToRoom() | ToAttendant():
                raise CallRefusedError(Failure(403, "what the exchange answers itself, and rooms, take no calls that were sent on"))
            case ToNumber() | ToSip() if self._by_backend:
                raise CallRefusedError(Failure(403, "which calls go out is for the backend to decide"))
        if _whom(route, call) in self._called:
            raise CallRefusedError(Failure(482, "it was there already: a circle"))
        return route

    def _put(self, group: _RingGroup, call: Dialling, legs: Sequence[OutgoingLeg]) -> None:
        for leg in legs:
            group.open.add(leg)
            self._groups[leg], self._calls[leg] = group, call


def _steps(call: Dialling, by: str | None, moved: Sequence[SipAddress]) -> Iterator[_RingTogether]:
    sent_on = replace(
        call,
        source=Source.PEER if by is None else Source.PHONE,
        max_forwards=call.max_forwards - 1,
        diversions=call.diversions + 1,
        forwarders=call.forwarders if by is None else (*call.forwarders, by),
        user=by or "",
    )
    for _, group in groupby(sorted(moved, key=lambda one: -wish(one)), key=wish):
        yield _RingTogether(sent_on, by, tuple(one.uri for one in group))


def _whom(route: Route, call: Dialling) -> Dialled:
    match route:
        case ToUser(user):
            return Dialled(Domain.MXP, user)
        case ToNumber(number):
            return Dialled(Domain.PSTN, number)
        case _:
            return call.dialled


def _told(error: CallRefusedError, by: str | None) -> CallRefusedError:
    """Why not, without saying where to: that is between the exchange and whose phone it is."""
    who = f"{by}'s phone" if by is not None else "the called side"
    _log.info("%s sends a call on, in vain: %s", who, error.failure.reason)
    return CallRefusedError(replace(error.failure, reason=f"{who} sends the call on, but {error.failure.reason}"))
