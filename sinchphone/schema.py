"""How a field of an options dataclass becomes a key of the configuration: what it says about itself, and readers of written values.

::

    port: int = key(5060, read_port, "its port, UDP and TCP")      ->  sip.port in TOML, in config show, in config.example.toml

A room's options dataclass is the schema; ``options.py`` collects the keys, ``config.py`` reads them. Knows no room. Readers raise
ValueError with the end of a sentence that begins with the key's name.
"""

import ipaddress
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

from sinchphone.errors import ConfigError
from sinchphone.hosts import join_host, unbracketed

Read: TypeAlias = Callable[[Any], Any]
Options = TypeVar("Options")
Example: TypeAlias = str | bool | int | list[str] | dict[str, str]

MAX_HOST_CHARACTERS: Final = 253
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_AMOUNT: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Key(NamedTuple):
    """One key of the configuration. ``example`` is its default as TOML spells it; an empty text means "not set"."""

    name: str  # dotted: "audio.input"
    read: Read
    example: Example
    help: str
    variable: str | None = None
    secret: bool = False  # shown as ***, and not read from files
    chosen_only: bool = False  # not read from ./sinchphone.toml: it says what is run or who gets the credentials
    harmless: tuple[object, ...] = ()  # values that even ./sinchphone.toml may give it
    unset: object = None  # the value where the example is an empty text

    @property
    def default(self) -> Any:
        """The value where nothing sets the key."""
        return self.unset if self.example == "" else self.read(self.example)

    @property
    def flag(self) -> str:
        """The option of the same name."""
        return "--" + self.name.rpartition(".")[2].replace("_", "-")


def key(example: Example, read: Read, help: str, **more: Any) -> Any:  # noqa: A002 - the word Typer uses
    """A dataclass field that is a key of the configuration too. ``more`` are fields of Key."""
    return _field(Key("", read, example, help, **more))


def shared(owner: type[Any], name: str) -> Any:
    """A dataclass field that is the same key as the field ``name`` of ``owner``."""
    known = key_of(next(one for one in fields(owner) if one.name == name))
    assert known is not None
    return _field(known)


def _field(known: Key) -> Any:
    metadata, default = {"key": known}, known.default
    if isinstance(default, dict):  # each object has its own
        return field(default_factory=lambda: dict(default), metadata=metadata, repr=not known.secret)
    return field(default=default, metadata=metadata, repr=not known.secret)


def key_of(one: "Field[Any]") -> Key | None:
    """What a field says about itself; ``None`` for one that only programs set."""
    found = one.metadata.get("key")
    return found if isinstance(found, Key) else None


def section_of(one: "Field[Any]") -> type[Any] | None:
    """The dataclass that a field holds, where it is a section of keys."""
    return one.default_factory if one.default_factory is not MISSING and isinstance(one.default_factory, type) else None


def parse_duration(text: object) -> float:
    """Seconds from ``90``, ``1.5``, ``"500ms"``, ``"60s"``, ``"10m"`` or ``"1h30m"``. Raises ValueError."""
    if isinstance(text, int | float) and not isinstance(text, bool) and 0 <= text < 1e9:
        return float(text)
    written = str(text).strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", written):
        return float(written)
    if not re.fullmatch(r"(\d{1,9}(\.\d{1,6})?(ms|s|m|h))+", written):
        raise ValueError("must be a duration such as 500ms, 60s, 10m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", written))


def read_text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes")
    return value


def read_command(value: object) -> str:
    """A command and its arguments, as a shell would split them. No shell reads it."""
    written = read_text(value)
    try:
        words = shlex.split(written)
    except ValueError:
        words = []
    if not words or "\0" in written:
        raise ValueError("must be a command and its arguments, with quotes that are closed")
    return written


def read_host(value: object) -> str:
    """A host to listen on; an IPv6 address may stand in brackets, as in URLs."""
    return unbracketed(read_text(value))


def read_flag(value: object) -> bool:
    """Yes or no, in the words of TOML and of environment variables."""
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("must be true or false")
    return words[str(value).lower()]


def read_port(value: object) -> int:
    """A port; 0 where the system may choose."""
    if isinstance(value, bool) or not str(value).isdecimal() or not 0 <= int(str(value)) <= 65_535:
        raise ValueError("must be a port, 0 to 65535")
    return int(str(value))


def read_path(value: object) -> Path:
    """A file or a folder; ``~`` is the user's home."""
    return Path(read_text(value)).expanduser()


def read_url(value: object) -> str:
    """A host name or a URL, without credentials."""
    written = read_text(value)
    parts = urlsplit(written if "//" in written else f"https://{written}")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be a host name or a URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or a password")
    return written


def read_full_url(value: object) -> str:
    """A URL with its scheme, without credentials."""
    if "://" not in read_text(value):
        raise ValueError("must be a URL such as https://example.org/sinch")
    return read_url(value)


def read_texts(value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError('must be a list of texts such as ["a", "b"]')
    return tuple(value)


def read_ice_urls(value: object) -> tuple[str, ...]:
    """URLs of STUN and TURN servers."""
    from sinchphone.ice_urls import parse_ice_url

    urls = read_texts(value)
    for url in urls:
        if parse_ice_url(url) is None:
            raise ValueError(
                f'must be a list of URLs such as ["stun:host", "turn:host:3478?transport=tcp", "turns:host"]; {url[:80]!r} is none'
            )
    return urls


def read_hosts(value: object) -> tuple[str, ...]:
    """Host names and addresses, as a certificate names them."""
    names = read_texts(value)
    if not all(re.fullmatch(r"[A-Za-z0-9_:.-]{1,253}", name) for name in names) or len(names) > 64:
        raise ValueError('must be a list of host names or addresses such as ["phone.example.org", "192.0.2.1"]')
    return names


def read_hosts_and_networks(value: object) -> tuple[str, ...]:
    """Host names, IP addresses, and networks in CIDR notation."""
    hosts = read_texts(value)
    for host in hosts:
        try:
            ipaddress.ip_network(host, strict=False)
        except ValueError:
            if not is_host(host):
                raise ValueError('must be a list of host names, addresses or networks such as ["files.lan", "10.1.0.0/16"]') from None
    return hosts


def read_table(value: object) -> dict[str, str]:
    """Texts by text, in the order of the file."""
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError('must be a table of texts such as { "a" = "b" }')
    return dict(value)


def read_count(value: object) -> int:
    """A number of things, from 1 to 1000."""
    if isinstance(value, bool) or not str(value).isdecimal() or not 1 <= int(str(value)) <= 1_000:
        raise ValueError("must be a number from 1 to 1000")
    return int(str(value))


def read_limit(value: object) -> int:
    """A number of things, up to a million; 0 where there is no limit."""
    if isinstance(value, bool) or not str(value).isdecimal() or not 0 <= int(str(value)) <= 1_000_000:
        raise ValueError("must be a number from 0 to 1000000")
    return int(str(value))


def read_amount(value: object) -> float:
    """An amount of money, in whatever currency; as a number or as a text."""
    written = str(value)
    if isinstance(value, bool) or not re.fullmatch(_AMOUNT, written):
        raise ValueError('must be an amount such as "0.02"')
    return float(written)


def read_amounts(value: object) -> dict[str, float]:
    """Amounts by text."""
    if not isinstance(value, Mapping):
        raise ValueError('must be a table of amounts such as { "+46" = "0.02" }')
    return {str(name): read_amount(one) for name, one in value.items()}


def read_seconds(value: object) -> int:
    """Seconds, up to a day."""
    if isinstance(value, bool) or not str(value).isdecimal() or not 0 <= int(str(value)) <= 86_400:
        raise ValueError("must be seconds, 0 to 86400")
    return int(str(value))


def read_ports(value: object) -> tuple[int, int]:
    """A range of ports, first and last."""
    first, _, last = read_text(value).partition("-")
    if not (first.isdecimal() and last.isdecimal() and 1024 <= int(first) < int(last) <= 65_535):
        raise ValueError("must be a range of ports such as 20000-20999")
    return int(first), int(last)


_WEIGHTED: Final = 'must be an address with its port, or several with a weight each, such as ["127.0.0.1:2223=2", "192.0.2.1:2223=1"]'


def read_host_and_port(value: object) -> tuple[str, int]:
    """An address with its port."""
    host, _, port = read_text(value).rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise ValueError("must be an address with its port, such as 127.0.0.1:2223")
    return unbracketed(host), int(port)


class WeightedAddress(NamedTuple):
    """One of several that do the same. ``weight``: how much of it; 0: none, as long as another one can."""

    host: str
    port: int
    weight: int = 1

    def __str__(self) -> str:
        return join_host(self.host, self.port) + (f"={self.weight}" if self.weight != 1 else "")


def read_weighted_addresses(value: object) -> tuple[WeightedAddress, ...]:
    """One address with its port or several, each perhaps with a weight."""
    written = value.split(",") if isinstance(value, str) else read_texts(value)
    found = tuple(map(_weighted, written))
    if not found or len({(one.host, one.port) for one in found}) < len(found) or not any(one.weight for one in found):
        raise ValueError(_WEIGHTED)
    return found


def _weighted(text: str) -> WeightedAddress:
    address, is_weighted, weight = text.strip().partition("=")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535 or (is_weighted and not re.fullmatch("[0-9]{1,4}", weight)):
        raise ValueError(_WEIGHTED)
    return WeightedAddress(unbracketed(host), int(port), int(weight) if is_weighted else 1)


def one_of(*words: str) -> Read:
    """A reader that takes these words alone."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


def member_of(kind: type[StrEnum]) -> Read:
    """A reader that takes the words of an enumeration alone, and gives its members."""
    words = [str(one) for one in kind]

    def read(value: object) -> StrEnum:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return kind(value)

    return read


def is_host(text: str) -> bool:
    """Whether that is one IP address, or a host name (RFC 1123 2.1) that isn't taken for one."""
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return len(text) <= MAX_HOST_CHARACTERS and all(re.fullmatch(_LABEL, label) for label in labels) and not labels[-1].isdecimal()


def read_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An IP address or a network in CIDR notation. Raises ConfigError."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(f'"{text}" is not an IP address or a network', hint="such as 192.0.2.7 or 192.0.2.0/24") from error


def write_keys(options: Any) -> dict[str, object]:
    """The keys of an options dataclass that don't have their defaults, as a configuration in JSON would have them. See ``read_keys``."""
    known = {one.name: known for one in fields(options) if (known := key_of(one)) is not None}
    values = {name: getattr(options, name) for name in known}
    return {name: _written(value) for name, value in values.items() if value is not None and value != known[name].default}


def read_keys(kind: type[Options], written: Mapping[str, object]) -> Options:
    """An options dataclass from what ``write_keys`` made of one. Raises ValueError and ConfigError."""
    known = {one.name: known for one in fields(kind) if (known := key_of(one)) is not None}  # type: ignore[arg-type]
    if not written.keys() <= known.keys():
        raise ValueError(f"has keys that {kind.__name__} hasn't")
    return kind(**{name: known[name].read(value) for name, value in written.items()})


def _written(value: object) -> object:
    match value:
        case Path():
            return str(value.absolute())
        case (str() as host, int() as port):
            return f"{host}:{port}"
        case (int() as first, int() as last):
            return f"{first}-{last}"
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case _:
            return value
