"""Puts a gateway together, from its sockets up, and takes it apart again.

::

    media, backends, SIP sockets -> Routes (which addresses are ours?) -> GatewayContext -> CallControl
"""

import asyncio
import secrets
from contextlib import AsyncExitStack

from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.access.intake import Intake
from sinchphone.exchange.access.local_addresses import is_this_machine
from sinchphone.exchange.calls.usage import UsageRecords
from sinchphone.exchange.destinations.gateway import GatewayParts
from sinchphone.exchange.options import Certificate
from sinchphone.exchange.processes.phones import PhoneRows
from sinchphone.gateway.call_control import CallControl
from sinchphone.gateway.call_records import CallRecords
from sinchphone.gateway.callbacks.announcements import Announcements
from sinchphone.gateway.callbacks.backends import Backends
from sinchphone.gateway.callouts.backend_calls import GatewayCalls
from sinchphone.gateway.context import GatewayContext
from sinchphone.gateway.legs.outgoing import OutgoingLegs
from sinchphone.gateway.media_backends import MediaBackends
from sinchphone.gateway.open_calls import OpenCalls
from sinchphone.gateway.options import BackendOptions, GatewayOptions, SipSettings, TrunkOptions
from sinchphone.gateway.routing.routing import Routes
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.gateway.sip.shared_bindings import NONCES, SharedBindings
from sinchphone.gateway.sip_agents import SipAgents, SipSide
from sinchphone.gateway.trunk.metering import Metering
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.gateway.trunk.trunk_addresses import TrunkAddresses
from sinchphone.gateway.trunk.trunk_lines import TrunkLines
from sinchphone.gateway.trunk.trunk_registration import SharedTrunk, TrunkRegistration


class GatewayRuntime:
    """A gateway that runs. ``open_runtime`` makes it, ``close`` ends it."""

    def __init__(self, context: GatewayContext, agents: SipAgents, stack: AsyncExitStack) -> None:
        """What ``stack`` closes is this one's from now on."""
        self.context = context
        self.control = CallControl(context)
        self.backend_calls = GatewayCalls(context)
        stack.push_async_callback(self.backend_calls.close)
        self._agents = agents
        self._stack = stack.pop_all()

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``; ``None`` where they can't."""
        return self._agents.sip_address

    @property
    def sip_tls_address(self) -> str | None:
        """Where phones register over TLS."""
        return self._agents.sip_tls_address

    async def close(self) -> None:
        """Free everything; calls are over by then. May be called twice."""
        await self._stack.aclose()


async def open_runtime(options: GatewayOptions, parts: GatewayParts, certificate: Certificate | None) -> GatewayRuntime:
    """A gateway that listens for phones, where that's wanted. ``certificate``: for SIP over TLS. Raises ConfigError, NetworkError and
    MediaError."""
    ready: asyncio.Future[CallControl] = asyncio.get_running_loop().create_future()

    async def take(call: SipCall, side: SipSide) -> None:  # calls that come while the gateway is put together wait
        await (await asyncio.shield(ready)).take(call, side)

    async with AsyncExitStack() as stack:
        media_backends = await _open_media_backends(
            MediaBackends(parts.media, options.sip or SipSettings(), parts.record, parts.bad_line), stack
        )
        announcements = _announcements(options.backend, parts.addresses, stack)
        backends = _connected(Backends(options.backend, parts.applications, parts.addresses, parts.record), stack)
        first = next(iter(parts.applications), "")
        shared = SharedTrunk(parts.trunks, first) if parts.trunks is not None else None
        trunk, metering, lines = _trunk(options.trunk, parts.usage, shared, stack)
        registrar = await _registrar(options.sip, parts.phones, first, stack)
        agents = SipAgents(options.sip, trunk, registrar, take, certificate, parts.record)
        stack.push_async_callback(agents.close)
        await agents.start()
        addresses_of_trunk = _keep_trunk(trunk, agents.listening, shared, parts.calls.intake, stack) if trunk is not None else None
        context = GatewayContext(
            event_record=parts.record,
            intake=parts.calls.intake,
            media=parts.media,
            media_backends=media_backends,
            rooms=parts.rooms,
            trunk=trunk,
            lines=lines,
            routes=Routes(options, trunk, is_ours=agents.is_ours),
            legs=OutgoingLegs(
                parts.calls, parts.broker, parts.directory, registrar, agents, first, trunk, addresses_of_trunk, metering, lines
            ),
            announcements=announcements,
            backends=backends,
            records=CallRecords(),
            default_application=first,
            recordings=parts.recordings,
            addresses=parts.addresses,
            url=parts.url,
            open_calls=OpenCalls(agents.call_of),
        )
        runtime = GatewayRuntime(context, agents, stack)
        ready.set_result(runtime.control)
        return runtime


def _announcements(backend: BackendOptions | None, addresses: AddressPolicy, stack: AsyncExitStack) -> Announcements:
    announcements = Announcements(addresses, ca_file=backend.ca_file if backend is not None else None)
    stack.push_async_callback(announcements.close)
    return announcements


def _connected(backends: Backends, stack: AsyncExitStack) -> Backends:
    stack.push_async_callback(backends.close)
    backends.connect()
    return backends


async def _open_media_backends(media_backends: MediaBackends, stack: AsyncExitStack) -> MediaBackends:
    stack.push_async_callback(media_backends.close)
    await media_backends.start()
    return media_backends


async def _registrar(sip: SipSettings | None, phones: PhoneRows | None, application: str, stack: AsyncExitStack) -> Registrar:
    """Of this process, which knows the phones of the others where several have them together. Raises StoreError."""
    if sip is None or phones is None:
        return Registrar(sip.users if sip is not None else {})
    nonce_key = bytes.fromhex(await phones.agree(NONCES, secrets.token_hex(32)))
    registrar = Registrar(sip.users, shared=SharedBindings(phones, application, nonce_key))
    stack.push_async_callback(registrar.close)
    return registrar


def _trunk(
    options: TrunkOptions | None, usage: UsageRecords, shared: SharedTrunk | None, stack: AsyncExitStack
) -> tuple[Trunk, Metering, TrunkLines] | tuple[None, None, None]:
    """A trunk, what users have used of it, and its lines, over all processes where there are several."""
    if options is None:
        return None, None, None
    lines = TrunkLines(options.max_calls, shared)
    stack.push_async_callback(lines.close)
    if shared is not None:
        shared.rows.revived(lines.tell)
    return Trunk(options, is_this_machine=is_this_machine), Metering(options, usage), lines


def _keep_trunk(
    trunk: Trunk, listening: SipSide | None, shared: SharedTrunk | None, intake: Intake, stack: AsyncExitStack
) -> TrunkAddresses:
    """Keep up with its addresses, and keep us registered with it where it can call us, or one of the other processes."""
    addresses = TrunkAddresses(trunk)
    stack.push_async_callback(addresses.close)
    addresses.start()
    if listening is not None and trunk.options.register:
        registration = TrunkRegistration(listening.agent, trunk, shared, intake)
        stack.push_async_callback(registration.close)
        registration.start()
    return addresses
