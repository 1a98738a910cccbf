"""Messages between two processes, as two people at two terminals have it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.programs import SINCHPHONE

LIMIT_S = 60.0


class Terminal:
    def __init__(self, home: Path, port: int) -> None:
        (home / "config" / "sinchphone").mkdir(parents=True)
        (home / "config" / "sinchphone" / "config.toml").write_text(f"[exchange]\nport = {port}\nbackground = false\n")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "XDG"))}
        self._environ = {**clean, "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
        self._home = home
        self._listeners: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        command = [*SINCHPHONE, *arguments, "--json"]
        done = subprocess.run(command, env=self._environ, cwd=self._home, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def listen(self, user: str, *more: str) -> subprocess.Popen[str]:
        command = [*SINCHPHONE, "listen", "--user", user, "--no-audio", "--json", "--for", "60s", *more]
        process = subprocess.Popen(command, env=self._environ, cwd=self._home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._listeners.append(process)
        self.until(process, "client.ready")
        return process

    def until(self, process: subprocess.Popen[str], event: str) -> dict[str, Any]:
        assert process.stdout is not None
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            line: dict[str, Any] = json.loads(process.stdout.readline())
            if line["event"] == event:
                return line
        raise AssertionError(f"no {event}")

    def close(self) -> None:
        for process in self._listeners:
            process.terminate()
            process.wait(LIMIT_S)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def terminal(tmp_path: Path, free_port: int) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, free_port)
    yield opened
    opened.close()


@pytest.mark.parametrize("api", ["ocra", "papi"])
def test_send_message_delivers_to_a_listening_process_and_both_remember(terminal: Terminal, tmp_path: Path, api: str) -> None:
    with (tmp_path / "config" / "sinchphone" / "config.toml").open("r+") as file:
        settings = file.read()
        file.seek(0)
        file.write(f'api = "{api}"\n{settings}')
    bob = terminal.listen("bob")
    code, events = terminal.run("send-message", "--user", "alice", "bob", "on my way 🚲")
    assert code == 0, events
    assert [event["event"] for event in events] == ["client.ready", "message.sent", "message.delivered", "result"]
    received = terminal.until(bob, "message.received")
    assert (received["sender"], received["text"]) == ("alice", "on my way 🚲")
    assert received["message_id"] == events[1]["message_id"]
    for user, outbound, status in (("alice", True, "delivered"), ("bob", False, "received")):
        code, [entry, _] = terminal.run("history", "--user", user)
        assert (code, entry["kind"], entry["outbound"], entry["status"], entry["text"]) == (0, "message", outbound, status, "on my way 🚲")


def test_what_i_write_on_one_device_is_told_with_its_text_on_the_other(terminal: Terminal) -> None:
    mine = terminal.listen("alice")
    terminal.listen("bob")
    code, _ = terminal.run("send-message", "--user", "alice", "bob", "on my way 🚲")
    assert code == 0
    told = terminal.until(mine, "message.sent")
    assert (told["elsewhere"], told["recipients"], told["text"]) == (True, ["bob"], "on my way 🚲")


def test_an_unknown_user_exits_with_7_and_a_silent_one_with_15(terminal: Terminal) -> None:
    bob = terminal.listen("bob")
    code, events = terminal.run("send-message", "--user", "alice", "nobody-here", "hi")
    assert (code, events[-1]["exit_code"]) == (7, 7)
    terminal.listen("carol")
    bob.terminate()
    bob.wait(LIMIT_S)
    code, events = terminal.run("send-message", "--user", "alice", "--timeout", "3s", "carol", "bob", "hi")
    statuses = {one["recipient"]: one["status"] for one in events[-1]["messages"]}
    assert (code, statuses) == (15, {"carol": "delivered", "bob": "sent"})


def test_a_message_to_somebody_who_is_away_is_there_when_they_are_back(terminal: Terminal) -> None:
    terminal.listen("host")  # the exchange runs on here
    bob = terminal.listen("bob")
    bob.terminate()
    bob.wait(LIMIT_S)
    code, _ = terminal.run("send-message", "--user", "alice", "--wait", "sent", "bob", "while you were away")
    assert code == 0
    again = terminal.listen("bob")
    assert terminal.until(again, "message.received")["text"] == "while you were away"
    alice = terminal.listen("alice")
    assert terminal.until(alice, "message.delivered")["recipient"] == "bob"
    _, [entry, _] = terminal.run("history", "--user", "alice")
    assert entry["status"] == "delivered"


def test_a_call_is_in_the_history_of_both(terminal: Terminal) -> None:
    terminal.listen("bob", "--auto-answer", "30s")
    code, _ = terminal.run("call", "--user", "alice", "--no-audio", "--tone", "440", "--max-duration", "1s", "hangup-after:1s")
    assert code == 0
    code, _ = terminal.run("call", "--user", "alice", "--no-audio", "--tone", "440", "--ring-timeout", "2s", "bob")
    assert code == 5
    _, events = terminal.run("history", "--user", "alice")
    assert [(one["kind"], one["peers"], one["outbound"]) for one in events[:-1]] == [
        ("call", ["hangup-after:1s"], True),
        ("call", ["bob"], True),
    ]
    _, events = terminal.run("history", "--user", "bob", "--missed")
    assert [(one["peers"], one["missed"]) for one in events[:-1]] == [(["alice"], True)]
