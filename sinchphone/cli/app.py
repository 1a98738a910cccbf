"""The Typer application: root options, the commands, and an answer to a destination where a command should stand."""

from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from sinchphone.cli.addressing.destination import Kind, read_destination
from sinchphone.cli.commands import call, configuration, contacts, devices, exchange, listen, message, token
from sinchphone.cli.commands import help as help_pages
from sinchphone.cli.commands.history import show as history
from sinchphone.cli.exits import ExitCode, help_text
from sinchphone.cli.terminal.flags import option_of_key
from sinchphone.errors import DestinationError

_COMMANDS = {Kind.USER: "call", Kind.PHONE: "call", Kind.SIP: "call-sip", Kind.CONFERENCE: "conference"}


class _Commands(typer.core.TyperGroup):
    """Knows that ``sinchphone +1415…`` was meant as ``sinchphone call +1415…``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None and (meant := _meant(args[0])):
            raise DestinationError(f"{args[0]} is no command", hint=f"to call it: sinchphone {meant}")
        return super().resolve_command(ctx, args)


def _meant(word: str) -> str | None:
    """The command that calls ``word``, where that is plainly a number, an address, a room or a built-in user."""
    if word.startswith("@"):
        return f"call {word}"
    if not (word.startswith("+") or "@" in word or ":" in word or word == "echo"):
        return None
    try:
        destination = read_destination(word)
    except DestinationError:
        return "call +NUMBER" if word.startswith("+") else None
    identity = word if destination.kind is Kind.USER else destination.identity
    return f"{_COMMANDS[destination.kind]} {identity}"


app = typer.Typer(
    cls=_Commands,
    name="sinchphone",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=f"\b\nExit codes:\n{help_text()}",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sinchphone {version('sinchphone')}")
        raise typer.Exit(ExitCode.OK)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Take the keys of [profiles.NAME].")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Read this configuration file.")] = None,
    color: Annotated[str | None, option_of_key("color", "WHEN")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks, and what happens inside.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """A softphone in the terminal for Sinch In-app Calling, with an exchange of its own.

    Try it without an account: sinchphone call echo

    Pages about everything else: sinchphone help
    """
    context.obj = {"profile": profile, "config": config, "color": color, "debug": debug}
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for noun in (call, message, listen, history, contacts, exchange, devices, token, configuration, help_pages):
    noun.add_to(app)
