"""REST requests to a platform, whichever dialect: signs them, corrects the clock, and turns refusals and odd answers into errors."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import TypeVar

import aiohttp
from yarl import URL

from sinchphone.errors import (
    AuthenticationError,
    ConfigError,
    ForbiddenError,
    NotFoundError,
    PlatformError,
    RemoteProtocolError,
    SinchphoneError,
)
from sinchphone.protocol.auth import sign_request
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Instance
from sinchphone.signaling.http.transport import TIMEOUT_S, HttpAnswer, OversizedAnswerError, request
from sinchphone.signaling.pubsub.backoff import Backoff
from sinchphone.signaling.rest.refusals import Refusal, read_error
from sinchphone.signaling.wire import AUTHORIZATION_HEADER, JSON_CONTENT_TYPE, MAX_BODY_BYTES, TIMESTAMP_HEADER, ErrorCode, write_time

MAX_WAITS = 3  # of one request that is refused with 429
LONGEST_WAIT_S = 10.0  # what takes longer is told to who asked
CLOCK_TOLERANCE_S = 30.0  # a refused request's clock is suspected from this difference on, whatever the refusal says

_CLOCK_WORDS = re.compile(r"clock|time ?stamp|skew", re.IGNORECASE)
_log = logging.getLogger(__name__)

T = TypeVar("T")


@quick_dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``what`` is what an error message calls it; ``path`` and ``query`` are percent-encoded, the query isn't signed."""

    what: str
    verb: str
    path: str
    statuses: tuple[int, ...]
    query: str = ""
    body: bytes | None = field(default=None, repr=False)
    encoding: str = ""


class RestRequests:
    """Requests of one user to one platform. Methods raise AuthenticationError (401), ForbiddenError (403), NotFoundError (404),
    NetworkError (no answer) or PlatformError (anything else); cancelling them is safe."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, *, clock: Callable[[], float]) -> None:
        self._session = session
        self._base_url = _checked_base(base_url)
        self._clock = clock
        self._offset_s = 0.0
        self._backoff = Backoff(first_s=0.5)

    @property
    def base_url(self) -> str:
        """The platform's address, without a slash at its end."""
        return self._base_url

    @property
    def now(self) -> float:
        """The platform's time, as far as it's known [s since the epoch]."""
        return self._clock() + self._offset_s

    @property
    def offset_s(self) -> float:
        """How far the platform's clock is ahead of ours, as far as it's known."""
        return self._offset_s

    def set_clock(self, platform_time: float) -> None:
        """The platform has said what time it is [s since the epoch]."""
        self._offset_s = platform_time - self._clock()

    async def send(self, ask: Ask, authorization: str, read: Callable[[bytes], T]) -> T:
        """Send a request with that Authorization header; gives what ``read`` makes of the answer's body. A refusal may tell the
        platform's time, which is remembered."""
        answer = await self._patiently(
            lambda: self._send(ask, {AUTHORIZATION_HEADER: authorization, TIMESTAMP_HEADER: write_time(self.now)})
        )
        if answer.status in ask.statuses:
            return _fit(ask, answer, read)
        refusal = self._refused(ask, answer)
        self._correct_clock(answer)
        raise refusal

    async def send_signed(self, ask: Ask, instance: Instance, read: Callable[[bytes], T]) -> T:
        """Send a request signed with the instance's secret; gives what ``read`` makes of the answer's body.

        Where the platform refuses because our clock is off and tells its own, the difference is remembered and the request sent
        once more.
        """
        answer = await self._patiently(lambda: self._send_signed(ask, instance))
        if answer.status not in ask.statuses and self._correct_clock(answer):
            answer = await self._send_signed(ask, instance)
        if answer.status in ask.statuses:
            return _fit(ask, answer, read)
        raise self._refused(ask, answer)

    async def _patiently(self, send: Callable[[], Awaitable[HttpAnswer]]) -> HttpAnswer:
        """The answer; where the platform says that we ask too often, after having waited as long as it says, some times."""
        for attempt in range(MAX_WAITS):
            answer = await send()
            delay_s = _wait_s(answer, self._backoff.delay_s(attempt))
            if delay_s is None:
                return answer
            _log.info("the platform says that we ask too often: again in %.1f s", delay_s)
            await asyncio.sleep(delay_s)
        return await send()

    async def _send_signed(self, ask: Ask, instance: Instance) -> HttpAnswer:
        timestamp = write_time(self.now)
        signature = sign_request(ask.verb, ask.path, ask.body, JSON_CONTENT_TYPE, timestamp, instance.secret)
        # The scheme's name is case-insensitive; the SDKs differ.
        return await self._send(ask, {AUTHORIZATION_HEADER: f"Instance {instance.id}:{signature}", TIMESTAMP_HEADER: timestamp})

    async def _send(self, ask: Ask, headers: Mapping[str, str]) -> HttpAnswer:
        always = {"Content-Type": JSON_CONTENT_TYPE, "Accept": "application/json"}
        encoding = {"Content-Encoding": ask.encoding} if ask.encoding else {}
        url = self._base_url + ask.path + (f"?{ask.query}" if ask.query else "")
        try:
            answer = await request(
                self._session,
                ask.verb,
                url,
                timeout_s=TIMEOUT_S,
                limit_bytes=MAX_BODY_BYTES,
                body=ask.body,
                headers={**always, **encoding, **headers},
            )
        except OversizedAnswerError as error:
            raise PlatformError(f"can't {ask.what}: {error}") from error
        _log.debug("%s: %d after %.0f ms", ask.what, answer.status, answer.took_s * 1000)
        return answer

    def _correct_clock(self, answer: HttpAnswer) -> bool:
        """Whether the refusal looks like our clock's fault, and the clock is corrected now."""
        error_s = self._clock_error(answer)
        if answer.status not in (400, 401, 403) or error_s is None or abs(error_s) < 2.0:  # a Date has whole seconds
            return False
        refusal = read_error(answer.body)
        if not _blames_clock(refusal) and abs(error_s) < CLOCK_TOLERANCE_S:
            return False
        self._offset_s += error_s
        _log.warning("the platform's clock differs from this computer's by %.0f s: corrected", self._offset_s)
        return True

    def _clock_error(self, answer: HttpAnswer) -> float | None:
        """How far the platform's clock is ahead of ``now`` [s], where it tells."""
        return None if answer.said_at is None else answer.said_at + 0.5 - self.now

    def _refused(self, ask: Ask, answer: HttpAnswer) -> SinchphoneError:
        refusal = read_error(answer.body)
        text = f"can't {ask.what}: {refusal.message or f'the platform answered {answer.status}'}"
        match answer.status:
            case 401:
                return AuthenticationError(text, hint=self._authentication_hint(refusal, answer))
            case 403:
                return ForbiddenError(text)
            case 404 | 410 if refusal.message or refusal.code:
                return NotFoundError(text)
            case 429 | 503:
                return PlatformError(text, hint="try again in a moment", status=answer.status, code=refusal.code)
            case status if status < 400 or not (refusal.message or refusal.code):
                hint = f"{self._base_url} may not be the platform, or its paths differ from those we know"
                return PlatformError(text, hint=hint, status=status)
            case status:
                return PlatformError(text, status=status, code=refusal.code)

    def _authentication_hint(self, refusal: Refusal, answer: HttpAnswer) -> str:
        error_s = self._clock_error(answer)
        ours_s = self._offset_s + (error_s or 0.0)  # how far our own clock is off, whatever we have corrected
        if abs(ours_s) > CLOCK_TOLERANCE_S and (error_s is not None or self._offset_s):
            return f"this computer's clock differs from the platform's by {abs(ours_s):.0f} s"
        if refusal.code == ErrorCode.UNKNOWN_INSTANCE:
            return "the platform has forgotten this device: register again"
        return "check the application key, the secret or token, and the user id"


def _wait_s(answer: HttpAnswer, usually_s: float) -> float | None:
    """How long to wait before asking again [s], where that's of use (RFC 6585 4, RFC 9110 10.2.3). A limit that is no matter of time,
    such as that of open calls, says so by our own number without a time."""
    if answer.status != 429:
        return None
    try:
        told_s = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):  # absent, or a date
        return None if read_error(answer.body).code == ErrorCode.TOO_MANY else usually_s
    return max(told_s, usually_s) if 0 <= told_s <= LONGEST_WAIT_S else None


def _blames_clock(refusal: Refusal) -> bool:
    return refusal.code == ErrorCode.CLOCK_DIFFERENCE or bool(_CLOCK_WORDS.search(refusal.message))


def _fit(ask: Ask, answer: HttpAnswer, read: Callable[[bytes], T]) -> T:
    """What ``read`` makes of the answer. Raises PlatformError naming the first member that differs from what we know."""
    try:
        return read(answer.body)
    except RemoteProtocolError as error:
        text = f"can't {ask.what}: the platform answered {answer.status}, but {error}"
        raise PlatformError(text, hint="the platform's answer differs from what sinchphone knows", status=answer.status) from error


def _checked_base(base_url: str) -> str:
    try:
        url = URL(base_url)
    except ValueError as error:
        raise ConfigError(f"{base_url!r} is not a URL", hint="it looks like https://ocra.api.sinch.com") from error
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.user:
        raise ConfigError(f"{base_url!r} can't be a platform's address", hint="it looks like https://ocra.api.sinch.com")
    return str(url).rstrip("/")
