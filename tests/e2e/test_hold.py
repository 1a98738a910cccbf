"""Hold between users, and between a user and a SIP phone, both ways: who is held hears music or silence, and each side knows of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sinchphone.audio.tones.signals import HOLD
from sinchphone.engine.calls.call import Call
from sinchphone.engine.calls.hold import Held, HoldEvent, Resumed
from sinchphone.engine.calls.media.monitor import QualityTriggered
from sinchphone.errors import LocalProtocolError
from sinchphone.gateway.sip.calls import SipReoffered
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.tasks import start_task
from tests.instruments import dominant_hz

LIMIT_S = 20.0
BY_US, BY_PEER = Held(by_us=True), Held(by_us=False)
BACK_BY_US, BACK_BY_PEER = Resumed(by_us=True), Resumed(by_us=False)


class Told:
    """What a call told of holds, and what was wrong with its sound."""

    def __init__(self, call: Call) -> None:
        self.holds: list[HoldEvent] = []
        self.warnings: list[str] = []
        self.task = start_task(self._read(call), name="read")

    async def _read(self, call: Call) -> None:
        async for event in call.events():
            if isinstance(event, Held | Resumed):
                self.holds.append(event)
            elif isinstance(event, QualityTriggered):
                self.warnings.append(event.name)

    async def are(self, *wanted: HoldEvent) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.holds != list(wanted):
                await asyncio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.05)


def is_silent(ear: Any, seconds: float = 0.5) -> bool:
    heard = ear.last(seconds)
    return len(heard) > 0 and int(abs(heard.astype(int)).max()) < 32  # a codec's rest of a sound is no sound


def hears_music(ear: Any) -> bool:
    """Whether what was heard last is a note of the music, or its octave, and nobody's tone."""
    heard = dominant_hz(ear.last(0.3))
    notes = {hz for segment in HOLD.segments for hz in segment.hertz}
    return heard is not None and any(abs(heard / note - 1) < 0.01 for note in notes) and ear.share(620.0, 0.3) < 0.01


class Pair:
    """Two users who talk: alice says 620 Hz, bob 700 Hz."""

    def __init__(self, alice: Call, bob: Call, alice_ear: Any, bob_ear: Any) -> None:
        self.alice, self.bob, self.alice_ear, self.bob_ear = alice, bob, alice_ear, bob_ear
        self.alice_told, self.bob_told = Told(alice), Told(bob)


@pytest.fixture
async def pair(lines: Any, steps: Any) -> AsyncIterator[Pair]:
    bob_ear, bob_sound = lines.ear(700.0)
    alice_ear, alice_sound = lines.ear(620.0)
    alice, bob = await lines.phone("alice"), await lines.phone("bob", sound=lambda: bob_sound)
    outgoing = await alice.call_user("bob", sound=alice_sound)
    incoming = await steps.next_call(bob)
    await incoming.answer()
    for call in (outgoing, incoming):
        await steps.reach(call, State.ESTABLISHED)
    await alice_ear.hears(700.0)
    await bob_ear.hears(620.0)
    yield Pair(outgoing, incoming, alice_ear, bob_ear)
    assert outgoing.state is State.ESTABLISHED
    await outgoing.hang_up()


async def test_who_is_held_hears_music_and_is_not_heard_until_resumed(pair: Pair) -> None:
    await pair.alice.hold()
    await pair.alice_told.are(BY_US)
    await pair.bob_told.are(BY_PEER)
    assert (pair.alice.held_by_us, pair.bob.held_by_peer, pair.alice.held_by_peer) == (True, True, False)
    await until(lambda: hears_music(pair.bob_ear))
    await until(lambda: is_silent(pair.alice_ear))
    await pair.alice.resume()
    await pair.alice_told.are(BY_US, BACK_BY_US)
    await pair.bob_told.are(BY_PEER, BACK_BY_PEER)
    await pair.alice_ear.hears(700.0)
    await pair.bob_ear.hears(620.0)
    assert not pair.alice_told.warnings + pair.bob_told.warnings


async def test_silence_can_be_had_in_place_of_music(pair: Pair) -> None:
    await pair.bob.hold(music=False)
    await pair.alice_told.are(BY_PEER)
    await until(lambda: is_silent(pair.alice_ear))
    await pair.bob.resume()
    await pair.alice_ear.hears(700.0)


async def test_both_hold_and_only_when_both_resume_do_they_talk(pair: Pair) -> None:
    await pair.alice.hold()
    await pair.bob_told.are(BY_PEER)
    await pair.bob.hold()
    await pair.alice_told.are(BY_US, BY_PEER)
    await until(lambda: is_silent(pair.alice_ear) and is_silent(pair.bob_ear))
    await pair.alice.resume()
    await pair.bob_told.are(BY_PEER, BY_US, BACK_BY_PEER)
    assert pair.alice.held_by_peer
    await until(lambda: hears_music(pair.alice_ear))
    await pair.bob.resume()
    await pair.alice_told.are(BY_US, BY_PEER, BACK_BY_US, BACK_BY_PEER)
    await pair.alice_ear.hears(700.0)
    await pair.bob_ear.hears(620.0)


async def test_who_hold_at_the_same_time_agree_on_it(pair: Pair) -> None:
    await asyncio.gather(pair.alice.hold(), pair.bob.hold())
    await until(lambda: pair.alice.held_by_peer and pair.bob.held_by_peer)
    await until(lambda: is_silent(pair.alice_ear) and is_silent(pair.bob_ear))
    await asyncio.gather(pair.alice.resume(), pair.bob.resume())
    await until(lambda: not pair.alice.held_by_peer and not pair.bob.held_by_peer)
    await pair.alice_ear.hears(700.0)
    await pair.bob_ear.hears(620.0)


async def test_a_call_that_only_rings_cannot_be_held(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    call = await alice.call_user("bob")
    await steps.next_call(bob)
    with pytest.raises(LocalProtocolError, match="established"):
        await call.hold()


async def test_who_holds_a_room_disturbs_it_with_no_music(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    ear, sound = lines.ear(700.0)
    first = await alice.call_conference("standup", sound=lines.ear(620.0)[1])
    second = await bob.call_conference("standup", sound=sound)
    await steps.reach(first, State.ESTABLISHED)
    await steps.reach(second, State.ESTABLISHED)
    await ear.hears(620.0)
    await first.hold()
    await until(lambda: is_silent(ear))


class PhoneThatAgrees:
    """A SIP phone in a call that answers what the exchange offers anew, unless it refuses, and remembers who may hear whom."""

    def __init__(self, call: Any, *, refuses: bool = False) -> None:
        self.call = call
        self.directions: list[str] = []
        self.holds = False
        self._refuses = refuses
        self.task = start_task(self._agree(), name="agree")

    async def _agree(self) -> None:
        answered = 0
        while True:
            offers = [event for event in self.call.events if isinstance(event, SipReoffered)]
            for offer in offers[answered:]:
                answered += 1
                await self._answer(offer.sdp)
            self.call.changed.clear()
            await self.call.changed.wait()

    async def _answer(self, sdp: str | None) -> None:
        assert sdp is not None
        if self._refuses:
            self.directions.append("refused")
            await self.call.sip.refuse_reoffer(488)
            return
        own = "sendonly" if self.holds else "sendrecv"
        answer = await self.call.port.reanswer(Description("offer", sdp), direction=own)
        await self.call.sip.answer_reoffer(answer.sdp)
        self.directions.append(self.call.port.direction)

    async def holds_now(self, held: bool) -> str:
        self.holds = held
        offer = await self.call.port.reoffer(direction="sendonly" if held else "sendrecv")
        await self.call.port.accept(Description("answer", await self.call.sip.reoffer(offer.sdp)))
        return str(self.call.port.direction)


class Desk:
    """A user who talks to a SIP phone: alice says 620 Hz, the phone 700 Hz."""

    def __init__(self, call: Call, ear: Any, phone: PhoneThatAgrees, phone_ear: Any) -> None:
        self.call, self.ear, self.phone, self.phone_ear = call, ear, phone, phone_ear
        self.told = Told(call)


@pytest.fixture
async def desk(sip_exchange: Any, steps: Any) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def opened(*, phone_calls: bool = False, refuses: bool = False) -> Desk:
            street = await sip_exchange("desk")
            ear, sound = street.lines.ear(620.0)
            alice = await street.terminal("alice", sound=lambda: sound)
            if phone_calls:
                there = await street.dial("desk", "alice")
                call = await steps.next_call(alice)
                await call.answer()
                phone_ear = await street_phone_listens(street, there)
            else:
                phone = await street.phone()
                call = await alice.call_sip(phone.address(), sound=sound)
                there = await phone.next_call()
                phone_ear = await phone.answer(there, 700.0)
            await steps.reach(call, State.ESTABLISHED)
            await ear.hears(700.0)
            await phone_ear.hears(620.0)
            found = Desk(call, ear, PhoneThatAgrees(there, refuses=refuses), phone_ear)
            stack.push_async_callback(call.hang_up)
            return found

        yield opened


async def street_phone_listens(street: Any, there: Any) -> Any:
    phone = await street.lines.sip_phone()
    return await phone.listen(there, 700.0)


@pytest.mark.parametrize("phone_calls", [False, True])
async def test_a_sip_phone_that_we_hold_is_told_and_hears_music(desk: Any, phone_calls: bool) -> None:
    here = await desk(phone_calls=phone_calls)
    await here.call.hold()
    await here.told.are(BY_US)
    await until(lambda: here.phone.directions == ["recvonly"])
    await until(lambda: hears_music(here.phone_ear))
    await until(lambda: is_silent(here.ear))
    await here.call.resume()
    await until(lambda: here.phone.directions == ["recvonly", "sendrecv"])
    await here.ear.hears(700.0)
    await here.phone_ear.hears(620.0)


@pytest.mark.parametrize("phone_calls", [False, True])
async def test_a_sip_phone_that_holds_us_is_heard_as_hold(desk: Any, phone_calls: bool) -> None:
    here = await desk(phone_calls=phone_calls)
    assert await here.phone.holds_now(True) == "sendonly"
    await here.told.are(BY_PEER)
    await here.ear.hears(700.0)  # the phone's own music
    await until(lambda: here.phone_ear.share(620.0) < 0.01)
    assert await here.phone.holds_now(False) == "sendrecv"
    await here.told.are(BY_PEER, BACK_BY_PEER)
    await here.phone_ear.hears(620.0)


async def test_a_user_and_a_phone_hold_each_other_and_talk_only_when_both_are_back(desk: Any) -> None:
    here = await desk()
    await here.call.hold()
    await until(lambda: here.phone.directions == ["recvonly"])
    assert await here.phone.holds_now(True) == "inactive"
    await here.told.are(BY_US, BY_PEER)
    await here.call.resume()
    await until(lambda: here.phone.directions[-1] == "sendonly")
    assert here.call.held_by_peer
    await here.ear.hears(700.0)
    assert await here.phone.holds_now(False) == "sendrecv"
    await here.told.are(BY_US, BY_PEER, BACK_BY_US, BACK_BY_PEER)
    await here.ear.hears(700.0)
    await here.phone_ear.hears(620.0)


async def test_a_phone_that_refuses_to_be_told_hears_music_all_the_same(desk: Any) -> None:
    here = await desk(refuses=True)
    await here.call.hold()
    await until(lambda: here.phone.directions == ["refused"])
    await until(lambda: hears_music(here.phone_ear))
    await until(lambda: is_silent(here.ear))
    await here.call.resume()
    await here.ear.hears(700.0)
    await here.phone_ear.hears(620.0)
