"""Outages that end: the consent runs out and comes back, and the call with it. Clocks are shortened, the link is cut at the sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sinchphone.media.port import PortLost
from sinchphone.media.webrtc.ice import agent, path_life, path_watch
from sinchphone.media.webrtc.port import WebRtcPort
from tests.media.webrtc.webrtc_parties import Party, a_call, hear, share_of
from tests.waiting import until


@asynccontextmanager
async def no_link(*ports: WebRtcPort) -> AsyncIterator[None]:
    """Nothing comes in or goes out, and nobody is told."""
    sockets: list[Any] = [each for port in ports for each in port._path.ice._protocols]
    kept = [(each, each.transport.sendto, each.datagram_received) for each in sockets]
    for each in sockets:
        each.transport.sendto = lambda data, addr=None: None
        each.datagram_received = lambda data, addr: None
    try:
        yield
    finally:
        for each, send, receive in kept:
            each.transport.sendto, each.datagram_received = send, receive


async def hear_tone(party: Party, hz: float) -> None:
    """Until a whole second of that tone was heard: a machine that is busy has no sound at first."""
    for _ in range(10):
        if (share := share_of(await hear(party, 1.0), hz)) > 0.95:
            return
    pytest.fail(f"the tone of {hz:g} Hz is {share:.2f} of what was heard")


async def sent_by(party: Party) -> int:
    return (await party.port.stats()).packets_sent


async def test_without_consent_nothing_is_sent_and_with_it_the_call_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty seconds are one here, and ninety five: the call lives, nothing is sent, and the sound comes back by itself."""
    monkeypatch.setattr(path_life, "CONSENT_SECONDS", 2.5)
    monkeypatch.setattr(agent, "_CONSENT_SURE_SECONDS", 0.5)
    monkeypatch.setattr(path_watch, "MAX_ATTEMPTS", 0)  # signaling is cut off too
    async with a_call() as (caller, callee):
        await hear_tone(callee, 440)
        async with no_link(caller.port, callee.port):
            await until(lambda: caller.port._expired and callee.port._expired)
            counts = await sent_by(caller), await sent_by(callee)
            await asyncio.sleep(1.0)
            assert counts == (await sent_by(caller), await sent_by(callee)), "RFC 7675 5.1"
        await until(lambda: not caller.port._expired and not callee.port._expired)
        for party, hz in ((callee, 440), (caller, 620)):
            await hear_tone(party, hz)
        assert not caller.has(PortLost)
        assert not callee.has(PortLost)


async def test_a_machine_that_slept_longer_than_its_patience_waits_for_the_peer_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps, as it does for a process that was stopped; the peer, which was there all the time, is heard at once."""
    from sinchphone.media.webrtc import port as webrtc

    ahead = 0.0
    monkeypatch.setattr(webrtc, "waking_time", lambda: path_life.waking_time() + ahead)
    async with a_call() as (caller, callee):
        await hear(callee, 0.5)
        ahead = 600.0
        await asyncio.sleep(2.5)
        assert share_of(await hear(callee, 1.0), 440) > 0.95
        assert not caller.has(PortLost)
        assert not callee.has(PortLost)
