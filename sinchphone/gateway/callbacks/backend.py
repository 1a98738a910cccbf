"""Posts a call's events to the developer's backend and reads what it answers (Sinch Voice callbacks, v1).

::

    BackendSession.incoming     ICE  -> primary URL, or the fallback where that fails -> Svaml, or CallbackError
    BackendSession.answered     ACE  -> Svaml; "continue" where the backend fails
    BackendSession.prompted     PIE  -> Svaml, or CallbackError
    BackendSession.notify, left, disconnected   Notify, PIE "hangup", DiCE -> only ``Backend.close`` waits for them, for a moment

Time and size limits are this exchange's own: the platform states none for v1 (its v2 waits 5 s as well).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
from yarl import URL

from sinchphone.errors import BACKEND, BACKENDS_ANSWER, SinchphoneError
from sinchphone.exchange.access.address_policy import AddressPolicy, AddressRefusedError
from sinchphone.exchange.record.callbacks import CallbackTelling
from sinchphone.exchange.record.record import EventRecord
from sinchphone.gateway.callbacks.unreached import why_unreached
from sinchphone.gateway.options import BackendOptions
from sinchphone.protocol.callbacks.events import (
    AmdResult,
    CallFacts,
    CallingErrorCode,
    DisconnectedCallEvent,
    IncomingCallEvent,
    Notification,
    NotificationType,
    sign_callback,
    write_ace,
    write_dice,
    write_ice,
    write_notify,
    write_pie,
    write_timestamp,
)
from sinchphone.protocol.callbacks.menu import MenuResult
from sinchphone.protocol.callbacks.svaml import (
    MAX_COOKIE_BYTES,
    Continue,
    Event,
    ReportCallStatus,
    SetCookie,
    Svaml,
    SvamlError,
    cookie_bytes,
)
from sinchphone.protocol.callbacks.svaml_fields import describe
from sinchphone.protocol.callbacks.svaml_reading import parse_svaml
from sinchphone.tasks import start_task
from sinchphone.tls import client_context

ANSWER_SECONDS: Final = 5.0  # one URL's time to answer
MAX_ANSWER_BYTES: Final = 64 * 1024
GOODBYE_SECONDS: Final = 2.0  # how long the last events may take when the exchange closes
MAX_PENDING_EVENTS: Final = 1_000  # that nobody waits for

_log = logging.getLogger(__name__)


class CallbackError(SinchphoneError):
    """The backend gave no answer that can be carried out: the caller hears an error message, DiCE says CALLBACKERROR."""


class IllegalAnswerError(CallbackError):
    """The backend answered, but not in SVAML that can be carried out. Its text begins with the offending value."""


class Backend:
    """The developer's backend. ``async with`` opens and closes it."""

    def __init__(
        self,
        options: BackendOptions,
        application_key: str,
        secret: bytes,
        addresses: AddressPolicy,
        record: EventRecord | None = None,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Callbacks are signed with the application's key and secret. ``addresses`` says where they may go, beside the hosts that the
        operator has named as the backend's; ``record`` is told what it is told, and what it answers."""
        self.options = options  # another one may be put here: it counts for all events from then on
        self._addresses = addresses.allowing(*(url.raw_host or "" for url in self._urls()))
        self._record = record or EventRecord(is_on=False)
        self._key, self._secret = application_key, secret
        self._answer_seconds = answer_seconds
        self._now = now
        self._trust = client_context(options.ca_file)
        self._http: aiohttp.ClientSession | None = None
        self._last_events: set[asyncio.Task[None]] = set()

    def session(self, facts: CallFacts, headers: Mapping[str, str] | None = None) -> "BackendSession":
        """The callbacks of one call. ``headers``: more HTTP headers to send with each."""
        return BackendSession(self, facts, headers or {}, self._now)

    def connect(self) -> None:
        """Be ready to post. In the running loop."""
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=self._answer_seconds)
            self._http = self._addresses.session(
                timeout=timeout,
                headers={"Accept-Encoding": "identity"},  # what is limited in size must not unfold
                auto_decompress=False,
            )

    async def close(self) -> None:
        """Wait a moment for the DiCEs that are under way; drop the others. May be called twice."""
        last_events = tuple(self._last_events)
        if last_events:
            await asyncio.wait(last_events, timeout=GOODBYE_SECONDS)
        for task in last_events:
            task.cancel()
        await asyncio.gather(*last_events, return_exceptions=True)
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def __aenter__(self) -> Self:
        self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def ask(self, body: bytes, event: Event, headers: Mapping[str, str]) -> Svaml:
        """Post an event; the answer of the first URL that gives one. Raises CallbackError.

        The fallback is asked only where the primary can't be reached, takes too long or refuses. An answer that can't be carried out is
        an answer: it is explained, and not asked for elsewhere.
        """
        return _read(await self.post(body, headers), event)

    def _urls(self) -> list[URL]:
        return [URL(url) for url in (self.options.url, self.options.fallback) if url]

    def tell(self, told: Coroutine[None, None, None], name: str) -> None:
        """Have an event posted that nobody waits for. Where too many are under way it's dropped."""
        if len(self._last_events) >= MAX_PENDING_EVENTS or self._http is None:
            told.close()
            _log.warning("%s was dropped: %d events are under way", name, len(self._last_events))
            return
        start_task(told, name=name, among=self._last_events)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Post an event; what the first URL answers that answers at all. Raises CallbackError."""
        failures: list[CallbackError] = []
        for which, url in zip((BACKEND, "its fallback"), self._urls(), strict=False):
            try:
                return await self._post(url, body, headers)
            except CallbackError as error:
                failures.append(CallbackError(f"{which} {error}", hint=error.hint))
        hint = next((one.hint for one in failures if one.hint), "check [backend] url and fallback, and the backend's own log")
        raise CallbackError("; ".join(map(str, failures)), hint=hint)

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> bytes:
        """One try. Redirects aren't followed: the signature covers the path, and the events are for this host. Raises CallbackError."""
        if self._http is None:
            raise CallbackError("can't be asked: the exchange is closing")
        signed = sign_callback(self._key, self._secret, url.raw_path, body, write_timestamp(self._now()))
        with CallbackTelling(self._record, str(url), {**headers, **signed}, body) as told:
            return await self._exchange(self._http, told, url, body, {**headers, **signed})

    async def _exchange(
        self, http: aiohttp.ClientSession, told: CallbackTelling, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> bytes:
        try:
            async with http.post(url, data=body, headers=headers, allow_redirects=False, ssl=self._trust) as response:
                told.status = response.status
                if not 200 <= response.status <= 299:
                    raise CallbackError(_why_refused(response.status))
                told.answer = await _limited(response.content)
                return told.answer
        except AddressRefusedError as error:
            raise CallbackError(f"can't be asked: {error}", hint=error.hint) from error
        except TimeoutError as error:
            raise CallbackError(f"did not answer within {self._answer_seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            unreached = why_unreached(error, url.scheme)
            raise CallbackError(f"can't be reached: {unreached.why}", hint=unreached.hint) from error


class Asked(Protocol):
    """Who answers a call's events."""

    async def ask(self, body: bytes, event: Event, headers: Mapping[str, str]) -> Svaml:
        """The answer to an event. Raises CallbackError."""

    async def post(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Post an event whose answer means nothing. Raises CallbackError."""

    def tell(self, told: Coroutine[None, None, None], name: str) -> None:
        """Have an event posted that nobody waits for."""


class BackendSession:
    """One call's conversation with the backend: remembers its cookies."""

    def __init__(self, backend: Asked, facts: CallFacts, headers: Mapping[str, str], now: Callable[[], float]) -> None:
        self.cookies: dict[str, str] = {}
        self._backend = backend
        self._facts = facts
        self._headers = headers
        self._now = now
        self._over = False
        self._in_order = asyncio.Lock()  # events that nobody waits for arrive one after the other, DiCE last

    async def incoming(self, event: IncomingCallEvent) -> Svaml:
        """ICE: what to do with the call. Raises CallbackError."""
        return self._taken(await self._backend.ask(write_ice(self._facts, event, self.cookies, self._now()), Event.ICE, self._headers))

    async def answered(self, amd: AmdResult | None = None) -> Svaml:
        """ACE: what to do now that it was answered. Where the backend fails, the call is connected (the platform's rule)."""
        body = write_ace(self._facts, self.cookies, self._now(), amd)
        try:
            return self._taken(await self._backend.ask(body, Event.ACE, self._headers))
        except CallbackError as error:
            _log.warning("ACE: %s; the call goes on", error)
            self.complain(error)
            return Svaml(Continue())

    async def prompted(self, result: MenuResult) -> Svaml:
        """PIE: what to do now that a menu is done. Raises CallbackError."""
        return self._taken(await self._backend.ask(write_pie(self._facts, result, self.cookies, self._now()), Event.PIE, self._headers))

    def left(self, result: MenuResult) -> None:
        """PIE whose answer is of no use: the caller hung up in a menu, or pressed keys in a room. Never waits."""
        self._tell(write_pie(self._facts, result, self.cookies, self._now()), "PIE")

    def notify(self, news: Notification) -> None:
        """Notify: something happened. Never waits."""
        self._tell(write_notify(self._facts, news, self.cookies, self._now()), "Notify")

    def complain(self, error: CallbackError) -> None:
        """Notify that an answer can't be carried out (``callingerror``); nothing where there was none."""
        if isinstance(error, IllegalAnswerError):
            what = CallingErrorCode.ILLEGAL_SVAML, str(error)
            self.notify(Notification(type=NotificationType.CALLING_ERROR, error=what))

    def disconnected(self, event: DisconnectedCallEvent) -> None:
        """DiCE: the call is over. Only the first counts; never waits."""
        if not self._over:
            self._over = True
            self._backend.tell(self._say_goodbye(write_dice(self._facts, event, self.cookies, self._now())), "DiCE")

    def _tell(self, body: bytes, name: str) -> None:
        async def tell() -> None:
            async with self._in_order:
                try:
                    await self._backend.post(body, self._headers)
                except CallbackError as error:
                    _log.warning("%s: %s", name, error)

        self._backend.tell(tell(), name)

    async def _say_goodbye(self, body: bytes) -> None:
        async with self._in_order:
            try:
                answer = await self._backend.ask(body, Event.DICE, self._headers)
            except CallbackError as error:
                _log.warning("DiCE: %s", error)
                return
        for one in answer.instructions:
            if isinstance(one, ReportCallStatus):
                told = "success" if one.success else "failure"
                _log.info("call %s: the backend reports %s, %s", self._facts.call_id, told, describe(one.details))

    def _taken(self, answer: Svaml) -> Svaml:
        """The answer; its cookies are kept. Raises CallbackError where they are too many by now."""
        cookies = self.cookies | {one.key: one.value for one in answer.instructions if isinstance(one, SetCookie)}
        if cookie_bytes(cookies) > MAX_COOKIE_BYTES:
            raise IllegalAnswerError(f"the call's cookies have {cookie_bytes(cookies)} bytes: at most {MAX_COOKIE_BYTES} are kept")
        self.cookies = cookies
        return answer


def _read(answer: bytes, event: Event) -> Svaml:
    try:
        svaml = parse_svaml(answer, event)
    except SvamlError as error:
        raise IllegalAnswerError(f"{error} {BACKENDS_ANSWER} {event.shown()})", hint=error.hint) from error
    for remark in svaml.remarks:
        _log.warning("the backend's answer to %s: %s", event.shown(), remark)
    return svaml


def _why_refused(status: int) -> str:
    if 300 <= status <= 399:
        return f"redirects (HTTP {status}), which isn't followed: name the right URL"
    return f"answered with HTTP {status}"


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = b""
    while chunk := await content.read(MAX_ANSWER_BYTES):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise CallbackError(f"answered with more than {MAX_ANSWER_BYTES // 1024} KiB")
    return body
