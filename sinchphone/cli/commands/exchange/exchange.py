"""``exchange``: run the embedded exchange for several terminals, for other clients, for tests."""

import asyncio
import datetime
import ipaddress
import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import typer

from sinchphone.cli.commands.exchange import hosts as exchange_hosts
from sinchphone.cli.commands.exchange.management import dial, move, recordings, reset, sms, users
from sinchphone.cli.endings import Order
from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.commands import ExchangeFlags
from sinchphone.cli.terminal.flags.common import with_flags
from sinchphone.cli.terminal.output.events.events import Warned
from sinchphone.cli.terminal.output.listings import ExchangeStarted
from sinchphone.cli.terminal.run import run
from sinchphone.cli.terminal.service import READY, STOPPING, notify
from sinchphone.cli.terminal.session import Session, session_of, set_up_logging
from sinchphone.tasks import cancel_all, start_task

if TYPE_CHECKING:
    import socket

    from sinchphone.exchange.server import Exchange
    from sinchphone.exchange.tls import Issued
    from sinchphone.local.probe import ExchangeProbe

_NOTICE_SECONDS: Final = 2.0  # for a balancer in front of several: it asks each a second or so, and twice
_WAIT_SECONDS: Final = 0.5  # between two looks whether calls are over


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None, add_completion=False)
    group.callback()(with_flags(exchange))
    exchange_hosts.add_to(group)
    sms.add_to(group)
    dial.add_to(group)
    users.add_to(group)
    recordings.add_to(group)
    reset.add_to(group)
    move.add_to(group)
    app.add_typer(group, name=name)


def exchange(context: typer.Context, flags: ExchangeFlags) -> ExitCode:
    """Run the exchange until Ctrl-C. Prints its URL and the application key, and with --tls the file of its certificate authority.

    It takes the place of an exchange that runs in the background, as soon as nobody calls there.
    """
    if context.invoked_subcommand is not None:
        return ExitCode.OK
    session = session_of(flags)
    if flags.memory and session.options.exchange.store is not None:
        raise typer.BadParameter("--memory and a store that several share (exchange.store, --store) exclude each other")
    if not (flags.quiet or flags.verbose or flags.debug):
        set_up_logging(session.screen, logging.WARNING)  # a backend's mistakes are explained to who runs the exchange
    return run(session, lambda session: _host(session, tells=not flags.quiet))


async def _host(session: Session, *, tells: bool) -> ExitCode:
    from sinchphone.cli.commands.exchange.event_lines import tell_events
    from sinchphone.credentials import read_beside, read_exchange, read_gateway, read_local_application
    from sinchphone.exchange.control import Hosting
    from sinchphone.exchange.directory.credentials import local_credentials
    from sinchphone.exchange.options import HostKind
    from sinchphone.exchange.server import Exchange
    from sinchphone.exchange.store.sqlite import FILE_NAME
    from sinchphone.local import ConfiguredGateway
    from sinchphone.local.probe import ExchangeProbe
    from sinchphone.media.thread import MediaThread

    chosen, folder = session.options.exchange, session.options.state_path
    credentials, issued = read_local_application(session.options) or local_credentials(folder), _issue(session)
    options = read_exchange(
        session.options,
        applications={credentials.key: credentials.secret},
        store=chosen.store or (folder / FILE_NAME if chosen.keep else None),
        certificate=issued.certificate if issued and chosen.tls else None,
    )
    gateway = ConfiguredGateway(await read_beside(partial(read_gateway, session.options)), issued.certificate if issued else None)
    listening = await _claim(session, ExchangeProbe(credentials, chosen.host, chosen.port))
    hosting = Hosting(kind=HostKind.FOREGROUND)
    async with AsyncExitStack() as stack:
        media = await stack.enter_async_context(MediaThread())
        hosted = Exchange(options, media=media, gateway=gateway, hosting=hosting, listening=listening)
        metrics = await _measured(stack, chosen.metrics, hosted)
        await stack.enter_async_context(hosted)
        media.warm_up()
        _warn_of_reach(session)
        session.tell(_started(hosted, credentials.key, issued, metrics))
        session.note("Ctrl-C ends")
        notify(READY)
        with session.stop.taken():
            session.stop.more_seconds = chosen.drain
            telling = start_task(tell_events(session, hosted), name="events") if tells else None
            order = await session.stop.wait()
            notify(STOPPING)
            if order is Order.TERMINATE:
                await _drain(session, hosted, chosen.drain)
            if telling is not None:
                await cancel_all([telling])
    return ExitCode.TERMINATED if order is Order.TERMINATE else ExitCode.OK


def _warn_of_reach(session: Session) -> None:
    """Say who else can talk to it than programs of this machine."""
    host, sip = session.options.exchange.host, session.options.sip
    if not is_loopback(host):
        hint = "bind 127.0.0.1, or keep a firewall before it"
        session.tell(Warned(message=f"anybody who reaches {host} can talk to this exchange", hint=hint))
    if sip.enabled and not is_loopback(sip.host):
        session.tell(Warned(message=f"anybody who reaches {sip.host} can speak SIP to this exchange", hint="keep a firewall before it"))


async def _drain(session: Session, hosted: "Exchange", seconds: float) -> None:
    """Let calls go on to their end, for so long or until another signal comes; no new ones are taken."""
    if not seconds:
        return
    calls = hosted.calls_going_on()
    if calls:
        session.note(f"takes no new calls; ends when {calls} {'call is' if calls == 1 else 'calls are'} over, in {seconds:g} s at most")
    notice = _NOTICE_SECONDS if session.options.exchange.store is not None else 0.0
    draining, pressed = start_task(hosted.drain(notice), name="drain"), start_task(session.stop.wait_again(), name="pressed")
    try:
        await asyncio.wait((draining, pressed), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all((draining, pressed))


async def _measured(stack: AsyncExitStack, where: tuple[str, int] | None, exchange: "Exchange") -> str | None:
    """Where the exchange is measured from now on, if anywhere. Raises ConfigError and NetworkError."""
    if where is None:
        return None
    from sinchphone.exchange.metrics.server import MetricsServer

    return (await stack.enter_async_context(MetricsServer(where, exchange))).url


async def _claim(session: Session, probe: "ExchangeProbe") -> "list[socket.socket]":
    """The exchange's place, when nobody calls there any more at one that runs in the background."""
    from sinchphone.local.handover import claim
    from sinchphone.local.host_control import InUseError

    told = False
    while True:
        try:
            return await claim(probe)
        except InUseError:
            if not told:
                hint = "sinchphone exchange stop --force ends them; sinchphone exchange status counts them"
                session.tell(Warned(message="the exchange in the background has calls: waiting until they are over", hint=hint))
            told = True
        await asyncio.sleep(_WAIT_SECONDS)


def _started(hosted: "Exchange", application_key: str, issued: "Issued | None", metrics: str | None) -> ExchangeStarted:
    authority, gateway = str(issued.authority) if issued else None, hosted.gateway
    sip, sip_tls = (gateway.sip_address, gateway.sip_tls_address) if gateway is not None else (None, None)
    return ExchangeStarted(
        url=hosted.url,
        application_key=application_key,
        tls_url=hosted.tls_url,
        authority=authority,
        sip=sip,
        sip_tls=sip_tls,
        inspector=_inspector(hosted, application_key),
        metrics=metrics,
    )


def _inspector(hosted: "Exchange", application_key: str) -> str | None:
    """The page's address, with its token; this machine's own, wherever the exchange listens."""
    from sinchphone.exchange.directory.identity import management_token
    from sinchphone.exchange.management.inspector_routes import PAGE_PATH

    application = hosted.directory.application(application_key)
    host = urlsplit(hosted.url).hostname or ""
    if application is None:
        return None
    reached = f"http://127.0.0.1:{hosted.port}" if is_everywhere(host) else hosted.url
    return f"{reached}{PAGE_PATH}#{management_token(application.secret)}" if is_everywhere(host) or is_loopback(host) else None


def _issue(session: Session) -> "Issued | None":
    """The certificate to listen with, where that's wanted for HTTP or for SIP."""
    from sinchphone.exchange.tls import issue

    chosen, sip = session.options.exchange, session.options.sip
    wanted = chosen.tls or (sip.enabled and sip.tls)
    if not wanted:
        return None
    names = (*chosen.names, *([sip.host] if sip.enabled and sip.host != chosen.host and not is_everywhere(sip.host) else []))
    issued = issue(session.options.state_path, chosen.host, datetime.datetime.now(datetime.UTC), names)
    if issued.replaced:
        hint = f"trust {issued.authority} anew wherever the old one was trusted (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, ca_file)"
        session.tell(Warned(message=f"the exchange has a new certificate authority: {issued.replaced}", hint=hint))
    return issued


def is_everywhere(host: str) -> bool:
    """Whether ``host`` stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
