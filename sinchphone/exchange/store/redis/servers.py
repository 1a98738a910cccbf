"""Which server has a key: the one that there is, or that node of a cluster which has the key's slot.

::

    pipeline -> connected(): who has the slot, as it's known, or as any node says -> MOVED -> that one from now on
                a connection that can't be made -> the nodes are asked anew
"""

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.redis.answers import Word
from sinchphone.exchange.store.redis.connection import connect
from sinchphone.exchange.store.redis.pipeline import Pipeline, no_answer

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection
    from redis.exceptions import MovedError

_PAGE_KEYS: Final = 1_000
_MAX_PAGES: Final = 1_000
_ALL: Final = -1  # in place of a slot: the server at the address

_Node: TypeAlias = tuple[str, int]  # host and port


class Servers:
    """At one address: ``look`` first, which tells whether it's a cluster's."""

    def __init__(self, address: StoreAddress) -> None:
        """Raises ConfigError or StoreError."""
        self._client = connect(address)
        about = self._client.connection_pool.connection_kwargs
        self._home: _Node = (about["host"], about["port"])
        self._nodes: list[_Node] = [self._home]  # those that may know who has what
        self._slots: list[tuple[int, int, _Node]] = []  # from, to, whose
        self._pipelines: dict[tuple[int, str], Pipeline] = {}
        self.is_cluster = False

    async def look(self) -> str:
        """See whether it's a cluster; the version of Redis. Raises as Redis answers."""
        home = Pipeline(_Route(self, _ALL), "look at the store")
        try:
            version = _member(await home.ask("INFO", "server"), "redis_version")
            self.is_cluster = _member(await home.ask("INFO", "cluster"), "cluster_enabled") == "1"
        finally:
            await home.close()
        return version

    def pipeline(self, key: str, name: str) -> Pipeline:
        """For that key, and all of its slot; the same for all in one server. ``name`` tells several for the same keys apart."""
        from redis.crc import key_slot

        slot = key_slot(key.encode()) if self.is_cluster else _ALL
        if (slot, name) not in self._pipelines:
            self._pipelines[slot, name] = Pipeline(_Route(self, slot), name)
        return self._pipelines[slot, name]

    async def has_keys_beside(self, prefixes: tuple[str, ...]) -> bool:
        """Whether there are keys that don't begin with one of these. Raises as Redis answers."""
        if not self.is_cluster:
            return await self._has_beside(prefixes, self._home)
        await self.find()
        return any([await self._has_beside(prefixes, node) for node in {node for _, _, node in self._slots}])

    async def _has_beside(self, prefixes: tuple[str, ...], node: _Node) -> bool:
        """The first page tells it of a database that is another's; ours has no more pages than keys."""
        cursor = "0"
        for _ in range(_MAX_PAGES):
            cursor, keys = await self._ask(node, "SCAN", cursor, "COUNT", _PAGE_KEYS)
            if any(not str(key).startswith(prefixes) for key in keys):
                return True
            if str(cursor) == "0":
                break
        return False

    async def close(self) -> None:
        """Disconnect. May be called twice."""
        for pipeline in self._pipelines.values():
            await pipeline.close()
        await self._client.aclose()

    async def find(self) -> None:
        """Ask who has which slots: the first node that says so. Raises as Redis answers, or doesn't."""
        error: Exception = ConnectionError("no node of the cluster is known")
        for node in dict.fromkeys((*self._nodes, self._home)):
            try:
                told = await self._ask(node, "CLUSTER", "SLOTS")
            except no_answer() as failed:
                error = failed
                continue
            self._slots = [(int(first), int(last), _node_of(owner, node)) for first, last, owner, *_ in told]
            self._nodes = [_node_of(one, node) for _, _, *nodes in told for one in nodes]
            return
        raise error

    def owner(self, slot: int) -> _Node | None:
        """Who has a slot, as far as it's known."""
        return next((node for first, last, node in self._slots if first <= slot <= last), None)

    def connection(self, node: _Node | None = None) -> "AbstractConnection":
        """One that isn't made yet; to a node, or the server at the address."""
        host, port = node or self._home
        pool = self._client.connection_pool
        return pool.connection_class(**{**pool.connection_kwargs, "host": host, "port": port})

    async def _ask(self, node: _Node, *words: Word) -> Any:
        connection = self.connection(node)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_packed_command(connection.pack_command(*words), check_health=False)
            return await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)


class _Route:
    """To whoever has one slot (implements ``pipeline.ServerRoute``)."""

    def __init__(self, servers: Servers, slot: int) -> None:
        self._servers = servers
        self._slot = slot
        self._owner: _Node | None = None

    async def connected(self) -> "AbstractConnection":
        if self._slot == _ALL:
            connection = self._servers.connection()
        else:
            if self._owner is None:
                await self._servers.find()
                self._owner = self._servers.owner(self._slot)
            connection = self._servers.connection(self._owner)
        owner, self._owner = self._owner, None  # unless it's reached
        await connection.connect()  # type: ignore[no-untyped-call]
        self._owner = owner
        return connection

    def follow(self, moved: "MovedError") -> None:
        self._owner = (moved.host, moved.port) if moved.host else None

    def fail(self) -> None:
        self._owner = None


def _node_of(told: Any, asked: _Node) -> _Node:
    """A node as another one names it; without a host it's the asked one's."""
    host, port, *_ = told
    return (str(host) if host else asked[0], int(port))


def _member(text: str, name: str) -> str:
    """Of what INFO says."""
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in lines if key == name), "")
