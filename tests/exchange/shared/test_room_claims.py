"""Processes that open one room in the same moment: one of them has it, and all others know whose it is."""

import asyncio
from typing import Any

import pytest

from sinchphone.exchange.conference import owners
from sinchphone.exchange.conference.owners import RoomOwners
from sinchphone.tasks import start_task
from tests.exchange.shared.conftest import Join, RedisServer
from tests.exchange.shared.test_lost_redis import crash, until

ROOMS = [f"room-{number}" for number in range(12)]


@pytest.fixture
async def exchanges(join: Join, redis: RedisServer) -> list[Any]:
    return list(await asyncio.gather(*(join(redis.address) for _ in range(3))))


def owners_of(exchange: Any) -> RoomOwners:
    found: RoomOwners = exchange._others.rooms
    return found


async def test_of_processes_that_claim_a_room_at_once_one_has_it_and_the_others_are_told_which(exchanges: list[Any]) -> None:
    all_owners = [owners_of(exchange) for exchange in exchanges]
    names = {one.process for one in all_owners}

    async def race(room: str) -> list[str | None]:
        return await asyncio.gather(*(one.claim("acme", room) for one in all_owners))

    for room, claims in zip(ROOMS, await asyncio.gather(*map(race, ROOMS)), strict=True):
        assert claims.count(None) == 1, (room, claims)
        winner = all_owners[claims.index(None)].process
        assert {claim for claim in claims if claim is not None} == {winner} <= names
        for exchange, one in zip(exchanges, all_owners, strict=True):
            await exchange._store.catch_up()
            assert one.elsewhere("acme", room) == (None if one.process == winner else winner)


async def test_a_room_that_is_given_up_as_others_claim_it_is_had_by_one(exchanges: list[Any]) -> None:
    first, *others = [owners_of(exchange) for exchange in exchanges]
    for room in ROOMS[:4]:
        assert await first.claim("acme", room) is None
        first.opened("acme", room)
        await asyncio.gather(*(exchange._store.catch_up() for exchange in exchanges))
        claiming = [start_task(one.claim("acme", room), name="claim") for one in others]
        await asyncio.sleep(0)
        first._claimed_at.clear()  # as after a while
        first.emptied("acme", room)
        claims = await asyncio.gather(*claiming)
        ours = {others[at].process for at, claim in enumerate(claims) if claim is None}
        assert len(ours) <= 1
        assert {claim for claim in claims if claim is not None} <= {first.process, *ours}  # who had it when that one asked, or has it
        await exchanges[0]._store.catch_up()
        assert first.elsewhere("acme", room) == (ours.pop() if ours else None)


async def test_a_room_that_was_claimed_for_somebody_who_gave_up_meanwhile_is_nobodys_after_a_while(
    exchanges: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stayed that process's for good."""
    monkeypatch.setattr(owners, "CLAIM_SECONDS", 0.2)
    first, second = (owners_of(exchange) for exchange in exchanges[:2])
    claiming = start_task(first.claim("acme", "tea"), name="claim")
    while first._owners.get(("acme", "tea")) is None:
        await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    async with asyncio.timeout(10):
        while await second.claim("acme", "tea") is not None:
            await asyncio.sleep(0.05)


async def test_the_rooms_of_a_process_that_is_gone_are_claimed_by_one_of_those_left(
    exchanges: list[Any],
) -> None:
    dying, *left = exchanges
    for room in ROOMS[:3]:
        assert await owners_of(dying).claim("acme", room) is None
    await asyncio.gather(*(exchange._store.catch_up() for exchange in left))
    gone = owners_of(dying).process
    assert {await owners_of(exchange).claim("acme", room) for room in ROOMS[:3] for exchange in left} == {gone}
    await crash(dying)
    await until(lambda: all(owners_of(exchange).elsewhere("acme", ROOMS[0]) is None for exchange in left))
    for room in ROOMS[:3]:
        claims = await asyncio.gather(*(owners_of(exchange).claim("acme", room) for exchange in left))
        assert claims.count(None) == 1
