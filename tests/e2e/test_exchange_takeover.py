"""Who hosts the local exchange when several could: what takes over has the port and the identity, and leaves them to whom they belong."""

import asyncio
import os
import signal
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sinchphone.engine.client import SinchClient
from sinchphone.exchange import control
from sinchphone.exchange.control import Hosting
from sinchphone.exchange.directory.credentials import local_credentials
from sinchphone.exchange.listening import PortTakenError
from sinchphone.exchange.options import ExchangeOptions, HostKind
from sinchphone.exchange.server import Exchange
from sinchphone.local import Local
from sinchphone.local.background.settings import HostSettings, Started
from sinchphone.local.environment import KeptHost
from sinchphone.local.handover import claim
from sinchphone.local.host_control import HostControl, InUseError
from sinchphone.local.probe import ExchangeProbe
from sinchphone.tasks import start_task
from tests.suite.machine import Machine, eventually, is_host, machine
from tests.suite.ports import free_ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as made:
        yield made


def test_one_with_other_settings_is_replaced_when_nobody_calls(here: Machine) -> None:
    bob = here.start("listen", "--user", "bob", "--no-audio", "--auto-answer")
    bob.wait_for("client.ready")
    first = bob.wait_for("exchange.background")["pid"]
    here.configure("", '[dialplan]\n"9*" = "user:bob"\n')
    call = here.run("call", "bob", "--user", "ada", "--no-audio", "--max-duration", "500ms")
    assert call.end()["exit_code"] == 0
    second = call.wait_for("exchange.background")["pid"]
    assert (second != first, here.hosts()) == (True, [second])
    assert bob.process.poll() is None


def test_one_with_other_settings_is_used_with_a_warning_while_somebody_calls(here: Machine) -> None:
    talking = here.start("call", "tone", "--user", "ada", "--no-audio", "--max-duration", "60s")
    talking.wait_for("call.established")
    first = here.hosts()
    here.configure("", '[dialplan]\n"9*" = "user:bob"\n')
    call = here.run("call", "busy", "--user", "eve", "--no-audio")
    assert call.end()["exit_code"] == 6
    assert "has other settings" in call.wait_for("warning")["message"]
    assert "exchange.background" not in call.names()
    assert here.hosts() == first
    assert talking.end(signal.SIGTERM)["calls"][0]["ended_by"] == "us"


def test_an_exchange_with_tls_that_was_killed_comes_back_to_its_ports_while_a_phone_waits(here: Machine) -> None:
    tls_port = free_ports(1)
    foreground = ("exchange", "--tls", "--tls-port", str(tls_port))
    first = here.start(*foreground)
    started = first.wait_for("exchange.started")
    authority = Path(started["authority"]).read_bytes()
    bob = here.start("listen", "--user", "bob", "--no-audio", "--auto-answer")
    bob.wait_for("client.ready")
    assert "exchange.background" not in bob.names()
    first.end(signal.SIGKILL)
    bob.wait_for("client.ready", 2)  # at an exchange in the background, without TLS: that isn't its own
    assert here.status()["kind"] == "background"
    (pid,) = here.hosts()

    second = here.start(*foreground)
    assert second.wait_for("exchange.started") | {"ts": 0, "t": 0} == started | {"ts": 0, "t": 0}
    assert Path(started["authority"]).read_bytes() == authority
    eventually(lambda: not is_host(pid), "the end of the one in the background")
    eventually(lambda: here.status()["phones"] == 1, "bob")
    status = here.status()
    assert (status["kind"], status["pid"]) == ("foreground", second.process.pid)
    trust = ssl.create_default_context(cafile=started["authority"])
    with urllib.request.urlopen(started["tls_url"], context=trust, timeout=10) as answer:
        assert answer.status == 200
    result = here.run("call", "bob", "--user", "eve", "--no-audio", "--max-duration", "500ms").end()
    assert result["exit_code"] == 0
    assert bob.process.poll() is None


def test_an_exchange_waits_for_the_end_of_the_calls_of_the_one_in_the_background(here: Machine) -> None:
    call = here.start("call", "tone", "--user", "ada", "--no-audio", "--max-duration", "60s")
    call.wait_for("call.established")
    wanted = here.start("exchange")
    assert "waiting until they are over" in wanted.wait_for("warning")["message"]
    assert call.process.poll() is None
    assert call.end(signal.SIGTERM)["calls"][0]["ended_by"] == "us"
    wanted.wait_for("exchange.started")
    assert wanted.names().count("warning") == 1


def test_a_command_uses_the_exchange_of_a_terminal_whatever_its_settings_and_does_not_stop_it(here: Machine) -> None:
    foreground = here.start("exchange")
    foreground.wait_for("exchange.started")
    here.configure("", '[dialplan]\n"9*" = "user:bob"\n')
    call = here.run("call", "busy", "--no-audio")
    assert (call.end()["exit_code"], "warning" in call.names()) == (6, False)
    assert here.run("exchange", "stop").end()["exit_code"] == 9
    again = here.run("exchange").end()
    assert (again["exit_code"], "runs already" in again["error"]["message"]) == (9, True)
    assert foreground.end(signal.SIGTERM)["exit_code"] == 143
    assert here.hosts() == []


async def test_a_program_that_hosts_leaves_the_place_to_an_exchange_and_finds_it_there(tmp_path: Path) -> None:
    port = free_ports(1)
    async with Local(tmp_path, port=port) as program:
        probe = ExchangeProbe(local_credentials(tmp_path), "127.0.0.1", port)
        options = ExchangeOptions(port=port, applications={probe.credentials.key: probe.credentials.secret})
        async with Exchange(options, hosting=Hosting(kind=HostKind.FOREGROUND), listening=await claim(probe)):
            assert not program.hosting
            await program.recover()
            assert not program.hosting
            with pytest.raises(PortTakenError, match="runs already"):
                await claim(probe)
        await program.recover()
        assert program.hosting


async def _host_of_another_version(here: Machine, monkeypatch: pytest.MonkeyPatch, version: str) -> tuple[Exchange, asyncio.Event]:
    monkeypatch.setattr(control, "version", lambda _: version)
    credentials, told = local_credentials(here.state), asyncio.Event()
    options = ExchangeOptions(port=here.port, applications={credentials.key: credentials.secret})
    exchange = Exchange(options, hosting=Hosting(kind=HostKind.BACKGROUND, stop=lambda _: told.set()))
    await exchange.start()
    return exchange, told


async def test_one_of_an_older_version_is_replaced(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, told = await _host_of_another_version(here, monkeypatch, "0.0.9")

    async def end() -> None:
        await told.wait()
        await exchange.close(replaced=True)

    ending = start_task(end(), name="end")
    async with Local(
        here.state, port=here.port, background=HostSettings(folder=here.state, exchange=ExchangeOptions(port=here.port))
    ) as local:
        (news,) = local.take_news()
        assert isinstance(news, Started)
        assert is_host(news.pid)
    await ending
    os.kill(news.pid, signal.SIGTERM)


async def test_one_of_an_older_version_is_used_while_somebody_calls(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, told = await _host_of_another_version(here, monkeypatch, "0.0.9")
    monkeypatch.setattr(exchange._calls.open, "going_on", lambda _: 1)
    background = HostSettings(folder=here.state, exchange=ExchangeOptions(port=here.port))
    async with Local(here.state, port=here.port, background=background) as local:
        assert local.take_news() == [KeptHost(older=True)]
    assert not told.is_set()
    await exchange.close()


async def test_one_of_a_newer_version_is_used_whatever_its_settings(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, told = await _host_of_another_version(here, monkeypatch, "99.0")
    background = HostSettings(folder=here.state, exchange=ExchangeOptions(port=here.port))
    async with Local(here.state, port=here.port, background=background) as local:
        assert local.take_news() == []
    assert not told.is_set()
    await exchange.close()


async def test_who_is_about_to_call_is_waited_for(tmp_path: Path) -> None:
    """It has the exchange's proof and hasn't registered yet."""
    port = free_ports(1)
    async with Local(tmp_path, port=port) as program:
        credentials = local_credentials(tmp_path)
        other, probe = ExchangeProbe(credentials, "127.0.0.1", port), ExchangeProbe(credentials, "127.0.0.1", port)
        await other.ask(10.0)
        claiming = start_task(claim(probe), name="claim")
        await asyncio.sleep(0.5)
        assert program.hosting
        assert not claiming.done()
        for one in await claiming:
            one.close()
        assert not program.hosting


@pytest.mark.parametrize("new_s", [1000.0, 0.0])
async def test_who_only_waits_for_messages_is_asked_for_no_longer_than_who_is_about_to_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_s: float
) -> None:
    """Both register as who can't be called; the one that came a moment ago may be about to call."""
    monkeypatch.setattr(control, "_NEW_SECONDS", new_s)
    port = free_ports(1)
    async with Local(tmp_path, port=port) as program, SinchClient("ada", program, takes_calls=False):
        probe = ExchangeProbe(local_credentials(tmp_path), "127.0.0.1", port)
        if new_s:
            with pytest.raises(InUseError):
                await claim(probe)
        else:
            for one in await claim(probe):
                one.close()
        assert program.hosting == bool(new_s)


async def test_attack_a_stop_without_the_applications_secret_stops_nothing(tmp_path: Path) -> None:
    port = free_ports(1)
    async with Local(tmp_path / "mine", port=port) as mine:
        stranger = ExchangeProbe(local_credentials(tmp_path / "yours"), "127.0.0.1", port)
        with pytest.raises(PortTakenError):
            await claim(stranger)
        assert mine.hosting


async def test_a_stop_that_was_meant_for_another_process_stops_nothing(tmp_path: Path) -> None:
    port = free_ports(1)
    async with Local(tmp_path, port=port) as program:
        probe = ExchangeProbe(local_credentials(tmp_path), "127.0.0.1", port)
        answer = await probe.ask(10.0)
        with pytest.raises(InUseError, match="another exchange"):
            await HostControl(probe).stop(replace(answer, host_id="0" * 32), unused=True, replaced=True)
        with pytest.raises(InUseError, match="belongs to"):
            await HostControl(probe).stop(answer, unused=False)
        assert program.hosting
