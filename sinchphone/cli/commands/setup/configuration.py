"""``config path|show|init|schema``: where configuration is, what is in force and why, a first file, the schema of ``--json``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sinchphone.cli.commands.setup.config_questions import ask_at_terminal, asked
from sinchphone.cli.control.schema import schema_text
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import CommonFlags, overview, with_flags
from sinchphone.cli.terminal.private_files import NOT_WRITTEN_HINT, write_private
from sinchphone.cli.terminal.text.escape import escape
from sinchphone.config import config_files, user_file
from sinchphone.credentials import secret_source
from sinchphone.errors import ConfigError, OutputError
from sinchphone.options import example


def add_to(app: typer.Typer, name: str) -> None:
    """Add the commands."""
    config = typer.Typer(
        invoke_without_command=True, rich_markup_mode=None, add_completion=False, help="Where configuration is and what is in force."
    )
    config.callback()(overview)
    config.command("path")(with_flags(path))
    config.command("show")(with_flags(show))
    config.command("init")(with_flags(init))
    config.command("schema")(schema)
    app.add_typer(config, name=name)


def path(context: typer.Context, flags: CommonFlags) -> ExitCode:
    """Print the configuration files, the one that counts most first."""
    for file in config_files(flags.config):
        typer.echo(escape(f"{file}{'' if _is_there(file) else '  (not there)'}"))
    return ExitCode.OK


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # its folder may not be entered
        return False


def show(context: typer.Context, flags: CommonFlags) -> ExitCode:
    """Print each value in force and where it came from."""
    configuration = flags.load()
    for setting in configuration.settings:
        typer.echo(escape(f"{setting.key.name} = {setting.shown}  ({setting.source})"))
    source = secret_source(configuration.options)
    typer.echo(f"application_secret = {'***' if source else '-'}  ({source or 'not set'})")
    return ExitCode.OK


def init(
    context: typer.Context, flags: CommonFlags, force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False
) -> ExitCode:
    """Write a first configuration file.

    Every key with its default, commented out, but for what you answer at a terminal.
    """
    file = flags.config or user_file()
    chosen = {}
    if sys.stdin.isatty() and sys.stderr.isatty():
        if _is_there(file) and not force:
            raise ConfigError(f"{file} exists already", hint="--force overwrites it")
        chosen = asked(ask_at_terminal, lambda problem: typer.echo(problem, err=True))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, example(chosen).encode(), force=force)
    except OutputError as error:
        raise ConfigError(str(error), hint=error.hint) from error
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}", hint=NOT_WRITTEN_HINT) from error
    typer.echo(str(file))
    return ExitCode.OK


def schema() -> ExitCode:
    """Print the JSON Schema of what --json writes.

    Of every line; its $defs.control is that of what --control reads.
    """
    typer.echo(schema_text().rstrip("\n"))
    return ExitCode.OK
