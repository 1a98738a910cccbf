"""The SIP user agent of the exchange: takes calls and places them, answers OPTIONS and REGISTER (RFC 3261 8, 10, 11, 13).

::

    Wire -> request -> EdgeProxy | who is it? -> INVITE: Usage, router(SipCall) | its Usage | REGISTER: Registrar | OPTIONS | 4xx
    invite() -> Usage -> Wire
"""

import asyncio
import hmac
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Container, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from sinchphone.errors import RemoteProtocolError, SinchphoneError
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.store.store import StoreError
from sinchphone.gateway.sip.calls import SipCall, SipCallFacts, SipTarget
from sinchphone.gateway.sip.edge import EdgeProxy
from sinchphone.gateway.sip.limits import Admission, Sources
from sinchphone.gateway.sip.network.hop import Hop, Transport, TransportError
from sinchphone.gateway.sip.network.resolve import Resolver
from sinchphone.gateway.sip.network.transport import TransportOptions
from sinchphone.gateway.sip.options import SipOptions, TrunkPeer
from sinchphone.gateway.sip.registrar import SHARED_RETRY_SECONDS, Registrar
from sinchphone.gateway.sip.registration import SipRegistration
from sinchphone.gateway.sip.request_checks import checked_headers, fault_of, private_headers, replaced_by
from sinchphone.gateway.sip.shared_bindings import PhonePlace
from sinchphone.gateway.sip.usage import Usage
from sinchphone.gateway.sip.wire import Wire
from sinchphone.hosts import SIP_PORT, SIPS_PORT
from sinchphone.protocol.sip.bodies import ACCEPTED, SDP
from sinchphone.protocol.sip.digest import Credentials, Fault, Gate
from sinchphone.protocol.sip.headers.asserted_identity import caller_by_network
from sinchphone.protocol.sip.headers.diversion import count_diversions
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.protocol.sip.message import MAX_FORWARDS, HeaderLines, Request, respond
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.session.machine import SipSession
from sinchphone.protocol.sip.session.middle import abilities
from sinchphone.protocol.sip.session.state import ALLOW, SessionOptions
from sinchphone.protocol.sip.session.timer import MIN_SECONDS, read_session_expires
from sinchphone.protocol.sip.uri import SipAddress, SipUri, clean
from sinchphone.tasks import start_task

InviteRouter: TypeAlias = Callable[[SipCall], Awaitable[None]]

_logger = logging.getLogger(__name__)


KNOWN_METHODS: Final = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO", "OPTIONS", "REGISTER", "NOTIFY"})
OTHER_METHODS: Final = frozenset({"SUBSCRIBE", "REFER", "MESSAGE", "PUBLISH"})  # known, but not done outside of a call
RETRY_SECONDS: Final = 5
_GOODBYE_SECONDS: Final = 1.0  # for BYEs to be answered at the end


class SipAgent:
    """One user agent: sockets, transactions, dialogs and calls."""

    def __init__(
        self,
        options: SipOptions,
        *,
        router: InviteRouter,
        registrar: Registrar | None = None,
        resolver: Resolver | None = None,
        record: EventRecord | None = None,
    ) -> None:
        """``record`` is told of every message. Raises ConfigError for options that can't be."""
        self.options = options
        self._router = router
        self._registrar = registrar
        transports = TransportOptions(
            hosts=(options.host,),
            port=options.port,
            certificate=options.certificate,
            tls_port=options.tls_port,
            ca_files=options.ca_files,
            public_address=options.public_address,
        )
        self._wire = Wire(transports, self._arrived, self._admits, timing=options.timing, record=record)
        families = (6,) if ":" in options.host else (4,)
        self._resolver = resolver or Resolver(families=families)
        self._sources = Sources(options.limits, known=(options.proxies, *(trunk.hosts for trunk in options.trunks)))
        self._secret = secrets.token_bytes(32)
        shared_key = registrar.nonce_key if registrar is not None else None
        self._clock = time.monotonic if shared_key is None else time.time  # of nonces: processes have only the time of day in common
        nonce_key = shared_key or secrets.token_bytes(32)
        self._gate = Gate(options.realm, nonce_key, algorithms=options.algorithms, nonce_seconds=options.nonce_seconds)
        has_others = registrar is not None and registrar.shares_phones
        self._edge = EdgeProxy(self._wire, options.reached_at or options.host) if has_others else None
        self._session_options = SessionOptions(
            new_token=_new_token,
            chance=random.random,
            timing=options.timing,
            ring_seconds=options.ring_seconds,
            session_seconds=options.session_seconds,
            may_follow=self._may_follow,
        )
        self._usages: dict[tuple[str, str], Usage] = {}  # by Call-ID and our tag
        self._invites: dict[str, Usage] = {}  # incoming, by transaction
        self._unproved: dict[str, Request] = {}  # INVITEs of which the other processes are asked, by transaction
        self._merged: dict[tuple[str, str, int], str] = {}  # which transaction an INVITE of that name came by first
        self._tasks: dict[Usage, asyncio.Task[None]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closing = False

    async def start(self) -> None:
        """Listen. Raises NetworkError where an address can't be had."""
        await self._wire.start()
        self._sweep = asyncio.get_running_loop().call_later(1.0, self._forget)

    async def close(self) -> None:
        """Hang up what is left and close the sockets. May be called twice."""
        self._is_closing = True
        if self._sweep is not None:
            self._sweep.cancel()
        for usage in list(self._usages.values()):
            usage.feed(v.SipHangUp("the exchange is closing", 503))
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await asyncio.gather(*(one.left.wait() for one in self._usages.values()))
        tasks = [*self._tasks.values(), *self._serving]
        for usage in list(self._usages.values()):
            usage.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._usages.clear()
        self._invites.clear()
        self._tasks.clear()
        _logger.debug("the SIP side closes: transactions that aren't forgotten yet %d", self.open_transactions)
        await self._wire.close()

    @property
    def port(self) -> int:
        """Where UDP and TCP listen."""
        return self._wire.port

    @property
    def tls_port(self) -> int | None:
        """Where TLS listens."""
        return self._wire.tls_port

    @property
    def open_calls(self) -> int:
        """How many calls aren't over."""
        return sum(not one.call.is_over for one in self._usages.values())

    @property
    def open_transactions(self) -> int:
        """How many transactions aren't forgotten yet."""
        return self._wire.open_transactions

    def is_own(self, uri: SipUri) -> bool:
        """Whether a URI names us: our address and port, or one of our domains."""
        if uri.host.lower() in {self.options.realm.lower(), *(one.lower() for one in self.options.domains)}:
            return True
        ports = {self.port, self.tls_port}
        if (uri.port or (SIPS_PORT if uri.is_secure else SIP_PORT)) not in ports:
            return False
        if uri.host.lower() in (self.options.host, "localhost"):
            return True
        try:  # an address from which we reach it is our own
            return self._wire.local_address(Hop("udp", uri.host, self.port))[0] == uri.host
        except TransportError:
            return False

    def call_of(self, dialog: ReplacedDialog) -> SipCall | None:
        """The call with that dialog, as its peer names it to others: our tag is ``to_tag``."""
        usage = self._usages.get((dialog.call_id, dialog.to_tag))
        known = usage is not None and usage.session.dialog is not None and usage.session.dialog.remote_tag == dialog.from_tag
        return usage.call if usage is not None and known and not usage.call.is_over else None

    def invite(
        self,
        target: SipTarget,
        *,
        caller: SipAddress,
        offer: str,
        headers: Mapping[str, str] | None = None,
        credentials: Credentials | None = None,
        transport: Transport | None = None,
        trunk: str | None = None,
        max_forwards: int = MAX_FORWARDS,
        may_follow: Callable[[SipUri], bool] | None = None,
        barred: Container[str] = (),
        call_id: str | None = None,
    ) -> SipCall:
        """Call somebody; never waits and never raises because of the network: what happens comes as events.

        ``may_follow`` says where a redirection may lead; without it anywhere but to us and, from outside, to a trunk or trusted peer.
        ``max_forwards``: of a call that is passed on, one less than it came with, so that loops end. ``barred``: IP addresses that it may
        not lead to, by any name. ``call_id``: the Call-ID, which nobody has used; a new one where it isn't said.
        """
        session = SipSession.outgoing(
            replace(self._session_options, may_follow=may_follow) if may_follow is not None else self._session_options,
            call_id=call_id or secrets.token_hex(16),
            target=target.uri,
            caller=caller,
            offer=offer,
            headers=checked_headers(headers or {}),
            credentials=credentials,
            route=target.route,
            max_forwards=max_forwards,
        )
        facts = SipCallFacts(
            call_id=session.call_id,
            outbound=True,
            remote=SipAddress(target.uri),
            target=target.uri,
            trunk=trunk,
            headers=MappingProxyType({}),
        )
        usage = Usage(
            session,
            facts,
            self._wire,
            self._resolver,
            user=caller.uri.user,
            transport=transport,
            barred=barred,
            direct=(target.uri.for_request(), target.hop) if target.hop is not None and not target.route else None,
            leads_in=self._leads_in,
        )
        self._begin(usage)
        usage.feed(v.SipDial())
        return usage.call

    def registration(
        self,
        registrar: SipUri,
        credentials: Credentials,
        *,
        transport: Transport | None = None,
        registered: Callable[[Hop], None],
        holds: Callable[[], bool] = lambda: True,
        failed: Callable[[float], None] = lambda _: None,
    ) -> SipRegistration:
        """Our own registration with a carrier or PBX, to be run; who learns what of it: see there."""
        told: dict[str, Any] = {"registered": registered, "holds": holds, "failed": failed}
        return SipRegistration(self._wire, self._resolver, registrar, credentials, transport=transport, **told)

    def _may_follow(self, uri: SipUri) -> bool:
        """Whether a redirection may lead there: not back to us, nor to a trunk by its name, past the rules of who calls it."""
        return not self.is_own(uri) and not any(uri.host.lower() in one.names for one in self.options.trunks)

    def _leads_in(self, came_from: Hop | None, hop: Hop) -> bool:
        """Whether who redirects us from there sends us to a trunk or trusted peer that it isn't itself."""
        return any(hop.host in one.hosts and (came_from is None or came_from.host not in one.hosts) for one in self.options.trunks)

    # What comes.

    def _admits(self, request: Request, hop: Hop) -> bool:
        """Whether a new request is looked at at all."""
        if self._edge is not None and self._edge.knows(request):  # another process of ours answers for who asks
            return True
        match self._sources.judge(hop.host, request.method, time.monotonic()):
            case Admission.IGNORE:
                return False
            case Admission.REFUSE:
                self._wire.refuse(request, 503, hop, (("Retry-After", str(RETRY_SECONDS)),))
                return False
            case Admission.TAKE:
                return True

    def _arrived(self, key: str | None, request: Request, hop: Hop) -> None:
        if self._edge is not None and self._edge.takes(key, request, hop):
            return
        if key is None:
            self._acknowledged(request, hop)
        elif request.method == "CANCEL":
            self._cancelled(key, request)
        elif (fault := fault_of(request)) is not None:
            self._refuse(key, request, *fault)
        elif request.recipient.tag:
            self._in_dialog(key, request, hop)
        else:
            self._out_of_dialog(key, request, hop)

    def _acknowledged(self, request: Request, hop: Hop) -> None:
        usage = self._usages.get((request.call_id, request.recipient.tag))
        if usage is not None:
            usage.heard_from(request, hop)
            usage.feed(v.GotAck(request))

    def _cancelled(self, key: str, request: Request) -> None:
        """200 to the CANCEL, whatever becomes of the INVITE (RFC 3261 9.2)."""
        invite = self._wire.invite_key(request)
        usage = self._invites.get(invite or "") or self._usages.get((request.call_id, request.recipient.tag))
        if invite is None:
            self._refuse(key, request, 481)
            return
        self._wire.respond(key, respond(request, 200, tag=usage.session.tag if usage else _new_token()))
        if usage is not None:
            usage.feed(v.GotCancel(invite, request))
        elif (unproved := self._unproved.pop(invite, None)) is not None:
            self._refuse(invite, unproved, 487)

    def _in_dialog(self, key: str, request: Request, hop: Hop) -> None:
        usage = self._usages.get((request.call_id, request.recipient.tag))
        if usage is None:
            self._refuse(key, request, 481)
            return
        usage.heard_from(request, hop)
        if request.method == "INVITE":
            self._wire.respond(key, respond(request, 100))
        usage.feed(v.GotRequest(key, request))

    def _out_of_dialog(self, key: str, request: Request, hop: Hop) -> None:
        match request.method:
            case "INVITE":
                self._invited(key, request, hop)
            case "OPTIONS":
                self._wire.respond(key, respond(request, 200, tag=_new_token(), headers=abilities()))
            case "REGISTER" if self._registrar is not None:
                self._registered(key, request, hop, self._registrar)
            case method if method in KNOWN_METHODS and method != "REGISTER":
                self._refuse(key, request, 481)
            case method if method in KNOWN_METHODS | OTHER_METHODS:
                self._refuse(key, request, 405, (("Allow", ALLOW),))
            case _:
                self._refuse(key, request, 501, (("Allow", ALLOW),))

    def _registered(self, key: str, request: Request, hop: Hop, registrar: Registrar) -> None:
        user = self._gate.check(request, self._clock(), registrar.password, is_proxy=False, source=hop.host)
        if isinstance(user, Fault):
            self._challenge(key, request, hop, user, is_proxy=False)
            return
        self._keep(start_task(self._register(key, request, hop, user, registrar), name=f"register {user}"))

    async def _register(self, key: str, request: Request, hop: Hop, user: str, registrar: Registrar) -> None:
        if not await self._is_first(key, request, hop, registrar, is_proxy=False):
            return
        place = self._place(request, hop)
        status, headers = await registrar.register(user, request, place, time.time())
        given = tuple(("Path", str(one)) for one in place.path) if place.process is None else ()  # RFC 3327 5.3
        self._wire.respond(key, respond(request, status, tag=_new_token(), headers=(*headers, *given)))

    def _place(self, request: Request, hop: Hop) -> PhonePlace:
        """Where a phone is that registers: behind a proxy in front of us it says so itself (Path); else we hold its connection."""
        if hop.host in self.options.proxies and (path := request.addresses("Path")):
            return PhonePlace(hop, None, tuple(path))
        return PhonePlace(hop, path=(self._edge.path(hop),) if self._edge is not None else ())

    def _invited(self, key: str, request: Request, hop: Hop) -> None:
        name = (request.call_id, request.sender.tag, request.cseq.number)
        if self._merged.get(name, key) != key:  # the same request by another way: RFC 3261 8.2.2.2
            self._refuse(key, request, 482)
            return
        fault = self._invite_fault(request)
        if fault is not None:
            self._refuse(key, request, *fault)
            return
        peer = next((one for one in self.options.trunks if one.is_source(hop)), None)
        user: str | Fault | None = None
        if self._registrar is not None and (peer is None or request.first("Proxy-Authorization")):
            user = self._gate.check(request, self._clock(), self._registrar.password, is_proxy=True, source=hop.host)
        if isinstance(user, Fault) or user is None:
            if peer is None and not (self.options.open and not (isinstance(user, Fault) and user.was_wrong)):
                self._challenge(key, request, hop, user or Fault(), is_proxy=True)
                return
            user = None
        self._merged[name] = key
        if self._registrar is not None and self._registrar.shares_phones and user is not None:
            self._unproved[key] = request
            self._keep(start_task(self._take_first(key, request, hop, user, self._registrar), name=f"let {user} in"))
        else:
            self._take(key, request, hop, user, peer if user is None else None)

    async def _take_first(self, key: str, request: Request, hop: Hop, user: str, registrar: Registrar) -> None:
        is_first = await self._is_first(key, request, hop, registrar, is_proxy=True)
        is_wanted = self._unproved.pop(key, None) is not None
        if is_first and is_wanted and not self._is_closing:
            self._take(key, request, hop, user, None)

    async def _is_first(self, key: str, request: Request, hop: Hop, registrar: Registrar, *, is_proxy: bool) -> bool:
        """Whether no other process has let anybody in by that answer, which may have been overheard; it's refused else."""
        proof = self._gate.proof_of(request, is_proxy=is_proxy)
        try:
            if await registrar.is_first_with(proof, 2 * self.options.nonce_seconds):  # clocks may differ
                return True
        except StoreError:
            self._refuse(key, request, 503, (("Retry-After", str(SHARED_RETRY_SECONDS)),))
            return False
        self._challenge(key, request, hop, Fault(is_stale=True), is_proxy=is_proxy)
        return False

    def _invite_fault(self, request: Request) -> tuple[int, HeaderLines] | None:
        seconds, _ = read_session_expires(request)
        if not request.contacts or not request.contacts[0].uri.is_sip:
            return 400, ()
        try:
            replaced_by(request)
        except RemoteProtocolError:
            return 400, ()
        if request.has_unknown_body:
            return 415, (("Accept", ACCEPTED),)
        accepts = request.tokens("Accept")
        if request.first("Accept") is not None and not any(one.split(";")[0].strip() in (SDP, "application/*", "*/*") for one in accepts):
            return 406, ()
        if 0 < seconds < MIN_SECONDS and "timer" in request.tokens("Supported") | request.tokens("Require"):
            return 422, (("Min-SE", str(MIN_SECONDS)),)
        if self._is_closing or self.open_calls >= self.options.calls:
            return 503, (("Retry-After", str(RETRY_SECONDS)),)
        return None

    def _take(self, key: str, request: Request, hop: Hop, user: str | None, peer: TrunkPeer | None) -> None:
        self._wire.respond(key, respond(request, 100))
        facts = SipCallFacts(
            call_id=clean(request.call_id),
            outbound=False,
            remote=request.sender if peer is None else caller_by_network(request),
            target=request.uri,
            user=user,
            trunk=peer.name if peer is not None else None,
            encrypted=peer is not None and peer.encrypted,
            offer=request.sdp,
            replaces=replaced_by(request),
            headers=private_headers(request),
            diversions=count_diversions(request),
            source=hop,
            max_forwards=min(request.number("Max-Forwards") or 0, MAX_FORWARDS) if request.first("Max-Forwards") else MAX_FORWARDS,
        )
        session = SipSession.incoming(self._session_options, key, request, time.monotonic())
        usage = Usage(session, facts, self._wire, self._resolver, user=request.uri.user)
        self._invites[key] = usage
        self._begin(usage)
        usage.wake()
        self._keep(start_task(self._route(usage), name=f"route {usage.call.id}"))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _route(self, usage: Usage) -> None:
        try:
            await self._router(usage.call)
        except SinchphoneError:
            usage.feed(v.SipRefuse(500))
            usage.feed(v.SipHangUp())
        except BaseException:
            usage.feed(v.SipRefuse(500))
            usage.feed(v.SipHangUp())
            raise

    # What goes.

    def _refuse(self, key: str, request: Request, status: int, headers: HeaderLines = ()) -> None:
        """Refuse what nobody proved to have sent. An INVITE's refusal is said once: over UDP, repeating it until the ACK would make
        a forged source address a lever against its owner (RFC 3261 26.3.2.4)."""
        if request.method == "INVITE":
            tag = hmac.new(self._secret, key.encode("utf-8", "replace"), "sha256").hexdigest()[:20]  # the same each time: RFC 3261 8.2.7
            self._wire.respond_once(key, respond(request, status, tag=tag, headers=headers))
        else:
            self._wire.respond(key, respond(request, status, tag=_new_token(), headers=headers))

    def _challenge(self, key: str, request: Request, hop: Hop, fault: Fault, *, is_proxy: bool) -> None:
        """401 or 407: the same whether the user is unknown or the password wrong."""
        if fault.was_wrong and self._sources.count_failure(hop.host, time.monotonic()):
            _logger.warning("wrong passwords from %s: what it asks is refused for a while, with 503 and Retry-After", hop.host)
        values = self._gate.challenges(self._clock(), secrets.token_hex(8), source=hop.host, is_stale=fault.is_stale)
        name = "Proxy-Authenticate" if is_proxy else "WWW-Authenticate"
        self._refuse(key, request, 407 if is_proxy else 401, tuple((name, value) for value in values))

    def _begin(self, usage: Usage) -> None:
        self._usages[usage.session.call_id, usage.session.tag] = usage
        self._tasks[usage] = self._start(usage.run(), f"send {usage.call.id}")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return start_task(work, name=name)

    def _forget(self) -> None:
        """Let go of calls for which nothing can come any more."""
        for name, usage in list(self._usages.items()):
            if usage.is_done():
                del self._usages[name]
                self._invites.pop(usage.invite_key, None)
                self._tasks.pop(usage).cancel()
                usage.close()
        alive = {one.invite_key for one in self._usages.values()}
        self._merged = {name: key for name, key in self._merged.items() if key in alive}
        self._sweep = asyncio.get_running_loop().call_later(1.0, self._forget)


def _new_token() -> str:
    return secrets.token_hex(10)
