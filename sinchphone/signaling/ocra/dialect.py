"""The Ocra REST dialect for one user on one device: registration and its upkeep, calls, push and reports.

::

    register/confirm:  stored instance? --no--> create (token) --> store
                            | yes: configuration (signed) --unknown--> create
                            +----> software changed? update --> due? prolong (token) --> store
"""

import gzip
import logging
import os
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiohttp

from sinchphone.errors import AuthenticationError, ForbiddenError, LocalProtocolError, NetworkError, NotFoundError, PlatformError
from sinchphone.protocol.auth import RegistrationClaims, read_token_claims
from sinchphone.protocol.ulid import RANDOM_BYTES, make_ulid
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.dialect import (
    NO_PUSH,
    CallReport,
    CallRequest,
    Instance,
    OfferedIceServer,
    Placement,
    PushConfig,
    Registration,
    RemoteInstance,
)
from sinchphone.signaling.ocra.calls import (
    PushRequest,
    read_ice_servers,
    read_placement,
    write_call_report,
    write_call_request,
    write_push,
    write_push_payload,
    write_push_profile,
)
from sinchphone.signaling.ocra.learning.learned import LearnedNames
from sinchphone.signaling.ocra.names import CAPABILITIES, PUSH_CAPABILITIES, OcraOperation
from sinchphone.signaling.ocra.registration import (
    InstanceConfiguration,
    InstanceRequest,
    read_configuration,
    read_created,
    read_prolonged,
    write_instance_request,
    write_prolong_request,
    write_update_request,
)
from sinchphone.signaling.ocra.requests import OcraRequests
from sinchphone.signaling.rest.instances import InstanceKey, InstanceStore, Slot, StoredInstance, is_prolonging_due
from sinchphone.signaling.rest.registered_device import RegisteredDevice, ignore
from sinchphone.signaling.rest.requests import RestRequests
from sinchphone.signaling.wire import OUTGOING_ONLY, PUSH_CAPABILITY

MAX_CALLS_REMEMBERED = 64  # whose callee a push may be asked for

_log = logging.getLogger(__name__)


class OcraDialect(RegisteredDevice):
    """Speaks Ocra for one user (implements ``signaling.dialect.Dialect``).

    ``token`` gives a registration token valid now; it's asked for only when the instance is created or prolonged. ``session`` stays
    the caller's; without ``takes_calls`` the platform is told that this device isn't reachable. A request that's refused with
    AuthenticationError after registration means that the platform doesn't know the instance any more: ``confirm`` registers anew then,
    which gives new channels.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        application_key: str,
        user_id: str,
        *,
        token: Callable[[], Awaitable[str]],
        store: InstanceStore,
        takes_calls: bool = True,
        names: LearnedNames | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            RestRequests(session, base_url, clock=clock),
            InstanceKey(base_url.rstrip("/"), application_key, user_id),
            store,
            CAPABILITIES if takes_calls else (*CAPABILITIES, OUTGOING_ONLY),
        )
        self._requests = OcraRequests(self._wire, user_id, names)
        self._token = token
        self._push: PushConfig | None = None
        self._callees: OrderedDict[str, str] = OrderedDict()

    async def register(self) -> Registration:
        """Register this device, or take up its stored instance where the platform still knows it; prolong it when due."""
        async with self._registering:
            slot, stored = await self._claim()
            if stored is None or _has_expired(stored.instance, self._wire.now):
                return await self._create(slot)
            return await self._take_up(slot, stored)

    async def confirm(self) -> Registration:
        """Ask the platform whether it still knows the instance, and for its configuration; prolong or register anew as needed."""
        return await self.register()

    async def place_call(self, request: CallRequest) -> Placement:
        """Place a call. NotFoundError: nobody of that name."""
        body = write_call_request(request)
        placement = await self._requests.send_signed(OcraOperation.PLACE_CALL, self._instance, read_placement, body=body)
        self._callees[placement.call_id] = request.identity
        while len(self._callees) > MAX_CALLS_REMEMBERED:
            self._callees.popitem(last=False)
        return placement

    async def ice_servers(self) -> tuple[OfferedIceServer, ...]:
        """STUN and TURN servers for the next call."""
        return await self._requests.send_signed(OcraOperation.GET_ICE_SERVERS, self._instance, read_ice_servers)

    async def send_push(self, call_id: str, instances: tuple[RemoteInstance, ...], display_name: str) -> None:
        """Ask for push notifications to those devices of a call placed here that take them; without any, nothing is sent."""
        receivers = tuple(instance.id for instance in instances if PUSH_CAPABILITY in instance.capabilities)
        if not receivers:
            return
        if call_id not in self._callees:
            raise LocalProtocolError("a push is for a call that was placed")
        payload = write_push_payload(call_id, self._key.user_id, self._wire.now)
        body = write_push(PushRequest(call_id, self._callees[call_id], receivers, payload, display_name))
        await self._requests.send_signed(OcraOperation.SEND_PUSH, self._instance, ignore, body=body)

    async def set_push_profile(self, subscription: PushSubscription | None) -> None:
        """How this device is woken where it doesn't listen: None, not at all. Raises ForbiddenError where the platform doesn't push."""
        if subscription is None:
            await self._requests.send_signed(OcraOperation.DELETE_PUSH_PROFILE, self._instance, ignore)
            return
        if self._push is None:
            raise ForbiddenError(NO_PUSH)
        body = write_push_profile(subscription, self._push.key)
        await self._requests.send_signed(OcraOperation.SET_PUSH_PROFILE, self._instance, ignore, body=body)
        capable = write_update_request((*self._capabilities, *PUSH_CAPABILITIES), self._software)
        await self._requests.send_signed(OcraOperation.UPDATE_INSTANCE, self._instance, ignore, body=capable)

    async def report_call(self, report: CallReport) -> None:
        """Deliver a call report, compressed."""
        body = gzip.compress(write_call_report(report, self._instance, self._software, str(uuid.uuid4())), mtime=0)
        await self._requests.send_signed(OcraOperation.REPORT_CALL, self._instance, ignore, body=body, encoding="gzip")

    def new_call_id(self) -> str:
        """A ULID."""
        return make_ulid(self._wire.now, os.urandom(RANDOM_BYTES))

    async def change_password(self, old: str | None, new: str) -> None:
        """There are no passwords."""
        raise ForbiddenError("users have no passwords here", hint='passwords are of the older REST API: api="papi"')

    async def _create(self, slot: Slot) -> Registration:
        """Register anew; where a refusal tells the platform's time, once more with a token of that time."""
        offset_s = self._wire.offset_s
        try:
            return await self._create_once(slot)
        except AuthenticationError:
            if self._wire.offset_s == offset_s:
                raise
        return await self._create_once(slot)

    async def _create_once(self, slot: Slot) -> Registration:
        token, claims = await self._fresh_token()
        limit = claims.instance_expires_at
        body = write_instance_request(InstanceRequest(self._key.user_id, slot.device_id, self._capabilities, self._software, limit))
        instance, configuration = await self._requests.send_with_token(
            OcraOperation.CREATE_INSTANCE,
            token,
            body,
            lambda answer: read_created(answer, user_id=self._key.user_id, device_id=slot.device_id),
        )
        await self._keep(slot, StoredInstance(instance, self._wire.now, self._software_mark))
        return self._registered(instance, configuration)

    def _registered(self, instance: Instance, configuration: InstanceConfiguration) -> Registration:
        self._push = configuration.push
        return _registration(instance, configuration)

    async def _take_up(self, slot: Slot, stored: StoredInstance) -> Registration:
        try:
            configuration = await self._requests.send_signed(OcraOperation.GET_CONFIG, stored.instance, read_configuration)
            current = await self._prolong(await self._update(stored), configuration)
        except (AuthenticationError, NotFoundError) as error:
            await self._forget(slot, error)
            return await self._create(slot)
        if current != stored:
            await self._keep(slot, current)
        self._stored = current
        return self._registered(current.instance, configuration)

    async def _update(self, stored: StoredInstance) -> StoredInstance:
        """Tell the platform when another version of this program registered the instance, or one that took calls where we don't. It may
        refuse: nothing depends on it."""
        if stored.software == self._software_mark:
            return stored
        body = write_update_request(self._capabilities, self._software)
        try:
            await self._requests.send_signed(OcraOperation.UPDATE_INSTANCE, stored.instance, ignore, body=body)
        except (ForbiddenError, PlatformError) as error:
            _log.warning("%s", error)
            return stored
        return replace(stored, software=self._software_mark)

    async def _prolong(self, stored: StoredInstance, configuration: InstanceConfiguration) -> StoredInstance:
        """Prolong the instance when it's due. While it's valid, a refusal (such as a token that has expired) is only a warning, and so is a
        source of tokens that isn't reached: the platform has just known us."""
        now = self._wire.now
        if not is_prolonging_due(stored, now, configuration.prolong_window_s):
            return stored
        try:
            token, claims = await self._fresh_token()
            body = write_prolong_request(claims.instance_expires_at)
            expire_at = await self._requests.send_with_token(
                OcraOperation.PROLONG_INSTANCE, token, body, read_prolonged, instance=stored.instance
            )
        except (AuthenticationError, ForbiddenError, NetworkError, PlatformError) as error:
            _log.warning("%s", error)
            return stored
        return replace(stored, instance=replace(stored.instance, expire_at=expire_at), issued_at=now)

    async def _fresh_token(self) -> tuple[str, RegistrationClaims]:
        token = await self._token()
        claims = read_token_claims(token)
        if claims.user_id != self._key.user_id:
            raise AuthenticationError("the registration token is another user's", hint="check the user id")
        return token, claims


def _has_expired(instance: Instance, now: float) -> bool:
    return instance.expire_at is not None and instance.expire_at <= now


def _registration(instance: Instance, configuration: InstanceConfiguration) -> Registration:
    return Registration(
        instance,
        configuration.pubsub,
        configuration.profile,
        configuration.stun_urls,
        configuration.relay_only,
        configuration.config_refresh_s,
        configuration.prolong_window_s,
        push=configuration.push,
    )
