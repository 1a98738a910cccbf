"""A running phone that is told what to do: calls that commands meet, and what both ends see."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.terminal.session import Session
from sinchphone.errors import TransferError
from sinchphone.protocol.call.states import State
from tests.waiting import until

Run = Callable[..., Any]
PATIENCE_S = 20.0


class Program:
    """Who writes to the phone's control FIFO."""

    def __init__(self, folder: Path) -> None:
        self.fifo = folder / "control"
        os.mkfifo(self.fifo)
        self._writer = os.open(self.fifo, os.O_RDWR)
        self.read: list[tuple[str, str | None]] = []  # what the phone told

    async def rings(self, call: Any) -> None:
        """Wait until it's told that the call came."""
        await until(lambda: ("call.incoming", call.id) in self.read)

    def say(self, command: str, **fields: Any) -> None:
        os.write(self._writer, json.dumps({"command": command, **fields}).encode() + b"\n")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    program, tell = Program(tmp_path), Session.tell

    def read_too(session: Session, event: Any, *, aside: bool = False) -> None:
        tell(session, event, aside=aside)
        program.read.append((event.NAME, getattr(event, "call_id", None)))

    monkeypatch.setattr(Session, "tell", read_too)
    return program


def answers(ran: Any) -> dict[Any, dict[str, Any]]:
    """What was answered, by the requests' ids."""
    return {event["id"]: event for event in ran.events if event["event"] in ("control.done", "control.failed")}


def test_a_program_answers_presses_digits_mutes_and_hangs_up(sinchphone: Run, platform: Any, program: Program) -> None:
    async def caller(call: Any) -> None:
        await program.rings(call)
        program.say("answer", id="a")
        await until(lambda: call.state is State.ESTABLISHED)
        program.say("dtmf", digits="12#", id="d", call_id=call.id)
        program.say("mute", id="m")
        await until(lambda: call.dialled and call.muted)
        program.say("mute", on=False, id="u")
        await until(lambda: not call.muted)
        program.say("hangup", id="h")

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--for", "20s", "--once", "--no-audio", "--control", str(program.fifo), "--json")
    assert ran.code == 0
    told = answers(ran)
    assert {name: told[name]["event"] for name in "admuh"} == dict.fromkeys("admuh", "control.done")
    assert all(told[name]["call_id"] == "call-ada" for name in "admuh")
    assert platform.calls[0].dialled == ["12#"]
    muted = [event["muted"] for event in ran.events if event["event"] == "call.muted"]
    assert muted == [True, False]
    assert ran.events[-1]["calls"][0]["reason"] == "you hung up" or ran.events[-1]["calls"][0]["reason"] == "ended by a command"


def test_nobody_but_a_program_is_needed_to_be_called(sinchphone: Run, platform: Any, program: Program) -> None:
    async def caller(call: Any) -> None:
        await program.rings(call)
        program.say("decline", id=1, busy=True)

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--for", "20s", "--once", "--control", str(program.fifo), "--json")
    assert ran.code == 0
    assert platform.takes_calls == [True]
    assert platform.calls[0].declined == [True]
    assert answers(ran)[1]["event"] == "control.done"


def test_hanging_up_what_rings_here_declines_it(sinchphone: Run, platform: Any, program: Program) -> None:
    async def caller(call: Any) -> None:
        await program.rings(call)
        program.say("hangup", id=1)

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--for", "20s", "--once", "--control", str(program.fifo), "--json")
    assert ran.code == 0
    assert [call["reason"] for call in ran.events[-1]["calls"]] == ["declined"]


def test_quit_hangs_up_and_ends_it(sinchphone: Run, platform: Any, program: Program) -> None:
    async def caller(call: Any) -> None:
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        program.say("quit", id="q")

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--for", "20s", "--control", str(program.fifo), "--json")
    assert ran.code == 0
    assert answers(ran)["q"]["event"] == "control.done"
    assert [call["reason"] for call in ran.events[-1]["calls"]] == ["ended by a command"]


def test_quit_ends_a_listener_whom_nobody_calls(sinchphone: Run, platform: Any, tmp_path: Path) -> None:
    (tmp_path / "commands").write_text('{"command": "quit"}\n')
    ran = sinchphone("listen", "--for", "20s", "--control", str(tmp_path / "commands"), "--json")
    assert ran.code == 0
    assert ran.events[-2]["event"] in ("control.done", "control.closed")


def test_a_call_that_was_placed_is_hung_up_while_it_rings(sinchphone: Run, platform: Any, program: Program) -> None:
    async def peer(call: Any) -> None:
        call.enter(State.PROGRESSING, State.RINGING)
        program.say("answer", id=1)
        program.say("dtmf", digits="1", id=2)
        program.say("hangup", id=3)
        await asyncio.sleep(PATIENCE_S)

    platform.outgoing = peer
    ran = sinchphone("call", "bob", "--control", str(program.fifo), "--json")
    assert ran.code == 0
    assert answers(ran)[1]["reason"].startswith("that call was called from here")
    assert answers(ran)[3]["event"] == "control.done"


def test_of_two_calls_the_one_that_is_meant_must_be_said(sinchphone: Run, platform: Any, program: Program) -> None:
    async def second(call: Any) -> None:
        await program.rings(call)
        program.say("hangup", id="which")
        program.say("decline", id="second", call_id="call-carol")
        await until(lambda: call.state is State.ENDED)
        program.say("dtmf", digits="1", id="gone", call_id="call-carol")
        program.say("dtmf", digits="1", id="never", call_id="call-nobody")
        program.say("hangup", id="first", call_id="call-ada")

    async def first(call: Any) -> None:
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        platform.ring("carol", second)

    platform.incoming.append(("ada", first))
    ran = sinchphone("listen", "--count", "2", "--for", "2s", "--no-audio", "--control", str(program.fifo), "--json")
    told = answers(ran)
    assert "2 calls" in told["which"]["reason"]
    assert told["second"]["event"] == "control.done"
    assert told["gone"]["reason"] == "that call has ended"
    assert told["never"]["reason"] == "there is no such call"
    assert told["first"]["event"] == "control.done"
    assert [call["call_id"] for call in ran.events[-1]["calls"]] == ["call-carol", "call-ada"]


def test_a_second_caller_is_answered_and_the_first_one_held(sinchphone: Run, platform: Any, program: Program) -> None:
    async def second(call: Any) -> None:
        await program.rings(call)
        program.say("answer", id="switch", call_id=call.id)
        first = platform.calls[0]
        await until(lambda: call.state is State.ESTABLISHED and first.held_by_us)
        assert (first.state, first.rests) == (State.ESTABLISHED, True)
        program.say("hangup", id="end", call_id=call.id)
        await until(lambda: not first.held_by_us)
        program.say("hangup", id="last")

    async def first(call: Any) -> None:
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        platform.ring("carol", second)

    platform.incoming.append(("ada", first))
    ran = sinchphone("listen", "--for", "20s", "--count", "2", "--no-audio", "--control", str(program.fifo), "--json")
    assert ran.code == 0
    told = answers(ran)
    assert told["switch"]["event"] == told["end"]["event"] == told["last"]["event"] == "control.done"
    assert [(call["peer"], call["reason"]) for call in ran.events[-1]["calls"]] == [
        ("carol", "ended by a command"),
        ("ada", "ended by a command"),
    ]


def test_a_message_is_sent_and_its_id_told(sinchphone: Run, platform: Any, program: Program) -> None:
    async def caller(call: Any) -> None:
        await program.rings(call)
        program.say("message", to="bob", text="on my way", id="m")
        await until(lambda: platform.texts)
        program.say("decline")

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--for", "20s", "--once", "--control", str(program.fifo), "--json")
    assert platform.texts == [(("bob",), "on my way", {})]
    assert answers(ran)["m"]["message_id"] == "m-1"


def test_sound_is_played_said_recorded_and_held_on_command(sinchphone: Run, platform: Any, program: Program) -> None:
    async def caller(call: Any) -> None:
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        program.say("play", path="a.wav", id="play")
        program.say("play", path="stopped.wav", id="cut")
        program.say("play", stop=True, id="stop")
        program.say("say", text="hello", locale="sv", id="say")
        program.say("record", stop=True, id="none")
        program.say("record", path="r.wav", layout="far", id="record")
        program.say("record", stop=True, id="recorded")
        program.say("hold", id="hold")
        program.say("hold", on=False, id="resume")
        program.say("device", output="USB", id="device")
        program.say("play", path="-", id="stdin")
        program.say("play", id="what")
        program.say("device", id="which")
        program.say("quit")

    platform.incoming.append(("ada", caller))
    told = answers(sinchphone("listen", "--for", "20s", "--no-audio", "--control", str(program.fifo), "--json"))
    failed = {name for name, answer in told.items() if answer["event"] == "control.failed"}
    assert {told[name]["call_id"] for name in failed} == {"call-ada"}, "the only call is the one that was meant"
    assert failed == {"cut", "none", "stdin", "what", "which"}
    assert platform.calls[0].asked == [
        ("play", "a.wav"),
        ("play", "stopped.wav"),
        ("stop playing",),
        ("say", "hello", "sv"),
        ("record", "r.wav", "far", False),
        ("hold", True),
        ("device", None, "USB"),
    ]


def test_two_calls_are_joined_on_command_and_both_left(sinchphone: Run, platform: Any, program: Program) -> None:
    joined: list[Any] = []

    async def second(call: Any) -> None:
        await program.rings(call)
        program.say("answer", call_id=call.id)
        await until(lambda: call.state is State.ESTABLISHED)
        program.say("transfer", id="neither", call_id="call-ada")
        program.say("transfer", id="both", call_id="call-ada", to="bob", to_call="call-carol")
        program.say("transfer", id="none", call_id="call-ada", to_call="call-nobody")
        program.say("transfer", id="join", call_id="call-ada", to_call="call-carol")

    async def first(call: Any) -> None:
        async def transfer(to: Any) -> None:
            joined.append(to.id)
            await call.hang_up()
            await to.hang_up()

        call.transfer = transfer
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        platform.ring("carol", second)

    platform.incoming.append(("ada", first))
    ran = sinchphone("listen", "--for", "20s", "--count", "2", "--no-audio", "--control", str(program.fifo), "--json")
    told = answers(ran)
    assert joined == ["call-carol"]
    assert [told[name]["event"].partition(".")[2] for name in ("neither", "both", "none", "join")] == ["failed", "failed", "failed", "done"]
    assert {call["reason"] for call in ran.events[-1]["calls"]} == {"you transferred the call"}
    assert ran.code == 0


@pytest.mark.parametrize("able", [True, False])
def test_a_call_is_transferred_where_its_peer_takes_that(sinchphone: Run, platform: Any, program: Program, able: bool) -> None:
    handed_on: list[str] = []

    async def transfer(to: str) -> None:
        if not able:
            raise TransferError("users aren't transferred", status=501)
        handed_on.append(to)

    async def caller(call: Any) -> None:
        call.transfer = transfer
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        program.say("transfer", to="carol", id="t")
        program.say("quit")

    platform.incoming.append(("ada", caller))
    told = answers(sinchphone("listen", "--for", "20s", "--no-audio", "--control", str(program.fifo), "--json"))
    assert told["t"]["event"] == ("control.done" if able else "control.failed")
    assert handed_on == (["carol"] if able else [])


@pytest.mark.parametrize("last", ["quit", "hangup"])
def test_a_transfer_that_is_under_way_keeps_nobody_from_hanging_up(sinchphone: Run, platform: Any, program: Program, last: str) -> None:
    async def caller(call: Any) -> None:
        asked = asyncio.Event()

        async def transfer(to: str) -> None:
            asked.set()
            await call.ended()

        call.transfer = transfer
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        program.say("transfer", to="carol", id="t")
        await asked.wait()
        program.say(last, id="last")

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--once", "--for", "20s", "--no-audio", "--control", str(program.fifo), "--json")
    assert ran.events[-1]["calls"][0]["reason"] == "ended by a command"
    assert answers(ran)["last"]["event"] == "control.done"
    assert (answers(ran)["t"]["event"], "before they talked" in answers(ran)["t"]["reason"]) == ("control.failed", True)


def test_a_transfer_dials_numbers_as_everybody_writes_them_and_none_that_calls_for_help(
    sinchphone: Run, platform: Any, program: Program
) -> None:
    handed_on: list[str] = []

    async def transfer(to: str) -> None:
        handed_on.append(to)
        raise TransferError("nobody is there", status=404)

    async def caller(call: Any) -> None:
        call.transfer = transfer
        await program.rings(call)
        program.say("answer")
        await until(lambda: call.state is State.ESTABLISHED)
        for to in ("112", " 9-1-1 ", "+112", "+46 (0)70-000 00 00", "123"):
            program.say("transfer", to=to, id=to)
        program.say("quit")

    platform.incoming.append(("ada", caller))
    told = answers(sinchphone("listen", "--for", "20s", "--no-audio", "--control", str(program.fifo), "--json"))
    assert all("emergency" in told[to]["reason"] for to in ("112", " 9-1-1 ", "+112"))
    assert handed_on == ["+46700000000", "123"]


def test_commands_are_answered_for_people_too(sinchphone: Run, platform: Any, program: Program) -> None:
    async def caller(call: Any) -> None:
        await program.rings(call)
        program.say("dtmf", digits="1", call_id="nobody")
        program.say("quit")

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--for", "20s", "--control", str(program.fifo))
    assert "dtmf was not done: there is no such call" in ran.err


@pytest.mark.parametrize(
    "options",
    [
        ("--control", "-", "--play", "-"),
        ("--control", "-", "--pipe-in", "fd:0"),
        ("--control", "fd:0", "--pipe-in", "/dev/stdin"),
        ("--control", "/dev/fd/0", "--play", "-"),
        ("--control", "/proc/self/fd/0", "--play", "/dev/stdin"),
        ("--play", "-", "--play", "-"),
    ],
)
@pytest.mark.parametrize("command", [("call", "bob"), ("listen",), ("conference", "standup")])
def test_standard_input_has_one_reader(sinchphone: Run, platform: Any, command: tuple[str, ...], options: tuple[str, ...]) -> None:
    ran = sinchphone(*command, *options)
    assert ran.code == 2
    assert "both read standard input" in ran.err
    assert not platform.users


def test_a_fifo_has_one_reader_too(sinchphone: Run, platform: Any, program: Program, tmp_path: Path) -> None:
    (tmp_path / "other").symlink_to(program.fifo)
    ran = sinchphone("listen", "--for", "20s", "--control", str(program.fifo), "--pipe-in", str(tmp_path / "other"))
    assert ran.code == 2
    assert "both read" in ran.err


@pytest.mark.parametrize(("path", "words"), [("nowhere", "can't be read"), (".", "is a folder"), ("fd:77", "not given"), ("fd:1", "")])
def test_a_control_stream_that_cannot_be_read_is_refused_first(sinchphone: Run, platform: Any, path: str, words: str) -> None:
    ran = sinchphone("listen", "--for", "20s", "--auto-answer", "--control", path)
    assert ran.code == 2
    assert words in ran.err
    assert not platform.users


def test_a_command_that_meets_no_call_names_none(sinchphone: Run, platform: Any, program: Program) -> None:
    program.say("mute", id="early")
    program.say("quit")
    told = answers(sinchphone("listen", "--for", "20s", "--no-audio", "--control", str(program.fifo), "--json"))
    assert (told["early"]["event"], told["early"]["call_id"]) == ("control.failed", None)
