"""Commands that can't answer a call don't ring, and the user's other programs do."""

import json
import signal
import socket
from pathlib import Path

import pytest

from tests.programs import start, until_said

LIMIT = 60.0


@pytest.mark.parametrize("command", [("call", "echo"), ("conference", "standup")])
def test_who_is_in_a_call_of_a_script_cannot_be_called_there(nobodys_machine: Path, command: tuple[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = nobodys_machine / "config" / "sinchphone" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[exchange]\nport = {port}\n")
    busy = start(*command, "--user", "bob", "--no-audio", "--json")
    try:
        until_said(busy.stdout, "call.established")
        done = start("call-user", "bob", "--user", "alice", "--no-audio", "--json")
        out, err = done.communicate(timeout=LIMIT)
        assert done.returncode == 7, out + err
        ended = next(line for line in map(json.loads, out.splitlines()) if line["event"] == "result")
        assert "not listening" in ended["error"]["message"]
    finally:
        busy.send_signal(signal.SIGTERM)
        busy.communicate(timeout=LIMIT)
