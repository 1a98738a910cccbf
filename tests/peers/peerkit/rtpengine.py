"""rtpengine in user space, with its control port on loopback."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sinchphone.schema import WeightedAddress
from tests.peers.peerkit.programs import HOST, Program, require, running
from tests.suite.ports import port_block


@dataclass(frozen=True)
class Rtpengine:
    """A running rtpengine."""

    program: Program
    control: tuple[str, int]  # where its ng protocol is spoken
    digits: tuple[str, int]  # where it tells of digits

    @property
    def setting(self) -> tuple[WeightedAddress, ...]:
        """``[sip] rtpengine`` with this one alone."""
        return (WeightedAddress(*self.control),)


@contextlib.asynccontextmanager
async def rtpengine(folder: Path) -> AsyncIterator[Rtpengine]:
    program = require("rtpengine")
    folder.mkdir()
    with port_block() as ports:
        control, digits, media = ports[0], ports[1], ports[2]
        command = [program, "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=5", f"--interface={HOST}"]
        command += [f"--listen-ng={HOST}:{control}", f"--dtmf-log-dest={HOST}:{digits}"]
        command += [f"--port-min={media}", f"--port-max={ports[-1]}", "--num-threads=2", "--media-num-threads=2"]
        async with running(*command, log=folder / "log") as process:
            await process.listens(control)
            yield Rtpengine(process, (HOST, control), (HOST, digits))
