"""SIP URIs and the addresses around them, read liberally (RFC 3261 19.1, 20.10, 25.1; RFC 3966 for ``tel:``)."""

import ipaddress
import re
from dataclasses import field, replace
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

from sinchphone.errors import RemoteProtocolError
from sinchphone.hosts import join_host
from sinchphone.protocol.phone_numbers import global_number, subscriber
from sinchphone.quick_dataclass import quick_dataclass

Parameters: TypeAlias = tuple[tuple[str, str | None], ...]

MAX_URI_CHARACTERS: Final = 2048
MAX_ADDRESS_CHARACTERS: Final = 4096
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}")
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?")
_TOKEN: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f<>\"]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_USER_SAFE: Final = "-_.!~*'()&=+$,;?/"  # unreserved and user-unreserved
_PARAMETER_SAFE: Final = "-_.!~*'()[]/:&+$"  # unreserved and param-unreserved


def parameter_of(parameters: Parameters, name: str) -> str | None:
    """The value of a parameter; an empty text where it has none."""
    return next((value or "" for key, value in parameters if key == name), None)


@quick_dataclass(frozen=True, slots=True)
class SipUri:
    """A ``sip:``, ``sips:`` or ``tel:`` URI; any other scheme has its text in ``user``. ``host`` is without the brackets of IPv6."""

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    parameters: Parameters = ()
    headers: str = ""  # what follows "?", as it came
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if self.scheme not in ("sip", "sips"):
            return f"{self.scheme}:{self.user or ''}{_tail(self.parameters)}"
        user = quote(self.user, safe=_USER_SAFE) if self.user is not None else ""
        if self.password is not None:
            user += ":" + quote(self.password, safe="-_.!~*'()&=+$,")
        at = f"{user}@" if self.user is not None else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{at}{self.authority}{_tail(self.parameters)}{headers}"

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URI."""
        return join_host(self.host, self.port)

    @property
    def is_sip(self) -> bool:
        """Whether a user agent can send a request there."""
        return self.scheme in ("sip", "sips")

    @property
    def is_secure(self) -> bool:
        """Whether every hop must be TLS (RFC 3261 26.2)."""
        return self.scheme == "sips"

    @property
    def transport(self) -> str | None:
        """``udp``, ``tcp``, ``tls`` or what else is asked for."""
        value = self.parameter("transport")
        return value.lower() if value else None

    @property
    def is_loose(self) -> bool:
        """Whether a route is one of RFC 3261's, with ``;lr``."""
        return any(key == "lr" for key, _ in self.parameters)

    def parameter(self, name: str) -> str | None:
        """The value of a parameter; an empty text where it has none."""
        return parameter_of(self.parameters, name)

    def for_request(self) -> "SipUri":
        """What may stand in a request line: without headers and ``method`` (RFC 3261 19.1.1, table 1)."""
        kept = tuple((key, value) for key, value in self.parameters if key != "method")
        return replace(self, parameters=kept, headers="")

    @property
    def number(self) -> str | None:
        """The global telephone number (``+`` and digits) of ``tel:+...`` or ``sip:+...@``; None where it's something else."""
        return global_number(self.subscriber)

    @property
    def subscriber(self) -> str:
        """Whom it names: a number without its parameters, else the user; empty where it's nobody."""
        return subscriber(self.user or "", self.parameter("phone-context") if self.scheme == "tel" else None)

    def is_same_as(self, other: "SipUri") -> bool:
        """Whether both name the same resource (RFC 3261 19.1.4)."""
        if (self.scheme, self.user, self.host.lower(), self.port) != (other.scheme, other.user, other.host.lower(), other.port):
            return False
        mine, theirs = ({key: (value or "").lower() for key, value in one.parameters} for one in (self, other))
        named = ("user", "ttl", "method", "maddr", "transport")
        if any(mine.get(key) != theirs.get(key) for key in named):
            return False
        return all(mine[key] == theirs[key] for key in mine.keys() & theirs.keys())


@quick_dataclass(frozen=True, slots=True)
class SipAddress:
    """A name, a URI and the header's parameters, as in From, To, Contact and Route."""

    uri: SipUri
    name: str = ""
    parameters: Parameters = ()

    def __str__(self) -> str:
        name = f"{quoted(self.name)} " if self.name else ""
        return f"{name}<{self.uri}>{format_parameters(self.parameters)}"

    def parameter(self, name: str) -> str | None:
        """The value of a parameter; an empty text where it has none."""
        return parameter_of(self.parameters, name)

    @property
    def tag(self) -> str:
        """The tag; empty where there is none."""
        return self.parameter("tag") or ""


@lru_cache(maxsize=1024)
def parse_uri(text: str) -> SipUri:
    """A URI of any scheme; raises RemoteProtocolError where it can't be read."""
    if len(text) > MAX_URI_CHARACTERS or _UNSAFE.search(text):
        raise RemoteProtocolError("a SIP URI is too long or has spaces or quotes in it")
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or not _SCHEME.fullmatch(scheme):
        raise RemoteProtocolError("a SIP URI has no scheme")
    scheme = scheme.lower()
    if scheme in ("sip", "sips"):
        return _parse_sip(scheme, rest)
    subscriber, _, tail = rest.partition(";") if scheme == "tel" else (rest, "", "")
    if not (named := clean(subscriber)):
        raise RemoteProtocolError("a URI names nobody")
    return SipUri(scheme, named, "", parameters=_uri_parameters(tail))


@lru_cache(maxsize=1024)
def parse_address(text: str) -> SipAddress:
    """A ``name-addr`` or ``addr-spec`` with parameters; raises RemoteProtocolError where it can't be read."""
    if len(text) > MAX_ADDRESS_CHARACTERS:
        raise RemoteProtocolError("a SIP address is too long")
    name, text = _display_name(text.strip())
    if text.startswith("<"):
        uri, closed, tail = text[1:].partition(">")
        if not closed:
            raise RemoteProtocolError("a SIP address has no closing bracket")
        uri, tail = uri.strip(), tail.strip()
    else:  # without brackets, parameters belong to the header (RFC 3261 20.10)
        uri, separator, tail = text.partition(";")
        uri, tail = uri.strip(), separator + tail
        if "?" in uri or "," in uri:
            raise RemoteProtocolError("a SIP URI with headers or commas needs brackets")
    return SipAddress(parse_uri(uri), name, parse_parameters(tail))


def parse_parameters(text: str) -> Parameters:
    """``;a=b;c`` after an address, a Via or a token; names in lower case, quotes taken off. Raises
    RemoteProtocolError for anything else."""
    text = text.strip()
    if not text:
        return ()
    if not text.startswith(";"):
        raise RemoteProtocolError("a SIP header has something between its value and its parameters")
    found: list[tuple[str, str | None]] = []
    for part in split_outside(text[1:], ";"):
        name, separator, value = part.partition("=")
        name, value = name.strip().lower(), value.strip()
        if not _TOKEN.fullmatch(name):
            raise RemoteProtocolError("a SIP parameter has no name that can be read")
        found.append((name, unquoted(value) if separator else None))
    return tuple(found)


def format_parameters(parameters: Parameters) -> str:
    """``;a=b;c``; a value that isn't a token or a host is quoted."""
    safe = re.compile(r"[A-Za-z0-9.!%*_+`'~:\[\]-]+")
    return "".join(
        f";{key}" if value is None else f";{key}={value if safe.fullmatch(value) else quoted(value)}" for key, value in parameters
    )


def split_outside(text: str, separator: str) -> list[str]:
    """The parts between separators that aren't in quotes or angle brackets; empty ones are left out."""
    parts, start, quoting, depth, index = [], 0, False, 0, 0
    while index < len(text):
        character = text[index]
        if quoting and character == "\\":
            index += 1
        elif character == '"':
            quoting = not quoting
        elif not quoting and character in "<>":
            depth = 1 if character == "<" else 0
        elif character == separator and not quoting and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
        index += 1
    return [part for part in (*parts, text[start:].strip()) if part]


def quoted(text: str) -> str:
    """A quoted-string."""
    return '"' + _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(text: str) -> str:
    """The text of a token or a quoted-string, with spaces for control characters: nobody may write those."""
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        text = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return _CONTROL.sub(" ", clean(text))


def clean(text: str) -> str:
    """Without the marks that stand for bytes that aren't UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def split_host(text: str) -> tuple[str, int | None]:
    """Host and port of ``host[:port]``; raises RemoteProtocolError."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        try:
            ipaddress.IPv6Address(host)
        except ValueError as error:
            raise RemoteProtocolError("a host in brackets is no IPv6 address") from error
        if not closed or (rest and not rest.startswith(":")):
            raise RemoteProtocolError("an IPv6 address has no closing bracket")
        return host, _port(rest[1:]) if rest else None
    host, separator, port = text.partition(":")
    if not _HOSTNAME.fullmatch(host):
        raise RemoteProtocolError("a host name can't be read")
    return host, _port(port) if separator else None


def _parse_sip(scheme: str, rest: str) -> SipUri:
    userinfo, at, tail = rest.partition("@") if "@" in rest else ("", "", rest)  # elsewhere, an @ must be escaped
    tail, _, headers = tail.partition("?")
    authority, _, parameters = tail.partition(";")
    host, port = split_host(authority)
    user, colon, password = userinfo.partition(":")
    if at and not user:
        raise RemoteProtocolError("a SIP URI has an empty user")
    return SipUri(
        scheme,
        unescaped(user) if at else None,
        host,
        port,
        _uri_parameters(parameters),
        headers,
        unescaped(password) if at and colon else None,
    )


def unescaped(text: str) -> str:
    """Without percent signs; what isn't UTF-8 is replaced."""
    return clean(unquote(text, errors="replace"))


def _uri_parameters(text: str) -> Parameters:
    found: list[tuple[str, str | None]] = []
    for part in filter(None, text.split(";")):
        name, separator, value = part.partition("=")
        found.append((unescaped(name).lower(), unescaped(value) if separator else None))
    return tuple(found)


def _display_name(text: str) -> tuple[str, str]:
    """The name in front of ``<``, and the rest."""
    if text.startswith('"'):
        match = re.match(r'"((?:[^"\\]|\\.)*)"\s*', text)
        if match is None or not text[match.end() :].startswith("<"):
            raise RemoteProtocolError("a quoted name in a SIP address has no end")
        return unquoted(f'"{match[1]}"'), text[match.end() :]
    bracket = text.find("<")
    return (clean(" ".join(_CONTROL.sub(" ", text[:bracket]).split())), text[bracket:]) if bracket > 0 else ("", text)


def _tail(parameters: Parameters) -> str:
    shown = ((quote(key, safe=_PARAMETER_SAFE), value) for key, value in parameters)
    return "".join(f";{key}" if value is None else f";{key}={quote(value, safe=_PARAMETER_SAFE)}" for key, value in shown)


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise RemoteProtocolError("a port can't be read")
    return int(text)
