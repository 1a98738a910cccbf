"""Standard error for programs that collect logs (``log_format``): one JSON object a line, with the call that it is about.

::

    {"ts": "2026-11-29T09:32:23.120Z", "level": "warning", "message": "…", "logger": "sinchphone.…", "call": "…", "error": "Traceback …"}
"""

import json
import logging
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sinchphone.exchange.record.current_call import current_call

MAX_MESSAGE: Final = 8_000  # characters; a body of a request may be one
_LEVELS: Final = ("critical", "error", "warning", "debug")


def level_of(text: str) -> str:
    """The level that a line's first word names."""
    word = text.partition(" ")[0].rstrip(":")
    return word if word in _LEVELS else "info"


def write_object(text: str, facts: Mapping[str, str], now: float | None = None) -> str:
    """A line; ``facts`` stand beside the message, and may name the level. Empty ones are left out."""
    stamp = datetime.fromtimestamp(time.time() if now is None else now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"ts": stamp, "level": level_of(text), "message": text[:MAX_MESSAGE], **{name: fact for name, fact in facts.items() if fact}}
    return json.dumps(said, separators=(",", ":"))  # plain ASCII: nothing in it moves a cursor


def facts_of(record: logging.LogRecord, *, debug: bool) -> dict[str, str]:
    """What a log record says beside its message; with ``debug`` its traceback."""
    error = record.exc_info[1] if record.exc_info else None
    facts = {"level": record.levelname.lower(), "logger": record.name, "call": current_call.get()}
    return facts | {"error": trace(error) if debug else type(error).__name__} if error is not None else facts


def trace(error: BaseException) -> str:
    """The traceback of an error."""
    return "".join(traceback.format_exception(error))
