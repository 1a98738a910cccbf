"""Owns the event loop, the signals, and the way from an error to an exit code. The only place that runs a coroutine.

Ctrl-C or SIGTERM once: where a call runs, it's hung up; elsewhere the work is cancelled. Ctrl-C twice: we leave at once.
"""

import asyncio
import glob
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from sinchphone.cli.endings import Order, code_of_order
from sinchphone.cli.exits import ExitCode, code_of_error, hint_of_code
from sinchphone.cli.terminal import gc_tuning
from sinchphone.cli.terminal.events import Problem, Result
from sinchphone.cli.terminal.jobs import job_control, release
from sinchphone.cli.terminal.report import Report
from sinchphone.cli.terminal.screen import Screen
from sinchphone.cli.terminal.session import Session
from sinchphone.cli.terminal.streams import hush, stdout_pipe
from sinchphone.errors import SinchphoneError, leaves
from sinchphone.tasks import start_task

FAREWELL_S: Final = 6.0  # how long a call may take to hang up and to finish its files after the order, before it's cancelled

Work: TypeAlias = Callable[[Session], Coroutine[Any, Any, ExitCode]]


def run(session: Session, work: Work) -> ExitCode:
    """Run ``work`` to its end, whatever that is; write the result; the exit code."""
    try:
        with asyncio.Runner() as runner:
            code = runner.run(_obey(session, work))
    except BrokenPipeError:
        hush(sys.stdout)
        code = ExitCode.OK
    session.finish(code)
    return code


async def _obey(session: Session, work: Work) -> ExitCode:
    task = start_task(work(session), name="command")
    loop = asyncio.get_running_loop()
    settling = loop.call_later(gc_tuning.SETTLED_S, gc_tuning.settle)
    orders = _orders()
    for number, order in orders.items():
        _on_signal(loop, number, partial(_take_signal, session, task, order), session.free)
    watched = _watch_stdout(session, task)
    try:
        with job_control(session.terminal_users):
            return await task
    except asyncio.CancelledError:
        if session.stop.order is None:
            raise
        return code_of_order(session.stop.order, established=False, interactive=session.interactive)
    except Exception as error:  # noqa: BLE001 - the one place where what nobody foresaw becomes a sentence and exit code 1
        return _fail(session, error)
    finally:
        settling.cancel()
        for number in orders:
            _off_signal(loop, number)
        if watched is not None:
            loop.remove_reader(watched)


def _orders() -> dict[signal.Signals, Order]:
    """What signals order. A terminal that is closed is like SIGTERM, except under nohup. Who started us with a signal ignored (a shell's
    ``&`` in a script, nohup) has meant it (POSIX 2.11)."""
    orders = {signal.SIGINT: Order.INTERRUPT, signal.SIGTERM: Order.TERMINATE}
    if sys.platform != "win32":
        orders[signal.SIGHUP] = Order.TERMINATE
    return {number: order for number, order in orders.items() if signal.getsignal(number) is not signal.SIG_IGN}


def _on_signal(loop: asyncio.AbstractEventLoop, number: signal.Signals, react: Callable[[], None], at_once: Callable[..., None]) -> None:
    """``react`` is called by the loop, ``at_once`` in the middle of whatever the loop is at."""
    try:
        loop.add_signal_handler(number, react)
        signal.signal(number, at_once)  # the loop still learns of it, through its wake-up descriptor
    except NotImplementedError:  # Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(react))


def _off_signal(loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
    try:
        loop.remove_signal_handler(number)
    except NotImplementedError:
        signal.signal(number, signal.SIG_DFL)


def _take_signal(session: Session, task: "asyncio.Task[ExitCode]", order: Order) -> None:
    if session.stop.order is not None and order is Order.INTERRUPT:
        _leave_at_once(session)
    session.stop.give(order)
    _enforce(session, task)


def _enforce(session: Session, task: "asyncio.Task[ExitCode]") -> None:
    """A call that was told has some seconds to end well; anything else ends now."""
    if session.stop.is_taken:
        asyncio.get_running_loop().call_later(FAREWELL_S, task.cancel)
    else:
        task.cancel()


def _leave_at_once(session: Session) -> NoReturn:
    """No farewell: a second Ctrl-C means it."""
    session.note("leaving")
    for path in session.recording:
        parts = [str(part) for part in Path(path).parent.glob(f".{glob.escape(Path(path).name)}.{os.getpid()}-*.part")]
        session.note(f"{path} isn't finished: what was recorded is in {', '.join(parts)}")
    release(session.terminal_users)
    session.finish(ExitCode.INTERRUPTED)
    os._exit(ExitCode.INTERRUPTED)


def _watch_stdout(session: Session, task: "asyncio.Task[ExitCode]") -> int | None:
    """The reader of our output going away is an order too, even while we have nothing to write (Linux reports it at the write end)."""
    descriptor = stdout_pipe() if sys.platform == "linux" else None
    if descriptor is None:
        return None
    loop = asyncio.get_running_loop()

    def closed() -> None:
        loop.remove_reader(descriptor)
        hush(sys.stdout)
        session.stop.give(Order.STDOUT_CLOSED)
        _enforce(session, task)

    loop.add_reader(descriptor, closed)
    return descriptor


def _fail(session: Session, error: BaseException) -> ExitCode:
    root = root_of(error)
    session.problem = problem_of(root)
    if session.debug:
        session.screen.close()
        traceback.print_exception(error)
    return code_of_error(root)


def root_of(error: BaseException) -> BaseException:
    """The error that matters of a group of them: one of ours where there is one, else the first."""
    found = leaves(error)
    return next((leaf for leaf in found if isinstance(leaf, SinchphoneError)), found[0])


def problem_of(error: BaseException) -> Problem:
    """An error in words."""
    if isinstance(error, SinchphoneError):
        return Problem(message=str(error), hint=error.hint or hint_of_code(code_of_error(error)))
    if isinstance(error, KeyboardInterrupt):
        return Problem(message="interrupted", hint=None)
    return Problem(message=f"a bug in sinchphone: {type(error).__name__}: {error}", hint=hint_of_code(ExitCode.BUG))


def refuse(error: BaseException, code: ExitCode, *, json: bool, hint: str | None = None) -> ExitCode:
    """Say why a command doesn't even start, in text and, where it was asked for, as the result in JSON."""
    problem = problem_of(error)
    result = Result(
        ok=False, exit_code=int(code), calls=[], recordings=[], error=Problem(message=problem.message, hint=problem.hint or hint)
    )
    try:
        Screen(None, sys.stderr).tell(result)
        if json:
            Report(sys.stdout).tell(result)
    except OSError:  # nobody reads, or the disk is full
        hush(sys.stdout)
    return code
