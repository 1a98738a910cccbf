"""What a program reads of its own exchange's record: calls, their events, capture files."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sinchphone.errors import NotFoundError, PlatformError, RemoteProtocolError
from sinchphone.exchange.management_paths import TRACED_CALLS_PATH
from sinchphone.exchange.tracing.summaries import CallSummary
from sinchphone.local.signed_requests import MOST_BYTES, SignedRequests
from sinchphone.protocol.trace.event import TraceEvent
from sinchphone.quick_dataclass import quick_dataclass

Told = TypeVar("Told")

_MOST_CAPTURE_BYTES: Final = 256 * 1024 * 1024  # all that a record may have, sound included, fits twice
_TRACE_SECONDS: Final = 20.0  # a long call takes a while to be put together


@quick_dataclass(frozen=True, slots=True)
class ExchangeTraces:
    """Asks one exchange. Methods raise NetworkError and PlatformError, and are safe to cancel."""

    requests: SignedRequests

    async def calls(self) -> list[CallSummary]:
        """The calls that the record has, the newest first."""
        members = _object(await self.requests.ask("GET", TRACED_CALLS_PATH))
        return [_read(CallSummary.from_json, one) for one in members.get("calls", [])]

    async def call(self, name: str) -> tuple[CallSummary, list[TraceEvent]]:
        """A call and its events. ``name``: its id, the beginning of it, or "last". Raises NotFoundError."""
        members = _object(await self._ask_about(name))
        events = [_read(TraceEvent.from_json, one) for one in members.get("events", [])]
        return _read(CallSummary.from_json, members.get("call")), events

    async def capture(self, name: str) -> bytes:
        """The same as a capture file (pcapng), with the sound where the exchange keeps it. Raises NotFoundError."""
        return await self._ask_about(name, "/capture", most_bytes=_MOST_CAPTURE_BYTES)

    async def _ask_about(self, name: str, what: str = "", most_bytes: int = MOST_BYTES) -> bytes:
        try:
            return await self.requests.ask(
                "GET", f"{TRACED_CALLS_PATH}/{quote(name, safe='')}{what}", seconds=_TRACE_SECONDS, most_bytes=most_bytes
            )
        except NotFoundError as error:
            raise NotFoundError(str(error), hint="sinchphone trace lists the calls that it has") from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body)
    except ValueError as error:
        raise PlatformError("the exchange's record can't be read") from error
    if not isinstance(members, dict):
        raise PlatformError("the exchange's record can't be read: it's no object")
    return members


def _read(read: Callable[[object], Told], value: object) -> Told:
    try:
        return read(value)
    except RemoteProtocolError as error:
        raise PlatformError(f"the exchange's record can't be read: {error}") from error
