"""SIP transactions on sockets: requests that try one way after another, responses that find back (RFC 3261 17, 18; RFC 3263 4.3; RFC 3581).

::

    request + ways -> Attempt: Via, Contact, transaction -> answered(response)
    socket -> message -> transaction -> arrived(key, request, hop)
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias

from sinchphone.errors import RemoteProtocolError
from sinchphone.exchange.record.record import EventRecord
from sinchphone.gateway.sip.network.hop import LONGEST_UDP_REQUEST_BYTES, Hop, TransportError
from sinchphone.gateway.sip.network.rests import Rests
from sinchphone.gateway.sip.network.transport import SipTransports, TransportOptions
from sinchphone.hosts import SIP_PORTS
from sinchphone.protocol.sip.message import HeaderLines, MalformedRequestError, Request, Response, read_message, respond
from sinchphone.protocol.sip.transactions.layer import Arrived, Layer, LayerEffect, Responded, TransactionOver, Transmit, Unanswered, Unsent
from sinchphone.protocol.sip.transactions.transaction import Timing, cancel
from sinchphone.protocol.sip.uri import SipAddress, SipUri
from sinchphone.protocol.sip.via import MAGIC_COOKIE, Via
from sinchphone.quick_dataclass import quick_dataclass

WITH_CONTACT: Final = ("INVITE", "UPDATE", "REGISTER")
_LONGEST_KEEP_ALIVE_BYTES: Final = 8

Arrival: TypeAlias = Callable[[str | None, Request, Hop], None]
Admission: TypeAlias = Callable[[Request, Hop], bool]


@quick_dataclass(frozen=True, slots=True)
class ResponseArrived:
    """A response came. ``hop``: from where; None for one that was made here (408, 503), of which ``trouble`` says why if that is known."""

    response: Response
    hop: Hop | None
    trouble: TransportError | None = None


class Attempt:
    """A request of ours on its way. ``answered`` is called with each response that counts; after a final one only with an INVITE's 2xx."""

    def __init__(
        self, wire: "Wire", request: Request, hops: Sequence[Hop], user: str | None, answered: Callable[[ResponseArrived], None]
    ) -> None:
        self._wire = wire
        self._plain = request
        self._hops = list(hops)
        self._user = user
        self.answered = answered
        self.key: str | None = None
        self.is_final = False
        self.is_cancelled = False
        self._trouble: TransportError | None = None  # why the last hop didn't get it
        self._is_call = request.method == "INVITE" and not request.recipient.tag

    def go(self) -> None:
        """Send it to the next hop. Where none is left, that's a 503 (RFC 3261 8.1.3.1)."""
        while self._hops:
            hop = self._hops.pop(0)
            try:
                if self._is_call:
                    self._wire.rests.check(hop, time.monotonic())
                self.key = self._wire.open(self, self._wire.dress(self._plain, hop, self._user), hop)
            except TransportError as error:
                self._trouble = error
                continue
            return
        self._make(503)

    def cancel(self, reason: str) -> None:
        """CANCEL an INVITE that was answered provisionally."""
        self.is_cancelled = True
        if self.key is not None and not self.is_final:
            self._wire.cancel(self.key, reason)

    def responded(self, response: Response, hop: Hop) -> None:
        """A response came from the wire."""
        if response.status == 503 and self._is_call and (seconds := response.number("Retry-After")):
            self._wire.rests.ask(hop, seconds, time.monotonic())
        if response.status == 503 and self._hops and not self.is_cancelled:
            self.go()
            return
        self.is_final = self.is_final or not response.is_provisional
        self.answered(ResponseArrived(response, hop))

    def not_taken(self, error: TransportError) -> None:
        """The network doesn't take it; ``failed`` follows."""
        self._trouble = error

    def failed(self, status: int) -> None:
        """No response: 408, or 503 where it couldn't be sent."""
        if self.is_final:
            return
        if self._hops and not self.is_cancelled:
            self.go()
        else:
            self._make(status)

    def _make(self, status: int) -> None:
        self.is_final = True
        dressed = replace(self._plain, headers=(("Via", "SIP/2.0/UDP invalid"), *self._plain.headers))
        self.answered(ResponseArrived(respond(dressed, status), None, self._trouble))


class Wire:
    """Sockets and transactions of one agent."""

    def __init__(
        self,
        options: TransportOptions,
        arrived: Arrival,
        admits: Admission,
        *,
        timing: Timing | None = None,
        record: EventRecord | None = None,
    ) -> None:
        """``arrived`` takes each new request; ``admits`` says whether a new one is to be looked at at all. Raises ConfigError."""
        self._transports = SipTransports(options, self._receive, record)
        self._layer: Layer[Hop] = Layer(timing)
        self._arrived = arrived
        self._admits = admits
        self._attempts: dict[str, Attempt] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self.rests = Rests()
        self.dropped = 0  # messages that couldn't be understood

    async def start(self) -> None:
        """Listen. Raises NetworkError."""
        await self._transports.start()

    async def close(self) -> None:
        """Forget everything, close every socket. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, float("-inf")
        await self._transports.close()

    @property
    def port(self) -> int:
        """Where UDP and TCP listen."""
        return self._transports.port

    @property
    def tls_port(self) -> int | None:
        """Where TLS listens."""
        return self._transports.tls_port

    @property
    def open_transactions(self) -> int:
        """How many transactions aren't forgotten yet."""
        return len(self._layer)

    def address(self, hop: Hop) -> tuple[str, int]:
        """What that neighbour reaches us at. Raises TransportError."""
        return self._transports.address(hop)

    def local_address(self, hop: Hop) -> tuple[str, int]:
        """The same, but the address that this machine itself has. Raises TransportError."""
        return self._transports.local_address(hop)

    def prepare(
        self, request: Request, hops: Sequence[Hop], answered: Callable[[ResponseArrived], None], *, user: str | None = None
    ) -> Attempt:
        """A request that will go by the first of those ways that runtime. ``user``: for Contact, where the method has one."""
        return Attempt(self, request, hops, user, answered)

    def send_once(self, request: Request, hops: Sequence[Hop]) -> None:
        """Send the ACK of a 2xx by the first of those ways that runtime."""
        if not hops:
            return
        try:
            data = bytes(self.dress(request, hops[0], None))
        except TransportError:
            self.send_once(request, hops[1:])
            return
        self._transports.send(data, hops[0], lambda _: self.send_once(request, hops[1:]))

    def respond(self, key: str, response: Response, *, user: str | None = None, secure: bool = False) -> None:
        """Answer a request; nothing happens where its transaction is over. ``user``: for Contact, where the response has one."""
        hop = self._layer.hop(key)
        if hop is None:
            return
        if response.cseq.method in WITH_CONTACT[:2] and 100 < response.status < 300 and response.first("Contact") is None:
            with suppress(TransportError):
                response = response.with_header("Contact", str(self.contact(hop, user, secure=secure)))
        self._perform(self._layer.respond(key, response, time.monotonic()))

    def relay(self, key: str, response: Response) -> None:
        """Answer a request with what somebody else has answered to it; nothing happens where its transaction is over."""
        self._perform(self._layer.respond(key, response, time.monotonic()))

    def respond_once(self, key: str, response: Response) -> None:
        """Answer a request and forget it: what comes again is a new one. Over UDP nothing says that an INVITE's source isn't forged."""
        hop = self._layer.hop(key)
        if hop is None or hop.is_reliable:
            self.respond(key, response)
            return
        self._layer.forget(key)
        self._transports.send(bytes(response), _way_back(response, hop), None)

    def invite_key(self, request: Request) -> str | None:
        """The open INVITE that a CANCEL is for."""
        return self._layer.invite_key(request)

    def contact(self, hop: Hop, user: str | None, *, secure: bool) -> SipAddress:
        """Our Contact for that neighbour; of a ``sips`` request it's ``sips`` too (RFC 3261 8.1.1.8). Raises TransportError."""
        host, port = self.address(hop)
        if secure:
            return SipAddress(SipUri("sips", user, host, port))
        parameters = () if hop.transport == "udp" else (("transport", hop.transport),)
        return SipAddress(SipUri("sip", user, host, port, parameters))

    def dress(self, request: Request, hop: Hop, user: str | None) -> Request:
        """A request with Via and Contact for a hop. Raises TransportError."""
        host, port = self.address(hop)
        via = Via(hop.transport.upper(), host, port, (("branch", MAGIC_COOKIE + secrets.token_hex(12)), ("rport", None)))
        dressed = replace(request, headers=(("Via", str(via)), *request.headers))
        if request.method in WITH_CONTACT and request.first("Contact") is None:
            dressed = dressed.with_header("Contact", str(self.contact(hop, user, secure=request.uri.is_secure)))
        return dressed

    def open(self, attempt: Attempt, request: Request, hop: Hop) -> str:
        """Open a transaction for an attempt; its key."""
        key, effects = self._layer.request(request, hop, time.monotonic(), is_reliable=hop.is_reliable)
        self._attempts[key] = attempt
        self._perform(effects)
        return key

    def cancel(self, key: str, reason: str) -> None:
        """Send the CANCEL of an open INVITE, by the same way."""
        invite, hop = self._layer.sent(key), self._layer.hop(key)
        if invite is not None and hop is not None:
            _, effects = self._layer.request(cancel(invite, reason), hop, time.monotonic(), is_reliable=hop.is_reliable)
            self._perform(effects)

    def forget(self, attempt: Attempt) -> None:
        """Let go of a request that has had its time."""
        if attempt.key is not None and self._attempts.pop(attempt.key, None) is not None:
            self._layer.forget(attempt.key)

    def is_alive(self, attempt: Attempt) -> bool:
        """Whether responses may still come to an attempt."""
        return attempt.key is not None and self._attempts.get(attempt.key) is attempt

    def _receive(self, data: bytes, hop: Hop) -> None:
        if len(data) <= _LONGEST_KEEP_ALIVE_BYTES and not data.strip(b"\r\n\x00 "):
            return
        try:
            message = read_message(data, is_stream=hop.is_reliable)
        except MalformedRequestError as error:
            self.dropped += 1
            if error.request is not None and error.request.method != "ACK" and self._admits(error.request, hop):
                self.refuse(error.request, error.status, hop)
            return
        except RemoteProtocolError:
            self.dropped += 1
            return
        if isinstance(message, Request):
            message = message.with_via(message.via.seen_from(hop.host, hop.port))
            if not self._layer.knows(message) and message.method != "ACK" and not self._admits(message, hop):
                return
        now = time.monotonic()
        for effect in self._layer.receive(message, hop, now, is_reliable=hop.is_reliable):
            self._do(effect, hop)
        self._rearm()

    def refuse(self, request: Request, status: int, hop: Hop, headers: HeaderLines = ()) -> None:
        """Answer what can't be understood, without a transaction (RFC 3261 8.2.7)."""
        try:
            seen = request.with_via(request.via.seen_from(hop.host, hop.port))
            response = respond(seen, status, tag=secrets.token_hex(8), headers=headers)
            self._transports.send(bytes(response), _way_back(response, hop), None)
        except RemoteProtocolError:
            self.dropped += 1

    def _perform(self, effects: Sequence[LayerEffect[Hop]]) -> None:
        for effect in effects:
            self._do(effect, None)
        self._rearm()

    def _do(self, effect: LayerEffect[Hop], source: Hop | None) -> None:
        match effect:
            case Transmit(message, hop, key):
                self._transmit(message, hop, key)
            case Arrived(key, request, hop):
                self._arrived(key, request, hop)
            case Responded(key, response):
                attempt, hop_ = self._attempts.get(key), source or self._layer.hop(key)
                if attempt is not None and attempt.key == key and hop_ is not None:
                    attempt.responded(response, hop_)
            case Unanswered(key):
                self._fail(key, 408)
            case Unsent(key):
                self._fail(key, 503)
            case TransactionOver(key):
                self._attempts.pop(key, None)

    def _fail(self, key: str, status: int) -> None:
        attempt = self._attempts.get(key)
        if attempt is not None and attempt.key == key:
            attempt.failed(status)

    def _transmit(self, message: Request | Response, hop: Hop, key: str) -> None:
        if isinstance(message, Request):
            self._transports.send(bytes(message), hop, lambda error: self._unsent(key, error))
            return
        back, data = _way_back(message, hop), bytes(message)
        if hop.connection is None:
            self._transports.send(data, back, lambda _: self._unsent(key))
            return
        via = message.via  # the connection is gone: a new one to where the request says that it came from (RFC 3261 18.2.2)
        again = Hop(hop.transport, hop.host, via.port or SIP_PORTS[hop.transport])
        self._transports.send(data, back, lambda _: self._transports.send(data, again, lambda _: self._unsent(key)))

    def _unsent(self, key: str, error: TransportError | None = None) -> None:
        if error is not None and key in self._attempts:
            self._attempts[key].not_taken(error)
        self._perform(self._layer.unsent(key, time.monotonic()))

    def _rearm(self) -> None:
        due = self._layer.deadline
        if due is None or due >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer_at = due
        self._timer = loop.call_later(max(0.0, due - time.monotonic()), self._elapse)

    def _elapse(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self._perform(self._layer.elapse(time.monotonic()))


def by_size(request: Request, hops: Sequence[Hop]) -> list[Hop]:
    """The ways for a request: a long one goes by TCP first (RFC 3261 18.1.1)."""
    if len(bytes(request)) + 200 <= LONGEST_UDP_REQUEST_BYTES:  # Via and Contact are still to come
        return list(hops)
    found: list[Hop] = []
    for hop in hops:
        found += [replace(hop, transport="tcp", connection=None), hop] if hop.transport == "udp" else [hop]
    return found


def _way_back(response: Response, hop: Hop) -> Hop:
    """Where a response goes: to the source where rport was asked for, else to the port that Via names (RFC 3261 18.2.2, RFC 3581)."""
    via = response.via
    if hop.is_reliable or via.parameter("rport"):
        return hop
    return replace(hop, port=via.port or SIP_PORTS["udp"])
