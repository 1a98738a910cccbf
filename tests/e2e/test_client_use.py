"""A client as programs use it: several readers, one start, and a decline that counts for all devices."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.calls.media.monitor import StatsTaken
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.engine.history.history import History
from sinchphone.engine.history.past import PastCall, look_back
from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.call.states import Cause, State
from sinchphone.tasks import start_task


async def test_two_readers_both_see_every_event(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    readers = [bob.events(), bob.events()]
    for _ in range(2):
        call = await alice.call_user("bob")
        await steps.reach(call, State.RINGING)
        await call.hang_up()
    seen = [[type(await asyncio.wait_for(anext(reader), 20)) for _ in range(3)] for reader in readers]
    assert seen[0] == seen[1]
    assert seen[0].count(IncomingCall) == 2


async def test_two_readers_of_a_call_both_see_every_event_and_its_end(lines: Any, steps: Any) -> None:
    outgoing, incoming = await steps.talking(lines)
    readers = [start_task(all_of(incoming.events()), name="all of") for _ in range(2)]
    async with asyncio.timeout(20):
        async for event in incoming.events():
            if isinstance(event, StatsTaken):
                break
    await outgoing.hang_up()
    async with asyncio.timeout(20):
        first, second = [await reader for reader in readers]
    assert first == second
    assert first


async def all_of(events: Any) -> list[Any]:
    return [event async for event in events]


async def test_entering_a_client_twice_is_an_error(lines: Any) -> None:
    alice = await lines.phone("alice")
    with pytest.raises(LocalProtocolError, match="entered once"):
        await alice.__aenter__()
    assert alice.is_started
    await alice.call_user("echo")


async def test_entering_a_client_after_its_end_is_an_error_and_using_it_too(lines: Any) -> None:
    client = SinchClient("alice", lines.local, media=lines.media)
    assert not client.is_started
    with pytest.raises(LocalProtocolError, match="isn't started"):
        await client.call_user("echo")
    async with client:
        assert client.is_started
    assert not client.is_started
    for use in (client.__aenter__, lambda: client.call_user("echo"), lambda: client.send_message("bob", "hello")):
        with pytest.raises(LocalProtocolError) as caught:
            await use()
        assert caught.value.hint


async def test_readers_end_when_the_client_is_left(lines: Any) -> None:
    async with SinchClient("alice", lines.local, media=lines.media) as client:
        reader = start_task(all_of(client.events()), name="all of")
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert len(await reader) == 1


async def test_who_declines_on_one_device_has_declined_on_all_at_once(lines: Any, steps: Any) -> None:
    alice, desk, mobile = await lines.phone("alice"), await lines.phone("bob"), await lines.phone("bob")
    call = await alice.call_user("bob")
    at_desk, at_mobile = await steps.next_call(desk), await steps.next_call(mobile)
    await steps.reach(at_desk, State.RINGING)
    await steps.reach(at_mobile, State.RINGING)
    await at_desk.decline()
    assert (await steps.end_of(call, seconds=5)).cause is Cause.DENIED
    details = await steps.end_of(at_mobile, seconds=5)
    assert (details.cause, details.ended_by) == (Cause.DENIED, "peer")


async def test_a_device_that_is_busy_leaves_the_others_ringing(lines: Any, steps: Any) -> None:
    alice, desk, mobile = await lines.phone("alice"), await lines.phone("bob"), await lines.phone("bob")
    call = await alice.call_user("bob")
    at_desk, at_mobile = await steps.next_call(desk), await steps.next_call(mobile)
    await steps.reach(at_mobile, State.RINGING)
    await at_desk.decline(busy=True)
    await at_mobile.answer()
    await steps.reach(call, State.ESTABLISHED)


@pytest.mark.parametrize(("busy", "cause", "missed"), [(True, "busy", True), (False, "denied", False)])
async def test_the_history_of_both_ends_tells_busy_from_declined(
    lines: Any, steps: Any, tmp_path: Path, busy: bool, cause: str, missed: bool
) -> None:
    async with History(tmp_path / "alice.db", "alice") as hers, History(tmp_path / "bob.db", "bob") as his:
        async with (
            SinchClient("alice", lines.local, media=lines.media, history=hers) as alice,
            SinchClient("bob", lines.local, media=lines.media, history=his) as bob,
        ):
            call = await alice.call_user("bob")
            incoming = await steps.next_call(bob)
            await steps.reach(call, State.RINGING)
            await incoming.decline(busy=busy)
            await steps.end_of(call)
            await steps.end_of(incoming)
        rows = [row for user in ("alice", "bob") for row in look_back(tmp_path / f"{user}.db", user) if isinstance(row, PastCall)]
        assert [(row.outbound, row.cause, row.ended_by, row.is_missed) for row in rows] == [
            (True, cause, "peer", False),
            (False, cause, "us", missed),
        ]


async def test_listeners_hear_a_client_and_its_call_in_the_order_added_though_one_fails(lines: Any, steps: Any) -> None:
    heard: list[tuple[str, Any]] = []

    def fail(_: object) -> None:
        raise ZeroDivisionError

    async def answer(event: object) -> None:
        if isinstance(event, IncomingCall):
            event.call.add_listener(lambda what: heard.append(("first", what)))
            event.call.add_listener(fail)
            event.call.add_listener(lambda what: heard.append(("second", what)))
            await event.call.answer()

    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    bob.add_listener(fail)
    bob.add_listener(answer)
    call = await alice.call_user("bob")
    states: list[Any] = []
    call.add_listener(states.append)
    await steps.reach(call, State.ESTABLISHED)
    async with asyncio.timeout(20):
        while not any(isinstance(what, StatsTaken) for _, what in heard):
            await asyncio.sleep(0.01)
    await call.hang_up()
    await steps.end_of(call)
    async with asyncio.timeout(20):
        while not heard or heard[-1] != ("second", State.ENDED):
            await asyncio.sleep(0.01)
    first, second = ([what for name, what in heard if name == who] for who in ("first", "second"))
    assert first == second
    assert [name for name, _ in heard] == ["first", "second"] * len(first)
    assert {State.ANSWERED, State.ESTABLISHED, State.ENDED} <= set(filter(lambda what: isinstance(what, State), first))
    assert any(isinstance(what, StatsTaken) for what in first)
    assert [what for what in states if isinstance(what, State)] == [
        State.PROGRESSING,
        State.RINGING,
        State.ANSWERED,
        State.ESTABLISHED,
        State.ENDED,
    ]


async def test_a_listener_that_was_removed_hears_nothing_more(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    call = await alice.call_user("bob")
    heard: list[Any] = []
    call.add_listener(heard.append)
    call.remove_listener(heard.append)
    await steps.end_of(call)
    assert heard == []
