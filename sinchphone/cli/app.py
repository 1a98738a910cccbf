"""The Typer application: root options, the commands, and an answer to a destination where a command should stand."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
import typer.main

from sinchphone.cli.addressing.proposals import complete_profile
from sinchphone.cli.examples import EXAMPLES
from sinchphone.cli.exits import help_text
from sinchphone.cli.terminal.flags.everywhere import complete_command, refuse_json
from sinchphone.cli.terminal.flags.groups import CommandGroup, Planned
from sinchphone.errors import DestinationError

_CALL: Final = "sinchphone.cli.commands.call"
COMMANDS: Final = {
    "call": Planned(_CALL, "Call a user, a number, a contact, an address or a room; redial."),
    "call-user": Planned(_CALL, "Call another user."),
    "call-phone": Planned(_CALL, "Call a phone number."),
    "call-sip": Planned(_CALL, "Call a SIP address: alice@pbx.example."),
    "conference": Planned(_CALL, "Join a conference room."),
    "group": Planned("sinchphone.cli.commands.group", "Be in a group in which everybody calls everybody else."),
    "send-message": Planned("sinchphone.cli.commands.message", "Write to users, and by SMS to numbers."),
    "listen": Planned("sinchphone.cli.commands.listen", "Wait for calls and messages."),
    "push": Planned("sinchphone.cli.commands.push", "Take the call that a push tells of, which came elsewhere."),
    "history": Planned("sinchphone.cli.commands.history.show", "Past calls and messages; delete, export."),
    "contacts": Planned("sinchphone.cli.commands.contacts", "People and rooms by short names: call @mum."),
    "exchange": Planned("sinchphone.cli.commands.exchange.exchange", "Run the exchange for several terminals or for tests."),
    "trace": Planned("sinchphone.cli.commands.exchange.management.trace", "What was said in a call, as a ladder or a file."),
    "devices": Planned("sinchphone.cli.commands.setup.devices", "List the sound devices; test them, meter the microphone."),
    "doctor": Planned("sinchphone.cli.commands.setup.doctor", "Check what works here; exit code 20 if something doesn't."),
    "cloud": Planned("sinchphone.cli.commands.setup.cloud", "Learn Sinch's REST operations from a package you have."),
    "verify": Planned("sinchphone.cli.commands.verify", "Verify a phone number by a code that is sent there."),
    "token": Planned("sinchphone.cli.commands.setup.token", "Print a registration token for another client."),
    "config": Planned("sinchphone.cli.commands.setup.configuration", "Where configuration is and what is in force."),
    "help": Planned("sinchphone.cli.commands.help", "Pages about everything that is no option."),
}


class _AllCommands(CommandGroup):
    """Knows that ``sinchphone +1415…`` was meant as ``sinchphone call +1415…``."""

    planned = COMMANDS

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.planned and (meant := _meant(args[0])):
            raise DestinationError(f"{args[0]} is no command", hint=f"to call it: sinchphone {meant}")
        return super().resolve_command(ctx, args)


def _meant(word: str) -> str | None:
    """The command that calls ``word``, where that is plainly a contact, a number, an address, a room or a built-in user."""
    if word.startswith("@"):
        return f"call {word}"
    if not (word.startswith("+") or "@" in word or ":" in word or word == "echo"):
        return None
    from sinchphone.cli.addressing.destination import Kind, read_destination

    try:
        destination = read_destination(word)
    except DestinationError:
        return "call +NUMBER" if word.startswith("+") else None
    match destination.kind:
        case Kind.USER:
            return f"call {word}"
        case Kind.PHONE:
            return f"call {destination.identity}"
        case Kind.SIP:
            return f"call-sip {destination.identity}"
        case Kind.CONFERENCE:
            return f"conference {destination.identity}"


def _check_color(value: str | None) -> str | None:
    if value:
        from sinchphone.cli.terminal.flags.common import check_key

        check_key("color", value)
    return value


app = typer.Typer(
    cls=_AllCommands,
    name="sinchphone",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=f"\b\nExit codes:\n{help_text()}",
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", autocompletion=complete_profile, help="Take the keys of [profiles.NAME].")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Read this configuration file.")] = None,
    color: Annotated[str | None, typer.Option(metavar="WHEN", callback=_check_color, help="Colours: auto, always or never.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Whole lines alone, nothing redrawn: for screen readers.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks, and what happens inside.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results, warnings and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")] = False,
) -> None:
    """A softphone in the terminal for Sinch In-app Calling, with an exchange of its own.

    Try it without an account: sinchphone call echo

    Pages about everything else: sinchphone help
    """
    given = {"profile": profile, "config": config, "color": color, "plain": plain, "debug": debug, "quiet": quiet, "verbose": verbose}
    context.obj = {name: value for name, value in (given | {"json": json}).items() if value}
    if context.invoked_subcommand is None:
        if json:
            refuse_json(context)
        typer.echo(context.get_help())


def whole_command() -> Any:
    """The command line's root, with what every command takes."""
    return complete_command(typer.main.get_command(app), "", EXAMPLES)
