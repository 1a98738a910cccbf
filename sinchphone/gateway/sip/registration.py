"""Our own registration with a carrier or PBX: made, renewed in time, withdrawn at the end (RFC 3261 10.2).

::

    REGISTER -> 401 -> REGISTER with credentials -> 200, expires -> (before that) REGISTER ... -> REGISTER, Expires: 0
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from typing import Final

from sinchphone.errors import NetworkError
from sinchphone.gateway.sip.network.hop import Hop, Transport
from sinchphone.gateway.sip.network.resolve import Resolver
from sinchphone.gateway.sip.network.rests import MAX_REST_SECONDS
from sinchphone.gateway.sip.wire import ResponseArrived, Wire
from sinchphone.hosts import SIP_PORTS
from sinchphone.protocol.sip.digest import MAX_TRIES, Answering, Credentials
from sinchphone.protocol.sip.message import MAX_FORWARDS, Request, Response
from sinchphone.protocol.sip.uri import SipAddress, SipUri

USUAL_SECONDS: Final = 600
LONGEST_SECONDS: Final = 7200
RENEWED_AHEAD: Final = 0.75  # of the time that was granted
HOLD_PAUSE_SECONDS: Final = 1.0  # until one looks again whether it's ours
RETRY_SECONDS: Final = (5.0, 600.0)  # after the first failure, and at most; doubled in between
MOST_DOUBLED: Final = 16  # times
WITHDRAWAL_SECONDS: Final = 1.0
_MIN_SECONDS: Final = 10

_log = logging.getLogger(__name__)


class SipRegistration:
    """One registration. ``run`` it in a task of your own, and ``withdraw`` when that is cancelled."""

    def __init__(
        self,
        wire: Wire,
        resolver: Resolver,
        registrar: SipUri,
        credentials: Credentials,
        *,
        transport: Transport | None = None,
        registered: Callable[[Hop], None] = lambda _: None,
        holds: Callable[[], bool] = lambda: True,
        failed: Callable[[float], None] = lambda _: None,
        retry_seconds: tuple[float, float] | None = None,
    ) -> None:
        """``registrar`` is the carrier, without a user; ``registered`` learns each time who granted it, ``failed`` each time it isn't, in
        how many seconds it's tried again; while it isn't ours (``holds``) nothing is sent."""
        self.is_registered = False
        self.contact: SipUri | None = None  # that is registered
        self._is_asking = False  # or was as it was cancelled: it may have been granted
        self._wire = wire
        self._resolver = resolver
        self._registrar = registrar
        self._transport = transport
        self._registered = registered
        self._holds = holds
        self._tell_failed = failed
        self._retry_seconds = retry_seconds or RETRY_SECONDS
        self._address = SipUri(registrar.scheme, credentials.username, registrar.host)
        self._answering = Answering(credentials, lambda: secrets.token_hex(16))
        self._call_id, self._tag = secrets.token_hex(16), secrets.token_hex(8)
        self._cseq = 0
        self._seconds = USUAL_SECONDS
        self._told_seconds = 0.0  # to wait after the last refusal (Retry-After)

    async def run(self, failures: int = 0) -> None:
        """Register, and stay registered, for ever. ``failures``: so many tries before failed."""
        while True:
            if not self._holds():
                await asyncio.sleep(HOLD_PAUSE_SECONDS)
                continue
            granted = await self._try()
            if granted is not None:
                failures = 0
                await asyncio.sleep(granted * RENEWED_AHEAD)
                continue
            first, most = self._retry_seconds
            pause = max(min(most, first * 2 ** min(failures, MOST_DOUBLED)) * random.uniform(0.8, 1.2), self._told_seconds)
            failures += 1
            self._tell_failed(pause)
            await asyncio.sleep(pause)

    async def withdraw(self, seconds: float = WITHDRAWAL_SECONDS) -> bool:
        """Say that we can't be reached any more; wait a moment at most. Whether there is an answer, or nothing was to be said."""
        if not self.is_registered and not self._is_asking:
            return True
        self.is_registered = self._is_asking = False
        return await self._end(None, seconds)

    async def withdraw_other(self, contact: SipUri) -> None:
        """Say that somebody who was registered before us, at that Contact, can't be reached any more; wait a moment at most."""
        await self._end(contact, WITHDRAWAL_SECONDS)

    async def _end(self, contact: SipUri | None, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._exchange(0, contact)
        except (TimeoutError, NetworkError):
            _log.info("the registration with the trunk was not withdrawn: it ends by itself")
            return False
        return True

    async def _try(self) -> float | None:
        """Register once; for how many seconds that holds."""
        self._told_seconds, self._is_asking = 0.0, True
        try:
            answered = await self._exchange(self._seconds)
            if answered.response.status == 423:  # too short for the registrar: RFC 3261 10.2.8
                self._seconds = min(max(self._seconds, answered.response.number("Min-Expires") or LONGEST_SECONDS), LONGEST_SECONDS)
                answered = await self._exchange(self._seconds)
        except NetworkError as error:
            self._failed(str(error))
            return None
        self._is_asking = False
        response = answered.response
        if not response.is_success or answered.hop is None:
            self._told_seconds = min(float(response.number("Retry-After") or 0), MAX_REST_SECONDS)
            later = f"; it is to be asked again in {self._told_seconds:.0f} s" if self._told_seconds else ""
            self._failed(f"it can't be reached: {answered.trouble}" if answered.trouble else f"{response.status} {response.reason}{later}")
            return None
        self.is_registered = True
        self.contact = self._wire.contact(answered.hop, self._address.user, secure=self._registrar.is_secure).uri
        self._registered(answered.hop)
        return float(max(_MIN_SECONDS, _granted(response, self._seconds, self.contact)))

    def _failed(self, why: str) -> None:
        self.is_registered = self._is_asking = False
        _log.warning("the trunk doesn't register us: %s", why[:200])

    async def _exchange(self, seconds: int, contact: SipUri | None = None) -> ResponseArrived:
        """One REGISTER of our Contact, or of that one, and its final answer, with credentials where they are asked for. Raises
        NetworkError."""
        tries = 0
        while True:
            request = self._request(seconds)
            request = request if contact is None else request.with_header("Contact", str(SipAddress(contact)))
            answered = await self._send(request)
            again = answered.response.status in (401, 407) and self._answering.take(answered.response, request, tries)
            if not again or tries >= MAX_TRIES:
                return answered
            tries += 1

    def _request(self, seconds: int) -> Request:
        self._cseq += 1
        headers = (
            ("Max-Forwards", str(MAX_FORWARDS)),
            ("From", str(SipAddress(self._address, parameters=(("tag", self._tag),)))),
            ("To", str(SipAddress(self._address))),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            ("Expires", str(seconds)),
            *self._answering.headers("REGISTER", self._registrar),
        )
        return Request(headers, b"", "REGISTER", self._registrar)

    async def _send(self, request: Request) -> ResponseArrived:
        uri = self._registrar
        hops = await self._resolver.resolve(uri.host, uri.port, self._transport, secure=uri.is_secure)
        final: asyncio.Future[ResponseArrived] = asyncio.get_running_loop().create_future()

        def answered(one: ResponseArrived) -> None:
            if not one.response.is_provisional and not final.done():
                final.set_result(one)

        self._wire.prepare(request, hops, answered, user=self._address.user).go()
        return await final


def _granted(response: Response, asked: int, ours: SipUri) -> int:
    """How long the registration holds: what our Contact says, else Expires, else what was asked for.

    Other phones of the same name are listed too (RFC 3261 10.3, step 8). A Contact that stands alone is ours, though it be rewritten.
    """
    mine = [one for one in response.contacts if _place(one.uri) == _place(ours)] or response.contacts[: len(response.contacts) == 1]
    told = [int(value) for one in mine if (value := one.parameter("expires") or "").isdecimal() and len(value) < 10]
    return min(told or [response.number("Expires") or asked])


def _place(uri: SipUri) -> tuple[str | None, str, int]:
    return uri.user, uri.host.lower(), uri.port or SIP_PORTS["tls" if uri.is_secure else "udp"]
