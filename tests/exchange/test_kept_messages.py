"""Messages for who is away: kept, delivered once to each device, across a restart of the exchange."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.store.tables import MAILBOXES, MESSAGES
from sinchphone.tasks import start_task
from tests.exchange.conftest import rows_on_redis

ON_BOTH_STORES = True


async def messages(phone: Any, token: str) -> tuple[list[Any], str]:
    """What the next polls bring until something came."""
    async with asyncio.timeout(10):
        while True:
            came, token = await phone.poll(token)
            if came:
                return came, token


async def nothing_more(phone: Any, token: str) -> bool:
    """Whether a poll just waits."""
    try:
        async with asyncio.timeout(0.3):
            return (await phone.poll(token))[0] == []  # type: ignore[no-any-return]
    except TimeoutError:
        return True


async def test_a_message_waits_for_a_device_that_starts_anew(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    frame = await ada.write_to("bob")
    nothing, token = await bob.poll("0")  # the SDK takes this answer as "connected" and looks for nothing in it
    assert nothing == []
    came, token = await messages(bob, token)
    assert came == [frame]
    assert await nothing_more(bob, token)


async def test_a_message_that_was_delivered_is_not_delivered_again(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    await ada.write_to("bob")
    _, token = await messages(bob, (await bob.poll())[1])
    await nothing_more(bob, token)  # says that it has it
    assert await nothing_more(bob, (await bob.poll())[1])


async def test_an_answer_that_got_lost_is_given_again(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    frame = await ada.write_to("bob")
    _, token = await bob.poll()
    assert (await messages(bob, token))[0] == [frame]
    assert (await messages(bob, token))[0] == [frame]


async def test_nothing_is_remembered_of_users_who_have_all_their_messages(exchange: Any, legacy: Any) -> None:
    """Each user who had ever polled had a mailbox, and each who had ever got a message a row, for good."""
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    await ada.poll()
    assert exchange._postbox._mailboxes == {}
    await ada.write_to("bob")
    assert list(exchange._postbox._mailboxes) == [("acme", "bob")]
    _, token = await messages(bob, (await bob.poll())[1])
    await nothing_more(bob, token)  # says that it has it
    assert exchange._postbox._mailboxes == {}
    assert exchange.directory.application("acme").delivered == {}
    await exchange._store.settle()
    assert await exchange._store.read(MAILBOXES) == []


async def test_each_device_of_a_user_gets_a_message_once(legacy: Any) -> None:
    ada, first, second = await legacy("ada").started(), await legacy("bob").started(), await legacy("bob").started()
    frame = await ada.write_to("bob")
    for device in (first, second):
        came, token = await messages(device, (await device.poll())[1])
        assert came == [frame]
        assert await nothing_more(device, token)


async def test_a_new_device_gets_only_what_no_other_had(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    await ada.write_to("bob", text="old")
    _, token = await messages(bob, (await bob.poll())[1])
    await nothing_more(bob, token)
    frame = await ada.write_to("bob", text="new")
    new = await legacy("bob").started()
    assert (await messages(new, (await new.poll())[1]))[0] == [frame]


async def test_a_device_between_two_polls_misses_nothing(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    _, token = await bob.poll()
    frames = [await ada.write_to("bob", text=str(number)) for number in range(3)]
    assert (await messages(bob, token))[0] == frames


async def test_an_invite_that_is_stale_does_not_come_with_the_messages(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    await bob.poll()
    frame = await ada.write_to("bob")
    await ada.call("bob")
    assert (await messages(bob, (await bob.poll())[1]))[0] == [frame]


async def test_more_messages_than_one_answer_carries_all_come_in_order(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    frames = [await ada.write_to("bob", text=str(number)) for number in range(130)]
    came, (_, token) = [], await bob.poll()  # type: ignore[var-annotated]
    while len(came) < len(frames):
        more, token = await messages(bob, token)
        came += more
    assert came == frames


@pytest.fixture
async def restarts(start_exchange: Any, lasting: Any) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Starts an exchange on one store; calling it again is a restart."""
    running: list[Any] = []

    async def restart(**options: Any) -> Any:
        if running:
            await running[-1].close()
        running.append(await start_exchange(store=lasting, **options))
        return running[-1]

    yield restart


def moved(phone: Any, exchange: Any) -> Any:
    return replace(phone, url=exchange.url)


async def test_a_message_survives_the_exchange(restarts: Any, legacy: Any) -> None:
    before = await restarts()
    ada, bob = await legacy("ada", url=before.url).started(), await legacy("bob", url=before.url).started()
    frame = await ada.write_to("bob")
    after = await restarts()
    bob = moved(bob, after)
    assert (await bob.ask("GET", "/v1/configuration/user")).status == 200  # the instance is known, its secret too
    assert (await messages(bob, (await bob.poll())[1]))[0] == [frame]


async def test_a_device_that_goes_on_with_its_token_after_a_restart_gets_what_it_missed(restarts: Any, legacy: Any) -> None:
    before = await restarts()
    ada, bob = await legacy("ada", url=before.url).started(), await legacy("bob", url=before.url).started()
    _, token = await bob.poll()
    frame = await ada.write_to("bob")
    assert (await messages(moved(bob, await restarts()), token))[0] == [frame]


async def test_what_was_delivered_before_a_restart_does_not_come_again(restarts: Any, legacy: Any) -> None:
    before = await restarts()
    ada, bob = await legacy("ada", url=before.url).started(), await legacy("bob", url=before.url).started()
    await ada.write_to("bob")
    _, token = await messages(bob, (await bob.poll())[1])
    await nothing_more(bob, token)
    bob = moved(bob, await restarts())
    assert await nothing_more(bob, (await bob.poll())[1])


async def test_transports_users_and_passwords_survive_the_exchange(restarts: Any, legacy: Any) -> None:
    before = await restarts()
    user = {"password": "not-a-secret", "identities": [{"type": "username", "endpoint": "carol"}]}
    await legacy("carol", url=before.url).as_application("POST", "/v1/users", user)
    ada = await legacy("ada", url=before.url).started()
    transport = (await ada.ask("POST", "/v1/transport", [{"identity": "carol"}])).body
    ada = moved(ada, await restarts())
    path = "/v1/users/username/carol/authentication"
    assert (await ada.as_application("POST", path, {"password": "not-a-secret"})).status == 200
    found = (await ada.ask("GET", f"/v1/transport?transportId={transport['transportId']}")).body
    assert found["key"] == transport["key"]
    assert (await ada.as_application("POST", "/v1/users", user)).status == 409


async def test_the_store_holds_no_password_and_is_its_owners_alone(restarts: Any, legacy: Any, lasting: Any) -> None:
    exchange = await restarts()
    user = {"password": "not-a-secret", "identities": [{"type": "username", "endpoint": "carol"}]}
    await legacy("carol", url=exchange.url).as_application("POST", "/v1/users", user)
    await exchange.close()
    if not isinstance(lasting, Path):
        rows = rows_on_redis(lasting)
        assert "carol" in str(rows["accounts"])
        assert "not-a-secret" not in str(rows)
        return
    files = list(lasting.parent.glob("exchange.sqlite3*"))
    assert files
    for file in files:
        assert b"not-a-secret" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


async def test_a_message_for_a_user_of_the_other_dialect_is_kept_too(restarts: Any, legacy: Any, phone: Any) -> None:
    before = await restarts()
    ada, bob = await legacy("ada", url=before.url).started(), await phone("bob", url=before.url).registered()
    frame = await ada.write_to("bob")
    after = await restarts()
    channels = f"{bob.profile['broadcastChannel']},{bob.profile['transportChannel']}"
    url = f"{after.url}/v2/subscribe/{bob.keys['broadcastSubscribeKey']}/{channels}/0"
    async with aiohttp.ClientSession() as session:
        async with session.get(url, params={"tt": "0"}) as answer:
            token = (await answer.json())["t"]["t"]
        async with session.get(url, params={"tt": token}) as answer:
            assert [message["d"] for message in (await answer.json())["m"]] == [frame]


# What is not kept


@pytest.mark.parametrize("token", ["", "old"])
async def test_attack_a_new_user_of_a_name_gets_no_message_that_waited_for_the_one_before(exchange: Any, legacy: Any, token: str) -> None:
    """They waited for up to 30 days, whoever had the name then."""
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    _, old = await bob.poll()
    await ada.write_to("bob", text="for your eyes only")
    acme = exchange.directory.application("acme")
    await exchange._accounts.forget(acme, "bob")
    assert exchange._postbox.waiting_frames() == 0
    await exchange._store.settle()
    assert await exchange._store.read(MESSAGES) == []
    other = await legacy("bob").started()
    assert await nothing_more(other, old if token else (await other.poll())[1])
    frame = await ada.write_to("bob", text="for anybody")
    assert (await messages(other, old))[0] == [frame]


async def test_attack_who_takes_a_name_with_a_password_gets_no_message_that_waits_for_somebody_unknown_since(
    restarts: Any, legacy: Any
) -> None:
    """After a restart a user whose registration is over is known by nothing but the messages that wait."""
    before = await restarts()
    ada, bob = await legacy("ada", url=before.url).started(), await legacy("bob", url=before.url).started()
    await ada.write_to("bob", text="for your eyes only")
    for device in before.directory.application("acme").users["bob"].values():
        device.expire_at = time.time() - 1.0
        before.directory.remember(device)
    after = await restarts()
    assert "bob" not in after.directory.application("acme").users
    user = {"password": "not-a-secret", "identities": [{"type": "username", "endpoint": "bob"}]}
    assert (await moved(bob, after).as_application("POST", "/v1/users", user)).status in (200, 201)
    assert after._postbox.waiting_frames() == 0


async def test_who_makes_room_for_another_user_leaves_no_messages(start_exchange: Any, legacy: Any) -> None:
    exchange = await start_exchange(users=2)
    ada, bob = await legacy("ada", url=exchange.url).started(), await legacy("bob", url=exchange.url).started()
    await ada.poll()
    await ada.write_to("bob")
    for device in exchange.directory.application("acme").users["bob"].values():
        device.expire_at = time.time() - 1.0
    await legacy("carol", url=exchange.url).started()
    assert exchange._postbox.waiting_frames() == 0
    assert bob.instance not in exchange.directory._instances


async def test_what_is_published_while_its_addressee_is_removed_waits_for_nobody(exchange: Any, legacy: Any) -> None:
    ada, _ = await legacy("ada").started(), await legacy("bob").started()
    transport = (await ada.ask("POST", "/v1/transport", [{"identity": "bob"}])).body
    frame = f"10 11111111-1111-1111-1111-111111111111 - 0 1 AAAA {transport['transportId']}"
    acme = exchange.directory.application("acme")
    channel, key = transport["participants"][0]["channel"], acme.broadcast.subscribe_key
    publishing = start_task(exchange._postbox.publish(key, channel, [frame], publisher="ada"), name="publish")
    await asyncio.sleep(0)
    await exchange._accounts.forget(acme, "bob")
    await publishing
    assert exchange._postbox.waiting_frames() == 0
    await exchange._store.settle()
    assert await exchange._store.read(MESSAGES) == []


async def test_garbage_frames_are_not_kept_and_harm_nobody(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    channel = bob.config["rtcProfile"]["transportChannel"]
    for garbage in ("", "10", "10 a - 0 1 AAAA", "10 a - 0 1 AAAA no-such-transport", "10 a - 5 1 AAAA x", "x" * 9000, "10 a - 0 1 %%% x"):
        assert (await ada.publish(channel, garbage)).status == 403
    frame = await ada.write_to("bob")
    assert (await messages(bob, (await bob.poll())[1]))[0] == [frame]


async def test_a_message_of_a_transport_that_the_user_is_not_part_of_is_not_kept(legacy: Any) -> None:
    ada, bob, _, eve = [await legacy(name).started() for name in ("ada", "bob", "carol", "eve")]
    transport = (await eve.ask("POST", "/v1/transport", [{"identity": "carol"}])).body
    frame = f"10 11111111-1111-1111-1111-111111111111 - 0 1 AAAA {transport['transportId']}"
    await eve.publish(bob.config["rtcProfile"]["transportChannel"], frame)
    good = await ada.write_to("bob")
    assert (await messages(bob, (await bob.poll())[1]))[0] == [good]


async def test_a_token_from_far_in_the_future_does_not_swallow_later_messages(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    await nothing_more(bob, str(int((time.time() + 1800) * 10_000_000)))
    frame = await ada.write_to("bob")
    assert (await messages(bob, (await bob.poll())[1]))[0] == [frame]


async def test_a_piece_of_a_message_that_nobody_could_put_together_is_refused_so_that_its_sender_learns_it(legacy: Any) -> None:
    ada, bob = await legacy("ada").started(), await legacy("bob").started()
    transport = (await ada.ask("POST", "/v1/transport", [{"identity": "bob"}])).body
    channel = transport["participants"][0]["channel"]
    piece = "A" * 1400
    for count, status in ((180, 200), (200, 400), (600, 400)):
        answer = await ada.publish(channel, f"10 11111111-1111-1111-1111-111111111111 7 0 {count} {piece} {transport['transportId']}")
        assert answer.status == status, answer.body
    assert "Too Large" in answer.body[1]
    assert await nothing_more(bob, (await bob.poll("0"))[1])  # the one that was taken isn't whole yet
