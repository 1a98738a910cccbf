"""The local exchange in a process in the background: nobody's call ends because somebody else's command does. Real processes."""

import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinchphone.exchange.options import ExchangeOptions
from sinchphone.local import Local
from sinchphone.local.background.settings import HostSettings, Started
from tests.suite.machine import Machine, eventually, is_host, machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")

AT_ONCE = 6
CALLS = (("call", "tone"), ("conference", "standup"), ("call", "+14155550123"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("ending", "kinds"), [(signal.SIGKILL, CALLS), (signal.SIGINT, CALLS[1:2]), (None, CALLS[2:])])
def test_a_call_goes_on_when_the_command_that_started_the_exchange_ends(
    here: Machine, ending: int | None, kinds: tuple[tuple[str, str], ...]
) -> None:
    first = here.start("call", "tone", "--user", "ada", "--no-audio", "--max-duration", "60s" if ending else "1s")
    first.wait_for("call.established")
    assert "exchange.background" in first.names()
    others = [here.start(*kind, "--user", f"u{number}", "--no-audio", "--max-duration", "4s") for number, kind in enumerate(kinds)]
    for other in others:
        other.wait_for("call.established")
    first.end(ending)
    for other in others:
        result = other.end()
        assert (result["exit_code"], result["calls"][0]["ended_by"]) == (0, "us"), other.events()
        assert result["calls"][0]["duration_ms"] >= 3500
        assert "client.reconnecting" not in other.names()
        assert "exchange.background" not in other.names()


def test_a_bridge_of_two_users_goes_on_when_who_started_the_exchange_leaves(here: Machine) -> None:
    here.run("call", "busy", "--user", "ada", "--no-audio")
    bob = here.start("listen", "--user", "bob", "--no-audio", "--auto-answer", "--once")
    bob.wait_for("client.ready")
    result = here.run("call", "bob", "--user", "eve", "--no-audio", "--max-duration", "2s").end()
    assert (result["exit_code"], bob.end()["exit_code"]) == (0, 0)


def test_commands_that_start_at_the_same_time_have_one_exchange_and_the_right_codes(here: Machine) -> None:
    kinds = [("busy", 6), ("decline", 3), ("hangup-after:1s", 0)]
    calls = [(here.start("call", name, "--user", f"u{number}", "--no-audio"), code) for number in range(2) for name, code in kinds]
    assert len(calls) == AT_ONCE
    assert [call.end().get("exit_code") for call, _ in calls] == [code for _, code in calls]
    assert sum(call.names().count("exchange.background") for call, _ in calls) == 1
    assert len(here.hosts()) == 1


def test_status_says_who_hosts_and_stop_ends_it(here: Machine) -> None:
    nobody = here.run("exchange", "status")
    assert (nobody.events()[0]["running"], nobody.end()["exit_code"]) == (False, 7)
    assert here.run("exchange", "stop").end()["exit_code"] == 0
    started = here.run("call", "busy", "--no-audio").wait_for("exchange.background")
    status = here.status()
    assert (status["running"], status["kind"], status["calls"]) == (True, "background", 0)
    assert here.hosts() == [status["pid"]] == [started["pid"]]
    assert status["log"] == started["log"] == str(here.state / "exchange.log")
    stopped = here.run("exchange", "stop")
    assert (stopped.events()[0]["event"], stopped.events()[0]["calls"]) == ("exchange.stopped", 0)
    eventually(lambda: not here.hosts(), "its end")
    assert not here.status()["running"]


def test_stop_ends_nobodys_call_unless_it_is_forced(here: Machine) -> None:
    call = here.start("call", "tone", "--no-audio", "--max-duration", "60s")
    call.wait_for("call.established")
    refused = here.run("exchange", "stop").end()
    assert (refused["exit_code"], "--force" in refused["error"]["hint"]) == (12, True)
    assert call.process.poll() is None
    assert here.run("exchange", "stop", "--force").end()["exit_code"] == 0
    assert call.end()["calls"][0]["ended_by"] != "us"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_after_its_end_by_a_signal_the_next_command_starts_another(here: Machine, number: int) -> None:
    first = here.run("call", "busy", "--no-audio").wait_for("exchange.background")["pid"]
    os.kill(first, number)
    eventually(lambda: not is_host(first), "its end")
    second = here.run("call", "busy", "--no-audio")
    assert second.end()["exit_code"] == 6
    assert second.wait_for("exchange.background")["pid"] != first


def test_a_phone_that_waits_has_another_started_when_it_was_killed_and_is_reached(here: Machine) -> None:
    bob = here.start("listen", "--user", "bob", "--no-audio", "--auto-answer")
    first = bob.wait_for("exchange.background")["pid"]
    bob.wait_for("client.ready")
    os.kill(first, signal.SIGKILL)
    bob.wait_for("client.ready", 2)
    assert bob.names().count("exchange.background") == 2
    result = here.run("call", "bob", "--user", "eve", "--no-audio", "--max-duration", "500ms").end()
    assert result["exit_code"] == 0


def test_it_ends_with_its_state_folder(here: Machine) -> None:
    pid = here.run("call", "busy", "--no-audio").wait_for("exchange.background")["pid"]
    shutil.rmtree(here.state)
    eventually(lambda: not is_host(pid), "its end")


def test_nothing_of_ours_is_left_to_it(here: Machine) -> None:
    """No terminal, no pipe of the command, no folder to be in, no secret among its words and variables."""
    here.environ["SINCHPHONE_TRUNK_PASSWORD"] = "tr0mbone"
    here.configure("", '[trunk]\nhost = "192.0.2.1"\n')
    pid = here.run("call", "busy", "--no-audio").wait_for("exchange.background")["pid"]
    process = Path(f"/proc/{pid}")
    assert b"tr0mbone" not in process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
    assert b"SINCH" not in process.joinpath("environ").read_bytes()
    assert [str((process / "fd" / str(number)).readlink()) for number in range(3)] == [os.devnull] * 3
    assert (process / "cwd").readlink() == Path("/")
    fields = process.joinpath("stat").read_text().rpartition(")")[2].split()
    parent, session, terminal = int(fields[1]), int(fields[3]), int(fields[4])
    assert session != os.getsid(0)
    assert session != pid
    assert (parent != os.getpid(), terminal) == (True, 0)
    assert "tr0mbone" not in (here.state / "exchange.log").read_text()
    assert stat.S_IMODE((here.state / "exchange.log").stat().st_mode) == 0o600


async def test_it_ends_when_nobody_has_used_it_for_a_while(here: Machine) -> None:
    settings = HostSettings(folder=here.state, exchange=ExchangeOptions(port=here.port), idle_seconds=0.5)
    local = Local(here.state, port=here.port, background=settings)
    await local.open()
    (started,) = local.take_news()
    assert isinstance(started, Started)
    assert local.take_news() == []
    assert not local.hosting
    await local.close()
    eventually(lambda: not is_host(started.pid), "its end")
    assert "nobody uses it" in (here.state / "exchange.log").read_text()


def test_what_keeps_it_from_hosting_is_told_by_the_command(here: Machine) -> None:
    here.run("exchange", "status")
    (here.state / "exchange.sqlite3").write_text("no database at all, but long enough to look like one" * 40)
    refused = here.run("call", "busy", "--no-audio").end()
    assert refused["exit_code"] == 14
    assert "exchange.sqlite3" in refused["error"]["message"]
    eventually(lambda: not here.hosts(), "its end")


def test_another_program_on_the_port_is_an_error_as_before(here: Machine) -> None:
    with socket.create_server(("127.0.0.1", here.port)) as other:
        call = here.start("call", "busy", "--no-audio")
        other.accept()[0].send(b"220 mail.example ESMTP\r\n")
        assert call.end()["exit_code"] == 9
    assert here.hosts() == []


def test_where_it_is_switched_off_the_command_hosts_as_long_as_it_runs(here: Machine) -> None:
    here.configure("background = false")
    call = here.run("call", "busy", "--no-audio")
    assert call.end()["exit_code"] == 6
    assert call.wait_for("client.ready")["hosted_here"]
    assert (here.hosts(), here.status()["running"]) == ([], False)
