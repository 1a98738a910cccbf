"""Where a call goes: decided by the dial plan, or by the SVAML of the developer's backend. Pure.

::

    Dialling(source, caller, dialled) -> Routes.by_plan          -> Route
    SVAML's action                    -> Routes.by_action        -> Route

A call of a user to a user never comes here: the exchange's own calls carry it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final, TypeAlias, assert_never

from sinchphone.errors import BACKEND_HANGS_UP, ConfigError, RemoteProtocolError
from sinchphone.exchange.destinations.dialplan import NOBODYS_NUMBER, Plan, is_simulated, plan_for
from sinchphone.exchange.refusals import RefusedError
from sinchphone.gateway.call_facts import CallerName, Dialled, Failure, Source
from sinchphone.gateway.options import GatewayOptions, SipSettings, SipTransport
from sinchphone.gateway.routing.rules import Rule, Target, read_rules, read_target, refusal_status
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.protocol.callbacks import svaml
from sinchphone.protocol.callbacks.events import (
    CallDomain,
    Identity,
    IdentityType,
    IncomingCallEvent,
    Reason,
)
from sinchphone.protocol.names import DIALLED_ROOM_PREFIX, ROOM_PREFIX, ROOM_RULE, is_room_length
from sinchphone.protocol.phone_numbers import PRIVATE, SHAPE, is_number, subscriber, without_separators
from sinchphone.protocol.sip.message import MAX_FORWARDS
from sinchphone.protocol.sip.uri import parse_uri
from sinchphone.protocol.voice_limits import NEEDS_CALLER_ID
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain

ROOM_PREFIXES: Final = (ROOM_PREFIX, DIALLED_ROOM_PREFIX, "room:")
_SCHEME: Final = re.compile(r"^sips?:", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]{1,5}))?", re.ASCII)


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Dialling:
    """A call that wants to go somewhere. ``dialled``: SIP names ``user@host``, numbers and rooms themselves.

    ``max_forwards``: how often it may still be passed on over SIP, so that loops end. ``device``: what the caller calls from, which isn't
    rung itself where somebody calls their own name: an instance id, or the ``host:port`` of a phone. ``diversions`` counts how often the
    call was sent on, here or before it came; ``forwarders`` are our users who did so, the last one last. ``user`` is whose calls it counts
    among; empty for trunks and proxies, which speak for many.
    """

    source: Source
    caller: CallerName
    dialled: Dialled
    headers: Mapping[str, str] = field(default_factory=dict)
    max_forwards: int = MAX_FORWARDS
    device: str = ""
    diversions: int = 0
    forwarders: tuple[str, ...] = ()
    user: str = ""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a backend asked of a call. ``ring_s``: how long the called side may ring; ``dtmf`` is sent to it after the answer; ``amd``:
    whether somebody listens to who answers; ``music`` is for a caller who is held."""

    max_duration_s: float | None = None
    ring_s: float | None = None
    dtmf: str = ""
    callbacks: bool = True  # False: no ACE, no DiCE
    amd: svaml.Amd = svaml.Amd.OFF
    music: str | None = None


PLAIN: Final = Terms()


@quick_dataclass(frozen=True, slots=True)
class ToUser:
    """A user: their MXP devices and the SIP phones registered under their name."""

    user: str
    headers: Mapping[str, str] = field(default_factory=dict)
    terms: Terms = PLAIN


@quick_dataclass(frozen=True, slots=True)
class ToSip:
    """A SIP address. ``uri`` has its scheme; ``headers`` are private ones (X-…); ``transport`` is ``None`` where the address decides."""

    uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    transport: SipTransport | None = None
    caller_id: str | None = None
    terms: Terms = PLAIN


@quick_dataclass(frozen=True, slots=True)
class ToNumber:
    """A phone number over the trunk: ``Trunk.place`` says how. ``caller_id`` "private" withholds it."""

    number: str
    caller_id: str | None
    terms: Terms = PLAIN


@quick_dataclass(frozen=True, slots=True)
class ToRoom:
    """A conference room. ``music`` is what the caller hears while nobody else is there; ``dtmf``: what becomes of their digits. Where
    another ``process`` of this exchange has it, the caller enters it there as that ``participant``."""

    room: str
    terms: Terms = PLAIN
    music: str | None = None
    dtmf: svaml.ConferenceDtmf = field(default_factory=svaml.ConferenceDtmf)
    process: str | None = None
    participant: str = ""


@quick_dataclass(frozen=True, slots=True)
class ToAttendant:
    """One of the exchange's own: a simulated subscriber (``number``), the echo."""

    plan: Plan
    number: str | None = None
    terms: Terms = PLAIN


@quick_dataclass(frozen=True, slots=True)
class ToStream:
    """A WebSocket server that hears and says raw sound."""

    url: str
    sample_rate: int
    headers: Mapping[str, str] = field(default_factory=dict)
    terms: Terms = PLAIN


@quick_dataclass(frozen=True, slots=True)
class Refuse:
    """Nowhere. ``reason`` is what DiCE says."""

    failure: Failure
    reason: Reason = Reason.GENERAL_ERROR


Route: TypeAlias = ToUser | ToSip | ToNumber | ToRoom | ToAttendant | ToStream | Refuse


class Routes:
    """The dial plan of one gateway."""

    def __init__(
        self, options: GatewayOptions, trunk: Trunk | None = None, *, is_ours: Callable[[str, int | None], bool] | None = None
    ) -> None:
        """``trunk`` is asked for its numbers; without one phone numbers are simulated subscribers. ``is_ours`` says whether a host and
        port mean this gateway: by the configuration, where it isn't given. Raises ConfigError."""
        self.is_ours = is_ours or (options.sip or SipSettings()).is_ours
        self._rules = read_rules(options)
        self._trunk = trunk

    def by_plan(self, call: Dialling) -> Route:
        """Where the configuration sends a call."""
        match call.dialled.domain:
            case Domain.PSTN:
                return self.to_number(call.dialled.identity, call.caller.caller_id)
            case Domain.CONFERENCE:
                return ToRoom(call.dialled.identity)
            case Domain.MXP:  # a user's call to a user: the rules are for those who come from outside
                return _own(call.dialled.identity) or ToUser(call.dialled.identity, call.headers)
            case Domain.SIP:
                return self._by_address(call)

    def by_action(self, action: svaml.Action, call: Dialling) -> Route:
        """Where a backend's answer to ICE sends a call. What isn't given is what was dialled."""
        match action:
            case svaml.ConnectPstn():
                number = action.number or _number_in(call.dialled)
                terms = Terms(
                    max_duration_s=action.max_duration_s,
                    ring_s=action.dial_timeout_s,
                    dtmf=action.dtmf,
                    callbacks=not action.suppress_callbacks,
                    amd=action.amd,
                )
                if number is None:
                    return _refuse(484, "connectPstn names no number, and none was dialled", Reason.INVALID_SVAML_ACTION)
                return self.to_number(number, action.caller_id or self._caller_id(call), terms)
            case svaml.ConnectMxp(user, headers):
                named = user or _user_part(call.dialled.identity)
                return _own(named) or ToUser(named, headers or call.headers)
            case svaml.ConnectConf(room, music, dtmf):
                return ToRoom(room, music=music, dtmf=dtmf)
            case svaml.ConnectStream(url, sample_rate, max_duration_s, headers):
                return ToStream(url, sample_rate, headers or call.headers, Terms(max_duration_s=max_duration_s))
            case svaml.ConnectSip():
                terms = Terms(max_duration_s=action.max_duration_s, callbacks=not action.suppress_callbacks, music=action.music)
                transport = _transport(action.transport)
                return self._to_sip(ToSip(_with_scheme(action.address), action.headers, transport, action.caller_id, terms), call)
            case svaml.Hangup():
                return _refuse(603, BACKEND_HANGS_UP, Reason.MANAGER_HANGUP)
            case svaml.Continue():
                return self.by_plan(call)
            case svaml.RunMenu() | svaml.Park():  # of the call's own end
                return _refuse(500, "a menu and a park lead nowhere", Reason.INVALID_SVAML_ACTION)
            case _:
                assert_never(action)

    def to_number(self, number: str, caller_id: str | None, terms: Terms = PLAIN) -> Route:
        """A phone number: over the trunk, or a simulated subscriber. The numbers that nobody has are simulated in any case."""
        if not caller_id:
            return _refuse(403, NEEDS_CALLER_ID, Reason.BLOCKED)
        if self._trunk is not None and not is_simulated(number):
            return ToNumber(number, caller_id, terms)
        return _simulated(number, terms)

    def _to_sip(self, route: ToSip, call: Dialling) -> Route:
        """An address. At the trunk's own only numbers can be called, by its rules; what a name leads to is checked when it's resolved."""
        if self._trunk is None or not _is_at(self._trunk, route.uri):
            return route
        number = _number_in(Dialled(Domain.SIP, _SCHEME.sub("", route.uri, count=1)))
        if number is None:
            return _refuse(403, "the trunk is called by phone number only", Reason.BLOCKED)
        return self.to_number(number, route.caller_id or self._caller_id(call), route.terms)

    def _by_address(self, call: Dialling) -> Route:
        """A SIP address. Phones may call any; for a trunk and its like each address is ours, so that nobody can be called through us."""
        user, _, host = call.dialled.identity.rpartition("@")
        host = re.sub(r"[;?].*", "", host)
        named = _AUTHORITY.fullmatch(host)
        ours = named is not None and self.is_ours(named[1], int(named[2]) if named[2] else None)
        if call.source in (Source.USER, Source.PHONE) and user and not ours:
            private = {name: value for name, value in call.headers.items() if name.lower().startswith("x-")}
            return self._to_sip(ToSip(_with_scheme(call.dialled.identity), private, caller_id=call.caller.caller_id), call)
        return self._by_name(call, subscriber(_SCHEME.sub("", user or call.dialled.identity, count=1)))

    def _by_name(self, call: Dialling, name: str) -> Route:
        target = self._trunk.target_of(name) if call.source is Source.TRUNK and self._trunk else None
        if target is not None:  # of one number of ours: it may lead out again
            return self._by_target(target, call)
        target = _first_match(self._rules, name) if call.source is not Source.USER else None
        if target is None:
            return self._by_default(call, name)
        route = self._by_target(target, call)
        if call.source in (Source.TRUNK, Source.PEER) and isinstance(route, ToNumber | ToSip):
            return _refuse(403, "calls from outside don't go out again", Reason.BLOCKED)
        return route

    def _by_target(self, written: str, call: Dialling) -> Route:
        try:
            target = read_target(written)
        except ConfigError:
            return _refuse(484, "the dial plan can't make a destination of that", Reason.GENERAL_ERROR)
        return self._route(target, call)

    def _route(self, target: Target, call: Dialling) -> Route:
        match target.kind:
            case "user":
                return ToUser(target.name, call.headers)
            case "room":
                return ToRoom(target.name)
            case "number":
                return self.to_number(target.name, self._caller_id(call))
            case "sip" | "sips":
                return self._to_sip(ToSip(f"{target.kind}:{target.name}", caller_id=call.caller.caller_id), call)
            case "refuse":
                return _refuse(refusal_status(target), "the dial plan refuses it", Reason.BLOCKED)
            case _:
                return _own(target.name) or _refuse(404, "nobody of that name")

    def _by_default(self, call: Dialling, name: str) -> Route:
        """Where no rule says otherwise: rooms, numbers, the exchange's own, users."""
        room = _room_in(name)
        if room is not None:
            return ToRoom(room) if is_room_length(room) else _refuse(404, ROOM_RULE)
        number = without_separators(name)
        if number.startswith("+"):
            return self._number_by_default(call, number)
        own = _own(name)
        if own is not None:
            return own
        if call.source is Source.TRUNK and name.isdecimal():
            return _refuse(404, "no number of the trunk, and no rule of the dial plan", Reason.USER_NOT_FOUND)
        return ToUser(name, call.headers)

    def _number_by_default(self, call: Dialling, number: str) -> Route:
        if not is_number(number):
            return _refuse(484, SHAPE)
        if call.source in (Source.USER, Source.PHONE):
            return self.to_number(number, self._caller_id(call))
        if is_simulated(number):
            return _simulated(number)
        return _refuse(404, "no number of ours, and no rule of the dial plan", Reason.USER_NOT_FOUND)

    def _caller_id(self, call: Dialling) -> str | None:
        """What the called side is shown. A SIP phone has no number of its own: it shows the trunk's, or one that nobody has."""
        if call.caller.caller_id or call.source in (Source.USER, Source.PLATFORM):
            return call.caller.caller_id
        return self._trunk.options.caller_id if self._trunk else NOBODYS_NUMBER


def raises_ace(route: Route) -> bool:
    """Whether the answer raises an Answered Call Event: only at phone numbers and SIP addresses (Sinch Voice callbacks)."""
    phone = isinstance(route, ToSip | ToNumber) or (isinstance(route, ToAttendant) and route.number is not None)
    return phone and not isinstance(route, Refuse) and route.terms.callbacks


def incoming_event(call: Dialling) -> IncomingCallEvent:
    """The Incoming Call Event that a call raises. SIP counts as pstn: the events know no domain of its own."""
    to = identity_of(call)
    domains = {IdentityType.USERNAME: CallDomain.MXP, IdentityType.CONFERENCE: CallDomain.CONFERENCE}
    origin = CallDomain.MXP if call.source is Source.USER else CallDomain.PSTN
    caller_id = call.caller.caller_id or (PRIVATE if call.source is Source.USER else call.caller.identity or PRIVATE)
    return IncomingCallEvent(to=to, domain=domains.get(to.type, CallDomain.PSTN), origin=origin, caller_id=caller_id, headers=call.headers)


def identity_of(call: Dialling) -> Identity:
    """Whom a call's events name as its destination. What a trunk or its like dials is one of our numbers, or one of our users."""
    name = call.dialled.identity
    match call.dialled.domain:
        case Domain.PSTN:
            return Identity(IdentityType.DID if call.source is Source.TRUNK else IdentityType.NUMBER, name)
        case Domain.CONFERENCE:
            return Identity(IdentityType.CONFERENCE, name)
        case Domain.MXP:
            return Identity(IdentityType.USERNAME, name)
        case Domain.SIP:
            return _identity_of_address(call, _user_part(name))


def _identity_of_address(call: Dialling, user: str) -> Identity:
    number, room = without_separators(subscriber(user)), _room_in(user)
    if room:
        return Identity(IdentityType.CONFERENCE, room)
    if call.source in (Source.TRUNK, Source.PEER):
        if number.removeprefix("+").isdecimal():
            return Identity(IdentityType.DID, f"+{number[2:]}" if number.startswith("00") else number)
        return Identity(IdentityType.USERNAME, user)
    if is_number(number):
        return Identity(IdentityType.NUMBER, number)
    return Identity(IdentityType.SIP, call.dialled.identity)


def _room_in(name: str) -> str | None:
    """The room that a dialled name means; None where it means none."""
    return next((name[len(prefix) :] for prefix in ROOM_PREFIXES if name.lower().startswith(prefix)), None)


def _is_at(trunk: Trunk, address: str) -> bool:
    """Whether a SIP address names the trunk as its server."""
    try:
        uri = parse_uri(address)
    except RemoteProtocolError:
        return False
    return any(trunk.is_at(host) for host in (uri.host, uri.parameter("maddr")) if host)


def _first_match(rules: tuple[Rule, ...], name: str) -> str | None:
    return next((target for rule in rules if (target := rule.match(name)) is not None), None)


def _own(name: str) -> Route | None:
    """One of the exchange's own by its name: echo, tone."""
    try:
        plan = plan_for(Domain.MXP, name)
    except RefusedError as refused:
        return _refuse(404 if refused.status == 404 else 484, str(refused), Reason.USER_NOT_FOUND)
    return None if plan is None else ToAttendant(plan)


def _simulated(number: str, terms: Terms = PLAIN) -> Route:
    try:
        plan = plan_for(Domain.PSTN, number)
    except RefusedError as refused:
        return _refuse(484, str(refused))
    assert plan is not None, "every number has a plan"
    return ToAttendant(plan, number, terms)


def _refuse(status: int, why: str, reason: Reason = Reason.GENERAL_ERROR) -> Refuse:
    return Refuse(Failure(status, why), reason)


def _number_in(dialled: Dialled) -> str | None:
    name = without_separators(subscriber(_user_part(dialled.identity)))
    return name if is_number(name) else None


def _user_part(address: str) -> str:
    return address.rpartition("@")[0] or address


def _with_scheme(address: str) -> str:
    return address if _SCHEME.match(address) else f"sip:{address}"


def _transport(name: str | None) -> SipTransport | None:
    transports: Mapping[str | None, SipTransport] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}
    return transports.get(name)
