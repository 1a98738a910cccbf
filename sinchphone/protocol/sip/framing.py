"""SIP messages in a stream: where one ends and the next begins (RFC 3261 18.3, RFC 5626 3.5.1).

::

    bytes from TCP or TLS -> StreamFramer.push -> whole messages, PING where the peer asks whether we are there
"""

import re
from typing import Final, TypeAlias

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.quick_dataclass import quick_dataclass

PONG: Final = b"\r\n"  # the answer to a ping
_PING_BYTES: Final = b"\r\n\r\n"
_END_OF_HEADERS: Final = b"\r\n\r\n"
MAX_HEADER_BYTES: Final = 16 * 1024  # start line and headers
FOLD: Final = re.compile(rb"\r\n[ \t]+")
_LENGTH: Final = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_DIGITS: Final = re.compile(rb"[0-9]{1,10}")


@quick_dataclass(frozen=True, slots=True)
class Ping:
    """A keep-alive between messages: answer it with PONG (RFC 5626 4.4.1)."""


Framed: TypeAlias = bytes | Ping


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class FramingLimits:
    """What one message may have."""

    header_bytes: int = MAX_HEADER_BYTES
    body_bytes: int = 48 * 1024

    def __post_init__(self) -> None:
        """Raises LocalProtocolError."""
        if self.header_bytes < len(_END_OF_HEADERS) or self.body_bytes < 0:
            raise LocalProtocolError("a SIP message needs some room")


class StreamFramer:
    """Cuts one stream into messages. After a RemoteProtocolError the stream can't be understood any more: close it."""

    def __init__(self, limits: FramingLimits | None = None) -> None:
        self._limits = limits or FramingLimits()
        self._buffer = bytearray()
        self._searched = 0  # no end of headers begins before this
        self._whole: int | None = None  # length of the message whose headers are there

    @property
    def is_between_messages(self) -> bool:
        """Whether nothing of a message has come that isn't whole."""
        return not self._buffer.strip(b"\r\n")

    def push(self, data: bytes) -> list[Framed]:
        """What became whole with ``data``, in order.

        Raises RemoteProtocolError for headers or a body that are too long, and for headers without one clear Content-Length.
        """
        self._buffer += data
        framed: list[Framed] = []
        while (one := self._next()) is not None:
            framed.append(one)
        return framed

    def _next(self) -> Framed | None:
        if self._whole is None:
            if self._buffer.startswith(_PING_BYTES):
                del self._buffer[: len(_PING_BYTES)]
                return Ping()
            if _PING_BYTES.startswith(bytes(self._buffer[: len(_PING_BYTES)])):
                return None  # nothing, a pong, or half of a ping
            while self._buffer and self._buffer[0] in PONG:  # line ends before a message mean nothing (RFC 3261 7.5)
                del self._buffer[0]
            self._whole = self._measure()
        if self._whole is None or len(self._buffer) < self._whole:
            return None
        message = bytes(self._buffer[: self._whole])
        del self._buffer[: self._whole]
        self._whole, self._searched = None, 0
        return message

    def _measure(self) -> int | None:
        """Length of the message at the front; None as long as its headers aren't there."""
        end = self._buffer.find(_END_OF_HEADERS, self._searched, self._limits.header_bytes)
        if end < 0:
            if len(self._buffer) >= self._limits.header_bytes:
                raise RemoteProtocolError("the headers of a SIP message are too long")
            self._searched = max(0, len(self._buffer) - len(_END_OF_HEADERS) + 1)
            return None
        body = _content_length(bytes(self._buffer[:end]))
        if body > self._limits.body_bytes:
            raise RemoteProtocolError("the body of a SIP message is too long")
        return end + len(_END_OF_HEADERS) + body


def _content_length(headers: bytes) -> int:
    """The one Content-Length. Raises RemoteProtocolError: a stream has no other way to tell where a message ends."""
    values = {value.strip() for value in _LENGTH.findall(FOLD.sub(b" ", headers))}
    if len(values) != 1:
        raise RemoteProtocolError("a SIP message in a stream needs one Content-Length")
    value = values.pop()
    if not _DIGITS.fullmatch(value):
        raise RemoteProtocolError("a SIP message has a Content-Length that isn't a number")
    return int(value)
