"""An exchange whose close is cancelled, at whatever step: it still lets go of all that it had."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.sqlite import check_unused
from sinchphone.exchange.store.store import StoreError
from sinchphone.tasks import start_task
from tests.exchange.conftest import SECRETS, Phone
from tests.waiting import cancelled_after, until


def is_unused(database: Path) -> bool:
    try:
        check_unused(database)
    except StoreError:
        return False
    return True


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13])
async def test_an_exchange_whose_close_is_cancelled_has_closed_its_store_and_its_port(turns: int, tmp_path: Path) -> None:
    database = tmp_path / "exchange.sqlite3"
    exchange = Exchange(ExchangeOptions(port=0, applications=SECRETS, store=database))
    await exchange.start()
    port = exchange.port
    with pytest.raises(StoreError, match="an exchange may use it"):
        check_unused(database)
    await cancelled_after(turns, exchange.close())
    await until(lambda: is_unused(database))  # its thread may have had its last order just now
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_a_poll_ends_where_the_close_of_the_exchange_is_cancelled(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    exchange = Exchange(ExchangeOptions(port=0, applications=SECRETS, store=tmp_path / "exchange.sqlite3"))
    await exchange.start()
    ada = await Phone(http, exchange.url, "ada").registered()
    token = (await ada.subscribe("broadcast"))["t"]["t"]
    poll = start_task(ada.subscribe("broadcast", token), name="poll")
    await until(lambda: exchange.readings().polls)
    assert await cancelled_after(1, exchange.close())
    _, pending = await asyncio.wait([poll], timeout=5.0)
    assert not pending
