"""Places one call and stays in it to its end."""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from sinchphone.cli.addressing.contacts import contacts_of
from sinchphone.cli.addressing.destination import Destination, Kind
from sinchphone.cli.calling.call_session import CallSession, Wishes
from sinchphone.cli.calling.in_call.steering import Steering
from sinchphone.cli.calling.media.sounds import check_files, missing_devices, picture_options, requests_of, sound_options
from sinchphone.cli.calling.phone import Phone, follow, open_phone
from sinchphone.cli.calling.terminal_calls import TerminalCalls
from sinchphone.cli.control.stream import ControlStream, open_stream
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.hooks.hooks import open_hooks
from sinchphone.cli.terminal.flags.commands import CallFlags, VideoFlags, VideoWindow
from sinchphone.cli.terminal.keys import Keys
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session
from sinchphone.options import Options
from sinchphone.protocol.mxp.public_headers import MAX_PUBLIC_HEADER_BYTES

if TYPE_CHECKING:
    from sinchphone.engine.calls.call import Call
    from sinchphone.media.pictures.pictures import PictureOptions
    from sinchphone.media.sound import Sound, SoundOptions

MAX_HEADERS = 50
_SIP_HEADER = re.compile(r"[Xx]-[A-Za-z0-9-]{1,64}")


def place(choose: Callable[[Options], Destination], flags: CallFlags) -> ExitCode:
    """Call whom ``choose`` chooses and stay to the end. Raises what can be refused before anything is opened."""
    if flags.hangup_after_play and not flags.play and flags.say is None:
        raise typer.BadParameter("--hangup-after-play needs --play or --say")
    configuration = flags.load()
    destination = choose(configuration.options)
    video = isinstance(flags, VideoFlags) and flags.video
    if video and destination.kind not in (Kind.USER, Kind.SIP):
        raise typer.BadParameter(f"a call to a {'number' if destination.kind is Kind.PHONE else 'room'} has no video", param_hint="--video")
    headers = read_headers(flags.header or [], sip=destination.kind is Kind.SIP)
    session = open_session(configuration, quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    stream = open_stream(flags.control)
    return run(session, lambda session: _call(session, destination, flags, headers, stream))


def read_headers(written: list[str], *, sip: bool = False) -> dict[str, str]:
    """``NAME=VALUE`` each; in a call to a SIP address the names must be those of private SIP headers. Raises BadParameter."""
    headers = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals or not name.strip() or not one.isprintable():
            raise typer.BadParameter(f'"{one}" is not NAME=VALUE', param_hint="--header")
        if sip and not _SIP_HEADER.fullmatch(name.strip()):
            raise typer.BadParameter(f'"{name.strip()}" must begin with x- and have letters, digits and - only', param_hint="--header")
        headers[name.strip()] = value
    if len(headers) > MAX_HEADERS:
        raise typer.BadParameter(f"more than {MAX_HEADERS} headers", param_hint="--header")
    if sum(len(f"{name}{value}".encode()) for name, value in headers.items()) > MAX_PUBLIC_HEADER_BYTES:
        raise typer.BadParameter(f"more than {MAX_PUBLIC_HEADER_BYTES} bytes in all", param_hint="--header")
    return headers


async def _call(
    session: Session, destination: Destination, flags: CallFlags, headers: dict[str, str], stream: ControlStream | None
) -> ExitCode:
    await asyncio.to_thread(check_files, flags)
    async with open_hooks(session), open_phone(session) as phone, asyncio.TaskGroup() as group:
        follower = group.create_task(follow(session, phone), name="client events")
        wishes, sound = await _prepare(session, destination, flags, phone)
        with Keys(None if flags.reads_standard_input else session.stdin) as keys:
            session.terminal_users.append(keys)
            placed = await _dial(session, phone, destination, headers, sound, picture_options(flags, session.options))
            _tell_outgoing(session, phone, placed)
            talk, steering = CallSession(session, placed, wishes, keys), Steering(session, phone)
            steering.follow(talk)
            control = steering.obey(stream, group)
            ending = await TerminalCalls(session, keys).run(talk)
        for task in (follower, *control):
            task.cancel()
    return ending.code


async def _prepare(session: Session, destination: Destination, flags: CallFlags, phone: Phone) -> tuple[Wishes, "SoundOptions | Sound"]:
    options = session.options
    warning = await missing_devices(flags, options, destination)
    if warning is None:
        window = flags.video_window if isinstance(flags, VideoFlags) else VideoWindow.NONE
        wishes = Wishes(
            ring_timeout=options.ring_timeout,
            max_duration=options.max_duration,
            hangup_after_play=flags.hangup_after_play,
            muted=flags.mute,
            requests=requests_of(flags),
            video_window=window,
        )
        return wishes, sound_options(flags, options)
    from sinchphone.cli.calling.media.selfcheck import CHECK_SECONDS, EchoProbe
    from sinchphone.media.ticker import Ticker

    session.tell(warning)
    probe = EchoProbe()
    return Wishes(options.ring_timeout, requests=requests_of(flags), probe=probe, probe_seconds=CHECK_SECONDS), Ticker(probe, phone.media)


async def _dial(
    session: Session,
    phone: Phone,
    destination: Destination,
    headers: dict[str, str],
    sound: "SoundOptions | Sound",
    video: "PictureOptions | None",
) -> "Call":
    client, identity = phone.client, destination.identity
    match destination.kind:
        case Kind.USER:
            return await client.call_user(identity, headers=headers, sound=sound, video=video)
        case Kind.PHONE:
            return await client.call_phone(identity, caller_id=session.options.caller_id, headers=headers, sound=sound)
        case Kind.SIP:
            return await client.call_sip(identity, headers=headers, sound=sound, video=video)
        case Kind.CONFERENCE:
            return await client.call_conference(identity, headers=headers, sound=sound)


def _tell_outgoing(session: Session, phone: Phone, placed: "Call") -> None:
    user = phone.client.user_id
    session.tell(
        e.CallOutgoing(
            call_id=placed.id,
            peer=placed.peer,
            domain=placed.domain,
            user_id=user,
            environment=phone.place,
            hosted_here=phone.hosted_here,
            contact=contacts_of(session.options).names().get(placed.peer),
        )
    )
