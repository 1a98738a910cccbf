"""The environment that needs no account: finds the exchange of this machine's user, or hosts it, and takes it over when it goes away.

::

    open     -> an exchange answers on the port  -> use it, if it proves that it's ours
             -> nobody listens                   -> host it
    recover  -> listen at once; if another process was faster, wait until it answers
"""

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import platformdirs

from sinchphone.engine.environment import Api
from sinchphone.errors import NetworkError
from sinchphone.exchange.directory.credentials import ApplicationCredentials, local_credentials
from sinchphone.exchange.directory.identity import exchange_proof
from sinchphone.exchange.options import DEFAULT_HOST, DEFAULT_PORT, ExchangeOptions
from sinchphone.exchange.pubsub.origin import addresses_of
from sinchphone.exchange.server import SERVICE, Exchange, PortTakenError
from sinchphone.exchange.store import FILE_NAME as STORE_NAME
from sinchphone.gateway.options import GatewayOptions, SipSettings
from sinchphone.local.configured_gateway import ConfiguredGateway
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import decode_secret, sign_registration_token, sign_user_ticket
from sinchphone.protocol.hosts import join_host

CALLER_ID = "+14155550100"  # 555-0100 to 555-0199 are nobody's: reserved for fiction
FIND_SECONDS = 3.0  # how long somebody who holds the port may take to answer
_PROBE_SECONDS = 0.5
_PAUSE_SECONDS = 0.05
_MAX_ANSWER_BYTES = 4096


class _Found(Enum):
    """Who answers on the port."""

    OURS = "our exchange"
    NOBODY = "nobody listens"
    SILENT = "somebody listens, but gave no answer (yet)"
    ANOTHER_EXCHANGE = "an exchange that doesn't know our application"
    ANOTHER_PROGRAM = "no exchange"


class Local:
    """The local environment (``engine.environment.Environment``). One object may serve several clients of one process.

    Call ``close`` as often as ``open``; the last one ends the hosting. ``async with`` is an open and an unconditional close.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        media: MediaThread | None = None,
        gateway: GatewayOptions | None = None,
        sip_port: int | None = None,
        api: Api = "ocra",
        keep: bool = True,
    ) -> None:
        """``state_dir`` keeps the application's key and secret and, with ``keep``, the users and what waits for them; the platform's
        state folder if not given. ``gateway`` says what can be called beside users while this process hosts, its sound in ``media``;
        with ``sip_port`` it listens for phones there (0: a free port). ``api`` is the dialect that clients speak. Raises ConfigError
        where the credentials can't be kept."""
        folder = state_dir or platformdirs.user_state_path("sinchphone")
        self._credentials: ApplicationCredentials = local_credentials(folder)
        self._options = ExchangeOptions(
            host=host,
            port=port,
            applications={self._credentials.key: self._credentials.secret},
            store=folder / STORE_NAME if keep else None,
        )
        self._gateway = ConfiguredGateway(_listening(gateway or GatewayOptions(), sip_port))
        self._url = f"http://{join_host(host, port)}"
        self._media = media or MediaThread()
        self._owns_media = media is None
        self._api: Api = api
        self._exchange: Exchange | None = None
        self._opened = 0
        self._lock = asyncio.Lock()

    @property
    def application_key(self) -> str:
        """The local application's key."""
        return self._credentials.key

    @property
    def caller_id(self) -> str | None:
        """A number that nobody has, for calls to the exchange's own numbers."""
        return CALLER_ID

    @property
    def api(self) -> Api:
        """The dialect that was chosen; the exchange speaks both."""
        return self._api

    @property
    def loopback(self) -> bool:
        """Media runs on this machine."""
        return True

    @property
    def sip_address(self) -> str | None:
        """Where phones register, ``host:port``, while this process hosts and listens for them."""
        gateway = self._exchange.gateway if self._exchange is not None else None
        return gateway.sip_address if gateway is not None else None

    @property
    def hosting(self) -> bool:
        """Whether the exchange runs in this process, in this object."""
        return self._exchange is not None

    @property
    def ca_file(self) -> None:
        """It is on this machine, and spoken to without TLS."""
        return None

    async def open(self) -> str:
        """The base URL of an exchange that answers and is ours. Raises NetworkError."""
        async with self._lock:
            try:
                if not self.hosting:
                    await self._find_or_host()
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
                await self._find_or_host()

    async def token(self, user_id: str, now: float | None = None) -> str:
        """What proves the user: a registration token of the local application, or a user ticket. Raises ConfigError for what can't
        be a user id."""
        secret, now = decode_secret(self._credentials.secret), time.time() if now is None else now
        if self._api == "papi":
            return sign_user_ticket(self.application_key, secret, user_id, created_at=now)
        return sign_registration_token(self.application_key, secret, user_id, issued_at=int(now), nonce=secrets.token_hex(16))

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
        if exchange is not None:
            await exchange.close()
        if self._owns_media:
            await asyncio.to_thread(self._media.stop)

    async def _find_or_host(self) -> None:
        found, deadline = _Found.NOBODY, time.monotonic() + FIND_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PROBE_SECONDS)) as session:
            while time.monotonic() < deadline:
                found = await self._probe(session)
                if found is _Found.OURS or (found is _Found.NOBODY and await self._host()):
                    return
                if found in (_Found.ANOTHER_EXCHANGE, _Found.ANOTHER_PROGRAM):
                    break
                await asyncio.sleep(_PAUSE_SECONDS)
        raise self._unusable(found)

    async def _host(self) -> bool:
        """Host the exchange; False where somebody else has the port."""
        exchange = Exchange(self._options, media=self._media, gateway=self._gateway)
        try:
            await exchange.start()
        except PortTakenError:
            return False
        self._exchange, self._url = exchange, exchange.url
        self._options = replace(self._options, port=exchange.port)  # one that was free stays ours
        return True

    async def _probe(self, session: aiohttp.ClientSession) -> _Found:
        """Who is there. That an exchange is ours it must prove: anybody on this machine can take the port."""
        if self._options.port == 0:
            return _Found.NOBODY
        challenge = secrets.token_hex(16)
        try:
            async with session.get(self._url, params={"application": self.application_key, "challenge": challenge}) as answer:
                servers = await addresses_of(self._options.host, self._options.port)
                return self._judge(await _read(answer.content), challenge, servers)
        except aiohttp.ClientConnectorError:
            return _Found.NOBODY
        except (TimeoutError, aiohttp.ClientConnectionError):
            return _Found.SILENT
        except (aiohttp.ClientError, ValueError):
            return _Found.ANOTHER_PROGRAM

    def _judge(self, body: bytes, challenge: str, servers: Sequence[str]) -> _Found:
        """``servers`` are the addresses that were asked: a proof that was passed on from elsewhere is none. Raises ValueError where the
        body isn't JSON."""
        identity = json.loads(body)
        if not isinstance(identity, dict) or identity.get("service") != SERVICE:
            return _Found.ANOTHER_PROGRAM
        proof, secret = str(identity.get("proof")).encode(errors="replace"), decode_secret(self._credentials.secret)
        ours = any(hmac.compare_digest(proof, exchange_proof(secret, challenge, server).encode()) for server in servers)
        return _Found.OURS if ours else _Found.ANOTHER_EXCHANGE

    def _unusable(self, found: _Found) -> NetworkError:
        where = f"{self._options.host}:{self._options.port}"
        if found is _Found.ANOTHER_EXCHANGE:
            return NetworkError(
                f"the exchange on {where} is not yours: it doesn't know your application",
                hint="Another user of this machine runs it. Choose another port: [exchange] port = 4601 in your config.toml.",
            )
        if found is _Found.ANOTHER_PROGRAM:
            return NetworkError(
                f"the program that listens on {where} is no exchange",
                hint="Stop it, or choose another port: [exchange] port = 4601 in your config.toml.",
            )
        return NetworkError(
            f"whatever listens on {where} doesn't answer",
            hint="Where that is a suspended sinchphone (Ctrl-Z), let it go on (fg); else stop it, or choose another port.",
        )


def _listening(gateway: GatewayOptions, port: int | None) -> GatewayOptions:
    """The embedded exchange listens for phones only where it's told to: it shares the machine with others."""
    return replace(gateway, sip=replace(gateway.sip or SipSettings(), port=port) if port is not None else None)


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The body, or as much of it as an exchange may say about itself."""
    body = b""
    while len(body) < _MAX_ANSWER_BYTES and (chunk := await content.read(_MAX_ANSWER_BYTES)):
        body += chunk
    return body
