"""The programs that steer a phone, and the hooks, each run as its reader would run it, with what is heard decoded."""

import re
import shutil
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import RATE
from tests.examples.test_examples import HERE, PHONE, Folder, has_tone, heard

GREETING_HZ, OTHER_HZ = 440.0, 660.0


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """With ``sinchphone`` in the path and two sounds, half a second each."""
    made = Folder(tmp_path)
    phone = tmp_path / "bin" / "sinchphone"
    phone.parent.mkdir()
    phone.write_text(f'#!/bin/sh\nexec {" ".join(PHONE)} "$@"\n')
    phone.chmod(0o755)
    made.environment["PATH"] = f"{phone.parent}:{made.environment['PATH']}"
    for program in HERE.glob("*.sh"):
        shutil.copy(program, tmp_path)
    for name, hz in (("one.wav", GREETING_HZ), ("two.wav", OTHER_HZ)):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((8000 * np.sin(2 * np.pi * hz * np.arange(RATE // 2) / RATE)).astype("<i2").tobytes())
    return made


@pytest.mark.parametrize("bot", [[sys.executable, "control_bot.py"], ["sh", "control_bot.sh"]], ids=["python", "shell"])
def test_the_control_bot_plays_what_the_keys_ask_for_and_hangs_up(folder: Folder, bot: list[str]) -> None:
    if bot[0] == "sh" and shutil.which("jq") is None:
        pytest.skip("needs jq")
    with folder.running(*bot, "one.wav", "two.wav", until="bot is waiting"):
        call = folder.run(*PHONE, "call", "bot", "--no-audio", "--record", "call.wav", "--dtmf", "WW1WW9", "--max-duration", "40s")
        assert (call.returncode, "bot hung up" in call.stdout) == (0, True), call.stdout + call.stderr
    assert "dialled WW1WW9" in call.stderr
    sound = heard(folder.folder / "call.wav")
    assert has_tone(sound, GREETING_HZ), "the greeting"
    assert has_tone(sound, OTHER_HZ), "what was asked for"


def test_the_alarm_rings_one_after_the_other_until_somebody_presses_1(folder: Folder) -> None:
    listen = [*PHONE, "listen", "--user", "carol", "--auto-answer", "--no-audio", "--dtmf", "WW1", "--record", "alarm.wav", "--once"]
    with folder.running(*listen, until="waiting"):
        done = folder.run(sys.executable, "escalation.py", "one.wav", "decline", "carol", "nobody-else")
        assert done.returncode == 0, done.stderr
        assert re.findall(r"^(\S+): (.*)$", done.stdout, re.MULTILINE) == [("decline", "decline declined"), ("carol", "took it")]
    assert has_tone(heard(folder.folder / "alarm.wav"), GREETING_HZ)


def test_voicemail_greets_records_and_tells_the_owner(folder: Folder) -> None:
    bot = [sys.executable, "voicemail_bot.py", "ada", "one.wav", "two.wav"]
    owner_waits = [*PHONE, "listen", "--user", "ada", "--no-audio"]
    with folder.running(*owner_waits, until="waiting") as owner, folder.running(*bot, until="voicemail is waiting") as said:
        order = ("--user", "bob", "--no-audio", "--tone", "1000", "--record", "call.wav", "--max-duration", "5s")
        call = folder.run(*PHONE, "call", "voicemail", *order)
        assert call.returncode == 0, call.stderr
        folder.says(said, r"bob left a message of \d s: message-\d+\.wav")
        folder.says(owner, "voicemail: bob left a message")
    sound = heard(folder.folder / "call.wav")
    assert has_tone(sound, GREETING_HZ)
    assert has_tone(sound, OTHER_HZ), "the beep"
    (message,) = folder.folder.glob("message-*.wav")
    assert has_tone(heard(message), 1000.0)


def test_hooks_screen_calls_and_log_them(folder: Folder) -> None:
    (folder.folder / "blocked.txt").write_text("spam\n")
    hooks = ["--on", f"incoming={sys.executable} screen_calls.py", "--on", "ended=sh log_calls.sh"]
    with folder.running(*PHONE, "listen", "--user", "bob", "--no-audio", "--tone", "660", *hooks, until="waiting"):
        refused = folder.run(*PHONE, "call", "bob", "--user", "spam", "--no-audio")
        assert refused.returncode == 3, refused.stderr
        taken = folder.run(*PHONE, "call", "bob", "--user", "ada", "--no-audio", "--record", "call.wav", "--max-duration", "2s")
        assert taken.returncode == 0, taken.stderr
    assert has_tone(heard(folder.folder / "call.wav"), 660.0)
    logged = [line.split("\t")[:2] for line in (folder.folder / "calls.log").read_text().splitlines()]
    assert logged == [["spam", "denied"], ["ada", "hung_up"]]
