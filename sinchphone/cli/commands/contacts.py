"""``contacts add|list|show|remove``: people and rooms by short names."""

from typing import Annotated

import typer

from sinchphone.cli.addressing.contacts import AddressBookEntry, contacts_of, read_name
from sinchphone.cli.addressing.destination import Destination, Kind, read_destination, user_id
from sinchphone.cli.addressing.proposals import complete_contact, complete_destination, complete_user
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import JsonFlags, overview, with_flags
from sinchphone.cli.terminal.output.listings import ContactListed
from sinchphone.cli.terminal.run_at_once import run_at_once
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, kw_only=True)
class ContactFlags(JsonFlags):
    """Options of ``contacts add``."""

    user: Annotated[
        str | None, typer.Option(metavar="USER", autocompletion=complete_user, help="Who they are on the platform: messages go there.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace a contact of that name.")] = False


def add_to(app: typer.Typer, name: str) -> None:
    """Add the commands."""
    group = typer.Typer(
        invoke_without_command=True, rich_markup_mode=None, add_completion=False, help="People and rooms by short names: call @mum."
    )
    group.callback()(overview)
    group.command("add")(with_flags(add))
    group.command("list")(with_flags(list_all))
    group.command("show")(with_flags(show))
    group.command("remove")(with_flags(remove))
    app.add_typer(group, name=name)


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call them; call @NAME dials them.")],
    flags: ContactFlags,
    destination: Annotated[
        str | None,
        typer.Argument(
            metavar="[DEST]",
            autocompletion=complete_destination,
            help="What it dials: +NUMBER, a user id, user@host or conf:ROOM.",
            show_default=False,
        ),
    ] = None,
) -> ExitCode:
    """Keep a contact, of a number, an address or a user.

    call @mum dials DEST, or the user where there is no DEST; send-message @mum writes to the user.
    """
    user = None if flags.user is None else user_id(flags.user)
    if destination is None and user is None:
        raise typer.BadParameter("who is it? +NUMBER, another destination, or --user USER", param_hint="DEST")
    dialled = Destination(Kind.USER, user or "") if destination is None else read_destination(destination)
    if dialled.kind is Kind.USER and user is None:
        user = dialled.identity
    contact = AddressBookEntry(read_name(name), dialled, user)
    session = session_of(flags)
    return run_at_once(session, lambda session: _add(session, contact, force=flags.force))


def list_all(context: typer.Context, flags: JsonFlags) -> ExitCode:
    """List all contacts."""
    return run_at_once(session_of(flags), _list)


def show(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_contact)], flags: JsonFlags
) -> ExitCode:
    """Show a contact."""
    return run_at_once(session_of(flags), lambda session: _show(session, name))


def remove(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", autocompletion=complete_contact)],
    flags: JsonFlags,
) -> ExitCode:
    """Forget contacts."""
    return run_at_once(session_of(flags), lambda session: _remove(session, names))


def _add(session: Session, contact: AddressBookEntry, *, force: bool) -> ExitCode:
    contacts_of(session.options).add(contact, force=force)
    session.tell(_listed(contact))
    return ExitCode.OK


def _list(session: Session) -> ExitCode:
    found = contacts_of(session.options).list()
    for contact in found:
        session.tell(_listed(contact))
    if not found:
        session.note("there are no contacts yet: sinchphone contacts add NAME +NUMBER")
    return ExitCode.OK


def _show(session: Session, name: str) -> ExitCode:
    session.tell(_listed(contacts_of(session.options).find(name)))
    return ExitCode.OK


def _remove(session: Session, names: list[str]) -> ExitCode:
    contacts = contacts_of(session.options)
    for name in names:
        contacts.find(name)  # all or none
    for name in names:
        session.note(f"removed {contacts.remove(name).name}")
    return ExitCode.OK


def _listed(contact: AddressBookEntry) -> ContactListed:
    destination = contact.destination
    return ContactListed(name=contact.name, kind=destination.kind, identity=destination.identity, user_id=contact.user)
