"""Hold towards a peer whose client knows of no later offers, or takes none: it counts here all the same, and is said so."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinchphone.engine.calls import hold
from sinchphone.engine.calls.hold import Held, Resumed
from sinchphone.media.port import PortStats, Redirected
from sinchphone.protocol.mxp.message import Method
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.tasks import start_task
from tests.engine.test_engine_restart import Harness, talking


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Harness, list[Any]]]:
    monkeypatch.setattr(hold, "ANSWER_S", 0.1)
    harness, events = await talking(PortStats()), list[Any]()

    async def read() -> None:
        async for event in harness.call.events():
            if isinstance(event, Held | Resumed):
                events.append(event)

    task = start_task(read(), name="read")
    yield harness, events
    await harness.end()
    await task


async def test_a_peer_that_never_answers_is_on_hold_and_was_not_told(told: tuple[Harness, list[Any]]) -> None:
    harness, events = told
    await harness.call.hold()
    assert harness.call.held_by_us
    await harness.until(lambda: events == [Held(by_us=True, agreed=False)])
    assert harness.media.log == ["reoffer sendonly"]
    await harness.call.resume()
    await harness.until(lambda: events[1:] == [Resumed(by_us=True, agreed=False)])
    assert harness.media.log == ["reoffer sendonly", "reoffer sendrecv"]


async def test_the_answer_of_the_peer_is_taken_and_said(told: tuple[Harness, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "ANSWER_S", 10)
    harness, events = told
    await harness.call.hold()
    await harness.until(lambda: len(harness.described()) == 1)
    harness.hear(Method.PEER_EVENT, Description("answer", "v=0 recvonly"))
    await harness.until(lambda: events == [Held(by_us=True, agreed=True)])
    assert "v=0 recvonly" in harness.media.log[-1]


async def test_an_offer_that_cannot_be_made_is_said_at_once(told: tuple[Harness, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "ANSWER_S", 60)
    harness, events = told
    harness.media.refuses = True
    await harness.call.hold()
    await harness.until(lambda: events == [Held(by_us=True, agreed=False)])


async def test_hold_and_resume_at_once_are_told_one_after_the_other(told: tuple[Harness, list[Any]]) -> None:
    harness, events = told
    await harness.call.hold()
    await harness.call.hold()
    await harness.call.resume()
    assert not harness.call.held_by_us
    await harness.until(lambda: [type(event) for event in events] == [Held, Resumed])


async def test_the_hold_of_the_peer_is_what_its_port_agreed_to(told: tuple[Harness, list[Any]]) -> None:
    harness, events = told
    for direction in ("recvonly", "inactive", "sendonly", "sendrecv", "inactive"):
        harness.media.queue.put_nowait(Redirected(direction=direction))
    await harness.until(lambda: len(events) == 3)
    assert events == [Held(by_us=False), Resumed(by_us=False), Held(by_us=False)]
    assert harness.call.held_by_peer
    await asyncio.sleep(0)
