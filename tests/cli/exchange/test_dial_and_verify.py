"""``exchange dial`` and ``verify`` against the local exchange: what they say, and their exit codes."""

import io
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sinchphone.exchange.verifications import service

LIMIT_S = 60.0
OURS, FROM = "+46700000001", "+46700000002"


@pytest.fixture(autouse=True)
def own_exchange(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A state folder of its own, a port that nobody else's exchange has, and a code that is known."""
    monkeypatch.setenv("SINCHPHONE_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(f'user = "ada"\nstate_dir = "{tmp_path}/state"\n[exchange]\nport = 0\n')
    monkeypatch.setattr(service, "_code", lambda kind: "0042")


@pytest.mark.parametrize(
    ("number", "options", "code", "said"),
    [
        ("+14155550102", (), 6, "Busy"),
        ("+14155550103", ("--ring-timeout", "1s"), 5, "480"),
        ("+14155550105", ("--for", "1s", "--tone", "440"), 0, "heard"),
        (OURS, (), 7, "404"),
    ],
)
def test_a_simulated_phone_calls_and_its_exit_code_says_what_came_of_it(
    sinchphone: Any, number: str, options: tuple[str, ...], code: int, said: str
) -> None:
    done = sinchphone("exchange", "dial", number, "--from", FROM, *options)
    assert (done.code, said in done.out) == (code, True), done.out + done.err


def test_programs_are_told_how_far_the_call_is(sinchphone: Any) -> None:
    done = sinchphone("exchange", "dial", "+14155550106", "--from", "private", "--for", "300ms", "--json")
    states = [one["state"] for one in done.events if one["event"] == "exchange.call"]
    assert (done.code, states[0], states[-1]) == (0, "calling", "ended")
    assert "answered" in states


@pytest.mark.parametrize(
    "arguments",
    [
        (OURS,),
        ("ada", "--from", FROM),
        (OURS, "--from", "me"),
        (OURS, "--from", FROM, "--for", "soon"),
        (OURS, "--from", FROM, "--tone", "0"),
        (OURS, "--from", FROM, "--dtmf", "xyz"),
    ],
)
def test_a_command_line_that_makes_no_sense_exits_with_2(sinchphone: Any, arguments: tuple[str, ...]) -> None:
    assert sinchphone("exchange", "dial", *arguments).code == 2


def test_a_file_that_is_not_there_is_a_matter_of_usage(sinchphone: Any, tmp_path: Path) -> None:
    assert sinchphone("exchange", "dial", OURS, "--from", FROM, "--play", str(tmp_path / "none.wav")).code == 2


def test_a_file_that_is_no_sound_is_a_matter_of_usage_and_nobody_learns_where_the_exchange_had_it(sinchphone: Any, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_text("no sound")
    done = sinchphone("exchange", "dial", OURS, "--from", FROM, "--play", str(tmp_path / "no.wav"))
    assert (done.code, "is not audio that can be played" in done.err, "fetched" in done.err) == (2, True, False), done.err


@pytest.mark.parametrize(
    ("number", "state", "order", "code"),
    [("+14155550105", "answered", signal.SIGINT, 130), ("+14155550103", "ringing", signal.SIGTERM, 143)],
)
def test_an_order_to_end_hangs_up_and_says_how_the_call_was(number: str, state: str, order: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "sinchphone", "exchange", "dial", number, "--from", FROM, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    watchdog = threading.Timer(LIMIT_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line).get("state") == state:
                break
        process.send_signal(order)
        told = [json.loads(line) for line in process.stdout]
        assert (process.wait(), [one.get("state") for one in told]) == (code, ["ended", None])
    finally:
        watchdog.cancel()


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_right_code_verifies_a_number_and_a_typo_costs_a_try(sinchphone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "9999\n 0042 \n")
    done = sinchphone("verify", "+46 70 000 00 01", "--json")
    told = [(one["status"], one["number"]) for one in done.events if one["event"] == "verification"]
    assert (done.code, told) == (0, [("PENDING", OURS), ("SUCCESSFUL", OURS)])


@pytest.mark.parametrize(
    ("typed", "why"), [("", "no code was given"), ("1\n", "no code was right"), ("1\n2\n3\n4\n5\n", "no code was right")]
)
def test_without_the_right_code_a_number_is_not_verified(sinchphone: Any, monkeypatch: pytest.MonkeyPatch, typed: str, why: str) -> None:
    type_in(monkeypatch, typed)
    ran = sinchphone("verify", OURS, "--method", "callout", "--json")
    assert (ran.code, f"error: the number is not verified: {why}" in ran.err) == (12, True)
    assert ran.events[-1]["error"]["message"] == f"the number is not verified: {why}"


def test_without_a_standard_input_no_code_is_waited_for(sinchphone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    ran = sinchphone("verify", OURS)
    assert (ran.code, "no code was given" in ran.err) == (12, True)


def test_the_code_is_in_the_inbox(sinchphone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "0042\n")
    assert sinchphone("verify", OURS).code == 0
    assert "0042" in sinchphone("exchange", "sms").out


@pytest.mark.parametrize("arguments", [(), ("ada",), (OURS, "--method", "pigeon"), (OURS, "--method", "whatsapp")])
def test_what_can_not_be_verified_exits_with_2(sinchphone: Any, arguments: tuple[str, ...]) -> None:
    assert sinchphone("verify", *arguments).code == 2
