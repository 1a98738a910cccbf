"""The fixtures' loop and what runs in it: all of it ends, whatever raises as it ends."""

import asyncio
import threading
from pathlib import Path

import pytest

from sinchphone.media.thread import MediaThread
from sinchphone.tasks import start_task
from sinchphone.testing.exchange import OwnExchange
from sinchphone.testing.loop_thread import LoopThread


class Stuck(Exception):
    pass


def test_what_still_runs_in_the_loop_is_cancelled_and_has_its_time_to_end() -> None:
    thread = LoopThread()
    ended = threading.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(3600.0)
        finally:
            await asyncio.sleep(0)
            ended.set()

    async def start() -> "asyncio.Task[None]":
        task = start_task(work(), name="work")
        await asyncio.sleep(0)
        return task

    thread.run(start())
    thread.close()
    assert ended.is_set()
    assert thread.loop.is_closed()


def test_threads_that_the_loop_had_started_end_with_it() -> None:
    thread = LoopThread()
    worker = thread.run(asyncio.to_thread(threading.current_thread))
    thread.close()
    assert not worker.is_alive()


def test_an_exchange_ends_its_other_phones_and_itself_where_a_phone_cant_be_closed(tmp_path: Path) -> None:
    thread = LoopThread()

    async def refuse() -> None:
        raise Stuck

    try:
        with MediaThread() as media:
            exchange = OwnExchange(tmp_path, thread, media, 10.0).open()
            ada, bob, eve = (exchange.phone(user) for user in ("ada", "bob", "eve"))
            bob_closes, eve_closes = bob.client.close, eve.client.close
            bob.client.close = eve.client.close = refuse  # type: ignore[method-assign]
            with pytest.raises(Stuck):
                exchange.close()
            assert not ada.client.is_started
            assert not exchange.local().hosting
            thread.run(bob_closes())
            thread.run(eve_closes())
    finally:
        thread.close()
