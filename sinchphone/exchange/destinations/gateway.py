"""Where an exchange is joined to a gateway, which it knows nothing else of: made with the first call that needs it, or at the start.

::

    Calls.place -> GatewayOnDemand.find -> factory.takes(request)? -> factory.open(parts) -> gateway.find(request) -> Answerer
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Protocol

from sinchphone.errors import ConfigError, MediaError, NetworkError
from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.line import Answerer, Destinations, Elsewhere
from sinchphone.exchange.calls.usage import UsageRecords
from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.exchange.destinations.backend_calls import BackendCalls
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.processes.phones import PhoneRows
from sinchphone.exchange.processes.trunks import TrunkRows
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.recordings.recordings import Recordings
from sinchphone.exchange.refusals import RefusedError
from sinchphone.media.network.simulated_line import SimulatedLine
from sinchphone.media.thread import MediaThread
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallRequest
from sinchphone.signaling.wire import ErrorCode


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class GatewayParts:
    """What an exchange hands to its gateway. ``applications`` as in ``ExchangeOptions``: SIP callers belong to the first; ``url`` is where
    its REST APIs are; ``phones`` and ``trunks`` are there where several processes have them together."""

    applications: Mapping[str, str] = field(repr=False)
    calls: Calls
    broker: Broker
    directory: Directory
    rooms: Rooms
    media: MediaThread
    addresses: AddressPolicy
    usage: UsageRecords
    recordings: Recordings
    url: str
    record: EventRecord
    bad_line: SimulatedLine | None = None  # for the sound that it carries
    phones: PhoneRows | None = None
    trunks: TrunkRows | None = None


@quick_dataclass(frozen=True, slots=True)
class CallbackUrls:
    """Where the events of an application's calls are posted; empty texts where nowhere. ``fallback`` is asked where ``primary`` fails."""

    primary: str
    fallback: str


class Gateway(Destinations, Protocol):
    """Joins calls to the telephone network. ``close`` it after the last call."""

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``; ``None`` where they can't."""

    @property
    def sip_tls_address(self) -> str | None:
        """Where phones register over TLS."""

    @property
    def backend_calls(self) -> BackendCalls:
        """The calls that backends have it make, ask about and steer."""

    def callback_urls(self, application: str) -> CallbackUrls:
        """Where the events of its calls are posted. ``application``: the key of one that is there."""

    def set_callback_urls(self, application: str, urls: CallbackUrls) -> None:
        """From now on they're posted there, for as long as the exchange runs. Raises ConfigError for what is no URL."""

    @property
    def warnings(self) -> Mapping[str, str]:
        """What it didn't reach when it looked last (``troubles``), and does without."""

    async def troubles(self) -> Mapping[str, str]:
        """What it needs and doesn't reach at present, by name, and why."""

    async def close(self) -> None:
        """Free everything; calls are over by then. May be called twice."""


class GatewayFactory(Protocol):
    """Makes the gateway of an exchange."""

    @property
    def from_start(self) -> bool:
        """Whether it is needed as long as the exchange runs."""

    def takes(self, request: CallRequest) -> bool:
        """Whether a call can't do without it."""

    async def open(self, parts: GatewayParts) -> Gateway:
        """A gateway that is ready for calls. Raises ConfigError, NetworkError and MediaError."""


class GatewayOnDemand:
    """The place of the gateway among the destinations (implements ``line.Destinations``)."""

    def __init__(self, factory: GatewayFactory, parts: Callable[[], GatewayParts]) -> None:
        """``parts`` are asked for once, when the gateway is made."""
        self.gateway: Gateway | None = None
        self._factory = factory
        self._parts = parts
        self._making = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        """Make it where it is needed from the start. Raises ConfigError, NetworkError and MediaError."""
        if self._factory.from_start:
            await self.load()

    async def find(self, application: Application, request: CallRequest) -> Answerer | Elsewhere | None:
        """Who answers, once there is a gateway; before that only calls that need one make it. Raises RefusedError."""
        gateway = self.gateway
        if gateway is None:
            if not self._factory.takes(request):
                return None
            gateway = await self.ready()
        return await gateway.find(application, request)

    async def ready(self) -> Gateway:
        """The gateway for a request, made now if need be. Raises RefusedError where it can't be made."""
        try:
            return await self.load()
        except (ConfigError, NetworkError, MediaError) as error:
            raise RefusedError(503, ErrorCode.INTERNAL, f"there is no gateway: {error}") from error

    async def load(self) -> Gateway:
        """The gateway, made now if need be; one that couldn't be made is tried again. Raises ConfigError, NetworkError, MediaError, and
        RefusedError where the exchange is closing."""
        async with self._making:
            if self._closed:
                raise RefusedError(503, ErrorCode.INTERNAL, "the exchange is closing")
            if self.gateway is None:
                self.gateway = await self._factory.open(self._parts())
            return self.gateway

    async def close(self) -> None:
        """Free everything. May be called twice."""
        async with self._making:
            self._closed = True
            gateway, self.gateway = self.gateway, None
            if gateway is not None:
                await gateway.close()
