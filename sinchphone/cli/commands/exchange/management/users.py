"""``exchange users add|list|remove``: the users of the local exchange, and the names that they go by."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sinchphone.cli.addressing.destination import user_id
from sinchphone.cli.calling.managed_exchange import managed_exchange
from sinchphone.cli.exits import ExitCode, code_of_error
from sinchphone.cli.terminal.flags.commands import HostFlags
from sinchphone.cli.terminal.flags.common import option_of_key, with_flags
from sinchphone.cli.terminal.flags.everywhere import refuse_json
from sinchphone.cli.terminal.output.events.events import Problem
from sinchphone.cli.terminal.output.events.exchange import UserListed
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session, session_of
from sinchphone.credentials import read_beside, read_password
from sinchphone.errors import NotFoundError
from sinchphone.protocol.phone_numbers import read_number

if TYPE_CHECKING:
    from sinchphone.local.management import KnownUser


def add_to(exchange: typer.Typer) -> None:
    """Add the commands to the group."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False, help="Users of the local exchange.")
    group.callback()(with_flags(_overview))
    group.command("add")(with_flags(add))
    group.command("list")(with_flags(list_all))
    group.command("remove")(with_flags(remove))
    exchange.add_typer(group, name="users")


def _overview(context: typer.Context, flags: HostFlags) -> None:
    if context.invoked_subcommand is None:
        if flags.json:
            refuse_json(context)
        typer.echo(context.get_help())


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user id.")],
    flags: HostFlags,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="An e-mail address that finds them too.")] = None,
    number: Annotated[str | None, typer.Option(metavar="+E164", help="A phone number that finds them too.")] = None,
    password_command: Annotated[str | None, option_of_key("password_command", "CMD")] = None,
) -> ExitCode:
    """Make a user: sinchphone exchange users add ada --email ada@example.org --number +46700000001

    They log in with the password that --password-command (or SINCHPHONE_PASSWORD) gives; without one, by the application's tokens alone.
    """
    reached = read_number(number) if number is not None else None
    configuration = flags.load({"password_command": password_command})
    session = open_session(configuration, quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, lambda session: _add(session, user_id(name), email, reached))


def list_all(context: typer.Context, flags: HostFlags) -> ExitCode:
    """List the users that the exchange knows."""
    return run(session_of(flags), _list)


def remove(
    context: typer.Context, names: Annotated[list[str], typer.Argument(metavar="NAME...", help="User ids.")], flags: HostFlags
) -> ExitCode:
    """Forget users, with their devices and passwords. A phone of theirs that runs makes itself known again."""
    return run(session_of(flags), lambda session: _remove(session, [user_id(name) for name in names]))


async def _add(session: Session, name: str, email: str | None, number: str | None) -> ExitCode:
    from sinchphone.local.signed_requests import ConflictError

    password = await read_beside(partial(read_password, session.options))
    async with managed_exchange(session) as exchange:
        try:
            session.tell(_listed(await exchange.add_user(name, email=email, number=number, password=password)))
        except ConflictError as error:
            session.problem = Problem(message=str(error), hint="sinchphone exchange users list shows them, remove NAME forgets one")
            return ExitCode.NOT_DONE
    return ExitCode.OK


async def _list(session: Session) -> ExitCode:
    async with managed_exchange(session) as exchange:
        found = await exchange.users()
    for user in found:
        session.tell(_listed(user))
    if not found:
        session.note("there are no users yet: whoever registers is one, and sinchphone exchange users add NAME makes one")
    return ExitCode.OK


async def _remove(session: Session, names: list[str]) -> ExitCode:
    async with managed_exchange(session) as exchange:
        for name in names:
            try:
                await exchange.remove_user(name)
            except NotFoundError as error:
                session.problem = Problem(message=f"there is no user {name} here", hint="sinchphone exchange users list shows who there is")
                return code_of_error(error)
            session.note(f"removed {name}")
    return ExitCode.OK


def _listed(user: "KnownUser") -> UserListed:
    return UserListed(
        user_id=user.user_id, email=user.email, number=user.number, account=user.account, devices=user.devices, listening=user.listening
    )
