"""The recipes for Docker and GitHub: what they would run is run here, without either."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.dockit.pages import DOCS

PAGE = (DOCS / "ci.md").read_text()
DOCKERFILE = PAGE.split("```dockerfile\n")[1].split("```")[0]
CALL = PAGE.split("```sh\n")[1].split("```")[0]
WORKFLOW = PAGE.split("```yaml\n")[1].split("```")[0]
LIMIT_S = 60.0


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def environment(tmp_path: Path, port: int) -> dict[str, str]:
    """A machine that has nothing but what the recipes install; its exchange has a port that nobody else's has."""
    (tmp_path / "bin").mkdir()
    for name, arguments in (("python", ()), ("sinchphone", ("-m", "sinchphone")), ("pytest", ("-m", "pytest", "-p", "no:cacheprovider"))):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *arguments])} "$@"\n')
        program.chmod(0o755)
    config = tmp_path / "config.toml"
    config.write_text(f"[exchange]\nport = {port}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SINCH", "XDG_", "COV", "PYTEST"))}
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "HOME": str(tmp_path), "SINCHPHONE_CONFIG": str(config), "SINCHPHONE_BACKGROUND": "false"}


@contextlib.contextmanager
def killed_at_the_end(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(LIMIT_S)


def _variables(lines: str) -> dict[str, str]:
    return dict(re.findall(r"(SINCHPHONE_EXCHANGE_\w+)[=:] ?(\S+)", lines))


def test_the_container_is_healthy_once_it_listens_and_serves_the_key_that_the_recipe_names(
    environment: dict[str, str], port: int, tmp_path: Path
) -> None:
    command = json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[0])
    health = re.findall(r"^HEALTHCHECK .*?CMD (.*)$", DOCKERFILE, re.MULTILINE)[0].replace("4600", str(port))
    told = environment | _variables(DOCKERFILE)
    with (tmp_path / "said").open("wb") as said:
        exchange = subprocess.Popen(command, env=told, cwd=tmp_path, stdout=said, stderr=said, start_new_session=True)
    with killed_at_the_end(exchange):
        deadline = time.monotonic() + LIMIT_S
        while subprocess.run(shlex.split(health), env=told, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline and exchange.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.2)
        call = ["bash", "-ec", CALL.replace("4600", str(port))]
        done = subprocess.run(call, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("exchange.sqlite3")), "--memory keeps nothing"


def test_what_the_workflow_runs_succeeds(environment: dict[str, str], port: int, tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text("def test_exchange(sinchphone_exchange):\n    assert sinchphone_exchange.texts() == []\n")
    told, steps = environment | _variables(WORKFLOW), _steps()
    assert len(steps) == 4, steps
    script = "\n".join(["set -e", *steps, 'kill "$!"']).replace("4600", str(port))
    process = subprocess.Popen(
        ["bash", "-c", script], env=told, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    with killed_at_the_end(process):
        said, _ = process.communicate(timeout=2 * LIMIT_S)
    assert process.returncode == 0, said.decode()


def _steps() -> list[str]:
    """The commands of the workflow, without those that install."""
    found = re.findall(r"^      - run: (?:\|\n((?:          .*\n)+)|(.*)\n)", WORKFLOW, re.MULTILINE)
    commands = ["\n".join(line.strip() for line in block.splitlines()) if block else one for block, one in found]
    return [command for command in commands if not command.startswith("pip install")]
