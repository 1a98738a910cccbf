"""sipp, one scenario at a time: a peer that does exactly what its file says, and tells whether we did."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Literal

import pytest

from tests.peers.peerkit.programs import HOST, Program, require, running
from tests.suite.ports import free_ports

SCENARIOS = Path(__file__).parent.parent / "sipp"


class Sipp:
    """A scenario that runs. Its end says whether everything went as the file wants it."""

    def __init__(self, program: Program, folder: Path, port: int, media: int) -> None:
        self.program = program
        self.folder = folder
        self.port = port
        self.media = media

    @property
    def uri(self) -> str:
        return f"sip:sipp@{HOST}:{self.port}"

    @property
    def messages(self) -> str:
        """What it sent and received so far."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*_messages.log"))

    async def succeeds(self, seconds: float = 40.0) -> None:
        """Waits for the end; fails where a message didn't come or wasn't as expected."""
        code = await self.program.ended(seconds)
        if code != 0:
            trouble = "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(self.folder.glob("*_messages.log")))
            errors = "\n".join(path.read_text(errors="replace")[-1000:] for path in sorted(self.folder.glob("*_errors.log")))
            raise AssertionError(f"sipp ended with {code}: {errors}\n{trouble}")


@contextlib.asynccontextmanager
async def scenario(
    name: str,
    folder: Path,
    *,
    target: str | None = None,
    service: str = "bob",
    transport: Literal["udp", "tcp"] = "udp",
    echo: bool = False,
    keys: Mapping[str, str] | None = None,
    status: str = "",
    user: tuple[str, str] | None = None,
    calls: int = 1,
    seconds: int = 30,
    caller: str = "sipp",
) -> AsyncIterator[Sipp]:
    """A callee (``uas_...``) that is ready, or a caller (``uac_...``) of ``target`` (``host:port``). ``status``: of a refusal."""
    program = require("sipp")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.xml"
    text = (SCENARIOS / file.name).read_text()
    if "play_pcap_audio" in text and os.geteuid() != 0:
        pytest.skip("sipp plays recordings through a raw socket: needs root")
    file.write_text(text.replace("[status]", status))  # sipp has no keys in first lines
    port = free_ports(4, even=True)
    media = port + 2
    command = [program, *([target] if target else []), "-sf", file, "-i", HOST, "-p", str(port), "-mi", HOST]
    command += ["-mp", str(media), "-m", str(calls), "-nostdin", "-timeout", f"{seconds}s", "-timeout_error", "-s", service]
    command += ["-t", "u1" if transport == "udp" else "t1", "-trace_msg", "-trace_err", *(["-rtp_echo"] if echo else [])]
    for key, value in {"caller": caller, **(keys or {})}.items():
        command += ["-key", key, value]
    if user is not None:
        command += ["-au", user[0], "-ap", user[1]]
        command += [] if target is None or "register" in name else ["-auth_uri", f"{service}@{target}"]  # else it leaves the user out
    async with running(*command, log=folder / "log", cwd=folder) as process:  # type: ignore[arg-type]
        if target is None:
            await process.listens(port, transport)
        yield Sipp(process, folder, port, media)
