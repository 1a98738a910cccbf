"""Numbers that each process has, and that together aren't more than is allowed: a hash, changed on the server in one step each
(implements ``SharedCounts``)."""

from collections.abc import Callable
from typing import Final

from sinchphone.exchange.store.redis.commit_queue import patiently
from sinchphone.exchange.store.redis.connection import key_of
from sinchphone.exchange.store.redis.pipeline import LuaScript, Pipeline

_TELL: Final = LuaScript.of("""
local process, own, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local counts, others, fits = redis.call('HGETALL', KEYS[1]), 0, 1
for number = 1, #counts, 2 do
    if counts[number] ~= process then others = others + tonumber(counts[number + 1]) end
end
if most >= 0 and own + others > most then own, fits = own - 1, 0 end
if own > 0 then redis.call('HSET', KEYS[1], process, own) else redis.call('HDEL', KEYS[1], process) end
return fits
""")
_ANY: Final = -1


class RedisCounts:
    """Of one process, whose name is ``process``. It says its own number whole: what Redis forgot is known again with the next."""

    def __init__(self, pipeline_of: Callable[[str], Pipeline], process: str) -> None:
        """``pipeline_of``: to whoever has an application's keys."""
        self._pipeline_of = pipeline_of
        self._process = process

    async def tell(self, application: str, name: str, own: int, most: int | None = None) -> bool:
        words: list[str | int] = [self._process, own, _ANY if most is None else most]
        return bool(await patiently(self._pipeline_of(application).run(_TELL, [_counts_key(application, name)], words)))

    async def forget(self, application: str, name: str, process: str) -> None:
        await patiently(self._pipeline_of(application).ask("HDEL", _counts_key(application, name), process))


def _counts_key(application: str, name: str) -> str:
    return key_of(application, f"counts:{name}")
