"""Verification of phone numbers (Sinch Verification, v1), as devices ask for it: by the application's key, which proves nothing.

::

    VerificationClient.start -> a code goes out -> NumberVerification.verify(code) -> SUCCESSFUL, or WrongCodeError
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp

from sinchphone.errors import AuthenticationError, ForbiddenError, NotFoundError, PlatformError, RemoteProtocolError
from sinchphone.protocol.verification import VerificationMethod, VerificationStatus
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.http.transport import TIMEOUT_S, HttpAnswer, OversizedAnswerError, connector, request
from sinchphone.signaling.wire import AUTHORIZATION_HEADER, JSON_CONTENT_TYPE, TIMESTAMP_HEADER, write_time

CLOUD_URL: Final = "https://verification.api.sinch.com"
MAX_VERIFICATION_BYTES: Final = 64 * 1024
_ROOT: Final = "/verification/v1/verifications"


class WrongCodeError(PlatformError):
    """The code is not the right one, or comes too late."""


@quick_dataclass(frozen=True, slots=True)
class VerificationNews:
    """How it stands; ``reason`` is the platform's word where it failed."""

    status: VerificationStatus
    reason: str | None = None

    @classmethod
    def read(cls, told: Record) -> Self:
        """Raises RemoteProtocolError."""
        try:
            return cls(VerificationStatus(told.text("status", limit=32)), told.optional_text("reason"))
        except ValueError as error:
            raise told.odd("status", "a status of verifications") from error


class NumberVerification:
    """One verification that goes on. Methods raise PlatformError and NetworkError, and are safe to cancel."""

    def __init__(self, client: "VerificationClient", verification_id: str, number: str, method: VerificationMethod) -> None:
        self.id = verification_id
        self.number = number
        self.method = method
        self._client = client
        self._path = f"{_ROOT}/id/{quote(verification_id, safe='')}"

    async def verify(self, code: str) -> VerificationNews:
        """Report the code, or for a flash call the number that called. Raises WrongCodeError."""
        name, member = {VerificationMethod.FLASH_CALL: ("flashCall", "cli")}.get(self.method, (self.method.value, "code"))
        try:
            told = await self._client.ask("PUT", self._path, {"method": self.method.value, "source": "manual", name: {member: code}})
        except PlatformError as error:
            if getattr(error, "status", None) == 400:
                raise WrongCodeError(str(error), status=400, hint="look again, or have another code sent") from error
            raise
        return _read(VerificationNews.read, told)

    async def status(self) -> VerificationNews:
        """How it stands now."""
        return _read(VerificationNews.read, await self._client.ask("GET", self._path))


class VerificationClient:
    """Verifies phone numbers for an application. Methods raise AuthenticationError, ForbiddenError, PlatformError and NetworkError."""

    def __init__(self, application_key: str, base_url: Callable[[], Awaitable[str]], *, ca_file: Path | None = None) -> None:
        """``base_url`` gives the platform's; ``ca_file``: authorities to be trusted beside the system's (PEM)."""
        self._key = application_key
        self._base_url = base_url
        self._ca_file = ca_file

    async def start(
        self, number: str, method: str = VerificationMethod.SMS, *, custom: str | None = None, reference: str | None = None
    ) -> NumberVerification:
        """Have a code sent to a number (+E164): by text message (``sms``), by a call that says it (``callout``), or have it called by a
        number that is the code (``flashcall``). Raises ValueError for another method."""
        chosen = VerificationMethod(method)
        asked = {"identity": {"type": "number", "endpoint": number}, "method": chosen.value, "custom": custom, "reference": reference}
        told = await self.ask("POST", _ROOT, asked)
        return NumberVerification(self, _read(lambda told: told.token("id"), told), number, chosen)

    async def ask(self, method: str, path: str, members: dict[str, Any] | None = None) -> Record:
        """One request; the object that answers it."""
        headers = {
            AUTHORIZATION_HEADER: f"application {self._key}",
            TIMESTAMP_HEADER: write_time(time.time()),
            "Accept": "application/json",
        }
        body = write_json(members) if members is not None else None
        headers |= {"Content-Type": JSON_CONTENT_TYPE} if body is not None else {}
        url = f"{(await self._base_url()).rstrip('/')}{path}"
        async with self._session() as session:
            try:
                answer = await request(
                    session, method, url, timeout_s=TIMEOUT_S, limit_bytes=MAX_VERIFICATION_BYTES, body=body, headers=headers
                )
            except OversizedAnswerError as error:
                raise PlatformError(f"verification: {error}") from error
        _check(answer)
        return _read(Record.parse, answer.body)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession(connector=connector(self._ca_file)) as session:
            yield session


Told = TypeVar("Told")
Read = TypeVar("Read")


def _read(read: Callable[[Told], Read], told: Told) -> Read:
    try:
        return read(told)
    except RemoteProtocolError as error:
        raise PlatformError(f"what the platform says of the verification can't be read: {error}") from error


def _check(answer: HttpAnswer) -> None:
    if answer.status in (200, 201):
        return
    try:
        why = Record.parse(answer.body).text("message", limit=500)
    except RemoteProtocolError:
        why = f"HTTP {answer.status}"
    match answer.status:
        case 401:
            raise AuthenticationError(f"verification: {why}")
        case 403:
            raise ForbiddenError(f"verification: {why}")
        case 404:
            raise NotFoundError(f"verification: {why}")
        case status:
            raise PlatformError(f"verification: {why}", status=status)
