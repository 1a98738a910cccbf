"""``--json``: one JSON object a line on standard output, schema ``sinchphone.v1`` (``event_schema``)."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from sinchphone.cli.terminal.output.results import SCHEMA, Result

if TYPE_CHECKING:
    from sinchphone.cli.terminal.output.events.events import Event


class Report:
    """Writes events, numbered without gaps; after the result it writes nothing more."""

    def __init__(self, stream: TextIO, *, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        """``now`` gives seconds since the epoch, ``clock`` seconds that never go back."""
        self._stream = stream
        self._now = now
        self._clock = clock
        self._began = clock()
        self._seq = 0
        self._finished = False

    def tell(self, event: "Event") -> None:
        """Write one line at once. Raises BrokenPipeError where nobody reads any more."""
        if self._finished:
            return
        self._finished = isinstance(event, Result)
        stamp = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"schema": SCHEMA, "seq": self._seq, "ts": stamp, "t": round(self._clock() - self._began, 3), "event": event.NAME}
        self._seq += 1
        # Plain ASCII: no control character of a peer reaches a terminal through here either.
        self._stream.write(json.dumps(head | _plain(asdict(event)), separators=(",", ":"), allow_nan=False) + "\n")
        self._stream.flush()


def _plain(value: Any) -> Any:
    """JSON knows no infinity; digital silence is -inf dBFS and becomes null."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
