"""The real command line with real sound devices (null sinks): tone in at the microphone, tone out of the loudspeaker."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import RATE
from sinchphone.audio.levels.level import dbfs
from tests.instruments import is_steady

PATIENCE_S = 30.0
SIGNAL_S = 0.4  # of a signal of the network, less than it sounds in a row
LONGER_THAN_A_REST_S = 3.0  # a ringtone rests for two seconds


def start(lab: Any, port: int, *arguments: str, without: Collection[str] = ()) -> subprocess.Popen[str]:
    """``without``: variables of the environment that the program isn't to see."""
    configuration = lab.folder / "config" / "sinchphone" / "config.toml"  # the person's own: a project's file may not choose a port
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(f"[exchange]\nport = {port}\n")
    environment = {**lab.environment, "XDG_STATE_HOME": str(lab.folder / "state"), "XDG_CONFIG_HOME": str(lab.folder / "config")}
    environment = {name: value for name, value in environment.items() if name not in without}
    command = [sys.executable, "-m", "sinchphone", *arguments]
    return subprocess.Popen(
        command,
        cwd=lab.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def hang_up(process: subprocess.Popen[str]) -> str:
    """The rest of what it says."""
    process.send_signal(signal.SIGINT)
    with process:
        assert process.stdout is not None
        return process.stdout.read()


def says(process: subprocess.Popen[str], words: str) -> str:
    """What it says up to the line that has these words."""
    said = ""
    while words not in said:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{words!r} isn't in {said!r}"
        said += line
    return said


def hears(sound: Callable[[], Any], hz: float, since: int = 0, *, seconds: float = 0.5) -> bool:
    """Whether there are so many seconds of a recording, from the sample ``since`` on, that are a tone and nothing else but for a fifth of
    the time: a busy machine leaves gaps."""
    return is_steady(sound()[since:], hz, seconds)


def is_quiet(sound: Callable[[], Any], seconds: float) -> bool:
    """Whether the newest part of a recording is digital silence."""
    last = sound()[-round(seconds * RATE) :]
    return len(last) >= seconds * RATE and not np.any(last)


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, "it didn't come"
        time.sleep(0.1)


def test_what_the_microphone_hears_comes_back_from_the_echo_to_the_loudspeaker(lab: Any, free_port: int) -> None:
    with lab.ear() as ear, lab.mouth(600):
        call = start(lab, free_port, "call", "echo", "--echo-cancel", "off")  # an endless tone and its echo are one to any canceller
        try:
            wait_until(lambda: hears(ear, 600))
        finally:
            said = hang_up(call)
    assert "warning" not in said


def test_two_terminals_hear_each_other(lab: Any, free_port: int) -> None:
    with lab.ear() as ear:
        listener = start(lab, free_port, "listen", "--user", "bob", "--auto-answer", "--no-audio", "--tone", "700")
        try:
            assert "waiting" in listener.stdout.readline()  # type: ignore[union-attr]
            caller = start(lab, free_port, "call", "bob", "--user", "alice")
            try:
                wait_until(lambda: hears(ear, 700))
            finally:
                hang_up(caller)
        finally:
            hang_up(listener)


def test_two_phones_with_devices_of_their_own_and_echo_cancelling_hear_each_other(any_lab: Any, free_port: int) -> None:
    lab, options = any_lab, ("--echo-cancel", "on")
    alice = ("--user", "alice", "--input", "lab_mouth", "--output", "lab_ear", *options)
    bob = ("--user", "bob", "--input", "second_mouth", "--output", "second_ear", *options)
    with lab.ear() as ear, lab.ear("ear2") as ear2, lab.mouth(600), lab.mouth(900, "mouth2"):
        listener = start(lab, free_port, "listen", *bob, "--auto-answer")
        try:
            assert "waiting" in listener.stdout.readline()  # type: ignore[union-attr]
            caller = start(lab, free_port, "call", "bob", *alice)
            try:
                wait_until(lambda: hears(ear, 900))
                wait_until(lambda: hears(ear2, 600))
            finally:
                said = hang_up(caller)
        finally:
            said += hang_up(listener)
    assert "warning" not in said


def test_sound_comes_back_when_the_sound_server_was_started_again(sound_servers: Any, tmp_path: Path, free_port: int) -> None:
    with sound_servers(tmp_path) as lab, lab.ear() as ear, lab.mouth(600):
        call = start(lab, free_port, "call", "echo", "--echo-cancel", "off")
        wait_until(lambda: hears(ear, 600))
    try:
        with sound_servers(tmp_path) as lab, lab.ear() as ear, lab.mouth(800):
            wait_until(lambda: hears(ear, 800))
            said = says(call, "sound now: microphone default, loudspeaker default")
    finally:
        rest = hang_up(call)
    assert (said + rest).count("warning: the sound device stopped") == 1


def test_sound_follows_the_default_device_and_stays_when_it_is_taken_away(lab: Any, free_port: int) -> None:
    with lab.ear() as ear, lab.ear("ear2") as ear2:
        call = start(lab, free_port, "call", "tone", "--no-mic", without=("PULSE_SINK", "PULSE_SOURCE"))
        try:
            wait_until(lambda: hears(ear, 440))
            lab.control("set-default-sink", "ear2")
            wait_until(lambda: hears(ear2, 440))
            before = len(ear())
            modules = lab.control("list", "short", "modules").splitlines()
            lab.control("unload-module", next(line.split()[0] for line in modules if "sink_name=ear2" in line))
            wait_until(lambda: hears(ear, 440, before))
        finally:
            said = hang_up(call)
    assert "error" not in said


def test_a_named_device_that_goes_is_replaced_by_the_default_until_it_is_back(sound_servers: Any, tmp_path: Path, free_port: int) -> None:
    asoundrc = tmp_path / ".asoundrc"
    with sound_servers(tmp_path) as lab, lab.ear("ear2") as ear2:
        call = start(lab, free_port, "call", "tone", "--no-mic", "--output", "second_ear")
        wait_until(lambda: hears(ear2, 440))
        there = asoundrc.read_text()
        asoundrc.write_text("".join(f"{line}\n" for line in there.splitlines() if "second_ear" not in line))
    try:
        with sound_servers(tmp_path) as lab, lab.ear() as ear, lab.ear("ear2") as ear2:
            wait_until(lambda: hears(ear, 440))
            said = says(call, "sound now: loudspeaker default")
            asoundrc.write_text(there)
            wait_until(lambda: hears(ear2, 440))
            said += says(call, "sound now: loudspeaker second_ear")
    finally:
        rest = hang_up(call)
    assert (said + rest).count("warning: the sound device stopped") == 1


def test_the_ringback_is_heard_while_it_rings_and_stops_when_it_ends(lab: Any, free_port: int) -> None:
    with lab.ear() as ear:
        call = start(lab, free_port, "call", "no-answer")
        try:
            wait_until(lambda: hears(ear, 425, seconds=SIGNAL_S))
        finally:
            hang_up(call)
        wait_until(lambda: is_quiet(ear, 1.0))


def test_a_ringtone_is_heard_until_the_caller_gives_up(lab: Any, free_port: int) -> None:
    with lab.ear() as ear:
        listener = start(lab, free_port, "listen", "--user", "bob", "--auto-answer", "60s")
        try:
            assert "waiting" in listener.stdout.readline()  # type: ignore[union-attr]
            caller = start(lab, free_port, "call", "bob", "--user", "alice", "--no-audio")
            try:
                wait_until(lambda: dbfs(ear()[-RATE // 5 :]) > -40 if len(ear()) else False)
            finally:
                hang_up(caller)
            wait_until(lambda: is_quiet(ear, LONGER_THAN_A_REST_S))
        finally:
            hang_up(listener)


def test_a_busy_tone_is_heard_when_it_is_busy(lab: Any, free_port: int) -> None:
    with lab.ear() as ear:
        call = start(lab, free_port, "call", "busy")
        wait_until(lambda: hears(ear, 425, seconds=SIGNAL_S))
        call.communicate(timeout=PATIENCE_S)
        assert call.returncode == 6


@pytest.mark.parametrize("option", ["--input", "--output", "--ring"])
def test_a_device_that_is_named_and_missing_is_an_error_before_the_call(lab: Any, free_port: int, option: str) -> None:
    call = start(lab, free_port, "call", "echo", option, "no such device")
    said = call.communicate(timeout=PATIENCE_S)[0]
    assert call.returncode == 11
    assert "error:" in said and "hint:" in said and "ringing" not in said
