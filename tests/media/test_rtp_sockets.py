"""Pairs of UDP sockets: even and odd, out of a range, marked for voice, and gone when closed."""

import asyncio
import socket

import pytest

from sinchphone.errors import MediaError
from sinchphone.media.network.reading import read_datagrams
from sinchphone.media.network.simulated_line import SimulatedLine
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


@pytest.mark.parametrize("bad_side", ["sender", "receiver"])
async def test_a_bad_line_loses_datagrams_both_ways_and_the_sender_knows_nothing_of_it(bad_side: str) -> None:
    arrived: asyncio.Queue[Datagram] = asyncio.Queue()
    lost = SimulatedLine(loss=1.0)
    sender = await SocketPair.open("127.0.0.1", (0, 0), ignore, lost if bad_side == "sender" else None)
    receiver = await SocketPair.open(
        "127.0.0.1", (0, 0), lambda *datagram: arrived.put_nowait(datagram), lost if bad_side == "receiver" else None
    )
    heard = await SocketPair.open("127.0.0.1", (0, 0), lambda *datagram: arrived.put_nowait(datagram))
    good = await SocketPair.open("127.0.0.1", (0, 0), ignore)
    for _ in range(20):
        assert sender.send(b"lost", Address("127.0.0.1", receiver.port), control=False)
    good.send(b"came", Address("127.0.0.1", heard.port), control=False)
    assert (await asyncio.wait_for(arrived.get(), PATIENCE))[0] == b"came"
    assert arrived.empty()
    for pair in (sender, receiver, heard, good):
        pair.close()


async def test_a_late_line_brings_every_datagram_to_the_port_that_it_was_sent_to() -> None:
    arrived: asyncio.Queue[Datagram] = asyncio.Queue()
    sender = await SocketPair.open("127.0.0.1", (0, 0), ignore, SimulatedLine(delay_s=0.02, jitter_s=0.02))
    receiver = await SocketPair.open("127.0.0.1", (0, 0), lambda *datagram: arrived.put_nowait(datagram))
    for number in range(10):
        assert sender.send(bytes([number]), Address("127.0.0.1", receiver.port + number % 2), control=bool(number % 2))
    came = [await asyncio.wait_for(arrived.get(), PATIENCE) for _ in range(10)]
    assert {(data[0], control) for data, _, control in came} == {(number, bool(number % 2)) for number in range(10)}
    assert {source.port for _, source, _ in came} == {sender.port, sender.port + 1}
    sender.close()
    receiver.close()


async def test_a_socket_makes_no_room_for_more_than_a_packet() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    read_datagrams(transport)
    assert 1500 < getattr(transport, "max_size", 2048) <= 16_384
    transport.close()
