"""The doctor: each check says what it found, none keeps the others from running, and the exit code tells whether something is wrong."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.media.webrtc.ice import nat_probe
from sinchphone.media.webrtc.ice.nat_probe import NatKind, NetworkReport, ServerReport
from sinchphone.media.webrtc.ice.servers import Server
from sinchphone.signaling.http.platform_clock import ask_clock

CHECKS = ["versions", "configuration", "secret", "state", "clock", "token", "sound", "platform", "ice-servers", "nat", "call"]
KEY = "11111111-2222-3333-4444-555555555555"


def findings(ran: Any) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in ran.events if one["event"] == "doctor.check"}


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def server() -> Iterator[Callable[[float], str]]:
    """A platform that answers 404 to everything, with a clock that is off by so many seconds."""
    opened: list[HTTPServer] = []

    def serve(off_s: float) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(404)
                self.send_header("Date", formatdate(time.time() + off_s, usegmt=True))
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        opened.append(HTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=opened[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{opened[-1].server_port}"

    yield serve
    for one in opened:
        one.shutdown()
        one.server_close()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def choose(host: str) -> None:
        monkeypatch.setenv("SINCH_APPLICATION_KEY", KEY)
        monkeypatch.setenv("SINCHPHONE_HOST", host)
        monkeypatch.setattr(devices, "list_devices", lambda: (devices.SoundDevice(0, "card", "ALSA", 1, 2, True, True),))

    return choose


def test_a_platform_that_is_not_there_is_told_and_everything_else_is_checked(sinchphone: Any, cloud: Any, free_port: int) -> None:
    cloud(f"http://127.0.0.1:{free_port}")
    ran = sinchphone("doctor", "--user", "ada", "--json")
    found = findings(ran)
    assert list(found) == CHECKS
    assert ran.code == 20
    assert {name for name, one in found.items() if one["result"] == "problem"} == {"secret", "clock", "token", "platform"}
    assert found["call"]["result"] == "skipped"
    assert all(one["hint"] for one in found.values() if one["result"] == "problem")
    assert (ran.events[-1]["exit_code"], ran.events[-1]["ok"]) == (20, False)


def test_servers_of_ones_own_are_asked_though_the_platform_is_not_there(
    sinchphone: Any, cloud: Any, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud(f"http://127.0.0.1:{free_port}")

    async def probe(servers: Any, ca_file: Any) -> NetworkReport:
        assert servers[0].urls == ("stun:s.example",)
        return NetworkReport((ServerReport(Server("s.example", 3478, relay=False), "didn't answer", 0.0),), NatKind.BLOCKED, ())

    monkeypatch.setattr(nat_probe, "probe_network", probe)
    file = tmp_path / "c.toml"
    file.write_text('[ice]\nservers = ["stun:s.example"]\n')
    command = ("doctor", "--user", "ada", "--config", str(file), "--json")
    found = findings(sinchphone(*command))
    assert list(found) == CHECKS
    assert [found[name]["result"] for name in ("platform", "ice-servers", "nat")] == ["problem", "warning", "warning"]
    assert "let UDP out" in found["nat"]["hint"]
    file.write_text('[ice]\nservers = ["turn:s.example"]\nusername = "ada"\n')
    assert "no password" in findings(sinchphone(*command))["nat"]["summary"]


@pytest.mark.parametrize(("off_s", "result"), [(0.0, "ok"), (12.0, "warning"), (-90.0, "problem"), (3600.0, "problem")])
def test_a_clock_that_is_off_is_told(sinchphone: Any, cloud: Any, server: Any, off_s: float, result: str) -> None:
    cloud(server(off_s))
    clock = findings(sinchphone("doctor", "--user", "ada", "--json"))["clock"]
    assert clock["result"] == result
    if result != "ok":
        assert "s behind" in clock["summary"] if off_s > 0 else "s ahead of" in clock["summary"]


async def test_the_platforms_clock_is_read_off_any_answer(server: Any) -> None:
    url = await asyncio.to_thread(server, 100.0)
    assert 98.0 < await ask_clock(url) < 102.0


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_state_folder_that_others_can_enter_is_a_warning(sinchphone: Any, cloud: Any, free_port: int, nobodys_machine: Path) -> None:
    cloud(f"http://127.0.0.1:{free_port}")
    folder = nobodys_machine / "state" / "sinchphone"
    folder.mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    state = findings(sinchphone("doctor", "--user", "ada", "--json"))["state"]
    assert (state["result"], "chmod 700" in state["hint"]) == ("warning", True)


def test_a_state_folder_that_can_not_be_made_is_a_problem(sinchphone: Any, cloud: Any, free_port: int, nobodys_machine: Path) -> None:
    cloud(f"http://127.0.0.1:{free_port}")
    (nobodys_machine / "state").write_text("a file is in the way")
    state = findings(sinchphone("doctor", "--user", "ada", "--json"))["state"]
    assert (state["result"], "can't be made" in state["summary"], "XDG_STATE_HOME" in state["hint"]) == ("problem", True, True)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_secret_file_that_others_can_read_is_a_problem(sinchphone: Any, cloud: Any, free_port: int, tmp_path: Path) -> None:
    cloud(f"http://127.0.0.1:{free_port}")
    secret = tmp_path / "secret"
    secret.write_text("c2VjcmV0")
    secret.chmod(0o644)
    file = tmp_path / "c.toml"
    file.write_text(f'secret_file = "{secret}"\n')
    found = findings(sinchphone("doctor", "--user", "ada", "--config", str(file), "--json"))
    assert found["secret"]["result"] == "problem"
    assert "can be read by others" in found["secret"]["summary"]


@pytest.mark.parametrize(
    ("there", "result"),
    [((), "warning"), ((devices.SoundDevice(0, "mic", "ALSA", 1, 0, True, False),), "warning")],
    ids=["nothing", "no loudspeaker"],
)
def test_lacking_sound_devices_are_a_warning_since_calls_work_without(
    sinchphone: Any, cloud: Any, free_port: int, monkeypatch: pytest.MonkeyPatch, there: Any, result: str
) -> None:
    cloud(f"http://127.0.0.1:{free_port}")
    monkeypatch.setattr(devices, "list_devices", lambda: there)
    assert findings(sinchphone("doctor", "--user", "ada", "--json"))["sound"]["result"] == result


def test_text_says_a_line_a_check_with_its_hint_below(sinchphone: Any, cloud: Any, free_port: int) -> None:
    cloud(f"http://127.0.0.1:{free_port}")
    lines = sinchphone("doctor", "--user", "ada").out.splitlines()
    assert [line.split()[1] for line in lines if not line.startswith(" ")] == CHECKS
    assert all("hint: " in lines[number + 1] for number, line in enumerate(lines) if line.startswith("problem"))


def test_on_the_local_exchange_the_echo_comes_back_and_is_no_call_of_the_history(nobodys_machine: Path, free_port: int) -> None:
    Path("sinchphone.toml").write_text("")
    file = nobodys_machine / "c.toml"
    file.write_text(f"[exchange]\nport = {free_port}\n")
    program = "from sinchphone.cli.main import main; main()"
    common = ["--json", "--config", str(file)]
    command = [sys.executable, "-c", program, "doctor", "--user", "ada", *common]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        looked = [sys.executable, "-c", program, "history", "--user", "ada", *common]
        past = subprocess.run(looked, capture_output=True, text=True, timeout=60, check=True)
    finally:
        subprocess.run([sys.executable, "-c", program, "exchange", "stop", *common], capture_output=True, timeout=60, check=False)
    found = {one["id"]: one for one in map(json.loads, done.stdout.splitlines()) if one["event"] == "doctor.check"}
    assert list(found) == CHECKS
    assert done.returncode == 0, found
    assert "the echo came back after" in found["call"]["summary"]
    assert [json.loads(line)["event"] for line in past.stdout.splitlines()] == ["result"]
