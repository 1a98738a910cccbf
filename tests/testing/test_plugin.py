"""The plugin as pytest finds it in somebody's project: light, whatever loop their tests have, and with sentences that help."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

LIMIT_S = 110.0


def run(folder: Path, tests: str, *arguments: str, ini: str = "") -> "subprocess.CompletedProcess[str]":
    (folder / "test_app.py").write_text(tests)
    (folder / "pytest.ini").write_text(f"[pytest]\nsinchphone_timeout = 15\n{ini}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "PYTEST", "COV", "XDG_"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:rerunfailures", *arguments]
    return subprocess.run(
        command, cwd=folder, env=kept | {"HOME": str(folder)}, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def test_pytest_finds_it_by_its_entry_point() -> None:
    assert [one.value for one in entry_points(group="pytest11") if one.name == "sinchphone"] == ["sinchphone.testing.plugin"]


def test_who_uses_none_of_it_loads_nothing_of_it(tmp_path: Path) -> None:
    tests = """
import sys

def test_light():
    loaded = {name for name in sys.modules if name.startswith("sinchphone")}
    assert loaded <= {"sinchphone", "sinchphone.testing", "sinchphone.testing.plugin"}, loaded
    assert not {"aiohttp", "numpy", "av"} & set(sys.modules)
"""
    done = run(tmp_path, tests, "-p", "no:asyncio", "-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:pytest_cov")
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_asyncio_a_call_is_made_and_assertions_that_fail_say_what_there_was(tmp_path: Path) -> None:
    tests = """
import pytest

def test_calls(sinchphone_client, sinchphone_exchange):
    ada, bob = sinchphone_client("ada"), sinchphone_client("bob")
    call = ada.call("tone").established()
    with pytest.raises(AssertionError, match="a tone of 660 Hz was not heard within 1 s: .*440 Hz"):
        call.heard.tone(660, within=1)
    call.heard.tone(440)
    with pytest.raises(AssertionError, match="did not end within 0.2 s: it is established"):
        call.ended(within=0.2)
    call.hang_up()
    with pytest.raises(AssertionError, match="ended otherwise than by denied: hung_up"):
        call.ended("denied")
    assert ada.call("busy").ended("denied")
    with pytest.raises(AssertionError, match="was not established"):
        ada.call("nobody-of-that-name").established()
    with pytest.raises(AssertionError, match="nobody called at bob's within 0.1 s"):
        bob.expect_call(within=0.1)
    with pytest.raises(AssertionError, match="no message came at bob's"):
        bob.expect_message(within=0.1)
    with pytest.raises(AssertionError, match="no text message came"):
        sinchphone_exchange.expect_text("+46700000001", within=0.1)

def test_a_phone_outside_that_nobody_answers(sinchphone_dial):
    busy = sinchphone_dial("+14155550102", "+46700000002")
    with pytest.raises(AssertionError, match="was not answered: ended, 486 Busy"):
        busy.answered()
    assert busy.ended(486).heard_s == 0
    with pytest.raises(AssertionError, match="ended otherwise than with 404: ended, 486"):
        busy.ended(404)
    digits = sinchphone_dial("+14155550105", "private").answered()
    digits.heard_digits("123")
    with pytest.raises(AssertionError, match="the digits 9 did not come from .*, but 123: answered"):
        digits.heard_digits("9", within=0.1)
    with pytest.raises(AssertionError, match="did not end: answered"):
        digits.ended(within=0.1)
    digits.hang_up()

def test_another_exchange_knows_nobody(sinchphone_exchange):
    assert sinchphone_exchange.texts() == []
    sinchphone_exchange.add_user("ada", number="+46700000001")
    sinchphone_exchange.add_fault("/v1/*", status=503, times=None)
    assert sinchphone_exchange.clear_faults() == 1
    sinchphone_exchange.reset()
    assert set(sinchphone_exchange.environ) >= {"SINCH_APPLICATION_KEY", "SINCH_APPLICATION_SECRET"}
"""
    done = run(tmp_path, tests, "-p", "no:asyncio")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_async_tests_have_clients_in_their_own_loop(tmp_path: Path, mode: str) -> None:
    tests = """
import pytest
from sinchphone import SinchClient

@pytest.mark.asyncio
async def test_calls(sinchphone_exchange, sinchphone_client):
    bob = sinchphone_client("bob")
    async with sinchphone_exchange.local() as local, SinchClient("ada", local) as ada:
        await ada.send_message("bob", "hi")
    assert bob.expect_message().text == "hi"
"""
    done = run(tmp_path, tests, ini=f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n")
    assert done.returncode == 0, done.stdout + done.stderr


def test_processes_beside_each_other_have_exchanges_of_their_own(tmp_path: Path) -> None:
    tests = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_own(sinchphone_exchange, sinchphone_client, number):
    sinchphone_client("ada")
    sinchphone_exchange.add_user("bob")
    assert sinchphone_exchange.url.startswith("http://127.0.0.1:")
"""
    done = run(tmp_path, tests, "-p", "no:asyncio", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
