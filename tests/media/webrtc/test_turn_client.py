"""The TURN client against a difficult server: nonces that get stale, peers that it doesn't relay to, credentials that it refuses."""

import asyncio
import socket
from typing import Any

import pytest
from aioice import stun

from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice import turn
from tests.media.webrtc.turn_stub import RELAYED, TurnStub, an_allocation
from tests.waiting import until

ONE, OTHER = ("203.0.113.1", 1000), ("203.0.113.2", 1000)


@pytest.mark.parametrize("times", [0, 1, 20])
async def test_a_stale_nonce_is_replaced_as_often_as_the_server_changes_it(times: int) -> None:
    stub = TurnStub(stale=times)
    async with an_allocation(stub) as (allocation, _):
        assert allocation.get_extra_info("sockname") == RELAYED
        allocation.sendto(b"one", ONE)
        allocation.sendto(b"other", OTHER)  # two requests at once
        await until(lambda: len(stub.on_channels) == 2)


async def test_a_refresh_with_a_stale_nonce_keeps_the_allocation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_SHORTEST_SECONDS", 0.02)
    stub = TurnStub(stale=3, lifetime=0)
    async with an_allocation(stub) as (allocation, heard):
        await until(lambda: stub.asked["REFRESH"] > 12)
        assert not allocation.is_closing()
        assert not heard.lost


async def test_a_server_that_wants_another_nonce_for_ever_is_given_up() -> None:
    """Attack: a server keeps us asking."""
    stub = TurnStub(stale=10_000)
    with pytest.raises(seam.TransactionError):
        async with an_allocation(stub):
            pass
    assert stub.asked["ALLOCATE"] <= turn.MAX_CHALLENGES + 1


async def test_refused_credentials_are_tried_once() -> None:
    stub = TurnStub(password="another")
    with pytest.raises(seam.TransactionError):
        async with an_allocation(stub):
            pass
    assert stub.asked["ALLOCATE"] == 2  # one to learn the realm, one to be refused


@pytest.mark.parametrize("code", [403, 443])
async def test_a_peer_that_the_server_does_not_relay_to_fails_alone_and_is_asked_for_once(code: int) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    stub = TurnStub(refused={"10.0.0.9": code})
    async with an_allocation(stub) as (allocation, heard):
        for _ in range(20):
            allocation.sendto(b"lost", ("10.0.0.9", 1))
        allocation.sendto(b"heard", ONE)
        await until(lambda: stub.on_channels)
        for _ in range(20):
            allocation.sendto(b"lost", ("10.0.0.9", 1))
        await asyncio.sleep(0.02)
        assert stub.on_channels == [b"heard"]
        assert stub.asked["CHANNEL_BIND"] == 2
        assert not allocation.is_closing()
        assert not heard.lost
    assert not faults


async def test_a_burst_to_a_new_peer_binds_one_channel_and_loses_nothing() -> None:
    stub = TurnStub()
    async with an_allocation(stub) as (allocation, _):
        packets = [bytes([number]) for number in range(8)]
        for packet in packets:
            allocation.sendto(packet, ONE)
        await until(lambda: len(stub.on_channels) == len(packets))
        assert stub.on_channels == packets
        assert stub.asked["CHANNEL_BIND"] == 1


async def test_a_channel_is_bound_anew_beside_what_is_sent_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "CHANNEL_SECONDS", 0.0)
    stub = TurnStub()
    async with an_allocation(stub) as (allocation, _):
        allocation.sendto(b"first", ONE)
        await until(lambda: stub.on_channels)
        for _ in range(5):
            allocation.sendto(b"more", ONE)
        await until(lambda: len(stub.on_channels) == 6 and stub.asked["CHANNEL_BIND"] == 2)


async def test_when_the_server_takes_it_no_longer_the_receiver_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_SHORTEST_SECONDS", 0.02)
    stub = TurnStub(lifetime=0)
    async with an_allocation(stub) as (allocation, heard):
        stub.key = b"another key"
        await until(lambda: heard.lost)
        allocation.sendto(b"nowhere", ONE)
        allocation.close()
    await asyncio.sleep(0)
    assert heard.lost == 1


async def test_closing_gives_the_address_back() -> None:
    stub = TurnStub()
    async with an_allocation(stub) as (allocation, heard):
        allocation.close()
        await until(lambda: heard.lost)
        last = stun.parse_message(stub.raw[-1])
        assert (last.message_method, last.attributes["LIFETIME"]) == (stun.Method.REFRESH, 0)


async def test_an_ipv6_relay_is_asked_for_by_its_family_inside_of_what_is_signed() -> None:
    stub = TurnStub()
    async with an_allocation(stub, family=socket.AF_INET6):
        request = stun.parse_message(stub.raw[-1])
        assert stub.raw[-1][20:28] == bytes.fromhex("0017000402000000")
        assert request.check_message_integrity(stub.key)


async def test_nonsense_from_the_server_breaks_nothing() -> None:
    stub = TurnStub()
    async with an_allocation(stub) as (allocation, heard):
        for data in (b"\x00", b"\x40\x00\xff\xff", b"\x01\x13\x00\x08" + bytes(28), b"\x01\x17\x00\x04\x21\x12\xa4\x42" + bytes(16)):
            allocation.received(data)
        assert not heard.heard
        assert not allocation.is_closing()
