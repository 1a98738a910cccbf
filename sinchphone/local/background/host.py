"""What the process in the background does: serves the exchange until it's told to end, nobody uses it any more, or its folder is gone.

Signals that end programs end it well. It says what it does in a log in the state folder, of two files of a bounded size.
"""

import asyncio
import contextlib
import gc
import logging
import logging.handlers
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Final

from sinchphone.errors import SinchphoneError
from sinchphone.exchange.control import Hosting
from sinchphone.exchange.directory.credentials import FILE_NAME as CREDENTIALS_NAME
from sinchphone.exchange.directory.credentials import local_credentials
from sinchphone.exchange.options import ApplicationCredentials, HostKind
from sinchphone.exchange.server import Exchange
from sinchphone.exchange.store.sqlite import FILE_NAME as STORE_NAME
from sinchphone.local.background.settings import LOG_NAME, HostSettings, Started, write_failure, write_started
from sinchphone.local.configured_gateway import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import decode_secret
from sinchphone.tasks import start_task

MAX_LOG_BYTES: Final = 500_000  # of each of the two files
_WANTED_SECONDS: Final = 0.5  # how often it looks whether it's still wanted
_SETTLED_SECONDS: Final = 2.0  # by then all is imported that a call needs

_logger = logging.getLogger(__name__)


class _End(Enum):
    """Why it ends."""

    SIGNAL = "a signal"
    STOPPED = "it was told to"
    REPLACED = "another process takes its place"
    IDLE = "nobody uses it"
    GONE = "its folder is gone"


async def host(told: str, descriptors: list[int], answer: Callable[[str], None]) -> None:
    """Serve at listening sockets what JSON says. ``answer`` takes one line about how the start went."""
    try:
        settings = HostSettings.read(told)
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        credentials = settings.application or local_credentials(settings.folder)
        log = _open_log(settings.folder)
        await _serve(settings, credentials, [socket.socket(fileno=one) for one in descriptors], log, answer)
    except SinchphoneError as error:
        _logger.error("the exchange isn't hosted: %s", error)
        answer(write_failure(error))
    except Exception:
        _logger.exception("a bug in sinchphone")
        raise


def _open_log(folder: Path) -> str | None:
    """Where the log is; nowhere, where it can't be written."""
    path = folder / LOG_NAME
    try:
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=1, encoding="utf-8", errors="replace")
    except OSError:
        logging.getLogger().addHandler(logging.NullHandler())
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(capture=True)
    logging.getLogger("sinchphone").setLevel(logging.INFO)
    return str(path)


async def _serve(
    settings: HostSettings,
    credentials: ApplicationCredentials,
    listening: list[socket.socket],
    log: str | None,
    answer: Callable[[str], None],
) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def end(why: _End) -> None:
        if not ended.done():
            ended.set_result(why)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, end, _End.SIGNAL)
    loop.call_later(_SETTLED_SECONDS, _settle)
    hosting = Hosting(
        kind=HostKind.BACKGROUND,
        settings=settings.fingerprint(decode_secret(credentials.secret)),
        log=log,
        stop=lambda replaced: end(_End.REPLACED if replaced else _End.STOPPED),
    )
    options = replace(
        settings.exchange,
        applications={credentials.key: credentials.secret},
        store=settings.exchange.store or (settings.folder / STORE_NAME if settings.keep else None),
    )
    async with MediaThread() as media:
        exchange = Exchange(options, media=media, gateway=ConfiguredGateway(settings.gateway), hosting=hosting, listening=listening)
        await exchange.start()
        answer(write_started(Started(os.getpid(), log)))
        media.warm_up()
        _logger.info("hosts the exchange of %s at %s, version %s", settings.folder, exchange.url, version("sinchphone"))
        watch = start_task(_watch(exchange, settings, end), name="watch")
        try:
            why = await ended
            _logger.info("ends: %s", why.value)
            await exchange.close(replaced=why is _End.REPLACED)
        finally:
            watch.cancel()
            await exchange.close()


async def _watch(exchange: Exchange, settings: HostSettings, end: Callable[[_End], None]) -> None:
    """End what nobody wants any more."""
    known = _identity(settings.folder)
    while True:
        await asyncio.sleep(_WANTED_SECONDS)
        if _identity(settings.folder) != known:
            end(_End.GONE)
        elif exchange.idle_seconds() >= settings.idle_seconds:
            end(_End.IDLE)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which file holds the application: another one is another application."""
    with contextlib.suppress(OSError):
        found = (folder / CREDENTIALS_NAME).stat()
        return found.st_dev, found.st_ino
    return None


def _settle() -> None:
    gc.freeze()
    gc.enable()
