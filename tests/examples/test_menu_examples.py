"""The backends with menus, a recording and a queue, each run as its reader would run it, with its sound."""

import json
import sys
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.examples.test_examples import PHONE, Folder, has_tone, heard

SUPPORT = "+46850000000"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@contextmanager
def asked(folder: Folder, program: str, *options: str) -> Iterator[Path]:
    """An exchange that asks that program; what it says."""
    folder.configure(f'[backend]\nurl = "http://127.0.0.1:{folder.backend_port}/voice"\n')
    with ExitStack() as stack:
        stack.enter_context(folder.running(*PHONE, "exchange", until="127.0.0.1"))
        (stored,) = folder.folder.rglob("local-application.json")
        application = json.loads(stored.read_text())
        proof = {"SINCH_APPLICATION_KEY": application["key"], "SINCH_APPLICATION_SECRET": application["secret"]}
        backend = [sys.executable, program, "--port", str(folder.backend_port), *options]
        yield stack.enter_context(folder.running(*backend, until="Running on", **proof))


def test_a_caller_goes_through_three_menus_and_hears_each(folder: Folder) -> None:
    with asked(folder, "ivr_backend.py") as said:
        done = folder.run(*PHONE, "call", SUPPORT, "--no-audio", "--record", "ivr.wav", "--dtmf", "www1ww2ww47#", "--max-duration", "20s")
        assert done.returncode == 0, done.stderr
        folder.says(said, "delivery: sequence 47")
    sound = heard(folder.folder / "ivr.wav")
    assert all(has_tone(sound, hz) for hz in (440.0, 550.0, 660.0, 880.0))


def test_a_message_is_recorded_and_fetched(folder: Folder) -> None:
    with asked(folder, "recording_backend.py", "--messages", "messages") as said:
        call = [
            *PHONE,
            "call",
            SUPPORT,
            "--no-audio",
            "--tone",
            "1000",
            "--dtmf",
            "wwwwww#",
            "--record",
            "mine.wav",
            "--max-duration",
            "20s",
        ]
        done = folder.run(*call)
        assert done.returncode == 0, done.stderr
        folder.says(said, "a message: ")
    assert all(has_tone(heard(folder.folder / "mine.wav"), hz) for hz in (440.0, 880.0)), "greeting and thanks"
    (message,) = (folder.folder / "messages").iterdir()
    with wave.open(str(message)) as file:
        spoken = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 0]
    assert has_tone(spoken, 1000.0), "what the caller said"
    assert not list(folder.folder.rglob("recordings/*.wav")), "the backend has deleted it at the exchange"


def test_a_caller_waits_with_music_until_an_agent_takes_them(folder: Folder) -> None:
    with asked(folder, "queue_backend.py") as said:
        waits = [*PHONE, "call", SUPPORT, "--no-audio", "--record", "queue.wav", "--max-duration", "9s"]
        with folder.running(*waits, until="established|Connected|connected"):
            folder.says(said, "waits, 1 in all")
            agent = folder.run(*PHONE, "call", "next", "--user", "agent", "--no-audio", "--tone", "1000", "--max-duration", "3s")
            assert agent.returncode == 0, agent.stderr
            folder.says(said, "is served")
    sound = heard(folder.folder / "queue.wav")
    assert has_tone(sound, 440.0) or has_tone(sound, 550.0), "welcome, or music"
    assert has_tone(sound, 1000.0), "the agent"
