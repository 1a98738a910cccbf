"""A command of the configuration runs beside everything else, and not a moment longer than somebody waits for it."""

import asyncio
import subprocess
import threading
import time
from functools import partial
from typing import Any

import pytest

from sinchphone.credentials import read_beside, read_secret
from sinchphone.options import Options
from sinchphone.tasks import start_task

PATIENCE_SECONDS = 30.0
LONG = partial(read_secret, Options(secret_command="sleep 300"), {})


class Started:
    """The commands that were started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, more_seconds: float) -> None:
        self.commands: list[subprocess.Popen[bytes]] = []
        self._one = threading.Semaphore(0)
        start = subprocess.Popen

        def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
            command = start(*arguments, **options)
            self.commands.append(command)
            self._one.release()
            time.sleep(more_seconds)
            return command

        monkeypatch.setattr(subprocess, "Popen", popen)

    async def one(self) -> None:
        assert await asyncio.to_thread(self._one.acquire, timeout=PATIENCE_SECONDS)

    async def ends(self) -> list[int]:
        return await asyncio.to_thread(lambda: [command.wait(PATIENCE_SECONDS) for command in self.commands])


@pytest.mark.parametrize("more_seconds", [0.0, 0.2])
async def test_a_command_whose_reading_is_cancelled_is_killed_also_in_the_moment_in_which_it_starts(
    monkeypatch: pytest.MonkeyPatch, more_seconds: float
) -> None:
    started = Started(monkeypatch, more_seconds)
    reading = start_task(read_beside(LONG), name="reading")
    await started.one()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await started.ends() == [-9]


async def test_a_reading_that_is_cancelled_leaves_the_command_of_another_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(monkeypatch, 0.0)
    other = start_task(read_beside(partial(read_secret, Options(secret_command="sh -c 'sleep 0.5; echo secret'"), {})), name="other")
    await started.one()
    reading = start_task(read_beside(LONG), name="reading")
    await started.one()
    reading.cancel()
    secret = await asyncio.wait_for(other, PATIENCE_SECONDS)
    assert secret is not None
    assert secret.value == "secret"


async def test_a_reading_that_is_cancelled_before_its_command_starts_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on, over = Started(monkeypatch, 0.0), threading.Event(), threading.Event()

    def read() -> None:
        try:
            go_on.wait(PATIENCE_SECONDS)
            LONG()
        finally:
            over.set()

    reading = start_task(read_beside(read), name="reading")
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    go_on.set()
    assert await asyncio.to_thread(over.wait, 5)
    assert started.commands == []
