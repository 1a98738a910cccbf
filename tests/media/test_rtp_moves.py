"""A stream that goes on from somewhere else, at sockets: a NAT gave the phone another port, or another network gave it another address."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from sinchphone.audio.stream_watch import PAUSE_SECONDS
from sinchphone.media.port import FirstPacket
from sinchphone.media.rtp.secure import SrtpSender, new_keys
from sinchphone.protocol.rtp.packet import RtpPacket, decode_packet, encode_packet
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sdp.session_description import Crypto
from tests.media.test_rtp_port import HERE, PATIENCE, Peer, Phone, a_phone, port_of, talk, two_peers

STOPPED_S = PAUSE_SECONDS + 0.2
SSRC = 5


class SecurePhone(Phone):
    """A socket of a phone that encrypts; sockets of one phone share their key and numbers."""

    def __init__(self, address: str = "127.0.0.1", *, other: "SecurePhone | None" = None) -> None:
        super().__init__(address)
        self.key: Crypto = other.key if other is not None else new_keys()[0]
        self.numbers: list[int] = other.numbers if other is not None else [100]
        self.sender: SrtpSender = other.sender if other is not None else SrtpSender(self.key)

    def describe(self, kind: str = "offer", extra: str = "", *, address: str | None = None, port: int | None = None) -> Description:
        plain = super().describe(kind, f"a=crypto:{self.key}\r\n{extra}", address=address, port=port)
        return Description(plain.type, plain.sdp.replace("RTP/AVP", "RTP/SAVP"))

    def next_packet(self) -> bytes:
        self.numbers[0] += 1
        packet = self.sender.protect(encode_packet(RtpPacket(0, self.numbers[0], self.numbers[0] * 160, SSRC, bytes(160))), control=False)
        assert packet is not None
        return packet

    def say(self, to: int) -> bytes:
        packet = self.next_packet()
        self.send_raw(to, packet)
        return packet


@pytest.fixture
async def port() -> AsyncIterator[Peer]:
    async with two_peers() as (one, _):
        yield one


@pytest.fixture
async def secure() -> AsyncIterator[Peer]:
    async with two_peers(replace(HERE, srtp=True)) as (one, _):
        yield one


async def received(peer: Peer) -> int:
    return (await peer.port.stats()).packets_received


async def until_received(peer: Peer, count: int, again: Callable[[], object]) -> None:
    """Over loopback nothing is lost, but it takes a moment."""
    async with asyncio.timeout(PATIENCE):
        while await received(peer) < count:
            again()
            await asyncio.sleep(0.05)


async def hears_us(peer: Peer, phone: Phone) -> bool:
    phone.received()
    await talk(5, (peer, 440))
    await asyncio.sleep(0.1)
    return any(len(data) > 160 for data in phone.received())


async def begin(peer: Peer, phone: Phone, say: Callable[[int], object]) -> int:
    """The phone's stream runs; where it goes."""
    to = port_of(await peer.port.answer(phone.describe()))
    say(to)
    await peer.wait_for(lambda event: isinstance(event, FirstPacket))
    return to


async def test_a_stream_that_goes_on_from_another_port_is_heard_and_answered_there(port: Peer) -> None:
    async with a_phone() as phone, a_phone() as moved:
        to = await begin(port, phone, phone.send)
        assert await hears_us(port, phone)
        await asyncio.sleep(STOPPED_S)
        moved.sequence = phone.sequence
        await until_received(port, 2, lambda: moved.send(to))
        assert await hears_us(port, moved)
        assert not await hears_us(port, phone)


async def test_attack_a_neighbour_that_does_not_know_the_numbers_or_speaks_while_the_stream_runs_gets_nothing(port: Peer) -> None:
    async with a_phone() as phone, a_phone() as neighbour, a_phone("127.0.0.9") as stranger:
        to = await begin(port, phone, phone.send)
        neighbour.sequence = stranger.sequence = phone.sequence
        for _ in range(5):
            neighbour.send(to)
            phone.send(to)
            await asyncio.sleep(0.02)
        assert await received(port) == 6
        await asyncio.sleep(STOPPED_S)
        stranger.send(to)  # the right numbers, from another host
        neighbour.sequence += 30_000
        neighbour.send(to)
        neighbour.send(to, ssrc=SSRC + 1)
        assert await hears_us(port, phone)
        assert not await hears_us(port, neighbour)
        assert not await hears_us(port, stranger)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9"])
async def test_an_encrypted_stream_that_has_stopped_goes_on_from_any_host(secure: Peer, host: str) -> None:
    phone = SecurePhone()
    moved = SecurePhone(host, other=phone)
    to = await begin(secure, phone, phone.say)
    assert await hears_us(secure, phone)
    await asyncio.sleep(STOPPED_S)
    await until_received(secure, 2, lambda: moved.say(to))
    assert await hears_us(secure, moved)
    assert not await hears_us(secure, phone)
    phone.close()
    moved.close()


async def test_an_encrypted_stream_that_runs_stays_where_it_is(secure: Peer) -> None:
    phone = SecurePhone()
    other = SecurePhone("127.0.0.9", other=phone)
    to = await begin(secure, phone, phone.say)
    for _ in range(5):
        phone.say(to)
        other.send_raw(to, phone.next_packet())
        await asyncio.sleep(0.02)
    assert await received(secure) == 6
    assert not await hears_us(secure, other)
    phone.close()
    other.close()


async def test_attack_who_has_no_key_or_repeats_what_was_overheard_gets_no_stream(secure: Peer) -> None:
    phone, stranger = SecurePhone(), SecurePhone("127.0.0.9")
    to = await begin(secure, phone, phone.say)
    overheard = [phone.say(to) for _ in range(5)]
    await until_received(secure, 6, lambda: None)
    await asyncio.sleep(STOPPED_S)
    for packet in overheard:
        stranger.send_raw(to, packet)
    for _ in range(5):
        stranger.say(to)
        stranger.send(to)
    assert await hears_us(secure, phone)
    assert not await hears_us(secure, stranger)
    assert await received(secure) == 6
    phone.close()
    stranger.close()


async def test_where_a_stream_moved_to_its_own_numbers_go_on(secure: Peer) -> None:
    phone = SecurePhone()
    moved = SecurePhone("127.0.0.9", other=phone)
    to = await begin(secure, phone, phone.say)
    await asyncio.sleep(STOPPED_S)
    await until_received(secure, 2, lambda: moved.say(to))
    moved.received()
    await talk(3, (secure, 440))
    packet = decode_packet(await moved.receive())
    assert packet is not None
    assert (await secure.port.stats()).packets_lost == 0
    phone.close()
    moved.close()
