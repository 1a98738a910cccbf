"""Who only calls users, built-in ones, numbers or rooms loads nothing of the gateway but its options, whoever hosts the exchange."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinchphone.config import user_file

LIMIT = 90
OPTIONS = ["sinchphone.gateway", "sinchphone.gateway.options"]
PROGRAM = """
import sys
from sinchphone.cli.command_line import command_line
code = command_line(sys.argv[1:])
import json
loaded = sorted(name for name in sys.modules if name.startswith("sinchphone.gateway"))
print(json.dumps({"event": "loaded", "code": code, "gateway": loaded, "modules": len(sys.modules)}), flush=True)
"""
Started = subprocess.Popen[str]


def write_configuration(port: int) -> None:
    file = user_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'user = "ada"\n[exchange]\nport = {port}\n')


class Commands:
    """Real commands of one user of this machine, each of which tells at its end what it has loaded."""

    def __init__(self) -> None:
        self.running: list[Started] = []

    def start(self, *arguments: str) -> Started:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments, "--json"], stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def loaded(self, process: Started) -> list[str]:
        """The modules of the gateway that a command has loaded, once it is over and went well."""
        out, _ = process.communicate(timeout=LIMIT)
        last = json.loads(out.splitlines()[-1])
        assert (last["event"], last["code"]) == ("loaded", 0), out
        names: list[str] = last["gateway"]
        return names

    def end(self, process: Started) -> list[str]:
        """The same, of a command that ends on Ctrl-C."""
        process.send_signal(signal.SIGINT)
        return self.loaded(process)


@pytest.fixture
def commands(nobodys_machine: Path) -> Iterator[Commands]:
    made = Commands()
    write_configuration(0)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=LIMIT)


@pytest.fixture
def exchange(commands: Commands) -> Started:
    """An exchange in a process of its own, which the others find."""
    process = commands.start("exchange")
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["url"]
    write_configuration(int(url.rpartition(":")[2]))
    return process


def call(*destination: str) -> tuple[str, ...]:
    return (*destination, "--no-audio", "--max-duration", "0.2s")


def test_a_call_to_a_built_in_user_loads_nothing_of_the_gateway_in_the_process_that_hosts(commands: Commands) -> None:
    assert commands.loaded(commands.start(*call("call", "echo"))) == OPTIONS


@pytest.mark.parametrize("destination", [("call", "+14155550106"), ("conference", "tea")], ids=" ".join)
def test_numbers_and_rooms_load_nothing_of_the_gateway_either(commands: Commands, destination: tuple[str, ...]) -> None:
    assert commands.loaded(commands.start(*call(*destination))) == OPTIONS


def test_a_call_between_users_loads_nothing_of_the_gateway_at_either_end_nor_between(commands: Commands, exchange: Started) -> None:
    bob = commands.start("listen", "--user", "bob", "--auto-answer", "--once", "--no-audio")
    assert bob.stdout is not None
    assert json.loads(bob.stdout.readline())["event"] == "client.ready"
    assert commands.loaded(commands.start(*call("call", "bob"))) == OPTIONS
    assert commands.loaded(bob) == OPTIONS
    assert commands.end(exchange) == OPTIONS


def test_the_first_call_to_a_sip_address_loads_the_gateway_in_the_process_that_hosts_and_only_there(
    commands: Commands, exchange: Started
) -> None:
    assert commands.loaded(commands.start(*call("call-sip", "echo@127.0.0.1"))) == OPTIONS
    assert "sinchphone.gateway.gateway" in commands.end(exchange)
