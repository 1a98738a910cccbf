"""Obeys a stream of commands: reads, has each performed beside the others, and answers each exactly once.

::

    ControlStream -> line -> ControlRequest -> perform (a task each) -> control.done, control.failed
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from sinchphone.cli.control.commands import Command, ControlRequest, RefusedLine, read_request
from sinchphone.cli.control.lines import MAX_LINE_BYTES
from sinchphone.cli.control.stream import ControlStream
from sinchphone.cli.terminal.output.events.control import ControlClosed, ControlDone, ControlFailed
from sinchphone.errors import SinchphoneError
from sinchphone.quick_dataclass import quick_dataclass

MAX_UNDER_WAY: Final = 64  # commands that aren't done yet
MAX_REFUSED: Final = 100  # lines in succession that are no commands: then nobody is there who speaks to us


@quick_dataclass(frozen=True, slots=True)
class Performed:
    """What a command met: the call, and the message that it sent."""

    call_id: str | None = None
    message_id: str | None = None


Perform = Callable[[Command], Awaitable[Performed]]
Meets = Callable[[Command], str | None]  # the id of the call that a command is about, where that's known
Tell = Callable[[ControlDone | ControlFailed | ControlClosed], None]


def named_call(command: Command) -> str | None:
    """The call that a command names."""
    named: str | None = getattr(command, "call_id", None)
    return named


class Control:
    """Follows one stream. ``perform`` does a command or raises SinchphoneError, and doesn't wait before an order that must not wait."""

    def __init__(self, stream: ControlStream, tell: Tell, perform: Perform, meets: Meets = named_call) -> None:
        self._meets = meets
        self._stream = stream
        self._tell = tell
        self._perform = perform
        self._under_way = 0
        self._lines = self._refused = 0

    async def run(self) -> None:
        """Until the stream ends, and what was begun is done. When it's cancelled, what is under way is answered as not done."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._read(group)
        finally:
            self._stream.close()

    async def _read(self, group: asyncio.TaskGroup) -> None:
        reason = ""
        async for line in self._stream.lines():
            self._lines += 1
            request = self._read_line(line)
            if request is not None:
                group.create_task(self._obey(request), name=f"control {request.command.NAME}")
            if self._refused >= MAX_REFUSED:
                reason = f"{MAX_REFUSED} lines in succession were no commands"
                break
            await asyncio.sleep(0)  # the phone goes on, however fast they come
        self._tell(ControlClosed(reason=f"{self._stream.name}: {reason or self._stream.end}", lines=self._lines))

    def _read_line(self, line: bytes | None) -> ControlRequest | None:
        try:
            if line is None:
                raise RefusedLine(f"a line is longer than {MAX_LINE_BYTES} bytes")
            request = read_request(line)
            self._refused = 0
            if self._under_way >= MAX_UNDER_WAY:
                reason = f"{MAX_UNDER_WAY} commands are under way already"
                raise RefusedLine(reason, "wait for their answers", request_id=request.id, command=request.command.NAME)
        except RefusedLine as refused:
            self._refused += refused.command is None
            failed = ControlFailed(
                id=refused.request_id, command=refused.command, call_id=refused.call_id, reason=refused.reason, hint=refused.hint
            )
            self._tell(failed)
            return None
        self._under_way += 1
        return request

    async def _obey(self, request: ControlRequest) -> None:
        command = request.command
        about = self._meets(command)
        try:
            met = await self._perform(command)
            self._tell(ControlDone(id=request.id, command=command.NAME, call_id=met.call_id, message_id=met.message_id))
        except SinchphoneError as error:
            self._fail(request, about, str(error), error.hint or None)
        except asyncio.CancelledError:
            self._fail(request, about, "the phone ended first", None)
            raise
        finally:
            self._under_way -= 1

    def _fail(self, request: ControlRequest, call_id: str | None, reason: str, hint: str | None) -> None:
        self._tell(ControlFailed(id=request.id, command=request.command.NAME, call_id=call_id, reason=reason, hint=hint))
