"""The gateway as an exchange is handed it: its options, and how it is made. Its code is loaded when it is made, and not before."""

import asyncio
import importlib
from typing import TYPE_CHECKING, Final

from sinchphone.exchange.destinations.dialplan import is_simulated
from sinchphone.exchange.options import Certificate
from sinchphone.gateway.options import GatewayOptions
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import CallRequest, Domain

if TYPE_CHECKING:
    from sinchphone.exchange.destinations.gateway import GatewayParts  # takes a while to import, and who only looks for one makes none
    from sinchphone.gateway.gateway import Gateway

_GATEWAY: Final = "sinchphone.gateway.gateway"


@quick_dataclass(frozen=True, slots=True)
class ConfiguredGateway:
    """Implements ``exchange.destinations.gateway.GatewayFactory``. ``certificate``: for SIP over TLS."""

    options: GatewayOptions
    certificate: Certificate | None = None

    @property
    def from_start(self) -> bool:
        """Phones register with a gateway that speaks SIP, and a backend is asked about every call."""
        return self.options.sip is not None or self.options.backend is not None

    def takes(self, request: CallRequest) -> bool:
        """Where it isn't there from the start: SIP addresses, and with a trunk the numbers that somebody may have."""
        match request.domain:
            case Domain.SIP:
                return True
            case Domain.PSTN:
                return self.options.trunk is not None and not is_simulated(request.identity)
            case Domain.MXP | Domain.CONFERENCE:
                return False

    async def open(self, parts: "GatewayParts") -> "Gateway":
        """A gateway that is ready for calls. Loads its code, in a thread. Raises ConfigError, NetworkError and MediaError."""
        module = await asyncio.to_thread(importlib.import_module, _GATEWAY)
        gateway: Gateway = await module.open_gateway(self.options, parts, certificate=self.certificate)
        return gateway
