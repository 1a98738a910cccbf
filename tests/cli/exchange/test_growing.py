"""The unit, the Compose file and Prometheus' file for the exchange: what they would run is run here, without systemd and Docker."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sinchphone.cli.command_line import command_line
from sinchphone.cli.commands.help import read_page
from tests.exchange.conftest import SECRETS
from tests.exchange.shared.conftest import REDIS, RedisServer

LIMIT_S = 60.0
PAGE = read_page("growing").text
UNIT = next(block for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if block.startswith("[Unit]"))
COMPOSE, SCRAPES = (
    next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith(f"{word}:"))
    for word in ("services", "scrape_configs")
)
STARTED = re.search(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)


def exchange() -> dict[str, Any]:
    """The service of the Compose file."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]["exchange"]
    return found


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def drain_of(command: list[str]) -> float:
    return seconds(command[command.index("--drain") + 1])


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs the package systemd")
    program = tmp_path / "sinchphone"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "sinchphone-exchange@4601.service"
    unit.write_text(UNIT.replace("/opt/sinchphone/bin/sinchphone", str(program)))
    command = ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "sinchphone" in line]) == (0, [])


def test_both_give_the_exchange_more_time_to_end_than_it_takes_to_drain() -> None:
    assert STARTED is not None
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert stop is not None and float(stop[1]) > drain_of(STARTED[1].split()) + 10
    assert seconds(exchange()["stop_grace_period"]) > drain_of(exchange()["command"]) + 10


def test_what_they_run_are_commands_and_options_that_exist() -> None:
    assert STARTED is not None
    for words in (STARTED[1].replace("%i", "4601").split(), exchange()["command"]):
        assert words[0].rpartition("/")[2] == "sinchphone"
        assert command_line([*words[1:], "--help"]) == 0


def test_the_unit_keeps_state_where_systemd_lets_it_write() -> None:
    folder = re.search(r"^StateDirectory=(.*)$", UNIT, re.MULTILINE)
    assert folder is not None and f"Environment=XDG_STATE_HOME=%S/{folder[1]}\n" in UNIT


def test_prometheus_reads_where_the_unit_has_it_told() -> None:
    assert STARTED is not None
    address = STARTED[1].split()[STARTED[1].split().index("--metrics") + 1]
    targets = yaml.safe_load(SCRAPES)["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [address.replace("%i", port) for port in ("4601", "4602")]
    promtool = shutil.which("promtool")
    if promtool is not None:
        checking = [promtool, "check", "config", "/dev/stdin"]
        assert subprocess.run(checking, input=SCRAPES, text=True, timeout=LIMIT_S, check=False, capture_output=True).returncode == 0


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """The Redis of the Compose file, run as it says, but on loopback and at a port of its own; nothing where it isn't installed."""
    program, *words = yaml.safe_load(COMPOSE)["services"]["redis"]["command"]
    assert program == "redis-server"
    if REDIS is None:
        yield ""
        return
    server = RedisServer(tmp_path / "redis")
    server.folder.mkdir()
    server.start(*words)
    yield server.address
    server.kill()


def test_the_composed_exchange_becomes_healthy_and_ends_well(tmp_path: Path, store: str) -> None:
    """With a port of its own, on loopback."""
    service, port, metrics = exchange(), free_port(), free_port()
    changed = {"0.0.0.0": "127.0.0.1", "0.0.0.0:9464": f"127.0.0.1:{metrics}"}
    command = [sys.executable, "-m", "sinchphone", *(changed.get(word, word) for word in service["command"][1:]), "--port", port]
    check = [sys.executable, *(word.replace("9464", metrics) for word in service["healthcheck"]["test"][2:])]
    homes = {name: str(tmp_path) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME")}
    given = {"SINCHPHONE_EXCHANGE_KEY": "acme", "SINCHPHONE_EXCHANGE_SECRET": SECRETS["acme"]}
    assert set(service["environment"]) == {*given, "SINCHPHONE_EXCHANGE_STORE"}
    given |= {"SINCHPHONE_EXCHANGE_STORE": store} if store else {}
    log = (tmp_path / "log").open("w")
    running = subprocess.Popen(command, env={**os.environ, **homes, **given}, cwd=tmp_path, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + LIMIT_S
        while subprocess.run(check, capture_output=True, check=False, timeout=LIMIT_S).returncode:
            assert time.monotonic() < deadline and running.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=LIMIT_S) as answer:
            assert json.loads(answer.read())["status"] == "ok"
        running.send_signal(signal.SIGTERM)
        assert running.wait(LIMIT_S) == 143
        kept = [file.read_bytes() for file in tmp_path.glob("redis/appendonlydir/*" if store else "sinchphone/*.sqlite3")]
        assert any(b"acme" in one or not store for one in kept), "in Redis, or as the unit has it: under XDG_STATE_HOME"
    finally:
        running.kill()
        running.wait()
        log.close()
