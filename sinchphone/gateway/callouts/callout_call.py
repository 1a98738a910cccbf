"""One callout: the exchange calls somebody, and the backend's instructions are heard by who was called.

::

    where to? (the destination, or ICE) -> the called party rings (a call of its own inside the exchange) -> it answers: ACE, or the script
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import numpy as np

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.exchange.destinations.backend_calls import Callout
from sinchphone.exchange.destinations.parties import Silence
from sinchphone.exchange.destinations.prompts import spell_digit
from sinchphone.gateway.bridging.b2bua import B2buaCall
from sinchphone.gateway.bridging.local_ends.local_end import LocalEnd
from sinchphone.gateway.call_facts import CallerName, Dialled, Failure, Source
from sinchphone.gateway.call_records import CallRecord
from sinchphone.gateway.callbacks.backend import BackendSession
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.legs.leg import Answered, Gone
from sinchphone.gateway.legs.reasons import CallEnding
from sinchphone.gateway.local_channel.legs import CalledParty, LocalCaller
from sinchphone.gateway.routing.routing import (
    Dialling,
    Refuse,
    Route,
    Terms,
    ToAttendant,
    ToNumber,
    ToRoom,
    ToSip,
    ToStream,
    ToUser,
    identity_of,
    incoming_event,
    raises_ace,
)
from sinchphone.protocol.callbacks.events import Identity, IdentityType, Reason
from sinchphone.protocol.callbacks.svaml import Action, ConnectMxp, ConnectPstn, ConnectSip, Event, Park, RunMenu, Svaml
from sinchphone.protocol.phone_numbers import PRIVATE
from sinchphone.protocol.voice_limits import MAX_CALL_SECONDS
from sinchphone.signaling.dialect import Domain

NOWHERE: Final = Dialled(Domain.PSTN, "")  # until ICE is answered
_DOMAINS: Final = {IdentityType.USERNAME: Domain.MXP, IdentityType.SIP: Domain.SIP}


def dialling_of(callout: Callout) -> Dialling:
    """A callout as a call that wants to go somewhere."""
    to = callout.destination
    dialled = Dialled(_DOMAINS.get(to.type, Domain.PSTN), to.endpoint) if to is not None else NOWHERE
    return Dialling(source=Source.PLATFORM, caller=CallerName(Domain.PSTN, callout.shown or PRIVATE, callout.shown), dialled=dialled)


class CalloutCall(B2buaCall):
    """One callout. ``run`` it once; cancelling ends the call."""

    def __init__(self, context: GatewayContext, party: CalledParty, callout: Callout, application: str, session: BackendSession) -> None:
        super().__init__(context, party, dialling_of(callout), application, session)
        self._party = party
        self._callout = callout
        self._answered = asyncio.Event()
        self._user: str | None = None  # who is called, where ICE names one

    def _began(self) -> CallRecord:
        record = super()._began()
        record.custom = self._callout.custom
        return record

    async def _read_caller(self) -> None:
        """What becomes of the call to them: it isn't theirs, so that they are the called side."""
        async for event in self.caller.events():
            if isinstance(event, Gone):
                self.lifetime.end(CallEnding("called", event.failure))
            elif isinstance(event, Answered):
                self._answered.set()

    async def _connect(self) -> None:
        self._connection.include()
        route = await self._route()
        if isinstance(route, ToRoom | ToStream):
            route = Refuse(Failure(500, "a callout begins with a call to somebody, not with a room"), Reason.INVALID_SVAML_ACTION)
        if isinstance(route, Refuse):
            self.lifetime.end(CallEnding("exchange", route.failure, route.reason))
            return
        wanted = self._callout
        self._terms = replace(route.terms, callbacks=route.terms.callbacks and Event.DICE in wanted.asks)
        self.lifetime.max_seconds = wanted.max_duration_s or route.terms.max_duration_s or MAX_CALL_SECONDS
        asks = Event.ACE in wanted.asks and raises_ace(route)
        end = await self._side.end()
        self._party.place(lambda caller: self._call(caller, route))
        await self._answered.wait()
        await end.pick_up()
        await end.heard()
        if asks and not await self._ask_after_answer(None, await self._who_answers.who(end.leg, self._terms.amd)):
            return
        if wanted.hear is not None:
            self._connection.spawn(self._hear(end, wanted.hear), "keys")
        if wanted.spelt and wanted.script is not None:
            await self._script.run(wanted.script)
            await end.interject(await asyncio.to_thread(_spelt, wanted.spelt))
            self._hang_up()
            return
        if wanted.script is None or await self._act(wanted.script, None, self._go):
            await end.listen(Silence())

    async def _routed(self, answer: Svaml) -> Route:
        """In answer to ICE. Nobody is there yet who could hear a menu."""
        if isinstance(answer.action, RunMenu | Park):
            return Refuse(Failure(500, "a callout begins with a call to somebody"), Reason.INVALID_SVAML_ACTION)
        self._user = answer.action.user if isinstance(answer.action, ConnectMxp) else None
        return await super()._routed(answer)

    async def _connect_as(self, answer: Svaml) -> None:
        if await self._act(answer, None, self._go):
            await (await self._side.end()).listen(Silence())

    async def _hear(self, end: LocalEnd, hear: Callable[[str], Awaitable[bool]]) -> None:
        async for digit in end.heard_digits():
            if await hear(digit):
                self._hang_up()
                return

    async def _call(self, caller: LocalCaller, route: ToUser | ToSip | ToNumber | ToAttendant) -> None:
        """The call to them."""
        terms = Terms(ring_s=self._callout.ring_s or route.terms.ring_s, dtmf=route.terms.dtmf + self._callout.dtmf, callbacks=False)
        await B2buaCall(self._context, caller, self._dialling, self._application, None, route=replace(route, terms=terms)).run()

    async def _route(self) -> Route:
        """Where to: as it was asked for, or as ICE is answered."""
        if Event.ICE in self._callout.asks:
            route = await super()._route()
            before = Dialled(Domain.MXP, self._user) if self._user is not None else self._dialling.dialled
            self._party.dialled = _dialled(route, before)
            self._dialling = replace(self._dialling, dialled=self._party.dialled)
            if self._record is not None:
                self._record.to, self._record.domain = identity_of(self._dialling), incoming_event(self._dialling).domain
            self._context.event_record.names_callee(self.caller.id, self._party.dialled.identity)
            return route
        return self._context.routes.by_action(_action(self._callout.destination), self._dialling)


def _spelt(text: str) -> Samples:
    """Twice, with pauses."""
    pause = silence(RATE // 4)
    once = [part for character in text for part in (spell_digit(character), pause)]
    words: Samples = np.concatenate([silence(RATE // 2), *once, silence(RATE), *once])
    return words


def _action(to: Identity | None) -> Action:
    match to:
        case Identity(IdentityType.USERNAME, user):
            return ConnectMxp(user)
        case Identity(IdentityType.SIP, address):
            return ConnectSip(address)
        case _:
            return ConnectPstn(to.endpoint if to is not None else None)


def _dialled(route: Route, before: Dialled) -> Dialled:
    """Whom the events name from now on: who is called."""
    match route:
        case ToNumber(number):
            return Dialled(Domain.PSTN, number)
        case ToAttendant(number=str(number)):
            return Dialled(Domain.PSTN, number)
        case ToUser(user):
            return Dialled(Domain.MXP, user)
        case ToSip(uri):
            return Dialled(Domain.SIP, uri.removeprefix("sip:"))
        case _:
            return before
