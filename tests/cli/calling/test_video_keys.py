"""The keys of pictures: ``v`` pauses and shows them, and where a call has none it does nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.cli.calling import outgoing as call_command
from sinchphone.cli.terminal.session import Session
from sinchphone.protocol.call.states import Cause, State
from tests.cli.calling.fake_keys import FakeKeys
from tests.waiting import until

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_command, "Keys", FakeKeys)


def with_pictures(call: Any) -> None:
    """Give the fake call pictures that may be paused."""
    call.has_video, call.video_paused = True, False

    def pause(*, paused: bool) -> None:
        call.video_paused = paused

    call.pause_video, call.resume_video = lambda: pause(paused=True), lambda: pause(paused=False)


def press(*keys: str) -> None:
    for key in keys:
        FakeKeys.typed.put_nowait(key)


def test_v_pauses_the_picture_and_shows_it_again_once_there_is_a_call(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        with_pictures(call)
        press("v")  # too early: nobody sees anything yet
        await asyncio.sleep(0.05)
        assert not call.video_paused
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        press("v")
        await until(lambda: call.video_paused)
        press("p", "v")  # where no picture is shown ``p`` changes nothing
        await until(lambda: not call.video_paused)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call-user", "bob", "--json")
    assert [event["paused"] for event in ran.events if event["event"] == "video.paused"] == [True, False]


def test_in_a_call_of_sound_v_does_nothing_and_no_help_names_it(platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []
    monkeypatch.setattr(Session, "note", lambda self, text: noted.append(text))

    async def script(call: Any) -> None:
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        press("v", "p", "?")
        await until(lambda: any("hang up" in each or "q" in each for each in noted))
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call-user", "bob", "--json")
    assert not [event for event in ran.events if event["event"] == "video.paused"]
    assert not any("picture" in each for each in noted)
