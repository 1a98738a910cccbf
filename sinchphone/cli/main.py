"""The entry point: runs the application and turns what is wrong with a command line into a sentence and an exit code."""

import sys
from collections.abc import Sequence

import typer
import typer.main

from sinchphone.cli.exits import ExitCode, code_of_error
from sinchphone.config import wants_json
from sinchphone.errors import SinchphoneError


def main() -> None:
    """``sinchphone``."""
    sys.exit(command_line(sys.argv[1:]))


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


def _sentence(message: str) -> str:
    """Typer's words in our style: one line, no capital, no full stop."""
    line = " ".join(message.split()).rstrip(".")
    return line[:1].lower() + line[1:]
