"""The environment that needs no account: finds the exchange of this machine's user, has it hosted, and again when it goes away.

::

    open     -> an exchange answers on the port  -> use it, if it proves that it's ours
             -> nobody listens                   -> host it: in a process in the background where that was asked for, else here
    recover  -> listen at once; if another process was faster, wait until it answers

One in the background that has other settings, or is of an older version, is replaced when nobody calls.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from sinchphone.errors import LocalProtocolError, NetworkError, PlatformError
from sinchphone.exchange.listening import PortTakenError
from sinchphone.exchange.options import DEFAULT_HOST, DEFAULT_PORT, ApplicationCredentials, ExchangeOptions, HostKind
from sinchphone.folders import state_folder
from sinchphone.gateway.options import BackendOptions, GatewayOptions, SipSettings
from sinchphone.hosts import join_host
from sinchphone.local.application import LocalApplication
from sinchphone.local.background.launch import Launch, LaunchError
from sinchphone.local.background.settings import HostSettings, Started
from sinchphone.local.configured_gateway import ConfiguredGateway
from sinchphone.local.host_control import HostControl, InUseError
from sinchphone.local.probe import ExchangeProbe, Found, HostAnswer, release_of
from sinchphone.local.signed_requests import SignedRequests
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import decode_secret
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.api import Api
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    import socket

    from sinchphone.exchange.server import Exchange
    from sinchphone.local.management import ExchangeManagement

FIND_SECONDS: Final = 12.0  # how long somebody who holds the port may take to answer: it may be starting, on a busy machine
_FIND_PAUSE_SECONDS: Final = 0.02


@quick_dataclass(frozen=True, slots=True)
class KeptHost:
    """An exchange in the background that should have been replaced is used as it is, because somebody calls: it's of an ``older`` version,
    or has other settings."""

    older: bool


HostNews: TypeAlias = Started | KeptHost


class Local(LocalApplication):
    """The local environment (``engine.environment.Environment``). One object may serve several clients of one process.

    Call ``close`` as often as ``open``; the last one ends the hosting. ``async with`` is an open and an unconditional close.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        exchange: ExchangeOptions | None = None,
        media: MediaThread | None = None,
        gateway: GatewayOptions | None = None,
        backend: BackendOptions | str | None = None,
        sip_port: int | None = None,
        api: str = Api.OCRA,
        keep: bool = True,
        background: HostSettings | None = None,
        launch: Launch | None = None,
        application: ApplicationCredentials | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """``state_dir`` keeps the application's key and secret and, with ``keep``, the users and what waits for them; the platform's
        state folder if not given. ``exchange`` has all of an exchange's options, ``host`` and ``port`` among them. ``gateway`` says
        what can be called beside users while this process hosts, its sound in ``media``; ``backend``, or its URL, is asked where calls
        go, in place of that of ``gateway`` (its events are signed with ``application_key`` and ``secret``);
        with ``sip_port`` it listens for phones there (0: a free port). ``api`` is the dialect that clients speak. With ``background`` a
        process of its own hosts; ``launch`` is one that is starting already. ``application`` is a key and secret of your own. ``ca_file``:
        authorities of TURN servers, to be trusted beside the system's (PEM). Raises ConfigError where the credentials can't be kept."""
        folder = state_dir or state_folder()
        super().__init__(folder, api, application)
        self._folder = folder
        self._keep = keep
        known = {self.credentials.key: self.credentials.secret}
        self._options = replace(exchange or ExchangeOptions(host=host, port=port), applications=known)
        self._gateway = ConfiguredGateway(_listening(_asking(gateway or GatewayOptions(), backend), sip_port))
        self._url = f"http://{join_host(self._options.host, self._options.port)}"
        self._media = media or MediaThread()
        self._owns_media = media is None
        self._exchange: Exchange | None = None
        self._background = background
        self._launch = launch
        self._ca_file = ca_file
        self._news: list[HostNews] = []
        self._opened = 0
        self._lock = asyncio.Lock()

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``, while this process hosts and listens for them."""
        gateway = self._exchange.gateway if self._exchange is not None else None
        return gateway.sip_address if gateway is not None else None

    @property
    def url(self) -> str:
        """Where its REST APIs are, ``http://host:port``; with port 0 only once it's open. Raises LocalProtocolError before."""
        if self._url.endswith(":0"):
            raise LocalProtocolError("the local exchange has no address before it's open", hint="use it inside its async with")
        return self._url

    @property
    def management(self) -> "ExchangeManagement":
        """What can be asked of the exchange and told to it, with port 0 only once it's open. Raises LocalProtocolError before."""
        from sinchphone.local.management import ExchangeManagement  # callbacks' vocabulary and texts, which no call needs

        return ExchangeManagement(SignedRequests(self.url, self.credentials))

    @property
    def hosting(self) -> bool:
        """Whether the exchange runs in this process, in this object."""
        return self._exchange is not None

    @property
    def ca_file(self) -> Path | None:
        """The file that was given. The exchange itself is on this machine, and spoken to without TLS."""
        return self._ca_file

    @property
    def ocra_names(self) -> None:
        """It has the names that it was made with."""
        return None

    def take_news(self) -> list[HostNews]:
        """What there is to be told about the process in the background, once each."""
        news, self._news = self._news, []
        return news

    async def open(self) -> str:
        """The base URL of an exchange that answers and is ours. Raises NetworkError."""
        async with self._lock:
            try:
                if not self.hosting:
                    await self._find_or_host(replacing=not self._opened)
            except BaseException:
                if not self._opened:
                    await self._stop()
                raise
            self._opened += 1
        return self._url

    async def recover(self) -> None:
        """The exchange went away: host it, or wait for the process that already does. Raises NetworkError after some seconds."""
        async with self._lock:
            if not self.hosting and not await self._host():
                await self._find_or_host(replacing=False)

    async def close(self) -> None:
        """One user less; without any, the hosting ends."""
        async with self._lock:
            self._opened = max(0, self._opened - 1)
            if not self._opened:
                await self._stop()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        async with self._lock:
            self._opened = 0
            await self._stop()

    async def _stop(self) -> None:
        exchange, self._exchange = self._exchange, None
        launch, self._launch = self._launch, None
        if launch is not None:
            launch.close()
        if exchange is not None:
            await exchange.close()
        if self._owns_media:
            await asyncio.to_thread(self._media.stop)

    async def _find_or_host(self, *, replacing: bool) -> None:
        if self._launch is not None and await self._host():
            return
        found, deadline = Found.NOBODY, time.monotonic() + FIND_SECONDS
        probe = ExchangeProbe(self.credentials, self._options.host, self._options.port)
        while (left := deadline - time.monotonic()) > 0:
            answer = await probe.ask(left)
            found = answer.found
            if found is Found.OURS and replacing and self._is_outdated(answer) and await self._is_leaving(probe, answer):
                found = Found.NOBODY
            if found is Found.OURS or (found is Found.NOBODY and await self._host()):
                return
            if found in (Found.ANOTHER_EXCHANGE, Found.ANOTHER_PROGRAM):
                break
            await asyncio.sleep(_FIND_PAUSE_SECONDS)
        raise probe.unusable(found)

    def _is_outdated(self, answer: HostAnswer) -> bool:
        """Whether we would start another one than the one that answers."""
        if self._background is None or answer.kind is not HostKind.BACKGROUND:
            return False
        ours = release_of(version("sinchphone"))
        wanted = self._background.fingerprint(decode_secret(self.credentials.secret))
        return answer.version < ours or (answer.version == ours and answer.settings != wanted)

    async def _is_leaving(self, probe: ExchangeProbe, answer: HostAnswer) -> bool:
        """Tell the process to end where nobody calls; whether it does."""
        try:
            await HostControl(probe).stop(answer, unused=True, replaced=True)
        except (InUseError, PlatformError):
            self._news.append(KeptHost(older=answer.version < release_of(version("sinchphone"))))
            return False
        except NetworkError:  # it ended by itself
            return True
        return True

    async def _host(self) -> bool:
        """Have the exchange hosted; False where somebody else has the port."""
        if self._background is None:
            return await self._host_here()
        launch, self._launch = self._launch, None
        launch = launch or await asyncio.to_thread(Launch.begin, self._background)
        if launch is None:
            return False
        try:
            self._news.append(await launch.settled())
        except LaunchError:
            return await self._host_here(launch.listening)
        except BaseException:
            launch.close()
            raise
        return True

    async def _host_here(self, listening: "Sequence[socket.socket]" = ()) -> bool:
        """Host the exchange in this process; False where somebody else has the port."""
        from sinchphone.exchange.control import Hosting
        from sinchphone.exchange.server import Exchange
        from sinchphone.exchange.store.sqlite import FILE_NAME

        hosting = Hosting(kind=HostKind.PROGRAM, stop=self._leave)
        options = replace(self._options, store=self._options.store or (self._folder / FILE_NAME if self._keep else None))
        exchange = Exchange(options, media=self._media, gateway=self._gateway, hosting=hosting, listening=listening)
        try:
            await exchange.start()
        except PortTakenError:
            return False
        self._exchange, self._url = exchange, exchange.url
        self._options = replace(self._options, port=exchange.port)  # one that was free stays ours
        return True

    def _leave(self, replaced: bool) -> None:
        """Another process asked for the place; our clients find the exchange there."""
        start_task(self._hand_over(replaced), name="hand over")

    async def _hand_over(self, replaced: bool) -> None:
        async with self._lock:
            exchange, self._exchange = self._exchange, None
            if exchange is not None:
                await exchange.close(replaced=replaced)


def _asking(gateway: GatewayOptions, backend: BackendOptions | str | None) -> GatewayOptions:
    if backend is None:
        return gateway
    return replace(gateway, backend=BackendOptions(url=backend) if isinstance(backend, str) else backend)


def _listening(gateway: GatewayOptions, port: int | None) -> GatewayOptions:
    """The embedded exchange listens for phones only where it's told to: it shares the machine with others."""
    return replace(gateway, sip=replace(gateway.sip or SipSettings(), port=port) if port is not None else None)
