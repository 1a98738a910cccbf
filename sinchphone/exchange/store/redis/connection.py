"""The connection to Redis: its address as it's written; and what all keys there begin with."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from sinchphone.errors import ConfigError
from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.store import StoreError
from sinchphone.tls import client_context

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX: Final = "sinchphone"
SCHEMA: Final = 4
_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 5.0  # longer than any blocking read


def connect(address: StoreAddress) -> "Redis":
    """A client; it connects when it's used. Raises StoreError."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise StoreError("a store on Redis needs the package redis", hint="install sinchphone[redis]") from error
    parts = urlsplit(address)
    return Redis(
        host=parts.hostname or "",
        port=parts.port or 6379,
        db=address.database,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        **(_tls(address.ca_file) if address.has_tls else {}),
        protocol=2,
        decode_responses=True,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=_READ_SECONDS,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )


def _tls(ca_file: Path | None) -> dict[str, Any]:
    """Raises ConfigError for a file that can't be used."""
    from ssl import TLSVersion

    client_context(ca_file)
    return {
        "ssl": True,
        "ssl_ca_certs": str(ca_file) if ca_file is not None else None,
        "ssl_check_hostname": True,
        "ssl_min_version": TLSVersion.TLSv1_2,
    }


def key_of(application: str, name: str) -> str:
    """A key of an application's: all of them are in one slot of a cluster."""
    return f"{PREFIX}:{SCHEMA}:{{{application}}}:{name}"


def common_key(name: str) -> str:
    """A key of all applications together: these are in one slot, too."""
    return f"{PREFIX}:{SCHEMA}:{name}:{{{PREFIX}}}"


def check_names(applications: Iterable[str]) -> None:
    """Raises ConfigError for an application key that can't be part of a key of Redis."""
    for name in applications:
        if "{" in name or "}" in name:
            raise ConfigError("an application key with { or } can't be kept on Redis")
