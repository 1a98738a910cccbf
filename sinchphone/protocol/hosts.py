"""Hosts and ports as URIs write them, and the ports that SIP has by itself. Pure."""

from typing import Final

SIP_PORT: Final = 5060  # RFC 3261 19.1.2
SIPS_PORT: Final = 5061
SIP_PORTS: Final = {"udp": SIP_PORT, "tcp": SIP_PORT, "tls": SIPS_PORT}


def bracketed(host: str) -> str:
    """A host as URIs write it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def unbracketed(host: str) -> str:
    """The same the other way round."""
    return host.strip("[]")


def join_host(host: str, port: int | None) -> str:
    """``host:port``, with the brackets that IPv6 needs."""
    return bracketed(host) if port is None else f"{bracketed(host)}:{port}"
