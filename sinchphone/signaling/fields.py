"""Reads JSON objects from outside: every member is checked and limited, and an error names the first member that doesn't fit."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.mxp.message import KEY_SIZES
from sinchphone.protocol.unicode import is_unicode
from sinchphone.signaling.wire import read_time

MAX_TEXT = 1024
MAX_MEMBERS = 256  # of a list or a map

_RANGE = "a number from"
_NO_TEXTS = (_RANGE, "a list", "an object", "true or false")  # beginnings of what is expected where no text is
_TOKEN = re.compile("[!-~]{1,128}")
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_CHANNEL = re.compile(r"[!-+\--~]{1,128}")  # printable ASCII but the comma, which separates channels


def write_json(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """The JSON text of a body, in UTF-8; object members that are None are left out."""
    if isinstance(value, Mapping):
        value = {name: member for name, member in value.items() if member is not None}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def read_json(body: bytes) -> Any:
    """What a body in JSON says. Raises RemoteProtocolError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise RemoteProtocolError("the body should be JSON, but isn't") from error


class Record:
    """A JSON object from outside. Methods raise RemoteProtocolError, whose text names the member, what it should be and what kind
    of value it is instead, but never the value: it may be a secret."""

    def __init__(self, value: object, path: str = "") -> None:
        self._path = path
        if not isinstance(value, dict):
            raise RemoteProtocolError(f"{path or 'the body'} should be an object, but is {_kind(value, 'an object')}")
        self._members: dict[str, object] = value

    @classmethod
    def parse(cls, body: bytes) -> "Record":
        """The object in a body; an empty body counts as an empty object."""
        if not body.strip():
            return cls({})
        return cls(read_json(body))

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self._members.get(name) is not None

    def only(self, *known: str) -> None:
        """Refuse members of other names: what somebody spelt wrongly would be left out without a word."""
        for name in self._members:
            if name not in known:
                raise RemoteProtocolError(f"{json.dumps(name[:64])} is unknown, but {', '.join(known)} aren't")

    def text(self, name: str, *, limit: int = MAX_TEXT) -> str:
        """A text that isn't empty."""
        value = self._members.get(name)
        if not isinstance(value, str):
            raise self.odd(name, "a text")
        if not 0 < len(value) <= limit or not is_unicode(value):
            raise RemoteProtocolError(f"{self._path_of(name)} should be a text of 1 to {limit} characters")
        return value

    def optional_text(self, name: str, *, limit: int = MAX_TEXT) -> str | None:
        """A text, None where it's absent or empty."""
        return self.text(name, limit=limit) if self.has(name) and self._members[name] != "" else None

    def token(self, name: str) -> str:
        """An identifier: 1 to 128 printable ASCII characters without a space."""
        return self._matching(name, _TOKEN, "an identifier")

    def channel(self, name: str) -> str:
        """A pub/sub channel's name: an identifier without a comma."""
        return self._matching(name, _CHANNEL, "a channel name")

    def _matching(self, name: str, pattern: re.Pattern[str], what: str) -> str:
        value = self._members.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.odd(name, what)
        return value

    def number(self, name: str, *, default: float | None = None, low: float = 0.0, high: float = 1e13) -> float:
        """A number from ``low`` to ``high``; ``default`` where it's absent and one is given."""
        value = self._members.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.odd(name, f"{_RANGE} {low:.15g} to {high:.15g}")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false; ``default`` where it's absent."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.odd(name, "true or false")
        return default if value is None else value

    def time(self, name: str) -> float:
        """An ISO 8601 time, in seconds since the epoch."""
        try:
            return read_time(self.text(name, limit=64))
        except RemoteProtocolError as error:
            raise self.odd(name, "a time in ISO 8601") from error

    def optional_time(self, name: str) -> float | None:
        """As ``time``; None where it's absent."""
        return self.time(name) if self.has(name) else None

    def base64(self, name: str) -> bytes:
        """Bytes in base64."""
        try:
            return base64.b64decode(self.text(name), validate=True)
        except (ValueError, RemoteProtocolError) as error:
            raise self.odd(name, "base64") from error

    def key(self, name: str) -> bytes:
        """An AES key of 128 or 256 bits, in base64."""
        key = self.base64(name)
        if len(key) not in KEY_SIZES:
            raise RemoteProtocolError(f"{self._path_of(name)} should be a key of 16 or 32 bytes, but has {len(key)}")
        return key

    def host(self, name: str) -> tuple[str, bool]:
        """A host as URLs write it, and whether a port follows in the same text."""
        host = self.text(name)
        match = _HOST.fullmatch(host)
        if match is None:
            raise self.odd(name, "a host name")
        return host, match[2] is not None

    def record(self, name: str) -> "Record":
        """An object."""
        return Record(self._members.get(name), self._path_of(name))

    def optional_record(self, name: str) -> "Record":
        """An object; an empty one where it's absent."""
        return self.record(name) if self.has(name) else Record({}, self._path_of(name))

    def records(self, name: str, *, limit: int = MAX_MEMBERS) -> list["Record"]:
        """A list of objects; empty where it's absent."""
        return [Record(value, f"{self._path_of(name)}[{index}]") for index, value in enumerate(self._list(name, limit))]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where it's absent."""
        values = self._list(name)
        if not all(isinstance(value, str) and len(value) <= MAX_TEXT and is_unicode(value) for value in values):
            raise self.odd(name, "a list of texts")
        return tuple(str(value) for value in values)

    def text_map(self, name: str) -> dict[str, str]:
        """An object whose members are texts; empty where it's absent."""
        members = self.optional_record(name)._members
        texts = {key: value for key, value in members.items() if isinstance(value, str) and is_unicode(key + value)}
        if len(texts) != len(members) or len(texts) > MAX_MEMBERS:
            raise self.odd(name, f"an object of at most {MAX_MEMBERS} texts")
        return texts

    def value(self, name: str) -> object:
        """The member as it came, None where it's absent."""
        return self._members.get(name)

    def _list(self, name: str, limit: int = MAX_MEMBERS) -> list[object]:
        value = self._members.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > limit:
            raise self.odd(name, f"a list of at most {limit}")
        return value

    def odd(self, name: str, expected: str) -> RemoteProtocolError:
        """The error for a member that isn't what's expected."""
        found = _kind(self._members[name], expected) if name in self._members else "absent"
        return RemoteProtocolError(f"{self._path_of(name)} should be {expected}, but is {found}")

    def _path_of(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _kind(value: object, expected: str) -> str:
    """What kind of value it is: another number where a number is expected. Whatever isn't said to be of another kind is a text."""
    if isinstance(value, str):
        return "a text" if expected.startswith(_NO_TEXTS) else "another text"
    kinds = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    kind = kinds.get(type(value), "null")
    return "another number" if kind == "a number" and expected.startswith(_RANGE) else kind


def is_writable(value: object) -> bool:
    """Whether a value that came as JSON can be written as JSON again: lone surrogates, NaN and what lies too deep can't."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        return False
    return True
