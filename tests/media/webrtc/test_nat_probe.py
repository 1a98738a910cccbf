"""What is seen of the network: STUN servers of the test say where we come from, as NATs of each kind would have it."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aioice import stun

from sinchphone.exchange.tls import issue
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.webrtc.ice import nat_probe
from sinchphone.media.webrtc.ice.nat_probe import NatKind, probe_network
from tests.media.webrtc import coturn
from tests.media.webrtc.coturn import PASSWORD, USER, a_turn_server

Mapped = tuple[str, int] | None
OUTSIDE, ELSEWHERE = ("198.51.100.7", 40_000), ("198.51.100.7", 40_001)


class Seer(asyncio.DatagramProtocol):
    """Says that the request comes from ``mapped``, or from where it comes; ``other``: its other address."""

    def __init__(self, mapped: Mapped, other: Mapped = None) -> None:
        self._mapped = mapped
        self._other = other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        request = stun.parse_message(data)
        response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = self._mapped or addr
        if self._other is not None:
            response.attributes["OTHER-ADDRESS"] = self._other
        self._transport.sendto(bytes(response), addr)


def _same(seer: Seer) -> Seer:
    return seer


@asynccontextmanager
async def seers(*makes: Seer) -> AsyncIterator[IceServer]:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        urls = []
        for made in makes:
            transport, _ = await loop.create_datagram_endpoint(partial(_same, made), local_addr=("127.0.0.1", 0))
            stack.callback(transport.close)
            urls.append(f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}")
        yield IceServer(urls=tuple(urls))


class Garbler(Seer):
    """Sends, before its answer, one whose software has a length that isn't right."""

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        broken = data[:2] + b"\0\x08" + data[4:20] + b"\0\x24\0\2ab\0\0"  # PRIORITY with two bytes
        self._transport.sendto(broken, addr)
        super().datagram_received(data, addr)


async def test_an_answer_that_can_not_be_read_is_dropped() -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with seers(Garbler(OUTSIDE)) as server:
        assert (await probe_network([server])).seen_as == (OUTSIDE[0],)
    assert failures == []


@pytest.mark.parametrize(
    ("mapped", "kind"),
    [
        ((None, None), NatKind.NONE),
        ((OUTSIDE, OUTSIDE), NatKind.SAME_MAPPING),
        ((OUTSIDE, ELSEWHERE), NatKind.SYMMETRIC),
        ((OUTSIDE,), NatKind.UNKNOWN),
    ],
)
async def test_the_nat_is_known_by_what_two_servers_see(mapped: tuple[Mapped, ...], kind: NatKind) -> None:
    async with seers(*map(Seer, mapped)) as servers:
        report = await probe_network([servers])
    assert report.nat is kind
    assert report.seen_as == (("127.0.0.1",) if mapped[0] is None else ("198.51.100.7",))
    assert all(not one.why_not for one in report.servers)


@pytest.mark.parametrize(("second", "kind"), [(OUTSIDE, NatKind.SAME_MAPPING), (ELSEWHERE, NatKind.SYMMETRIC)])
async def test_one_server_with_another_address_is_enough(second: tuple[str, int], kind: NatKind) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Seer(second), local_addr=("127.0.0.2", 0))
    try:
        async with seers(Seer(OUTSIDE, transport.get_extra_info("sockname"))) as servers:
            assert (await probe_network([servers])).nat is kind
    finally:
        transport.close()


async def test_blocked_udp_is_said_and_each_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nat_probe, "PROBE_SECONDS", 0.3)

    class Silent(Seer):
        def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
            pass

    async with seers(Silent(None), Silent(None)) as servers:
        report = await probe_network([servers])
    assert report.nat is NatKind.BLOCKED
    assert [one.why_not for one in report.servers] == ["didn't answer"] * 2


@pytest.mark.skipif(not coturn.is_there(), reason=coturn.MISSING)
async def test_turn_servers_are_used_as_calls_use_them(tmp_path: Path) -> None:
    issued = issue(tmp_path, "127.0.0.1", datetime.datetime.now(datetime.UTC))
    async with a_turn_server(tmp_path, issued) as turn:
        urls = tuple(turn.url(way) for way in ("udp", "tcp", "tls"))
        good = await probe_network([IceServer(urls=urls, username=USER, credential=PASSWORD)], issued.authority)
        bad = await probe_network([IceServer(urls=urls, username=USER, credential="wrong")])
    assert [(one.server.way, one.why_not) for one in good.servers] == [("udp", ""), ("tcp", ""), ("tls", "")]
    assert [one.why_not for one in bad.servers][:2] == ["refused the credentials"] * 2
    assert bad.servers[2].why_not.startswith("can't be trusted: ")  # without ca_file
    assert good.nat is NatKind.NONE
