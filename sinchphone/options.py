"""Everything that can be configured: each key with its type, its default and its environment variable."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import platformdirs

from sinchphone.protocol.user_id import USER_RULE, is_user_id

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_Read: TypeAlias = Callable[[Any], Any]
Example: TypeAlias = str | bool | int | list[str] | dict[str, str]


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
    if not is_user_id(_text(value)):
        raise ValueError(f"must have {USER_RULE}")
    return _text(value)


def _number(value: object) -> str:
    number = re.sub(r"[ .()\u00a0-]", "", _text(value))
    if not re.fullmatch(r"\+[0-9]{5,15}", number):
        raise ValueError("must be a phone number with its country, such as +46701234567")
    return number


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError('must be a list of texts such as ["a", "b"]')
    return tuple(value)


def _names(value: object) -> tuple[str, ...]:
    """Host names and addresses, as a certificate names them."""
    names = _texts(value)
    if not all(re.fullmatch(r"[A-Za-z0-9_:.-]{1,253}", name) for name in names) or len(names) > 64:
        raise ValueError('must be a list of host names or addresses such as ["phone.example.org", "192.0.2.1"]')
    return names


def _digests(value: object) -> tuple[str, ...]:
    algorithms = _texts(value)
    if not algorithms or len(set(algorithms)) < len(algorithms) or not set(algorithms) <= set(DIGESTS):
        raise ValueError('must be a list of "MD5", "SHA-256" or both, the most wanted first')
    return algorithms


def _table(value: object) -> tuple[tuple[str, str], ...]:
    """Pairs, in the order of the file."""
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError('must be a table of texts such as { "a" = "b" }')
    return tuple(value.items())


def _count(value: object) -> int:
    if isinstance(value, bool) or not str(value).isdecimal() or not 1 <= int(str(value)) <= 1_000:
        raise ValueError("must be a number from 1 to 1000")
    return int(str(value))


def _ports(value: object) -> tuple[int, int]:
    first, _, last = _text(value).partition("-")
    if not (first.isdecimal() and last.isdecimal() and 1024 <= int(first) < int(last) <= 65_535):
        raise ValueError("must be a range of ports such as 20000-20999")
    return int(first), int(last)


def _host_and_port(value: object) -> tuple[str, int]:
    host, _, port = _text(value).rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise ValueError("must be an address with its port, such as 127.0.0.1:2223")
    return host.strip("[]"), int(port)


def _full_url(value: object) -> str:
    if "://" not in _text(value):
        raise ValueError("must be a URL such as https://example.org/sinch")
    return _url(value)


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
    example: Example
    help: str
    variable: str | None = None
    secret: bool = False  # shown as ***, and not read from files
    trusted_only: bool = False  # not read from ./sinchphone.toml: it says what is run or who gets the credentials
    harmless: tuple[object, ...] = ()  # values that even ./sinchphone.toml may give it

    @property
    def default(self) -> Any:
        """The value where nothing sets the key."""
        return None if self.example == "" else self.read(self.example)

    @property
    def flag(self) -> str:
        """The option of the same name."""
        return "--" + self.name.rpartition(".")[2].replace("_", "-")


def _key(example: Example, read: _Read, help: str, **more: Any) -> Any:  # noqa: A002 - the word Typer uses
    key = Key("", read, example, help, **more)
    return field(default=key.default, metadata={"key": key}, repr=not key.secret)


# As audio.national.PLANS has them; repeated, since that needs numpy, and a test compares.
DIGESTS: Final = ("MD5", "SHA-256")  # RFC 8760
TONES: Final = ["europe", "au", "at", "be", "br", "ca", "ch", "de", "dk", "es", "fi", "fr", "it", "jp", "nl", "no", "pl", "se", "uk", "us"]


@dataclass(frozen=True, slots=True)
class AudioSection:
    """[audio]: the sound devices, by index or part of the name (not set is the system's default), and how they sound."""

    input: int | str | None = _key("", _device, "microphone")
    output: int | str | None = _key("", _device, "speaker or headphones")
    ring: int | str | None = _key("", _device, "where incoming calls ring")
    echo_cancel: Literal["auto", "on", "off"] = _key(
        "auto",
        _one_of("auto", "on", "off"),
        "remove the loudspeaker's echo from the microphone; auto: not where the device is called a headset",
    )
    noise_suppression: Literal["off", "low", "high"] = _key(
        "off", _one_of("off", "low", "high"), "lower the noise around the microphone (and music, a little)"
    )
    gain_control: bool = _key(False, _flag, "even out how loud the microphone is")
    tones: str = _key("europe", _one_of(*TONES), "the country whose ringing and busy tones are heard")


@dataclass(frozen=True, slots=True)
class ExchangeSection:
    """[exchange]: where the embedded exchange listens."""

    host: str = _key("127.0.0.1", _text, "address of the embedded exchange", trusted_only=True)
    port: int = _key(4600, _port, "its port; 0: a free one", trusted_only=True, harmless=(0,))
    tls: bool = _key(False, _flag, "listen with TLS too (sinchphone exchange); other clients insist on it")
    tls_port: int = _key(4643, _port, "its port with TLS", trusted_only=True, harmless=(0,))
    names: tuple[str, ...] = _key([], _names, "other names and addresses that it has, for its certificate", trusted_only=True)
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
class SipSection:
    """[sip]: phones and PBXs that call the exchange, and how it calls them."""

    enabled: bool = _key(False, _flag, "listen for phones and PBXs (sinchphone exchange)")
    host: str = _key("127.0.0.1", _text, "address that SIP and its sound use", trusted_only=True)
    port: int = _key(5060, _port, "its port, UDP and TCP")
    tls: bool = _key(False, _flag, "listen with TLS too")
    tls_port: int = _key(5061, _port, "its port with TLS")
    realm: str = _key("sinchphone", _text, "what phones are told they log in to", trusted_only=True)
    digest: tuple[str, ...] = _key(
        ["MD5"],
        _digests,
        'how passwords are proved, the most wanted first: "MD5", "SHA-256" (some phones give up on it)',
        trusted_only=True,
    )
    users_file: Path | None = _key("", _path, "a file of phones, NAME:PASSWORD a line, for its owner's eyes only", trusted_only=True)  # noqa: RUF009 - a field
    trusted: tuple[str, ...] = _key([], _texts, "addresses and networks of PBXs and proxies that need no password", trusted_only=True)
    public_address: str | None = _key("", _text, "the address that others see, where that is another", trusted_only=True)
    media: Literal["python", "rtpengine"] = _key("python", _one_of("python", "rtpengine"), "what carries sound: python, or an rtpengine")
    rtpengine: tuple[str, int] = _key("127.0.0.1:2223", _host_and_port, "where rtpengine takes orders (ng)", trusted_only=True)
    rtpengine_digits: tuple[str, int] | None = _key(
        "", _host_and_port, "where rtpengine's --dtmf-log-dest sends the digits it hears, such as 127.0.0.1:2224", trusted_only=True
    )
    media_ports: tuple[int, int] | None = _key("", _ports, "UDP ports of sound, such as 20000-20999; any free ones")


@dataclass(frozen=True, slots=True)
class TrunkSection:
    """[trunk]: a SIP carrier or PBX that carries calls to phone numbers."""

    host: str | None = _key("", _text, "the carrier or PBX; without one, phone numbers are simulated", trusted_only=True)
    port: int = _key(0, _port, "its port; 0: 5060, with TLS 5061", trusted_only=True)
    transport: Literal["udp", "tcp", "tls"] = _key("udp", _one_of("udp", "tcp", "tls"), "udp, tcp or tls", trusted_only=True)
    srtp: bool = _key(False, _flag, "encrypt sound (SRTP); use it with tls", trusted_only=True)
    username: str | None = _key("", _text, "who we are there", trusted_only=True)
    password: str | None = _key("", _text, "its password (environment only)", variable="SINCHPHONE_TRUNK_PASSWORD", secret=True)
    password_command: str | None = _key("", _text, "a command that prints its password", trusted_only=True)
    password_file: Path | None = _key("", _path, "a file with its password, for its owner's eyes only", trusted_only=True)  # noqa: RUF009 - a field
    register: bool = _key(False, _flag, "register there, so that it calls us", trusted_only=True)
    caller_id: str | None = _key("", _number, "shown for those who show no number, or none that they may", trusted_only=True)
    caller_ids: tuple[str, ...] = _key(["*"], _texts, 'numbers that callers may show; "*": any', trusted_only=True)
    allow: tuple[str, ...] = _key([], _texts, 'beginnings of numbers that may be called, such as "+46"; "+": all', trusted_only=True)
    deny: tuple[str, ...] = _key([], _texts, "beginnings of numbers that may not; the longer beginning counts", trusted_only=True)
    strip: str | None = _key("", _text, "what is taken off the beginning of a number that is called, such as +", trusted_only=True)
    prefix: str | None = _key("", _text, "what is then put there, such as 00", trusted_only=True)
    max_calls: int = _key(10, _count, "calls at a time, both directions", trusted_only=True)
    addresses: tuple[str, ...] = _key([], _texts, "addresses and networks that its calls come from, beside host", trusted_only=True)
    numbers: tuple[tuple[str, str], ...] = _key({}, _table, "our numbers there, and where their calls go: a table", trusted_only=True)


@dataclass(frozen=True, slots=True)
class BackendSection:
    """[backend]: the developer's backend, asked by ICE, ACE and DiCE callbacks what to do with a call."""

    url: str | None = _key("", _full_url, "where events are posted; without one the dial plan decides", trusted_only=True)
    fallback: str | None = _key("", _full_url, "where else, when that fails", trusted_only=True)


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
    color: str = _key("auto", _one_of("auto", "always", "never"), "colours")
    json: bool = _key(False, _flag, "one JSON object a line on standard output", variable="SINCHPHONE_JSON")
    dialplan: tuple[tuple[str, str], ...] = _key(
        {}, _table, "where calls from phones, PBXs and the trunk go: a table of patterns and targets", trusted_only=True
    )
    audio: AudioSection = field(default_factory=AudioSection)
    exchange: ExchangeSection = field(default_factory=ExchangeSection)
    sms: SmsSection = field(default_factory=SmsSection)
    sip: SipSection = field(default_factory=SipSection)
    trunk: TrunkSection = field(default_factory=TrunkSection)
    backend: BackendSection = field(default_factory=BackendSection)

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
            yield replace(key, name=f"{prefix}{one.name}")


def _sections() -> Iterator[tuple[str, type[Any]]]:
    for one in fields(Options):
        if is_dataclass(one.default_factory):
            assert isinstance(one.default_factory, type)
            yield one.name, one.default_factory


SECTIONS: Final = dict(_sections())
KEYS: Final = {key.name: key for key in _keys_of(Options, "")}
_TABLES: Final = """
# Tables may be written in lines of their own. The first pattern that fits counts; {1} is what the first * stands for.
# [dialplan]
# "9*" = "number:+{1}"
# "reception" = "user:ada"
# "meet-*" = "room:{1}"
# [trunk.numbers]
# "+46101234567" = "user:ada"
"""


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
    parts.append(_TABLES)
    parts.append('\n# Profiles override the keys above: profile = "work", or --profile work.\n# [profiles.work]\n# environment = "cloud"\n')
    return "".join(parts)
