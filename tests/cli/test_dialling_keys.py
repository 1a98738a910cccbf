"""Keys that dial, in a call at a terminal; the terminal is made of nothing."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import pytest

from sinchphone.cli.commands import call as command
from sinchphone.cli.terminal.session import Session
from sinchphone.protocol.call_vocabulary import Cause, State

UP = (State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)


class FakeKeys:
    """Somebody who types at once what they are told to."""

    typed: asyncio.Queue[str]

    def __init__(self, stream: object) -> None:
        FakeKeys.typed = asyncio.Queue()
        self.usable = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def restore(self) -> None:
        pass

    def forget(self) -> None:
        pass

    async def press(self) -> str:
        return await self.typed.get()


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
    assert "q hang up   m mute   0-9 * # dial   d next sound device   ? help" in ran.err
    assert platform.calls[0].dialled == []
    assert "muted" in ran.err


def test_digits_pressed_faster_than_they_can_be_sent_are_dropped_at_some_point(
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
    assert sinchphone("call", "bob").code == 0
    assert platform.calls[0].dialled == ["1"]


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
