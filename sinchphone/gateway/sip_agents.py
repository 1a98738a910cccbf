"""The gateway's SIP side: one user agent where phones call, else one for each address of ours from which somebody is called."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from sinchphone.exchange.access.local_addresses import address_towards, is_own_address, local_address
from sinchphone.exchange.options import Certificate
from sinchphone.exchange.record.record import EventRecord
from sinchphone.gateway.call_facts import Source
from sinchphone.gateway.networks import Networks
from sinchphone.gateway.options import SipSettings
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import SipCall
from sinchphone.gateway.sip.options import SipOptions, TrunkPeer
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.hosts import EVERYWHERE, join_host, unbracketed
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SipSide:
    """One user agent, as a call uses it."""

    agent: SipAgent
    name: str  # what we are called in addresses
    media_host: str  # the address of ours that its calls' sound uses


TakeCall: TypeAlias = Callable[[SipCall, SipSide], Awaitable[None]]  # returns when the call is over


class SipAgents:
    """The user agents of one gateway. ``start`` comes first, ``close`` last."""

    def __init__(
        self,
        settings: SipSettings | None,
        trunk: Trunk | None,
        registrar: Registrar,
        take: TakeCall,
        certificate: Certificate | None,
        record: EventRecord | None = None,
    ) -> None:
        """Without ``settings`` nobody can call us; ``take`` gets who does all the same. Raises ConfigError."""
        self._record = record
        self._listens = settings is not None
        self._settings = settings or SipSettings(port=0)
        self._trunk = trunk
        self._registrar = registrar
        self._take = take
        self._certificate = certificate
        self._sides: dict[str, SipSide] = {}  # by our address
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Listen for phones, where that's wanted, and know those of other processes. Raises ConfigError and NetworkError."""
        if self._listens:
            await self.towards(None)
            await self._registrar.join()

    async def close(self) -> None:
        """Hang up what is left and close the sockets. May be called twice."""
        for side in self._sides.values():
            await side.agent.close()

    @property
    def listening(self) -> SipSide | None:
        """Where phones call; ``None`` where they can't."""
        return self._sides.get(self._settings.host) if self._listens else None

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``; ``None`` where they can't."""
        return self._address(self.listening.agent.port) if self.listening is not None else None

    @property
    def sip_tls_address(self) -> str | None:
        """Where phones register over TLS."""
        return self._address(self.listening.agent.tls_port) if self.listening is not None else None

    def call_of(self, dialog: ReplacedDialog) -> SipCall | None:
        """The call with that dialog, as its peer names it to others."""
        return next((call for side in self._sides.values() if (call := side.agent.call_of(dialog)) is not None), None)

    def is_ours(self, host: str, port: int | None) -> bool:
        """Whether an address means us, at the ports that we really have."""
        side, settings = self.listening, self._settings
        real = settings if side is None else replace(settings, port=side.agent.port, tls_port=side.agent.tls_port or 0)
        if real.host in EVERYWHERE and is_own_address(unbracketed(host)):
            host = real.realm
        return real.is_ours(host, port)

    async def towards(self, target: str | None) -> SipSide:
        """The user agent that listens; where none does, one at an address from which ``target`` can be reached, made with the first call.
        Raises ConfigError and NetworkError."""
        host = self._settings.host if self._listens else await address_towards(target)
        async with self._starting:
            side = self._sides.get(host)
            if side is None:
                side = self._made(host)
                await side.agent.start()
                self._sides[host] = side
        return side

    def _made(self, host: str) -> SipSide:
        async def take(call: SipCall) -> None:
            await self._take(call, side)

        agent = SipAgent(self._options(host), router=take, registrar=self._registrar, record=self._record)
        side = SipSide(agent=agent, name=self._name(host), media_host=host)
        return side

    def _name(self, host: str) -> str:
        return self._settings.public_address or (local_address() if host in EVERYWHERE else host)

    def _address(self, port: int | None) -> str | None:
        return join_host(self._name(self._settings.host), port) if port else None

    def _options(self, host: str) -> SipOptions:
        settings = self._settings
        names = {settings.realm, *([settings.public_address] if settings.public_address else [])}
        trunks = [_peer_of(self._trunk)] if self._trunk is not None else []
        return SipOptions(
            host=host,
            port=settings.port,
            tls_port=settings.tls_port if settings.tls else None,
            certificate=self._certificate if settings.tls else None,
            ca_files=tuple(filter(None, (settings.ca_file, self._trunk.options.ca_file if self._trunk is not None else None))),
            public_address=settings.public_address,
            realm=settings.realm,
            algorithms=settings.digest,
            domains=frozenset(names),
            proxies=Networks(settings.proxies),
            reached_at=local_address() if host in EVERYWHERE else host,
            trunks=(*trunks, TrunkPeer(name=Source.PEER, hosts=Networks(settings.trusted))),
        )


def _peer_of(trunk: Trunk) -> TrunkPeer:
    """The trunk as who calls us. One that speaks TCP or TLS isn't known by datagrams, whose source anybody can forge."""
    options = trunk.options
    names = frozenset({unbracketed(options.host.lower())})
    if options.transport == "udp":
        return TrunkPeer(name=Source.TRUNK, hosts=trunk, names=names, encrypted=options.srtp)
    return TrunkPeer(name=Source.TRUNK, hosts=trunk, names=names, transports=frozenset({options.transport}), encrypted=options.srtp)
