"""A second caller, while a person at a terminal talks to the first; and the reminder of who talks into a muted microphone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sinchphone.audio.levels.activity import Activity
from sinchphone.audio.quality import Quality
from sinchphone.cli.calling import outgoing as call_command
from sinchphone.cli.commands import listen as listen_command
from sinchphone.cli.terminal.screen.status_line import KEYS_IN_CALL, KEYS_RINGING, hints_of_waiting
from sinchphone.cli.terminal.session import Session
from sinchphone.engine.calls.media.monitor import StatsTaken
from sinchphone.media.port import PortStats
from sinchphone.media.sound import DevicesChanged, Levels, Signal
from sinchphone.protocol.call.states import Cause, State
from tests.cli.calling.fake_keys import FakeKeys
from tests.waiting import until

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen_command, "Keys", FakeKeys)
    monkeypatch.setattr(call_command, "Keys", FakeKeys)


async def waits(call: Any) -> None:
    await asyncio.sleep(20)


async def answer(call: Any) -> None:
    await asyncio.sleep(0.05)  # until it rings here
    FakeKeys.typed.put_nowait("a")
    await until(lambda: call.state is State.ESTABLISHED)


async def talk(platform: Any, first: Any) -> Any:
    """The first call is answered, a second one comes and waits: the second."""
    await answer(first)
    second = platform.ring("carol", waits)
    await until(lambda: first.sound.signals[-1:] == [Signal.WAITING])
    return second


def endings(ran: Any) -> dict[str, str]:
    return {event["peer"]: event["reason"] for event in ran.events if event["event"] == "call.ended"}


@pytest.mark.parametrize("key", ["a", "\t"])
def test_a_second_caller_waits_and_a_key_holds_here_and_answers_there(platform: Any, sinchphone: Run, key: str) -> None:
    async def script(first: Any) -> None:
        second = await talk(platform, first)
        assert not second.rings, "the tone is heard, and no ringing over the talk"
        FakeKeys.typed.put_nowait(key)
        await until(lambda: second.state is State.ESTABLISHED)
        assert second.sound.signals == []
        assert (first.state, first.held_by_us, first.rests) == (State.ESTABLISHED, True, True)
        second.end(Cause.HUNG_UP, "peer")
        await until(lambda: not first.held_by_us and not first.rests)
        FakeKeys.typed.put_nowait("q")

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--count", "2", "--for", "15s", "--json")
    assert ran.code == 0
    assert endings(ran) == {"bob": "you hung up", "carol": "carol hung up"}
    assert platform.calls[0].sound.signals[-1] is None


async def both_talk(platform: Any, first: Any) -> Any:
    """A second call is answered; the first is on hold: the second."""
    second = await talk(platform, first)
    FakeKeys.typed.put_nowait("a")
    await until(lambda: second.state is State.ESTABLISHED and first.held_by_us)
    return second


def test_tab_goes_from_one_call_to_the_other_and_digits_are_for_the_one_in_front(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        second = await both_talk(platform, first)
        FakeKeys.typed.put_nowait("1")
        await until(lambda: second.dialled == ["1"])
        FakeKeys.typed.put_nowait("\t")
        await until(lambda: second.held_by_us and second.rests and not first.held_by_us and not first.rests)
        FakeKeys.typed.put_nowait("2")
        await until(lambda: first.dialled == ["2"])
        assert second.dialled == ["1"]
        FakeKeys.typed.put_nowait("q")
        await until(lambda: first.state is State.ENDED and not second.held_by_us)
        FakeKeys.typed.put_nowait("q")

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--count", "2", "--for", "15s", "--json")
    assert endings(ran) == {"bob": "you hung up", "carol": "you hung up"}


def test_both_calls_are_joined_by_a_key_and_parted_by_it_and_a_list_says_so(
    platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    shown: list[Any] = []
    monkeypatch.setattr(Session, "note", lambda self, text: notes.append(text))
    monkeypatch.setattr(Session, "draw", lambda self, status: shown.append(status))

    async def script(first: Any) -> None:
        second = await both_talk(platform, first)
        await until(lambda: shown[-1].other == "held: bob")
        FakeKeys.typed.put_nowait("j")
        await until(lambda: second.is_joined and not first.held_by_us)
        await until(lambda: shown[-1].other == "with bob")
        for key in ("l", "?"):
            FakeKeys.typed.put_nowait(key)
        await until(lambda: any("j part" in note for note in notes))
        FakeKeys.typed.put_nowait("j")
        await until(lambda: not second.is_joined and first.held_by_us)
        second.end(Cause.HUNG_UP, "peer")
        await until(lambda: not first.held_by_us)
        first.end(Cause.HUNG_UP, "peer")

    platform.incoming = [("bob", script)]
    sinchphone("listen", "--count", "2", "--for", "15s")
    assert "* carol 0:00, joined" in notes
    assert "  bob 0:00, joined" in notes
    assert "carol and bob are parted again" in notes


def test_a_third_caller_is_told_that_both_lines_are_busy(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        second = await both_talk(platform, first)
        third = platform.ring("dora", waits)
        await until(lambda: third.state is State.ENDED)
        assert third.declined == [True]
        second.end(Cause.HUNG_UP, "peer")
        await until(lambda: not first.held_by_us)
        first.end(Cause.HUNG_UP, "peer")
        await asyncio.sleep(0.05)
        FakeKeys.typed.put_nowait("q")

    platform.incoming = [("bob", script)]
    sinchphone("listen", "--for", "15s")


def test_while_a_second_call_waits_the_status_line_shows_who_and_its_keys(
    platform: Any, sinchphone: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(Session, "draw", lambda self, status: shown.append(status.keys))

    async def script(first: Any) -> None:
        second = await talk(platform, first)
        await until(lambda: shown[-1] == hints_of_waiting("carol"))
        second.end(Cause.CANCELED, "peer")
        await until(lambda: shown[-1] == KEYS_IN_CALL)
        first.end(Cause.HUNG_UP, "peer")

    platform.incoming = [("bob", script)]
    assert sinchphone("listen", "--for", "3s").code == 0
    assert shown[0] == KEYS_RINGING


def test_a_waiting_call_can_be_declined_or_silenced_and_the_first_goes_on(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        second = await talk(platform, first)
        FakeKeys.typed.put_nowait("i")
        await until(lambda: first.sound.signals[-1] is None)
        assert second.state is State.RINGING
        FakeKeys.typed.put_nowait("x")
        await until(lambda: second.state is State.ENDED)
        assert second.declined == [False]
        assert first.state is State.ESTABLISHED
        third = platform.ring("dora", waits)
        await until(lambda: first.sound.signals[-1] is Signal.WAITING)
        fourth = platform.ring("eve", waits)
        await until(lambda: fourth.state is State.ENDED)
        assert fourth.declined == [True], "one waits, others are told that it is busy"
        third.end(Cause.CANCELED, "peer")
        await until(lambda: first.sound.signals[-1] is None)
        first.end(Cause.HUNG_UP, "peer")
        await asyncio.sleep(0.05)
        FakeKeys.typed.put_nowait("q")

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--for", "15s", "--json")
    assert endings(ran) == {
        "carol": "declined",
        "eve": "declined, busy in another call",
        "dora": "dora gave up",
        "bob": "bob hung up",
    }


def test_a_waiting_call_rings_aloud_when_the_first_is_over(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        second = await talk(platform, first)
        first.end(Cause.HUNG_UP, "peer")
        await until(lambda: second.sound.signals == [Signal.RINGTONE])
        assert second.rings and second.state is State.RINGING
        await asyncio.sleep(0.05)
        FakeKeys.typed.put_nowait("a")
        await until(lambda: second.state is State.ESTABLISHED)
        second.end(Cause.HUNG_UP, "peer")

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--count", "2", "--for", "15s")
    assert ran.code == 0
    assert "a hold here and answer" in ran.err


def test_a_listener_that_is_to_take_one_call_lets_nobody_wait(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        await answer(first)
        second = platform.ring("carol", waits)
        await until(lambda: second.declined == [True])
        first.end(Cause.HUNG_UP, "peer")

    platform.incoming = [("bob", script)]
    assert sinchphone("listen", "--once", "--for", "15s").code == 0


def taken(speech_seconds: float) -> StatsTaken:
    near = Activity(-20, True, speech_seconds, 0, 0, 0, 100, False)
    return StatsTaken(
        stats=PortStats(codec="opus"), report=Quality().report, levels=Levels(near_dbfs=-20, far_dbfs=-20, near=near), mean_mos=None
    )


def test_who_speaks_while_muted_is_told_once_each_time(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)
        call.told.put(taken(30))
        await asyncio.sleep(0.05)
        for _ in range(2):
            FakeKeys.typed.put_nowait("m")
            await until(lambda: call.muted)
            for seconds in (30, 31, 31.6, 33, 40):
                call.told.put(taken(seconds))
            await asyncio.sleep(0.05)
            FakeKeys.typed.put_nowait("m")
            await until(lambda: not call.muted)
            call.told.put(taken(50))
            await asyncio.sleep(0.05)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--json")
    warnings = [event["message"] for event in ran.events if event["event"] == "warning"]
    assert warnings == ["you are speaking, and you are muted"] * 2


def test_a_key_moves_to_the_next_device_or_says_that_there_is_none(platform: Any, sinchphone: Run) -> None:
    moved: list[bool] = []

    async def next_device() -> bool:
        moved.append(not moved)
        return moved[-1]

    async def script(call: Any) -> None:
        FakeKeys.typed.put_nowait("d")
        call.enter(State.PROGRESSING, State.RINGING, State.ANSWERED)
        await asyncio.sleep(0.1)
        assert not moved
        call.enter(State.ESTABLISHED)
        for _ in range(2):
            FakeKeys.typed.put_nowait("d")
            call.sound.next_device = call.sound.set_devices = next_device
            await asyncio.sleep(0.05)
        del call.sound.next_device, call.sound.set_devices
        FakeKeys.typed.put_nowait("d")
        await asyncio.sleep(0.05)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob")
    assert moved == [True, False]
    assert ran.err.count("there is no other sound device") == 2


def test_other_devices_in_the_call_are_told(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)
        call.sound.outbox.put(DevicesChanged(microphone=None, loudspeaker="Jabra"))
        await asyncio.sleep(0.05)
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    assert "sound now: loudspeaker Jabra\n" in sinchphone("call", "bob").err


@pytest.mark.parametrize("layout", ["mixed", "near", "far", "stereo"])
def test_the_layout_of_a_recording_is_passed_on(platform: Any, sinchphone: Run, layout: str) -> None:
    async def script(call: Any) -> None:
        call.end(Cause.HUNG_UP, "peer")

    platform.outgoing = script
    sinchphone("call", "bob", "--record", "r.wav", "--record-layout", layout)
    assert platform.calls[0].asked_sound.record_layout == layout


def test_a_layout_that_is_not_known_or_without_a_recording_is_a_usage_error(sinchphone: Run) -> None:
    assert sinchphone("call", "bob", "--record", "r.wav", "--record-layout", "quad").code == 2
    assert sinchphone("call", "bob", "--record-layout", "mixed").code == 2


def test_a_call_that_waits_when_the_command_ends_is_told_too(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        await talk(platform, first)
        await asyncio.sleep(20)

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--for", "1s", "--json")
    assert endings(ran) == {"bob": "the time is up", "carol": "declined, busy in another call"}
    assert platform.calls[1].declined == [True]


def test_a_call_that_gives_up_in_the_moment_when_the_first_ends_is_told(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        second = await talk(platform, first)
        second.end(Cause.CANCELED, "peer")
        first.end(Cause.HUNG_UP, "peer")

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--for", "1s", "--json")
    told = [event["peer"] for event in ran.events if event["event"] == "call.ended"]
    assert sorted(told) == ["bob", "carol"]


def test_with_two_calls_each_line_about_a_hold_or_an_end_says_whose(platform: Any, sinchphone: Run) -> None:
    async def script(first: Any) -> None:
        second = await both_talk(platform, first)
        second.end(Cause.HUNG_UP, "peer")
        await until(lambda: not first.held_by_us)
        first.end(Cause.HUNG_UP, "peer")

    platform.incoming = [("bob", script)]
    ran = sinchphone("listen", "--count", "2", "--for", "15s")
    said = " ".join((ran.out + ran.err).split())
    assert "bob is on hold" in said
    assert "bob is not on hold any more" in said
    assert "carol: ended after 0:00: carol hung up" in said
    assert "bob: ended" not in said
