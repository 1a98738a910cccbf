"""The key ``h``: holds and resumes, and the line and the events say who holds."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.cli.calling import outgoing as call_command
from sinchphone.cli.terminal.screen.status_line import Status, status_text
from sinchphone.cli.terminal.session import Session
from sinchphone.engine.calls.hold import Held
from sinchphone.protocol.call.states import Cause, State
from tests.cli.calling.fake_keys import FakeKeys
from tests.waiting import until

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_command, "Keys", FakeKeys)


def test_h_holds_and_resumes_and_a_peer_that_is_not_told_is_named(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Status] = []
    monkeypatch.setattr(Session, "draw", lambda self, status: shown.append(status))

    async def script(call: Any) -> None:
        FakeKeys.typed.put_nowait("h")  # too early: nothing to hold yet
        await asyncio.sleep(0.05)
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        assert not call.held_by_us
        call.is_told_of_holds = False
        FakeKeys.typed.put_nowait("h")
        await until(lambda: call.held_by_us and shown[-1].hold == "ON HOLD")
        FakeKeys.typed.put_nowait("h")
        await until(lambda: not call.held_by_us)
        call.held_by_peer = True
        call.told.put(Held(by_us=False))
        await until(lambda: shown[-1].hold == "THEY HOLD")
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call-user", "bob", "--json")
    holds = [(event["event"], event["by"], event["agreed"]) for event in ran.events if event["event"] in ("call.held", "call.resumed")]
    assert holds == [("call.held", "us", False), ("call.resumed", "us", True), ("call.held", "peer", True)]


def test_the_line_says_who_holds_in_place_of_how_loud_it_is() -> None:
    for ours, theirs, words in ((True, False, "ON HOLD"), (False, True, "THEY HOLD"), (True, True, "BOTH HOLD")):
        text = status_text(Status("established", "bob", 65.0, held_by_us=ours, held_by_peer=theirs), 80)
        assert words in text
        assert "you" not in text
        assert "far" not in text
