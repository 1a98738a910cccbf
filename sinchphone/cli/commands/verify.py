"""``verify``: whether a phone number is somebody's who is here, by a code that is sent there or a call."""

import asyncio
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sinchphone.cli.calling.phone import begin_host, open_environment, tell_host_news
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import HostFlags
from sinchphone.cli.terminal.flags.common import option_of_words, with_flags
from sinchphone.cli.terminal.output.events.events import Problem
from sinchphone.cli.terminal.output.events.exchange import VerificationTold
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.credentials import read_beside
from sinchphone.protocol.phone_numbers import read_number
from sinchphone.protocol.verification import MAX_CODE_CHARACTERS, VerificationMethod, VerificationStatus

if TYPE_CHECKING:
    from sinchphone.signaling.services.verification import NumberVerification, VerificationNews

MAX_TRIES: Final = 5
_STATUS_SECONDS: Final = 0.5


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(with_flags(verify))


def verify(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="+NUMBER", help="The number.")],
    flags: HostFlags,
    method: Annotated[
        VerificationMethod, option_of_words(VerificationMethod, "METHOD", "How the code comes: sms, flashcall or callout.")
    ] = VerificationMethod.SMS,
) -> ExitCode:
    """Verify a phone number: a code goes there, and what is typed here (or comes on standard input) is compared with it.

    On the local exchange text messages are in sinchphone exchange sms; a call rings the user who has the number, and says the code, or
    comes from the number that is the code. Where nobody has it, the text messages say what would have been heard.
    """
    verified = read_number(number)
    session = session_of(flags)
    return run(session, lambda session: _verify(session, verified, method))


async def _verify(session: Session, number: str, method: VerificationMethod) -> ExitCode:
    from sinchphone.engine.environment import verification_url_of
    from sinchphone.local import Local
    from sinchphone.signaling.services.verification import VerificationClient

    early = await read_beside(partial(begin_host, session.options))
    environment = await read_beside(partial(open_environment, session.options, None, early))

    async def base_url() -> str:
        return verification_url_of(await environment.open())

    try:
        client = VerificationClient(environment.application_key, base_url, ca_file=environment.ca_file)
        await environment.open()
        if isinstance(environment, Local):
            tell_host_news(session, environment)
        one = await client.start(number, method)
        session.tell(_told(one))
        return await _try_codes(session, one)
    finally:
        await environment.close()


async def _try_codes(session: Session, one: "NumberVerification") -> ExitCode:
    """Until one is right, somebody confirms it in the call, or nothing is left to try."""
    from sinchphone.signaling.services.verification import WrongCodeError

    lines = _lines()
    session.note("the number that calls:" if one.method is VerificationMethod.FLASH_CALL else "the code:")
    for tried in range(MAX_TRIES):
        code = await _next(lines, one)
        news = await one.status()
        if code and news.status is VerificationStatus.PENDING:
            try:
                news = await one.verify(code)
            except WrongCodeError as error:
                session.note(f"{error}")
                continue
        elif news.status is VerificationStatus.PENDING:
            return _unverified(session, "no code was right" if tried else "no code was given")
        session.tell(_told(one, news))
        return ExitCode.OK if news.status is VerificationStatus.SUCCESSFUL else _unverified(session)
    session.tell(_told(one, await one.status()))
    return _unverified(session, "no code was right")


def _unverified(session: Session, why: str | None = None) -> ExitCode:
    session.problem = Problem(message=f"the number is not verified{f': {why}' if why else ''}", hint=None)
    return ExitCode.NOT_DONE


async def _next(lines: "asyncio.Queue[str]", one: "NumberVerification") -> str:
    """What is typed next; an empty text where the verification ended meanwhile, or nothing comes any more."""

    while True:
        try:
            async with asyncio.timeout(_STATUS_SECONDS):
                return await lines.get()
        except TimeoutError:
            if (await one.status()).status is not VerificationStatus.PENDING:
                return ""


def _lines() -> "asyncio.Queue[str]":
    """The lines of standard input as they come; an empty one at its end. A thread waits for them, and the process doesn't wait for it."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        while True:
            line = sys.stdin.readline(MAX_CODE_CHARACTERS + 1) if sys.stdin is not None else ""
            if loop.is_closed():
                return
            if line.strip() or not line:
                loop.call_soon_threadsafe(lines.put_nowait, line.strip())
            if not line:
                return

    threading.Thread(target=read, name="codes", daemon=True).start()
    return lines


def _told(one: "NumberVerification", news: "VerificationNews | None" = None) -> VerificationTold:
    return VerificationTold(
        id=one.id,
        number=one.number,
        method=one.method,
        status=news.status if news is not None else VerificationStatus.PENDING,
        reason=news.reason if news is not None else None,
    )
