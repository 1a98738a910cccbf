"""``call``, ``call-user``, ``call-phone``: place one call and stay in it to its end."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from sinchphone.cli.calling.conversation import Conversation, Wishes
from sinchphone.cli.calling.destination import Destination, Kind, phone_number, read_destination, user_id
from sinchphone.cli.calling.phone import Phone, follow, open_phone
from sinchphone.cli.calling.sounds import missing_devices, sound_options
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal import events as e
from sinchphone.cli.terminal.flags import CallFlags, PhoneFlags, with_flags
from sinchphone.cli.terminal.keys import Keys
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session
from sinchphone.errors import DestinationError

if TYPE_CHECKING:
    from sinchphone.engine.call import Call
    from sinchphone.media.sound import Sound, SoundOptions

MAX_HEADERS = 50
MAX_HEADER_BYTES = 1024  # the platform's limit of a call's headers together


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("call")(with_flags(call))
    app.command("call-user")(with_flags(call_user))
    app.command("call-phone")(with_flags(call_phone))
    app.command("call-sip", hidden=True)(call_sip)
    app.command("conference", hidden=True)(conference)


def call(
    context: typer.Context, destination: Annotated[str, typer.Argument(metavar="DEST", help="A user id or +NUMBER.")], flags: PhoneFlags
) -> ExitCode:
    """Call a user or a phone number: echo, bob, +46700000000.

    The local exchange answers itself as echo, tone, speech, busy, decline, no-answer, hangup-after:3s and answer-after:2s.
    """
    return place(read_destination(destination), flags)


def call_user(
    context: typer.Context, called: Annotated[str, typer.Argument(metavar="USER", help="A user id.")], flags: CallFlags
) -> ExitCode:
    """Call another user."""
    return place(Destination(Kind.USER, user_id(called)), flags)


def call_phone(
    context: typer.Context, number: Annotated[str, typer.Argument(metavar="+E164", help="A phone number.")], flags: PhoneFlags
) -> ExitCode:
    """Call a phone number. Needs a caller id, from --caller-id or the configuration, unless the exchange is the local one."""
    return place(Destination(Kind.PHONE, phone_number(number)), flags)


def call_sip(address: Annotated[str, typer.Argument(metavar="USER@HOST")]) -> ExitCode:
    """Call a SIP address (not yet)."""
    raise _not_yet(Destination(Kind.SIP, address))


def conference(room: Annotated[str, typer.Argument(metavar="ROOM")]) -> ExitCode:
    """Join a conference (not yet)."""
    raise _not_yet(Destination(Kind.CONFERENCE, room))


def _not_yet(destination: Destination) -> DestinationError:
    what = "SIP addresses" if destination.kind is Kind.SIP else "conferences"
    return DestinationError(f"sinchphone can't call {what} yet", hint="it calls users and phone numbers")


def place(destination: Destination, flags: CallFlags) -> ExitCode:
    """Call ``destination`` and stay to the end. Raises what can be refused before anything is opened."""
    if destination.kind not in (Kind.USER, Kind.PHONE):
        raise _not_yet(destination)
    if flags.hangup_after_play and not flags.play:
        raise typer.BadParameter("--hangup-after-play needs --play")
    headers = read_headers(flags.header or [])
    session = open_session(flags.load(), quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, lambda session: _call(session, destination, flags, headers))


def read_headers(written: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` each. Raises BadParameter."""
    headers = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals or not name.strip() or not one.isprintable():
            raise typer.BadParameter(f'"{one}" is not NAME=VALUE', param_hint="--header")
        headers[name.strip()] = value
    if len(headers) > MAX_HEADERS:
        raise typer.BadParameter(f"more than {MAX_HEADERS} headers", param_hint="--header")
    if sum(len(f"{name}{value}".encode()) for name, value in headers.items()) > MAX_HEADER_BYTES:
        raise typer.BadParameter(f"more than {MAX_HEADER_BYTES} bytes in all", param_hint="--header")
    return headers


async def _call(session: Session, destination: Destination, flags: CallFlags, headers: dict[str, str]) -> ExitCode:
    async with open_phone(session) as phone, asyncio.TaskGroup() as group:
        follower = group.create_task(follow(session, phone), name="client events")
        wishes, sound = await _prepare(session, destination, flags, phone)
        with Keys(None if "-" in (flags.play or ()) else session.stdin) as keys:
            session.clean_ups.append(keys.restore)
            placed = await _dial(session, phone, destination, headers, sound)
            _tell_outgoing(session, phone, placed)
            ending = await Conversation(session, placed, wishes, keys).run()
        follower.cancel()
    return ending.code


async def _prepare(session: Session, destination: Destination, flags: CallFlags, phone: Phone) -> tuple[Wishes, "SoundOptions | Sound"]:
    options = session.options
    warning = await missing_devices(flags, options, destination)
    if warning is None:
        return Wishes(options.ring_timeout, options.max_duration, None, flags.hangup_after_play), sound_options(flags, options)
    from sinchphone.cli.calling.selfcheck import CHECK_SECONDS, EchoProbe
    from sinchphone.media.clock import Ticker

    session.tell(warning)
    probe = EchoProbe()
    return Wishes(options.ring_timeout, probe=probe, probe_seconds=CHECK_SECONDS), Ticker(probe, phone.media)


async def _dial(session: Session, phone: Phone, destination: Destination, headers: dict[str, str], sound: "SoundOptions | Sound") -> "Call":
    if destination.kind is Kind.PHONE:
        return await phone.client.call_phone(destination.identity, caller_id=session.options.caller_id, headers=headers, sound=sound)
    return await phone.client.call_user(destination.identity, headers=headers, sound=sound)


def _tell_outgoing(session: Session, phone: Phone, placed: "Call") -> None:
    user = phone.client.user_id
    session.tell(e.CallOutgoing(placed.id, placed.peer, placed.domain.value, user, phone.place, phone.hosted_here))
