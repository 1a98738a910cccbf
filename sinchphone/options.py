"""Everything that can be configured: the options that the rooms declare, and those that only a program's start has.

A key that a room owns stands in the room's options dataclass and nowhere else; here are the sections that add what only configuration
needs (where a password is found, whether to listen at all), and ``KEYS``, all of them by their dotted names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from sinchphone.exchange.options import ConferenceOptions, ExchangeOptions
from sinchphone.folders import state_folder
from sinchphone.gateway.options import BackendOptions, GatewayOptions, SipSettings, TrunkOptions
from sinchphone.media.options import AudioOptions, VideoOptions
from sinchphone.protocol.names import USER_RULE, is_user_id
from sinchphone.protocol.phone_numbers import read_caller_id
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import (
    Key,
    key,
    key_of,
    member_of,
    one_of,
    parse_duration,
    read_command,
    read_flag,
    read_host_and_port,
    read_hosts,
    read_ice_urls,
    read_path,
    read_text,
    read_url,
    section_of,
    shared,
)
from sinchphone.signaling.api import Api

MAX_RING_SECONDS: Final = 60.0
MAX_HOOK_SECONDS: Final = 60.0
_APPLICATION_KEY: Final = "[A-Za-z0-9_-]{1,64}"

Room = TypeVar("Room")


class Place(StrEnum):
    """Whose platform carries the calls."""

    LOCAL = "local"  # the embedded exchange
    CLOUD = "cloud"


class Color(StrEnum):
    """When the screen has colours."""

    AUTO = "auto"  # on a terminal
    ALWAYS = "always"
    NEVER = "never"


class LogFormat(StrEnum):
    """What standard error is written for."""

    TEXT = "text"  # people
    JSON = "json"  # programs that collect logs


def _user_id(value: object) -> str:
    if not is_user_id(read_text(value)):
        raise ValueError(f"must have {USER_RULE}")
    return read_text(value)


def _ring_timeout(value: object) -> float:
    """The platform ends the ringing itself after a minute."""
    duration = parse_duration(value)
    if not 0 < duration <= MAX_RING_SECONDS:
        raise ValueError(f"must be more than 0 and at most {MAX_RING_SECONDS:g}s: nothing rings longer")
    return duration


def read_application_key(value: object) -> str:
    """A key for the local application: it stands in paths, and before a colon."""
    if not re.fullmatch(_APPLICATION_KEY, read_text(value)):
        raise ValueError("must be a key: up to 64 letters, digits, hyphens and underscores")
    return read_text(value)


@quick_dataclass(frozen=True, kw_only=True)
class ExchangeSection(ExchangeOptions):
    """[exchange]: where the embedded exchange listens."""

    tls: bool = key(
        False, read_flag, "listen with TLS too (sinchphone exchange), and print whose certificate clients must trust; browsers insist on it"
    )
    names: tuple[str, ...] = key([], read_hosts, "other names and addresses that it has, for its certificate", chosen_only=True)
    background: bool = key(
        True,
        read_flag,
        "a command that needs an exchange starts one in the background; false: it hosts it itself, as long as it runs",
        variable="SINCHPHONE_BACKGROUND",
        chosen_only=True,
        harmless=(False,),
    )
    ice_secret_command: str | None = key("", read_text, "a command that prints ice_secret", chosen_only=True)
    ice_secret_file: Path | None = key("", read_path, "a file with ice_secret, for its owner's eyes only", chosen_only=True)
    application_key: str | None = key(
        "",
        read_application_key,
        "a key of your own for the local application, in place of the one that is made at first use",
        variable="SINCHPHONE_EXCHANGE_KEY",
        chosen_only=True,
    )
    application_secret: str | None = key(
        "", read_text, "the secret that goes with it, base64 (environment only)", variable="SINCHPHONE_EXCHANGE_SECRET", secret=True
    )
    application_secret_file: Path | None = key("", read_path, "a file with that secret, for its owner's eyes only", chosen_only=True)
    store_password_command: str | None = key("", read_text, "a command that prints the password of the Redis in store", chosen_only=True)
    store_password_file: Path | None = key("", read_path, "a file with that password, for its owner's eyes only", chosen_only=True)
    store_ca_file: Path | None = key(
        "", read_path, "authorities (PEM) to be trusted for rediss: in store, beside the system's", chosen_only=True
    )
    drain: float = key(
        "30s",
        parse_duration,
        "how long calls may go on after SIGTERM, while no new ones are taken (sinchphone exchange); 0s ends at once",
    )
    metrics: tuple[str, int] | None = key(
        "",
        read_host_and_port,
        "an address of its own for /health, /ready and Prometheus' /metrics, such as 127.0.0.1:9464 (sinchphone exchange)",
        chosen_only=True,
    )
    keep: bool = key(True, read_flag, "keep users and waiting messages in the state folder; false: in memory only (store goes before it)")


def _time_limit(value: object) -> float:
    duration = parse_duration(value)
    if not 0 < duration <= MAX_HOOK_SECONDS:
        raise ValueError(f"must be more than 0 and at most {MAX_HOOK_SECONDS:g}s")
    return duration


@quick_dataclass(frozen=True)
class HooksSection:
    """[hooks]: programs of the user's own that run when something happens."""

    incoming: str | None = key("", read_command, "a program that runs when somebody calls, and may decide", chosen_only=True)
    established: str | None = key("", read_command, "one for when sound flows", chosen_only=True)
    ended: str | None = key("", read_command, "one for the end of a call", chosen_only=True)
    message: str | None = key("", read_command, "one for a message that came", chosen_only=True)
    missed: str | None = key("", read_command, "one for a call that nobody took", chosen_only=True)
    time_limit: float = key("5s", _time_limit, "how long each may take; 60s at most")


@quick_dataclass(frozen=True)
class IceSection:
    """[ice]: how calls get through networks that don't let them."""

    servers: tuple[str, ...] = key(
        [], read_ice_urls, "STUN and TURN servers to ask beside the platform's: stun:HOST, turn:HOST, turns:HOST", chosen_only=True
    )
    username: str | None = key("", read_text, "the user name for them", chosen_only=True)
    credential: str | None = key(
        "", read_text, "the password for them (environment only)", variable="SINCHPHONE_ICE_CREDENTIAL", secret=True
    )
    credential_command: str | None = key("", read_text, "a command that prints the password", chosen_only=True)
    credential_file: Path | None = key("", read_path, "a file with the password, for its owner's eyes only", chosen_only=True)
    relay_only: bool = key(False, read_flag, "call through TURN servers only, so that the other side never learns this machine's addresses")


@quick_dataclass(frozen=True)
class SmsSection:
    """[sms]: Sinch's SMS API, which carries messages to phone numbers."""

    service_plan_id: str | None = key("", read_text, "the service plan of the SMS API", variable="SINCH_SERVICE_PLAN_ID")
    sender: str | None = key("", read_text, "what the phone shows as sender: a number, a short code or a name")
    region: str = key("us", one_of("us", "eu", "br", "ca", "au"), "where the service plan lives: us, eu, br, ca or au")
    host: str | None = key("", read_url, "the SMS API, where it isn't the region's", chosen_only=True)
    token: str | None = key("", read_text, "the service plan's API token (environment only)", variable="SINCH_SMS_TOKEN", secret=True)
    token_command: str | None = key("", read_text, "a command that prints the API token", chosen_only=True)
    token_file: Path | None = key("", read_path, "a file with the API token, for its owner's eyes only", chosen_only=True)


@quick_dataclass(frozen=True, kw_only=True)
class SipSection(SipSettings):
    """[sip]: phones and PBXs that call the exchange, and how it calls them."""

    enabled: bool = key(False, read_flag, "listen for phones and PBXs (sinchphone exchange)")
    users_file: Path | None = key("", read_path, "a file of phones, NAME:PASSWORD a line, for its owner's eyes only", chosen_only=True)


@quick_dataclass(frozen=True, kw_only=True)
class TrunkSection(TrunkOptions):
    """[trunk]: a SIP carrier or PBX that carries calls to phone numbers."""

    password_command: str | None = key("", read_text, "a command that prints its password", chosen_only=True)
    password_file: Path | None = key("", read_path, "a file with its password, for its owner's eyes only", chosen_only=True)


@quick_dataclass(frozen=True)
class Options:
    """Everything that can be configured, with its default."""

    profile: str | None = key("", read_text, "which [profiles.NAME] below is in force", variable="SINCHPHONE_PROFILE")
    environment: Place = key("local", member_of(Place), "local: the embedded exchange; cloud: as soon as an application_key is set")
    user: str | None = key("", _user_id, "who I am; the login name in the local environment", variable="SINCH_USER_ID")
    application_key: str | None = key("", read_text, "the application's key", variable="SINCH_APPLICATION_KEY")
    api: Api = key("ocra", member_of(Api), "which of Sinch's REST dialects is spoken: ocra, or papi, the older one with messages")
    host: str | None = key("", read_url, "the platform, where it isn't Sinch's own", variable="SINCHPHONE_HOST", chosen_only=True)
    ca_file: Path | None = key(
        "",
        read_path,
        "authorities (PEM) to be trusted beside the system's: platform, token_url, SMS API and TURN servers",
        variable="SINCHPHONE_CA_FILE",
        chosen_only=True,
    )
    caller_id: str | None = key("", read_caller_id, "the number that phone calls show (+E164)", variable="SINCHPHONE_CALLER_ID")
    token: str | None = key("", read_text, "a registration token (environment only)", variable="SINCHPHONE_TOKEN", secret=True)
    token_url: str | None = key("", read_url, "a backend that returns tokens", variable="SINCHPHONE_TOKEN_URL", chosen_only=True)
    password: str | None = key("", read_text, "the user's password, papi (environment only)", variable="SINCHPHONE_PASSWORD", secret=True)
    password_command: str | None = key("", read_text, "a command that prints the user's password, for api papi", chosen_only=True)
    secret_command: str | None = key("", read_text, "a command that prints the application's secret", chosen_only=True)
    secret_file: Path | None = key("", read_path, "a file with the secret, for its owner's eyes only", chosen_only=True)
    state_dir: Path | None = key("", read_path, "where registrations are kept; the platform's state folder", chosen_only=True)
    ring_timeout: float = key("60s", _ring_timeout, "how long an outgoing call rings; 60s at most")
    max_duration: float | None = key("", parse_duration, "how long a call may last, such as 30s or 10m; then it is hung up")
    color: Color = key("auto", member_of(Color), "colours: auto, always or never")
    plain: bool = key(
        False, read_flag, "whole lines alone, nothing redrawn: for screen readers and slow terminals", variable="SINCHPHONE_PLAIN"
    )
    json: bool = key(False, read_flag, "one JSON object a line on standard output (sinchphone config schema)", variable="SINCHPHONE_JSON")
    log_format: LogFormat = key(
        "text",
        member_of(LogFormat),
        "what standard error is: text, or json, an object a line with the call that it's about",
        variable="SINCHPHONE_LOG_FORMAT",
    )
    dialplan: Mapping[str, str] = shared(GatewayOptions, "dialplan")
    audio: AudioOptions = field(default_factory=AudioOptions)
    video: VideoOptions = field(default_factory=VideoOptions)
    ice: IceSection = field(default_factory=IceSection)
    exchange: ExchangeSection = field(default_factory=ExchangeSection)
    hooks: HooksSection = field(default_factory=HooksSection)
    sms: SmsSection = field(default_factory=SmsSection)
    sip: SipSection = field(default_factory=SipSection)
    trunk: TrunkSection = field(default_factory=TrunkSection)
    backend: BackendOptions = field(default_factory=BackendOptions)
    conference: ConferenceOptions = field(default_factory=ConferenceOptions)

    @property
    def state_path(self) -> Path:
        """Where state is kept."""
        return self.state_dir or state_folder()


def narrowed(kind: type[Room], section: Room, **more: Any) -> Room:
    """What a room is told: its own fields of a section, with ``more`` that no key holds."""
    return kind(**{one.name: getattr(section, one.name) for one in fields(kind)} | more)  # type: ignore[arg-type]


def _keys_of(options: type[Any], prefix: str) -> Iterator[Key]:
    for one in fields(options):
        section, known = section_of(one), key_of(one)
        if known is not None:
            yield known._replace(name=f"{prefix}{one.name}")
        elif section is not None and not prefix:
            yield from _keys_of(section, f"{one.name}.")


SECTIONS: Final = {one.name: section for one in fields(Options) if (section := section_of(one)) is not None}
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


def example(chosen: Mapping[str, str] | None = None) -> str:
    """A configuration file with every key commented out at its default (config.example.toml), but for those that were ``chosen``."""
    import json

    parts = ["# sinchphone: every key with its default. Precedence: flag, environment, ./sinchphone.toml, this file.\n"]
    section = ""
    for one in (one for one in KEYS.values() if not one.secret):
        table, _, name = one.name.rpartition(".")
        if table != section:
            parts.append(f"\n[{table}]\n")
            section = table
        also = f" ({one.variable})" if one.variable else ""
        value = (chosen or {}).get(one.name)
        line = f"# {name} = {json.dumps(one.example)}" if value is None else f"{name} = {json.dumps(value)}"
        parts.append(f"\n# {one.help}{also}\n{line}\n")
    parts.append(_TABLES)
    parts.append('\n# Profiles override the keys above: profile = "work", or --profile work.\n# [profiles.work]\n# environment = "cloud"\n')
    return "".join(parts)
