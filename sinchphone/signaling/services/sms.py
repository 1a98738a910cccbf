"""Text messages to phone numbers through Sinch's SMS API (service plans, "XMS"): one batch a message, and its delivery reports."""

import contextlib
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp

from sinchphone.errors import AuthenticationError, ForbiddenError, MessageError, NotFoundError, PlatformError, RemoteProtocolError
from sinchphone.protocol.phone_numbers import is_number
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record, write_json
from sinchphone.signaling.http.transport import TIMEOUT_S, HttpAnswer, OversizedAnswerError, connector, request

MAX_TEXT_CHARACTERS: Final = 2000  # XMS, batches
MAX_BATCH_RECIPIENTS: Final = 1_000  # of a batch (XMS)
MAX_ANSWER_BYTES: Final = 256 * 1024

_DELIVERED: Final = "DELIVERED"
_UNDER_WAY: Final = ("QUEUED", "DISPATCHED")  # the older documentation writes them capitalised


class Delivery(Enum):
    """What became of a text message."""

    UNDER_WAY = "under way"
    DELIVERED = "delivered"
    FAILED = "failed"


@quick_dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of a text message at one number; ``reason`` is the API's word."""

    delivery: Delivery
    reason: str = ""


def base_url_of(region: str) -> str:
    """The SMS API of a region."""
    return f"https://{region}.sms.api.sinch.com"


def check_sms_text(text: str) -> None:
    """Raises MessageError for a text that no text message carries."""
    if not text:
        raise MessageError("the message is empty")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise MessageError(f"a text message of {len(text)} characters is too long", hint=f"at most {MAX_TEXT_CHARACTERS} for a phone")


class SmsApi:
    """One service plan. Methods raise AuthenticationError, ForbiddenError, NotFoundError, NetworkError or PlatformError."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, service_plan_id: str, token: str) -> None:
        self._session = session
        self._plan = f"{base_url.rstrip('/')}/xms/v1/{quote(service_plan_id, safe='')}"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, base_url: str, service_plan_id: str, token: str, *, ca_file: Path | None = None) -> "AsyncIterator[SmsApi]":
        """With a session of its own. ``ca_file``: authorities to be trusted beside the system's. Raises ConfigError."""
        async with aiohttp.ClientSession(connector=connector(ca_file)) as session:
            yield cls(session, base_url, service_plan_id, token)

    async def send(self, numbers: tuple[str, ...], text: str, *, sender: str | None) -> str:
        """Send a text to numbers (+E164); the batch's id. That it was taken doesn't mean that it arrives. It's sent once, never again
        by itself: where no answer came, it may have been sent. Raises MessageError for a text that can't be sent."""
        check_sms_text(text)
        if not 1 <= len(numbers) <= MAX_BATCH_RECIPIENTS or not all(map(is_number, numbers)):
            raise MessageError("a text message goes to 1 to 1000 numbers such as +46700000001")
        body = write_json({"from": sender, "to": list(numbers), "body": text, "type": "mt_text", "delivery_report": "full"})
        answer = await self._ask("POST", "/batches", (200, 201), body)
        try:
            return Record.parse(answer.body).token("id")
        except RemoteProtocolError as error:
            raise PlatformError(f"the SMS API took the message, but {error}", status=answer.status) from error

    async def report(self, batch_id: str, number: str) -> DeliveryReport:
        """What became of a batch at one number. Nothing is known at first: it's under way then."""
        path = f"/batches/{quote(batch_id, safe='')}/delivery_report/{number.removeprefix('+')}"
        try:
            answer = await self._ask("GET", path, (200,))
        except NotFoundError:
            return DeliveryReport(Delivery.UNDER_WAY)
        try:
            status = Record.parse(answer.body).text("status", limit=64)
        except RemoteProtocolError as error:
            raise PlatformError(f"the SMS API's delivery report can't be read: {error}", status=answer.status) from error
        if status.upper() in _UNDER_WAY:
            return DeliveryReport(Delivery.UNDER_WAY, status)
        return DeliveryReport(Delivery.DELIVERED if status.upper() == _DELIVERED else Delivery.FAILED, status)

    async def _ask(self, verb: str, path: str, statuses: tuple[int, ...], body: bytes | None = None) -> HttpAnswer:
        try:
            answer = await request(
                self._session,
                verb,
                self._plan + path,
                timeout_s=TIMEOUT_S,
                limit_bytes=MAX_ANSWER_BYTES,
                body=body,
                headers=self._headers,
            )
        except OversizedAnswerError as error:
            raise PlatformError(f"the SMS API: {error}") from error
        if answer.status in statuses:
            return answer
        text = f"the SMS API refused: {_reason(answer)}"
        match answer.status:
            case 401:
                raise AuthenticationError(text, hint="check sms.service_plan_id, its API token and sms.region")
            case 403:
                raise ForbiddenError(text)
            case 404:
                raise NotFoundError(text, hint="check sms.service_plan_id and sms.region")
            case 429:
                raise PlatformError(text, hint="try again in a moment", status=answer.status)
            case _:
                raise PlatformError(text, status=answer.status)


def _reason(answer: HttpAnswer) -> str:
    """``{"code", "text"}`` of a refusal, or its status."""
    try:
        record = Record.parse(answer.body)
        return record.optional_text("text", limit=500) or record.optional_text("code", limit=100) or f"HTTP {answer.status}"
    except RemoteProtocolError:
        return f"HTTP {answer.status}"
