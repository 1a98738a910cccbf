"""Everything that can be configured: each key with its type, its default and its environment variable."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import platformdirs

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_Read: TypeAlias = Callable[[Any], Any]


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


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("must be true or false")
    return words[str(value).lower()]


def _port(value: object) -> int:
    if isinstance(value, bool) or not str(value).isdecimal() or not 0 <= int(str(value)) <= 65_535:
        raise ValueError("must be a port, 0 to 65535")
    return int(str(value))


def _device(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a device's index or part of its name")
    return int(value) if str(value).isdecimal() else str(value)


def _path(value: object) -> Path:
    return Path(_text(value)).expanduser()


def _url(value: object) -> str:
    written = _text(value)
    parts = urlsplit(written if "//" in written else f"https://{written}")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be a host name or a URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or a password")
    return written


def _user_id(value: object) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_=-]{1,255}", _text(value)):
        raise ValueError("must have 1 to 255 of the characters A-Z a-z 0-9 - _ =")
    return _text(value)


def _number(value: object) -> str:
    number = re.sub(r"[ .()\u00a0-]", "", _text(value))
    if not re.fullmatch(r"\+[0-9]{5,15}", number):
        raise ValueError("must be a phone number with its country, such as +46701234567")
    return number


def _one_of(*words: str) -> _Read:
    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return read


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration. ``example`` is its default as TOML spells it; an empty text means "not set"."""

    name: str  # dotted: "audio.input"
    read: _Read
    example: str | bool | int
    help: str
    variable: str | None = None
    secret: bool = False  # shown as ***, and not read from files
    trusted_only: bool = False  # not read from ./sinchphone.toml: it says what is run or who gets the credentials

    @property
    def default(self) -> Any:
        """The value where nothing sets the key."""
        return None if self.example == "" else self.read(self.example)

    @property
    def flag(self) -> str:
        """The option of the same name."""
        return "--" + self.name.rpartition(".")[2].replace("_", "-")


def _key(example: str | bool | int, read: _Read, help: str, **more: Any) -> Any:  # noqa: A002 - the word Typer uses
    key = Key("", read, example, help, **more)
    return field(default=key.default, metadata={"key": key}, repr=not key.secret)


@dataclass(frozen=True, slots=True)
class AudioSection:
    """[audio]: the sound devices, by index or part of the name; not set is the system's default."""

    input: int | str | None = _key("", _device, "microphone")
    output: int | str | None = _key("", _device, "speaker or headphones")
    ring: int | str | None = _key("", _device, "where incoming calls ring")


@dataclass(frozen=True, slots=True)
class ExchangeSection:
    """[exchange]: where the embedded exchange listens."""

    host: str = _key("127.0.0.1", _text, "address of the embedded exchange", trusted_only=True)
    port: int = _key(4600, _port, "its port")
    tls: bool = _key(False, _flag, "listen with TLS too (sinchphone exchange); other clients insist on it")
    tls_port: int = _key(4643, _port, "its port with TLS")
    keep: bool = _key(True, _flag, "keep users and waiting messages in the state folder; false: in memory only")


@dataclass(frozen=True, slots=True)
class SmsSection:
    """[sms]: Sinch's SMS API, which carries messages to phone numbers."""

    service_plan_id: str | None = _key("", _text, "the service plan of the SMS API", variable="SINCH_SERVICE_PLAN_ID")
    sender: str | None = _key("", _text, "what the phone shows as sender: a number, a short code or a name")
    region: str = _key("us", _one_of("us", "eu", "br", "ca", "au"), "where the service plan lives: us, eu, br, ca or au")
    host: str | None = _key("", _url, "the SMS API, where it isn't the region's", trusted_only=True)
    token: str | None = _key("", _text, "the service plan's API token (environment only)", variable="SINCH_SMS_TOKEN", secret=True)
    token_command: str | None = _key("", _text, "a command that prints the API token", trusted_only=True)
    token_file: Path | None = _key("", _path, "a file with the API token, for its owner's eyes only", trusted_only=True)  # noqa: RUF009 - a field


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that can be configured, with its default."""

    profile: str | None = _key("", _text, "which [profiles.NAME] below is in force", variable="SINCHPHONE_PROFILE")
    environment: str = _key("local", _one_of("local", "cloud"), "local: the embedded exchange; cloud: as soon as an application_key is set")
    user: str | None = _key("", _user_id, "who I am; the login name in the local environment", variable="SINCH_USER_ID")
    application_key: str | None = _key("", _text, "the application's key", variable="SINCH_APPLICATION_KEY")
    api: Literal["ocra", "papi"] = _key(
        "ocra", _one_of("ocra", "papi"), "which of Sinch's REST dialects is spoken: ocra, or papi, the older one with messages"
    )
    host: str | None = _key("", _url, "the platform, where it isn't Sinch's own", variable="SINCHPHONE_HOST", trusted_only=True)
    caller_id: str | None = _key("", _number, "the number that phone calls show (+E164)", variable="SINCHPHONE_CALLER_ID")
    token: str | None = _key("", _text, "a registration token (environment only)", variable="SINCHPHONE_TOKEN", secret=True)
    token_url: str | None = _key("", _url, "a backend that returns registration tokens", variable="SINCHPHONE_TOKEN_URL", trusted_only=True)
    password: str | None = _key("", _text, "the user's password, api papi (environment only)", variable="SINCHPHONE_PASSWORD", secret=True)
    password_command: str | None = _key("", _text, "a command that prints the user's password, for api papi", trusted_only=True)
    secret_command: str | None = _key("", _text, "a command that prints the application's secret", trusted_only=True)
    secret_file: Path | None = _key("", _path, "a file with the secret, for its owner's eyes only", trusted_only=True)  # noqa: RUF009 - a field
    state_dir: Path | None = _key("", _path, "where registrations are kept; the platform's state folder", trusted_only=True)  # noqa: RUF009 - a field
    ring_timeout: float = _key("60s", parse_duration, "how long an outgoing call rings; 60s at most")
    max_duration: float | None = _key("", parse_duration, "how long a call may last")
    color: str = _key("auto", _one_of("auto", "always", "never"), "colours and the status line")
    json: bool = _key(False, _flag, "one JSON object a line on standard output", variable="SINCHPHONE_JSON")
    audio: AudioSection = field(default_factory=AudioSection)
    exchange: ExchangeSection = field(default_factory=ExchangeSection)
    sms: SmsSection = field(default_factory=SmsSection)

    @property
    def state_path(self) -> Path:
        """Where state is kept."""
        return self.state_dir or platformdirs.user_state_path("sinchphone")


def _keys_of(options: type[Any], prefix: str) -> Iterator[Key]:
    for one in fields(options):
        if is_dataclass(one.default_factory):
            assert isinstance(one.default_factory, type)
            yield from _keys_of(one.default_factory, f"{one.name}.")
        else:
            key: Key = one.metadata["key"]
            yield Key(f"{prefix}{one.name}", key.read, key.example, key.help, key.variable, key.secret, key.trusted_only)


KEYS: Final = {key.name: key for key in _keys_of(Options, "")}


def example() -> str:
    """A configuration file with every key commented out at its default: config.example.toml."""
    parts = ["# sinchphone: every key with its default. Precedence: flag, environment, ./sinchphone.toml, this file.\n"]
    section = ""
    for key in (key for key in KEYS.values() if not key.secret):
        table, _, name = key.name.rpartition(".")
        if table != section:
            parts.append(f"\n[{table}]\n")
            section = table
        also = f" ({key.variable})" if key.variable else ""
        parts.append(f"\n# {key.help}{also}\n# {name} = {json.dumps(key.example)}\n")
    parts.append('\n# Profiles override the keys above: profile = "work", or --profile work.\n# [profiles.work]\n# environment = "cloud"\n')
    return "".join(parts)
