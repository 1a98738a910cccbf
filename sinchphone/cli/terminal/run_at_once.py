"""Runs a command that asks nobody: no event loop is made, and none imported. Its errors, signals and result are those of ``run``."""

import sys
from collections.abc import Callable

from sinchphone.cli import signals
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.session import Session
from sinchphone.cli.terminal.streams import hush


def run_at_once(session: Session, work: Callable[[Session], ExitCode]) -> ExitCode:
    """Run ``work`` to its end, whatever that is; write the result; the exit code."""
    return finish(session, lambda: _work(session, work))


def finish(session: Session, work: Callable[[], ExitCode]) -> ExitCode:
    """Do what gives the exit code, and write the result. Signals that come after that are only noted."""
    taken = signals.take()
    try:
        code = work()
        signals.react(session.writing.free)
        session.finish(code)
    finally:
        if taken:
            signals.release()
    return code


def _work(session: Session, work: Callable[[Session], ExitCode]) -> ExitCode:
    signals.react(signals.interrupt)
    try:
        return work(session)
    except BrokenPipeError:
        hush(sys.stdout)
        return ExitCode.OK
    except signals.Signalled as signal:
        signals.forget()
        session.writing.free()
        from sinchphone.cli.terminal.run import problem_of

        session.problem = problem_of(signal)
        return ExitCode.INTERRUPTED if signal.number == signals.INTERRUPT else ExitCode.TERMINATED
    except Exception as error:  # noqa: BLE001 - what nobody foresaw becomes a sentence and exit code 1
        from sinchphone.cli.terminal.run import fail

        return fail(session, error)
