"""Whenever a signal comes from our first line on: one result, and the exit code that it names. Before it: the signal's default."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LIMIT = 60.0
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
PROGRAM = "import os, sys; os.write(int(sys.argv.pop(1)), b'.'); from sinchphone.cli.main import main; main()"


class Run:
    """One run of the program, which says when its first line is about to be reached."""

    def __init__(self, *arguments: str, ignoring: signal.Signals | None = None, stdin: int = subprocess.DEVNULL) -> None:
        reading, writing = os.pipe()
        prepare = (lambda: signal.signal(ignoring, signal.SIG_IGN)) if ignoring is not None else None
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(writing), *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[writing],
            preexec_fn=prepare,  # noqa: PLW1509 - the test has no other thread
        )
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        self.began = time.monotonic()

    def until(self, event: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if json.loads(line)["event"] == event:
                return
        raise AssertionError(f"{event} never came")

    def kill(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, list[dict[str, object]], str]:
        out, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err


@pytest.fixture
def run() -> Iterator[Callable[..., Run]]:
    Path("sinchphone.toml").write_text('user = "ada"\n[exchange]\nport = 0\n')
    runs: list[Run] = []

    def start(*arguments: str, ignoring: signal.Signals | None = None, stdin: int = subprocess.DEVNULL) -> Run:
        runs.append(Run(*arguments, ignoring=ignoring, stdin=stdin))
        return runs[-1]

    yield start
    for one in runs:
        one.process.kill()
        one.process.wait()


def moments(seed: str, count: int, until_s: float) -> list[float]:
    return sorted(round(random.Random(seed).uniform(0, until_s), 3) for _ in range(count))


@pytest.mark.parametrize("number", CODES)
def test_a_signal_at_any_moment_of_a_run_gives_one_result_and_the_exit_code_that_it_names(
    run: Callable[..., Run], number: signal.Signals
) -> None:
    for moment in moments(number.name, 7, 2.0):
        call = run("call", "no-answer", "--no-audio", "--json")
        time.sleep(max(0.0, call.began + moment - time.monotonic()))
        call.kill(number)
        code, events, err = call.end()
        if code == -number:  # between the byte that it wrote and our first line
            assert (events, err) == ([], ""), moment
            continue
        assert [event["event"] for event in events].count("result") == 1, moment
        assert events[-1]["event"] == "result", moment
        assert (code, events[-1]["exit_code"]) == (CODES[number], CODES[number]), moment
        assert "Traceback" not in err, moment


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.05, 0.2])
def test_a_signal_after_the_end_of_a_call_leaves_the_result_and_the_exit_code_that_it_names(
    run: Callable[..., Run], number: signal.Signals, delay_s: float
) -> None:
    call = run("call", "busy", "--no-audio", "--json")
    call.until("call.ended")
    time.sleep(delay_s)
    call.kill(number)
    code, events, err = call.end()
    assert [event["event"] for event in events] == ["result"]
    assert code == events[0]["exit_code"]
    assert code in (6, CODES[number])
    assert "Traceback" not in err


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("delay_s", [0.0, 0.002, 0.01, 0.03, 0.1])
def test_a_signal_after_the_result_changes_nothing(run: Callable[..., Run], number: signal.Signals, delay_s: float) -> None:
    call = run("call", "busy", "--no-audio", "--json")
    call.until("result")
    time.sleep(delay_s)
    call.kill(number)
    assert call.end() == (6, [], "")


INTERRUPTING = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "asyncio.locks":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from sinchphone.cli.main import main
main()
"""


@pytest.mark.parametrize("arguments", [("doctor", "--json"), ("call", "echo", "--no-audio", "--json")])
def test_a_signal_amid_the_import_of_a_package_gives_a_result(arguments: tuple[str, ...]) -> None:
    ran = subprocess.run([sys.executable, "-c", INTERRUPTING, *arguments], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert "Traceback" not in ran.stderr
    assert [json.loads(line)["event"] for line in ran.stdout.splitlines()] == ["result"]
    assert (ran.returncode, json.loads(ran.stdout)["exit_code"]) == (130, 130)


FINALIZING = """
import os, signal
from sinchphone.cli import signals

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

signals.take()
signals.react(signals.interrupt)
Finalized()
signals.react(print)
"""


def test_a_signal_that_python_swallows_in_a_finalizer_has_its_effect_later_and_no_traceback() -> None:
    ran = subprocess.run([sys.executable, "-c", FINALIZING], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ran.stdout, ran.stderr) == ("2\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_command_waits_for_its_standard_input_gives_a_result(run: Callable[..., Run], number: signal.Signals) -> None:
    message = run("send-message", "bob", "-", "--json", stdin=subprocess.PIPE)
    time.sleep(3)
    message.kill(number)
    code, events, err = message.end()
    assert (code, [event["event"] for event in events]) == (CODES[number], ["result"]), err
    assert "Traceback" not in err


@pytest.mark.parametrize("ignored", CODES)
def test_a_signal_that_is_ignored_when_we_start_stays_ignored(run: Callable[..., Run], ignored: signal.Signals) -> None:
    other = signal.SIGTERM if ignored is not signal.SIGTERM else signal.SIGINT
    call = run("call", "no-answer", "--no-audio", "--json", ignoring=ignored)
    call.kill(ignored)
    call.until("call.ringing")
    call.kill(ignored)
    time.sleep(0.5)
    assert call.process.poll() is None
    call.kill(other)
    code, events, _ = call.end()
    assert (code, events[-1]["exit_code"]) == (CODES[other], CODES[other])


def test_a_second_ctrl_c_while_a_command_is_closing_leaves_at_once_with_one_result(run: Callable[..., Run]) -> None:
    call = run("call", "echo", "--no-audio", "--json")
    call.until("call.established")
    for _ in range(3):
        call.kill(signal.SIGINT)
        time.sleep(0.01)
    code, events, err = call.end()
    assert [event["event"] for event in events].count("result") == 1
    assert (code, events[-1]["exit_code"]) == (130, 130)
    assert err == ""


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("command", [("call", "bob", "--no-audio"), ("token",), ("send-message", "bob", "hello")])
def test_a_signal_while_the_secret_command_runs_is_taken_at_once_and_kills_it(
    run: Callable[..., Run], number: signal.Signals, command: tuple[str, ...], tmp_path: Path
) -> None:
    script = tmp_path / "secret"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/started.part\nmv {tmp_path}/started.part {tmp_path}/started\nexec sleep 300\n")
    script.chmod(0o700)
    config = tmp_path / "cloud.toml"
    config.write_text(f'user = "ada"\nenvironment = "cloud"\napplication_key = "key"\nsecret_command = "{script}"\n')
    asked = run("--config", str(config), *command, *([] if command == ("token",) else ["--json"]))
    deadline = time.monotonic() + LIMIT
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    asked.kill(number)
    code, events, _ = asked.end()
    assert code == CODES[number]
    assert [event["event"] for event in events] == ([] if command == ("token",) else ["result"])
    with pytest.raises(ProcessLookupError):
        for _ in range(500):
            os.kill(int((tmp_path / "started").read_text()), 0)
            time.sleep(0.02)


def test_modules_of_others_are_imported_after_the_signals_are_taken() -> None:
    program = (
        "import sys; before = set(sys.modules); import sinchphone.cli.main; "
        "print(sorted(set(sys.modules) - before - {'sinchphone', 'sinchphone.cli', 'sinchphone.cli.main', 'sinchphone.cli.signals'}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env=bare_environment())
    imported = set(json.loads(done.stdout.replace("'", '"')))
    assert imported <= {
        "__future__",
        "_signal",
        "atexit",
        "importlib",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "_imp",
        "warnings",
        "_warnings",
    }


def bare_environment() -> dict[str, str]:
    import sinchphone

    return {**os.environ, "PYTHONPATH": str(Path(sinchphone.__file__).parents[1])}
