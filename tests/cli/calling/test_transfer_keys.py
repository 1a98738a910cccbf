"""The key ``t``: asks where to, and transfers; with two calls it joins the two others."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from sinchphone.cli.calling import outgoing as call_command
from sinchphone.cli.calling.in_call.transferring import TransferKeys
from sinchphone.cli.commands import listen as listen_command
from sinchphone.cli.terminal.keyboard.parser import Paste
from sinchphone.cli.terminal.screen.status_line import Status, status_text
from sinchphone.cli.terminal.session import Session
from sinchphone.engine.calls.call import Transferred
from sinchphone.errors import TransferError
from sinchphone.protocol.call.states import Cause, State
from sinchphone.signaling.dialect import Domain
from tests.cli.calling.fake_keys import FakeKeys
from tests.cli.calling.test_call_waiting import both_talk
from tests.waiting import until

Run = Callable[..., Any]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Status]:
    drawn: list[Status] = []
    monkeypatch.setattr(call_command, "Keys", FakeKeys)
    monkeypatch.setattr(listen_command, "Keys", FakeKeys)
    monkeypatch.setattr(Session, "draw", lambda self, status: drawn.append(status))
    return drawn


def type_in(*keys: Any) -> None:
    for key in keys:
        FakeKeys.typed.put_nowait(key)


def reached(call: Any, asked: list[Any]) -> None:
    async def transfer(to: Any) -> None:
        asked.append(to if isinstance(to, str) else to.id)
        await call.hang_up()
        if not isinstance(to, str):
            await to.hang_up()

    call.transfer = transfer


async def established(call: Any) -> None:
    call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
    await asyncio.sleep(0.05)


def test_t_asks_where_to_and_the_call_ends_as_transferred(platform: Any, sinchphone: Run, shown: list[Status]) -> None:
    asked: list[str] = []

    async def script(call: Any) -> None:
        reached(call, asked)
        await established(call)
        type_in("t", *"caql", "\x7f", "\x7f", Paste("rol"))
        await until(lambda: "transfer to: carol_" in status_text(shown[-1]))
        assert not call.is_joined
        type_in("\n")
        await until(lambda: call.state is State.ENDED)

    platform.outgoing = script
    ran = sinchphone("call-user", "bob", "--json")
    assert asked == ["carol"]
    assert (ran.code, ran.events[-1]["calls"][0]["reason"]) == (0, "you transferred the call")


@pytest.mark.parametrize(("columns", "shown"), [(220, f"to: {'x' * 90}carol_"), (79, "xxxcarol_   Enter, Esc"), (39, "to: …xxxxxxcarol_")])
def test_of_a_long_name_that_is_typed_its_end_is_seen_at_every_width(columns: int, shown: str) -> None:
    keys = TransferKeys(cast("Any", None), cast("Any", None))
    keys.begin()
    keys.take(Paste("x" * 90 + "carol"))
    status = Status("established", "bob", 65, muted=True, codec="opus", lost_percent=0.5, digits="12#", keys=keys.hints)
    assert shown in status_text(status, columns)
    assert status_text(status, columns, ascii_only=True).isascii() and "u2026" not in status_text(status, columns, ascii_only=True)


def test_nothing_typed_cancels_and_a_refusal_is_said_and_the_call_goes_on(platform: Any, sinchphone: Run, shown: list[Status]) -> None:
    async def script(call: Any) -> None:
        async def transfer(to: str) -> None:
            raise TransferError(f"{to} was not reached: busy", status=486)

        call.transfer = transfer
        await established(call)
        type_in("t", "x", "\x15", "\n", "t", "\x7f", "t", *"dora", "\x1b", "t", *"not a user!", "\n", "t", *"carol", "\n")
        await asyncio.sleep(0.1)
        assert call.state is State.ESTABLISHED
        type_in("m")
        await until(lambda: call.muted)
        type_in("q")
        await until(lambda: call.state is State.ENDED)

    platform.outgoing = script
    ran = sinchphone("call-user", "bob", "--json")
    warnings = [event["message"] for event in ran.events if event["event"] == "warning"]
    assert any("carol was not reached: busy" in message for message in warnings)
    assert any("neither a number nor a user" in message for message in warnings)
    assert ran.events[-1]["calls"][0]["reason"] == "you hung up"


@pytest.mark.parametrize("able", [True, False])
def test_with_two_calls_t_joins_the_two_others(platform: Any, sinchphone: Run, shown: list[Status], able: bool) -> None:
    asked: list[str] = []

    async def script(first: Any) -> None:
        second = await both_talk(platform, first)

        async def takes_none(to: Any) -> None:
            raise TransferError("it takes no transfers", status=501)

        reached(first, asked)
        reached(second, asked)
        if not able:
            second.transfer = takes_none
        type_in("t")
        await until(lambda: first.state is State.ENDED and second.state is State.ENDED)

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--count", "2", "--for", "15s", "--json")
    assert asked == (["call-bob"] if able else ["call-carol"])
    assert {call["reason"] for call in ran.events[-1]["calls"]} == {"you transferred the call"}


def test_who_is_transferred_is_told_and_the_line_names_the_other_one(platform: Any, sinchphone: Run, shown: list[Status]) -> None:
    async def script(call: Any) -> None:
        await established(call)
        call.peer = "carol"
        call.told.put(Transferred(peer="carol", domain=Domain.MXP))
        await until(lambda: shown[-1].peer == "carol")
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call-user", "bob", "--json")
    [told] = [event for event in ran.events if event["event"] == "call.transferred"]
    assert (told["peer"], told["domain"], told["call_id"]) == ("carol", "mxp", "call-bob")
