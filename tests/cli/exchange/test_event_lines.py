"""An exchange in a terminal prints a line for each event; where nobody reads, it drops lines and goes on."""

import asyncio
import io
import os
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from sinchphone.cli.commands.exchange.event_lines import tell_events
from sinchphone.exchange.options import ExchangeOptions
from sinchphone.exchange.server import Exchange
from sinchphone.tasks import start_task

SECRET = "YWFhYWFhYWFhYWFhYWFhYQ=="


@dataclass
class Told:
    """A session that keeps what it is told."""

    report: Any = None
    events: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tell(self, event: Any) -> None:
        self.events.append(event)

    def note(self, text: str) -> None:
        self.notes.append(text)


async def told(session: Told, hosted: Exchange, calls: int) -> None:
    telling = start_task(tell_events(session, hosted), name="events")  # type: ignore[arg-type]
    await asyncio.sleep(0)
    for n in range(calls):
        hosted.record.began(f"c{n}", application="acme", caller="ada", callee="bob\x1b[2J")
        await asyncio.sleep(0.001)
    telling.cancel()
    await asyncio.wait([telling])


async def test_a_line_comes_for_each_event() -> None:
    session = Told()
    await told(session, Exchange(ExchangeOptions(port=0, applications={"acme": SECRET})), 3)
    assert [(one.way, one.call_id) for one in session.events] == [("call", "c0"), ("call", "c1"), ("call", "c2")]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes there can't be asked")
async def test_where_nobody_reads_lines_are_dropped_and_the_exchange_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 65_536)
    except BlockingIOError:
        pass
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(fileno=lambda: writer))
    session = Told()
    await told(session, Exchange(ExchangeOptions(port=0, applications={"acme": SECRET})), 3)
    assert session.events == []
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # no descriptor: nothing that could make us wait
    await told(session, Exchange(ExchangeOptions(port=0, applications={"acme": SECRET})), 2)
    assert len(session.events) == 2
    os.close(reader)
    os.close(writer)
