"""Keys that dial, in a call at a terminal; the terminal is made of nothing."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.cli.calling import outgoing as command
from sinchphone.cli.terminal.keyboard.parser import Paste
from sinchphone.cli.terminal.session import Session
from sinchphone.protocol.call.states import Cause, State
from tests.cli.calling.fake_keys import FakeKeys

UP = (State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The status lines that a terminal would have shown."""
    seen: list[Any] = []
    monkeypatch.setattr(command, "Keys", FakeKeys)
    monkeypatch.setattr(Session, "draw", lambda self, status: seen.append(status))
    return seen


async def press(keys: str) -> None:
    for key in keys:
        FakeKeys.typed.put_nowait(key)
    await asyncio.sleep(0.4)  # more than one redraw


def test_keys_dial_once_the_call_is_established_and_the_status_shows_them(
    platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]
) -> None:
    async def script(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING)
        await press("7")
        call.enter(State.ANSWERED, State.ESTABLISHED)
        await press("12*#0")
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--json")
    assert platform.calls[0].dialled == list("12*#0")
    assert [event["digits"] for event in ran.events if event["event"] == "dtmf.sent"] == list("12*#0")
    assert drawn[-1].digits == "12*#0"
    assert drawn[0].digits == ""


def test_the_status_shows_the_last_digits_only(platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        await asyncio.sleep(0.1)
        await press("0123456789" * 2)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    assert sinchphone("call", "bob").code == 0
    assert drawn[-1].digits == "890123456789"


def test_help_names_the_keys_that_dial_and_other_keys_dial_nothing(platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        await asyncio.sleep(0.1)
        await press("?zwWAB\n ")
        await press("m")
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob")
    assert "q hang up   m mute   h hold   r record   t transfer   s statistics\n0-9 * # dial   ? help\n" in ran.err
    assert platform.calls[0].dialled == []
    assert "muted" in ran.err


def test_digits_pressed_faster_than_they_can_be_sent_are_dropped_at_some_point_and_that_is_said(
    platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]
) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        await asyncio.sleep(0.1)
        call.refuses_digits = None
        stuck = asyncio.Event()

        async def wait(digits: str) -> None:
            call.dialled.append(digits)
            await stuck.wait()

        call.dtmf = wait
        await press("1" * 500)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob")
    assert ran.code == 0
    assert platform.calls[0].dialled == ["1"]
    assert re.search(r"warning: 24[34] digits not dialled: too many at once", ran.err)


def test_50_pasted_digits_dial_50_in_one_go(platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]) -> None:
    pasted = "0123456789" * 5

    async def script(call: Any) -> None:
        call.enter(*UP)
        await asyncio.sleep(0.1)
        FakeKeys.typed.put_nowait(Paste(pasted))
        await press("")
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob")
    assert platform.calls[0].dialled == [pasted]
    assert "dropped" not in ran.err and "not dialled" not in ran.err


def test_50_digits_pasted_without_brackets_dial_50(platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        await asyncio.sleep(0.1)
        await press("5" * 50)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call", "bob")
    assert platform.calls[0].dialled == ["5"] * 50


@pytest.mark.parametrize(
    ("paste", "dialled", "said"),
    [
        (Paste("020-79 46 (0018)\n"), ["02079460018"], ""),
        (Paste("PIN 12#"), ["12#"], "pasted: 3 characters can't be dialled"),
        (Paste("q"), [], "pasted: 1 character can't be dialled"),
        (Paste("1" * 300), ["1" * 256], "44 digits not dialled: too many at once"),
        (Paste("12", 7), ["12"], "pasted: 7 characters can't be dialled"),
    ],
)
def test_what_is_pasted_dials_its_digits_obeys_no_letter_and_says_what_was_dropped(
    paste: Paste, dialled: list[str], said: str, platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]
) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        await asyncio.sleep(0.1)
        FakeKeys.typed.put_nowait(paste)
        await press("")
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob")
    assert platform.calls[0].dialled == dialled
    assert said in ran.err
    assert "bob hung up" in ran.out


def test_a_paste_before_the_call_is_established_is_told_when_it_can_be_dialled(
    platform: Any, sinchphone: Callable[..., Any], drawn: list[Any]
) -> None:
    async def script(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING)
        await asyncio.sleep(0.1)
        FakeKeys.typed.put_nowait(Paste("12"))
        await press("")
        call.end(Cause.DENIED, "peer")

    platform.outgoing = script
    assert "pasted digits can be dialled once you are connected" in sinchphone("call", "bob").err


def test_a_listener_dials_after_each_answer(platform: Any, sinchphone: Callable[..., Any]) -> None:
    async def script(call: Any) -> None:
        await call.answers.wait()
        while not call.dialled:
            await asyncio.sleep(0.01)
        call.end(Cause.HUNG_UP, "peer")

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--auto-answer", "--once", "--dtmf", "42#")
    assert ran.code == 0
    assert platform.calls[0].dialled == ["42#"]
