"""What is looked at before anything is written to Redis: whether the database is ours, or nobody's."""

import hashlib
from collections.abc import Mapping
from typing import Final

from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.redis.connection import PREFIX, SCHEMA, common_key, key_of
from sinchphone.exchange.store.redis.pipeline import LuaScript, reason_of
from sinchphone.exchange.store.redis.servers import Servers
from sinchphone.exchange.store.store import StoreAwayError, StoreError
from sinchphone.tls import why_tls_failed

OLDEST: Final = (7, 0)
_SCHEMA_KEY: Final = f"{PREFIX}:schema"
_APPLICATIONS: Final = common_key("applications")
_NAME: Final = "look at the store"
_UNFIT: Final = ("MISCONF", "NOREPLICAS", "MASTERDOWN")
_COMMANDS: Final = (
    "DEL", "EVAL", "EVALSHA", "EXISTS", "GET", "GETDEL", "HDEL", "HGET", "HGETALL", "HMGET", "HSET", "INCRBY", "LPOP", "LPOS", "LREM",
    "PEXPIRE", "RPUSH", "SADD", "SET", "TIME", "XADD", "XLEN", "XRANGE", "XREAD", "XTRIM",
)  # fmt: skip
_RIGHTS: Final = LuaScript.of("""
local refused = {}
for number = 2, #ARGV do
    if not redis.acl_check_cmd(ARGV[number], ARGV[1], ARGV[1], ARGV[1], ARGV[1]) then refused[#refused + 1] = ARGV[number] end
end
return refused
""")
_RIGHTS_HINT: Final = "let it use ~sinchphone:* with +@all -@dangerous +info"
_HINT: Final = "start it, or correct the address: redis://host:port/database"


async def check(servers: Servers, address: StoreAddress, secrets: Mapping[str, bytes], *, beside_others: bool = False) -> None:
    """Look whether the database is one that these applications can be kept in; only then say that it's ours. ``beside_others``: there may
    be only others yet. Raises StoreError; StoreAwayError where it may be another time."""
    import redis.exceptions as refused

    shown = address.shown
    try:
        await _look(servers, shown, secrets, beside_others=beside_others)
    except refused.NoPermissionError as error:
        raise StoreError(f"{shown}: the user may not do what an exchange does there: {error}", hint=_RIGHTS_HINT) from error
    except refused.AuthenticationError as error:
        raise StoreError(f"{shown}: user or password is wrong: {error}", hint="write redis://user:password@host:port/database") from error
    except (refused.ConnectionError, refused.TimeoutError, OSError) as error:
        if address.has_tls and (failure := why_tls_failed(error)) is not None:
            hint = failure.hint.replace("ca_file", "exchange.store_ca_file")
            raise StoreError(f"{shown} can't be reached: no secure connection: {failure.reason}", hint=hint) from error
        raise StoreAwayError(f"{shown} can't be reached: {reason_of(error)}", hint=_HINT) from error
    except refused.RedisError as error:
        if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
            hint = "write redis://user:password@host:port/database"
            raise StoreError(f"{shown}: user or password is wrong: {error}", hint=hint) from error
        if "cluster mode" in str(error):
            hint = "write redis://host:port/0"
            raise StoreError(f"{shown} is a node of a Redis Cluster, which has no database but 0: {error}", hint=hint) from error
        if isinstance(error, refused.ReadOnlyError):
            raise StoreError(f"{shown} is a replica, which takes no changes: {error}", hint="write its master's address") from error
        if isinstance(error, (refused.OutOfMemoryError, refused.ClusterDownError)) or str(error).startswith(_UNFIT):
            raise StoreAwayError(f"{shown} can't be used at the moment: {error}", hint="see Redis' log") from error
        raise StoreError(f"{shown} can't be used: {error}", hint=_HINT) from error


async def _look(servers: Servers, shown: str, secrets: Mapping[str, bytes], *, beside_others: bool) -> None:
    version = await servers.look()
    if tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:2]) < OLDEST:
        raise StoreError(f"{shown} is Redis {version}", hint="an exchange needs Redis 7.0 or newer")
    schema = await servers.pipeline(_SCHEMA_KEY, _NAME).ask("GET", _SCHEMA_KEY)
    if schema is None and await servers.has_keys_beside((_SCHEMA_KEY, f"{PREFIX}:{SCHEMA}:")):
        hint = "give the exchange a database of its own: redis://host:port/1"
        raise StoreError(f"{shown}: the database isn't empty, and no exchange wrote what is there", hint=hint)
    if schema is not None and schema != str(SCHEMA):
        raise StoreError(f"{shown}: another version of sinchphone wrote it (schema {schema})", hint="use the same version everywhere")
    common = servers.pipeline(_APPLICATIONS, _NAME)
    applications = {str(one) for one in await common.ask("SMEMBERS", _APPLICATIONS)}
    if applications and not beside_others and not applications & secrets.keys():
        hint = "all exchanges of one store need the same applications; give this one a database of its own: redis://host:port/1"
        raise StoreError(f"{shown} is another exchange's, with the application {', '.join(sorted(applications)[:5])}", hint=hint)
    for application, secret in secrets.items():
        key = key_of(application, "secret")
        _compare(shown, application, secret, await servers.pipeline(key, _NAME).ask("GET", key))
        if refused := await servers.pipeline(key, _NAME).run(_RIGHTS, [], [key, *_COMMANDS]):
            lacks = ", ".join(str(one).upper() for one in refused)
            raise StoreError(f"{shown}: the user may not do what an exchange does there: {lacks}", hint=_RIGHTS_HINT)
    for application, secret in secrets.items():  # two may come at once, with different ones
        key = key_of(application, "secret")
        _compare(shown, application, secret, await servers.pipeline(key, _NAME).ask("SET", key, _fingerprint(secret), "NX", "GET"))
    await servers.pipeline(_SCHEMA_KEY, _NAME).ask("SET", _SCHEMA_KEY, SCHEMA)
    await common.ask("SADD", _APPLICATIONS, *secrets)


def _compare(shown: str, application: str, secret: bytes, known: object) -> None:
    """Raises StoreError where an application has another secret there."""
    if known is not None and known != _fingerprint(secret):
        hint = "all exchanges of one store need the same applications with the same secrets"
        raise StoreError(f"{shown}: the application {application} has another secret there", hint=hint)


def _fingerprint(secret: bytes) -> str:
    return hashlib.sha256(b"sinchphone store\0" + secret).hexdigest()
