"""One session on the wire: performs the effects of its machine, in order, and feeds it with what comes.

::

    SipCall -> order -> Session -> effects -> outbox -> ways -> Wire
    Wire -> response, request -> Session -> effects -> events -> SipCall
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Container
from contextlib import suppress
from typing import TypeAlias, assert_never

from sinchphone.errors import INSECURE, NOT_OVER_SIP, ForbiddenError, NetworkError, SinchphoneError
from sinchphone.gateway.sip.calls import SipCall, SipCallFacts
from sinchphone.gateway.sip.network.hop import TRANSPORTS, Hop, Transport
from sinchphone.gateway.sip.network.resolve import Resolver
from sinchphone.gateway.sip.wire import Attempt, ResponseArrived, Wire, by_size
from sinchphone.protocol.sip.message import Request
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.machine import SipSession
from sinchphone.protocol.sip.session.vocabulary import Effect, Input, SipPhase
from sinchphone.protocol.sip.uri import SipUri

_Outgoing: TypeAlias = v.SendRequest | v.SendAck | v.CancelRequest


class Usage:
    """One call's session, its way to the peer, and its SipCall."""

    def __init__(
        self,
        session: SipSession,
        facts: SipCallFacts,
        wire: Wire,
        resolver: Resolver,
        *,
        user: str | None,
        transport: Transport | None = None,
        barred: Container[str] = (),
        direct: tuple[SipUri, Hop] | None = None,
        leads_in: Callable[[Hop | None, Hop], bool] | None = None,
    ) -> None:
        """``user``: for Contact. ``transport``: of a caller who insists. ``barred``: addresses that the call may not lead to. ``direct``:
        the way to a registered phone. ``leads_in``: whether a redirection that came from there to that hop is a trespass."""
        self.session = session
        self.call = SipCall(facts, self._order)
        self.flow: Hop | None = facts.source  # where the peer's last message came from
        self._user = user
        self._transport = transport
        self._barred = barred
        self._direct = direct
        self._leads_in = leads_in
        self._wire = wire
        self._resolver = resolver
        self._attempts: dict[int, Attempt] = {}
        self._outbox: asyncio.Queue[_Outgoing] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._trouble: SinchphoneError | None = None  # why the last request didn't get out
        self._is_closed = False
        self._over_at = 0.0
        self.left = asyncio.Event()  # nothing is said any more

    @property
    def invite_key(self) -> str:
        """The transaction of the INVITE that made it."""
        return self.session.invite_key

    async def run(self) -> None:
        """Send what is to be sent, in order; the agent's task."""
        while True:
            effect = await self._outbox.get()
            match effect:
                case v.SendRequest():
                    await self._send(effect)
                case v.SendAck(request, next_uri):
                    with suppress(NetworkError):
                        self._wire.send_once(request, await self._ways(request, next_uri, in_dialog=True))
                case v.CancelRequest(serial, reason):
                    if serial in self._attempts:
                        self._attempts[serial].cancel(reason)
                case _:
                    assert_never(effect)

    def feed(self, event: Input) -> None:
        """Give something to the session, and do what it says."""
        if self._is_closed:
            return
        for effect in self.session.handle(event, time.monotonic()):
            self._perform(effect)
        self._rearm()
        if self.session.phase is SipPhase.OVER and not self.left.is_set():
            self._over_at = time.monotonic()
            self.left.set()

    def heard_from(self, request: Request, hop: Hop) -> None:
        """A request of the peer came from there; a stranger's, who only knows our tag, doesn't count."""
        if self.session.dialog_of(request) is not None:
            self.flow = hop

    def wake(self) -> None:
        """Start the clock of a session that an INVITE made."""
        self._rearm()

    def close(self) -> None:
        """Forget it."""
        self._is_closed = True
        for attempt in self._attempts.values():
            self._wire.forget(attempt)
        if self._timer is not None:
            self._timer.cancel()
        self.call.notify(v.SipEnded("the exchange is closing"))

    def _order(self, order: v.Order) -> None:
        self.feed(order)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case v.SendRequest() | v.SendAck() | v.CancelRequest():
                self._outbox.put_nowait(effect)
            case v.Reply(key, response):
                self._wire.respond(key, response, user=self._user, secure=self.call.target.is_secure)
            case v.Notify(v.Refused(status)) if self._trouble is not None:
                self.call.notify(v.Refused(status, str(self._trouble), self._trouble))
            case v.Notify(event):
                self.call.notify(event)
            case v.ReofferDone(sdp, status):
                self.call.settle(sdp, status)
            case v.ReferDone(status, reason):
                self.call.settle_refer(status, reason)
            case v.DigitDone():
                pass
            case _:
                assert_never(effect)

    async def _send(self, effect: v.SendRequest) -> None:
        try:
            hops = await self._ways(effect.request, effect.next_uri, in_dialog=effect.in_dialog)
        except (NetworkError, ForbiddenError) as error:
            hops, self._trouble = [], error  # a 503 without a way
        else:
            self._trouble = None
        if self._leads_in is not None and self.session.tried and not effect.in_dialog:
            hops = [one for one in hops if not self._leads_in(self.flow, one)]
        if not self._is_closed:
            attempt = self._wire.prepare(effect.request, hops, lambda one: self._answered(effect.serial, one), user=self._user)
            self._attempts[effect.serial] = attempt
            attempt.go()

    async def _ways(self, request: Request, next_uri: SipUri, *, in_dialog: bool) -> list[Hop]:
        """The hops to try. In a dialog, a peer's own connection goes first; so does its source where its Contact is behind a NAT."""
        if self._direct is not None and next_uri.is_same_as(self._direct[0]):
            return [self._direct[1]]
        flow = self.flow if in_dialog else None
        is_routed = bool(request.all("Route"))
        leads_there = next_uri.host == (flow.host if flow else None) and next_uri.transport in (None, flow.transport if flow else None)
        if flow is not None and flow.is_reliable and (not is_routed or leads_there):
            return [flow, *await self._resolved(request, next_uri, optional=True)]
        if flow is not None and not flow.is_reliable and not is_routed:
            if _is_elsewhere(next_uri, flow):
                return [flow]
            return await self._resolved(request, next_uri, in_dialog=True, optional=True) or [flow]
        return await self._resolved(request, next_uri, in_dialog=in_dialog)

    async def _resolved(self, request: Request, uri: SipUri, *, optional: bool = False, in_dialog: bool = False) -> list[Hop]:
        asked = uri.transport
        if asked is not None and asked not in TRANSPORTS:
            if optional:
                return []
            raise NetworkError("that SIP transport isn't spoken here")
        transport = TRANSPORTS[asked] if asked else None
        if not in_dialog and self._transport is not None:
            transport = self._transport
        try:
            hops = await self._resolver.resolve(uri.parameter("maddr") or uri.host, uri.port, transport, secure=uri.is_secure)
            if not in_dialog:
                hops = self._permitted(hops)
            return by_size(request, hops) if transport is None else hops
        except NetworkError:
            if optional:
                return []
            raise

    def _permitted(self, hops: list[Hop]) -> list[Hop]:
        permitted = [hop for hop in hops if hop.host not in self._barred]
        if not permitted:
            raise ForbiddenError("that address is the trunk's, which is called by phone number only")
        return permitted

    def _answered(self, serial: int, answered: ResponseArrived) -> None:
        if answered.hop is not None:
            self.flow = self.call.heard_from = answered.hop
            self._trouble = None
        elif self._trouble is None and answered.response.status == 503:
            self._trouble = _unreachable(self.call.target.host, answered.trouble)
        self.feed(v.GotResponse(serial, answered.response))

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.session.deadline
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_later(max(0.0, due - time.monotonic()), lambda: self.feed(v.SipElapsed()))

    def is_done(self) -> bool:
        """Whether the session is over and no transaction of it is open, or none has a right to be any more (RFC 3261 9.1)."""
        if self.session.phase is not SipPhase.OVER or not self._outbox.empty():
            return False
        if time.monotonic() > self._over_at + 2 * self.session.options.timing.give_up:
            return True
        return not any(self._wire.is_alive(one) for one in self._attempts.values())


def _unreachable(host: str, why: NetworkError | None) -> NetworkError:
    """In few words: MXP has little room for a reason."""
    if why is None:
        return NetworkError(f"{host} {NOT_OVER_SIP}")
    if str(why).startswith(INSECURE):
        return NetworkError(str(why).replace(INSECURE, f"{INSECURE} to {host}", 1), hint=why.hint)
    return NetworkError(f"{host} {NOT_OVER_SIP}: {why}", hint=why.hint)


def _is_elsewhere(uri: SipUri, flow: Hop) -> bool:
    """Whether a Contact names an address that isn't where its messages come from: the peer is behind a NAT."""
    try:
        return ipaddress.ip_address(uri.host) != ipaddress.ip_address(flow.host.partition("%")[0])
    except ValueError:
        return False
