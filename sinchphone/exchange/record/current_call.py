"""Which call the work is about that runs now: log lines say it (``--log-format json``). Tasks that this work starts inherit it."""

from contextvars import ContextVar
from typing import Final

current_call: Final[ContextVar[str]] = ContextVar("current_call", default="")
