"""What changes of this machine's network is heard, in a network namespace that only this test sees."""

import subprocess
import sys
from collections.abc import AsyncGenerator

import pytest

from sinchphone.signaling.http import network_changes as changes
from tests.namespaces import ALONE, skip_without_namespaces

SCRIPT = """
import asyncio, subprocess
from contextlib import aclosing
from sinchphone.signaling.http.network_changes import QUIET_S, network_changes

def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=10)

async def main():
    ip("link", "set", "lo", "up")
    async with aclosing(network_changes()) as heard:
        for change in (
            ("link", "set", "lo", "down"),
            ("link", "set", "lo", "up"),
            ("address", "add", "10.9.8.7/24", "dev", "lo"),
            ("address", "add", "fd00::7/64", "dev", "lo", "nodad"),
            ("route", "add", "10.1.0.0/16", "dev", "lo"),
            ("address", "del", "10.9.8.7/24", "dev", "lo"),
        ):
            waiting = asyncio.ensure_future(anext(heard))
            await asyncio.sleep(4 * QUIET_S)
            assert not waiting.done(), "several in quick succession are one"
            ip(*change)
            await asyncio.wait_for(waiting, 10)
            print(change)

asyncio.run(main())
"""


def test_a_link_an_address_and_a_route_that_come_or_go_are_each_heard_once() -> None:
    skip_without_namespaces()
    done = subprocess.run([*ALONE, sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 6


@pytest.mark.parametrize("failure", [PermissionError("not allowed here"), AttributeError("AF_NETLINK")])
async def test_a_system_that_tells_of_nothing_ends_it_at_once(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def refuse(*_: object) -> None:
        raise failure

    monkeypatch.setattr(changes, "_subscribe", refuse)
    heard: AsyncGenerator[None, None] = changes.network_changes()
    assert [change async for change in heard] == []
