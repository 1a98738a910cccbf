"""Many calls at once between two processes that do nothing else: what their ends are asked, in JSON lines. The standard library alone.

::

    this process ---- [order, argument] ----> a process with an end of each call: ``serve``
                 <--- its answer ------------

An order is about all ends: offer, answer, accept, connect; and measure, for so many seconds.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, Self

PATIENCE_S: Final = 30.0
_SETTLE_S: Final = 1.0  # from connected to the first measurement: imports, jitter buffers
_MAX_LINE_BYTES: Final = 4 * 1024 * 1024


class CallEnd(Protocol):
    """One end of one call. Offers and answers carry their candidates."""

    @property
    def frames(self) -> int:
        """How many frames of sound were heard so far, of 20 ms."""

    async def offer(self) -> str: ...

    async def answer(self, offer: str) -> str: ...

    async def accept(self, answer: str) -> None: ...

    async def connect(self) -> None: ...


async def obey(ends: Sequence[CallEnd], order: str, argument: Any) -> Any:
    """What the order is answered with."""
    match order:
        case "offer":
            return [await end.offer() for end in ends]
        case "answer":
            return [await end.answer(offer) for end, offer in zip(ends, argument, strict=True)]
        case "accept":
            for end, answer in zip(ends, argument, strict=True):
                await end.accept(answer)
            return None
        case "connect":
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(end.connect() for end in ends))
            return await asyncio.sleep(_SETTLE_S)
        case "measure":
            cpu, heard = time.process_time(), [end.frames for end in ends]
            await asyncio.sleep(argument)
            loud = [end.frames - before for end, before in zip(ends, heard, strict=True)]
            return {"cpu": time.process_time() - cpu, "heard": loud}
        case _:
            raise AssertionError(order)


async def serve(answer: Callable[[str, Any], Awaitable[Any]]) -> None:
    """One process: obeys the lines of standard input, one after the other, until its end."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        order, argument = json.loads(line)
        print(json.dumps(await answer(order, argument)), flush=True)


class CallProcess:
    """A child that obeys."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child

    @classmethod
    async def start(cls, *command: str, environment: Mapping[str, str] | None = None) -> Self:
        """Run the command."""
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=_MAX_LINE_BYTES, env=environment))

    async def ask(self, order: str, argument: Any = None) -> Any:
        """Its answer."""
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.write(json.dumps([order, argument]).encode() + b"\n")
        return json.loads(await self.child.stdout.readline())

    async def end(self) -> None:
        """Kill it."""
        self.child.kill()
        await self.child.wait()


async def watch(caller: CallProcess, callee: CallProcess, seconds: float) -> tuple[Any, Any]:
    """Connect their calls and measure both for ``seconds``; then end them."""
    try:
        async with asyncio.timeout(3 * PATIENCE_S + seconds):
            await caller.ask("accept", await callee.ask("answer", await caller.ask("offer")))
            await asyncio.gather(*(each.ask("connect") for each in (caller, callee)))
            calling, called = await asyncio.gather(*(each.ask("measure", seconds) for each in (caller, callee)))
            return calling, called
    finally:
        await caller.end()
        await callee.end()
