"""A Redis Cluster as the store: three nodes of the tests' own; each application is at the node that has its slot, wherever that goes."""

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis import Redis
from redis.crc import key_slot

from sinchphone.exchange.options import StoreAddress
from sinchphone.exchange.store.redis.connection import key_of
from sinchphone.exchange.store.store import StoreError
from sinchphone.tasks import start_task
from tests.exchange.conftest import SECRETS, LegacyPhone, Phone
from tests.exchange.shared.conftest import Join, RedisServer, need_redis

SLOTS = ((0, 5461), (5462, 12_000), (12_001, 16383))
LIMIT_S = 30.0


@dataclass
class ClusterOfThree:
    """Nodes without replicas; the first one has no key of ours."""

    servers: list[RedisServer]
    buses: list[int]

    def __post_init__(self) -> None:
        self.nodes = [Redis(port=one.port, decode_responses=True) for one in self.servers]
        for number in range(len(self.nodes)):
            self.tell(number, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            self.tell(number, "CLUSTER", "ADDSLOTSRANGE", *SLOTS[number])
            self.tell(0, "CLUSTER", "MEET", "127.0.0.1", self.servers[number].port, self.buses[number])
        until = time.monotonic() + LIMIT_S
        while any("cluster_state:ok" not in str(self.tell(number, "CLUSTER", "INFO")) for number in range(3)):
            assert time.monotonic() < until, "the cluster doesn't come up"
            time.sleep(0.02)
        self.ids = [str(self.tell(number, "CLUSTER", "MYID")) for number in range(3)]

    def tell(self, number: int, *words: Any) -> Any:
        return self.nodes[number].execute_command(*words)  # type: ignore[no-untyped-call]

    def address(self, number: int) -> StoreAddress:
        return self.servers[number].address

    def owner(self, application: str) -> int:
        """Who has an application's slot, as the nodes themselves say."""
        slot = key_slot(key_of(application, "").encode())
        told: Any = self.tell(0, "CLUSTER", "SLOTS")
        ports = [owner[1] for first, last, owner, *_ in told if first <= slot <= last]
        return [one.port for one in self.servers].index(ports[0])

    def move(self, application: str, target: int) -> None:
        """Have another node take an application's slot over, with all that is in it."""
        slot, source = key_slot(key_of(application, "").encode()), self.owner(application)
        self.tell(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        self.tell(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[target])
        while keys := self.tell(source, "CLUSTER", "GETKEYSINSLOT", slot, 1000):
            self.tell(source, "MIGRATE", "127.0.0.1", self.servers[target].port, "", 0, 5000, "KEYS", *keys)
        for number in (target, source, 3 - target - source):
            self.tell(number, "CLUSTER", "SETSLOT", slot, "NODE", self.ids[target])

    def empty(self) -> None:
        for number in range(3):
            self.tell(number, "FLUSHALL")

    def close(self) -> None:
        for node, server in zip(self.nodes, self.servers, strict=True):
            node.close()
            server.kill()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterOfThree]:
    need_redis()
    servers, buses = [], []
    for number in range(3):
        folder: Path = tmp_path_factory.mktemp(f"node-{number}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            buses.append(int(free.getsockname()[1]))
        servers.append(RedisServer(folder))
        servers[-1].start("--cluster-enabled", "yes", "--cluster-port", str(buses[-1]), "--cluster-node-timeout", "1000")
    cluster = ClusterOfThree(servers, buses)
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(made: ClusterOfThree) -> ClusterOfThree:
    made.empty()
    return made


async def test_processes_that_ask_different_nodes_are_one_exchange_with_applications_in_different_slots(
    cluster: ClusterOfThree, join: Join, http: aiohttp.ClientSession
) -> None:
    assert cluster.owner("acme") != cluster.owner("globex"), "else this shows less"
    first, second = [await join(cluster.address(number), applications=SECRETS) for number in (0, 1)]
    for application in SECRETS:
        ada = await Phone(http, first.url, "ada", application=application).registered()
        bob = await Phone(http, second.url, "bob", application=application).registered()
        token = (await bob.subscribe("broadcast"))["t"]["t"]
        answers = await asyncio.gather(*(replace(ada, url=one.url).call("bob", call_id="call-1") for one in (first, second)))
        assert sorted(answer.status for answer in answers)[1:] in ([409], [429]), "a call id is taken once"
        assert (await bob.subscribe("broadcast", token))["m"], "the INVITE got there"
    assert first._shared is not None and first._shared._servers.is_cluster


async def test_a_poll_is_woken_and_messages_are_kept_wherever_the_slot_goes_meanwhile(
    cluster: ClusterOfThree, join: Join, http: aiohttp.ClientSession
) -> None:
    first, second = await join(cluster.address(0)), await join(cluster.address(1))
    ada, bob = await LegacyPhone(http, first.url, "ada").started(), await LegacyPhone(http, second.url, "bob").started()
    _, token = await bob.poll()
    for number in range(3):
        waiting = start_task(bob.poll(token), name="poll")
        await asyncio.sleep(0.05)
        await asyncio.to_thread(cluster.move, "acme", (cluster.owner("acme") + 1) % 3)
        frame = await eventually(ada, f"message {number}")
        async with asyncio.timeout(LIMIT_S):
            came, token = await waiting
            while not came:
                came, token = await bob.poll(token)
        assert came == [frame]
    for exchange in (first, second):
        assert exchange._shared is not None
        await exchange._shared.catch_up()
        assert len(exchange.directory.application("acme").users) == 2  # type: ignore[union-attr]


async def eventually(ada: LegacyPhone, text: str) -> str:
    """While the slot was on its way a request may have been answered with 503."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await ada.write_to("bob", text=text)
            except (AssertionError, KeyError):
                await asyncio.sleep(0.1)


async def test_a_cluster_where_a_node_is_not_heard_of_any_more_is_looked_at_from_another(
    cluster: ClusterOfThree, join: Join, http: aiohttp.ClientSession
) -> None:
    """All connections end, nobody is known to have the slot, and nobody listens at the address that the exchange was given."""
    exchange = await join(cluster.address(0))
    store = exchange._shared
    assert store is not None
    servers = store._servers
    servers._home = ("127.0.0.1", 1)
    servers._nodes.insert(0, servers._home)
    for pipeline in servers._pipelines.values():
        pipeline._route.fail()
        await pipeline._disconnect()
    phone = Phone(http, exchange.url, "ada")
    async with asyncio.timeout(LIMIT_S):
        while (await phone.send_registration(phone.token())).status != 200:
            await asyncio.sleep(0.05)


async def test_a_database_of_a_cluster_that_has_something_else_or_a_number_is_refused(cluster: ClusterOfThree, join: Join) -> None:
    with pytest.raises(StoreError, match="a Redis Cluster, which has no database but 0"):
        await join(StoreAddress(str(cluster.address(0)).removesuffix("0") + "3"))
    other = next(number for number in range(3) if number != cluster.owner("acme"))
    key = next(f"somebody-{n}" for n in range(1000) if SLOTS[other][0] <= key_slot(f"somebody-{n}".encode()) <= SLOTS[other][1])
    cluster.tell(other, "SET", key, "theirs")
    with pytest.raises(StoreError, match="the database isn't empty"):
        await join(cluster.address((other + 1) % 3))
