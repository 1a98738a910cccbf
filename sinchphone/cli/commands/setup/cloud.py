"""``cloud learn``: the names of the cloud's REST operations, out of a package that the user has."""

from pathlib import Path
from typing import Annotated

import typer

from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import CommonFlags, overview, with_flags
from sinchphone.cli.terminal.text.escape import escape
from sinchphone.errors import ConfigError

_WORDS = {"found": "found", "missing": "not found", "differs": "differs from ours"}


def add_to(app: typer.Typer, name: str) -> None:
    """Add the commands."""
    cloud = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False, help="What is known of Sinch's cloud.")
    cloud.callback()(overview)
    cloud.command("learn")(with_flags(learn))
    app.add_typer(cloud, name=name)


def learn(
    context: typer.Context,
    package: Annotated[Path, typer.Argument(metavar="PATH", help="sinch-rtc as npm publishes it (.tgz), or its unpacked folder.")],
    flags: CommonFlags,
) -> ExitCode:
    """Learn Sinch's REST operations from its client.

    Verbs, paths and names are taken out of its JavaScript client, which you have; nothing of it is run.

    From then on they are used with the cloud in place of ours. Printed: what was found, what wasn't, and what differs.
    """
    from sinchphone.signaling.ocra.learning.generated_code import FoundApi, is_of_interest, read_file
    from sinchphone.signaling.ocra.learning.learned import learn as learned_from
    from sinchphone.signaling.ocra.learning.learned import lines_of
    from sinchphone.signaling.ocra.learning.packages import package_files

    if package == Path():  # an empty text is one, too
        raise typer.BadParameter("name the package, or its folder", param_hint="PATH")
    options, found = flags.load().options, FoundApi()
    for name, text in package_files(package, is_of_interest):
        read_file(found, name, text)
    if not found.operations:
        raise ConfigError(
            f"{package} has no operations of a generated REST client", hint="it should be npm's sinch-rtc 2.x, with a folder ocra/api/apis"
        )
    lesson = learned_from(found)
    for kind, line in lines_of(lesson):
        typer.echo(escape(f"{_WORDS[kind]}: {line}"))
    try:
        kept = lesson.names.write(options.state_path)
    except OSError as error:
        raise ConfigError(f"{options.state_path} can't be written: {error.strerror}") from error
    typer.echo(escape(f"kept in {kept}: operations {len(lesson.names.operations)}; delete the file to go back to ours"))
    return ExitCode.OK
