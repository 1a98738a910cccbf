"""What a gateway is made of once there is a call for it: SIP, registrar, backends, media and the switchboard, put together.

It imports a lot; ``gateway`` has it made with the first call, or at the start where phones may call.
"""

import asyncio
import ipaddress
from dataclasses import replace

from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.line import Line
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.gateway.bridging.b2bua import House
from sinchphone.gateway.callbacks.announcements import Announcements
from sinchphone.gateway.callbacks.backend import Backend
from sinchphone.gateway.context import Plan
from sinchphone.gateway.legs.outgoing import PEER, TRUNK, OutgoingLegs, Sip
from sinchphone.gateway.media_backends import EVERYWHERE, LOOPBACK, MediaBackends, is_own_address, local_address
from sinchphone.gateway.options import SipSettings
from sinchphone.gateway.routing.networks import Networks
from sinchphone.gateway.sip.agent import SipAgent, SipOptions, TrunkPeer
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.gateway.switchboard import Switchboard
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.gateway.trunk.trunk_addresses import TrunkAddresses
from sinchphone.gateway.trunk.trunk_registration import TrunkRegistration
from sinchphone.protocol.auth import decode_secret
from sinchphone.protocol.sip.uri import join_host


class GatewayRuntime:
    """The machinery of one gateway. ``open`` it before the first call, ``close`` it after the last."""

    def __init__(self, plan: Plan, calls: Calls, broker: Broker, directory: Directory) -> None:
        """Raises ConfigError."""
        options = plan.options
        self._listens = options.sip is not None
        self._settings = options.sip or SipSettings(port=0)
        self._certificate = plan.certificate
        self._trunk = plan.trunk
        self._media_backends = MediaBackends(plan.media, self._settings)
        self._announcements = Announcements()
        self._backends = {
            key: Backend(options.backend, key, decode_secret(secret))
            for key, secret in plan.applications.items()
            if options.backend is not None
        }
        self._registrar = Registrar(self._settings.users)
        self._agents: dict[str, SipAgent] = {}  # by our address; several only where nobody listens
        self._trunk_registration: TrunkRegistration | None = None
        self._trunk_addresses = TrunkAddresses(plan.trunk) if plan.trunk is not None else None
        self._starting = asyncio.Lock()
        plan.routes.is_ours = self._is_ours
        self._lines = OutgoingLegs(calls, broker, directory, self._trunk, self._registrar, self._speak_sip)
        house = House(
            media=plan.media,
            media_backends=self._media_backends,
            routes=plan.routes,
            rooms=plan.rooms,
            announcer=self._announcements,
            legs=self._lines.legs,
        )
        home = next(iter(plan.applications), "")
        self._switchboard = Switchboard(house, self._lines, self._trunk, home=home, backend=self._backends.get)

    async def answer(self, line: Line) -> None:
        """Carry a user's call to its end."""
        await self._switchboard.answer(line)

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``; ``None`` where they can't."""
        return self._address(self._listening.port) if self._listening is not None else None

    @property
    def sip_tls_address(self) -> str | None:
        """Where phones register over TLS."""
        return self._address(self._listening.tls_port) if self._listening is not None else None

    def _address(self, port: int | None) -> str | None:
        host = self._settings.host
        return join_host(self._settings.public_address or (local_address() if host in EVERYWHERE else host), port) if port else None

    @property
    def _listening(self) -> SipAgent | None:
        return self._agents.get(self._settings.host) if self._listens else None

    async def open(self) -> None:
        """Listen for phones, where that's wanted. Raises ConfigError, NetworkError and MediaError."""
        for backend in self._backends.values():
            await backend.open()
        if self._trunk_addresses is not None:
            self._trunk_addresses.start()
        if self._listens:
            await self._media_backends.open()
            sip = await self._speak_sip(None)
            if self._trunk is not None and self._trunk.options.register:
                self._trunk_registration = TrunkRegistration(sip.agent, self._trunk)
                self._trunk_registration.start()

    async def close(self) -> None:
        """Free everything; conversations are over by then. May be called twice."""
        if self._trunk_addresses is not None:
            await self._trunk_addresses.close()
        if self._trunk_registration is not None:
            await self._trunk_registration.close()
        for agent in self._agents.values():
            await agent.close()
        for backend in self._backends.values():
            await backend.close()
        await self._announcements.close()
        await self._media_backends.close()

    def _is_ours(self, host: str, port: int | None) -> bool:
        """Whether an address means us, at the ports that we really have."""
        agent = self._listening
        real = self._settings if agent is None else replace(self._settings, port=agent.port, tls_port=agent.tls_port or 0)
        if real.host in EVERYWHERE and is_own_address(host.strip("[]")):
            host = real.realm
        return real.is_ours(host, port)

    async def _speak_sip(self, target: str | None) -> Sip:
        """The SIP side. Where nobody listens it's made with the first call, at an address from which ``target`` can be reached."""
        host = self._settings.host if self._listens else await _way_to(target)
        async with self._starting:
            agent = self._agents.get(host)
            if agent is None:
                agent = SipAgent(self._sip_options(host), router=self._switchboard.route, registrar=self._registrar)
                await agent.start()
                self._agents[host] = agent
        if not self._listens:
            self._media_backends.settle(host)
        return Sip(agent=agent, host=self._settings.public_address or (local_address() if host in EVERYWHERE else host))

    def _sip_options(self, host: str) -> SipOptions:
        settings = self._settings
        names = {settings.realm, *([settings.public_address] if settings.public_address else [])}
        trunks = [_peer_of(self._trunk)] if self._trunk is not None else []
        return SipOptions(
            host=host,
            port=settings.port,
            tls_port=settings.tls_port if settings.tls else None,
            certificate=self._certificate if settings.tls else None,
            public_address=settings.public_address,
            realm=settings.realm,
            algorithms=settings.digest,
            domains=frozenset(names),
            trunks=(*trunks, TrunkPeer(name=PEER, hosts=Networks(settings.trusted))),
        )


def _peer_of(trunk: Trunk) -> TrunkPeer:
    """The trunk as who calls us. One that speaks TCP or TLS isn't known by datagrams, whose source anybody can forge."""
    options = trunk.options
    names = frozenset({options.host.lower().strip("[]")})
    if options.transport == "udp":
        return TrunkPeer(name=TRUNK, hosts=trunk, names=names, encrypted=options.srtp)
    return TrunkPeer(name=TRUNK, hosts=trunk, names=names, transports=frozenset({options.transport}), encrypted=options.srtp)


async def _way_to(target: str | None) -> str:
    """Our address from which a host can be reached: loopback for what is on this machine."""
    if target is None:
        return LOOPBACK
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.strip("[]"), 5060)
    except OSError:
        return LOOPBACK if target == "localhost" else local_address()
    addresses = [entry[4][0] for entry in found]
    first = ipaddress.ip_address(str(addresses[0]).partition("%")[0])
    return LOOPBACK if first == ipaddress.ip_address(LOOPBACK) else local_address((str(first), 5060))
