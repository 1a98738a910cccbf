"""What is told of one event: who said what to whom, when, by which way. It is what the exchange's trace is made of, also as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, field
from enum import StrEnum
from typing import Any, Self

from sinchphone.errors import RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass


class TraceKind(StrEnum):
    """By which way something was said."""

    REST = "rest"
    PUBSUB = "pubsub"
    SIP = "sip"
    CALLBACK = "callback"
    MEDIA = "media"
    CALL = "call"  # what the exchange itself knows of the call's life


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Between which addresses a message went. ``transport``: udp, tcp or tls, whose content is told decrypted."""

    transport: str
    source: str  # host:port
    target: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One event. ``seq`` counts the exchange's events in the order in which they began; ``at`` [s since the epoch]; ``call`` is the id of
    the call that it belongs to. ``source`` and ``target`` are who people know: a user, ``exchange``, ``backend``, an address. What others
    wrote is in ``summary`` and ``body``, with stars for secrets: escape it before it's shown."""

    seq: int
    at: float
    kind: TraceKind
    call: str | None
    source: str
    target: str
    summary: str
    body: str = field(default="", repr=False)
    is_failure: bool = False
    route: Route | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``from_json`` reads it."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Raises RemoteProtocolError."""
        if not isinstance(value, dict):
            raise RemoteProtocolError("an event is an object")
        try:
            route = value["route"]
            return cls(
                seq=int(value["seq"]),
                at=float(value["at"]),
                kind=TraceKind(value["kind"]),
                call=value["call"] if value["call"] is None else str(value["call"]),
                source=str(value["source"]),
                target=str(value["target"]),
                summary=str(value["summary"]),
                body=str(value["body"]),
                is_failure=value["is_failure"] is True,
                route=None if route is None else _route(route),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RemoteProtocolError("an event of the exchange can't be read") from error


def _route(value: Mapping[str, Any]) -> Route:
    return Route(transport=str(value["transport"]), source=str(value["source"]), target=str(value["target"]))
