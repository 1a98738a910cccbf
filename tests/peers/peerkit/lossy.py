"""Bad weather for SIP over UDP: a relay in front of one address that loses some of what goes through it, by a seeded lot.

As a proxy that record-routes would, it stays in the way of the whole call: in what passes through, either side's address is replaced by
the relay's own. (All ports have five digits, so that no length changes.)
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any, TypeVar

from sinchphone.tasks import start_task
from tests.peers.peerkit.programs import HOST
from tests.suite.ports import free_ports

AnyRelay = TypeVar("AnyRelay", bound="Relay")


class Relay(asyncio.DatagramProtocol):
    """Stands in front of the port ``target``: each source gets a socket of its own towards it, so that answers find their way back."""

    def __init__(self, port: int, target: int, loses: Callable[[bytes], bool], *, renames: bool) -> None:
        self.port = port
        self.target = target
        self.lost = 0
        self.passed = 0
        self._loses = loses
        self._renames = renames
        self._towards: dict[int, _Towards] = {}

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.carry(data, lambda: start_task(self._forward(data, addr[1]), name="lossy relay"))

    def carry(self, data: bytes, send: Callable[[], object]) -> None:
        """Send it on, or don't."""
        if self._loses(data):
            self.lost += 1
            return
        self.passed += 1
        send()

    def renamed(self, data: bytes, ports: dict[int, int]) -> bytes:
        """Other ports of loopback in the headers; a port in a description is left alone (it has no colon before it)."""
        for before, after in ports.items() if self._renames else ():
            data = data.replace(f"{HOST}:{before}".encode(), f"{HOST}:{after}".encode())
            data = data.replace(f"rport={before}".encode(), f"rport={after}".encode())
        return data

    def back(self, data: bytes, source: int) -> None:
        self._transport.sendto(data, (HOST, source))

    async def _forward(self, data: bytes, source: int) -> None:
        towards = self._towards.get(source)
        if towards is None:
            towards = self._towards[source] = _Towards(self, source, free_ports(1))
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: towards, local_addr=(HOST, towards.port))
        await towards.ready.wait()
        towards.transport.sendto(self.renamed(data, {source: towards.port, self.port: self.target}), (HOST, self.target))

    def close(self) -> None:
        self._transport.close()
        for towards in self._towards.values():
            if towards.ready.is_set():
                towards.transport.close()


class _Towards(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, source: int, port: int) -> None:
        self.port = port
        self.ready = asyncio.Event()
        self._relay = relay
        self._source = source

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ready.set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        renamed = self._relay.renamed(data, {self._relay.target: self._relay.port, self.port: self._source})
        self._relay.carry(data, lambda: self._relay.back(renamed, self._source))


@contextlib.asynccontextmanager
async def lossy(port: int, share: float, seed: int, *, renames: bool = True) -> AsyncIterator[Relay]:
    """A relay that leads to ``port`` and loses ``share`` of the datagrams (the same one three times in a row at most)."""
    lot = Random(seed)
    row: dict[bytes, int] = {}

    def loses(data: bytes) -> bool:
        lost = lot.random() < share and row.get(data, 0) < 3
        row[data] = row.get(data, 0) + 1 if lost else 0
        return lost

    async with placed(lambda own: Relay(own, port, loses, renames=renames)) as relay:
        yield relay


@contextlib.asynccontextmanager
async def placed(make: Callable[[int], AnyRelay]) -> AsyncIterator[AnyRelay]:
    """The relay that is made for a port, at that port."""
    own = free_ports(1)
    _, relay = await asyncio.get_running_loop().create_datagram_endpoint(lambda: make(own), local_addr=(HOST, own))
    try:
        yield relay
    finally:
        relay.close()
