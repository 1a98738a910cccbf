"""Hooks of a running phone: what they decide, what they are told, and that nobody but the user says what runs."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinchphone.engine.events.events import InstantMessage
from sinchphone.errors import TransferError
from sinchphone.protocol.call.states import Cause, EndedBy, State
from tests.waiting import until

Run = Callable[..., Any]
PATIENCE_S = 20.0


@pytest.fixture
def hook(tmp_path: Path) -> Callable[..., str]:
    """Makes a command that writes down what it was told, and runs some code."""

    def make(code: str = "", *, name: str = "told") -> str:
        program = tmp_path / f"{name}.py"
        program.write_text(
            "import json, os, sys\nfacts = json.loads(sys.stdin.read())\n"
            "known = {n: v for n, v in os.environ.items() if n.startswith('SINCHPHONE_')}\n"
            f"print(json.dumps([facts, known]), file=open({str(tmp_path / name)!r}, 'a'))\n{code}\n"
        )
        return shlex.join([sys.executable, str(program)])

    return make


def told(folder: Path, name: str = "told") -> list[tuple[dict[str, Any], dict[str, str]]]:
    file = folder / name
    return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def saying(hook: Callable[..., str], word: str) -> str:
    code = f"print({word!r})"
    return f"incoming={hook(code)}"


async def rings(call: Any) -> None:
    await asyncio.sleep(PATIENCE_S)


async def gives_up(call: Any) -> None:
    await asyncio.sleep(0.05)
    call.end(Cause.CANCELED, EndedBy.PEER)


async def hangs_up_when_answered(call: Any) -> None:
    await until(lambda: call.state is State.ESTABLISHED)
    call.end(Cause.HUNG_UP, EndedBy.PEER)


def test_a_hook_answers(sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path) -> None:
    platform.incoming.append(("ada", hangs_up_when_answered))
    ran = sinchphone("listen", "--once", "--for", "20s", "--no-audio", "--on", saying(hook, "answer"), "--json")
    assert ran.code == 0
    assert platform.takes_calls == [True]
    [(facts, environment)] = told(tmp_path)
    assert (facts["hook"], facts["event"], facts["peer"], facts["headers"]) == ("incoming", "call.incoming", "ada", {"x-topic": "tea"})
    assert environment["SINCHPHONE_PEER"] == "ada"
    assert "call.established" in [event["event"] for event in ran.events]


def test_a_hook_declines_though_calls_are_answered_by_themselves(sinchphone: Run, platform: Any, hook: Callable[..., str]) -> None:
    platform.incoming.append(("ada", rings))
    ran = sinchphone("listen", "--once", "--for", "20s", "--auto-answer", "--no-audio", "--on", saying(hook, "decline"), "--json")
    assert [call["reason"] for call in ran.events[-1]["calls"]] == ["declined"]
    assert platform.calls[0].state is State.ENDED
    assert "call.answered" not in [event["event"] for event in ran.events]


def test_a_call_that_is_ignored_rings_on_unheard(sinchphone: Run, platform: Any, hook: Callable[..., str]) -> None:
    async def caller(call: Any) -> None:
        await until(lambda: None in call.sound.signals)
        await asyncio.sleep(0.1)
        call.end(Cause.CANCELED, EndedBy.PEER)

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--auto-answer", "--for", "3s", "--no-audio", "--on", saying(hook, "ignore"), "--json")
    assert [call["cause"] for call in ran.events[-1]["calls"]] == ["canceled"]
    assert platform.calls[0].declined == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.exit(3)", "ended with 3"),
        ("print('perhaps')", 'said "perhaps"'),
        ("import time; time.sleep(60)", "not done within 0.5 s"),
        ("print('redirect')", 'said "redirect"'),
        ("os.kill(os.getpid(), 11)", "ended with -11"),
    ],
)
def test_where_a_hook_fails_the_call_is_taken_as_it_would_be(
    sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path, code: str, words: str
) -> None:
    (tmp_path / "config" / "sinchphone").mkdir(parents=True)
    (tmp_path / "config" / "sinchphone" / "config.toml").write_text('[hooks]\ntime_limit = "500ms"\n')
    platform.incoming.append(("ada", hangs_up_when_answered))
    ran = sinchphone("listen", "--once", "--for", "20s", "--auto-answer", "--no-audio", "--on", f"incoming={hook(code)}", "--json")
    assert ran.code == 0
    assert any(words in event["message"] for event in ran.events if event["event"] == "warning")
    assert ran.events[-1]["calls"][0]["answered"]


def test_a_hook_redirects(sinchphone: Run, platform: Any, hook: Callable[..., str]) -> None:
    handed_on: list[str] = []

    async def caller(call: Any) -> None:
        async def transfer(to: str) -> None:
            handed_on.append(to)
            call.end(Cause.HUNG_UP, EndedBy.PEER)

        async def established() -> bool:
            await until(lambda: call.state is State.ESTABLISHED)
            return True

        call.transfer, call.established = transfer, established
        await rings(call)

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--once", "--for", "20s", "--no-audio", "--on", saying(hook, "redirect carol"), "--json")
    assert ran.code == 0
    assert handed_on == ["carol"]


def test_who_cannot_be_transferred_is_hung_up_on_with_a_warning(sinchphone: Run, platform: Any, hook: Callable[..., str]) -> None:
    async def caller(call: Any) -> None:
        async def transfer(to: str) -> None:
            raise TransferError("users aren't transferred", status=501)

        async def established() -> bool:
            await until(lambda: call.state is State.ESTABLISHED)
            return True

        call.transfer, call.established = transfer, established
        await rings(call)

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--once", "--for", "20s", "--no-audio", "--on", saying(hook, "redirect carol"), "--json")
    assert ran.code == 0
    assert any("redirected to carol: users aren't" in event["message"] for event in ran.events if event["event"] == "warning")


def test_who_is_redirected_to_a_number_for_help_is_hung_up_on_with_a_warning(
    sinchphone: Run, platform: Any, hook: Callable[..., str]
) -> None:
    handed_on: list[str] = []

    async def caller(call: Any) -> None:
        async def transfer(to: str) -> None:
            handed_on.append(to)

        async def established() -> bool:
            await until(lambda: call.state is State.ESTABLISHED)
            return True

        call.transfer, call.established = transfer, established
        await rings(call)

    platform.incoming.append(("ada", caller))
    ran = sinchphone("listen", "--once", "--for", "20s", "--no-audio", "--on", saying(hook, "redirect 112"), "--json")
    assert (ran.code, handed_on) == (0, [])
    assert any("redirected to 112: 112 is an emergency" in event["message"] for event in ran.events if event["event"] == "warning")


def test_nothing_is_answered_before_the_hook_has_said(sinchphone: Run, platform: Any, hook: Callable[..., str]) -> None:
    platform.incoming.append(("ada", rings))
    code = "import time; time.sleep(0.5); print('decline')"
    ran = sinchphone("listen", "--once", "--for", "20s", "--auto-answer", "--no-audio", "--on", f"incoming={hook(code)}", "--json")
    assert not ran.events[-1]["calls"][0]["answered"]


def test_a_second_caller_is_declined_by_the_hook_while_a_program_talks(
    sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def first(call: Any) -> None:
        await until(lambda: call.state is State.ESTABLISHED)
        second = platform.ring("carol", rings)
        await until(lambda: second.state is State.ENDED)
        call.end(Cause.HUNG_UP, EndedBy.PEER)

    platform.incoming.append(("ada", first))
    code = "print('decline' if facts['peer'] == 'carol' else 'answer')"
    options = ["--count", "3", "--for", "3s", "--no-audio", "--control", str(fifo), "--json"]
    ran = sinchphone("listen", *options, "--on", f"incoming={hook(code)}")
    assert [(call["peer"], call["answered"]) for call in ran.events[-1]["calls"]] == [("carol", False), ("ada", True)]


def test_established_ended_and_missed_run_with_what_is_known_of_the_call(
    sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path
) -> None:
    platform.incoming += [("ada", hangs_up_when_answered)]
    on = [word for name in ("established", "ended", "missed") for word in ("--on", f"{name}={hook(name=name)}")]
    assert sinchphone("listen", "--once", "--for", "20s", "--auto-answer", "--no-audio", *on).code == 0
    [(established, _)], [(ended, environment)] = told(tmp_path, "established"), told(tmp_path, "ended")
    assert (established["event"], established["peer"], established["codec"]) == ("call.established", "ada", "opus")
    assert (ended["event"], ended["cause"], ended["ended_by"]) == ("call.ended", "hung_up", "peer")
    assert environment["SINCHPHONE_CAUSE"] == "hung_up"
    assert told(tmp_path, "missed") == []


def test_a_call_that_nobody_took_was_missed(sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path) -> None:
    platform.incoming.append(("ada", gives_up))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert sinchphone("listen", "--for", "1s", "--control", str(fifo), "--on", f"missed={hook()}").code == 0
    [(facts, environment)] = told(tmp_path)
    assert (facts["hook"], facts["peer"], facts["cause"]) == ("missed", "ada", "canceled")
    assert environment["SINCHPHONE_HOOK"] == "missed"


def test_who_was_declined_was_not_missed(sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path) -> None:
    platform.incoming.append(("ada", rings))
    sinchphone("listen", "--deny", "ada", "--auto-answer", "--for", "1s", "--no-audio", "--on", f"missed={hook()}")
    assert told(tmp_path) == []


def test_a_message_runs_its_hook_and_no_shell_reads_it(sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path) -> None:
    evil = '$(touch pwned); `touch pwned`; "\n\x1b]0;x\x07'
    platform.received.append(InstantMessage(id="m", sender='";touch pwned;#', recipients=("me",), text=evil, headers={}, at=0.0))
    shell = shlex.join(["sh", "-c", f'printf %s "$SINCHPHONE_TEXT" > {tmp_path / "text"}'])
    assert sinchphone("listen", "--for", "1s", "--on", f"message={hook()}").code == 0
    assert sinchphone("listen", "--for", "1s", "--on", f"message={shell}").code == 0
    [(facts, environment)] = told(tmp_path)
    assert facts["text"] == evil
    assert environment["SINCHPHONE_TEXT"] == (tmp_path / "text").read_text()
    assert not list(tmp_path.rglob("pwned"))


def test_a_placed_call_has_hooks_too(sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path) -> None:
    async def peer(call: Any) -> None:
        call.enter(State.RINGING, State.ANSWERED, State.ESTABLISHED)
        await asyncio.sleep(0.05)
        call.end(Cause.HUNG_UP, EndedBy.PEER)

    platform.outgoing = peer
    assert sinchphone("call", "bob", "--no-audio", "--on", f"ended={hook()}").code == 0
    [(facts, _)] = told(tmp_path)
    assert (facts["peer"], facts["outbound"], facts["cause"]) == ("bob", True, "hung_up")


@pytest.mark.parametrize("table", ["[hooks]\nincoming = 'touch pwned'", "profile = 'x'\n[profiles.x.hooks]\nended = 'touch pwned'"])
def test_a_file_that_lies_in_the_folder_runs_nothing(sinchphone: Run, platform: Any, table: str) -> None:
    Path("sinchphone.toml").write_text(table)
    platform.incoming.append(("ada", gives_up))
    refused = sinchphone("listen", "--auto-answer", "--for", "1s", "--no-audio")
    assert refused.code == 14
    assert "not taken from a file that just lies in the folder" in refused.err
    assert sinchphone("call", "bob").code == 14
    assert not Path("pwned").exists()


def test_the_file_that_the_user_names_is_trusted(sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path) -> None:
    Path("sinchphone.toml").write_text(f"[hooks]\nmissed = {json.dumps(hook())}\n")
    platform.incoming.append(("ada", gives_up))
    assert sinchphone("listen", "--auto-answer", "5s", "--for", "1s", "--no-audio", "--config", "sinchphone.toml").code == 0
    assert len(told(tmp_path)) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--on", "incoming"), "must be EVENT=CMD"),
        (("--on", "incoming="), "must be EVENT=CMD"),
        (("--on", "established= "), "must be EVENT=CMD"),
        (("--on", "arrival=true"), "must be EVENT=CMD"),
        (("--on", "ended='"), "quotes"),
        (("--on", "ended="), ""),
        (("--on", "ended=no-such-program-here"), "no program no-such-program-here"),
        (("--on", "ended=true", "--on", "ended=false"), "two programs"),
    ],
)
def test_a_hook_that_cannot_run_is_refused_first(sinchphone: Run, platform: Any, options: tuple[str, ...], words: str) -> None:
    ran = sinchphone("listen", "--auto-answer", "--for", "1s", "--no-audio", *options)
    assert (ran.code == 2) or not words
    assert words in ran.err
    assert not platform.users or not words


def test_a_flood_of_messages_runs_so_many_beside_each_other_and_no_more(
    sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path
) -> None:
    platform.received += [InstantMessage(id=f"m{n}", sender="ada", recipients=("me",), text="x", headers={}, at=0.0) for n in range(200)]
    ran = sinchphone("listen", "--for", "100ms", "--on", f"message={hook()}", "--json")
    assert ran.code == 0
    assert sum("too many" in event["message"] for event in ran.events if event["event"] == "warning") == 200 - 72
    assert len(told(tmp_path)) == 72


def test_what_a_hook_started_is_gone_when_the_phone_is(sinchphone: Run, platform: Any, hook: Callable[..., str], tmp_path: Path) -> None:
    platform.incoming.append(("ada", gives_up))
    code = f"import subprocess\nprint(subprocess.Popen(['sleep', '600']).pid, file=open({str(tmp_path / 'pid')!r}, 'w'))"
    assert sinchphone("listen", "--auto-answer", "5s", "--for", "1s", "--no-audio", "--on", f"ended={hook(code)}").code == 0
    pid = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().split(")")[1].split()[0] == "Z"
