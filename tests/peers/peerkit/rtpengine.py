"""rtpengine in user space, with its control port on loopback."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from peerkit.programs import HOST, Program, free_ports, require, running


@dataclass(frozen=True)
class Rtpengine:
    """A running rtpengine."""

    program: Program
    control: tuple[str, int]  # where its ng protocol is spoken
    digits: tuple[str, int]  # where it tells of digits


@contextlib.asynccontextmanager
async def rtpengine(folder: Path) -> AsyncIterator[Rtpengine]:
    program = require("rtpengine")
    folder.mkdir()
    first = free_ports(120, even=True)
    command = [program, "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=5", f"--interface={HOST}"]
    command += [f"--listen-ng={HOST}:{first}", f"--dtmf-log-dest={HOST}:{first + 1}"]
    command += [f"--port-min={first + 4}", f"--port-max={first + 119}", "--num-threads=2", "--media-num-threads=2"]
    async with running(*command, log=folder / "log") as process:
        await process.listens(first)
        yield Rtpengine(process, (HOST, first), (HOST, first + 1))
