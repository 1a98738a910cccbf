"""What the record is told of one callback, however it ends."""

import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from sinchphone.exchange.record.record import EventRecord


class CallbackTelling:
    """Goes around one request to a backend. ``status`` and ``answer`` are set as they come."""

    def __init__(self, record: EventRecord, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self._record = record
        self._url = url
        self._headers = tuple(headers.items())
        self._body = body
        self.status: int | None = None
        self.answer = b""

    def __enter__(self) -> Self:
        self._seq, self._began_at = self._record.tick(), time.time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._record.callback_counts.note(time.time() - self._began_at, failed=error is not None)
        if self._record.is_on:
            self._record.callback(
                _call_id(self._body),
                self._seq,
                self._began_at,
                url=self._url,
                headers=self._headers,
                body=self._body,
                status=self.status,
                answer=self.answer,
                failure=str(error) if error is not None else "",
            )


def _call_id(body: bytes) -> str | None:
    """The call that an event is about; ``None`` where it's about none (a verification)."""
    try:
        event = json.loads(body)
    except ValueError:
        return None
    found = event.get("callid") if isinstance(event, dict) else None
    return found if isinstance(found, str) else None
