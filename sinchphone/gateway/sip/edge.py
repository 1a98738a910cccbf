"""The edge proxy of a process whose phones others call: requests with a flow token of ours in their Route go on to that phone by the
connection that it holds open, and those of its dialogs back to who called (RFC 3261 16, RFC 3327, RFC 5626 5.3).

::

    another process: INVITE, Route: <sip:token@us;lr> -> EdgeProxy -> Record-Route twice, one's side and the other's -> the phone
    the phone:       BYE, Route: <token>, <token>     -> EdgeProxy -> the process that called, and nobody else

A token says both where a request may go and who wrote it, so nobody can have us send anything anywhere else.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.gateway.sip.network.hop import TRANSPORTS, Hop, TransportError
from sinchphone.gateway.sip.wire import Attempt, ResponseArrived, Wire
from sinchphone.hosts import SIP_PORTS
from sinchphone.protocol.sip.flow_token import FlowEnd, FlowToken, open_token, seal
from sinchphone.protocol.sip.message import MAX_FORWARDS, Request, Response, respond
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_address

FLOW_FAILED: Final = 430  # RFC 5626 11.5: the phone's connection is gone
_LOOSE: Final = ("lr", None)


class EdgeProxy:
    """Carries requests between the phones of this process and the other processes. Its agent hands it what comes first."""

    def __init__(self, wire: Wire, address: str) -> None:
        """``address``: the one of this machine by which the other processes reach it."""
        self._wire = wire
        self._address = address
        self._secret = secrets.token_bytes(32)  # what was written before a restart leads to connections that are gone
        self._invites: dict[str, _Forwarding] = {}  # by the transaction of who called

    def path(self, phone: Hop) -> SipAddress:
        """By which the other processes reach a phone that is heard from there."""
        token = seal(FlowToken(_end(phone)), self._secret)
        return SipAddress(SipUri("sip", token, self._address, self._wire.port, (_LOOSE,)))

    def knows(self, request: Request) -> bool:
        """Whether a request shows a token of ours."""
        return self._token(request) is not None

    def takes(self, key: str | None, request: Request, hop: Hop) -> bool:
        """Whether a request is for us as a proxy; it's dealt with then. ``key``: its transaction; an ACK has none."""
        if request.method == "CANCEL":
            return key is not None and self._cancelled(key, request)
        token = self._token(request)
        if token is None:
            return False
        if key is None:
            self._wire.send_once(self._onward(request, token), [_next_hop(token)])
        elif request.first("Max-Forwards") is not None and not request.number("Max-Forwards"):
            self._refuse(key, request, 483)
        else:
            self._forward(key, request, token, hop)
        return True

    def _token(self, request: Request) -> FlowToken | None:
        token = self._opened(next(iter(request.values("Route")), ""))
        if token is None or (token.peer is not None and not request.recipient.tag):  # calls don't begin by a Record-Route
            return None
        return token

    def _forward(self, key: str, request: Request, token: FlowToken, hop: Hop) -> None:
        onward = self._onward(request, token)
        if request.method == "INVITE":
            self._wire.respond(key, respond(request, 100))
            try:
                onward = onward if request.recipient.tag else self._recorded(onward, token, _caller(request, hop))
            except TransportError:
                self._refuse(key, request, FLOW_FAILED)
                return
        forwarding = _Forwarding(self._wire, key, lambda: self._invites.pop(key, None), is_to_phone=not token.from_phone)
        if request.method == "INVITE":
            self._invites[key] = forwarding
        forwarding.go(onward, _next_hop(token))

    def _cancelled(self, key: str, request: Request) -> bool:
        forwarding = self._invites.get(self._wire.invite_key(request) or "")
        if forwarding is None:
            return False
        self._wire.respond(key, respond(request, 200, tag=secrets.token_hex(8)))
        forwarding.cancel(request.first("Reason") or "")
        return True

    def _refuse(self, key: str, request: Request, status: int) -> None:
        self._wire.respond(key, respond(request, status, tag=secrets.token_hex(8)))

    def _onward(self, request: Request, token: FlowToken) -> Request:
        """Without our Routes, and one hop older."""
        routes = request.values("Route")
        while routes and self._opened(routes[0]) is not None:
            del routes[0]
        left = request.number("Max-Forwards") if request.first("Max-Forwards") is not None else MAX_FORWARDS
        onward = request.with_header("Route", *routes)
        return onward.with_header("Max-Forwards", str(max(0, (left or 0) - 1)))

    def _opened(self, route: str) -> FlowToken | None:
        try:
            return open_token(parse_address(route).uri.user or "", self._secret)
        except RemoteProtocolError:
            return None

    def _recorded(self, request: Request, token: FlowToken, caller: FlowEnd) -> Request:
        """With a Record-Route for either side, each by its own transport (RFC 5658). Raises TransportError."""
        phone, peer = _hop(token.phone), _hop(caller)
        here = self._record_route(peer, FlowToken(token.phone, caller))
        there = self._record_route(phone, FlowToken(token.phone, caller, from_phone=True))
        return replace(request, headers=(("Record-Route", str(there)), ("Record-Route", str(here)), *request.headers))

    def _record_route(self, hop: Hop, token: FlowToken) -> SipAddress:
        contact = self._wire.contact(hop, seal(token, self._secret), secure=False)
        return replace(contact, uri=replace(contact.uri, parameters=(*contact.uri.parameters, _LOOSE)))


class _Forwarding:
    """One request on its way through us (RFC 3261 16.6 to 16.10). ``over`` is called with each final response."""

    def __init__(self, wire: Wire, key: str, over: Callable[[], object], *, is_to_phone: bool) -> None:
        self._over = over
        self._wire = wire
        self._key = key
        self._is_to_phone = is_to_phone
        self._attempt: Attempt | None = None
        self._rings = False
        self._withdrawn: str | None = None  # for that reason

    def go(self, request: Request, hop: Hop) -> None:
        """Send it."""
        self._attempt = self._wire.prepare(request, [hop], self._answered)
        self._attempt.go()

    def cancel(self, reason: str) -> None:
        """As soon as a provisional response was there (RFC 3261 9.1)."""
        self._withdrawn = reason
        if self._rings and self._attempt is not None:
            self._attempt.cancel(reason)

    def _answered(self, answered: ResponseArrived) -> None:
        response = answered.response
        if response.is_provisional:
            withdrawn, self._rings = self._withdrawn if not self._rings else None, True
            if withdrawn is not None:
                self.cancel(withdrawn)
        else:
            self._over()
        if response.status != 100:  # of each hop its own
            self._wire.relay(self._key, self._backward(answered))

    def _backward(self, answered: ResponseArrived) -> Response:
        response = answered.response
        if answered.hop is None and response.status == 503 and self._is_to_phone:
            response = replace(response, status=FLOW_FAILED, reason="Flow Failed")
        return response.with_header("Via", *response.values("Via")[1:])


def _end(hop: Hop) -> FlowEnd:
    return FlowEnd(hop.transport, hop.host, hop.port, hop.connection)


def _hop(end: FlowEnd) -> Hop:
    return Hop(TRANSPORTS[end.transport], end.host, end.port, end.connection)


def _next_hop(token: FlowToken) -> Hop:
    return _hop(token.peer if token.from_phone and token.peer is not None else token.phone)


def _caller(request: Request, hop: Hop) -> FlowEnd:
    """Where the process listens that called: over a stream its Via says the port."""
    via = request.via
    return FlowEnd(hop.transport, hop.host, via.port or SIP_PORTS[hop.transport])
