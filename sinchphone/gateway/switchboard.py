"""The gateway's door for callers: users' devices over MXP, phones, trunks and proxies over SIP. Each call is one call.

::

    Gateway.find -> answer(Line)    \\
    SipAgent     -> route(SipCall)   >  B2buaCall.run, in the task of who asked
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from sinchphone.exchange.calls.line import Line
from sinchphone.gateway.bridging.b2bua import B2buaCall, House
from sinchphone.gateway.callbacks.backend import Backend, BackendSession
from sinchphone.gateway.legs.leg import CallerName, Dialled, IncomingLeg
from sinchphone.gateway.legs.mxp import MxpIncomingLeg
from sinchphone.gateway.legs.outgoing import TRUNK, OutgoingLegs
from sinchphone.gateway.legs.sip import SipIncomingLeg, transport_of
from sinchphone.gateway.relay.relay import Transport
from sinchphone.gateway.routing.routing import Dialling, Source
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.protocol.callback_events import CallFacts
from sinchphone.signaling.dialect import Domain

MAX_CALLS: Final = 200  # at the same time
MAX_CALLS_OF_ONE: Final = 16  # user's phones; trunks and proxies speak for many

_log = logging.getLogger(__name__)


class Switchboard:
    """Takes calls (``route`` is an ``agent.InviteRouter``)."""

    def __init__(
        self, house: House, lines: OutgoingLegs, trunk: Trunk | None, *, home: str, backend: Callable[[str], Backend | None]
    ) -> None:
        """``home`` is the application that SIP callers belong to; ``backend`` gives that of an application."""
        self._house = house
        self._lines = lines
        self._trunk = trunk
        self._home = home
        self._backend = backend
        self._open: Counter[str] = Counter()  # calls, by who called over SIP

    # Users

    async def answer(self, line: Line) -> None:
        """Carry a user's call to its end."""
        leg = MxpIncomingLeg(line)
        call = Dialling(source=Source.USER, caller=leg.caller, dialled=leg.dialled, headers=leg.headers)
        await self._converse(leg, call, line.application.key, line.caller.user_id)

    # SIP

    async def route(self, call: SipCall) -> None:
        """Carry a call that came over SIP to its end."""
        who = call.trunk or call.user or (call.facts.source.host if call.facts.source else "")
        if self._open.total() >= MAX_CALLS:
            await call.refuse(503, "Too many calls")
        elif self._open[who] >= MAX_CALLS_OF_ONE and call.user is not None:
            await call.refuse(486, "Too many calls of yours")
        elif call.facts.encrypted and call.offer is not None and transport_of(call.offer) is Transport.RTP:
            await call.refuse(488, "Encrypted sound only")
        elif call.trunk == TRUNK and self._trunk is not None and not self._trunk.take():
            await call.refuse(503, "All lines are in use")
        else:
            await self._carry(call, who)

    async def _carry(self, call: SipCall, who: str) -> None:
        self._open[who] += 1
        try:
            sip = await self._lines.speak_sip(None)
            leg = SipIncomingLeg(call, caller_of(call, sip.host), dialled_in(call))
            source = Source.TRUNK if call.trunk == TRUNK else Source.PHONE if call.user is not None else Source.PEER
            hops = call.facts.max_forwards
            dialling = Dialling(source=source, caller=leg.caller, dialled=leg.dialled, headers=leg.headers, max_forwards=hops)
            await self._converse(leg, dialling, self._home, None)
        finally:
            self._open[who] -= 1
            self._open += Counter()  # forgets who has none
            if call.trunk == TRUNK and self._trunk is not None:
                self._trunk.release()

    # All

    async def _converse(self, leg: IncomingLeg, call: Dialling, application: str, user: str | None) -> None:
        await B2buaCall(self._house, leg, call, application, self._session(leg, application, user)).run()

    def _session(self, leg: IncomingLeg, application: str, user: str | None) -> BackendSession | None:
        backend = self._backend(application)
        return backend.session(CallFacts(call_id=leg.id, application_key=application, user=user)) if backend is not None else None


def caller_of(call: SipCall, our_host: str) -> CallerName:
    """Who calls over SIP. Who proved to be a user is that one, whatever the From says."""
    uri = call.remote.uri
    number = uri.number
    if call.user is not None:
        own = number if number == call.user else None
        return CallerName(Domain.SIP, f"{call.user}@{our_host}", own, call.remote.name)
    user = uri.user or "anonymous"
    if call.trunk == TRUNK:
        hidden = user.lower() in ("anonymous", "unknown", "restricted")
        return CallerName(Domain.PSTN, "private" if hidden else number or user, None if hidden else number, call.remote.name)
    return CallerName(Domain.SIP, f"{user}@{uri.authority}", number, call.remote.name)


def dialled_in(call: SipCall) -> Dialled:
    """Whom a SIP call asks for. Numbers of ``tel:`` are as if they were dialled here."""
    target = call.target
    if target.scheme == "tel":
        return Dialled(Domain.SIP, target.number or target.user or "")
    return Dialled(Domain.SIP, f"{target.user or ''}@{target.authority}")
