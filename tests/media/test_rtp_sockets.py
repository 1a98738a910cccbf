"""Pairs of UDP sockets: even and odd, out of a range, marked for voice, and gone when closed."""

import asyncio
import socket

import pytest

from sinchphone.errors import MediaError
from sinchphone.media.rtp.sockets import SocketPair
from sinchphone.media.rtp.source_latch import Address

PATIENCE = 10.0
Datagram = tuple[bytes, Address, bool]


def ignore(data: bytes, source: Address, control: bool) -> None:
    """Nobody listens."""


def free_range(pairs: int) -> tuple[int, int]:
    """A range of ports that is free now."""
    for first in range(42_000, 60_000, 2 * pairs):
        held = []
        try:
            for port in range(first, first + 2 * pairs):
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[-1].bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for each in held:
                each.close()
        return first, first + 2 * pairs - 1
    raise AssertionError("no free ports")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
async def test_rtp_is_even_and_rtcp_the_next_and_both_receive(host: str) -> None:
    arrived: asyncio.Queue[Datagram] = asyncio.Queue()
    pair = await SocketPair.open(host, (0, 0), lambda *datagram: arrived.put_nowait(datagram))
    here = "::1" if host == "::1" else "127.0.0.1"
    other = await SocketPair.open(here, (0, 0), ignore)
    try:
        assert pair.port % 2 == 0
        assert other.send(b"sound", Address(here, pair.port), control=False)
        assert await asyncio.wait_for(arrived.get(), PATIENCE) == (b"sound", Address(here, other.port), False)
        assert other.send(b"report", Address(here, pair.port + 1), control=True)
        assert await asyncio.wait_for(arrived.get(), PATIENCE) == (b"report", Address(here, other.port + 1), True)
        assert pair.send(b"back", Address(here, other.port), control=False)
    finally:
        pair.close()
        other.close()


async def test_packets_are_marked_as_voice() -> None:
    """DSCP EF (RFC 4594 4.1), as far as the system lets us."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        listener.setblocking(False)
        pair = await SocketPair.open("127.0.0.1", (0, 0), ignore)
        try:
            pair.send(b"x", Address("127.0.0.1", listener.getsockname()[1]), control=False)
            ready = asyncio.Event()
            asyncio.get_running_loop().add_reader(listener, ready.set)
            await asyncio.wait_for(ready.wait(), PATIENCE)
            asyncio.get_running_loop().remove_reader(listener)
            _, ancillary, _, _ = listener.recvmsg(10, 100)
            assert [data for _, kind, data in ancillary if kind == socket.IP_TOS] == [bytes([46 << 2])]
        finally:
            pair.close()


async def test_a_range_is_used_to_its_end_and_then_refuses_with_a_hint() -> None:
    first, last = free_range(3)
    pairs = [await SocketPair.open("127.0.0.1", (first, last), ignore) for _ in range(3)]
    try:
        assert sorted(pair.port for pair in pairs) == [first, first + 2, first + 4]
        with pytest.raises(MediaError, match=f"{first} to {last}") as refused:
            await SocketPair.open("127.0.0.1", (first, last), ignore)
        assert refused.value.hint
        pairs.pop().close()
        await asyncio.sleep(0)
        pairs.append(await SocketPair.open("127.0.0.1", (first, last), ignore))
    finally:
        for pair in pairs:
            pair.close()


async def test_a_pair_whose_second_port_is_taken_is_not_used() -> None:
    first, last = free_range(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first + 1))
        pair = await SocketPair.open("127.0.0.1", (first, last), ignore)
        assert pair.port == first + 2
        pair.close()


@pytest.mark.parametrize(("host", "port_range"), [("203.0.113.1", (0, 0)), ("127.0.0.1", (40_001, 40_001)), ("nonsense", (0, 0))])
async def test_an_address_or_a_range_that_can_not_be_used_is_refused(host: str, port_range: tuple[int, int]) -> None:
    with pytest.raises(MediaError):
        await SocketPair.open(host, port_range, ignore)


async def test_after_the_end_nothing_is_sent_and_the_ports_are_free() -> None:
    pair = await SocketPair.open("127.0.0.1", (0, 0), ignore)
    pair.close()
    pair.close()
    assert not pair.send(b"x", Address("127.0.0.1", 9), control=False)
    await asyncio.sleep(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", pair.port))
