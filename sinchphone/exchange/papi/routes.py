"""The PAPI v1 routes: each operation of the dialect's table as a coroutine, over the directory, the accounts, the transports and the calls.

::

    request -> who asks (``verification``) -> what for (``bodies``) -> directory, accounts, transports, calls -> answer
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from aiohttp import web

from sinchphone.exchange.access.admission import check_origin
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.directory.accounts import Account, Accounts
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.received import receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.messages.transports import Transports
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.papi import bodies
from sinchphone.exchange.pubsub.origin import bare, origin_of
from sinchphone.exchange.record.requests import note_call, note_user
from sinchphone.exchange.refusals import RefusedError, not_found, too_many
from sinchphone.exchange.store.shared_limits import Limit, SharedLimits
from sinchphone.protocol.auth import sign_user_ticket
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain, IdentityKind, Recipient
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.papi.names import API_ROOT, OPERATIONS, PapiOperation
from sinchphone.signaling.rest.transports import read_message_counts, read_recipients, write_transport
from sinchphone.signaling.wire import Auth, ErrorCode

_TICKET_SECONDS = 86_400.0  # of a user who was made just now
_ONCE = frozenset(
    {
        PapiOperation.PLACE_CALL,
        PapiOperation.SEND_PUSH,
        PapiOperation.PUSH_MESSAGE,
        PapiOperation.CHANGE_PASSWORD,
        PapiOperation.UPDATE_PROFILE,
    }
)


@quick_dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose sender is known: a device, or only its application."""

    request: web.Request
    body: bytes
    application: Application
    device: Device | None
    now: float

    @property
    def signer(self) -> Device:
        """The device that signed."""
        assert self.device is not None, "only for operations that are signed"
        return self.device


_Serve: TypeAlias = Callable[[_Asked], Awaitable[bytes]]


class PapiRoutes:
    """The routes of one exchange. ``verifier`` is shared with the other dialect, and so are the limits of a device."""

    def __init__(
        self,
        options: ExchangeOptions,
        verifier: Verifier,
        directory: Directory,
        accounts: Accounts,
        transports: Transports,
        calls: Calls,
        tls_port: Callable[[], int | None],
        limits: SharedLimits,
    ) -> None:
        self._options = options
        self._verifier = verifier
        self._directory = directory
        self._accounts = accounts
        self._transports = transports
        self._calls = calls
        self._tls_port = tls_port
        self._limits = limits
        self._newcomers = Limit("new users", options.new_users_at_once, options.new_users_a_second)  # from one address

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add a route for every operation of the table."""
        serving: dict[PapiOperation, _Serve] = {
            PapiOperation.CREATE_USER: self._create_user,
            PapiOperation.AUTHENTICATE_USERNAME: self._authenticate(IdentityKind.USERNAME),
            PapiOperation.AUTHENTICATE_EMAIL: self._authenticate(IdentityKind.EMAIL),
            PapiOperation.AUTHENTICATE_NUMBER: self._authenticate(IdentityKind.NUMBER),
            PapiOperation.CHANGE_PASSWORD: self._change_password,
            PapiOperation.GET_PROFILE: self._get_profile,
            PapiOperation.UPDATE_PROFILE: self._update_profile,
            PapiOperation.GET_CONFIG: self._get_config,
            PapiOperation.PLACE_CALL: self._place_call,
            PapiOperation.REPORT_CALL: self._report_call,
            PapiOperation.SEND_PUSH: self._send_push,
            PapiOperation.OPEN_TRANSPORT: self._open_transport,
            PapiOperation.GET_TRANSPORT: self._get_transport,
            PapiOperation.REPORT_MESSAGES: self._report_messages,
            PapiOperation.PUSH_MESSAGE: self._push_message,
        }
        for operation, serve in serving.items():
            self._add(router, operation, self._route(operation, serve))
        self._add(router, PapiOperation.GET_TIME, self._get_time)
        self._add(router, PapiOperation.CREATE_INSTANCE, self._create_instance)
        self._add(router, PapiOperation.RENEW_SECRET, self._renew_secret)
        router.add_get(f"{API_ROOT}/instances/id/", self._route(PapiOperation.GET_CONFIG, self._get_instances))

    def _add(self, router: web.UrlDispatcher, operation: PapiOperation, route: Callable[[web.Request], Awaitable[web.Response]]) -> None:
        router.add_route(OPERATIONS[operation].verb, OPERATIONS[operation].route, route)

    def _route(self, operation: PapiOperation, serve: _Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            received, now = await receive(request, self._options.body_bytes), time.time()
            auth = OPERATIONS[operation].auth
            named = (received.authorization or "").strip().lower().startswith("application")
            device = None
            if auth is Auth.APPLICATION or (auth is Auth.SIGNATURE_OR_APPLICATION and named):
                application = self._verifier.application(received)
            else:
                device = await self._verifier.signer(received, now, once=operation in _ONCE)
                application = device.application
                note_user(request, device.user_id)
            body = await serve(_Asked(request, received.body, application, device, now))
            return _answer(operation, body)

        return answer

    # Users

    async def _get_time(self, request: web.Request) -> web.Response:
        """For anybody: the SDK waits for ever where it isn't told, so that a wrong key would never be refused (PAPI v1, quirk Q2)."""
        return _answer(PapiOperation.GET_TIME, bodies.write_time_stamp(time.time()))

    async def _create_user(self, asked: _Asked) -> bytes:
        check_origin(asked.request)
        user, address = bodies.read_user(asked.body), asked.request.remote or ""
        if not await self._limits.take(self._newcomers, asked.application.key, address, asked.now):
            raise too_many("too many new users from this address; wait some minutes")
        account = await self._accounts.create(asked.application, user.identities, user.password, user.profile, asked.now)
        return bodies.write_authorized(account, _ticket(account, asked.now, _TICKET_SECONDS))

    def _authenticate(self, kind: IdentityKind) -> _Serve:
        async def authenticate(asked: _Asked) -> bytes:
            check_origin(asked.request)
            password, lifetime = bodies.read_login(asked.body)
            name = Recipient(asked.request.match_info["identity"], kind)
            account = await self._accounts.authenticate(asked.application, name, password, asked.now, asked.request.remote or "")
            return bodies.write_authorized(account, _ticket(account, asked.now, lifetime))

        return authenticate

    async def _change_password(self, asked: _Asked) -> bytes:
        old, new = bodies.read_new_password(asked.body)
        await self._accounts.change_password(self._account_of(asked.signer), old, new, asked.now)
        return write_json({})

    async def _get_profile(self, asked: _Asked) -> bytes:
        user_id = asked.signer.user_id
        return bodies.write_profile(user_id, self._accounts.account(asked.application, user_id))

    async def _update_profile(self, asked: _Asked) -> bytes:
        changed = await self._accounts.change_profile(self._account_of(asked.signer), bodies.read_profile(asked.body))
        return bodies.write_profile(changed.user_id, changed)

    def _account_of(self, device: Device) -> Account:
        account = self._accounts.account(device.application, device.user_id)
        if account is None:
            raise not_found("this user has no password here: tickets say who it is")
        return account

    # Instances

    async def _create_instance(self, request: web.Request) -> web.Response:
        received, now = await receive(request, self._options.body_bytes), time.time()
        registrant = self._verifier.ticket_holder(received, now)
        asked = bodies.read_instance(received.body)
        expire_at = now + asked.lifetime_seconds
        async with self._directory.exclusive(registrant.application):
            device = self._directory.register_legacy(
                registrant.application, registrant.user_id, asked.capabilities, asked.software, expire_at, now
            )
        return _answer(PapiOperation.CREATE_INSTANCE, bodies.write_instance(device))

    async def _renew_secret(self, request: web.Request) -> web.Response:
        received, now = await receive(request, self._options.body_bytes), time.time()
        registrant = self._verifier.ticket_holder(received, now)
        device = self._directory.device(request.match_info["instance"])
        if device is None or device.application is not registrant.application or device.user_id != registrant.user_id:
            raise not_found("the user has no such instance")
        asked = bodies.read_instance(received.body)
        async with self._directory.exclusive(registrant.application):
            self._directory.renew(device, asked.capabilities, asked.software, now + asked.lifetime_seconds, now)
        return _answer(PapiOperation.RENEW_SECRET, bodies.write_instance(device))

    async def _get_instances(self, asked: _Asked) -> bytes:
        devices = asked.application.users.get(asked.signer.user_id, {}).values()
        return write_json({"instances": [{"id": device.instance_id, "capabilities": list(device.capabilities)} for device in devices]})

    async def _get_config(self, asked: _Asked) -> bytes:
        self._directory.expect(asked.signer, asked.now)  # clients ask when they start
        plain = None if asked.request.secure else origin_of(asked.request)
        return bodies.write_configuration(asked.signer, self._secure_host(asked.request), plain)

    def _secure_host(self, request: web.Request) -> str:
        """Where the broker is with TLS, as the client may name it; without TLS, where it is at all."""
        port = self._tls_port()
        if port is None:
            return origin_of(request)
        return bare(origin_of(request) if request.secure else origin_of(request, port=port))

    # Calls

    async def _place_call(self, asked: _Asked) -> bytes:
        placed = bodies.read_call(asked.request.match_info["domain"], asked.body)
        request = placed.request
        note_call(asked.request, request.call_id)
        if request.domain is Domain.MXP:
            callee = self._accounts.resolve(asked.application, placed.callee)
            request = replace(request, identity=callee or request.identity)
        placement = await self._calls.place(asked.signer, request, asked.now, sub_instance=placed.sub_instance, no_media=placed.no_media)
        return bodies.write_placement(placement)

    async def _report_call(self, asked: _Asked) -> bytes:
        Record.parse(asked.body)
        note_call(asked.request, asked.request.match_info["call"])
        self._calls.open.report(asked.signer, asked.request.match_info["call"])
        return write_json({})

    async def _send_push(self, asked: _Asked) -> bytes:
        for call_id, instance_ids, display_name in bodies.read_push(asked.body):
            for device in map(self._directory.device, instance_ids):
                if device is None or device.application is not asked.application:
                    raise not_found("to: there is no such instance")
            await self._calls.open.wake(asked.signer, call_id, instance_ids, display_name)
        return write_json({})

    async def _push_message(self, asked: _Asked) -> bytes:
        raise RefusedError(501, ErrorCode.INVALID_REQUEST, "this exchange has no pushes about messages: they wait until a device listens")

    # Messages

    async def _open_transport(self, asked: _Asked) -> bytes:
        return write_transport(await self._transports.open(asked.signer, read_recipients(asked.body)))

    async def _get_transport(self, asked: _Asked) -> bytes:
        return write_transport(self._transports.find(asked.signer, asked.request.query.get("transportId", "")))

    async def _report_messages(self, asked: _Asked) -> bytes:
        read_message_counts(asked.body)
        return write_json({})


def _ticket(account: Account, now: float, lifetime: float) -> str:
    application = account.application
    return sign_user_ticket(application.key, application.secret, account.user_id, created_at=now, lifetime_s=int(lifetime))


def _answer(operation: PapiOperation, body: bytes) -> web.Response:
    return web.Response(body=body, status=OPERATIONS[operation].status, content_type="application/json")
