"""Runs one command line, and turns what is wrong with it into a sentence and an exit code."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sinchphone.cli import signals

if TYPE_CHECKING:
    from sinchphone.cli.exits import ExitCode

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # of standard output, at the end of a redirection
_COMPLETION = ("--show-completion", "--install-completion")
_COMPLETION_VARIABLE = "_SINCHPHONE_COMPLETE"  # set by a shell that completes
_SHELL_IS_NAMED = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"  # Typer takes the name of a shell then, and asks no process for it


def command_line(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code."""
    import typer

    from sinchphone.cli.app import whole_command
    from sinchphone.cli.exits import USAGE_HINT, ExitCode, code_of_error
    from sinchphone.cli.terminal.streams import hush, unwritable
    from sinchphone.errors import SinchphoneError

    if len(arguments) > 1 and arguments[0] in _COMPLETION and not arguments[1].startswith("-"):
        os.environ[_SHELL_IS_NAMED] = "1"
    command = whole_command()
    _prepare_completion(arguments)
    try:
        signals.react(signals.interrupt)
        code = command.main(list(arguments), prog_name="sinchphone", standalone_mode=False)
        return int(code or 0)
    except SinchphoneError as error:
        return _refuse(error, code_of_error(error), arguments)
    except typer.TyperException as error:
        usage = SinchphoneError(_sentence(error.format_message()), hint=USAGE_HINT)
        return _refuse(usage, ExitCode.USAGE, arguments)
    except (KeyboardInterrupt, typer.Abort):
        return _refuse(KeyboardInterrupt(), ExitCode.INTERRUPTED, arguments)
    except signals.Signalled as signal:
        signals.forget()
        code = ExitCode.INTERRUPTED if signal.number == signals.INTERRUPT else ExitCode.TERMINATED
        return _refuse(signal, code, arguments)
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            return int(end.code or 0)  # a shell was told what completes the word
        hush(sys.stdout)  # Typer has met a reader that went away (``config show | head``): no failure of ours
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - a bug before or after a command's own work
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            return _refuse(unwritable(error), ExitCode.USAGE, arguments)
        if "--debug" in arguments:
            import traceback

            traceback.print_exception(error)
        return _refuse(error, ExitCode.BUG, arguments)


def _prepare_completion(arguments: Sequence[str]) -> None:
    """Where a shell asks for proposals, or somebody for the script that does."""
    completing = _COMPLETION_VARIABLE in os.environ
    if completing or (arguments and arguments[0].partition("=")[0] in _COMPLETION):
        from sinchphone.cli import completion

        completion.prepare()
        if completing:
            completion.keep_quiet()


def _refuse(error: BaseException, code: "ExitCode", arguments: Sequence[str]) -> int:
    from sinchphone.cli.terminal.run import refuse
    from sinchphone.config import wants_json, wants_no_color

    return refuse(error, code, json=wants_json(arguments), color=not wants_no_color(arguments))


def _sentence(message: str) -> str:
    """Typer's words in our style: one line, no capital, no full stop."""
    line = " ".join(message.split()).rstrip(".").replace("is not a valid int", "is no whole number")
    return line[:1].lower() + line[1:]
