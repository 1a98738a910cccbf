"""Squatting and filling: who has nothing but the application's key takes no names for good, and locks nobody out."""

import base64
import time
from functools import partial
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.directory.accounts import Accounts
from sinchphone.exchange.directory.directory import UNSEEN_SECONDS, UNUSED_SECONDS, Directory
from sinchphone.exchange.directory.own_limits import OwnLimits
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.store.sqlite import SqliteStore
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.ocra.registration import Software  # type: ignore[attr-defined]

ON_BOTH_STORES = True

PASSWORD = "not-a-secret"
NOW = 1_795_248_000.0


class Town:
    """Users without a server."""

    def __init__(self, **options: Any) -> None:
        chosen = ExchangeOptions(applications={"acme": base64.b64encode(b"a" * 16).decode()}, **options)
        self.directory = Directory(chosen, Broker(chosen), SqliteStore(None))
        self.accounts = Accounts(self.directory, SqliteStore(None), OwnLimits(600.0))
        application = self.directory.application("acme")
        assert application is not None
        self.application = application

    async def make(self, name: str, now: float = NOW) -> None:
        names = (Recipient(name), Recipient(f"{name}@example.org", IdentityKind.EMAIL))
        await self.accounts.create(self.application, names, PASSWORD, {}, now)

    async def log_in(self, name: str, password: str, source: str, now: float = NOW) -> None:
        await self.accounts.authenticate(self.application, Recipient(name), password, now, source)

    async def outcome(self, name: str, password: str, source: str) -> int:
        try:
            await self.log_in(name, password, source)
        except RefusedError as refused:
            return refused.status
        return 200


async def test_attack_wrong_passwords_lock_out_where_they_come_from_and_nobody_else() -> None:
    town = Town()
    await town.make("ada")
    await town.log_in("ada", PASSWORD, "192.0.2.1")
    assert [await town.outcome("ada", f"guess-{number}", "192.0.2.66") for number in range(12)] == [401] * 10 + [429] * 2
    assert await town.outcome("ada", PASSWORD, "192.0.2.66") == 429
    assert await town.outcome("ada", PASSWORD, "192.0.2.7") == 200


async def test_attack_from_the_same_address_does_not_lock_out_who_logged_in_there_before() -> None:
    town = Town()
    await town.make("ada")
    await town.log_in("ada", PASSWORD, "127.0.0.1")
    assert {await town.outcome("ada", f"guess-{number}", "127.0.0.1") for number in range(12)} == {401}
    assert await town.outcome("ada", PASSWORD, "127.0.0.1") == 200


async def test_attack_filling_the_table_of_users_with_accounts_that_nobody_uses() -> None:
    town = Town(users=3)
    await town.make("ada")
    town.directory.register_legacy(town.application, "ada", (), Software("", "", ""), NOW + 1e9, NOW)
    for number in range(2):
        await town.make(f"squatter-{number}", NOW + number)
    with pytest.raises(RefusedError, match="3 users"):
        await town.make("bob", NOW + 5)
    later = NOW + UNUSED_SECONDS + 1
    await town.make("bob", later)
    assert town.accounts.resolve(town.application, Recipient("squatter-0")) is None
    assert town.accounts.resolve(town.application, Recipient("squatter-0@example.org", IdentityKind.EMAIL)) is None
    assert await town.outcome("ada", PASSWORD, "x") == 200
    await town.make("squatter-0", later + UNUSED_SECONDS)  # the name is free again


async def test_users_who_never_come_back_expire_and_those_who_do_stay() -> None:
    town = Town(users=2)
    for name in ("ada", "bob"):
        await town.make(name)
        town.directory.register_legacy(town.application, name, (), Software("", "", ""), NOW + 1e9, NOW)
    later = NOW + UNSEEN_SECONDS - 60
    with pytest.raises(RefusedError):
        await town.make("carol", later)
    await town.log_in("ada", PASSWORD, "x", later)
    await town.make("carol", later + 120)
    assert town.accounts.account(town.application, "ada") is not None
    assert town.accounts.account(town.application, "bob") is None


def user(name: str) -> dict[str, Any]:
    return {"password": PASSWORD, "identities": [{"type": "username", "endpoint": name}]}


async def test_attack_one_address_makes_users_without_end(start_exchange: Any, legacy: Any) -> None:
    exchange = await start_exchange(new_users_at_once=3, new_users_a_second=0.001)
    anybody = legacy("x", url=exchange.url)
    answers = [await anybody.as_application("POST", "/v1/users", user(f"squatter-{number}")) for number in range(5)]
    assert [answer.status for answer in answers] == [200] * 3 + [429] * 2
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))) as session:
        elsewhere = legacy("x", url=exchange.url)
        object.__setattr__(elsewhere, "session", session)
        assert (await elsewhere.as_application("POST", "/v1/users", user("somebody"))).status == 200


async def squat(legacy: Any) -> tuple[Any, str]:
    """Somebody takes ada's name, and is there as ada; the ticket too."""
    squatter = legacy("ada")
    made = await squatter.as_application("POST", "/v1/users", user("ada"))
    assert made.status == 200
    return await squatter.started(), f"user {made.body['authorization']}"


async def log_in(legacy: Any, password: str = PASSWORD) -> int:
    answer = await legacy("x").as_application("POST", "/v1/users/username/ada/authentication", {"password": password})
    return int(answer.status)


async def test_attack_who_took_a_name_with_a_password_is_out_once_its_owner_comes_with_a_token(legacy: Any, phone: Any) -> None:
    squatter, ticket = await squat(legacy)
    assert await log_in(legacy) == 200
    ada = await phone("ada").registered()
    assert await log_in(legacy) == 401
    assert (await squatter.ask("GET", "/v1/configuration/user")).status == 401
    assert (await squatter.send("POST", "/v1/instance", b"{}", ticket)).status == 401
    assert (await squatter.as_application("POST", "/v1/users", user("ada"))).status == 409
    assert (await ada.call("ada")).status == 404, "no device of the squatter rings"
    again = legacy("ada")
    later = f"user {again.ticket(created_at=time.time() + 5)}"
    assert (await again.send("POST", "/v1/instance", b"{}", later)).status in (200, 201), "tickets of the backend count as before"


async def test_attack_a_restart_gives_no_name_back_to_who_took_it(start_exchange: Any, legacy: Any, phone: Any, lasting: Any) -> None:
    first = await start_exchange(store=lasting)
    _, ticket = await squat(partial(legacy, url=first.url))
    await first.close()
    second = await start_exchange(store=lasting)
    assert await log_in(partial(legacy, url=second.url)) == 200
    await phone("ada", url=second.url).registered()
    assert await log_in(partial(legacy, url=second.url)) == 401
    await second.close()
    third = await start_exchange(store=lasting)
    assert await log_in(partial(legacy, url=third.url)) == 401
    assert (await legacy("ada", url=third.url).send("POST", "/v1/instance", b"{}", ticket)).status == 401


async def test_a_name_that_its_owner_came_with_first_is_not_taken(legacy: Any, phone: Any) -> None:
    ada = await phone("ada").registered()
    assert (await legacy("ada").as_application("POST", "/v1/users", user("ada"))).status == 409
    assert (await ada.registered()).instance == ada.instance


PAGES = {
    "https://evil.example": 403,
    "http://127.0.0.1.evil.example": 403,
    "null": 403,
    "http://localhost:3000": 200,
    "http://127.0.0.1:8080": 200,
    "https://[::1]": 200,
}


@pytest.mark.parametrize(("origin", "status"), PAGES.items())
async def test_attack_any_web_page_that_knows_the_key_makes_users_and_guesses_passwords(legacy: Any, origin: str, status: int) -> None:
    ada = legacy("ada")
    headers = {"Content-Type": "application/json", "Authorization": "application acme", "Origin": origin}
    async with ada.session.post(f"{ada.url}/v1/users", json=user("ada"), headers=headers) as answer:
        assert answer.status == status, await answer.text()
    body = {"password": "guess-it"}
    async with ada.session.post(f"{ada.url}/v1/users/username/ada/authentication", json=body, headers=headers) as answer:
        assert answer.status == (403 if status == 403 else 401)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4600", "127.0.0.1.evil.example", "192.0.2.1", "localhost.evil.example"])
async def test_attack_a_page_reaches_the_exchange_under_a_name_of_its_own(legacy: Any, exchange: Any, host: str) -> None:
    """DNS rebinding: the name leads to 127.0.0.1, and for the browser the page is at home there."""
    async with legacy("x").session.get(f"{exchange.url}/v1/timestamp/", headers={"Host": host}) as answer:
        assert answer.status == 403
    for own in (f"127.0.0.1:{exchange.port}", f"localhost:{exchange.port}", "phone.localhost", "[::1]:4600"):
        async with legacy("x").session.get(f"{exchange.url}/v1/timestamp/", headers={"Host": own}) as answer:
            assert answer.status == 200, own


async def test_an_exchange_that_others_reach_is_asked_by_any_name(start_exchange: Any, http: Any) -> None:
    exchange = await start_exchange(host="0.0.0.0")
    async with http.get(f"http://127.0.0.1:{exchange.port}/v1/timestamp/", headers={"Host": "phone.example.org"}) as answer:
        assert answer.status == 200
