"""``call``, ``call-user``, ``call-phone``, ``call-sip``, ``conference``: place one call and stay in it to its end."""

from collections.abc import Callable
from typing import Annotated

import typer

from sinchphone.cli.addressing import proposals
from sinchphone.cli.addressing.contacts import resolve
from sinchphone.cli.addressing.destination import Destination, Kind, room, sip_address, user_id
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import AnyCallFlags, CallFlags, PhoneFlags, VideoCallFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.options import Options
from sinchphone.protocol.phone_numbers import read_number


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command of that name."""
    commands: dict[str, Callable[..., ExitCode]] = {
        "call": call,
        "call-user": call_user,
        "call-phone": call_phone,
        "call-sip": call_sip,
        "conference": conference,
    }
    app.command(name)(with_flags(commands[name]))


def call(
    context: typer.Context,
    flags: AnyCallFlags,
    destination: Annotated[
        str | None,
        typer.Argument(
            metavar="[DEST]",
            autocompletion=proposals.complete_destination,
            help="A user id, +NUMBER, @contact, user@host or conf:ROOM.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Redial: whom you called last.")] = False,
    back: Annotated[bool, typer.Option("--back", help="Call back: whose call you missed last.")] = False,
) -> ExitCode:
    """Call a user, a phone number, a contact, a SIP address or a conference: echo, +46700000000, @mum, ada@pbx.example, conf:standup.

    The local exchange answers itself as echo, tone, speech, busy, decline, no-answer, hangup-after:3s and answer-after:2s.
    """
    if sum((destination is not None, again, back)) != 1:
        raise typer.BadParameter("whom? One of: a destination, --again, --back", param_hint="DEST")
    if destination is not None:
        return _place(lambda options: resolve(destination, options), flags)
    from sinchphone.cli.addressing.recent import last_called, last_missed

    return _place(last_called if again else last_missed, flags)


def call_user(
    context: typer.Context,
    called: Annotated[str, typer.Argument(metavar="USER", autocompletion=proposals.complete_user, help="A user id.")],
    flags: VideoCallFlags,
) -> ExitCode:
    """Call another user."""
    return _place(lambda _: Destination(Kind.USER, user_id(called)), flags)


def call_phone(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="+E164", autocompletion=proposals.complete_number, help="A phone number.")],
    flags: PhoneFlags,
) -> ExitCode:
    """Call a phone number. Needs a caller id, from --caller-id or the configuration, unless the exchange is the local one."""
    return _place(lambda _: Destination(Kind.PHONE, read_number(number)), flags)


def call_sip(
    context: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="USER@HOST", autocompletion=proposals.complete_sip, help="A SIP address; sips: before it asks for TLS.")
    ],
    flags: VideoCallFlags,
) -> ExitCode:
    """Call a SIP address: alice@pbx.example, +46700000000@sip.example:5061. Headers (--header x-name=value) reach the SIP side."""
    return _place(lambda _: Destination(Kind.SIP, sip_address(address)), flags)


def conference(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ROOM", autocompletion=proposals.complete_room, help="1 to 64 characters.")],
    flags: CallFlags,
) -> ExitCode:
    """Join a conference room: everybody who gives the same name is in it."""
    return _place(lambda _: Destination(Kind.CONFERENCE, room(name)), flags)


def _place(choose: Callable[[Options], Destination], flags: CallFlags) -> ExitCode:
    """Nothing of calling is imported for a word that is completed, or for --help."""
    from sinchphone.cli.calling.outgoing import place

    return place(choose, flags)
