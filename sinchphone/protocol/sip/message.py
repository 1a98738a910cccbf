"""SIP messages: bytes to values and back (RFC 3261 7, 18.3, 20; RFC 4475 for what must be borne). The one file that knows ``sipmessage``.

::

    bytes -> read_message -> Request | Response -> bytes(message)
                 \\-> MalformedRequestError: what can't be understood, with enough of it to answer 400

Headers keep their text; what is asked for often is read by properties. A message that was read has every header that RFC 3261
wants, once and readable: Via, From, To, Call-ID, CSeq; only then is it a ``Request`` or a ``Response``.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Final, Self, TypeAlias

import sipmessage

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.sip.bodies import MessageBody, read_body
from sinchphone.protocol.sip.framing import FOLD, MAX_HEADER_BYTES
from sinchphone.protocol.sip.statuses import REASONS
from sinchphone.protocol.sip.uri import (
    SipAddress,
    SipUri,
    clean,
    parse_address,
    parse_uri,
    split_outside,
)
from sinchphone.protocol.sip.via import Via, parse_via
from sinchphone.quick_dataclass import quick_dataclass

HeaderLines: TypeAlias = tuple[tuple[str, str], ...]

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 256
MAX_FORWARDS: Final = 70  # RFC 3261 8.1.1.6
MAX_VIAS: Final = MAX_FORWARDS
MAX_ROUTES: Final = 32
MAX_CSEQ: Final = 2**31 - 1  # RFC 3261 8.1.1.5
_REQUEST_LINE: Final = re.compile(r"([A-Za-z0-9.!%*_+`'~-]{1,64}) (\S+) SIP/([0-9]{1,3}\.[0-9]{1,3})", re.IGNORECASE)
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9])(?: ([^\r\n]*))?", re.IGNORECASE)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_NOWHERE: Final = SipUri("sip", None, "invalid")
_ONCE: Final = ("From", "To", "Call-ID", "CSeq")
_AT_MOST_ONCE: Final = ("Max-Forwards", "Content-Type", "Content-Length", "Expires", "RSeq", "RAck", "Session-Expires")


@quick_dataclass(frozen=True, slots=True)
class CSeq:
    """A request's number in its dialog, and its method."""

    number: int
    method: str


@quick_dataclass(frozen=True, slots=True)
class _Fields:
    """What requests and responses share."""

    headers: HeaderLines
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """The text of every header of that name."""
        lower = name.lower()
        return [value for key, value in self.headers if key.lower() == lower]

    def first(self, name: str) -> str | None:
        """The text of the first header of that name."""
        return next(iter(self.all(name)), None)

    def values(self, name: str) -> list[str]:
        """The values of a header that is a list, over several lines or commas."""
        return [value for line in self.all(name) for value in split_outside(line, ",")]

    def tokens(self, name: str) -> set[str]:
        """The option tags, methods or the like in a header, in lower case."""
        return {value.lower() for value in self.values(name)}

    def number(self, name: str) -> int | None:
        """The number that a header begins with; None where it's absent or unreadable."""
        match = _DIGITS.match((self.first(name) or "").strip())
        return int(match[0]) if match else None

    def with_header(self, name: str, *values: str) -> Self:
        """The same message with that header replaced, in its place or at the end; without values it's taken away."""
        lower = name.lower()
        place = next((index for index, (key, _) in enumerate(self.headers) if key.lower() == lower), len(self.headers))
        rest = [(key, value) for key, value in self.headers if key.lower() != lower]
        rest[place:place] = [(name, value) for value in values]
        return replace(self, headers=tuple(rest))

    @property
    def vias(self) -> list[Via]:
        """Every Via, the topmost first."""
        return [parse_via(value) for value in self.values("Via")]

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return parse_via(split_outside(self.first("Via") or "", ",")[0])

    def with_via(self, via: Via) -> Self:
        """The same message with another topmost Via."""
        return self.with_header("Via", str(via), *self.values("Via")[1:])

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return (self.first("Call-ID") or "").strip()

    @property
    def cseq(self) -> CSeq:
        """CSeq."""
        return _parse_cseq(self.first("CSeq") or "")

    @property
    def sender(self) -> SipAddress:
        """From."""
        return parse_address(self.first("From") or "")

    @property
    def recipient(self) -> SipAddress:
        """To."""
        return parse_address(self.first("To") or "")

    @property
    def contacts(self) -> list[SipAddress]:
        """Every Contact that can be read; ``*`` is none."""
        return self.addresses("Contact")

    def addresses(self, name: str) -> list[SipAddress]:
        """Every address in a header that can be read."""
        found = []
        for value in self.values(name):
            try:
                found.append(parse_address(value))
            except RemoteProtocolError:
                continue
        return found

    @property
    def content_type(self) -> str:
        """The media type, in lower case, without parameters; empty where there is none."""
        return _media_type(self.first("Content-Type") or "")

    @property
    def sdp(self) -> str | None:
        """The session description in the body, where there is one."""
        found = self._read_body.sdp
        return None if found is None else found.decode("utf-8", "replace")

    @property
    def has_unknown_body(self) -> bool:
        """Whether the body has something that must be understood and isn't a session description (RFC 5621 3.2: 415)."""
        return not self._read_body.is_understood

    @property
    def _read_body(self) -> MessageBody:
        return read_body(self.first("Content-Type") or "", self.body, self.first("Content-Disposition") or "")

    def with_body(self, content_type: str, body: bytes) -> Self:
        """The same message with that body."""
        return replace(self.with_header("Content-Type", content_type), body=body)

    def _lines(self, start: str) -> bytes:
        kept = [(key, value) for key, value in self.headers if key.lower() != "content-length"]
        lines = [start, *(f"{key}: {value}" for key, value in kept), f"Content-Length: {len(self.body)}"]
        if any("\r" in line or "\n" in line for line in lines):
            raise LocalProtocolError("a SIP header of ours has a line break")
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + self.body


@quick_dataclass(frozen=True, slots=True)
class Request(_Fields):
    """A request. ``uri`` is where it wants to go."""

    method: str = ""
    uri: SipUri = _NOWHERE

    def __bytes__(self) -> bytes:
        return self._lines(f"{self.method} {self.uri} SIP/2.0")


@quick_dataclass(frozen=True, slots=True)
class Response(_Fields):
    """A response. ``status`` is 100 to 699."""

    status: int = 0
    reason: str = ""

    def __bytes__(self) -> bytes:
        return self._lines(f"SIP/2.0 {self.status} {self.reason}")

    @property
    def is_provisional(self) -> bool:
        """1xx."""
        return self.status < 200

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300


SipMessage: TypeAlias = Request | Response


class MalformedRequestError(RemoteProtocolError):
    """A request that can't be served. ``request`` is enough to answer it with ``status``; None where even that isn't there."""

    def __init__(self, message: str, status: int = 400, request: Request | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request = request


def read_message(data: bytes, *, is_stream: bool = False) -> SipMessage:
    """One whole message. Raises MalformedRequestError for a request that isn't well formed, RemoteProtocolError for anything else.

    In a datagram, what follows the body that Content-Length counts is cut off (RFC 3261 18.3).
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError("a SIP message is too long")
    head, separator, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not separator or len(head) > MAX_HEADER_BYTES:
        raise RemoteProtocolError("a SIP message has no end of its headers")
    start, _, block = FOLD.sub(b" ", head).partition(b"\r\n")
    line = start.decode("utf-8", "surrogateescape")
    if (status := _STATUS_LINE.fullmatch(line)) is not None:
        response = Response(_read_headers(block), body, int(status[1]), clean((status[2] or "").strip()))
        if fault := _fault(response):
            raise RemoteProtocolError(fault)
        return replace(response, body=_cut(response, is_stream=is_stream))
    return _read_request(line, block, body, is_stream=is_stream)


def _read_request(line: str, block: bytes, body: bytes, *, is_stream: bool) -> Request:
    match = re.match(r"([A-Za-z0-9.!%*_+`'~-]{1,64})\s", line)
    if match is None or "SIP/" not in line.upper():
        raise RemoteProtocolError("that's no SIP message")
    request = Request(_read_headers(block), body, match[1])
    answerable = request if _is_answerable(request) else None
    whole = _REQUEST_LINE.fullmatch(line)
    if whole is None:
        raise MalformedRequestError("a SIP request line can't be read", 400, answerable)
    if whole[3] != "2.0":
        raise MalformedRequestError("a SIP request has another version", 505, answerable)
    try:
        request = replace(request, uri=parse_uri(whole[2]))
        if fault := _fault(request) or _request_fault(request):
            raise MalformedRequestError(fault, 400, answerable)
        return replace(request, body=_cut(request, is_stream=is_stream))
    except MalformedRequestError:
        raise
    except RemoteProtocolError as error:
        raise MalformedRequestError(str(error), 400, answerable) from error


def _read_headers(block: bytes) -> HeaderLines:
    """Header lines with long names. ``sipmessage`` takes no spaces before the colon and nothing but UTF-8: both are seen to first."""
    lines = block.decode("utf-8", "surrogateescape").split("\r\n") if block else []
    if len(lines) > MAX_HEADERS:
        raise RemoteProtocolError("a SIP message has too many headers")
    neat = []
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip()
        if not colon or not _HEADER_NAME.fullmatch(name) or any(mark in value for mark in "\r\n\x00"):
            raise RemoteProtocolError("a SIP header can't be read")
        neat.append(f"{name}:{_escape(value)}")
    try:
        parsed = sipmessage.Message.parse("\r\n".join(["SIP/2.0 200 OK", *neat, "", ""]).encode())
    except (ValueError, TypeError) as error:
        raise RemoteProtocolError("the headers of a SIP message can't be read") from error
    return tuple((name, _unescape(value)) for name in parsed.headers.keys() for value in parsed.headers.getlist(name))  # noqa: SIM118 - no dict


def _escape(text: str) -> str:
    """Bytes that aren't UTF-8, moved to a private plane, so that they survive until the message is written again."""
    return text if text.isascii() else "".join(chr(ord(one) + 0x100000 - 0xDC00) if 0xDC80 <= ord(one) <= 0xDCFF else one for one in text)


def _unescape(text: str) -> str:
    return (
        text if text.isascii() else "".join(chr(ord(one) - 0x100000 + 0xDC00) if 0x100080 <= ord(one) <= 0x1000FF else one for one in text)
    )


def _fault(message: SipMessage) -> str:
    """What is wrong with the headers that every message has; empty where nothing is."""
    for name in _ONCE:
        if len(message.all(name)) != 1:
            return f"a SIP message needs one {name}"
    for name in _AT_MOST_ONCE:
        if len(message.all(name)) > 1:
            return f"a SIP message has several {name}"
    try:
        vias, cseq = message.vias, message.cseq
        readable = bool(message.sender and message.recipient)
        routes = [parse_address(value) for value in message.values("Record-Route")]
    except RemoteProtocolError as error:
        return str(error)
    if not readable or not 0 < len(vias) <= MAX_VIAS or len(routes) > MAX_ROUTES:
        return "a SIP message needs a Via, and not too many of them or of routes"
    if not message.call_id or len(message.call_id) > 512 or cseq.number > MAX_CSEQ:
        return "a SIP message has a Call-ID or a CSeq that can't be"
    return ""


def _request_fault(request: Request) -> str:
    if request.cseq.method != request.method:
        return "a SIP request has another method in its CSeq"
    for name in ("Max-Forwards", "Content-Length", "Expires"):
        text = request.first(name)
        if text is not None and not (_DIGITS.fullmatch(text.strip()) or name == "Expires"):
            return f"a SIP request has a {name} that is no number"
    if request.method in ("INVITE", "SUBSCRIBE") and len(request.values("Contact")) > 1:
        return "a SIP request has several Contacts"
    return ""


def _is_answerable(request: Request) -> bool:
    try:
        return bool(request.via and request.sender and request.recipient and request.call_id and request.first("CSeq"))
    except (RemoteProtocolError, IndexError):
        return False


def _cut(message: SipMessage, *, is_stream: bool) -> bytes:
    """The body, as long as Content-Length says."""
    length = message.number("Content-Length")
    if length is None or is_stream:
        return message.body
    if length > len(message.body):
        raise RemoteProtocolError("a SIP message is shorter than it says")
    return message.body[:length]


@lru_cache(maxsize=256)
def _parse_cseq(text: str) -> CSeq:
    if len(text) > 128:
        raise RemoteProtocolError("a CSeq is too long")
    try:
        parsed = sipmessage.CSeq.parse(text)
    except ValueError as error:
        raise RemoteProtocolError("a CSeq can't be read") from error
    if not text.isascii() or len(str(parsed.sequence)) > 10:
        raise RemoteProtocolError("a CSeq can't be read")
    return CSeq(parsed.sequence, parsed.method)


@lru_cache(maxsize=256)
def _media_type(text: str) -> str:
    if not text or len(text) > 512:
        return ""
    try:
        return sipmessage.MediaType.parse(text).mime_type.lower()
    except (ValueError, TypeError):
        return text.split(";", maxsplit=1)[0].strip().lower()


def respond(request: Request, status: int, *, reason: str = "", tag: str = "", headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A response with what it must copy (RFC 3261 8.2.6.2). ``tag`` goes into a To that has none."""
    recipient = request.first("To") or ""
    if tag and status != 100 and not request.recipient.tag:
        recipient = f"{recipient};tag={tag}"
    copied = [("Via", value) for value in request.values("Via")]
    copied += [
        ("From", request.first("From") or ""),
        ("To", recipient),
        ("Call-ID", request.call_id),
        ("CSeq", request.first("CSeq") or ""),
    ]
    if status == 100 and (stamp := request.first("Timestamp")) is not None:
        copied.append(("Timestamp", stamp))
    phrase = reason or REASONS.get(status) or REASONS.get(status // 100 * 100, "")
    return Response((*copied, *headers), b"", status, re.sub(r"[\x00-\x1f\x7f]", " ", phrase))
