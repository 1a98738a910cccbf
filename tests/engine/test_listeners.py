"""Listeners are called in the order in which they were added, whatever one of them does."""

import asyncio
import logging

import pytest

from sinchphone.engine.events.listeners import Listeners, ListenerTasks

PATIENCE_S = 10.0


class Sink:
    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.tasks = ListenerTasks()
        self.listeners = Listeners[int](self.tasks)

    def add(self, name: str) -> None:
        self.listeners.add(lambda event: self.heard.append((name, event)))

    def fail(self, event: int) -> None:
        self.heard.append(("fails", event))
        raise ValueError("no good")


@pytest.fixture
def sink() -> Sink:
    return Sink()


def test_they_are_called_in_the_order_in_which_they_were_added(sink: Sink) -> None:
    for name in "abc":
        sink.add(name)
    sink.listeners.tell(1)
    sink.listeners.tell(2)
    assert sink.heard == [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2), ("c", 2)]


def test_one_that_raises_keeps_none_of_the_others_from_hearing_and_is_logged(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    sink.add("before")
    sink.listeners.add(sink.fail)
    sink.add("after")
    for event in (1, 2):
        sink.listeners.tell(event)
    assert sink.heard == [(name, event) for event in (1, 2) for name in ("before", "fails", "after")]
    faults = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(record.exc_info[1]) for record in faults if record.exc_info] == ["no good", "no good"]


def test_one_hears_what_is_told_from_when_it_was_added_until_it_is_removed(sink: Sink) -> None:
    heard: list[int] = []
    sink.listeners.tell(1)
    sink.listeners.add(heard.append)
    sink.listeners.tell(2)
    sink.listeners.remove(heard.append)
    sink.listeners.tell(3)
    assert heard == [2]


def test_one_that_is_added_twice_is_called_once_and_one_that_was_not_added_is_removed_in_peace(sink: Sink) -> None:
    sink.listeners.add(sink.fail)
    sink.listeners.add(sink.fail)
    sink.listeners.remove(print)
    sink.listeners.tell(1)
    assert sink.heard == [("fails", 1)]


def test_listeners_may_add_and_remove_listeners_while_they_hear(sink: Sink) -> None:
    def second(event: int) -> None:
        sink.heard.append(("second", event))

    def first(event: int) -> None:
        sink.heard.append(("first", event))
        sink.listeners.remove(first)
        sink.listeners.remove(second)
        sink.add("new")

    sink.listeners.add(first)
    sink.listeners.add(second)
    sink.listeners.tell(1)
    sink.listeners.tell(2)
    assert sink.heard == [("first", 1), ("new", 2)]


async def test_one_that_waits_holds_up_nobody_and_is_begun_in_its_turn(sink: Sink) -> None:
    go_on = asyncio.Event()

    async def wait(name: str, event: int) -> None:
        sink.heard.append((name, event))
        await go_on.wait()
        sink.heard.append((f"{name} done", event))

    sink.listeners.add(lambda event: wait("a", event))
    sink.add("b")
    sink.listeners.add(lambda event: wait("c", event))
    sink.listeners.tell(1)
    await asyncio.sleep(0)
    assert sink.heard == [("b", 1), ("a", 1), ("c", 1)]
    go_on.set()
    await sink.tasks.close(PATIENCE_S)
    assert sink.heard[3:] == [("a done", 1), ("c done", 1)]


async def test_one_that_waits_and_then_raises_is_logged_and_called_again(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(event: int) -> None:
        await asyncio.sleep(0)
        sink.fail(event)

    sink.listeners.add(fail)
    sink.listeners.tell(1)
    sink.listeners.tell(2)
    await sink.tasks.close(PATIENCE_S)
    assert sink.heard == [("fails", 1), ("fails", 2)]
    assert caplog.text.count("a listener failed: ValueError") == 2


async def test_those_that_go_on_for_too_long_are_cancelled_at_the_end(sink: Sink) -> None:
    async def forever(event: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            sink.heard.append(("cancelled", event))

    sink.listeners.add(forever)
    sink.listeners.tell(1)
    await asyncio.wait_for(sink.tasks.close(0.01), PATIENCE_S)
    assert sink.heard == [("cancelled", 1)]


async def test_one_of_them_may_be_who_ends_it(sink: Sink) -> None:
    ended = asyncio.Event()

    async def end(_: int) -> None:
        await sink.tasks.close(PATIENCE_S * 10)
        ended.set()

    sink.listeners.add(end)
    sink.listeners.tell(1)
    await asyncio.wait_for(ended.wait(), PATIENCE_S)
