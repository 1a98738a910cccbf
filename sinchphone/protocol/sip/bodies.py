"""Bodies of SIP messages: the session description, alone or among other parts, and whether the rest may be ignored (RFC 5621).

::

    multipart/mixed         every part is read; one that we don't know may be ignored where it says handling=optional
    multipart/alternative   the last part that we know
"""

import binascii
import re
from typing import Final

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.uri import parse_parameters
from sinchphone.quick_dataclass import quick_dataclass

SDP: Final = "application/sdp"
ACCEPTED: Final = f"{SDP}, multipart/mixed, multipart/alternative"  # as the Accept header of a refusal says it
MAX_PARTS: Final = 16  # of one body, however they are nested
_MAX_DEPTH: Final = 4
_MAX_VALUE: Final = 512
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046 5.1.1
_END_OF_HEADERS: Final = re.compile(rb"\r?\n\r?\n")
_FOLDED: Final = re.compile(rb"\r?\n[ \t]+")


@quick_dataclass(frozen=True, slots=True)
class MessageBody:
    """What a body says. ``is_understood``: nothing in it has to be known that isn't."""

    sdp: bytes | None
    is_understood: bool


_EMPTY: Final = MessageBody(None, is_understood=True)
_UNKNOWN: Final = MessageBody(None, is_understood=False)


def read_body(content_type: str, content: bytes, disposition: str = "") -> MessageBody:
    """What a body of that Content-Type and Content-Disposition says. A part of too many, or of a broken body, isn't understood."""
    return _Reader().read(content_type, content, disposition, 0) if content.strip() else _EMPTY


class _Reader:
    """Counts the parts of one body."""

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def read(self, content_type: str, content: bytes, disposition: str, depth: int) -> MessageBody:
        word, parameters = _split(disposition)
        body = self._read(content_type, content, word, depth)
        optional = parameters.get("handling", "").lower() == "optional"  # RFC 3261 20.11: else it's required
        return _EMPTY if optional and not body.is_understood else body

    def _read(self, content_type: str, content: bytes, disposition: str, depth: int) -> MessageBody:
        kind, parameters = _split(content_type)
        if kind == SDP and disposition in ("", "session"):
            return MessageBody(content if content.strip() else None, is_understood=True)
        boundary = parameters.get("boundary", "")
        if not kind.startswith("multipart/") or depth >= _MAX_DEPTH or not _BOUNDARY.fullmatch(boundary):
            return _UNKNOWN
        parts = _parts(content, boundary.encode(), self._left)
        if not parts:
            return _UNKNOWN
        self._left -= len(parts)
        read = [self._part(part, depth + 1) for part in parts]
        if kind == "multipart/alternative":
            return next((one for one in reversed(read) if one.is_understood), _UNKNOWN)
        sdp = next((one.sdp for one in read if one.sdp is not None), None)
        return MessageBody(sdp, is_understood=all(one.is_understood for one in read))

    def _part(self, part: bytes, depth: int) -> MessageBody:
        found = _END_OF_HEADERS.search(b"\r\n" + part)
        if found is None:
            return _UNKNOWN
        headers = _headers(part[: max(0, found.start() - 2)])
        content = _decoded(part[found.end() - 2 :], headers.get("content-transfer-encoding", "").lower())
        kind = "" if content is None else headers.get("content-type", "text/plain")
        return self.read(kind, content or b"", headers.get("content-disposition", ""), depth)


def _parts(content: bytes, boundary: bytes, most: int) -> list[bytes] | None:
    """What stands between the delimiters; ``None`` for too many, or where the last one is missing."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[bytes] = []
    begin: int | None = None
    for match in delimiter.finditer(content):
        if begin is not None:
            parts.append(content[begin : match.start()].removeprefix(b"\r").removeprefix(b"\n"))
        if match[1]:
            return parts
        if len(parts) >= most:
            return None
        begin = match.end()
    return None


def _headers(block: bytes) -> dict[str, str]:
    lines = _FOLDED.sub(b" ", block).decode("utf-8", "replace").split("\n")
    split = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in split}


def _decoded(content: bytes, encoding: str) -> bytes | None:
    """The content of a part; ``None`` for an encoding that we don't know."""
    try:
        match encoding:
            case "" | "7bit" | "8bit" | "binary":
                return content
            case "base64":
                return binascii.a2b_base64(content)
            case "quoted-printable":
                return binascii.a2b_qp(content)
            case _:
                return None
    except binascii.Error:
        return None


def _split(value: str) -> tuple[str, dict[str, str]]:
    """A value in lower case, and its parameters; without them where they can't be read."""
    if len(value) > _MAX_VALUE:
        return "", {}
    word, _, rest = value.partition(";")
    try:
        parameters = parse_parameters(f";{rest}")
    except RemoteProtocolError:
        parameters = ()
    return word.strip().lower(), {name: text or "" for name, text in parameters}
