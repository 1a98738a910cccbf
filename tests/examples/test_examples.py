"""The programs that show how, each run as its reader would run it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones import goertzel

HERE = Path(__file__).parent
PHONE = [sys.executable, "-m", "sinchphone"]
LIMIT_S = 60.0


class Folder:
    """A reader's machine: a home of its own, an exchange on a free port, the programs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.backend_port = _free_port(), _free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "XDG_"))}
        self.environment = kept | {"HOME": str(folder), "PYTHONUNBUFFERED": "1", "SINCHPHONE_BACKGROUND": "false"}
        for program in HERE.glob("*.py"):
            if not program.name.startswith(("test_", "conftest")):
                shutil.copy(program, folder)
        self.configure("")

    def configure(self, text: str) -> None:
        file = self.folder / ".config" / "sinchphone" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'user = "ada"\n[exchange]\nport = {self.port}\n{text}')

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=2 * LIMIT_S, check=False
        )

    @contextmanager
    def running(self, *command: str, until: str, **environment: str) -> Iterator[Path]:
        """A program beside; the file with what it says."""
        said = self.folder / f"{time.monotonic_ns()}.txt"
        with said.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.says(said, until)
            yield said
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C: to what it started too
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def says(self, said: Path, words: str) -> None:
        limit = time.monotonic() + LIMIT_S
        while not re.search(words, said.read_text()):
            assert time.monotonic() < limit, f"{words!r} never came: {said.read_text()}"
            time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def heard(recording: Path) -> Samples:
    with wave.open(str(recording)) as file:
        tracks: Samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return tracks[:, -1]  # the far end


def has_tone(heard: Samples, hz: float) -> bool:
    pieces = range(0, len(heard) - RATE // 10, RATE // 50)
    return any(goertzel.share(heard[at : at + RATE // 10], hz) > 0.9 for at in pieces)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_bot_greets_who_calls_and_says_back_what_it_hears(folder: Folder) -> None:
    with folder.running(sys.executable, "answering_bot.py", "--port", str(folder.port), until="bot is waiting") as said:
        done = folder.run(*PHONE, "call", "bot", "--tone", "1000", "--no-audio", "--record", "call.wav", "--max-duration", "5s")
        assert done.returncode == 0, done.stderr
        folder.says(said, "ada is gone: hung_up")
    sound = heard(folder.folder / "call.wav")
    assert all(has_tone(sound, hz) for hz in (440.0, 550.0, 660.0)), "the greeting"
    assert has_tone(sound, 1000.0), "what was said to it"


def test_the_tests_of_the_bot_pass_as_they_stand(folder: Folder) -> None:
    done = folder.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "softphone_in_ci.py")
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b4 passed", done.stdout)


def test_the_tests_of_the_backend_pass_as_they_stand(folder: Folder) -> None:
    done = folder.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "backend_in_ci.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b2 passed", done.stdout)


def test_the_tests_with_fixtures_pass_as_they_stand(folder: Folder) -> None:
    done = folder.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "fixtures_in_ci.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b5 passed", done.stdout)


def test_the_backend_routes_calls(folder: Folder) -> None:
    folder.configure(f'[backend]\nurl = "http://127.0.0.1:{folder.backend_port}/voice"\n')
    with ExitStack() as stack:
        stack.enter_context(folder.running(*PHONE, "exchange", until="127.0.0.1"))
        (stored,) = folder.folder.rglob("local-application.json")
        application = json.loads(stored.read_text())
        proof = {"SINCH_APPLICATION_KEY": application["key"], "SINCH_APPLICATION_SECRET": application["secret"]}
        backend = [sys.executable, "routing_backend.py", "--port", str(folder.backend_port)]
        said = stack.enter_context(folder.running(*backend, until="Running on", **proof))
        support = [*PHONE, "listen", "--user", "support", "--auto-answer", "--tone", "620", "--no-audio"]
        stack.enter_context(folder.running(*support, until="waiting"))

        call = folder.run(*PHONE, "call", "+46850000000", "--no-audio", "--record", "support.wav", "--max-duration", "3s")
        assert call.returncode == 0, call.stderr
        assert has_tone(heard(folder.folder / "support.wav"), 620.0), "the user of the support line"
        folder.says(said, r"calls \+46850000000: connectMxp")
        folder.says(said, "dice: ANSWERED, CALLERHANGUP")

        assert folder.run(*PHONE, "call", "+14155550102", "--no-audio").returncode == 6, "a number goes where it was going: busy"
        folder.run(*PHONE, "call", "+46900000000", "--no-audio", "--record", "refused.wav")
        folder.says(said, r"calls \+46900000000: hangup")
        folder.says(said, "dice: [A-Z]+, MANAGERHANGUP")
        if shutil.which("espeak-ng"):
            assert dbfs(heard(folder.folder / "refused.wav")) > -40.0, "the sentence that says why"


def test_the_reminder_is_heard_and_confirmed(folder: Folder) -> None:
    with folder.running(*PHONE, "exchange", until="127.0.0.1"):
        (stored,) = folder.folder.rglob("local-application.json")
        application = json.loads(stored.read_text())
        folder.environment |= {"SINCH_APPLICATION_KEY": application["key"], "SINCH_APPLICATION_SECRET": application["secret"]}
        api, here = f"http://127.0.0.1:{folder.port}", f"http://127.0.0.1:{folder.backend_port}/voice"
        where = ("--api", api, "--here", here, "--port", str(folder.backend_port))
        words = "Your appointment is at nine. Press 1 to confirm."
        done = folder.run(sys.executable, "reminder.py", "+14155550105", words, *where)
        assert done.returncode == 0, done.stdout + done.stderr  # that number presses 1, 2 and 3
        assert "confirmed" in done.stdout and "over: ANSWERED, MANAGERHANGUP" in done.stdout
        assert folder.run(sys.executable, "reminder.py", "+14155550102", words, *where).returncode == 1, "busy"
    if shutil.which("espeak-ng"):
        (recording,) = folder.folder.rglob("recordings/*.wav")
        assert dbfs(heard(recording)) > -40.0, "the words are heard"


def test_the_backend_believes_nobody_but_the_exchange(folder: Folder) -> None:
    backend = [sys.executable, "routing_backend.py", "--port", str(folder.backend_port)]
    proof = {"SINCH_APPLICATION_KEY": "key", "SINCH_APPLICATION_SECRET": "c2VjcmV0"}
    with folder.running(*backend, until="Running on", **proof):
        url, forged = f"http://127.0.0.1:{folder.backend_port}/voice", {"Authorization": "application key:"}
        request = urllib.request.Request(url, b'{"event": "dice"}', forged)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=LIMIT_S)
