"""What a gateway knows from the start, before there is any call for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sinchphone.exchange.conference.rooms import Rooms
from sinchphone.exchange.options import Certificate
from sinchphone.gateway.options import GatewayOptions
from sinchphone.gateway.routing.routing import Routes
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.media.thread import MediaThread


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``applications`` as in ``ExchangeOptions``: the first is the one that SIP callers belong to. ``certificate``: for SIP over TLS."""

    options: GatewayOptions
    applications: Mapping[str, str] = field(repr=False)
    media: MediaThread
    rooms: Rooms
    trunk: Trunk | None
    routes: Routes
    certificate: Certificate | None = None
