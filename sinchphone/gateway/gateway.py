"""The gateway of one exchange: carries the calls that the exchange doesn't carry itself.

::

    Exchange -> Gateway.find (users' calls)    \\
    SipAgents -> CallControl.take (SIP calls)    >  one B2buaCall each
"""

import time
from collections.abc import Callable, Mapping

from sinchphone.exchange.calls.calls import Calls
from sinchphone.exchange.calls.line import Answerer
from sinchphone.exchange.destinations.backend_calls import BackendCalls
from sinchphone.exchange.destinations.gateway import CallbackUrls, GatewayParts
from sinchphone.exchange.directory.devices import Application
from sinchphone.exchange.options import Certificate
from sinchphone.exchange.refusals import RefusedError, forbidden, invalid, not_found
from sinchphone.gateway.call_facts import CallerName, Dialled, Source
from sinchphone.gateway.options import GatewayOptions
from sinchphone.gateway.routing.routing import Dialling, Refuse, ToAttendant, ToRoom, ToUser
from sinchphone.gateway.runtime import GatewayRuntime, open_runtime
from sinchphone.protocol.call.transfer_events import REPLACES_HEADER
from sinchphone.signaling.dialect import CallRequest, Domain


async def open_gateway(options: GatewayOptions, parts: GatewayParts, *, certificate: Certificate | None = None) -> "Gateway":
    """A gateway that listens for phones, where that's wanted. ``certificate``: for SIP over TLS. Raises ConfigError, NetworkError and
    MediaError."""
    runtime = await open_runtime(options, parts, certificate)
    return Gateway(options, parts.calls, runtime)


class Gateway:
    """Joins users, phones, trunks, rooms and attendants (implements ``exchange.destinations.gateway.Gateway``)."""

    def __init__(self, options: GatewayOptions, calls: Calls, runtime: GatewayRuntime) -> None:
        self.warnings: Mapping[str, str] = {}
        self._options = options
        self._calls = calls
        self._runtime = runtime
        self._routes = runtime.context.routes
        self._backends = runtime.context.backends

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``; ``None`` where they can't."""
        return self._runtime.sip_address

    @property
    def sip_tls_address(self) -> str | None:
        """Where phones register over TLS."""
        return self._runtime.sip_tls_address

    @property
    def backend_calls(self) -> BackendCalls:
        """The calls that backends have it make, ask about and steer."""
        return self._runtime.backend_calls

    def callback_urls(self, application: str) -> CallbackUrls:
        """Where the events of an application's calls are posted."""
        return self._backends.urls(application)

    def set_callback_urls(self, application: str, urls: CallbackUrls) -> None:
        """From now on they're posted there. Raises ConfigError for what is no URL."""
        self._backends.set_urls(application, urls)

    async def troubles(self) -> Mapping[str, str]:
        """Whether what carries the sound is there."""
        backends = self._runtime.context.media_backends
        silent = await backends.troubles()
        told = {"relay": "; ".join(silent)} if silent else {}
        self.warnings = told if backends.carries(silent) else {}
        return {} if backends.carries(silent) else told

    async def close(self) -> None:
        """Free everything; users' calls are over by then. May be called twice."""
        await self._runtime.close()

    async def find(self, application: Application, request: CallRequest) -> Answerer | None:
        """Who answers a user's call; ``None`` where the exchange carries it itself. Raises RefusedError."""
        replaces = request.headers.get(REPLACES_HEADER, "")
        if replaces:  # of a call that doesn't go through here the exchange knows
            ours = self._runtime.context.open_calls.find(replaces, application.key)
            return self._runtime.control.answer if ours is not None else None
        call = Dialling(
            source=Source.USER,
            caller=CallerName(Domain.MXP, "", request.caller_id or None),
            dialled=Dialled(request.domain, request.identity),
            headers=request.headers,
        )
        if self._backends.of(application.key) is None and self._is_the_exchanges(application, call):
            return None
        return self._runtime.control.answer

    def _is_the_exchanges(self, application: Application, call: Dialling) -> bool:
        """Whether no phone and no carrier has a part in it: a room, an attendant, or a user who has no phone at present. Who rings doesn't
        depend on who calls. Raises RefusedError."""
        route = self._routes.by_plan(call)
        if isinstance(route, Refuse):
            _raise_early(route)
        if call.dialled.domain is Domain.SIP:
            return False
        if isinstance(route, ToRoom | ToAttendant):
            return True
        if not isinstance(route, ToUser) or route.user != call.dialled.identity:
            return False
        sip = self._options.sip
        may_have_phone = sip is not None and route.user in sip.users  # where it isn't registered, the gateway says so
        if self._runtime.context.legs.phones(route.user, application.key):
            return False
        return not may_have_phone or self._calls.is_reachable(application, route.user, time.time())


def _raise_early(route: Refuse) -> None:
    """What is sure from the start is said by the REST request already. Raises RefusedError, or nothing where the call should ring."""
    makers: dict[int, Callable[[str], RefusedError]] = {403: forbidden, 404: not_found, 484: invalid}
    make = makers.get(route.failure.status)
    if make is not None:
        raise make(route.failure.reason)
