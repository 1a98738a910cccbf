"""Programs of others, run for one test: ports for them, their logs, their end."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

HOST = "127.0.0.1"
PATIENCE_SECONDS = 30.0
PACKAGES = {
    "baresip": "baresip-core",
    "sipp": "sip-tester",
    "kamailio": "kamailio and kamailio-tls-modules",
    "linphonec": "linphone-cli",
    "rtpengine": "rtpengine-daemon",
}


def require(program: str) -> str:
    """The program's path; skips the test, naming Debian's package, where it isn't there (or fails, where it must be)."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if path is None:
        (pytest.fail if os.environ.get("SINCHPHONE_REQUIRE_PEERS") else pytest.skip)(f"needs the package {PACKAGES[program]}")
    return path


class Program:
    """A process whose output goes to a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def output(self) -> str:
        """What it said so far."""
        return self.log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    async def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something is so; fails where the program ends before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    assert self.is_running, f"it ended with {self.process.returncode} before {what}: {self.output[-2000:]}"
                    await asyncio.sleep(0.02)
                return
        raise AssertionError(f"not in time: {what}: {self.output[-2000:]}")

    async def says(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        await self.until(lambda: text in self.output, repr(text), seconds)

    async def listens(self, port: int, kind: str = "udp") -> None:
        await self.until(lambda: is_bound(port, kind), f"it listens at {kind} port {port}")

    async def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        return await asyncio.wait_for(self.process.wait(), seconds)

    async def kill(self) -> None:
        """Vanish, with all children: no goodbye."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 5)
        await self.kill()


@contextlib.asynccontextmanager
async def running(
    *command: str | Path, log: Path, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run a program; it is ended with the block."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        await program.stop()


def is_bound(port: int, kind: str = "udp") -> bool:
    """Whether somebody listens there, as the kernel says (asking would be noticed)."""
    wanted = f":{port:04X}"
    for table in (Path(f"/proc/net/{kind}"), Path(f"/proc/net/{kind}6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and (kind == "udp" or fields[3] == "0A"):  # 0A: LISTEN
                return True
    return False
