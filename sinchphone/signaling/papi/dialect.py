"""The PAPI v1 dialect for one user on one device: registration and its upkeep, calls, messages, push and reports.

::

    register/confirm:  time --> stored instance? --no--> create (ticket) --> store --> configuration (signed)
                                     | yes: configuration (signed) --refused--> renew its secret (ticket) --unknown--> create
"""

import logging
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable

import aiohttp

from sinchphone.errors import AuthenticationError, ForbiddenError, NetworkError, NotFoundError, PlatformError
from sinchphone.protocol.webpush.subscription import PushSubscription
from sinchphone.signaling.dialect import (
    CallReport,
    CallRequest,
    Instance,
    OfferedIceServer,
    Placement,
    Registration,
    RemoteInstance,
)
from sinchphone.signaling.fields import write_json
from sinchphone.signaling.papi.calls import (
    DOMAINS,
    read_placement,
    write_call_report,
    write_call_request,
    write_push,
    write_push_payload,
)
from sinchphone.signaling.papi.names import API_ROOT, PapiOperation
from sinchphone.signaling.papi.registration import (
    LIFETIME_S,
    PapiConfiguration,
    PapiInstance,
    PapiInstanceRequest,
    capabilities_of,
    read_configuration,
    read_instance,
    read_timestamp,
    write_instance_request,
)
from sinchphone.signaling.papi.requests import PapiRequests
from sinchphone.signaling.rest.instances import InstanceKey, InstanceStore, Slot, StoredInstance, is_prolonging_due
from sinchphone.signaling.rest.registered_device import RegisteredDevice, ignore
from sinchphone.signaling.rest.requests import RestRequests
from sinchphone.signaling.wire import PUSH_CAPABILITY

_log = logging.getLogger(__name__)


class PapiDialect(RegisteredDevice):
    """Speaks PAPI v1 for one user (implements ``signaling.dialect.Dialect``).

    ``ticket`` gives a user ticket valid now; it's asked for only when the instance is created or renewed. ``session`` stays the
    caller's; without ``takes_calls`` the platform is told that this device isn't reachable. Each object is a sub-instance of its own,
    as each object of the SDK is.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        application_key: str,
        user_id: str,
        *,
        ticket: Callable[[], Awaitable[str]],
        store: InstanceStore,
        takes_calls: bool = True,
        calling: bool = True,
        messaging: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        wire = RestRequests(session, base_url, clock=clock)
        key = InstanceKey(wire.base_url + API_ROOT, application_key, user_id)
        super().__init__(wire, key, store, capabilities_of(online=takes_calls, calling=calling, messaging=messaging))
        self._requests = PapiRequests(wire)
        self._ticket = ticket
        self._sub_instance = str(secrets.randbits(32))
        self._knows_time = False

    async def register(self) -> Registration:
        """Register this device, or take up its stored instance where the platform still knows it; prolong it when due."""
        async with self._registering:
            await self._set_clock()
            slot, stored = await self._claim()
            if stored is None:
                return await self._create(slot)
            return await self._take_up(slot, stored)

    async def confirm(self) -> Registration:
        """Ask the platform whether it still knows the instance, and for its configuration; prolong or register anew as needed."""
        return await self.register()

    async def place_call(self, request: CallRequest) -> Placement:
        """Place a call. NotFoundError: nobody of that name."""
        body = write_call_request(request, self._sub_instance)
        return await self._requests.send_signed(
            PapiOperation.PLACE_CALL,
            self._instance,
            lambda answer: read_placement(answer, request.call_id),
            body=body,
            domain=DOMAINS[request.domain],
        )

    async def ice_servers(self) -> tuple[OfferedIceServer, ...]:
        """None: the older dialect only names a relay of the platform's own in an INVITE, which no STUN server leads to (PAPI v1, relay)."""
        return ()

    async def send_push(self, call_id: str, instances: tuple[RemoteInstance, ...], display_name: str) -> None:
        """Ask for push notifications to those devices that take them; without any, nothing is sent."""
        receivers = tuple(instance.id for instance in instances if PUSH_CAPABILITY in instance.capabilities)
        if receivers:
            payload = write_push_payload(call_id, self._key.user_id, self._wire.now)
            body = write_push(call_id, receivers, payload, display_name)
            await self._requests.send_signed(PapiOperation.SEND_PUSH, self._instance, ignore, body=body)

    async def set_push_profile(self, subscription: PushSubscription | None) -> None:
        """There is no such operation. Raises ForbiddenError."""
        if subscription is not None:
            raise ForbiddenError("the older dialect has no pushes to a device of ours", hint="use the current one: api ocra")

    async def report_call(self, report: CallReport) -> None:
        """Deliver a call report."""
        body = write_call_report(report, self._key.user_id, self._software)
        domain = DOMAINS[report.domain]
        await self._requests.send_signed(PapiOperation.REPORT_CALL, self._instance, ignore, body=body, domain=domain, call=report.call_id)

    def new_call_id(self) -> str:
        """A UUID."""
        return str(uuid.uuid4())

    async def change_password(self, old: str | None, new: str) -> None:
        """Another password for the user."""
        body = write_json({"newPassword": new} | ({"oldPassword": old} if old is not None else {}))
        await self._requests.send_signed(PapiOperation.CHANGE_PASSWORD, self._instance, ignore, body=body)

    async def _set_clock(self) -> None:
        """Signatures carry the platform's time (PAPI v1, clock). Where it doesn't tell, ours has to do."""
        if self._knows_time:
            return
        try:
            self._wire.set_clock(await self._requests.send_named(PapiOperation.GET_TIME, self._key.application_key, read_timestamp))
            self._knows_time = True
        except (PlatformError, NotFoundError) as error:
            _log.info("the platform's time isn't known: %s", error)

    async def _create(self, slot: Slot) -> Registration:
        body = write_instance_request(self._request(None))
        created = await self._requests.send_with_ticket(PapiOperation.CREATE_INSTANCE, await self._ticket(), body, read_instance)
        return await self._begin(slot, created)

    async def _renew(self, slot: Slot, stored: StoredInstance) -> Registration:
        """A new secret for the instance, and a year more; a new instance where the platform has forgotten it."""
        identifier = stored.instance.id
        body = write_instance_request(self._request(identifier))
        try:
            renewed = await self._requests.send_with_ticket(
                PapiOperation.RENEW_SECRET, await self._ticket(), body, read_instance, instance=identifier
            )
        except NotFoundError as error:
            await self._forget(slot, error)
            return await self._create(slot)
        return await self._begin(slot, renewed)

    async def _begin(self, slot: Slot, created: PapiInstance) -> Registration:
        now = self._wire.now
        instance = Instance(created.id, created.secret, self._key.user_id, slot.device_id, now + LIFETIME_S)
        await self._keep(slot, StoredInstance(instance, now, self._software_mark))
        return self._registration(instance, await self._configuration(instance))

    async def _take_up(self, slot: Slot, stored: StoredInstance) -> Registration:
        """Renewed where it's due. While the platform knows it as it is, a ticket that is refused or isn't to be had is only a warning."""
        if stored.software not in ("", self._software_mark) or is_prolonging_due(stored, self._wire.now, LIFETIME_S / 2):
            try:
                return await self._renew(slot, stored)
            except (AuthenticationError, ForbiddenError, NetworkError, PlatformError) as error:
                _log.warning("%s", error)
        try:
            configuration = await self._configuration(stored.instance)
        except (AuthenticationError, NotFoundError):
            return await self._renew(slot, stored)
        self._stored = stored
        return self._registration(stored.instance, configuration)

    async def _configuration(self, instance: Instance) -> PapiConfiguration:
        secure = self._wire.base_url.startswith("https://")
        return await self._requests.send_signed(
            PapiOperation.GET_CONFIG, instance, lambda answer: read_configuration(answer, secure=secure)
        )

    def _request(self, instance_id: str | None) -> PapiInstanceRequest:
        software = self._software
        return PapiInstanceRequest(
            self._capabilities, f"sinchphone/{software.application}", software.os, software.platform, LIFETIME_S, instance_id
        )

    def _registration(self, instance: Instance, configuration: PapiConfiguration) -> Registration:
        return Registration(instance, configuration.pubsub, configuration.profile, sub_instance=self._sub_instance)
