"""What backends have told an exchange is still known when it starts again: verifications and numbers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.exchange.options import ExchangeOptions, StoreAddress
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store import tables
from sinchphone.exchange.store.sqlite import FILE_NAME, SqliteStore
from sinchphone.exchange.store.store import StoreError
from sinchphone.exchange.store.tables import ASSIGNED_NUMBERS, Row, Table
from tests.exchange.backend_apis.conftest import SECRETS, Backend, Developer

ON_BOTH_STORES = (
    "test_a_code_that_went_out_counts_after_a_restart",
    "test_who_guesses_gets_no_more_tries_by_a_restart",
    "test_a_code_that_was_replaced_stays_void",
    "test_numbers_stay_assigned",
)
VERIFICATIONS = "/verification/v1/verifications"
NUMBERS = "/v1/configuration/numbers"
NUMBER = "+46700000001"
Start = Callable[[], AbstractAsyncContextManager[Developer]]


@pytest.fixture
def start(lasting: Path | StoreAddress) -> Start:
    """An exchange with the same store each time."""

    @asynccontextmanager
    async def once() -> AsyncIterator[Developer]:
        options = ExchangeOptions(applications=SECRETS, port=0, store=lasting)
        async with Exchange(options) as exchange, aiohttp.ClientSession() as session:
            yield Developer(exchange, session, Backend())

    return once


async def begin(developer: Developer, **more: Any) -> tuple[str, str]:
    """Its path, and the code that went out."""
    wanted = {"identity": {"type": "number", "endpoint": NUMBER}, "method": "sms", "reference": "order 7", **more}
    status, said = await developer.ask("POST", VERIFICATIONS, wanted)
    assert status == 200, said
    texts = (await developer.basic("GET", "/__sinchphone/sms"))[1]["messages"]
    return f"{VERIFICATIONS}/id/{said['id']}", texts[-1]["text"][-4:]


def report(code: str) -> dict[str, Any]:
    return {"method": "sms", "sms": {"code": code}}


def another(code: str) -> str:
    return "0000" if code != "0000" else "1111"


async def test_a_code_that_went_out_counts_after_a_restart(start: Start) -> None:
    async with start() as before:
        path, code = await begin(before)
        assert (await before.ask("PUT", path, report(another(code))))[0] == 400
    async with start() as after:
        assert (await after.ask("GET", f"{VERIFICATIONS}/reference/order%207"))[1]["status"] == "PENDING"
        assert (await after.ask("PUT", f"{VERIFICATIONS}/number/{NUMBER}", report(code)))[1]["status"] == "SUCCESSFUL"
    async with start() as again:
        assert (await again.ask("GET", path))[1]["status"] == "SUCCESSFUL"
        assert (await again.ask("PUT", path, report(code)))[0] == 400, "a code counts once"


async def test_who_guesses_gets_no_more_tries_by_a_restart(start: Start) -> None:
    async with start() as before:
        path, code = await begin(before)
        await asyncio.gather(*(before.ask("PUT", path, report(another(code))) for _ in range(4)))
    async with start() as after:
        assert (await after.ask("PUT", path, report(another(code))))[0] == 400
        status, said = await after.ask("GET", path)
        assert (status, said["status"], said["reason"]) == (200, "FAIL", "Invalid code")


async def test_a_code_that_was_replaced_stays_void(start: Start) -> None:
    async with start() as before:
        path, _ = await begin(before)
        await begin(before)
    async with start() as after:
        assert (await after.ask("GET", path))[1]["status"] == "ABORTED"


async def test_numbers_stay_assigned(start: Start) -> None:
    async with start() as before:
        assert (await before.ask("POST", NUMBERS, {"numbers": [NUMBER, "+46700000002"]}))[0] == 200
        assert (await before.ask("POST", NUMBERS, {"numbers": [NUMBER], "capability": "sms"}))[0] == 200
        assert (await before.ask("DELETE", NUMBERS, {"number": "+46700000002"}))[0] == 200
    async with start() as after:
        listed = (await after.ask("GET", NUMBERS))[1]["numbers"]
        assert [(one["number"], one["capability"]) for one in listed] == [(NUMBER, "voice"), (NUMBER, "sms")]
        assert (await after.ask("POST", NUMBERS, {"numbers": [NUMBER]}, key="globex"))[0] == 403


async def test_a_reset_forgets_them_for_good(start: Start) -> None:
    async with start() as before:
        path, _ = await begin(before)
        assert (await before.ask("POST", NUMBERS, {"numbers": [NUMBER]}))[0] == 200
        assert (await before.basic("POST", "/__sinchphone/reset"))[0] == 200
    async with start() as after:
        assert (await after.ask("GET", path))[0] == 404
        assert (await after.ask("GET", NUMBERS))[1] == {"numbers": []}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (tables.VERIFICATIONS, ("acme", "x", "{}", 9e15)),
        (tables.VERIFICATIONS, ("acme", "x", "no JSON", 9e15)),
        (ASSIGNED_NUMBERS, ("acme", "+46700000001", "fax")),
    ],
)
async def test_what_can_not_be_read_is_said_when_it_starts(start: Start, tmp_path: Path, table: Table, row: Row) -> None:
    store = SqliteStore(tmp_path / FILE_NAME)
    await store.open()
    store.put(table, *row)
    await store.close()
    with pytest.raises(StoreError, match="can't be read"):
        async with start():
            pass
