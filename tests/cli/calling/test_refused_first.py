"""Files that can't be used are refused before anything is opened, and pipes tell which bytes are whose."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.media.sound import PipeEnded, PipeStarted
from sinchphone.protocol.call.states import Cause, EndedBy, State

Run = Callable[..., Any]


@pytest.mark.parametrize("command", [("call", "bob"), ("listen", "--auto-answer"), ("conference", "standup")])
@pytest.mark.parametrize(
    "options",
    [
        ("--pipe-out", "."),
        ("--pipe-out", ""),
        ("--pipe-out", "there.wav"),
        ("--pipe-out", "no/such/folder.raw"),
        ("--pipe-in", "."),
        ("--pipe-in", ""),
        ("--pipe-in", "nowhere.raw"),
        ("--record", ""),
        ("--play", ""),
        ("--record", " "),
        ("--record", "."),
        ("--record", "there.wav"),
        ("--record", "a.mp5"),
        ("--record", "no/such/folder.wav"),
        ("--play", "nowhere.wav"),
    ],
    ids=" ".join,
)
def test_nothing_is_opened_for_a_file_that_cannot_be_used(
    sinchphone: Run, platform: Any, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    begun: list[object] = []
    monkeypatch.setattr("sinchphone.cli.calling.phone.begin_host", begun.append)
    Path("there.wav").write_bytes(b"")
    ran = sinchphone(*command, "--no-audio", *options)
    assert ran.code == 2, ran.err
    assert "error:  " not in ran.err, "a name that is empty"
    assert not begun, "an exchange was started in the background"
    assert not platform.users


def test_pipes_tell_the_call_and_the_byte_from_which_they_are_its(sinchphone: Run, platform: Any) -> None:
    async def caller(call: Any) -> None:
        await call.answers.wait()
        for event in (PipeStarted(path="fd:3", outward=True, offset=None), PipeEnded(path="fd:3", outward=True, bytes=1920)):
            call.sound.outbox.put(event)
        call.end(Cause.HUNG_UP, EndedBy.PEER)

    async def first(call: Any) -> None:
        await caller(call)
        await asyncio.sleep(0.5)  # until nobody is busy here any more
        platform.ring("carol", caller)

    platform.incoming.append(("ada", first))
    ran = sinchphone("listen", "--auto-answer", "--count", "2", "--for", "20s", "--no-audio", "--json")
    assert ran.code == 0
    told = [(event["event"], event["call_id"], event["offset_bytes"]) for event in ran.events if event["event"].startswith("pipe.")]
    assert told == [
        ("pipe.started", "call-ada", 0),
        ("pipe.ended", "call-ada", 0),
        ("pipe.started", "call-carol", 1920),
        ("pipe.ended", "call-carol", 1920),
    ]


def test_recordings_named_after_calls_are_not_numbered(sinchphone: Run, platform: Any) -> None:
    async def caller(call: Any) -> None:
        await call.answers.wait()
        call.end(Cause.HUNG_UP, EndedBy.PEER)

    async def first(call: Any) -> None:
        await caller(call)
        assert call.state is State.ENDED
        await asyncio.sleep(0.5)
        platform.ring("carol", caller)

    platform.incoming.append(("ada", first))
    sinchphone("listen", "--auto-answer", "--count", "2", "--for", "20s", "--no-audio", "--record", "{call}.wav")
    assert [call.asked_sound.record for call in platform.calls] == ["{call}.wav", "{call}.wav"]
