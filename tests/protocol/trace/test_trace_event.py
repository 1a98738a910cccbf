"""An event as JSON, read again."""

from typing import Any

import pytest

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.trace.event import Route, TraceEvent, TraceKind

EVENT = TraceEvent(
    seq=1,
    at=1_700_000_000.5,
    kind=TraceKind.SIP,
    call="c",
    source="ada",
    target="bob",
    summary="said",
    route=Route(transport="udp", source="127.0.0.1:5060", target="127.0.0.1:5062"),
)


def test_what_is_written_is_read_again() -> None:
    assert TraceEvent.from_json(EVENT.to_json()) == EVENT


@pytest.mark.parametrize(
    "odd",
    [{"seq": float("inf")}, {"at": 10**400}, {"at": None}, {"kind": "fax"}, {"route": "udp"}, {"route": {}}],
    ids=["endless number", "endless time", "no time", "kind", "route", "empty route"],
)
def test_what_is_no_event_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        TraceEvent.from_json({**EVENT.to_json(), **odd})
