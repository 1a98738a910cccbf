"""What an exchange can be told: where it listens, which applications it serves, and how much it takes from anybody."""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

from sinchphone.errors import ConfigError
from sinchphone.protocol.webpush.contact import check_subject
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import (
    key,
    one_of,
    read_flag,
    read_host,
    read_hosts_and_networks,
    read_ice_urls,
    read_limit,
    read_port,
    read_seconds,
    read_text,
)
from sinchphone.signaling.wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from sinchphone.media.network.simulated_line import SimulatedLine

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4600
DEFAULT_TLS_PORT = 4643
DEFAULT_CONTACT = "https://sinchphone.example.org"  # push services look at its form
SERVICE = "sinchphone-exchange"  # as what an exchange introduces itself
HOST_PATH = "/exchange"  # ours: how the process that hosts is looked at
STOP_PATH = f"{HOST_PATH}/stop"
CALLING_ROOT = "/calling/v1"  # of the calling API
MANAGEMENT_PATH = "/__sinchphone"  # ours: what is asked of the exchange by whoever runs it, and of no page


def read_push_contact(value: object) -> str:
    """A contact that push services take."""
    contact = read_text(value)
    try:
        check_subject(contact)
    except ConfigError as error:
        raise ValueError(f"must be as in mailto:somebody@example.org, or an https: page: {error}") from error
    return contact


def read_line(value: object) -> str:
    """Faults of a line, as they are written."""
    written = read_text(value)
    from sinchphone.media.network.simulated_line import SimulatedLine

    SimulatedLine.read(written)
    return written


class StoreAddress(str):
    """``redis://user:password@host:port/database``, or ``rediss:`` with TLS; ``ca_file``: authorities (PEM) to be trusted there beside the
    system's."""

    ca_file: Path | None

    def __new__(cls, written: str, ca_file: Path | None = None) -> Self:
        """Both as they were read."""
        made = super().__new__(cls, written)
        made.ca_file = ca_file
        return made

    def __repr__(self) -> str:
        return repr(self.shown)

    @property
    def shown(self) -> str:
        """Without user and password."""
        parts = urlsplit(self)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def has_tls(self) -> bool:
        """Whether it's reached over TLS."""
        return urlsplit(self).scheme == "rediss"

    @property
    def database(self) -> int:
        """Its number."""
        return int(urlsplit(self).path.strip("/") or 0)

    def with_password(self, password: str) -> Self:
        """The same with a password, which was written elsewhere. Raises ConfigError where there is one already."""
        parts = urlsplit(self)
        if parts.password is not None:
            raise ConfigError("exchange.store has a password already", hint="write it as redis://user@host:port/database")
        user, _, where = parts.netloc.rpartition("@")
        return type(self)(f"{parts.scheme}://{user}:{quote(password, safe='')}@{where}{parts.path}", self.ca_file)


def read_store(value: object) -> StoreAddress:
    """Where a Redis database is."""
    written = read_text(value)
    try:
        parts = urlsplit(written)
        fits = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or (parts.path.strip("/") and not parts.path.strip("/").isdecimal()) or parts.query or parts.fragment:
        raise ValueError("must be redis://host:port/database, or rediss: for TLS")
    return StoreAddress(written)


class HostKind(Enum):
    """What kind of process hosts an exchange."""

    FOREGROUND = "foreground"  # ``sinchphone exchange``: nobody takes its place
    BACKGROUND = "background"  # started by a command that needed an exchange
    PROGRAM = "program"  # beside something else: it leaves the place to an exchange that is wanted for itself


@quick_dataclass(frozen=True)
class ApplicationCredentials:
    """An application's key, and its secret in base64."""

    key: str
    secret: str = field(repr=False)


@quick_dataclass(frozen=True)
class Certificate:
    """What a server shows: its certificate chain and the key, as files (PEM)."""

    chain: Path
    key: Path


def read_janus(value: object) -> str:
    """Where a Janus' WebSocket API is."""
    written = read_text(value)
    try:
        parts = urlsplit(written)
        fits = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("must be ws://host:port, or wss: for TLS")
    return written


@quick_dataclass(frozen=True, kw_only=True)
class ConferenceOptions:
    """[conference]: who mixes conference rooms."""

    mixer: str = key("python", one_of("python", "janus"), "who mixes conference rooms: python, or a Janus with its AudioBridge")
    janus: str = key("ws://127.0.0.1:8188", read_janus, "where that Janus' WebSocket API is", chosen_only=True)


@quick_dataclass(frozen=True, kw_only=True)
class ExchangeOptions:
    """Options of one exchange. ``applications`` maps each application key to its secret (base64). Port 0 takes a free port."""

    host: str = key(DEFAULT_HOST, read_host, "address of the embedded exchange", chosen_only=True)
    port: int = key(DEFAULT_PORT, read_port, "its port; 0: a free one", chosen_only=True, harmless=(0,))
    store: Path | StoreAddress | None = key(  # or the database of users and kept messages; without one they last as long as the exchange
        "",
        read_store,
        "what several exchange processes share, which are one exchange then: redis://host:port/database; see sinchphone help growing",
        variable="SINCHPHONE_EXCHANGE_STORE",
        chosen_only=True,
    )
    inner_hosts: tuple[str, ...] = key(
        [],
        read_hosts_and_networks,
        "hosts and networks of the inside that URLs of others may lead to, where host isn't loopback",
        chosen_only=True,
    )
    push_contact: str = key(
        DEFAULT_CONTACT,
        read_push_contact,
        "whom a push service can write to about the exchange's pushes: mailto: or https:",
        chosen_only=True,
    )
    ice_servers: tuple[str, ...] = key(
        [],
        read_ice_urls,
        "STUN and TURN servers that phones are told of before each call",
        chosen_only=True,
    )
    ice_username: str | None = key(
        "", read_text, "the user name for those TURN servers; without one each phone gets a name that expires", chosen_only=True
    )
    ice_secret: str | None = key(
        "",
        read_text,
        "that user's password, or the secret that its TURN servers share with it (environment only)",
        variable="SINCHPHONE_ICE_SECRET",
        secret=True,
    )
    line: str | None = key(
        "",
        read_line,
        'a bad line for the sound that the exchange itself sends and takes: "loss=5%,jitter=40ms,delay=100ms"',
    )
    trace_sound: bool = key(
        False, read_flag, "keep the sound of calls that it carries, decrypted, for trace --export FILE.pcapng", chosen_only=True
    )
    ice_seconds: int = key(3600, read_seconds, "how long such a name is good for new relays; calls may last longer")
    ice_relay_only: bool = key(False, read_flag, "tell phones to call through those TURN servers only", chosen_only=True)
    applications: Mapping[str, str] = field(default_factory=dict, repr=False)
    conference: ConferenceOptions = field(default_factory=ConferenceOptions)
    certificate: Certificate | None = None  # listens with TLS too
    tls_port: int = key(DEFAULT_TLS_PORT, read_port, "its port with TLS", chosen_only=True, harmless=(0,))
    body_bytes: int = MAX_BODY_BYTES  # of one REST request, as sent and unpacked
    message_bytes: int = 32 * 1024  # of one published message (PubNub's own limit)
    publishes_at_once: int = 1_000  # of one user, or one address of guests: the longest message to five has less
    publishes_a_second: int = 100  # and later
    connections: int | None = key(
        "",
        read_limit,
        "how many may be connected; not said: half of what the process may open, 1000 at most",
        chosen_only=True,
    )
    new_users_at_once: int = key(
        50,
        read_limit,
        "how many new users one address may bring at once with the application's key alone; later one in 5 s",
        chosen_only=True,
    )
    new_users_a_second: float = 0.2  # and later
    users: int = key(1_000, read_limit, "how many users the application may have", chosen_only=True)
    devices_per_user: int = 16
    open_calls_per_user: int = 16
    ringing_calls_per_pair: int = 4  # of one user at another: others get through
    history_per_channel: int = 256  # messages; the longest MXP message has less than 200 frames
    history_bytes: int = 16 * 1024 * 1024  # an application and network
    history_seconds: float = 600.0
    polls: int = key(2_000, read_limit, "how many long polls may wait: each device has two, and they are connections", chosen_only=True)
    polls_per_owner: int = key(128, read_limit, "how many of them one user may have, or one address of guests", chosen_only=True)
    channels: int = 4_096  # that guests and users made up, an application and network
    channels_per_owner: int = 1_024
    record: bool = True  # what happens, for the trace and the inspector
    quiet_seconds: float = 5.0  # without a message, before a poll is kept as its request's text alone
    poll_seconds: float = 280.0  # a little less than PubNub's SDKs wait (310 s)
    clock_skew_seconds: float = 300.0

    @property
    def simulated_line(self) -> "SimulatedLine | None":
        """What ``line`` says."""
        from sinchphone.media.network.simulated_line import SimulatedLine

        return SimulatedLine.read(self.line) if self.line else None

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        for port in (self.port, self.tls_port):
            if not 0 <= port <= 65_535:
                raise ConfigError(f"{port} is not a port", hint="ports go from 1 to 65535")
        limits = (
            self.body_bytes,
            self.message_bytes,
            self.users,
            self.publishes_at_once,
            self.publishes_a_second,
            self.devices_per_user,
            self.open_calls_per_user,
            self.polls,
            self.polls_per_owner,
            self.channels,
            self.channels_per_owner,
            self.ringing_calls_per_pair,
        )
        if min(*limits, self.history_per_channel, self.history_bytes) < 1:
            raise ConfigError("an exchange's limits must be at least 1")
        if min(self.history_seconds, self.poll_seconds, self.clock_skew_seconds) <= 0:
            raise ConfigError("an exchange's times must be more than 0 seconds")
