"""Facts become events: what a fact says, decrypted where the exchange knows the key, put together from its pieces, with stars for secrets.

::

    RestFact, CallbackFact -> two events: asked, answered          PublishedFact -> one where a message is complete, else none
    SipFact, Note          -> one
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, assert_never

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.exchange.record.facts import CallbackFact, Fact, Note, PublishedFact, RestFact, SipFact
from sinchphone.exchange.tracing.names import BACKEND, EXCHANGE, Names
from sinchphone.hosts import join_host
from sinchphone.protocol.mxp.instant import is_receipt, is_text
from sinchphone.protocol.mxp.message import BodyType, Message, Method, Reassembler, decrypt, parse_fragment, to_json
from sinchphone.protocol.trace.event import Route, TraceEvent, TraceKind
from sinchphone.protocol.trace.secrets import mask_body, mask_headers, mask_sip, mask_text, mask_value

MAX_SUMMARY_CHARACTERS: Final = 160
_LONGEST_PART: Final = 20  # of a path
_MAX_CHANNELS: Final = 256  # on which messages may be incomplete at a time

Keys: TypeAlias = Callable[[PublishedFact, str, str | None], Iterable[bytes]]  # fact, session, transport -> the keys to try


class Renderer:
    """Makes events of facts, which must come in the order in which they happened: it remembers incomplete messages."""

    def __init__(self, names: Names, keys: Keys) -> None:
        self._names = names
        self._keys = keys
        self._incomplete: dict[str, Reassembler] = {}  # by channel

    def render(self, fact: Fact, call: str | None) -> list[TraceEvent]:
        """The events that a fact is, ``call`` being the id of the call that it belongs to."""
        match fact:
            case RestFact():
                return self._rest(fact, call)
            case PublishedFact():
                return self._published(fact, call)
            case SipFact():
                return [_sip(fact, call)]
            case CallbackFact():
                return _callback(fact, call)
            case Note():
                kind = TraceKind.CALL if fact.about == "call" else TraceKind.MEDIA
                return [_event(fact.seq, fact.at, kind, call, fact.source, fact.target, fact.text, is_failure=fact.is_failure)]
            case _:
                assert_never(fact)

    def _rest(self, fact: RestFact, call: str | None) -> list[TraceEvent]:
        who, path = self._names.requester(fact), mask_text(fact.path)
        route, back = (
            Route(transport="tcp", source=fact.remote, target=fact.local),
            Route(transport="tcp", source=fact.local, target=fact.remote),
        )
        headers = mask_headers((_text(name), _text(value)) for name, value in fact.headers)
        shown = _shortened(path.partition("?")[0])
        asked = _http(f"{fact.method} {path} HTTP/1.1", headers, fact.body)
        answered = _http(f"HTTP/1.1 {fact.status}", [], fact.answer)
        took = f"{fact.status} {fact.method} {shown} ({1000 * (fact.at - fact.began_at):.0f} ms)"
        return [
            _event(fact.seq, fact.began_at, TraceKind.REST, call, who, EXCHANGE, f"{fact.method} {shown}", asked, route=route),
            _event(
                fact.answered_seq, fact.at, TraceKind.REST, call, EXCHANGE, who, took, answered, is_failure=fact.status >= 400, route=back
            ),
        ]

    def _published(self, fact: PublishedFact, call: str | None) -> list[TraceEvent]:
        source, target = self._names.publisher(fact), self._names.reader(fact)
        try:
            fragment = parse_fragment(fact.payload)
        except RemoteProtocolError:
            body = json.dumps(mask_value(fact.payload), ensure_ascii=False)
            return [_event(fact.seq, fact.at, TraceKind.PUBSUB, call, source, target, f"{fact.size} bytes that are no message", body)]
        payload = self._reassembler(fact.channel).push(fragment, fact.at)
        if payload is None:
            return []
        message = _decrypted(payload, self._keys(fact, fragment.session_id, fragment.transport_id))
        if message is None:
            summary, body = f"encrypted, {len(payload)} bytes", ""
        else:
            summary, body = _summary(message), mask_body(to_json(message))
        return [_event(fact.seq, fact.at, TraceKind.PUBSUB, call, source, target, summary, body, is_failure=_is_failure(message))]

    def _reassembler(self, channel: str) -> Reassembler:
        if channel not in self._incomplete:
            while len(self._incomplete) >= _MAX_CHANNELS:
                del self._incomplete[next(iter(self._incomplete))]
            self._incomplete[channel] = Reassembler()
        return self._incomplete[channel]


def _shortened(path: str) -> str:
    """A path with its long ids cut: all of them are in the request itself."""
    return "/".join(part if len(part) <= _LONGEST_PART else f"{part[:8]}…" for part in path.split("/"))


def _decrypted(payload: str, keys: Iterable[bytes]) -> Message | None:
    for key in keys:
        try:
            return decrypt(payload, key)
        except (RemoteProtocolError, LocalProtocolError):
            continue
    return None


def _summary(message: Message) -> str:
    """What a message says, in a few words: its method, and what it carries."""
    if is_text(message):
        return f"message: {_member(message.body, 't')}"
    if is_receipt(message):
        return "message delivered"
    name = message.method.name.replace("_", " ")
    return f"{name} {_carried(message)}".strip()


def _carried(message: Message) -> str:
    if message.method in (Method.ERROR, Method.DENY):
        return _member(message.body, "message")
    if "sdp" in message.headers:
        return _member(message.headers["sdp"], "type") or "sdp"
    if message.body_type == BodyType.SDP:
        return "candidate" if _member(message.body, "candidate") else _member(message.body, "type") or "end of candidates"
    return "" if message.body_type in (BodyType.NONE, BodyType.CLIENT) else message.body_type


def _member(text: str, name: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


def _is_failure(message: Message | None) -> bool:
    return message is not None and message.method in (Method.ERROR, Method.DENY)


def _sip(fact: SipFact, call: str | None) -> TraceEvent:
    text = mask_sip(fact.data.decode(errors="replace"))
    first = text.partition("\r\n")[0].partition("\n")[0]
    remote, local = join_host(*fact.remote), join_host(*fact.local)
    them = f"sip {remote}"
    status = first.split(" ")[1] if first.startswith("SIP/2.0 ") and " " in first[8:] else ""
    summary = f"{first[8:]} ({_method(text)})" if first.startswith("SIP/2.0 ") else first.removesuffix(" SIP/2.0")
    source, target = (EXCHANGE, them) if fact.is_ours else (them, EXCHANGE)
    route = Route(transport=fact.transport, source=local, target=remote)
    if not fact.is_ours:
        route = Route(transport=fact.transport, source=remote, target=local)
    failed = status.isdecimal() and int(status) >= 400 and status not in ("401", "407")
    return _event(fact.seq, fact.at, TraceKind.SIP, call, source, target, summary, text, is_failure=failed, route=route)


def _method(sip: str) -> str:
    for line in sip.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "cseq":
            return value.split()[-1] if value.split() else ""
        if not line:
            break
    return "?"


def _callback(fact: CallbackFact, call: str | None) -> list[TraceEvent]:
    event, url = _member(_text(fact.body), "event") or "event", mask_text(fact.url)
    asked = _http(f"POST {url} HTTP/1.1", mask_headers(fact.headers), fact.body)
    answer = _answer(fact)
    failed = fact.status is None or not 200 <= fact.status <= 299 or bool(fact.failure)
    body = "" if fact.status is None else _http(f"HTTP/1.1 {fact.status}", [], fact.answer)
    return [
        _event(fact.seq, fact.began_at, TraceKind.CALLBACK, call, EXCHANGE, BACKEND, event.upper() if event != "dice" else "DiCE", asked),
        _event(fact.answered_seq, fact.at, TraceKind.CALLBACK, call, BACKEND, EXCHANGE, answer, body, is_failure=failed),
    ]


def _answer(fact: CallbackFact) -> str:
    """What a backend wants: the action's name and those of its instructions, or why there is none."""
    if fact.status is None:
        return f"no answer: {fact.failure}"
    try:
        svaml: Any = json.loads(fact.answer or b"{}")
        action = svaml.get("action") or {}
        names = [str(one.get("name")) for one in svaml.get("instructions") or [] if isinstance(one, dict)]
        said = ", ".join([*([str(action["name"])] if "name" in action else []), *names])
    except (ValueError, RecursionError, AttributeError, TypeError):
        said = "no SVAML"
    took = f"({1000 * (fact.at - fact.began_at):.0f} ms)"
    return " ".join(filter(None, (str(fact.status), said, took)))


def _http(first: str, headers: Iterable[tuple[str, str]], body: bytes) -> str:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{first}\r\n{lines}\r\n{mask_body(_text(body))}"


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"<{len(raw)} bytes>"


def _event(
    seq: int,
    at: float,
    kind: TraceKind,
    call: str | None,
    source: str,
    target: str,
    summary: str,
    body: str = "",
    *,
    is_failure: bool = False,
    route: Route | None = None,
) -> TraceEvent:
    said = mask_text(summary[: 8 * MAX_SUMMARY_CHARACTERS])
    return TraceEvent(
        seq=seq,
        at=at,
        kind=kind,
        call=call,
        source=source,
        target=target,
        summary=said if len(said) <= MAX_SUMMARY_CHARACTERS else f"{said[: MAX_SUMMARY_CHARACTERS - 1]}…",
        body=body,
        is_failure=is_failure,
        route=route,
    )
