"""SIGTERM for ``sinchphone exchange`` while somebody calls: no new calls, the call goes on, until the limit or another signal."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.tasks import start_task
from tests.exchange.conftest import SECRETS, Phone

LIMIT_S = 60.0
LONG_S = 600  # for the drain that only a second signal ends


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def readiness(metrics: int) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/ready", timeout=LIMIT_S) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


class Host:
    """An exchange in a process of its own, with a service manager that listens."""

    def __init__(self, folder: Path, drain: str) -> None:
        self.metrics = free_port()
        homes = {name: str(folder) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME")}
        given = {"SINCHPHONE_EXCHANGE_KEY": "acme", "SINCHPHONE_EXCHANGE_SECRET": SECRETS["acme"]}
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.settimeout(LIMIT_S)
        environ = {**os.environ, **homes, **given, "NOTIFY_SOCKET": str(folder / "notify")}
        options = ["--json", "--memory", "--port", "0", "--metrics", f"127.0.0.1:{self.metrics}", "--drain", drain]
        command = [sys.executable, "-m", "sinchphone", "exchange", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, cwd=folder)
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]

    def order(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.manager.close()


async def end_while_bob_rings(host: Host, press: bool) -> None:
    async with aiohttp.ClientSession() as http:
        alice, bob = await Phone(http, host.url, "alice").registered(), await Phone(http, host.url, "bob").registered()
        token = (await bob.subscribe("broadcast"))["t"]["t"]
        poll = start_task(bob.subscribe("broadcast", token), name="bob polls")
        assert (await alice.call("bob")).status < 300
        await poll
        assert readiness(host.metrics)[0] == 200
        host.order()
        async with asyncio.timeout(LIMIT_S):
            while (found := readiness(host.metrics))[0] == 200:
                await asyncio.sleep(0.02)
        assert found[0] == 503 and "takes no new calls" in found[1]["troubles"]["exchange"]
        assert (await alice.call("bob")).status == 503
        if press:
            host.order()


@pytest.mark.parametrize(("drain", "press", "at_least_s"), [(f"{LONG_S}s", True, 0.0), ("1s", False, 1.0)], ids=["signal", "limit"])
def test_it_takes_no_new_calls_and_ends_by_a_signal_or_at_the_limit(tmp_path: Path, drain: str, press: bool, at_least_s: float) -> None:
    host = Host(tmp_path, drain)
    try:
        assert host.manager.recv(100) == b"READY=1"
        began = time.monotonic()
        asyncio.run(end_while_bob_rings(host, press))
        assert host.manager.recv(100) == b"STOPPING=1"
        assert host.wait() == 143
        assert at_least_s <= time.monotonic() - began < LONG_S
    finally:
        host.close()
