"""A client from its opening to its end: by hand and by ``async with``, and the calls that it has meanwhile."""

import asyncio
from typing import Any

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import ClientEvent, Ready
from sinchphone.errors import LocalProtocolError
from sinchphone.protocol.call.states import Cause, State
from sinchphone.tasks import start_task
from tests.waiting import cancelled_after

LIMIT_S = 20.0


async def test_a_client_is_opened_and_closed_by_hand(lines: Any, steps: Any) -> None:
    client = SinchClient("alice", lines.local, media=lines.media)
    await client.open()
    assert client.is_started
    call = await client.call_user("echo")
    await steps.reach(call, State.ESTABLISHED)
    await client.close()
    assert not client.is_started
    assert call.details.cause is Cause.HUNG_UP
    assert client.calls == ()
    with pytest.raises(LocalProtocolError, match="isn't started"):
        await client.call_user("echo")


async def test_closing_it_inside_its_async_with_is_its_end_and_leaving_does_no_more(lines: Any) -> None:
    async with SinchClient("alice", lines.local, media=lines.media) as client:
        events = client.events()
        await client.close()
        assert not client.is_started
        async with asyncio.timeout(LIMIT_S):
            assert [type(event) async for event in events] == [Ready]
        await client.close()


async def test_who_closes_it_a_second_time_meanwhile_waits_for_the_end_too(lines: Any, steps: Any) -> None:
    async with SinchClient("alice", lines.local, media=lines.media) as client:
        call = await client.call_user("echo")
        await steps.reach(call, State.ESTABLISHED)
        first = start_task(client.close(), name="close")
        await asyncio.sleep(0)
        await asyncio.wait_for(client.close(), LIMIT_S)
        assert first.done()
        assert call.state is State.ENDED


async def test_closing_what_was_never_opened_does_nothing_and_it_can_be_opened_then(lines: Any) -> None:
    client = SinchClient("alice", lines.local, media=lines.media)
    await client.close()
    async with client:
        assert client.is_started
        with pytest.raises(LocalProtocolError, match="entered once"):
            await client.open()


async def test_a_client_is_not_started_while_it_opens(lines: Any) -> None:
    client = SinchClient("alice", lines.local, media=lines.media)
    opening = start_task(client.open(), name="open")
    await asyncio.sleep(0)
    assert not client.is_started
    with pytest.raises(LocalProtocolError, match="isn't started"):
        await client.call_user("echo")
    await opening
    assert client.is_started
    await client.close()


async def test_a_listener_finds_the_client_started_and_may_close_it(lines: Any) -> None:
    client = SinchClient("alice", lines.local, media=lines.media)
    found: list[bool] = []

    async def close(event: ClientEvent) -> None:
        found.append(client.is_started)
        await client.close()

    client.add_listener(close)
    async with client:
        async with asyncio.timeout(LIMIT_S):
            async for _ in client.events():
                pass
    assert found == [True]


async def test_leaving_the_block_by_an_error_closes_it_all_the_same(lines: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        async with SinchClient("alice", lines.local, media=lines.media) as client:
            raise ZeroDivisionError
    assert not client.is_started


async def test_a_client_knows_the_calls_that_go_on_by_their_ids(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    assert alice.calls == ()
    first, second = await alice.call_user("echo"), await alice.call_user("bob")
    incoming = await steps.next_call(bob)
    assert alice.calls == (first, second)
    assert bob.calls == (incoming,)
    assert alice.call(second.id) is second
    assert bob.call(second.id) is incoming
    assert alice.call("nobody") is None
    await second.hang_up()
    await steps.end_of(second)
    assert alice.calls == (first,)
    assert alice.call(second.id) is None


async def test_who_waits_until_a_call_is_established_learns_whether_it_was(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    call = await alice.call_user("bob")
    waiting = start_task(call.established(), name="established")
    incoming = await steps.next_call(bob)
    await asyncio.sleep(0)
    assert not waiting.done()
    await incoming.answer()
    async with asyncio.timeout(LIMIT_S):
        assert await waiting
        assert await incoming.established()
    await call.hang_up()
    await steps.end_of(call)
    assert await call.established(), "it was"
    declined = await alice.call_user("bob")
    await (await steps.next_call(bob)).decline()
    assert not await asyncio.wait_for(declined.established(), LIMIT_S)


@pytest.mark.parametrize("turns", [1, 2, 5])
async def test_a_client_whose_closing_is_cancelled_has_left_all_the_same(lines: Any, steps: Any, turns: int) -> None:
    client = SinchClient("alice", lines.local)
    await client.open()
    events = client.events()
    call = await client.call_user("echo")
    await steps.reach(call, State.ESTABLISHED)
    assert await cancelled_after(turns, client.close())
    assert call.state is State.ENDED
    with pytest.raises(LocalProtocolError, match="isn't running"):
        _ = client.media.loop
    async with asyncio.timeout(LIMIT_S):
        assert [type(event) async for event in events] == [Ready]
        await client.close()
