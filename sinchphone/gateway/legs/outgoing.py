"""Which legs a route means: a user's devices and phones, a SIP address, a number over the trunk."""

import time
import unicodedata
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

from sinchphone.errors import TRUNK_AWAY, RemoteProtocolError
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.usage import Payer
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.gateway.call_facts import CallerName, Failure, Source
from sinchphone.gateway.legs.leg import OutgoingLeg
from sinchphone.gateway.legs.mxp import MxpOutgoingLeg
from sinchphone.gateway.legs.mxp_room import MxpRoomLeg, RoomElsewhere
from sinchphone.gateway.legs.reasons import CallRefusedError
from sinchphone.gateway.legs.sip import Invitation, SipOutgoingLeg, Srtp
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.routing.routing import Dialling, Refuse, Route, ToAttendant, ToNumber, ToRoom, ToSip, ToStream, ToUser
from sinchphone.gateway.sip.calls import SipCall, SipTarget
from sinchphone.gateway.sip.registrar import Contact, Registrar
from sinchphone.gateway.sip_agents import SipAgents, SipSide
from sinchphone.gateway.trunk.metering import CallMeter, Metering
from sinchphone.gateway.trunk.trunk import Trunk, TrunkServers
from sinchphone.gateway.trunk.trunk_addresses import TrunkAddresses
from sinchphone.gateway.trunk.trunk_lines import TrunkLines
from sinchphone.protocol.call.states import NETWORK_DOMAIN
from sinchphone.protocol.phone_numbers import PRIVATE
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.headers.asserted_identity import ANONYMOUS
from sinchphone.protocol.sip.headers.diversion import write_diversions
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_uri, split_host
from sinchphone.signaling.dialect import Domain


def _nothing() -> None:
    """Nothing to free."""


class OutgoingLegs:
    """Makes outgoing legs."""

    def __init__(
        self,
        calls: Calls,
        broker: Broker,
        directory: Directory,
        registrar: Registrar,
        sip_agents: SipAgents,
        sip_application: str,
        trunk: Trunk | None = None,
        trunk_addresses: TrunkAddresses | None = None,
        metering: Metering | None = None,
        lines: TrunkLines | None = None,
    ) -> None:
        """``sip_application``: the key of the one that callers and phones over SIP belong to; ``trunk_addresses`` keeps up with where
        the trunk is; ``metering`` counts what users use of it, ``lines`` how many calls there are."""
        self._calls = calls
        self._broker = broker
        self._directory = directory
        self._trunk = trunk
        self._trunk_addresses = trunk_addresses
        self._metering = metering
        self._lines = lines
        self._registrar = registrar
        self._sip_agents = sip_agents
        self._sip_application = sip_application

    async def legs(self, route: Route, call: Dialling, application: str) -> Sequence[OutgoingLeg]:
        """The legs to try at the same time. Raises CallRefusedError where there is none."""
        match route:
            case ToUser():
                return await self._to_user(route, call, application)
            case ToSip():
                return [await self._to_sip(route, call)]
            case ToNumber():
                return [await self._to_number(route, call, application)]
            case Refuse(failure):
                raise CallRefusedError(failure)
            case ToRoom(process=str() as process):
                return [self._to_room(RoomElsewhere(route.room, process, route.participant), call, application)]
            case ToRoom() | ToAttendant() | ToStream():
                raise CallRefusedError(Failure(500, "that is no line"))
            case _:
                assert_never(route)

    @property
    def _barred(self) -> Container[str]:
        """Where only calls may go that the trunk's rules allow."""
        return TrunkServers(self._trunk) if self._trunk is not None else ()

    def phones(self, user: str, application_key: str) -> list[Contact]:
        """The phones that are registered under that name, the newest first. They belong to one application, as all that comes over SIP."""
        return self._registrar.contacts(user) if application_key == self._sip_application else []

    def is_user(self, name: str, application_key: str) -> bool:
        """Whether people would take that name for a user's: of an application, or of a phone."""
        application = self._directory.application(application_key)
        users = application.users if application is not None else ()
        if not name or name in users or self._registrar.password(name) is not None:
            return bool(name)
        return _plain(name) in map(_plain, users)

    async def _to_user(self, route: ToUser, call: Dialling, application_key: str) -> Sequence[OutgoingLeg]:
        application = self._directory.application(application_key)
        legs: list[OutgoingLeg] = []
        if application is not None and self._calls.is_reachable(application, route.user, time.time(), besides=call.device):
            legs.append(MxpOutgoingLeg(self._calls, self._broker, application, route.user, call.caller, route.headers, call.device))
        if phones := [phone for phone in self.phones(route.user, application_key) if phone.hop.authority != call.device]:
            sip = await self._sip_agents.towards(None)
            hops = _passed_on(call)
            legs += [self._to_phone(sip, contact, call, route, hops) for contact in phones]
        if legs:
            return legs
        if application is not None and route.user in application.users:
            raise CallRefusedError(Failure(480, f"{route.user} is not listening at the moment"))
        if self._registrar.password(route.user) is not None:
            raise CallRefusedError(Failure(480, f"{route.user} isn't registered at the moment"))
        raise CallRefusedError(Failure(404, f"there is no user {route.user} on this exchange"))

    def _to_room(self, where: RoomElsewhere, call: Dialling, application_key: str) -> OutgoingLeg:
        application = self._directory.application(application_key)
        if application is None:
            raise CallRefusedError(Failure(404, "there is no such application on this exchange"))
        return MxpRoomLeg(self._calls, self._broker, application, where, call.caller)

    def _to_phone(self, sip: SipSide, contact: Contact, call: Dialling, route: ToUser, hops: int) -> OutgoingLeg:
        invitation = Invitation(
            target=SipTarget(contact.uri, contact.hop, contact.route),
            caller=_known_there(_address_of(sip, call.caller), sip, contact),
            headers=_private(route.headers) | _diverted(call, sip),
            srtp=Srtp.IF_POSSIBLE if contact.hop.transport == "tls" else None,
            max_forwards=hops,
            barred=() if contact.route else self._barred,
            may_follow=_never,  # its user's rights decide
            user=route.user,
        )
        return _leg(sip, invitation)

    async def _to_sip(self, route: ToSip, call: Dialling) -> OutgoingLeg:
        uri = _read(route.uri)
        if self._trunk_addresses is not None and not await self._trunk_addresses.known():
            unknown = f"{TRUNK_AWAY}: no name server says where it is, and that address may be its own"
            raise CallRefusedError(Failure(503, unknown, NETWORK_DOMAIN))
        sip = await self._sip_agents.towards(uri.host)
        caller = _address_of(sip, call.caller, route.caller_id)
        encrypted = "tls" in (route.transport, uri.transport)
        srtp = Srtp.ALWAYS if uri.is_secure else Srtp.IF_POSSIBLE if encrypted else None
        invitation = Invitation(
            target=SipTarget(uri),
            caller=caller,
            headers=_private(route.headers) | _diverted(call, sip),
            transport=route.transport,
            srtp=srtp,
            max_forwards=_passed_on(call),
            barred=self._barred,
        )
        return _leg(sip, invitation)

    async def _to_number(self, route: ToNumber, call: Dialling, application: str) -> OutgoingLeg:
        if self._trunk is None or self._lines is None:
            raise CallRefusedError(Failure(503, "there is no trunk"))
        options = self._trunk.options
        sip = await self._sip_agents.towards(options.host)
        hops = _passed_on(call)
        placed = self._trunk.place(route.number, route.caller_id)
        if isinstance(placed, Failure):
            raise CallRefusedError(placed)
        if (failure := await self._lines.take()) is not None:
            raise CallRefusedError(failure)
        caller = ANONYMOUS if placed.caller_id is None else SipAddress(SipUri("sip", placed.caller_id, options.host))
        known = options.username is not None and options.password is not None
        try:
            invitation = Invitation(
                target=SipTarget(_read(placed.uri)),
                caller=caller,
                headers=_private(call.headers) | _diverted_to(call, options),
                credentials=Credentials(options.username or "", options.password or "") if known else None,
                transport=placed.transport,
                trunk=Source.TRUNK,
                may_follow=partial(self._trunk.may_redirect, placed),
                srtp=Srtp.ALWAYS if options.srtp else None,
                max_forwards=hops,
            )
            meter = self._meter(Payer(application, call.user), route.number)
        except CallRefusedError:
            self._lines.release()
            raise
        over = [self._lines.release, *([meter.close] if meter is not None else [])]
        return _leg(sip, invitation, lambda: [free() for free in over], meter)

    def _meter(self, payer: Payer, number: str) -> CallMeter | None:
        """What counts a user's call. Raises CallRefusedError where nothing is left of what the user may have."""
        if self._metering is None or not payer.user:
            return None
        meter = self._metering.place(payer, number)
        if isinstance(meter, Failure):
            raise CallRefusedError(meter)
        return meter


def _leg(sip: SipSide, invitation: Invitation, over: Callable[[], object] = _nothing, meter: CallMeter | None = None) -> OutgoingLeg:
    def invite(invitation: Invitation, offer: str) -> SipCall:
        return sip.agent.invite(
            invitation.target,
            caller=invitation.caller,
            offer=offer,
            headers=invitation.headers,
            credentials=invitation.credentials,
            transport=invitation.transport,
            trunk=invitation.trunk,
            max_forwards=invitation.max_forwards,
            barred=invitation.barred,
            call_id=invitation.call_id,
            may_follow=invitation.may_follow,
        )

    return SipOutgoingLeg(invite, invitation, media_host=sip.media_host, over=over, meter=meter)


def _never(uri: SipUri) -> bool:
    """Nowhere by itself."""
    return False


def _diverted(call: Dialling, sip: SipSide) -> dict[str, str]:
    """Which of our users have sent the call on (RFC 5806)."""
    return dict(write_diversions([SipUri("sip", user, sip.name, sip.agent.port) for user in call.forwarders]))


def _diverted_to(call: Dialling, trunk: TrunkOptions) -> dict[str, str]:
    """The same for a trunk, which knows us by our number and none of our users."""
    if trunk.caller_id is None:
        return {}
    return dict(write_diversions([SipUri("sip", trunk.caller_id, trunk.host)] * len(call.forwarders)))


def _passed_on(call: Dialling) -> int:
    """How often the next one may pass it on. Raises CallRefusedError where we may not any more (RFC 3261 16.3)."""
    if call.max_forwards < 1:
        raise CallRefusedError(Failure(483, "too many hops"))
    return call.max_forwards - 1


def _address_of(sip: SipSide, caller: CallerName, caller_id: str | None = None) -> SipAddress:
    """Who calls, as a From has it. Who is of another domain keeps that: a phone would take it for a user of ours."""
    shown = caller_id or caller.caller_id
    name, at, domain = caller.identity.rpartition("@")
    user = shown or (name if at else domain)
    if shown == PRIVATE or not user:
        return ANONYMOUS
    host: str = sip.name
    port: int | None = sip.agent.port
    if not shown and caller.domain is Domain.SIP and at and domain != sip.name:
        host, port = _host_of(domain)
    display_name = caller.display_name or (caller.identity if caller.domain is Domain.MXP else "")
    return SipAddress(SipUri("sip", user, host, port), display_name)


def _known_there(caller: SipAddress, sip: SipSide, contact: Contact) -> SipAddress:
    """As a phone knows who calls that registered at another process: of that one's address, not ours."""
    if not contact.route or (caller.uri.host, caller.uri.port) != (sip.name, sip.agent.port):
        return caller
    there = contact.route[0].uri
    return replace(caller, uri=replace(caller.uri, host=there.host, port=there.port))


def _host_of(domain: str) -> tuple[str, int | None]:
    try:
        return split_host(domain)
    except RemoteProtocolError:
        return ANONYMOUS.uri.host, None


def _plain(name: str) -> str:
    """A name without what people overlook in it."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _read(text: str) -> SipUri:
    try:
        uri = parse_uri(text)
    except RemoteProtocolError as error:
        raise CallRefusedError(Failure(484, "that is no SIP address")) from error
    if not uri.is_sip:
        raise CallRefusedError(Failure(416, "only sip: and sips: addresses can be called"))
    return uri


def _private(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that may travel over SIP."""
    return {name: value for name, value in headers.items() if name.lower().startswith("x-")}
