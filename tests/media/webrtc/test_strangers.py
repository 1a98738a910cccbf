"""What strangers send to a WebRTC port of ours."""

import asyncio
import socket
from typing import Any

import pytest

from sinchphone.media.port import Connected, PortLost
from tests.media.webrtc.port_peers import Peer, clearest, connect, talk, two_peers


def address_of(peer: Peer) -> tuple[str, int]:
    candidate = next(each for each in peer.port._path.ice.local_candidates if each.host == "127.0.0.1")
    return candidate.host, candidate.port


async def test_datagrams_of_strangers_change_nothing() -> None:
    """Attack: anybody who knows the address sends empty, broken and forged packets of every kind."""
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            targets = [each for each in caller.port._path.ice.local_candidates if each.host == "127.0.0.1"]
            short_priority = b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x24\x00\x02ab\0\0"
            for data in (b"", b"\x00", bytes(20), short_priority, b"\x16\xfe\xfd" + bytes(40)):
                stranger.sendto(data, (targets[0].host, targets[0].port))
            for first in (0x80, 0x90, 0xBF):
                stranger.sendto(bytes([first, 111]) + bytes(200), (targets[0].host, targets[0].port))
                stranger.sendto(bytes([first, 203, 0, 1]) + bytes(40), (targets[0].host, targets[0].port))
        await talk(200, (caller, 440), (callee, 620))
        assert clearest(caller.sound, 620) > 0.95
        assert not caller.has(PortLost)


async def test_a_packet_that_is_too_long_kills_nothing_before_or_after_the_connection() -> None:
    """Attack: libsrtp's binding raises ValueError for a datagram of more than 1500 bytes."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def flood(peer: Peer) -> None:
            for first, second in ((0x80, 111), (0x80, 203)):
                stranger.sendto(bytes([first, second]) + bytes(1598), address_of(peer))

        async with two_peers() as (caller, callee):
            offer = await caller.port.offer()
            flood(caller)
            await asyncio.sleep(0.05)
            await caller.port.accept(await callee.port.answer(offer))
            flood(callee)
            await caller.wait_for(Connected)
            await callee.wait_for(Connected)
            flood(caller)
            flood(callee)
            await talk(200, (caller, 440), (callee, 620))
            assert clearest(caller.sound, 620) > 0.95
            assert not caller.has(PortLost)
    assert complaints == []


@pytest.mark.parametrize("while_connecting", [False, True])
async def test_a_forged_dtls_alert_of_a_stranger_ends_nothing(while_connecting: bool) -> None:
    """Attack: a fatal alert in the clear, from any address, ends the handshake of an endpoint that listens to everybody."""
    alert = bytes.fromhex("15fefd000000000000000000020228")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        async with two_peers() as (caller, callee):
            answer = await callee.port.answer(await caller.port.offer())
            for _ in range(20):
                for peer in (caller, callee):
                    stranger.sendto(alert, address_of(peer))
            await asyncio.sleep(0.05)
            await caller.port.accept(answer)
            for _ in range(200 if while_connecting else 0):
                for peer in (caller, callee):
                    stranger.sendto(alert, address_of(peer))
                await asyncio.sleep(0)
            await caller.wait_for(Connected)
            await callee.wait_for(Connected)
