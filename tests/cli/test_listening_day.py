"""A whole day of ``listen``: every call is answered, the registration is kept, and nothing grows."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HOURS = 24
SETTLED_HOUR = 4
PATIENCE_S = 300.0
MAX_GROWTH = 1.03  # of all Python objects: the result lists the day's calls, and what the exchange keeps of them is bounded


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen."""
    home = tmp_path_factory.mktemp("home")
    configured = home / ".config" / "sinchphone"
    configured.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (configured / "config.toml").write_text(f"[exchange]\nport = {port}\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "XDG_", "COV"))}
    environ |= {"HOME": str(home), "SINCHPHONE_BACKGROUND": "false"}
    command = [sys.executable, str(Path(__file__).with_name("listening_day.py")), str(HOURS), str(port)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert seen["caller"] == "None", "alice had no trouble"
    return seen


def test_the_day_is_a_day_and_ends_as_asked(day: dict[str, Any]) -> None:
    assert day["passed_s"] == pytest.approx(HOURS * 3600, abs=60)
    assert (day["exit_code"], day["events"]["result"]) == (0, 1)


def test_every_call_is_answered(day: dict[str, Any]) -> None:
    assert day["answered"] == HOURS - 1
    assert day["ends"] == ["hung_up"] * (HOURS - 1)
    for event in ("call.incoming", "call.answered", "call.established", "call.ended"):
        assert day["events"][event] == HOURS - 1


def test_the_registration_is_confirmed_when_that_is_due_and_never_lost(day: dict[str, Any]) -> None:
    assert day["confirmed"] >= HOURS / 2 - 1  # every other hour, as the platform says
    # A very busy machine may deliver something after the clock jumped over somebody's patience: mended at once, and once at most.
    assert len(day["trouble"]) <= 1, day["trouble"]
    assert day["events"]["client.ready"] == 1 + len(day["trouble"])
    assert not day["events"].keys() & {"client.failed", "warning"}


def test_a_registration_that_ends_is_prolonged_by_new_tokens_all_day(day: dict[str, Any]) -> None:
    assert day["prolonged"] >= HOURS / 6 - 1, "after half of its eight hours, when it is looked at"
    assert day["tokens"]["bob"] >= 1 + day["prolonged"]


def test_no_task_no_file_and_no_call_is_left_over(day: dict[str, Any]) -> None:
    settled, *later = [hour for hour in day["hours"] if hour["hour"] >= SETTLED_HOUR]
    assert len(later) >= HOURS - SETTLED_HOUR - 2
    for hour in later:
        assert (hour["tasks"], hour["files"]) == (settled["tasks"], settled["files"]), hour
        assert hour["calls"] <= 2, "the last one, on both sides"


def test_memory_is_flat(day: dict[str, Any]) -> None:
    settled, *later = [hour["objects"] for hour in day["hours"] if hour["hour"] >= SETTLED_HOUR]
    assert max(later) < settled * MAX_GROWTH
