"""The Ocra REST routes: each operation of the dialect's table as a coroutine, over the directory and the calls.

::

    request -> who asks (``verification``) -> what for (``signaling.ocra``) -> directory, calls -> answer
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.directory.devices import Device
from sinchphone.exchange.directory.directory import Directory, check_limit
from sinchphone.exchange.directory.received import ReceivedRequest, receive
from sinchphone.exchange.directory.verification import Verifier
from sinchphone.exchange.ocra.ice_servers import ice_servers_for
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.origin import origin_of
from sinchphone.exchange.push.sender import PushSender
from sinchphone.exchange.push.service import SERVICE_PATH
from sinchphone.exchange.record.requests import note_call, note_user
from sinchphone.exchange.refusals import forbidden, invalid, not_found, unauthorized
from sinchphone.exchange.request_bodies import unpack
from sinchphone.signaling.dialect import Instance, Profile, PubSubConfig, PushConfig
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.ocra.calls import read_call_request, read_push, read_push_profile, write_ice_servers, write_placement
from sinchphone.signaling.ocra.names import OPERATIONS, OcraOperation
from sinchphone.signaling.ocra.registration import (
    InstanceConfiguration,
    read_instance_request,
    read_prolong_request,
    read_update_request,
    write_configuration,
    write_created,
    write_prolonged,
)
from sinchphone.signaling.wire import Auth, ErrorCode

_ONCE = frozenset({OcraOperation.PLACE_CALL, OcraOperation.SEND_PUSH})

_Route: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]
_Serve: TypeAlias = Callable[[web.Request, Device, bytes], Awaitable[bytes]]  # a signed operation: the device, the content, the answer


class OcraRoutes:
    """The routes of one exchange."""

    def __init__(self, options: ExchangeOptions, verifier: Verifier, directory: Directory, calls: Calls, pushes: PushSender) -> None:
        self._options = options
        self._directory = directory
        self._calls = calls
        self._pushes = pushes
        self._verifier = verifier

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add a route for every operation of the table."""
        by_token: dict[OcraOperation, _Route] = {
            OcraOperation.CREATE_INSTANCE: self._create_instance,
            OcraOperation.PROLONG_INSTANCE: self._prolong_instance,
        }
        by_signature: dict[OcraOperation, _Serve] = {
            OcraOperation.UPDATE_INSTANCE: self._update_instance,
            OcraOperation.GET_CONFIG: self._get_config,
            OcraOperation.PLACE_CALL: self._place_call,
            OcraOperation.GET_ICE_SERVERS: self._get_ice_servers,
            OcraOperation.SET_PUSH_PROFILE: self._set_push_profile,
            OcraOperation.DELETE_PUSH_PROFILE: self._delete_push_profile,
            OcraOperation.SEND_PUSH: self._send_push,
            OcraOperation.GET_FEATURES: self._get_features,
            OcraOperation.REPORT_CALL: self._report_call,
        }
        for operation, endpoint in OPERATIONS.items():
            route = by_token[operation] if endpoint.auth is Auth.TOKEN else self._signed(operation, by_signature[operation])
            router.add_route(endpoint.verb, endpoint.route, route)

    def _signed(self, operation: OcraOperation, serve: _Serve) -> _Route:
        """The route of an operation that devices sign."""

        async def answer(request: web.Request) -> web.Response:
            received = await receive(request, self._options.body_bytes)
            user_id, instance_id = request.match_info["user"], request.match_info["instance"]
            once, now = operation in _ONCE, time.time()
            device = await self._verifier.device(received, user_id, instance_id, now, once=once)
            note_user(request, device.user_id)
            body = await serve(request, device, self._content(request, received))
            return _answer(operation, body)

        return answer

    def _content(self, request: web.Request, received: ReceivedRequest) -> bytes:
        return unpack(received.body, request.headers.get("Content-Encoding", ""), self._options.body_bytes)

    async def _create_instance(self, request: web.Request) -> web.Response:
        received, now = await receive(request, self._options.body_bytes), time.time()
        asked = read_instance_request(self._content(request, received))
        registrant = self._verifier.registrant(received, asked.user_id, now)
        note_user(request, registrant.user_id)
        expire_at = _earliest(registrant.instance_expires_at, asked.expire_at)
        limited = registrant.instance_expires_at is not None
        async with self._directory.exclusive(registrant.application):
            device = self._directory.register(registrant.application, asked, expire_at=expire_at, limited=limited, now=now)
        instance = Instance(device.instance_id, device.identity.secret, device.user_id, device.device_id, expire_at)
        configuration = await self._configuration(request, device)
        return _answer(OcraOperation.CREATE_INSTANCE, write_created(instance, configuration, device.capabilities, device.software))

    async def _configuration(self, request: web.Request, device: Device) -> InstanceConfiguration:
        identity = device.identity
        pubsub = PubSubConfig(
            origin_of(request),
            request.secure,
            identity.broadcast.subscribe_key,
            identity.signal.subscribe_key,
            identity.signal.publish_key,
            identity.broadcast.publish_key,
        )
        own = device.application.transport_channel(device.user_id)
        profile = Profile(identity.broadcast_channel, identity.signal_channel, identity.mxp_key, own)
        service = f"{'wss' if request.secure else 'ws'}://{origin_of(request)}{SERVICE_PATH}"
        push = PushConfig(await self._pushes.public_key(), service)
        return InstanceConfiguration(pubsub, profile, relay_only=self._options.ice_relay_only, push=push)

    async def _prolong_instance(self, request: web.Request) -> web.Response:
        received, now = await receive(request, self._options.body_bytes), time.time()
        user_id = request.match_info["user"]
        registrant = self._verifier.registrant(received, user_id, now)
        device = self._directory.device(request.match_info["instance"])
        if device is None or device.application is not registrant.application:
            raise unauthorized("unknown instance", ErrorCode.UNKNOWN_INSTANCE)
        if device.user_id != user_id:
            raise forbidden("path: the instance is another user's")
        check_limit(device, limited=registrant.instance_expires_at is not None)
        expire_at = _earliest(registrant.instance_expires_at, read_prolong_request(self._content(request, received)))
        async with self._directory.exclusive(registrant.application):
            device.expire_at = expire_at
            self._directory.remember(device)
        return _answer(OcraOperation.PROLONG_INSTANCE, write_prolonged(device.instance_id, device.expire_at))

    async def _update_instance(self, request: web.Request, device: Device, content: bytes) -> bytes:
        capabilities, software = read_update_request(content)
        async with self._directory.exclusive(device.application):
            device.capabilities, device.software = capabilities, software
            self._directory.remember(device)
        return write_json({})

    async def _get_config(self, request: web.Request, device: Device, content: bytes) -> bytes:
        self._directory.expect(device, time.time())  # clients ask when they start
        return write_configuration(await self._configuration(request, device))

    async def _place_call(self, request: web.Request, device: Device, content: bytes) -> bytes:
        asked, now = read_call_request(content), time.time()
        note_call(request, asked.call_id)
        return write_placement(await self._calls.place(device, asked, now), now, asked.headers)

    async def _get_ice_servers(self, request: web.Request, device: Device, content: bytes) -> bytes:
        return write_ice_servers(ice_servers_for(self._options, device.user_id, time.time()))

    async def _set_push_profile(self, request: web.Request, device: Device, content: bytes) -> bytes:
        subscription, key = read_push_profile(content)
        if key is not None and key != await self._pushes.public_key():
            raise invalid("w3c.applicationServerKey: the subscription is for pushes of somebody else")
        await self._pushes.check(subscription)
        await self._directory.keep_push(device, subscription)
        return write_json({})

    async def _delete_push_profile(self, request: web.Request, device: Device, content: bytes) -> bytes:
        await self._directory.keep_push(device, None)
        return write_json({})

    async def _send_push(self, request: web.Request, device: Device, content: bytes) -> bytes:
        """What it says is ours to write: whoever asks can't pose as somebody else."""
        asked = read_push(content)
        known = device.application.users.get(asked.user_id, {}).values()
        if not {*asked.instance_ids} <= {other.instance_id for other in known}:
            raise not_found("to: there is no such instance")
        note_call(request, asked.call_id)
        await self._calls.open.wake(device, asked.call_id, asked.instance_ids, asked.display_name)
        return write_json({})

    async def _get_features(self, request: web.Request, device: Device, content: bytes) -> bytes:
        return write_json({"CallReport.IncludeMxpEventLog": False, "WebRtc.UseTurn": bool(self._options.ice_servers)})

    async def _report_call(self, request: web.Request, device: Device, content: bytes) -> bytes:
        call_id = Record.parse(content).token("callId")
        note_call(request, call_id)
        self._calls.open.report(device, call_id)
        return write_json({})


def _answer(operation: OcraOperation, body: bytes) -> web.Response:
    return web.Response(body=body, status=OPERATIONS[operation].status, content_type="application/json")


def _earliest(*limits: float | None) -> float | None:
    given = [limit for limit in limits if limit is not None]
    return min(given) if given else None
