"""What counts over all processes, on the Redis server in one step each (implements ``SharedLimits``); keys go with what they count."""

from collections.abc import Callable
from typing import Final

from sinchphone.exchange.refusals import served_before
from sinchphone.exchange.store.redis.commit_queue import patiently
from sinchphone.exchange.store.redis.connection import key_of
from sinchphone.exchange.store.redis.pipeline import LuaScript, Pipeline
from sinchphone.exchange.store.shared_limits import Limit

_TRUSTED_SECONDS: Final = 30 * 86_400
_ALLOWANCE: Final = LuaScript.of("""
local most, a_second, taken = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local known = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = most
if known[1] then left = math.min(most, tonumber(known[1]) + math.max(0, now - tonumber(known[2])) * a_second) end
if left < 1 then return 0 end
if taken > 0 then
    redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left - taken), 'at', string.format('%.6f', now))
    redis.call('PEXPIRE', KEYS[1], math.ceil((most - left + taken) / a_second * 1000) + 1000)
end
return 1
""")


class RedisLimits:
    """Asked over a connection of the store's."""

    def __init__(self, pipeline_of: Callable[[str], Pipeline], signature_seconds: float) -> None:
        """``pipeline_of``: to whoever has an application's keys; ``signature_seconds``: for how long a signature is good."""
        self._pipeline_of = pipeline_of
        self._signature_ms = int(signature_seconds * 1000)

    async def has(self, limit: Limit, application: str, who: str, now: float) -> bool:
        return await self._ask(limit, application, who, 0)

    async def take(self, limit: Limit, application: str, who: str, now: float) -> bool:
        return await self._ask(limit, application, who, 1)

    async def claim(self, application: str, signer: str, signature: str, now: float) -> None:
        key = key_of(application, f"used:{signer}:{signature}")
        if await patiently(self._pipeline_of(application).ask("SET", key, "1", "NX", "PX", self._signature_ms)) is None:
            raise served_before()

    async def trust(self, application: str, who: str) -> None:
        await patiently(self._pipeline_of(application).ask("SET", key_of(application, f"trusted:{who}"), "1", "EX", _TRUSTED_SECONDS))

    async def trusts(self, application: str, who: str) -> bool:
        return bool(await patiently(self._pipeline_of(application).ask("EXISTS", key_of(application, f"trusted:{who}"))))

    async def _ask(self, limit: Limit, application: str, who: str, taken: int) -> bool:
        key = key_of(application, f"allowance:{limit.name}:{who}")
        return bool(await patiently(self._pipeline_of(application).run(_ALLOWANCE, [key], [str(limit.most), str(limit.a_second), taken])))
