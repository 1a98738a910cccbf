"""``push``: take the call that a push tells of, which another program got; or have that program's subscription wake this device."""

import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sinchphone.cli.calling.phone import Phone, open_phone
from sinchphone.cli.commands.listen import AnsweringCommand, Duty, take_calls
from sinchphone.cli.control.stream import open_stream
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import PushFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session, session_of
from sinchphone.errors import ForbiddenError, NotFoundError, RemoteProtocolError

if TYPE_CHECKING:
    from sinchphone.protocol.webpush.subscription import PushSubscription

ARRIVE_S: Final = 10.0  # for the INVITE, once we listen
MAX_CHARACTERS: Final = 8192


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name, cls=_PushCommand)(with_flags(push))


class _PushCommand(AnsweringCommand):
    """What stands behind ``--auto-answer`` may be the file: a delay begins with a digit."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        full = [word for one, after in itertools.zip_longest(args, args[1:], fillvalue="-") for word in _with_delay(one, after)]
        return super().parse_args(ctx, full)


def _with_delay(word: str, following: str) -> list[str]:
    return [word] if word != "--auto-answer" or not following or following[0].isdigit() else [word, "0s"]


def push(
    context: typer.Context,
    flags: PushFlags,
    payload: Annotated[str, typer.Argument(metavar="[FILE]", help="The push's content, JSON; standard input if not given.")] = "-",
) -> ExitCode:
    """Take the call that a push tells of: sinchphone push < payload.json. Keys can't be read then, so --auto-answer answers."""
    if flags.key:
        if flags.json:
            raise typer.BadParameter("sinchphone push --key prints no JSON", param_hint="--json")
        session = open_session(flags.load(), json=False, quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
        return run(session, _print_key)
    if flags.subscribe is not None:
        subscription = _subscription_from(_read(flags.subscribe, "--subscribe"))
        session = session_of(flags)
        return run(session, lambda session: _subscribe(session, subscription))
    if payload == "-" and flags.reads_standard_input:
        raise typer.BadParameter("standard input has the push already", param_hint="[FILE]")
    if payload == "-" and flags.auto_answer is None and flags.control is None:
        raise typer.BadParameter("standard input has the push, so no keys: --auto-answer, or name the file", param_hint="--auto-answer")
    content = _read(payload, "[FILE]")
    session = session_of(flags)
    keys = None if payload == "-" or flags.reads_standard_input else session.stdin
    duty, stream = Duty(1, (), (), patience=ARRIVE_S), open_stream(flags.control)
    return run(session, lambda session: take_calls(session, duty, flags, keys, lambda phone: _relay(phone, content), stream))


def _read(path: str, parameter: str) -> dict[str, Any]:
    """The JSON object of a file, or of standard input, which ``parameter`` names. Raises BadParameter."""
    source = "standard input" if path == "-" else path
    if not path:
        raise typer.BadParameter("it is empty: name a file, or leave it out", param_hint=parameter)
    try:
        text = sys.stdin.read(MAX_CHARACTERS + 1) if path == "-" else _text_of(Path(path))
        value = json.loads(text) if len(text) <= MAX_CHARACTERS else None
    except OSError as error:
        raise typer.BadParameter(f"{source} can't be read: {error.strerror or error}", param_hint=parameter) from error
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise typer.BadParameter(f"{source} has no JSON object of at most {MAX_CHARACTERS} characters", param_hint=parameter)
    return value


def _text_of(path: Path) -> str:
    """No more of it than can be a push: a device may have no end."""
    with path.open(encoding="utf-8") as file:
        return file.read(MAX_CHARACTERS + 1)


def _subscription_from(value: dict[str, Any]) -> "PushSubscription":
    from sinchphone.signaling.ocra.calls import read_push_profile

    try:
        return read_push_profile(json.dumps({"w3c": value}).encode())[0]
    except RemoteProtocolError as error:
        raise typer.BadParameter(str(error), param_hint="--subscribe") from error


async def _relay(phone: Phone, content: dict[str, Any]) -> None:
    result = await phone.client.relay_push_notification(content)
    if result.has_timed_out:
        raise NotFoundError("the push is too old: its call is over", hint="a push is of use for a minute")
    if not result.is_valid:
        raise NotFoundError("that is no push about a call", hint='give the content as it was pushed: {"sinch": ...}')


async def _subscribe(session: Session, subscription: "PushSubscription") -> ExitCode:
    async with open_phone(session, sound=lambda: None) as phone:
        await phone.client.set_support_managed_push(subscription)
        session.note(f"pushes wake this device of {phone.client.user_id}: give them to sinchphone push")
    return ExitCode.OK


async def _print_key(session: Session) -> ExitCode:
    from sinchphone.signaling.dialect import NO_PUSH

    async with open_phone(session) as phone:
        key = phone.client.application_server_key
    if key is None:
        raise ForbiddenError(NO_PUSH)
    session.print(key)
    return ExitCode.OK
