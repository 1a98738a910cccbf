"""A whole call whose path dies: both phones find another one through the exchange, and the sound comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sinchphone.engine.calls.call import Call
from sinchphone.gateway.options import GatewayOptions, SipSettings
from sinchphone.gateway.sip import calls as sip
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.media.webrtc.ice.agent import IceConnection
from sinchphone.protocol.call.states import State


def path_of(call: Call) -> IceConnection:
    """What the call's packets are sent over now."""
    crossing: Any = call._ports.winner
    path: IceConnection = crossing._port._path.ice
    return path


def cut_off(ice: IceConnection) -> None:
    """Nothing comes in or goes out, and nobody is told."""
    for socket in ice._protocols:
        socket.transport.sendto = lambda data, addr=None: None  # type: ignore[method-assign]
        socket.datagram_received = lambda data, addr: None  # type: ignore[method-assign]


@pytest.mark.parametrize("whose", ["caller's", "callee's"])
async def test_the_sound_comes_back_after_the_path_has_died(lines: Any, steps: Any, whose: str) -> None:
    alices_ear, alices_sound = lines.ear(440.0)
    bobs_ear, bobs_sound = lines.ear(620.0)
    alice, bob = await lines.phone("alice"), await lines.phone("bob", sound=lambda: bobs_sound)
    outgoing = await alice.call_user("bob", sound=alices_sound)
    incoming = await steps.next_call(bob)
    await incoming.answer()
    await steps.reach(outgoing, State.ESTABLISHED)
    await steps.reach(incoming, State.ESTABLISHED)
    await bobs_ear.hears(440.0)
    before = path_of(outgoing), path_of(incoming)
    lines.media.call_soon(cut_off, before[0] if whose == "caller's" else before[1])
    async with asyncio.timeout(15):
        while path_of(outgoing) is before[0] or path_of(incoming) is before[1]:
            await asyncio.sleep(0.05)
    await bobs_ear.hears(440.0)
    await alices_ear.hears(620.0)
    assert outgoing.state is State.ESTABLISHED
    assert incoming.state is State.ESTABLISHED
    await outgoing.hang_up()
    await steps.end_of(incoming)


async def test_the_exchanges_own_numbers_find_another_path_too(lines: Any, steps: Any) -> None:
    ear, sound = lines.ear(500.0)
    alice = await lines.phone("alice")
    call = await alice.call_user("echo", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(500.0)
    before = path_of(call)
    lines.media.call_soon(cut_off, before)
    async with asyncio.timeout(15):
        while path_of(call) is before:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)  # what was heard before is forgotten
    await ear.hears(500.0)
    assert call.state is State.ESTABLISHED


@pytest.fixture
async def street(tmp_path_factory: Any, media: MediaThread, lines: Any) -> AsyncIterator[tuple[Any, str]]:
    """Phones of both kinds, and where the exchange speaks SIP."""
    options = GatewayOptions(sip=SipSettings(users={"desk": "secret"}))
    async with (
        Local(tmp_path_factory.mktemp("state"), port=0, media=media, gateway=options, sip_port=0) as local,
        AsyncExitStack() as stack,
    ):
        assert local.sip_address is not None
        yield type(lines)(local, media, stack), local.sip_address


@pytest.mark.parametrize("who_calls", ["the user", "the phone"])
async def test_a_user_who_talks_to_a_sip_phone_finds_another_path_too(street: tuple[Any, str], steps: Any, who_calls: str) -> None:
    lines, at = street
    phone = await lines.sip_phone()
    ear, sound = lines.ear(440.0)
    alice = await lines.phone("alice", sound=lambda: sound)
    if who_calls == "the user":
        call = await alice.call_sip(phone.address(), sound=sound)
        theirs = await phone.answer(await phone.next_call(), 620.0)
    else:
        dialled = await phone.dial(f"sip:alice@{at}", "sip:desk@127.0.0.1", "secret")
        call = await steps.next_call(alice)
        await call.answer()
        await dialled.until(sip.SipAnswered)
        theirs = await phone.listen(dialled, 620.0)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(620.0)
    before = path_of(call)
    lines.media.call_soon(cut_off, before)
    async with asyncio.timeout(15):
        while path_of(call) is before:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)  # what was heard before is forgotten
    await ear.hears(620.0)
    await theirs.hears(440.0)
    assert call.state is State.ESTABLISHED
