"""The entry point: runs the application and turns what is wrong with a command line into a sentence and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer
import typer.main

from sinchphone.cli.exits import ExitCode, code_of_error
from sinchphone.config import wants_json
from sinchphone.errors import SinchphoneError


def main() -> None:
    """``sinchphone``."""
    fill_closed_streams()
    sys.exit(command_line(sys.argv[1:]))


def fill_closed_streams() -> None:
    """Whoever started us with a closed standard stream (``2>&-``) gets nothing there, and no file of ours takes its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def command_line(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code. Raises SystemExit only for shell completion."""
    from sinchphone.cli.app import app
    from sinchphone.cli.terminal.run import refuse

    json = wants_json(arguments)
    try:
        code = typer.main.get_command(app).main(list(arguments), prog_name="sinchphone", standalone_mode=False)
        return int(code or 0)
    except SinchphoneError as error:
        return refuse(error, code_of_error(error), json=json)
    except typer.TyperException as error:
        usage = SinchphoneError(_sentence(error.format_message()), hint="see: sinchphone --help, or --help after a command")
        return refuse(usage, ExitCode.USAGE, json=json)
    except (KeyboardInterrupt, typer.Abort):
        return refuse(KeyboardInterrupt(), ExitCode.INTERRUPTED, json=json)
    except Exception as error:  # noqa: BLE001 - a bug before or after a command's own work
        if "--debug" in arguments:
            traceback.print_exception(error)
        return refuse(error, ExitCode.BUG, json=json)


def _sentence(message: str) -> str:
    """Typer's words in our style: one line, no capital, no full stop."""
    line = " ".join(message.split()).rstrip(".")
    return line[:1].lower() + line[1:]
