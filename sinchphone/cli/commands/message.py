"""``send-message``: one text to users, by instant message, and to phone numbers, by SMS."""

import asyncio
import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sinchphone.cli.addressing.contacts import contacts_of
from sinchphone.cli.addressing.destination import Kind
from sinchphone.cli.addressing.proposals import complete_recipient
from sinchphone.cli.calling.outgoing import read_headers
from sinchphone.cli.calling.phone import Phone, follow, open_phone
from sinchphone.cli.calling.texting import check_sms, text_numbers
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import MessageFlags, Wait, seconds
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session
from sinchphone.credentials import read_beside
from sinchphone.errors import DestinationError, MessageError, NetworkError
from sinchphone.options import Options
from sinchphone.protocol.phone_numbers import MIN_DIGITS, bare_digits, looks_like_number, proposal, read_number
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from sinchphone.engine.messages.sent import SentMessage

DEFAULT_TIMEOUT_S = 15.0
MAX_STDIN_BYTES = 1_000_000  # far more than any message: what is longer is refused with its own sentence


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(send_message))


def send_message(
    context: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="TO... TEXT",
            autocompletion=complete_recipient,
            help="User ids, @contacts, e-mail addresses or +NUMBERs, then the text; - reads stdin.",
        ),
    ],
    flags: MessageFlags,
) -> ExitCode:
    """Send a message: sinchphone send-message alice bob "on my way".

    Exit 0 when everybody has it, 7 where somebody is unknown (nobody gets it then), 15 when it wasn't delivered to all in time.
    A phone number gets an SMS where [sms] is configured; else the local exchange keeps it (sinchphone exchange sms).
    """
    if len(words) < 2:
        raise typer.BadParameter('who gets it, and what does it say? sinchphone send-message alice "on my way"', param_hint="TO... TEXT")
    configuration = flags.load()
    recipients = [_addressed(word.strip(), configuration.options) for word in words[:-1]]
    post = Post(*_sorted(recipients), _text(words[-1]), read_headers(flags.header or []), flags.wait, _timeout(flags.timeout))
    session = open_session(configuration, quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, lambda session: _send(session, post))


def _timeout(written: str | None) -> float:
    """How long all of it may take [s]. Raises BadParameter."""
    timeout = DEFAULT_TIMEOUT_S if written is None else seconds(written)
    if not timeout:
        raise typer.BadParameter("must be more than 0; --wait none waits for nothing", param_hint="--timeout")
    return timeout


@quick_dataclass(frozen=True, slots=True)
class Post:
    """What is to be sent, to whom, and what is waited for. ``timeout`` in seconds, for everything together."""

    users: tuple[str, ...]
    numbers: tuple[str, ...]
    text: str
    headers: dict[str, str]
    wait: Wait
    timeout: float


def _addressed(word: str, options: Options) -> str:
    """To whom a word is written: for a ``@name`` the contact's user, or number. Raises DestinationError, NotFoundError and ConfigError."""
    if not word.startswith("@"):
        return word
    contact = contacts_of(options).find(word)
    if contact.user is None and contact.destination.kind is not Kind.PHONE:
        hint = f"sinchphone contacts add {contact.name} --user USER --force says who they are on the platform"
        raise DestinationError(f"{contact.name} has no user id and no number: messages can't reach them", hint=hint)
    return contact.user or contact.destination.identity


def _sorted(written: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The users and the phone numbers, each once. Raises DestinationError."""
    numbers = [read_number(one) for one in written if looks_like_number(one)]
    users = [one for one in written if not looks_like_number(one)]
    for one in users:
        digits = bare_digits(one)
        if digits is not None and len(digits) >= MIN_DIGITS:
            raise DestinationError(f'"{one}" could be a number or a user', hint=proposal(digits))
    return tuple(dict.fromkeys(users)), tuple(dict.fromkeys(numbers))


def _text(word: str) -> str:
    """The text, from standard input where it's a dash. Raises MessageError."""
    if word != "-":
        return word.encode(errors="surrogateescape").decode(errors="replace")
    if sys.stdin is None:
        raise MessageError("standard input is closed")
    try:
        raw = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    except (OSError, ValueError) as error:  # it was closed, or a folder
        raise MessageError("standard input can't be read") from error
    if len(raw) > MAX_STDIN_BYTES:
        raise MessageError(f"standard input has more than {MAX_STDIN_BYTES} bytes: that's too long for a message")
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise MessageError("standard input is not UTF-8 text") from error


async def _send(session: Session, post: Post) -> ExitCode:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + post.timeout
    _check(post)
    access = await read_beside(partial(check_sms, session.options)) if post.numbers else None
    codes = [ExitCode.OK]
    if post.users:
        codes.append(await _send_instantly(session, post, post.timeout))
    if post.numbers:
        wait_s = max(0.5, deadline - loop.time())
        codes.append(await text_numbers(session, access, post.numbers, post.text, wait=post.wait, wait_s=wait_s))
    return max(codes)


def _check(post: Post) -> None:
    """Before anything is opened: nobody gets a text that somebody else can't get. Raises MessageError."""
    from sinchphone.protocol.mxp.instant import check_text
    from sinchphone.signaling.services.sms import check_sms_text

    if post.users:
        check_text(post.text)
    if post.numbers:
        check_sms_text(post.text)


async def _send_instantly(session: Session, post: Post, timeout: float) -> ExitCode:
    async with open_phone(session) as phone, asyncio.TaskGroup() as group:
        follower = group.create_task(follow(session, phone), name="client events")
        try:
            code = await _hand_over(session, phone, post, timeout)
        finally:
            await _tell_the_rest()
            follower.cancel()
    return code


async def _tell_the_rest() -> None:
    """Let the follower tell what has happened up to now: it needs a few rounds of the loop, and no time."""
    for _ in range(10):
        await asyncio.sleep(0)


async def _hand_over(session: Session, phone: Phone, post: Post, timeout: float) -> ExitCode:
    deadline = asyncio.get_running_loop().time() + timeout
    try:
        async with asyncio.timeout_at(deadline):
            sent = await phone.client.send_message(post.users, post.text, headers=post.headers)
    except TimeoutError as error:
        raise NetworkError(f"the message couldn't be handed over within {timeout:g} s", hint="check the network; try it again") from error
    if post.wait is Wait.DELIVERED:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await sent.settled()
    return _outcome(session, sent, post)


def _outcome(session: Session, sent: "SentMessage", post: Post) -> ExitCode:
    """Who got it; the exit code."""
    statuses: dict[str, e.MessageState] = {
        name: e.MessageState.DELIVERED if name in sent.delivered else e.MessageState.FAILED if name in sent.failed else e.MessageState.SENT
        for name in sent.recipients
    }
    session.messages += [
        e.MessageStatus(message_id=sent.id, recipient=name, via=e.MessageTransport.INSTANT, status=status)
        for name, status in statuses.items()
    ]
    missing = (
        [name for name, status in statuses.items() if status is not e.MessageState.DELIVERED]
        if post.wait is Wait.DELIVERED
        else list(sent.failed)
    )
    if not missing or post.wait is Wait.NONE:
        return ExitCode.OK
    waited = [name for name in missing if name not in sent.failed]
    words = f"not delivered within {post.timeout:g} s" if waited else "not sent"
    hint = "the exchange keeps it until they're back; --wait sent doesn't wait for that" if waited else None
    session.problem = e.Problem(message=f"{words} to {', '.join(missing)}", hint=hint)
    return ExitCode.NOT_DELIVERED
