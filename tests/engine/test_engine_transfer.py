"""Asking a peer to call somebody else: what it says decides, and one that says nothing takes no transfers."""

import asyncio
import json
from typing import Any

import pytest

from sinchphone.engine.calls.transfers import transfer as transfer_module
from sinchphone.engine.calls.transfers.transfer import Transfer
from sinchphone.errors import LocalProtocolError, TransferError
from sinchphone.protocol.call.transfer_events import TransferNews
from sinchphone.tasks import cancel_all, start_task


class FakeDriver:
    """Keeps what is told to the peer, and answers with news at once."""

    def __init__(self, *news: TransferNews) -> None:
        self.told: list[dict[str, Any]] = []
        self.news = news
        self.transfer: Transfer | None = None

    def put(self, event: Any) -> None:
        self.told.append(json.loads(event.body))
        for one in self.news:
            assert self.transfer is not None
            self.transfer.heard(one)


def asking(*news: TransferNews) -> tuple[Transfer, FakeDriver]:
    driver: Any = FakeDriver(*news)
    driver.transfer = Transfer(driver)
    return driver.transfer, driver


async def test_the_peer_is_told_where_to_and_in_whose_place_and_its_last_word_decides() -> None:
    transfer, driver = asking(TransferNews(100), TransferNews(180), TransferNews(200))
    await transfer.ask("carol", "her-call")
    assert driver.told == [{"name": "Transfer", "to": "carol", "replaces": "her-call"}]


async def test_a_refusal_is_raised_with_its_number_and_the_next_may_be_asked() -> None:
    transfer, _ = asking(TransferNews(100), TransferNews(486, "Busy here"))
    for _ in range(2):
        with pytest.raises(TransferError, match="carol was not reached: Busy here") as refused:
            await transfer.ask("carol")
        assert refused.value.status == 486


@pytest.mark.parametrize(("news", "status", "words"), [((), 501, "takes no transfers"), ((TransferNews(100),), 408, "doesn't say")])
async def test_a_client_that_knows_of_no_transfers_is_told_from_one_that_is_lost(
    monkeypatch: pytest.MonkeyPatch, news: tuple[TransferNews, ...], status: int, words: str
) -> None:
    monkeypatch.setattr(transfer_module, "TAKEN_S", 0.01)
    monkeypatch.setattr(transfer_module, "OVER_S", 0.01)
    transfer, _ = asking(*news)
    with pytest.raises(TransferError, match=words) as failed:
        await transfer.ask("carol")
    assert failed.value.status == status


async def test_a_peer_that_leaves_has_gone_there_and_two_at_once_are_not_asked() -> None:
    transfer, _ = asking()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(transfer.ask("carol"))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError, match="under way"):
            await transfer.ask("dave")
        transfer.ended()
    assert first.done()


@pytest.mark.parametrize("to", ["", "x" * 300, "a\nb"])
async def test_what_is_nobody_is_not_asked_for(to: str) -> None:
    transfer, driver = asking()
    with pytest.raises(LocalProtocolError, match="leads to"):
        await transfer.ask(to)
    assert driver.told == []


async def test_attack_a_peer_that_says_for_ever_that_it_is_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "OVER_S", 0.05)
    transfer, _ = asking(TransferNews(100))

    async def try_on() -> None:
        while True:
            await asyncio.sleep(0.01)
            transfer.heard(TransferNews(100))

    trying = start_task(try_on(), name="tries")
    try:
        with pytest.raises(TransferError, match="doesn't say") as failed:
            await asyncio.wait_for(transfer.ask("carol"), 5.0)
        assert failed.value.status == 408
    finally:
        await cancel_all([trying])
