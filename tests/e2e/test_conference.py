"""Rooms through the real exchange: phones on WebRTC, each with a tone of its own."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import pytest

from sinchphone.audio.frame import Samples
from sinchphone.audio.tones.goertzel import share
from sinchphone.engine.calls.call import Call, DigitHeard, DigitsSent
from sinchphone.engine.client import SinchClient
from sinchphone.errors import LocalProtocolError, SinchphoneError
from sinchphone.protocol.call.states import Cause, State
from sinchphone.tasks import start_task
from tests.instruments import tone_dbfs

TONES = (400.0, 700.0, 1000.0, 1300.0, 1700.0)
PATIENCE_S = 30.0
FLOOR_DBFS = -55.0  # what an encoder makes of other tones is quieter


@dataclass
class Guest:
    """Somebody in a room: what they say, what they hear, and their call."""

    tone_hz: float
    ear: Any
    call: Call

    async def until(self, others: Sequence[float], absent: Sequence[float]) -> None:
        """Waits until it hears the others' tones as loud as they are, nothing else to speak of, and none that is absent."""

        def like(heard: Samples) -> bool:
            there = all(abs(tone_dbfs(heard, hz) + 15.2) < 3 for hz in others)
            return there and sum(share(heard, hz) for hz in others) > 0.95 and all(tone_dbfs(heard, hz) < FLOOR_DBFS for hz in absent)

        try:
            await self.ear.becomes(like, PATIENCE_S)
        except TimeoutError:
            heard = self.ear.last(1.0)
            found = {hz: round(tone_dbfs(heard, hz), 1) for hz in TONES}
            raise AssertionError(f"{self.tone_hz} should hear {others} and hears {found}") from None


@pytest.fixture
def come(lines: Any, steps: Any) -> Any:
    async def come(name: str, hz: float, room: str = "standup") -> Guest:
        ear, sound = lines.ear(hz)
        phone = await lines.phone(name)
        call = await phone.call_conference(room, sound=sound)
        await steps.reach(call, State.ESTABLISHED)
        return Guest(hz, ear, call)

    return come


def others_of(guest: Guest, guests: Sequence[Guest]) -> list[float]:
    return [other.tone_hz for other in guests if other is not guest]


async def test_five_in_a_room_hear_every_tone_but_their_own(come: Any) -> None:
    guests = [await come(f"user-{number}", hz) for number, hz in enumerate(TONES)]
    await asyncio.gather(*(guest.until(others_of(guest, guests), [guest.tone_hz]) for guest in guests))


async def test_who_comes_late_and_who_goes_early_is_heard_while_there(come: Any, steps: Any) -> None:
    first, second = await come("first", 400.0), await come("second", 700.0)
    await first.until([700.0], [400.0, 1000.0])
    third = await come("third", 1000.0)
    await first.until([700.0, 1000.0], [400.0])
    await third.until([400.0, 700.0], [1000.0])
    await second.call.hang_up()
    assert (await steps.end_of(second.call)).cause is Cause.HUNG_UP
    await first.until([1000.0], [400.0, 700.0])
    await third.until([400.0], [700.0, 1000.0])


async def test_rooms_are_apart_and_who_is_alone_hears_nothing(come: Any) -> None:
    here = [await come("a", 400.0, "here"), await come("b", 700.0, "here")]
    alone = await come("c", 1000.0, "there")
    await here[0].until([700.0], [400.0, 1000.0])
    await here[1].until([400.0], [700.0, 1000.0])
    assert not np.abs(alone.ear.last(1.0)).max() > 2


async def test_others_hear_that_somebody_came_and_went(lines: Any, steps: Any) -> None:
    ear, sound = lines.ear()
    host = await (await lines.phone("host")).call_conference("quiet", sound=sound)
    await steps.reach(host, State.ESTABLISHED)
    guests_ear, guests_sound = lines.ear()
    before = len(ear.heard)
    guest = await (await lines.phone("guest")).call_conference("quiet", sound=guests_sound)

    async def heard(hz: float, since: int) -> int:
        """Where a tone sounds in what the host hears."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for at in range(since, len(ear.heard)):
                    if tone_dbfs(ear.heard[at], hz) > -45 and share(ear.heard[at], hz) > 0.7:
                        return at
                await asyncio.sleep(0.05)

    low = await heard(659.26, before)
    high = await heard(880.0, before)
    assert low < high
    await steps.reach(guest, State.ESTABLISHED)
    await asyncio.sleep(1.0)
    assert all(tone_dbfs(frame, hz) < -60 for frame in guests_ear.heard for hz in (659.26, 880.0)), "it's for the others"
    since = len(ear.heard)
    await guest.hang_up()
    assert await heard(880.0, since) < await heard(659.26, since)


@pytest.fixture
def rooms(lines: Any) -> Any:
    return lines.local._exchange.rooms


async def test_a_full_room_and_too_many_rooms_refuse_with_a_sentence(come: Any, lines: Any, steps: Any, rooms: Any) -> None:
    rooms._seats_per_room, rooms._most_rooms = 2, 1
    a, _ = await come("a", 400.0), await come("b", 700.0)
    late = await lines.phone("c")
    details = await steps.end_of(await late.call_conference("standup"))
    assert details.cause is Cause.FAILURE and isinstance(details.error, SinchphoneError)
    assert "full" in str(details.error)
    details = await steps.end_of(await late.call_conference("another"))
    assert "no more can be opened" in str(details.error)
    await a.call.hang_up()
    await steps.end_of(a.call)
    async with asyncio.timeout(PATIENCE_S):
        while len(rooms.participants(lines.local.application_key, "standup")) > 1:
            await asyncio.sleep(0.05)
    call = await late.call_conference("standup")
    await steps.reach(call, State.ESTABLISHED)


async def test_an_empty_room_is_closed(come: Any, steps: Any, rooms: Any) -> None:
    guests = [await come("a", 400.0), await come("b", 700.0)]
    assert len(rooms) == 1
    for guest in guests:
        await guest.call.hang_up()
        await steps.end_of(guest.call)
    async with asyncio.timeout(PATIENCE_S):
        while len(rooms):
            await asyncio.sleep(0.05)


async def test_a_caller_who_vanishes_leaves_the_room(come: Any, rooms: Any, lines: Any) -> None:
    stays, goes = await come("a", 400.0), await come("b", 700.0)
    for port in goes.call._ports._of.values():
        await port.close()  # its DTLS says goodbye, its signaling says nothing
    async with asyncio.timeout(PATIENCE_S):
        while len(rooms.participants(lines.local.application_key, "standup")) > 1:
            await asyncio.sleep(0.1)
    assert stays.call.state is State.ESTABLISHED


async def test_a_legacy_phone_and_a_new_one_meet_in_a_room(lines: Any, steps: Any, come: Any) -> None:
    new = await come("new", 400.0)
    lines.local._api = "papi"
    old = await lines.stack.enter_async_context(SinchClient("old", lines.local, media=lines.media))
    ear, sound = lines.ear(700.0)
    call = await old.call_conference("standup", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await new.until([700.0], [400.0])
    await Guest(700.0, ear, call).until([400.0], [700.0])


@pytest.fixture
async def rest(lines: Any) -> AsyncIterator[Callable[..., Any]]:
    """The calling API as the application's backend uses it."""
    known = lines.local.credentials
    basic = base64.b64encode(f"{known.key}:{known.secret}".encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {basic}"}) as session:

        async def ask(verb: str, path: str, body: Any = None) -> tuple[int, Any]:
            url = f"{await lines.local.open()}/calling/v1/conferences/id/{path}"
            async with session.request(verb, url, json=body) as answer:
                return answer.status, await answer.json()

        yield ask


async def test_the_rest_api_mutes_holds_and_removes(come: Any, steps: Any, rest: Any) -> None:
    alice, bob, carol = [await come(name, hz) for name, hz in zip(("alice", "bob", "carol"), TONES, strict=False)]
    await bob.until([400.0, 1000.0], [700.0])
    status, body = await rest("GET", "standup")
    assert (status, [one["cli"] for one in body["participants"]]) == (200, ["alice", "bob", "carol"])
    assert [one["id"] for one in body["participants"]] == [alice.call.id, bob.call.id, carol.call.id]
    assert (await rest("PATCH", f"standup/{alice.call.id}", {"command": "mute"}))[0] == 200
    await bob.until([1000.0], [400.0, 700.0])
    await alice.until([700.0, 1000.0], [400.0])
    assert (await rest("PATCH", f"standup/{alice.call.id}", {"command": "unmute"}))[0] == 200
    assert (await rest("PATCH", f"standup/{carol.call.id}", {"command": "onhold", "moh": "ring"}))[0] == 200
    await bob.until([400.0], [700.0, 1000.0])
    async with asyncio.timeout(PATIENCE_S):
        while carol.ear.share(425.0) < 0.9:
            await asyncio.sleep(0.1)
    assert (await rest("PATCH", f"standup/{carol.call.id}", {"command": "resume"}))[0] == 200
    await carol.until([400.0, 700.0], [1000.0])
    assert (await rest("DELETE", f"standup/{bob.call.id}"))[0] == 200
    details = await steps.end_of(bob.call)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    assert details.failure is not None and details.failure.message == "removed from the conference"
    await alice.until([1000.0], [400.0, 700.0])
    assert (await rest("DELETE", "standup"))[0] == 200
    for guest in (alice, carol):
        assert (await steps.end_of(guest.call)).cause is Cause.HUNG_UP
    async with asyncio.timeout(PATIENCE_S):
        while (await rest("GET", "standup"))[0] != 404:
            await asyncio.sleep(0.1)


async def test_digits_pass_between_two_phones(lines: Any, steps: Any) -> None:
    outgoing, incoming = await steps.talking(lines)
    sending = start_task(outgoing.dtmf("1w2#"), name="dtmf")
    heard = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in incoming.events():
            if isinstance(event, DigitHeard):
                heard.append(event.digit)
                assert 40 <= event.duration_ms <= 1000
            if len(heard) == 3:
                break
        await sending
    assert heard == ["1", "2", "#"]
    async with asyncio.timeout(PATIENCE_S):
        async for event in outgoing.events():
            if isinstance(event, DigitsSent):
                assert event.digits == "1w2#"
                break


async def test_digits_before_the_call_is_established_and_others_are_refused(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    call = await alice.call_user("no-answer")
    await steps.reach(call, State.RINGING)
    with pytest.raises(LocalProtocolError, match="established"):
        await call.dtmf("1")
    with pytest.raises(LocalProtocolError, match="0-9"):
        await call.dtmf("1x")
    await call.hang_up()
    await steps.end_of(call)
    assert [event async for event in call.events()] == []


async def test_what_cannot_be_called_is_refused_before_anything_is_sent(lines: Any) -> None:
    alice = await lines.phone("alice")
    with pytest.raises(LocalProtocolError, match="x-"):
        await alice.call_sip("bob@example.org", headers={"Subject": "tea"})
    for room in ("", "x" * 65):
        with pytest.raises(LocalProtocolError, match="64"):
            await alice.call_conference(room)
