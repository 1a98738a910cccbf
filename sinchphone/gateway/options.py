"""What a gateway can be told: where it speaks SIP and with whom, its trunk, its dial plan, the developer's backend."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sinchphone.errors import ConfigError
from sinchphone.gateway.routing.networks import Networks, is_host
from sinchphone.gateway.routing.rules import Rule
from sinchphone.gateway.trunk.trunk import TrunkOptions

DEFAULT_SIP_PORT = 5060  # RFC 3261 19.1.2
DEFAULT_SIPS_PORT = 5061
DEFAULT_RTPENGINE_PORT = 2223

MediaEngine: TypeAlias = Literal["python", "rtpengine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSettings:
    """How the gateway speaks SIP.

    ``users`` maps each phone's user to its password; ``trusted`` are the addresses and networks of proxies and PBXs that need not prove
    who calls. Port 0 takes a free port.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_SIP_PORT
    tls: bool = False
    tls_port: int = DEFAULT_SIPS_PORT
    realm: str = "sinchphone"
    digest: tuple[str, ...] = ("MD5",)  # algorithms of challenges, the most wanted first
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    trusted: tuple[str, ...] = ()
    public_address: str | None = None  # what descriptions and contacts name, where that isn't ``host``
    media_ports: tuple[int, int] | None = None  # of RTP, first and last; any free ones where there is none
    media: MediaEngine = "python"
    rtpengine: tuple[str, int] = ("127.0.0.1", DEFAULT_RTPENGINE_PORT)
    rtpengine_digits: tuple[str, int] | None = None  # where its --dtmf-log-dest leads: else digits never become INFO with rtpengine

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        Networks(self.trusted)
        if self.public_address is not None and not is_host(self.public_address):
            raise ConfigError(
                f'[sip] public_address: "{self.public_address}" is not an IP address or a host name',
                hint="Without sip: and without a port.",
            )

    @property
    def peers(self) -> Networks:
        """Where requests come from that need not prove who calls."""
        return Networks(self.trusted)

    def is_ours(self, host: str, port: int | None = None) -> bool:
        """Whether that host in a SIP address means this gateway. An address without a port does, whatever port it listens at."""
        bare = host.strip("[]").lower()
        names = {self.host.lower(), self.realm.lower(), (self.public_address or self.host).lower(), "localhost", "127.0.0.1", "::1"}
        return bare in names and port in (None, self.port, *([self.tls_port] if self.tls else []))


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """The developer's backend: where events are posted, and where else when that fails."""

    url: str
    fallback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Everything about calls that don't stay between users. Without ``sip`` nobody can call over SIP; calls out need none."""

    sip: SipSettings | None = None
    trunk: TrunkOptions | None = None
    rules: tuple[Rule, ...] = ()
    backend: BackendOptions | None = None
