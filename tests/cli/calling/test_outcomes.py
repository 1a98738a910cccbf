"""Each thing that was asked for has an outcome, and one that was kept from being done is no success."""

import asyncio
import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.errors import MediaError
from sinchphone.media.sound import PipeEnded, PlayFinished, PlayStarted, RecordFinished, RecordStarted, SoundWarning
from sinchphone.protocol.call.states import Cause, State

UP = (State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)
Run = Callable[..., Any]
LIMIT_SECONDS = 60


@pytest.fixture(autouse=True)
def files_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What becomes of them is told by the fake sound; whether they can be used is another test's business."""
    monkeypatch.setattr("sinchphone.cli.calling.outgoing.check_files", lambda _: None)


def a_call(*events: Any, refuses: Exception | None = None, hold_digits: bool = False) -> Callable[[Any], Any]:
    """Established; the sound tells ``events``; the peer hangs up."""

    async def script(call: Any) -> None:
        call.refuses_digits = refuses
        if hold_digits:
            call.dtmf = never
        call.enter(*UP)
        for event in events:
            call.sound.outbox.put(event)
        await asyncio.sleep(0.05)
        call.end(Cause.HUNG_UP, "peer")

    return script


async def never(_: str) -> None:
    """As a port that is closed meanwhile."""
    await asyncio.sleep(0.1)
    raise MediaError("the digits could not be sent to their end")


def outcomes(ran: Any) -> list[tuple[str, str]]:
    return [(one["kind"], one["outcome"]) for one in ran.events[-1]["requests"]]


CASES = [
    (("--play", "a.wav"), (PlayStarted(path="a.wav"), PlayFinished(path="a.wav", last=True)), "play", "done", 0),
    (("--play", "a.wav"), (PlayStarted(path="a.wav"),), "play", "cut_short", 12),
    (
        ("--play", "-"),
        (PlayStarted(path="-"), PlayFinished(path="-", last=True, failure="standard input holds no sound")),
        "play",
        "failed",
        12,
    ),
    (("--record", "r.wav"), (RecordStarted(path="r.wav"), RecordFinished(path="r.wav", seconds=1.0)), "record", "done", 0),
    (
        ("--record", "r.wav"),
        (
            RecordStarted(path="r.wav"),
            SoundWarning(message="the disk is full", hint=""),
            RecordFinished(path="r.wav", seconds=0.5, failure="full"),
        ),
        "record",
        "failed",
        12,
    ),
    (("--record", "r.wav"), (RecordStarted(path="r.wav"), SoundWarning(message="the disk is gone", hint="")), "record", "failed", 12),
    (("--pipe-in", "said.raw"), (PipeEnded(path="said.raw", outward=False, bytes=1920),), "pipe_in", "done", 0),
    (("--pipe-in", "said.raw"), (PipeEnded(path="said.raw", outward=False, bytes=0),), "pipe_in", "failed", 12),
    (("--pipe-out", "heard.raw"), (PipeEnded(path="heard.raw", outward=True, bytes=1920),), "pipe_out", "done", 0),
    (
        ("--pipe-out", "heard.raw"),
        (PipeEnded(path="heard.raw", outward=True, bytes=960, failure="nobody reads"),),
        "pipe_out",
        "failed",
        12,
    ),
]


@pytest.mark.parametrize(("asked", "events", "kind", "outcome", "code"), CASES)
def test_what_was_asked_for_decides_and_not_how_the_call_ended(
    platform: Any, sinchphone: Run, asked: tuple[str, ...], events: tuple[Any, ...], kind: str, outcome: str, code: int
) -> None:
    platform.outgoing = a_call(*events)
    ran = sinchphone("call", "bob", *asked, "--json")
    assert outcomes(ran) == [(kind, outcome)]
    assert (ran.code, ran.events[-1]["exit_code"], ran.events[-1]["ok"]) == (code, code, code == 0)
    if code:
        assert ran.events[-1]["error"]["message"]


def test_digits_that_the_end_cuts_off_are_told(platform: Any, sinchphone: Run) -> None:
    platform.outgoing = a_call(hold_digits=True)
    ran = sinchphone("call", "bob", "--dtmf", "WW123", "--json")
    assert outcomes(ran) == [("dtmf", "cut_short")]
    assert ran.code == 12


def test_digits_are_sent_where_the_peer_hangs_up_on_hearing_them(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        async def until_the_end(_: str) -> None:
            call.end(Cause.HUNG_UP, "peer")
            await asyncio.sleep(0.1)

        call.dtmf = until_the_end
        call.enter(*UP)

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--dtmf", "W9", "--json")
    assert outcomes(ran) == [("dtmf", "done")]
    assert ran.code == 0


def test_hanging_up_after_play_waits_for_the_digits_too(platform: Any, sinchphone: Run) -> None:
    sent: list[str] = []

    async def script(call: Any) -> None:
        async def slowly(digits: str) -> None:
            await asyncio.sleep(0.2)
            assert call.state is State.ESTABLISHED
            sent.append(digits)

        call.dtmf = slowly
        call.enter(*UP)
        call.sound.outbox.put(PlayStarted(path="a.wav"))
        call.sound.outbox.put(PlayFinished(path="a.wav", last=True))

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--play", "a.wav", "--hangup-after-play", "--dtmf", "WW123", "--json")
    assert sent == ["WW123"]
    assert outcomes(ran) == [("play", "done"), ("dtmf", "done")]
    assert ran.code == 0


def test_what_our_own_time_limit_cuts_off_is_told_and_stays_a_success(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        call.sound.outbox.put(PlayStarted(path="a.wav"))

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--play", "a.wav", "--max-duration", "100ms", "--json")
    assert outcomes(ran) == [("play", "cut_short")]
    assert ran.code == 0
    assert "a.wav was not played to its end" in sinchphone("call", "bob", "--play", "a.wav", "--max-duration", "100ms").err


def test_a_call_that_never_came_about_has_its_own_code(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP[:2])
        call.end(Cause.NO_ANSWER, "peer")

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--play", "a.wav", "--dtmf", "1", "--json")
    assert ran.code == 5
    assert outcomes(ran) == [("play", "cut_short"), ("dtmf", "cut_short")]


def test_what_failed_is_explained_by_its_own_warning_and_not_by_how_the_call_ended(platform: Any, sinchphone: Run) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        call.sound.outbox.put(RecordStarted(path="r.wav"))
        call.sound.outbox.put(SoundWarning(message="the disk is full: r.wav ends here", hint="free some space"))
        call.sound.outbox.put(RecordFinished(path="r.wav", seconds=0.1, failure="the disk is full: r.wav ends here"))

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--record", "r.wav", "--max-duration", "100ms", "--json")
    assert ran.code == 12
    assert ran.events[-1]["error"]["hint"] == "free some space"


@pytest.mark.parametrize("json", [True, False])
def test_a_recording_that_was_not_kept_is_not_among_the_recordings(platform: Any, sinchphone: Run, json: bool) -> None:
    async def script(call: Any) -> None:
        call.enter(*UP)
        call.sound.outbox.put(RecordStarted(path="r.wav"))
        call.sound.outbox.put(RecordFinished(path="r.wav", seconds=0.0, failure="the disk is full: r.wav was not written"))

    platform.outgoing = script
    ran = sinchphone("call", "bob", "--record", "r.wav", "--max-duration", "100ms", *(["--json"] if json else []))
    assert ran.code == 12
    if json:
        finished = next(event for event in ran.events if event["event"] == "record.finished")
        assert (finished["duration_s"], finished["failure"]) == (0.0, "the disk is full: r.wav was not written")
        assert ran.events[-1]["recordings"] == []
    else:
        assert "nothing was recorded to r.wav" in ran.err and "recorded 0:00" not in ran.err


def run_really(home: Path, *arguments: str, stdin: int = subprocess.DEVNULL) -> tuple[int, dict[str, Any]]:
    environment = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    (home / "config.toml").write_text("[exchange]\nport = 0\n")
    command = [sys.executable, "-m", "sinchphone", *arguments, "--config", str(home / "config.toml"), "--json"]
    done = subprocess.run(command, env=environment, stdin=stdin, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def a_file(folder: Path, seconds: float) -> str:
    with wave.open(str(folder / "said.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(48_000)
        out.writeframes((8000 * np.sin(np.arange(int(48_000 * seconds)) / 17)).astype("<i2").tobytes())
    return str(folder / "said.wav")


def test_a_file_that_the_peer_cuts_off_is_no_success(tmp_path: Path) -> None:
    asked = ("--no-audio", "--play", a_file(tmp_path, 8.0), "--hangup-after-play")
    code, result = run_really(tmp_path, "call", "hangup-after:1s", *asked)
    assert code == 12
    assert [(one["kind"], one["outcome"]) for one in result["requests"]] == [("play", "cut_short")]


def test_a_pipe_from_nothing_is_no_success(tmp_path: Path) -> None:
    code, result = run_really(tmp_path, "call", "hangup-after:1s", "--no-audio", "--pipe-in", "/dev/null")
    assert code == 12
    assert result["requests"][0]["reason"] == "no sound came from it"


def test_standard_input_without_sound_is_no_success(tmp_path: Path) -> None:
    code, result = run_really(tmp_path, "call", "hangup-after:1s", "--no-audio", "--play", "-")
    assert code == 12
    assert result["requests"][0]["outcome"] == "failed"


@pytest.mark.parametrize("extra", [(), ("--dtmf", "12")])
@pytest.mark.parametrize("called", ["hangup-after:3s", "+14155550106"])
def test_a_self_check_that_ends_early_raises_no_alarm(tmp_path: Path, called: str, extra: tuple[str, ...]) -> None:
    code, result = run_really(tmp_path, "call", called, *extra)
    assert code == 0, result
