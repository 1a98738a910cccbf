"""Requests over HTTP that the exchange's store refuses: 503, and everything is as it was, now and after a restart."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.directory.identity import management_token
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.store.tables import Row, Table
from sinchphone.exchange.voice_api.assigned_numbers import Capability
from sinchphone.protocol.verification import VerificationMethod
from sinchphone.tasks import start_task
from tests.disk import refusing
from tests.exchange.backend_apis.conftest import Backend, Developer

NUMBER = "+46700000001"
TOKEN = {"Authorization": f"Bearer {management_token(b'a' * 16)}"}
VERIFICATIONS = "/verification/v1/verifications"
BY_NUMBER = f"{VERIFICATIONS}/number/{NUMBER}"
START = {"identity": {"type": "number", "endpoint": NUMBER}, "method": "sms"}
CALLBACKS = "/v1/configuration/callbacks/applications/acme"

Make = Callable[[], Awaitable[Exchange]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "exchange.sqlite3"


@pytest.fixture
def make(start_exchange: Any, database: Path) -> Make:
    async def once() -> Exchange:
        made: Exchange = await start_exchange(store=database)
        return made

    return once


@pytest.fixture
async def there(make: Make, http: aiohttp.ClientSession) -> Developer:
    return Developer(await make(), http, Backend())


async def settle(developer: Developer, legacy: Any) -> None:
    """Something of everything that an exchange remembers."""
    exchange = developer.exchange
    ada = await legacy("ada", url=exchange.url).started()
    await legacy("bob", url=exchange.url).started()
    await ada.write_to("bob")
    who = {"userId": "carol", "email": "carol@example.org", "password": "correct horse"}
    assert (await developer.basic("POST", "/__sinchphone/users", who))[0] == 201
    assert (await developer.ask("POST", VERIFICATIONS, START))[0] == 200
    assert (await developer.ask("POST", "/v1/configuration/numbers", {"numbers": [NUMBER]}))[0] == 200


def known(exchange: Exchange) -> dict[str, Any]:
    acme = exchange.directory.application("acme")
    assert acme is not None
    verification = exchange._verifications.kept.of_number("acme", VerificationMethod.SMS, NUMBER)
    return {
        "users": {user: sorted(devices) for user, devices in acme.users.items()},
        "channels": sorted(acme.transport_channels.values()),
        "names": {user: account.identities for user in acme.users if (account := exchange._accounts.account(acme, user)) is not None},
        "messages": exchange._postbox.waiting_frames(),
        "circles": sorted(sorted(one.users) for one in exchange._transports._transports.values()),
        "opened": dict(exchange._transports._opened),
        "texts": [one.text for one in exchange.sms.messages("acme")],
        "numbers": list(exchange._numbers.of("acme")),
        "verification": verification,
    }


KEPT = ("devices", "accounts", "identities", "transports", "messages", "text_messages", "verifications", "assigned_numbers")


@pytest.mark.parametrize("table", KEPT)
async def test_a_reset_that_the_store_refuses_leaves_everything_as_it_was(
    there: Developer, make: Make, legacy: Any, database: Path, table: str
) -> None:
    await settle(there, legacy)
    before = known(there.exchange)
    with refusing(database, table, "DELETE"):
        assert (await there.basic("POST", "/__sinchphone/reset"))[0] == 503
        assert known(there.exchange) == before
    await there.exchange.close()
    again = await make()
    assert known(again) == before
    assert (await Developer(again, there.session, there.backend).basic("POST", "/__sinchphone/reset"))[0] == 200
    assert known(again)["users"] == {} and known(again)["numbers"] == []


async def test_a_user_whom_the_store_does_not_let_go_still_listens(there: Developer, legacy: Any, database: Path) -> None:
    ada = await legacy("ada", url=there.exchange.url).started()
    _, token = await ada.poll()
    listening = start_task(ada.poll(token), name="poll")
    device = there.exchange.directory.device(ada.instance)
    assert device is not None
    async with asyncio.timeout(20):
        while there.exchange.directory.is_silent(device):
            await asyncio.sleep(0.01)
    with refusing(database, "devices", "DELETE"):
        assert (await there.basic("DELETE", "/__sinchphone/users/ada"))[0] == 503
    assert not listening.done()
    assert (await there.basic("DELETE", "/__sinchphone/users/ada"))[0] == 200
    async with asyncio.timeout(20):
        await asyncio.wait([listening])
    assert (await ada.ask("GET", "/v1/configuration/user")).status == 401


@pytest.mark.parametrize("table", ["verifications", "text_messages"])
async def test_a_verification_that_the_store_does_not_take_sends_no_code_and_leaves_the_one_before(
    there: Developer, database: Path, table: str
) -> None:
    assert (await there.ask("POST", VERIFICATIONS, START))[0] == 200
    before = known(there.exchange)
    with refusing(database, table):
        assert (await there.ask("POST", VERIFICATIONS, START))[0] == 503
    assert known(there.exchange) == before
    assert before["verification"].status == "PENDING"


async def test_a_right_code_that_the_store_does_not_take_may_be_told_again_and_counts_once(there: Developer, database: Path) -> None:
    assert (await there.ask("POST", VERIFICATIONS, START))[0] == 200
    code = {"method": "sms", "sms": {"code": known(there.exchange)["verification"].code}}
    with refusing(database, "verifications", "UPDATE"):
        assert (await there.ask("PUT", BY_NUMBER, code))[0] == 503
    assert (await there.ask("GET", f"{VERIFICATIONS}/sms/number/{NUMBER}"))[1]["status"] == "PENDING"
    assert (await there.ask("PUT", BY_NUMBER, code))[1]["status"] == "SUCCESSFUL"
    assert (await there.ask("PUT", BY_NUMBER, code))[0] == 400


async def test_a_number_that_the_store_does_not_let_go_is_still_assigned(there: Developer, database: Path) -> None:
    assert (await there.ask("POST", "/v1/configuration/numbers", {"numbers": [NUMBER]}))[0] == 200
    with refusing(database, "assigned_numbers", "DELETE"):
        assert (await there.ask("DELETE", "/v1/configuration/numbers", {"number": NUMBER}))[0] == 503
    assert known(there.exchange)["numbers"] == [(NUMBER, Capability.VOICE)]


class SharedStore:
    """What several processes share of callbacks, which takes changes or doesn't."""

    def __init__(self) -> None:
        self.rows: dict[str, Sequence[Any]] = {}
        self.is_full = False

    def put(self, table: Table, *row: Any) -> None:
        self.rows[row[0]] = row

    def drop(self, table: Table, *key: Any) -> None:
        self.rows.pop(key[0], None)

    def mark(self) -> int:
        return 0

    async def settle(self, since: int = 0) -> None:
        if self.is_full:
            raise StoreError("the exchange can't keep this at the moment")

    async def read(self, table: Table) -> list[Row]:
        return []


async def test_callbacks_that_the_store_does_not_take_go_where_they_went_before(developer: Developer) -> None:
    async def primary() -> str:
        return str((await developer.ask("GET", CALLBACKS))[1]["url"]["primary"])

    async def set_to(url: str) -> int:
        return (await developer.ask("POST", CALLBACKS, {"url": {"primary": url}}))[0]

    shared = SharedStore()
    developer.exchange._configuration._store = shared  # type: ignore[assignment]
    shared.is_full = True
    assert await set_to("http://127.0.0.1:9/first") == 503
    assert (await primary(), shared.rows) == ("", {})
    shared.is_full = False
    assert await set_to("http://127.0.0.1:9/second") == 200
    shared.is_full = True
    assert await set_to("http://127.0.0.1:9/third") == 503
    assert (await primary(), shared.rows["acme"][1]) == ("http://127.0.0.1:9/second", "http://127.0.0.1:9/second")
