"""The connection to Redis: its address as it's written, and what is looked at before anything is written there."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from sinchphone.errors import ConfigError
from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.store import StoreError
from sinchphone.tls import client_context, why_tls_failed

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX: Final = "sinchphone"
SCHEMA: Final = 3
_APPLICATIONS: Final = f"{PREFIX}:{SCHEMA}:applications"
OLDEST: Final = (7, 0)
_CONNECT_SECONDS: Final = 3.0
_READ_SECONDS: Final = 5.0  # longer than any blocking read
_HINT: Final = "Start it, or correct the address: redis://host:port/database"


def connect(address: StoreAddress) -> "Redis":
    """A client; it connects when it's used. Raises StoreError."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise StoreError("a store on Redis needs the package redis", hint="Install sinchphone[redis].") from error
    parts = urlsplit(address)
    return Redis(
        host=parts.hostname or "",
        port=parts.port or 6379,
        db=int(parts.path.strip("/") or 0),
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


async def check(client: "Redis", address: StoreAddress, secrets: Mapping[str, bytes], *, beside_others: bool = False) -> None:
    """Look whether the database is one that these applications can be kept in; only then say that it's ours. ``beside_others``: there may
    be only others yet. Raises StoreError."""
    import redis.exceptions as refused

    shown = address.shown
    try:
        await _look(client, shown, secrets, beside_others=beside_others)
    except (refused.AuthenticationError, refused.NoPermissionError) as error:
        raise StoreError(f"{shown}: user or password is wrong: {error}", hint="Write redis://user:password@host:port/database") from error
    except (refused.ConnectionError, refused.TimeoutError, OSError) as error:
        if address.has_tls and (failure := why_tls_failed(error)) is not None:
            hint = failure.hint.replace("ca_file", "exchange.store_ca_file")
            raise StoreError(f"{shown} can't be reached: no secure connection: {failure.reason}", hint=hint) from error
        raise StoreError(f"{shown} can't be reached: {error}", hint=_HINT) from error
    except refused.RedisError as error:
        if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
            hint = "Write redis://user:password@host:port/database"
            raise StoreError(f"{shown}: user or password is wrong: {error}", hint=hint) from error
        raise StoreError(f"{shown} can't be used: {error}", hint=_HINT) from error


async def _look(client: "Redis", shown: str, secrets: Mapping[str, bytes], *, beside_others: bool) -> None:
    server: dict[str, Any] = await client.info("server")
    version = str(server.get("redis_version", "0"))
    if tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:2]) < OLDEST:
        raise StoreError(f"{shown} is Redis {version}", hint="An exchange needs Redis 7.0 or newer.")
    if str((await client.info("cluster")).get("cluster_enabled", "0")) == "1":
        hint = "Give it one server; a replica or an append-only file keeps what it has."
        raise StoreError(f"{shown} is a node of a Redis Cluster, which an exchange can't use yet", hint=hint)
    size = await client.dbsize()  # before: another exchange may just be the first to write
    schema: Any = await client.get(f"{PREFIX}:schema")
    if schema is None and size:
        hint = "Give the exchange a database of its own: redis://host:port/1"
        raise StoreError(f"{shown}: the database isn't empty, and no exchange wrote what is there", hint=hint)
    if schema is not None and schema != str(SCHEMA):
        raise StoreError(f"{shown}: another version of sinchphone wrote it (schema {schema})", hint="Use the same version everywhere.")
    applications = {str(one) for one in await client.smembers(_APPLICATIONS)}
    if applications and not beside_others and not applications & secrets.keys():
        hint = "All exchanges of one store need the same applications. Give this one a database of its own: redis://host:port/1"
        raise StoreError(f"{shown} is another exchange's, with the application {', '.join(sorted(applications)[:5])}", hint=hint)
    for application, secret in secrets.items():
        known = await client.get(key_of(application, "secret"))
        if known is not None and known != _fingerprint(secret):
            hint = "All exchanges of one store need the same applications with the same secrets."
            raise StoreError(f"{shown}: the application {application} has another secret there", hint=hint)
    await client.set(f"{PREFIX}:schema", SCHEMA)
    await client.sadd(_APPLICATIONS, *secrets)
    for application, secret in secrets.items():
        await client.set(key_of(application, "secret"), _fingerprint(secret))


def key_of(application: str, name: str) -> str:
    """A key of an application's: all of them are in one slot of a cluster."""
    return f"{PREFIX}:{SCHEMA}:{{{application}}}:{name}"


def check_names(applications: Iterable[str]) -> None:
    """Raises ConfigError for an application key that can't be part of a key of Redis."""
    for name in applications:
        if "{" in name or "}" in name:
            raise ConfigError("an application key with { or } can't be kept on Redis")


def _fingerprint(secret: bytes) -> str:
    return hashlib.sha256(b"sinchphone store\0" + secret).hexdigest()
