"""Hosts and ports as URIs write them, what the kernel takes a host for, and the ports that SIP has by itself. Pure."""

import ipaddress
import re
from typing import Final, TypeAlias

SIP_PORT: Final = 5060  # RFC 3261 19.1.2
SIPS_PORT: Final = 5061
SIP_PORTS: Final = {"udp": SIP_PORT, "tcp": SIP_PORT, "tls": SIPS_PORT}
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - somebody's wish: every address

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_PART: Final = r"0[xX][0-9a-fA-F]{0,16}|[0-9]{1,20}"  # patterns are compiled when one is used: a third of what Tab may cost


def bracketed(host: str) -> str:
    """A host as URIs write it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def unbracketed(host: str) -> str:
    """The same the other way round."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def join_host(host: str, port: int | None) -> str:
    """``host:port``, with the brackets that IPv6 needs."""
    return bracketed(host) if port is None else f"{bracketed(host)}:{port}"


def comparable_host(host: str) -> str:
    """A host as it is compared with another: without brackets and the dot at its end, in small letters."""
    return unbracketed(host).rstrip(".").lower()


def is_address(host: str) -> bool:
    """Whether that is an IP address, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def numeric_address(host: str) -> IpAddress | None:
    """The address that a host is, as a connection takes it: in brackets, with a zone, and ``127.1``, ``0`` or ``0x7f000001`` as
    ``inet_aton`` reads them; ``None`` for a name."""
    bare = unbracketed(host).rstrip(".").partition("%")[0]
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        return _as_inet_aton(bare)


def _as_inet_aton(text: str) -> ipaddress.IPv4Address | None:
    """``a.b.c.d``, ``a.b.c``, ``a.b`` or ``a``, each in decimal, octal or hexadecimal: the last fills the bytes that are left."""
    parts = text.split(".")
    if len(parts) > 4 or not all(re.fullmatch(_PART, part) for part in parts):
        return None
    try:
        *first, last = (_number(part) for part in parts)
    except ValueError:  # an 8 or 9 in octal
        return None
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(parts)):
        return None
    return ipaddress.IPv4Address(sum(number << (24 - 8 * at) for at, number in enumerate(first)) + last)


def _number(part: str) -> int:
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)
