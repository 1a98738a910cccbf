"""``exchange dial``: a simulated phone calls a number of the local exchange's, as somebody outside would."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sinchphone.cli.calling.managed_exchange import managed_exchange
from sinchphone.cli.endings import Order, code_of_order
from sinchphone.cli.exits import ExitCode, code_of_simulated
from sinchphone.cli.terminal.flags.commands import HostFlags, check_digits
from sinchphone.cli.terminal.flags.common import option_of_number, with_flags
from sinchphone.cli.terminal.output.events.exchange import SimulatedCallTold, SimulatedState
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, session_of
from sinchphone.errors import SinchphoneError
from sinchphone.protocol.phone_numbers import PRIVATE, read_number
from sinchphone.schema import parse_duration

if TYPE_CHECKING:
    from sinchphone.exchange.destinations.backend_calls import SimulatedCallStatus
    from sinchphone.local.simulated_calls import SimulatedCall


def add_to(exchange: typer.Typer) -> None:
    """Add the command to the group."""
    exchange.command("dial")(with_flags(dial))


def dial(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="+NUMBER", help="The number of the exchange's that is called.")],
    flags: HostFlags,
    caller: Annotated[str, typer.Option("--from", metavar="+NUMBER", help="Who calls; private withholds the number.")],
    play: Annotated[Path | None, typer.Option(metavar="FILE", help="Play a sound file after the answer.")] = None,
    tone: Annotated[float | None, option_of_number("HZ", "Say a tone, after the file", 1, 23_999)] = None,
    dtmf: Annotated[
        str | None, typer.Option(metavar="DIGITS", callback=check_digits, help="Press keys after the answer; w waits half a second.")
    ] = None,
    talk: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Hang up so long after the answer.")] = None,
    ring: Annotated[str | None, typer.Option("--ring-timeout", metavar="DURATION", help="Give up if nobody answers by then.")] = None,
) -> ExitCode:
    """Have a simulated phone call a number of the local exchange: sinchphone exchange dial +46700000001 --from +46700000002 --for 10s

    The backend is asked (ICE, originationType pstn); without one the dial plan decides, or the user who has that number rings (exchange
    users add --number). It ends with --for, at the file's end, by the other side, or with Ctrl-C.
    """
    members = {
        "play": play,
        "tone_hz": tone,
        "digits": dtmf or "",
        "talk_s": _seconds(talk, "--for") if talk is not None else None,
        "ring_s": _seconds(ring, "--ring-timeout") if ring is not None else None,
    }
    shown = PRIVATE if caller.lower() == PRIVATE else read_number(caller)
    called = read_number(number)
    session = session_of(flags)
    return run(session, lambda session: _dial(session, called, shown, members))


def _seconds(text: str, option: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


async def _dial(session: Session, number: str, shown: str, members: dict[str, Any]) -> ExitCode:
    async with managed_exchange(session) as exchange:
        with session.stop.taken():
            call = await exchange.dial(number, shown, **members)
            order = await _follow(session, call)
        answered = call.news.talked_s is not None
        if order is not None:
            return code_of_order(order, established=answered, interactive=session.interactive)
        return code_of_simulated(call.news.failure, answered=answered)


async def _follow(session: Session, call: "SimulatedCall") -> Order | None:
    """Tell how far the call is until it's over, and hang up where that's ordered, which is then returned."""
    from sinchphone.tasks import start_task

    telling = start_task(_tell(session, call), name="tell of the call")
    stopping = start_task(session.stop.wait(), name="wait for an order")
    try:
        await asyncio.wait([telling, stopping], return_when=asyncio.FIRST_COMPLETED)
        order = session.stop.order if not telling.done() else None
        if order is not None:
            await call.hang_up()
        await telling
        return order
    except BaseException:
        with contextlib.suppress(SinchphoneError):
            await call.hang_up()
        raise
    finally:
        telling.cancel()
        stopping.cancel()


async def _tell(session: Session, call: "SimulatedCall") -> None:
    async for news in call.states():
        session.tell(_told(news))


def _told(news: "SimulatedCallStatus") -> SimulatedCallTold:
    return SimulatedCallTold(
        id=news.id,
        state=SimulatedState(news.state.value),
        status=news.failure[0] if news.failure is not None else None,
        reason=news.failure[1] if news.failure is not None else None,
        talked_s=news.talked_s,
        digits=news.digits,
        heard_s=news.heard_s,
    )
