"""IP addresses and networks, as configuration names them. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from sinchphone.errors import ConfigError

MAX_NAME_CHARACTERS: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
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
        one = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = one.ipv4_mapped if isinstance(one, ipaddress.IPv6Address) else None
    return any(candidate in network for network in map(read_network, networks) for candidate in (one, mapped) if candidate is not None)


def is_host(text: str) -> bool:
    """Whether that is one IP address, or a host name (RFC 1123 2.1) that isn't taken for one."""
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return len(text) <= MAX_NAME_CHARACTERS and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdecimal()


def read_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An IP address or a network in CIDR notation. Raises ConfigError."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(f'"{text}" is not an IP address or a network', hint="Such as 192.0.2.7 or 192.0.2.0/24.") from error
