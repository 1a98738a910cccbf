"""Owns the event loop, the signals, and the way from an error to an exit code. The only place that runs a coroutine.

Ctrl-C or SIGTERM once: where a call runs, it's hung up; elsewhere the work is cancelled. Ctrl-C twice: we leave at once.
"""

import asyncio
import glob
import os
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from sinchphone.cli import signals
from sinchphone.cli.endings import Order, code_of_order
from sinchphone.cli.exits import ExitCode, code_of_error, hint_of_code
from sinchphone.cli.terminal import gc_tuning
from sinchphone.cli.terminal.jobs import job_control, release
from sinchphone.cli.terminal.output.events.events import Problem, Result
from sinchphone.cli.terminal.output.report import Report
from sinchphone.cli.terminal.run_at_once import finish
from sinchphone.cli.terminal.screen.screen import Screen
from sinchphone.cli.terminal.session import Session
from sinchphone.cli.terminal.streams import StuckError, Writing, flush_and_leave, hush, hush_stuck, stdout_pipe
from sinchphone.errors import SinchphoneError, leaves
from sinchphone.tasks import start_task

HANG_UP_S: Final = 6.0  # how long a call may take to hang up and to finish its files after the order, before it's cancelled

Work: TypeAlias = Callable[[Session], Coroutine[Any, Any, ExitCode]]


def run(session: Session, work: Work) -> ExitCode:
    """Run ``work`` to its end, whatever that is; write the result; the exit code."""
    return finish(session, lambda: _run(session, work))


def _run(session: Session, work: Work) -> ExitCode:
    signals.react(None)  # they have their effect as soon as the loop runs
    try:
        with asyncio.Runner() as runner:
            code = runner.run(_obey(session, work))
            signals.react(lambda _: _leave(session, code))  # what is left to be closed isn't waited for
    except BrokenPipeError:
        hush(sys.stdout)
        return ExitCode.OK
    return code


async def _obey(session: Session, work: Work) -> ExitCode:
    task = start_task(work(session), name="command")
    loop = asyncio.get_running_loop()
    settling = loop.call_later(gc_tuning.SETTLED_S, gc_tuning.settle)
    signals.react(partial(_pass_on, loop, session, task))
    watched = _watch_stdout(session, task)
    try:
        with job_control(session.terminal_users):
            return await task
    except asyncio.CancelledError:
        if session.stop.order is None:
            raise
        return code_of_order(session.stop.order, established=False, interactive=session.interactive)
    except Exception as error:  # noqa: BLE001 - the one place where what nobody foresaw becomes a sentence and exit code 1
        return fail(session, error)
    finally:
        signals.react(session.writing.free)
        settling.cancel()
        if watched is not None:
            loop.remove_reader(watched)


def _pass_on(loop: asyncio.AbstractEventLoop, session: Session, task: "asyncio.Task[ExitCode]", number: int) -> None:
    """Amid whatever the loop is at. Ctrl-C interrupts; a terminal that is closed (SIGHUP) is like SIGTERM."""
    loop.call_soon_threadsafe(_take_signal, session, task, Order.INTERRUPT if number == signals.INTERRUPT else Order.TERMINATE)
    session.writing.free()


def _take_signal(session: Session, task: "asyncio.Task[ExitCode]", order: Order) -> None:
    if session.stop.order is not None and order is Order.INTERRUPT:
        _leave_at_once(session)
    session.stop.give(order)
    _enforce(session, task)


def _enforce(session: Session, task: "asyncio.Task[ExitCode]") -> None:
    """A call that was told has some seconds to end well; anything else ends now."""
    if session.stop.is_taken:
        asyncio.get_running_loop().call_later(HANG_UP_S + session.stop.more_seconds, task.cancel)
    else:
        task.cancel()


def _leave_at_once(session: Session) -> NoReturn:
    """At once: a second Ctrl-C means it."""
    session.note("leaving")
    for path in session.recording:
        parts = [str(part) for part in Path(path).parent.glob(f".{glob.escape(Path(path).name)}.{os.getpid()}-*.part")]
        session.note(f"{path} isn't finished: what was recorded is in {', '.join(parts)}")
    _leave(session, ExitCode.INTERRUPTED)


def _leave(session: Session, code: ExitCode) -> NoReturn:
    release(session.terminal_users)
    for leave in session.leaving:
        leave()
    signals.react(session.writing.free)
    session.finish(code)
    flush_and_leave(code)


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


def fail(session: Session, error: BaseException) -> ExitCode:
    """Keep why a command failed for its result; the exit code."""
    root = root_of(error)
    session.problem = problem_of(root)
    if session.debug:
        session.screen.show_traceback(error)
    return code_of_error(root)


def root_of(error: BaseException) -> BaseException:
    """The error that matters of a group of them: one of ours where there is one, else the first."""
    found = leaves(error)
    return next((leaf for leaf in found if isinstance(leaf, SinchphoneError)), found[0])


def problem_of(error: BaseException) -> Problem:
    """An error in words."""
    if isinstance(error, SinchphoneError):
        return Problem(message=str(error), hint=error.hint or hint_of_code(code_of_error(error)))
    if isinstance(error, KeyboardInterrupt | signals.Signalled):
        terminated = isinstance(error, signals.Signalled) and error.number != signals.INTERRUPT
        return Problem(message="terminated" if terminated else "interrupted", hint=None)
    return Problem(message=f"a bug in sinchphone: {type(error).__name__}: {error}", hint=hint_of_code(ExitCode.BUG))


def refuse(error: BaseException, code: ExitCode, *, json: bool, hint: str | None = None, color: bool = False) -> ExitCode:
    """Say why a command doesn't even start, in text, on a terminal in ``color``, and, where it was asked for, as the result in JSON."""
    problem = problem_of(error)
    result = Result(
        ok=False, exit_code=int(code), calls=[], recordings=[], error=Problem(message=problem.message, hint=problem.hint or hint)
    )
    writing = Writing()
    signals.react(writing.free)
    try:
        with writing.going_on():
            if isinstance(error, signals.Signalled):
                writing.free()
            Screen(None, sys.stderr, color=color and sys.stderr.isatty()).tell(result)
            if json:
                Report(sys.stdout).tell(result)
    except StuckError:
        hush_stuck()
    except OSError:  # nobody reads, or the disk is full
        hush(sys.stdout)
    return code
