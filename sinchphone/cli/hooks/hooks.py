"""Which program runs when what happens, and what it decides.

::

    Session.tell -> hear -> established, ended, message, missed: facts -> Program (a thread each)
    listen --------> ask -> incoming: facts -> Program -> first line -> Decision
"""

import asyncio
import contextlib
import os
import shlex
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from sinchphone.cli.endings import Order
from sinchphone.cli.hooks.facts import as_json, environment_of, facts_of
from sinchphone.cli.hooks.program import Program
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.errors import ControlError
from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.protocol.names import is_user_id
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from sinchphone.cli.terminal.session import Session
    from sinchphone.options import HooksSection

HookEvent: TypeAlias = e.CallIncoming | e.CallOutgoing | e.CallEstablished | e.CallEnded | e.MessageReceivedTold  # all that hooks hear

MAX_RUNNING: Final = 8  # programs beside each other
MAX_WAITING: Final = 64  # for one of them to end
_SHOWN: Final = 60  # characters of what a hook said


class HookName(StrEnum):
    """When a hook runs."""

    INCOMING = "incoming"
    ESTABLISHED = "established"
    ENDED = "ended"
    MESSAGE = "message"
    MISSED = "missed"


class Choice(StrEnum):
    """What an incoming call's hook may decide."""

    ANSWER = "answer"
    DECLINE = "decline"
    IGNORE = "ignore"
    REDIRECT = "redirect"


@quick_dataclass(frozen=True, slots=True)
class Decision:
    """What it decided; ``user`` to whom a call is redirected."""

    choice: Choice
    user: str | None = None


def read_decision(line: str) -> Decision | None:
    """``answer``, ``decline``, ``ignore`` or ``redirect USER``; ``None`` for anything else."""
    word, _, rest = line.strip().partition(" ")
    if word not in [*Choice]:
        return None
    user, choice = rest.strip() or None, Choice(word)
    fits = user is not None and is_user_id(user) if choice is Choice.REDIRECT else user is None
    return Decision(choice, user) if fits else None


def _command_of(section: "HooksSection", name: HookName) -> list[str]:
    """The program and its arguments. Raises ControlError where it isn't there."""
    command = shlex.split(getattr(section, name.value) or "")
    if command and shutil.which(command[0]) is None:
        raise ControlError(f"the hook {name} has no program {command[0]}", hint="--on and [hooks] name programs, as in a shell's path")
    return command


class Hooks:
    """The hooks of one command."""

    def __init__(self, session: "Session") -> None:
        section = session.options.hooks
        self._session = session
        self._commands = {name: command for name in HookName if (command := _command_of(section, name))}
        self._limit_s = section.time_limit
        self._calls: dict[str, dict[str, Any]] = {}  # what is known of calls that aren't over
        self._pool = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="sinchphone hook")
        self._programs: set[Program] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def decides(self) -> bool:
        """Whether a hook says what becomes of incoming calls."""
        return HookName.INCOMING in self._commands

    def hear(self, event: "e.Event") -> None:
        """Something was told: run what is to be run then."""
        if isinstance(event, HookEvent):
            self._hear(event)

    def _hear(self, event: HookEvent) -> None:
        match event:
            case e.CallIncoming(call_id=call_id) | e.CallOutgoing(call_id=call_id):
                outbound = isinstance(event, e.CallOutgoing)
                self._calls[call_id] = {"peer": event.peer, "contact": event.contact, "domain": event.domain, "outbound": outbound}
            case e.CallEstablished(call_id=call_id):
                self._begin(HookName.ESTABLISHED, event, self._calls.get(call_id, {}))
            case e.CallEnded(call_id=call_id):
                call = self._calls.pop(call_id, {})
                self._begin(HookName.ENDED, event, call)
                if _is_missed(event):
                    self._begin(HookName.MISSED, event, call)
            case e.MessageReceivedTold():
                self._begin(HookName.MESSAGE, event, {})
            case _:
                assert_never(event)

    def _begin(self, name: HookName, event: "e.Event", call: dict[str, Any]) -> None:
        if name not in self._commands:
            return
        if len(self._tasks) >= MAX_RUNNING + MAX_WAITING:
            self._warn(name, "too many run and wait")
            return
        start_task(self._run(name, facts_of(name, event, call), lambda _: None), name=f"hook {name}", among=self._tasks)

    async def ask(self, event: "e.CallIncoming") -> Decision | None:
        """What the hook decides about a call that comes; ``None`` where it doesn't. Cancelling it leaves the program to its end."""
        loop = asyncio.get_running_loop()
        said: asyncio.Future[str | None] = loop.create_future()

        def tell(line: str | None) -> None:
            if not said.done():
                said.set_result(line)

        async def run() -> None:
            try:
                await self._run(HookName.INCOMING, facts_of(HookName.INCOMING, event, {}), tell)
            finally:
                tell(None)

        start_task(run(), name="hook incoming", among=self._tasks)
        line = await said
        decision = read_decision(line or "")
        if line and decision is None:
            self._warn(HookName.INCOMING, f'it said "{line[:_SHOWN]}", not answer, decline, ignore or redirect USER')
        return decision

    async def _run(self, name: HookName, facts: dict[str, Any], on_line: Callable[[str], object]) -> None:
        loop = asyncio.get_running_loop()
        program = Program(self._commands[name], environment_of(facts, os.environ), as_json(facts), self._limit_s)
        self._programs.add(program)
        try:
            failure = await loop.run_in_executor(self._pool, program.run, lambda line: loop.call_soon_threadsafe(on_line, line))
        finally:
            program.stop()
            self._programs.discard(program)
        if failure is not None:
            self._warn(name, failure)

    def _warn(self, name: HookName, what: str) -> None:
        command = shlex.join(self._commands[name])
        self._session.tell(e.Warned(message=f"the hook {name} ({command[:_SHOWN]}): {what}", hint="sinchphone help control"))

    def stop(self) -> None:
        """Kill what runs, now. From any thread."""
        for program in tuple(self._programs):
            program.stop()

    async def close(self) -> None:
        """Wait for what runs, each within its time, and kill the rest. Cancelling it kills all."""
        try:
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self.stop()
            self._pool.shutdown(wait=True, cancel_futures=True)


def _is_missed(event: "e.CallEnded") -> bool:
    """As the history counts it (``PastCall.is_missed``): nobody took it, here or on another device, and nobody here ended it; but who was
    told that we are busy was missed too."""
    if event.outbound or event.answered or event.cause is Cause.OTHER_DEVICE_ANSWERED:
        return False
    return event.reason == Order.BUSY.value or (event.ended_by is not EndedBy.US and event.cause is not Cause.DENIED)


@contextlib.asynccontextmanager
async def open_hooks(session: "Session") -> AsyncIterator[Hooks]:
    """The hooks of a command: none of their programs is left when it's left. Raises ControlError."""
    hooks = Hooks(session)
    session.hearers.append(hooks.hear)
    session.leaving.append(hooks.stop)
    try:
        yield hooks
    finally:
        await hooks.close()
        session.hearers.remove(hooks.hear)
        session.leaving.remove(hooks.stop)
