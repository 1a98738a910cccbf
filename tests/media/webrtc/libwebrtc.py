"""libwebrtc in a Node process, as a peer. Its package is installed at test time, elsewhere."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sinchphone.tasks import start_task
from tests.suite.guests import LIBWEBRTC, folder_of

PEER: Final = Path(__file__).with_name("libwebrtc_peer.js")
PATIENCE_S: Final = 20.0


def modules() -> Path:
    """The folder that it is installed in. Raises NotThereError."""
    return folder_of(LIBWEBRTC) / "node_modules"


class LibWebRtc:
    """One peer. It says a tone for as long as it lives."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._told: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self.on_candidate: Any = None
        self.reading = start_task(self._read(), name="read libwebrtc")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "candidate" and self.on_candidate is not None:
                await self.on_candidate(event["candidate"])
            else:
                self._told.append(event)
                self._news.set()

    def do(self, order: str, **parameters: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **parameters}).encode() + b"\n")

    async def told(self, event: str, **members: Any) -> dict[str, Any]:
        """The next event of that name with those members; each is given once."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for index, one in enumerate(self._told):
                        if one["event"] == event and members.items() <= one.items():
                            return self._told.pop(index)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"libwebrtc didn't tell {event} {members}, but {self._told}") from None


@asynccontextmanager
async def a_libwebrtc(hz: float = 620) -> AsyncIterator[LibWebRtc]:
    """A peer in a process of its own. Raises NotThereError."""
    environ = {**os.environ, "NODE_PATH": str(await asyncio.to_thread(modules))}
    pipe = asyncio.subprocess.PIPE
    command = ("node", str(PEER), str(hz))
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environ, limit=1 << 20)
    peer = LibWebRtc(process)
    try:
        await peer.told("ready")
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await peer.reading
