"""Call control: users' devices over MXP, phones, trunks and proxies over SIP. Each call is one call.

::

    Gateway.find -> answer(Line)    \\
    SipAgents    -> take(SipCall)    >  B2buaCall.run, in the task of who asked
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from sinchphone.exchange.access.intake import FULL_RETRY_SECONDS, WHY_CLOSED
from sinchphone.exchange.calls.line import CallLine
from sinchphone.exchange.record.record import sip_name
from sinchphone.gateway.bridging.b2bua import B2buaCall
from sinchphone.gateway.call_facts import CallerName, Dialled, Source
from sinchphone.gateway.callbacks.backend import BackendSession
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.legs.caller_names import CallerNames, dialled_in
from sinchphone.gateway.legs.leg import IncomingLeg
from sinchphone.gateway.legs.mxp import MxpIncomingLeg
from sinchphone.gateway.legs.sip import SipIncomingLeg, transport_of
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.gateway.routing.routing import Dialling, ToUser
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.gateway.sip_agents import SipSide
from sinchphone.protocol.call.transfer_events import REPLACES_HEADER
from sinchphone.protocol.callbacks.events import CallFacts
from sinchphone.signaling.dialect import Domain

MAX_CALLS: Final = 200  # at the same time
MAX_CALLS_OF_ONE: Final = 16  # user's phones; trunks and proxies speak for many


class CallControl:
    """Takes calls, a limited number at a time."""

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._open: Counter[str] = Counter()  # calls, by who called over SIP

    # Users

    async def answer(self, line: CallLine) -> None:
        """Carry a user's call to its end."""
        leg = MxpIncomingLeg(line)
        user = line.caller.user_id
        headers = _without_replaces(leg.headers)
        call = Dialling(source=Source.USER, caller=leg.caller, dialled=leg.dialled, headers=headers, device=_device(line), user=user)
        await self._carry_leg(leg, call, line.application.key, user, leg.headers.get(REPLACES_HEADER, ""))

    # SIP

    async def take(self, call: SipCall, side: SipSide) -> None:
        """Carry a call that came over SIP to its end."""
        who = call.trunk or call.user or (call.facts.source.host if call.facts.source else "")
        lines = self._context.lines if call.trunk == Source.TRUNK else None
        if not self._context.intake.is_open and call.facts.replaces is None:
            await call.refuse(503, WHY_CLOSED, retry_after_s=FULL_RETRY_SECONDS)
        elif self._open.total() >= MAX_CALLS:
            await call.refuse(503, "Too many calls")
        elif self._open[who] >= MAX_CALLS_OF_ONE and call.user is not None:
            await call.refuse(486, "Too many calls of yours")
        elif call.facts.encrypted and call.offer is not None and transport_of(call.offer) is MediaTransport.RTP:
            await call.refuse(488, "Encrypted sound only")
        elif call.facts.replaces is not None and call.trunk == Source.TRUNK:
            await call.refuse(403, "Nobody outside takes calls over")
        elif call.facts.replaces is not None and call.facts.replaces.early_only:
            await call.refuse(486, "That call was answered")  # those that ring have no place to be taken (RFC 3891 3)
        elif lines is not None and (failure := await lines.take()) is not None:
            await call.refuse(failure.status, failure.reason)
        else:
            await self._carry(call, side, who)

    async def _carry(self, call: SipCall, side: SipSide, who: str) -> None:
        self._open[who] += 1
        try:
            leg = SipIncomingLeg(call, self._caller_of(call, side), dialled_in(call.target), media_host=side.media_host)
            record, application = self._context.event_record, self._context.default_application
            record.began(leg.id, application=application, caller=leg.caller.identity, callee=leg.dialled.identity)
            record.link(sip_name(call.facts.call_id), leg.id)
            source = Source.TRUNK if call.trunk == Source.TRUNK else Source.PHONE if call.user is not None else Source.PEER
            dialling = Dialling(
                source=source,
                caller=leg.caller,
                dialled=leg.dialled,
                headers=_without_replaces(leg.headers),
                max_forwards=call.facts.max_forwards,
                diversions=call.facts.diversions,
                device=call.facts.source.authority if call.facts.source is not None else "",
                user=call.user or "",
            )
            replaces = self._context.open_calls.leg_id_of(call.facts.replaces) if call.facts.replaces is not None else ""
            if replaces is None:
                await call.refuse(481)
                return
            await self._carry_leg(leg, dialling, application, None, replaces)
        finally:
            self._open[who] -= 1
            self._open += Counter()  # forgets who has none
            if call.trunk == Source.TRUNK and self._context.lines is not None:
                self._context.lines.release()

    def _caller_of(self, call: SipCall, side: SipSide) -> CallerName:
        context = self._context
        trunk = context.trunk.options if context.trunk is not None else None
        names = CallerNames(trunk, context.routes.is_ours, lambda name: context.legs.is_user(name, context.default_application))
        return names.of(call, side.name)

    # All

    async def _carry_leg(self, leg: IncomingLeg, call: Dialling, application: str, user: str | None, replaces: str) -> None:
        """``replaces``: the id of the leg in whose place it comes. A call between users isn't ours: the called user's phone knows it."""
        if replaces:
            await self._replace(leg, call, application, replaces)
            return
        await B2buaCall(self._context, leg, call, application, self._session(leg, application, user)).run()

    async def _replace(self, leg: IncomingLeg, call: Dialling, application: str, replaces: str) -> None:
        replaced = self._context.open_calls.find(replaces, application)
        if replaced is not None:
            await replaced.call.replace(replaced.side, leg)
            return
        route = self._context.routes.by_plan(call)
        if isinstance(route, ToUser):
            named = replace(call, dialled=Dialled(Domain.MXP, route.user), headers={**call.headers, REPLACES_HEADER: replaces})
        else:  # nobody is called anew for it
            named = replace(call, dialled=Dialled(Domain.MXP, ""))
        await B2buaCall(self._context, leg, named, application, None).run()

    def _session(self, leg: IncomingLeg, application: str, user: str | None) -> BackendSession | None:
        backend = self._context.backends.of(application)
        if backend is None:
            return None
        url = f"{self._context.url}/calling/v1/calls/id/{quote(leg.id, safe='')}"
        return backend.session(CallFacts(call_id=leg.id, application_key=application, user=user, resource_url=url))


def _without_replaces(headers: Mapping[str, str]) -> dict[str, str]:
    """What a call says to the called side; which call it replaces is between it and us."""
    return {name: value for name, value in headers.items() if name.lower() != REPLACES_HEADER}


def _device(line: CallLine) -> str:
    """The caller's instance: legacy devices have a sub-instance behind it."""
    return line.caller.instance_id.partition(":")[0]
