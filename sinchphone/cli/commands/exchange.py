"""``exchange``: run the embedded exchange for several terminals, for other clients, for tests."""

import datetime
import ipaddress
from typing import TYPE_CHECKING

import typer

from sinchphone.cli.endings import Order
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.events import ExchangeStarted, Warned
from sinchphone.cli.terminal.flags import ExchangeFlags, with_flags
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.session import Session, open_session

if TYPE_CHECKING:
    from sinchphone.exchange.tls import Issued


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("exchange")(with_flags(exchange))


def exchange(context: typer.Context, flags: ExchangeFlags) -> ExitCode:
    """Run the exchange until Ctrl-C. Prints its URL and the application key, and with --tls the file of its certificate authority."""
    session = open_session(flags.load(), quiet=flags.quiet, verbose=flags.verbose, debug=flags.debug)
    return run(session, _host)


async def _host(session: Session) -> ExitCode:
    from sinchphone.exchange.destinations.attendant import Attendants
    from sinchphone.exchange.directory.credentials import local_credentials
    from sinchphone.exchange.options import ExchangeOptions
    from sinchphone.exchange.server import Exchange
    from sinchphone.exchange.store import FILE_NAME
    from sinchphone.media.thread import MediaThread

    chosen, folder = session.options.exchange, session.options.state_path
    credentials, issued = local_credentials(folder), _issue(session)
    options = ExchangeOptions(
        host=chosen.host,
        port=chosen.port,
        applications={credentials.key: credentials.secret},
        store=folder / FILE_NAME if chosen.keep else None,
        certificate=issued.certificate if issued else None,
        tls_port=chosen.tls_port,
    )
    async with MediaThread() as media, Exchange(options, destinations=Attendants(media)) as hosted:
        media.warm_up()
        if not is_loopback(chosen.host):
            session.tell(
                Warned(f"anybody who reaches {chosen.host} can talk to this exchange", "bind 127.0.0.1, or keep a firewall before it")
            )
        session.tell(ExchangeStarted(hosted.url, credentials.key, hosted.tls_url, str(issued.authority) if issued else None))
        session.note("Ctrl-C ends")
        with session.stop.taken():
            order = await session.stop.wait()
    return ExitCode.TERMINATED if order is Order.TERMINATE else ExitCode.OK


def _issue(session: Session) -> "Issued | None":
    """The certificate to listen with, where that's wanted."""
    from sinchphone.exchange.tls import issue

    chosen = session.options.exchange
    return issue(session.options.state_path, chosen.host, datetime.datetime.now(datetime.UTC)) if chosen.tls else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
