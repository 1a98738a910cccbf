"""The gateway of one exchange: carries every call that doesn't stay between users' devices.

::

    Exchange -> Gateway.find (users' calls)    \\
    SipAgents -> CallControl.take (SIP calls)    >  one B2buaCall each
"""

import asyncio
import importlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.line import Answerer, Line
from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.options import Certificate
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.refusals import RefusedError, forbidden, invalid, not_found
from sinchphone.gateway.legs.leg import CallerName, Dialled
from sinchphone.gateway.options import GatewayOptions
from sinchphone.gateway.routing.routing import Dialling, Refuse, Routes, Source, ToRoom, ToUser
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.media.thread import MediaThread
from sinchphone.signaling.dialect import CallRequest, Domain
from sinchphone.signaling.ocra.names import ErrorCode

if TYPE_CHECKING:
    from sinchphone.gateway.runtime import GatewayRuntime

_RUNTIME: Final = "sinchphone.gateway.runtime"  # SIP, sound files and much else: a user's call to a user needs none of it


class Gateway:
    """Joins users, phones, trunks, rooms and attendants (implements ``line.Destinations``). ``join`` comes first, then ``start``."""

    def __init__(
        self, options: GatewayOptions, applications: Mapping[str, str], media: MediaThread, *, certificate: Certificate | None = None
    ) -> None:
        """``applications`` as in ``ExchangeOptions``; ``media`` carries sound, and is started with the first call; ``certificate``: for SIP
        over TLS. Raises ConfigError."""
        self.rooms = Rooms(media)
        self._options, self._applications, self._media, self._certificate = options, applications, media, certificate
        self._routes = Routes(options, Trunk(options.trunk) if options.trunk is not None else None)
        self._runtime: GatewayRuntime | None = None
        self._making = asyncio.Lock()
        self._closed = False

    def join(self, calls: Calls, broker: Broker, directory: Directory) -> None:
        """Meet the exchange's other rooms."""
        self._calls, self._broker, self._directory = calls, broker, directory

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``; ``None`` where they can't."""
        return self._runtime.sip_address if self._runtime is not None else None

    @property
    def sip_tls_address(self) -> str | None:
        """Where phones register over TLS."""
        return self._runtime.sip_tls_address if self._runtime is not None else None

    async def start(self) -> None:
        """Listen for phones, where that's wanted. Raises ConfigError, NetworkError and MediaError."""
        if self._options.sip is not None:
            await self._made()

    async def close(self) -> None:
        """Free everything; users' calls are over by then. May be called twice."""
        async with self._making:
            self._closed = True
            runtime, self._runtime = self._runtime, None
            if runtime is not None:
                await runtime.close()

    def find(self, application: Application, request: CallRequest) -> Answerer | None:
        """Who answers a user's call; ``None`` where that is another user, and nothing else is to be asked. Raises RefusedError."""
        call = Dialling(
            source=Source.USER,
            caller=CallerName(Domain.MXP, "", request.caller_id or None),
            dialled=Dialled(request.domain, request.identity),
            headers=request.headers,
        )
        if self._options.backend is None and self._is_for_a_user(application, call):
            return None
        return self._answer

    def _is_for_a_user(self, application: Application, call: Dialling) -> bool:
        """Whether the exchange's own calls carry it: devices of the user that was named, found without a detour. Raises RefusedError."""
        route = self._routes.by_plan(call)
        if isinstance(route, Refuse):
            _raise_early(route)
        if isinstance(route, ToRoom):
            self.rooms.check(application.key, route.room)
        if call.dialled.domain is not Domain.MXP or not isinstance(route, ToUser) or route.user != call.dialled.identity:
            return False
        sip = self._options.sip
        may_have_phone = sip is not None and route.user in sip.users  # where it isn't registered, the gateway says so
        return not may_have_phone or self._calls.is_reachable(application, route.user, time.time())

    async def _answer(self, line: Line) -> None:
        await (await self._made()).answer(line)

    async def _made(self) -> "GatewayRuntime":
        async with self._making:
            if self._closed:
                raise RefusedError(503, ErrorCode.INTERNAL, "the exchange is closing")
            if self._runtime is None:
                module = await asyncio.to_thread(importlib.import_module, _RUNTIME)
                self._runtime = await module.open_runtime(
                    self._options,
                    applications=self._applications,
                    media=self._media,
                    rooms=self.rooms,
                    calls=self._calls,
                    broker=self._broker,
                    directory=self._directory,
                    certificate=self._certificate,
                )
            return self._runtime


def _raise_early(route: Refuse) -> None:
    """What is sure from the start is said by the REST request already. Raises RefusedError, or nothing where the call should ring."""
    makers: dict[int, Callable[[str], RefusedError]] = {403: forbidden, 404: not_found, 484: invalid}
    make = makers.get(route.failure.status)
    if make is not None:
        raise make(route.failure.reason)
