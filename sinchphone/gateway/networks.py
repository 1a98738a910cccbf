"""IP addresses and networks, as configuration names them. Pure."""

import ipaddress

from sinchphone.hosts import unbracketed
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import read_network


@quick_dataclass(frozen=True, slots=True)
class Networks:
    """Addresses and networks: ``"192.0.2.7" in Networks(("192.0.2.0/24",))``. Raises ConfigError for what is neither."""

    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        """Reads each once."""
        for text in self.texts:
            read_network(text)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and is_among(address, self.texts)


def is_among(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an IP address is one of those, or in one of those networks."""
    try:
        one = ipaddress.ip_address(unbracketed(address).partition("%")[0])
    except ValueError:
        return False
    mapped = one.ipv4_mapped if isinstance(one, ipaddress.IPv6Address) else None
    return any(candidate in network for network in map(read_network, networks) for candidate in (one, mapped) if candidate is not None)
