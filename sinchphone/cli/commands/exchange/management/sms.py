"""``exchange sms``: the text messages that the local exchange took for phone numbers, whom nobody's phone got."""

import asyncio
from typing import Annotated, Final

import typer

from sinchphone.cli.calling.managed_exchange import managed_exchange
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import HostFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.output.events.exchange import TextListed
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.protocol.phone_numbers import read_number
from sinchphone.signaling.wire import write_time

_LOOK_S: Final = 0.5


def add_to(exchange: typer.Typer) -> None:
    """Add the command to the group."""
    exchange.command("sms")(with_flags(sms))


def sms(
    context: typer.Context,
    flags: HostFlags,
    number: Annotated[str | None, typer.Argument(metavar="[+NUMBER]", help="Those for this number alone.", show_default=False)] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that come, until Ctrl-C.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all of them.")] = False,
) -> ExitCode:
    """Show the text messages that came to phone numbers: the exchange keeps them, and nobody's phone gets any.

    send-message +NUMBER sends one, a backend through the SMS API that the exchange has at /xms/v1, verification its codes.
    """
    if clear and (follow or number is not None):
        raise typer.BadParameter("forgets all, and shows none", param_hint="--clear")
    chosen = read_number(number) if number is not None else None
    session = session_of(flags)
    return run(session, _clear if clear else lambda session: _show(session, chosen, follow=follow))


async def _show(session: Session, number: str | None, *, follow: bool) -> ExitCode:
    told: set[str] = set()
    async with managed_exchange(session) as exchange:
        while True:
            texts = await exchange.texts(number)
            for one in texts:
                if one.id not in told:
                    at = write_time(one.at)
                    session.tell(TextListed(id=one.id, sender=one.sender, number=one.number, text=one.text, at=at))
            told = {one.id for one in texts}
            if not follow:
                break
            await asyncio.sleep(_LOOK_S)
    if not told:
        session.note("no text messages came yet")
    return ExitCode.OK


async def _clear(session: Session) -> ExitCode:
    async with managed_exchange(session) as exchange:
        session.note(f"forgotten: {await exchange.clear_texts()}")
    return ExitCode.OK
