"""The REST API of numbers (Sinch Voice REST, applications): which numbers are an application's, and what a number is.

::

    GET, POST, DELETE /v1/configuration/numbers     -> the numbers that calls and text messages come for
    GET               /v1/calling/query/number/{n}  -> its country, its kind, what a call to it would cost: nothing
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from sinchphone.errors import DestinationError
from sinchphone.exchange.refusals import forbidden, invalid, not_found
from sinchphone.exchange.voice_api.assigned_numbers import AssignedNumbers, Capability
from sinchphone.exchange.voice_api.backend_requests import BackendRequest, BackendRequests
from sinchphone.protocol.phone_numbers import country_of, kind_of, read_number
from sinchphone.protocol.voice_limits import FREE
from sinchphone.signaling.fields import Record

CONFIGURATION_ROOTS: Final = ("/v1/configuration", "/calling/v1/configuration")
QUERY_ROOTS: Final = ("/v1/calling/query", "/calling/v1/calling/query", "/calling/v1/query")
MAX_NUMBERS: Final = 100  # of one request


class NumberRoutes:
    """The routes of one exchange."""

    def __init__(self, numbers: AssignedNumbers, requests: BackendRequests) -> None:
        self._numbers = numbers
        self._requests = requests

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes, as the SDKs send them and beside the rest of the calling API."""
        for root in CONFIGURATION_ROOTS:
            router.add_get(f"{root}/numbers", self._requests.route(self._list))
            router.add_post(f"{root}/numbers", self._requests.route(self._assign))
            router.add_delete(f"{root}/numbers", self._requests.route(self._unassign))
        for root in QUERY_ROOTS:
            router.add_get(f"{root}/number/{{number}}", self._requests.route(self._query))

    async def _list(self, request: BackendRequest) -> Mapping[str, object]:
        key = request.application.key
        return {"numbers": [_members(number, key, kind) for number, kind in self._numbers.of(key)]}

    async def _assign(self, request: BackendRequest) -> Mapping[str, object]:
        asked = Record.parse(request.body)
        _check_application(request, asked)
        numbers = [_read(text, "numbers") for text in asked.texts("numbers")]
        if not 1 <= len(numbers) <= MAX_NUMBERS:
            raise invalid(f"numbers: they should be 1 to {MAX_NUMBERS}")
        await self._numbers.assign(request.application.key, numbers, _capability(asked) or Capability.VOICE)
        return {}

    async def _unassign(self, request: BackendRequest) -> Mapping[str, object]:
        asked = Record.parse(request.body)
        _check_application(request, asked)
        if not await self._numbers.unassign(request.application.key, _read(asked.text("number", limit=64), "number"), _capability(asked)):
            raise not_found("number: it isn't this application's")
        return {}

    async def _query(self, request: BackendRequest) -> Mapping[str, object]:
        number = _read(request.named["number"], "number")
        facts = {"countryId": country_of(number) or "", "numberType": kind_of(number).value}
        return {"number": facts | {"normalizedNumber": number, "restricted": False, "rate": FREE}}


def _check_application(request: BackendRequest, asked: Record) -> None:
    named = asked.optional_text("applicationkey")
    if named is not None and named != request.application.key:
        raise forbidden("applicationkey: an application sets its own numbers only")


def _capability(asked: Record) -> Capability | None:
    text = asked.optional_text("capability", limit=16)
    try:
        return Capability(text.lower()) if text is not None else None
    except ValueError as error:
        raise asked.odd("capability", "voice or sms") from error


def _read(text: str, name: str) -> str:
    try:
        return read_number(text if text.lstrip().startswith("+") else f"+{text.strip()}")
    except DestinationError as error:
        raise invalid(f"{name}: {error}") from error


def _members(number: str, application: str, kind: Capability) -> dict[str, str]:
    return {"number": number, "applicationkey": application, "capability": kind.value}
