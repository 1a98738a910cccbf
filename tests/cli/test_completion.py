"""What Tab proposes, asked as each shell asks, and in the shells themselves where they are installed."""

import asyncio
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.addressing.proposals import BUILT_IN_USERS
from sinchphone.cli.addressing.recent import history_of
from sinchphone.config import load
from sinchphone.engine.history.history import History
from sinchphone.engine.history.past import PastCall
from sinchphone.exchange.destinations.dialplan import plan_for
from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.signaling.dialect import Domain

LIMIT_S = 30.0
Complete = Callable[..., list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """The proposals for a line, as bash is told."""
    from sinchphone.cli import completion
    from sinchphone.cli.command_line import command_line

    monkeypatch.setattr(completion, "keep_quiet", lambda: None)

    def propose(line: str, shell: str = "bash") -> list[str]:
        monkeypatch.setenv("_SINCHPHONE_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        capsys.readouterr()
        assert command_line([]) == 0
        monkeypatch.delenv("_SINCHPHONE_COMPLETE")
        return capsys.readouterr().out.split("\n")[:-1]

    return propose


def note(user: str, *calls: PastCall) -> None:
    async def work() -> None:
        async with History(*history_of(load({"user": user}).options)) as history:
            for call in calls:
                await history.note_call("d", call)

    asyncio.run(work())


def called(peer: str, domain: str = "mxp", *, at: float = 1.0, outbound: bool = True) -> PastCall:
    return PastCall(f"{peer}-{at}", outbound, peer, domain, at, True, 1, "hung_up", "us")


@pytest.mark.parametrize(
    ("line", "proposed"),
    [
        ("sinchphone call-", ["call-user", "call-phone", "call-sip"]),
        ("sinchphone call @", ["@mum", "@standup"]),
        ("sinchphone call @M", []),
        ("sinchphone call @mu", ["@mum"]),
        ("sinchphone call b", ["bob", "busy"]),
        ("sinchphone call conf:", ["conf:kitchen", "conf:daily"]),
        ("sinchphone call +", ["+46701234567"]),
        ("sinchphone call dan", ["dan@pbx.example"]),
        ("sinchphone call-user ca", ["carol"]),
        ("sinchphone call-phone ", ["+46701234567"]),
        ("sinchphone call-sip ", ["dan@pbx.example"]),
        ("sinchphone conference ", ["kitchen", "daily"]),
        ("sinchphone contacts show ", ["mum", "standup"]),
        ("sinchphone contacts remove mum s", ["standup"]),
        ("sinchphone contacts ", ["add", "list", "show", "remove"]),
        ("sinchphone send-message @", ["@mum", "@standup"]),
        ("sinchphone history --with c", ["carol"]),
        ("sinchphone history --with @mum --mis", ["--missed"]),
        ("sinchphone history ex", ["export"]),
        ("sinchphone call --user ", ["ada"]),
        ("sinchphone --profile l", ["local"]),
        ("sinchphone call --profile w", ["work"]),
        ("sinchphone call --input ", ["Headset", "Built-in"]),
        ("sinchphone listen --output ", ["USB"]),
        ("sinchphone 'call' \"@mu", ["@mum"]),
        ("sinchphone call-user x ", []),
        ("sinchphone help mess", ["messages"]),
    ],
)
def test_tab_proposes_what_may_stand_there(
    sinchphone: Any, complete: Complete, monkeypatch: pytest.MonkeyPatch, line: str, proposed: list[str]
) -> None:
    monkeypatch.setattr(
        devices,
        "list_devices",
        lambda: (
            devices.SoundDevice(0, "USB Headset", "ALSA", 1, 2, True, True),
            devices.SoundDevice(1, "USB Built-in", "ALSA", 2, 0, False, False),
        ),
    )
    monkeypatch.setenv("SINCH_USER_ID", "ada")
    Path("sinchphone.toml").write_text('[profiles.work]\ncolor = "never"\n')
    sinchphone("contacts", "add", "mum", "+46701234567")
    sinchphone("contacts", "add", "standup", "conf:daily")
    note(
        "ada",
        called("bob"),
        called("carol", at=2.0, outbound=False),
        called("dan@pbx.example", "sip"),
        called("+46701234567", "pstn"),
        called("kitchen", "conference"),
    )
    assert [word for word in complete(line) if word] == proposed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "name",
    ["$(touch x)", "`id`", "a;id", "a b", "a\nb", "*", "-rf", "a'b", 'a"b', "a\\b", "a>b", "a&b", "a|b", "(a)", "~root", "a\u202eb", "!!"],
)
def test_a_name_that_a_shell_would_run_is_not_proposed(complete: Complete, monkeypatch: pytest.MonkeyPatch, shell: str, name: str) -> None:
    monkeypatch.setenv("SINCH_USER_ID", "ada")
    note("ada", called(name, outbound=False), called("harmless", outbound=False))
    told = "\n".join(complete("sinchphone call ", shell))
    assert "harmless" in told
    assert name not in told.replace("_arguments '*: :((", "")


@pytest.mark.parametrize("damage", ["sinchphone.toml", "contacts.db", "history.db"])
def test_what_cannot_be_read_proposes_nothing_and_says_nothing(complete: Complete, nobodys_machine: Path, damage: str) -> None:
    state = nobodys_machine / "state" / "sinchphone"
    state.mkdir(parents=True)
    (Path(damage) if damage.endswith("toml") else state / damage).write_text("= broken" * 200)
    assert "@" not in "".join(complete("sinchphone call @"))


@pytest.mark.parametrize("name", BUILT_IN_USERS)
def test_every_built_in_user_that_is_proposed_answers(name: str) -> None:
    assert plan_for(Domain.MXP, name) is not None


# In the shells themselves


class Terminal:
    """A shell at a terminal of its own, with the completion loaded."""

    def __init__(self, shell: str, home: Path) -> None:
        binary = home / "bin" / "sinchphone"
        binary.parent.mkdir()
        binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m sinchphone "$@"\n')
        binary.chmod(0o755)
        environ = {**os.environ, "HOME": str(home), "PATH": f"{binary.parent}:{os.environ['PATH']}", "TERM": "xterm", "PS1": "ready> "}
        script = subprocess.run([str(binary), "--show-completion", shell], env=environ, capture_output=True, text=True, check=True).stdout
        (home / "completion").write_text(script)
        start = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"], "fish": ["fish", "--no-config", "-i"]}[shell]
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execvpe(start[0], start, environ)
        if shell == "zsh":
            self.type("autoload -Uz compinit; compinit -u\n")
        self.type(f"{'.' if shell != 'fish' else 'source'} {home / 'completion'}; echo lo''aded\n")
        self.until("loaded")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def until(self, text: str) -> str:
        seen, deadline = "", time.monotonic() + LIMIT_S
        while text not in seen:
            left = deadline - time.monotonic()
            assert left > 0, seen
            if select.select([self._terminal], [], [], left)[0]:
                seen += os.read(self._terminal, 65536).decode(errors="replace")
        return seen

    def close(self) -> None:
        os.close(self._terminal)
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)


@pytest.mark.skipif(os.name != "posix", reason="terminals are POSIX's here")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("call @mu", "call @mum"),
        ("call conf:dai", "call conf:daily"),
        ("call +4670", "call +46701234567"),
        ("histo", "history"),
    ],
)
def test_tab_completes_the_word_in_the_shell(
    sinchphone: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str, typed: str, full: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    sinchphone("contacts", "add", "mum", "+46701234567")
    sinchphone("contacts", "add", "standup", "conf:daily")
    note("ada", called("+46701234567", "pstn"))
    monkeypatch.setenv("SINCH_USER_ID", "ada")
    terminal = Terminal(shell, tmp_path)
    try:
        terminal.type(f"sinchphone {typed}\t")
        terminal.until(full.removeprefix(typed))
        terminal.type("\x01echo '[\x05]'\n")
        assert f"[sinchphone {full}" in terminal.until("]\r\n")
    finally:
        terminal.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_who_installs_completion_reads_the_shell_by_its_name(tmp_path: Path, shell: str) -> None:
    command = [sys.executable, "-m", "sinchphone", "--install-completion", shell]
    done = subprocess.run(command, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout.splitlines()[0].partition(" installed")[0]) == (0, f"{shell} completion")
