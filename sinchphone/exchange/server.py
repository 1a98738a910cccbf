"""The exchange as a server: directory, broker and calls behind one HTTP port."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from sinchphone.errors import ConfigError, NetworkError
from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.access.connections import SILENT_SECONDS, ConnectionGuard, GuardedSite
from sinchphone.exchange.access.intake import WHY_CLOSED, Intake
from sinchphone.exchange.access.local_addresses import local_address
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.line import Destinations
from sinchphone.exchange.calls.parties import CallParties
from sinchphone.exchange.calls.shared.takeover import CallTakeover
from sinchphone.exchange.calls.usage import UsageRecords
from sinchphone.exchange.conference.api import ConferenceRoutes
from sinchphone.exchange.conference.mixers import mixer_of
from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.exchange.control import ControlRoutes, Hosting
from sinchphone.exchange.destinations.attendants import Attendants
from sinchphone.exchange.destinations.configuration_api import ConfigurationRoutes
from sinchphone.exchange.destinations.dialplan import is_built_in
from sinchphone.exchange.destinations.gateway import Gateway, GatewayFactory, GatewayOnDemand, GatewayParts
from sinchphone.exchange.directory.accounts import Accounts
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.own_limits import OwnLimits
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.lifecycle import Lifecycle
from sinchphone.exchange.listening import listen, until_somebody_listens
from sinchphone.exchange.management.access import ManagementAccess
from sinchphone.exchange.management.faults import Faults
from sinchphone.exchange.management.faults_routes import FaultsRoutes
from sinchphone.exchange.management.health import HealthRoutes
from sinchphone.exchange.management.inspector_routes import InspectorRoutes
from sinchphone.exchange.management.reset import ResetRoute
from sinchphone.exchange.management.simulated_calls_routes import SimulatedCallsRoutes
from sinchphone.exchange.management.sms_routes import SmsInboxRoutes
from sinchphone.exchange.management.trace_routes import TraceRoutes
from sinchphone.exchange.management.users_routes import UsersRoutes
from sinchphone.exchange.messages.postbox import Postbox
from sinchphone.exchange.messages.senders import Senders
from sinchphone.exchange.messages.transports import Transports
from sinchphone.exchange.metrics.readings import Readings
from sinchphone.exchange.middlewares import asked_by_name, cors, counted, errors_as_json, faulty, once_ready
from sinchphone.exchange.ocra.routes import OcraRoutes
from sinchphone.exchange.openapi import route as openapi
from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.papi.routes import PapiRoutes
from sinchphone.exchange.parked_answer import Parking
from sinchphone.exchange.pubnub.rights import ChannelRights
from sinchphone.exchange.pubnub.routes import PubNubRoutes
from sinchphone.exchange.pubsub.attendance import SharedAttendance
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.push.sender import PushSender
from sinchphone.exchange.push.sender_key import SenderKey
from sinchphone.exchange.push.service import PushService
from sinchphone.exchange.push.service_routes import PushRoutes
from sinchphone.exchange.push.shared_service import SharedPushService
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.record.requests import recording
from sinchphone.exchange.recordings.recordings import Recordings
from sinchphone.exchange.recordings.routes import RecordingRoutes
from sinchphone.exchange.recordings.shared_recordings import SharedRecordings
from sinchphone.exchange.sharing import OfOtherProcesses, Sharing, shared_store, up_to_date
from sinchphone.exchange.sms.inbox import SmsInbox
from sinchphone.exchange.sms.routes import SmsRoutes
from sinchphone.exchange.store.shared_limits import SharedLimits
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.exchange.store.store import Store, StoreError, kept
from sinchphone.exchange.tls import server_context
from sinchphone.exchange.tracing.tracer import Tracer
from sinchphone.exchange.verifications.routes import VerificationRoutes
from sinchphone.exchange.verifications.service import VerificationService
from sinchphone.exchange.voice_api.assigned_numbers import AssignedNumbers
from sinchphone.exchange.voice_api.backend_requests import BackendRequests
from sinchphone.exchange.voice_api.calls import CallRoutes, add_the_rest
from sinchphone.exchange.voice_api.numbers import NumberRoutes
from sinchphone.hosts import EVERYWHERE, join_host
from sinchphone.media.clock import Lateness
from sinchphone.media.thread import MediaThread
from sinchphone.tasks import close_in_turn

_DRAIN_PAUSE_SECONDS = 0.1  # between two looks whether calls are over
_REQUESTS_END_SECONDS = 1.0  # for requests that are being served
_ESCAPED = 3  # characters that a byte of a message takes in a URL, at most
_MAX_HTTP_HEADER_BYTES = 16 * 1024


class Exchange:
    """An exchange. ``async with`` starts and closes it; it can be started once."""

    def __init__(
        self,
        options: ExchangeOptions,
        *,
        media: MediaThread | None = None,
        destinations: Sequence[Destinations] = (),
        gateway: GatewayFactory | None = None,
        hosting: Hosting | None = None,
        listening: Sequence[socket.socket] = (),
    ) -> None:
        """What can be called beside users: ``destinations``, in their order; and, where ``media`` carries the sound, what ``gateway``
        reaches, the dial plan's names and numbers, and rooms. ``hosting`` is what others are told of this process; ``listening`` are
        sockets that listen already. Raises ConfigError for a secret that is none."""
        self._options = options
        self._hosting = hosting or Hosting()
        self._listening = listening
        self._media = media
        self._guard = ConnectionGuard(options.connections)
        self._lifecycle = Lifecycle()
        self._intake = Intake()
        self._shared = shared_store(options) if isinstance(options.store, StoreAddress) else None
        folder = options.store.parent if isinstance(options.store, Path) else None
        self._store: Store = self._shared or SqliteStore(None if isinstance(options.store, StoreAddress) else options.store)
        self.record = EventRecord(is_on=options.record, keeps_sound=options.trace_sound)
        self._attendance = SharedAttendance(self._shared, self._shared.process) if self._shared is not None else None
        self.broker = Broker(options, self.record, self._shared, self._attendance)
        self.directory = Directory(options, self.broker, self._store, self._intake)
        good_s = 2 * options.clock_skew_seconds  # for a signature
        self._limits: SharedLimits = self._shared.limits(good_s) if self._shared is not None else OwnLimits(good_s)
        self._accounts = Accounts(self.directory, self._store, self._limits)
        answering = (is_built_in,) if media is not None else ()
        self._transports = Transports(self.directory, self._accounts, self._store, *answering)
        self.tracer = Tracer(self.record, self.directory, self._transports)
        self._postbox = Postbox(self.broker, self.directory, self._transports, self._store)
        self._parties = CallParties(self._store)
        self._recordings = Recordings(folder)
        self.sms = SmsInbox(self._store)
        self._faults = FaultsRoutes(Faults())
        others = self._others = OfOtherProcesses.of(self._shared, self.directory) if self._shared is not None else None
        self._requests = others.requests if others is not None else None
        self._usage = UsageRecords(self._store, self._shared.process if self._shared is not None else "")
        owners = others.rooms if others is not None else None
        self._all_recordings = SharedRecordings(self._recordings, self._requests, self._shared)
        self.rooms = Rooms(media, owners=owners, mixer=mixer_of(options.conference, media)) if media is not None else None
        self._gateway = GatewayOnDemand(gateway, self._parts) if gateway is not None else None
        ours = (Attendants(media, self.rooms, options.simulated_line),) if media is not None and self.rooms is not None else ()
        everywhere = (*destinations, *([self._gateway] if self._gateway else []), *ours)
        self._addresses = AddressPolicy(listens_on=options.host, inner_hosts=options.inner_hosts)
        self._numbers = AssignedNumbers(self._store, options.applications)
        self._push_service = PushService()
        self._all_pushes = SharedPushService(self._push_service, self._requests, options.applications)
        key = SenderKey(folder, self._shared.agree if self._shared is not None else None)
        self._pushes = PushSender(self._addresses, options.host, self.directory, self._all_pushes, key, options.push_contact)
        known = (options, self.directory, self.broker, everywhere, self._parties, self._pushes, self.record, self._intake)
        self._calls = Calls(*known, others.calls_of(self.directory, ours) if others is not None else None)
        self._verifications = VerificationService(self.sms, self._accounts, self._calls, self._gateway, self._store, self._limits)
        self._runner: web.AppRunner | None = None
        self._tls_port: int | None = None

    @property
    def gateway(self) -> Gateway | None:
        """The gateway, once something needed it."""
        return self._gateway.gateway if self._gateway is not None else None

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:4600``. Raises NetworkError before the start."""
        host = self._options.host
        return f"http://{join_host(host, self.port)}"

    @property
    def _url_for_clients(self) -> str:
        """The same with an address that others can use, where it listens at all of this machine's."""
        host = self._options.host
        return f"http://{join_host(local_address() if host in EVERYWHERE else host, self.port)}"

    @property
    def port(self) -> int:
        """The port that it listens on. Raises NetworkError before the start."""
        if self._runner is None or not self._runner.addresses:
            raise NetworkError("the exchange is not running")
        return int(self._runner.addresses[0][1])

    def idle_seconds(self) -> float:
        """For how long nobody has used it; 0 while somebody waits for something or a call goes on."""
        return 0.0 if self.calls_going_on() else self._guard.idle_seconds(time.monotonic())

    def readings(self) -> Readings:
        """How it stands now."""
        connections = self._guard.connections
        return Readings(
            polls=self.broker.waiting_polls(),
            waiting_frames=self._postbox.waiting_frames(),
            devices=self.directory.device_count(),
            connections=len(connections.idle) + len(connections.served),
            rooms=len(self.rooms) if self.rooms is not None else 0,
            participants=self.rooms.seats_taken if self.rooms is not None else 0,
            calls=self.record.call_counts,
            callbacks=self.record.callback_counts,
            lateness=self._media.lateness if self._media is not None else Lateness(),
        )

    @property
    def warnings(self) -> Mapping[str, str]:
        """What it didn't reach when ``troubles`` was asked last, and does without."""
        return self.gateway.warnings if self.gateway is not None else {}

    async def troubles(self) -> Mapping[str, str]:
        """Why it can't serve at present, by what is in its way; empty where it can."""
        if not self._lifecycle.is_serving or self._runner is None:
            return {"exchange": "it is about to leave" if self._lifecycle.ready.is_set() else "it isn't ready yet"}
        if self._lifecycle.is_draining:
            return {"exchange": WHY_CLOSED}
        if self._shared is not None and not self._shared.is_reached:
            return {"store": self._shared.trouble}
        mixer = await self.rooms.troubles() if self.rooms is not None else {}
        return {**mixer, **(await self.gateway.troubles() if self.gateway is not None else {})}

    @property
    def tls_url(self) -> str | None:
        """The base URL with TLS, where it listens with TLS."""
        host = self._options.host
        return f"https://{join_host(host, self._tls_port)}" if self._tls_port else None

    async def start(self) -> None:
        """Listen. Raises PortTakenError where somebody else does, NetworkError where it's not possible otherwise, StoreError."""
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,  # paths carry messages and keys
            auto_decompress=False,  # a signature covers the body as it was sent
            handler_cancellation=True,  # a poll ends when its client goes away
            max_line_size=_ESCAPED * self._options.message_bytes + _MAX_HTTP_HEADER_BYTES,
            max_field_size=_MAX_HTTP_HEADER_BYTES,
            shutdown_timeout=_REQUESTS_END_SECONDS,
            keepalive_timeout=SILENT_SECONDS,
        )
        await self._runner.setup()
        try:
            await self._listen(self._runner)
            await self._recall()
            if self._gateway is not None:
                await self._gateway.start()
                await self._configuration.join()
        except BaseException:
            runner, self._runner = self._runner, None
            await close_in_turn(runner.cleanup, self._close_gateway, self._store.close)
            raise
        self._lifecycle.ready.set()

    async def _listen(self, runner: web.AppRunner) -> None:
        """First of all the port: it decides which of several processes is the exchange. Raises NetworkError."""
        options, certificate = self._options, self._options.certificate
        tls = server_context(certificate) if certificate is not None else None
        listening, self._listening = self._listening, ()
        await self._serve(runner, listening or await asyncio.to_thread(listen, options.host, options.port))
        if tls is not None:
            plain = len(runner.addresses)
            await self._serve(runner, await asyncio.to_thread(listen, options.host, options.tls_port), tls)
            self._tls_port = int(runner.addresses[plain][1])

    async def _serve(self, runner: web.AppRunner, listening: Sequence[socket.socket], tls: ssl.SSLContext | None = None) -> None:
        for one in listening:
            await GuardedSite(runner, one, self._guard, tls=tls).start()

    async def _recall(self) -> None:
        """Know what was known when the exchange ended last. Raises StoreError."""
        now = time.time()
        await self._store.open()
        await self.directory.recall(now)
        await self._accounts.recall()
        await self._transports.recall()
        await self._parties.recall(now)
        await self._usage.recall(now)
        await self.sms.recall(now)
        await self._numbers.recall()
        await self._verifications.kept.recall(now)
        await self._postbox.recall(now)
        if self._shared is not None and self._attendance is not None and self._others is not None:
            known = (self.directory, self.broker, self._parties)
            takeover = CallTakeover(self._calls.open, self._others.calls, self._others.carried, *known)
            told = (self.directory, self._rights, self._postbox, takeover)
            await Sharing(self._shared, self._attendance, *told, self._others).start(self.broker, self.rooms)

    def calls_going_on(self) -> int:
        """How many calls aren't over, those too that only pass the gateway."""
        return max(self._calls.open.going_on(time.time()), self.record.call_counts.going_on().total())

    async def drain(self, notice_seconds: float = 0.0) -> None:
        """Take no new call and no new device from now on, have those that poll come anew, over connections that may lead elsewhere, and
        return once no call goes on. Before that it isn't ready for ``notice_seconds``, and serves all the same: a balancer in front of
        several notices, and nobody is refused. Cancelling it is safe: ``close`` follows in any case."""
        self._lifecycle.is_draining = True
        await asyncio.sleep(notice_seconds)
        self._intake.close()
        self.broker.wake_everybody()
        while True:
            if not self.calls_going_on():
                return
            await asyncio.sleep(_DRAIN_PAUSE_SECONDS)

    async def close(self, *, replaced: bool = False) -> None:
        """Stop listening and end what runs; clients notice at once, or where it's ``replaced`` by another process as soon as that one
        listens: else they would compete with it for the port. May be called twice. Where it's cancelled, what it waits for at that
        moment is cut short, and the rest is ended all the same."""
        runner, where = self._runner, (self._options.host, self.port) if self._runner is not None and self._runner.addresses else None
        self._runner = None
        if runner is None:
            return
        self._lifecycle.is_leaving = replaced
        try:
            await close_in_turn(
                self._settle,  # before another process has the port, and reads
                *(site.stop for site in runner.sites),
                *([partial(until_somebody_listens, *where)] if replaced and where is not None else []),
                partial(self._calls.open.close, _REQUESTS_END_SECONDS),  # what its ends of calls say as they go still reaches the callers
                self._settle,
                self._catch_up,
                self._close_gateway,
                *([self.rooms.close] if self.rooms is not None else []),
                self._pushes.close,
                partial(self._end_requests, runner),
                self._store.close,
            )
        finally:
            self._recordings.close()

    async def _settle(self) -> None:
        with contextlib.suppress(StoreError):  # it's in the log
            await self._store.settle()

    async def _catch_up(self) -> None:
        with contextlib.suppress(StoreError):
            await self._store.catch_up()

    async def _close_gateway(self) -> None:
        if self._gateway is not None:
            await self._gateway.close()

    async def _end_requests(self, runner: web.AppRunner) -> None:
        self._lifecycle.closing.set()
        self.broker.wake_everybody()
        self.record.wake_followers()
        await runner.cleanup()

    def _parts(self) -> GatewayParts:
        """What the gateway is made of. Raises ConfigError where it would have no sound."""
        if self._media is None or self.rooms is None:
            raise ConfigError("an exchange without media has no gateway")
        return GatewayParts(
            applications=self._options.applications,
            calls=self._calls,
            broker=self.broker,
            directory=self.directory,
            rooms=self.rooms,
            media=self._media,
            addresses=self._addresses,
            usage=self._usage,
            recordings=self._recordings,
            url=self._url_for_clients,
            record=self.record,
            bad_line=self._options.simulated_line,
            phones=self._others.phones if self._others is not None else None,
            trunks=self._others.trunks if self._others is not None else None,
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def _application(self) -> web.Application:
        shared = [up_to_date(self._shared, self.directory)] if self._shared is not None else []
        application = web.Application(
            middlewares=[
                counted(self._guard, self._intake),
                once_ready(self._lifecycle),
                cors,
                recording(self.record),
                errors_as_json,
                asked_by_name(self._options.host),
                *shared,
                faulty(self._faults, self._guard),
            ],
            client_max_size=self._options.body_bytes,
        )
        verifier = Verifier(self.directory, self._options.clock_skew_seconds, self._limits)
        people = (self._options, verifier, self.directory)
        self._rights = ChannelRights(self.directory, self._parties, self._transports, Senders())
        catch_up = self._shared.catch_up if self._shared is not None else None
        polls = PubNubRoutes(
            self.broker, self.directory, self._postbox, self._rights, self._options, self._lifecycle.closing, Parking(self._guard), catch_up
        )
        polls.add_to(application.router)
        PushRoutes(self._all_pushes, self._lifecycle.closing).add_to(application.router)
        OcraRoutes(*people, self._calls, self._pushes).add_to(application.router)
        papi = PapiRoutes(*people, self._accounts, self._transports, self._calls, lambda: self._tls_port, self._limits)
        papi.add_to(application.router)
        SmsRoutes(self.sms, self.directory, body_bytes=self._options.body_bytes).add_to(application.router)
        openapi.add_to(application.router)
        HealthRoutes(lambda: self._lifecycle.is_serving, self._is_ready, self.troubles).add_to(application.router)
        self._add_management(application.router, verifier)
        ControlRoutes(self._hosting, verifier, self.directory, self.calls_going_on).add_to(application.router)
        RecordingRoutes(self._all_recordings, verifier, body_bytes=self._options.body_bytes).add_to(application.router)
        if self.rooms is not None:
            ConferenceRoutes(self.rooms, verifier, body_bytes=self._options.body_bytes, others=self._requests).add_to(application.router)
        requests = BackendRequests(verifier, body_bytes=self._options.body_bytes)
        NumberRoutes(self._numbers, requests).add_to(application.router)
        if self._gateway is not None:
            CallRoutes(self._gateway, requests, self._requests).add_to(application.router)
            self._configuration = ConfigurationRoutes(self._gateway, verifier, body_bytes=self._options.body_bytes, store=self._shared)
            self._configuration.add_to(application.router)
        VerificationRoutes(self._verifications, verifier, self._limits, body_bytes=self._options.body_bytes).add_to(application.router)
        add_the_rest(application.router)
        return application

    def _is_ready(self) -> bool:
        return self._lifecycle.is_serving and not self._lifecycle.is_draining and (self._shared is None or self._shared.is_reached)

    def _add_management(self, router: web.UrlDispatcher, verifier: Verifier) -> None:
        access = ManagementAccess(self.directory, verifier, listening=self._options.host, body_bytes=self._options.body_bytes)
        SmsInboxRoutes(self.sms, access).add_to(router)
        UsersRoutes(self.directory, self._accounts, access).add_to(router)
        InspectorRoutes(access, self.rooms, self._all_recordings).add_to(router)
        TraceRoutes(self.tracer, access, self._lifecycle.closing).add_to(router)
        self._faults.add_to(router, access)
        if self._gateway is not None:
            SimulatedCallsRoutes(self._gateway, self._accounts, access, self._requests).add_to(router)
        steps = {"end_calls": self._end_calls, "forget_kept": self._forget_kept, "forget_own": self._forget_own}
        ResetRoute(access, self.directory, self._requests, **steps).add_to(router)

    async def _end_calls(self, application: Application) -> None:
        if self.rooms is not None:
            await self.rooms.empty(application.key)
        if self.gateway is not None:
            await self.gateway.backend_calls.forget(application.key)
        await self._calls.open.end_all(application, _REQUESTS_END_SECONDS)

    async def _forget_kept(self, application: Application) -> None:
        """Everything that came to be since the application was first served. Raises StoreError: it's all there then as before."""
        async with kept(self._store) as undo, self._store.exclusive(application.key):
            gone = [self._accounts.forget_user(application, user_id, undo) for user_id in tuple(application.users)]
            self._postbox.clear(application, undo)
            self._transports.clear(application, undo)
            self.sms.clear(application.key, undo)
            self._numbers.forget(application.key, undo)
            self._verifications.kept.forget(application.key, undo)
        for devices in gone:
            self.directory.dismiss(devices)

    async def _forget_own(self, application: Application) -> None:
        """Raises StoreError: it's all there then as before."""
        async with kept(self._store) as undo:
            self._usage.clear(application.key, undo)
            if self._gateway is not None:
                await self._configuration.forget(application.key, undo)
        for file in self._recordings.listed(application.key):
            self._recordings.delete(file.name)
        self._faults.clear()
        self.record.clear(application.key)
