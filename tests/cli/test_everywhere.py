"""What every command takes, wherever it stands on the line; and the examples of its help."""

import asyncio
import io
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.core

from sinchphone.cli.addressing.recent import history_of
from sinchphone.cli.app import whole_command
from sinchphone.cli.examples import EXAMPLES
from sinchphone.config import load
from sinchphone.engine.history.history import History
from sinchphone.engine.history.past import PastCall
from sinchphone.errors import DeviceError
from sinchphone.protocol.call.states import Cause, State

LIMIT_S = 60.0
FLAGS = ("-q", "-v", "--quiet", "--verbose", "--debug", "--profile=local", "--color=never", "--plain")


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group by its words."""
    command = command or whole_command()
    yield path
    if isinstance(command, typer.core.TyperGroup):
        for name in command.commands:
            yield from commands(command.commands[name], (*path, name))


PATHS = list(commands())


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_with_examples_and_the_version_are_on_each_level(sinchphone: Callable[..., Any], path: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        ran = sinchphone(*path, flag)
        assert (ran.code, "Examples:" in ran.out) == (0, True)
        assert all(line in ran.out for line in EXAMPLES[" ".join(path)])
    ran = sinchphone(*path, "--version")
    assert (ran.code, ran.out) == (0, f"sinchphone {version('sinchphone')}\n")


def test_there_are_no_examples_of_commands_that_are_not_there() -> None:
    assert set(EXAMPLES) == {" ".join(path) for path in PATHS}
    assert all(line.startswith("sinchphone ") for lines in EXAMPLES.values() for line in lines)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_common_options_stand_anywhere_on_the_line(sinchphone: Callable[..., Any], path: tuple[str, ...]) -> None:
    for place in range(len(path) + 1):
        assert sinchphone(*path[:place], *FLAGS, *path[place:], "--help").code == 0


@pytest.mark.parametrize("flag", FLAGS)
def test_each_common_option_stands_by_itself(sinchphone: Callable[..., Any], flag: str) -> None:
    for path in ((), ("call",), ("exchange", "users", "add")):
        assert sinchphone(*path, flag, "--help").code == 0
        assert sinchphone(flag, *path, "--help").code == 0


@pytest.mark.parametrize("line", ["--json contacts list", "contacts --json list", "contacts list --json"])
def test_json_counts_wherever_it_stands(sinchphone: Callable[..., Any], line: str) -> None:
    assert sinchphone("contacts", "add", "mum", "+46701234567").code == 0
    ran = sinchphone(*line.split())
    assert [event["event"] for event in ran.events][-1] == "result" and "mum" in ran.out


@pytest.mark.parametrize("line", ["-q devices test", "devices -q test", "devices test -q"])
def test_quiet_counts_wherever_it_stands(sinchphone: Callable[..., Any], platform: Any, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    seen: list[bool] = []

    def stand_in(flags: Any) -> None:
        seen.append(flags.quiet)
        raise DeviceError("none")

    monkeypatch.setattr("sinchphone.cli.commands.setup.devices_try.session_of", stand_in)
    assert (sinchphone(*line.split()).code, seen) == (11, [True])


@pytest.mark.parametrize(
    "line",
    [
        "--json config show",
        "config --json show",
        "config show --json",
        "--json token",
        "token --json",
        "help --json",
        "--json",
        "contacts --json",
    ],
)
def test_a_command_without_json_says_so(sinchphone: Callable[..., Any], platform: Any, line: str) -> None:
    ran = sinchphone(*line.split())
    assert (ran.code, "prints no JSON" in ran.out + ran.err) == (2, True)


def test_the_profile_before_a_command_counts_and_the_one_after_it_counts_more(sinchphone: Callable[..., Any]) -> None:
    assert 'no profile "x"' in sinchphone("--profile", "x", "config", "show").err
    assert 'no profile "x"' in sinchphone("config", "--profile", "x", "show").err
    assert sinchphone("--profile", "x", "config", "show", "--profile", "local").code == 0


def valued_options() -> Iterator[tuple[tuple[str, ...], str]]:
    """Every option that takes a value, with the words of its command."""
    for path in PATHS:
        command = whole_command()
        for word in path:
            command = command.commands[word]
        for option in command.params:
            if isinstance(option, typer.core.TyperOption) and not option.is_flag:
                yield path, max(option.opts, key=len)


VALUED = list(valued_options())


@pytest.mark.parametrize("form", ["separate", "joined"])
def test_no_option_takes_an_empty_value(sinchphone: Callable[..., Any], platform: Any, form: str) -> None:
    assert len(VALUED) > 100
    for path, option in VALUED:
        ran = sinchphone(*path, *([option, ""] if form == "separate" else [f"{option}="]))
        assert (ran.code, ran.out) == (2, ""), (path, option)
        assert option in ran.err and "empty" in ran.err, (path, option, ran.err)


def test_an_option_that_is_repeated_has_a_value_each_time(sinchphone: Callable[..., Any], platform: Any) -> None:
    ran = sinchphone("call", "bob", "--play", "a.wav", "--play", "")
    assert (ran.code, "'--play': it is empty" in ran.err) == (2, True)


# Each example runs

ENDLESS = (
    "sinchphone listen",
    "sinchphone exchange",
    "sinchphone exchange --memory --port 0",
    "sinchphone listen --allow 'ada*' --for 8h --json",
    "sinchphone group standup",
)
LINES = sorted({line for lines in EXAMPLES.values() for line in lines} - set(ENDLESS))
# What a machine without a sound card, an exchange that runs, Redis, or that file makes of them.
ALSO: dict[str, set[int]] = {
    "doctor": {20},
    "devices": {11, 12},
    "exchange": {7, 14},
    "push": {2},
    "cloud": {14},
    "trace": {7},
    "verify": {12},
}


async def talk(call: Any) -> None:
    call.enter(State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED)
    await asyncio.sleep(0.05)  # the digits are dialled meanwhile
    call.end(Cause.HUNG_UP, "peer")


@pytest.fixture
def lived_in(platform: Any, sinchphone: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone with a contact, a past, and a platform where everybody answers, and one calls who listens."""
    monkeypatch.setenv("SINCH_USER_ID", "ada")
    monkeypatch.setenv("SINCHPHONE_BACKGROUND", "false")
    Path("sinchphone.toml").write_text("[exchange]\nport = 0\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    platform.outgoing, platform.acknowledging = talk, ("bob", "carol")
    assert sinchphone("contacts", "add", "mum", "+46701234567").code == 0

    async def note() -> None:
        async with History(*history_of(load().options)) as history:
            await history.note_call("d", PastCall("1", True, "bob", "mxp", 1.0, True, 1, "hung_up", "us"))

    asyncio.run(note())


@pytest.mark.parametrize("line", LINES)
def test_each_example_runs(lived_in: None, platform: Any, sinchphone: Callable[..., Any], line: str) -> None:
    if line.startswith("sinchphone contacts add"):
        sinchphone("contacts", "remove", "mum")
    words = shlex.split(line)[1:]
    platform.incoming = [("ada", talk)] if words[0] == "listen" else []
    assert sinchphone(*words).code in {0} | ALSO.get(words[0], set())


@pytest.mark.parametrize("line", ENDLESS)
def test_each_example_that_runs_until_it_is_ended_runs(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINCHPHONE_BACKGROUND", "false")
    Path("sinchphone.toml").write_text("[exchange]\nport = 0\n")
    words = shlex.split(line)[1:]
    running = subprocess.Popen([sys.executable, "-m", "sinchphone", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(LIMIT_S, running.kill)
    watchdog.start()
    try:
        stream = running.stdout if "--json" in words or words[0] == "exchange" else running.stderr
        assert stream is not None and stream.readline()
        running.send_signal(signal.SIGTERM)
        running.communicate()
        assert running.returncode in (0, 143)
    finally:
        watchdog.cancel()
