"""What a gateway can be told: where it speaks SIP and with whom, its trunk, its dial plan, the developer's backend.

Reading this loads nothing else of the gateway: who only calls users needs no more of it.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sinchphone.errors import ConfigError
from sinchphone.hosts import LOOPBACK_NAMES, SIP_PORT, SIP_PORTS, SIPS_PORT, is_address, unbracketed
from sinchphone.protocol.phone_numbers import is_number, is_number_prefix, read_caller_id
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import (
    WeightedAddress,
    is_host,
    key,
    one_of,
    read_amount,
    read_amounts,
    read_count,
    read_flag,
    read_full_url,
    read_host,
    read_host_and_port,
    read_limit,
    read_network,
    read_path,
    read_port,
    read_ports,
    read_seconds,
    read_table,
    read_text,
    read_texts,
    read_weighted_addresses,
)

DIGESTS: Final = ("MD5", "SHA-256")  # RFC 8760
ANY: Final = "*"
MAX_CALLS: Final = 1_000
_HOST: Final = r"[A-Za-z0-9.-]{1,253}"  # whatever a connection takes, such as 127.1
_DIALLABLE: Final = r"[0-9*#+A-Za-z._-]{0,32}"

MediaEngine: TypeAlias = Literal["python", "rtpengine"]
SipTransport: TypeAlias = Literal["udp", "tcp", "tls"]


def _digests(value: object) -> tuple[str, ...]:
    algorithms = read_texts(value)
    if not algorithms or len(set(algorithms)) < len(algorithms) or not set(algorithms) <= set(DIGESTS):
        raise ValueError('must be a list of "MD5", "SHA-256" or both, the most wanted first')
    return algorithms


@quick_dataclass(frozen=True, kw_only=True)
class SipSettings:
    """How the gateway speaks SIP.

    ``users`` maps each phone's user to its password; ``trusted`` are the addresses and networks of proxies and PBXs that need not prove
    who calls; those of ``proxies`` must. Port 0 takes a free port. Without ``rtpengine_digits`` digits never become INFO with rtpengine.
    """

    host: str = key("127.0.0.1", read_host, "address that SIP and its sound use", chosen_only=True)
    port: int = key(SIP_PORT, read_port, "its port, UDP and TCP")
    tls: bool = key(False, read_flag, "listen with TLS too")
    tls_port: int = key(SIPS_PORT, read_port, "its port with TLS")
    realm: str = key("sinchphone", read_text, "what phones are told they log in to", chosen_only=True)
    digest: tuple[str, ...] = key(
        ["MD5"],
        _digests,
        'how passwords are proved, the most wanted first: "MD5", "SHA-256" (some phones give up on it)',
        chosen_only=True,
    )
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    trusted: tuple[str, ...] = key([], read_texts, "addresses and networks of PBXs and proxies that need no password", chosen_only=True)
    proxies: tuple[str, ...] = key(
        [],
        read_texts,
        "addresses and networks of proxies in front of phones that say by Path (RFC 3327) how a phone is reached; phones prove who calls",
        chosen_only=True,
    )
    public_address: str | None = key("", read_text, "the address that others see, where that is another", chosen_only=True)
    media: MediaEngine = key("python", one_of("python", "rtpengine"), "what carries sound: python, or an rtpengine")
    rtpengine: tuple[WeightedAddress, ...] = key(
        "127.0.0.1:2223",
        read_weighted_addresses,
        'where rtpengine takes orders (ng); of several each call has one by weight: ["192.0.2.1:2223=2", "192.0.2.2:2223=1"]',
        chosen_only=True,
    )
    rtpengine_digits: tuple[str, int] | None = key(
        "", read_host_and_port, "where rtpengine's --dtmf-log-dest sends the digits it hears, such as 127.0.0.1:2224", chosen_only=True
    )
    ca_file: Path | None = key(
        "", read_path, "authorities (PEM) of SIP servers called over TLS, trusted beside the system's", chosen_only=True
    )
    rtp_timeout: int = key(
        120,
        read_seconds,
        "seconds without RTP and RTCP from a phone or trunk that doesn't hold, after which the call ends if it is gone; 0: never",
    )
    media_ports: tuple[int, int] | None = key("", read_ports, "UDP ports of sound, such as 20000-20999; any free ones")

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        for network in (*self.trusted, *self.proxies):
            read_network(network)
        if self.public_address is not None and not is_host(self.public_address):
            raise ConfigError(
                f'[sip] public_address: "{self.public_address}" is not an IP address or a host name',
                hint="without sip: and without a port",
            )

    def is_ours(self, host: str, port: int | None = None) -> bool:
        """Whether that host in a SIP address means this gateway: so do its proxies, at which phones call it. An address without a port
        does, whatever port it listens at."""
        bare = unbracketed(host).lower()
        names = {self.host.lower(), self.realm.lower(), (self.public_address or self.host).lower(), *LOOPBACK_NAMES}
        if is_address(bare) and any(ipaddress.ip_address(bare) in read_network(one) for one in self.proxies):
            return True
        return bare in names and port in (None, self.port, *([self.tls_port] if self.tls else []))


@quick_dataclass(frozen=True, kw_only=True)
class TrunkOptions:
    """A SIP carrier or PBX; none without a ``host``.

    ``allow`` and ``deny`` are prefixes (``+46``); what isn't allowed can't be called, and the longest prefix decides. ``caller_ids`` are
    the numbers that callers may show (``*``: any); ``caller_id`` is shown for all others. ``strip`` is taken off the start of a
    number that is sent, then ``prefix`` is put there. ``numbers`` are ours: what is dialled -> a target of the dial plan.
    ``addresses`` (IP addresses or networks) are where its calls come from, beside ``host``. What starts with ``daily_`` is each user's on
    one day (UTC); ``prices`` are those of a minute, by the beginning of the number, in the currency of ``daily_spend``.
    """

    host: str = key("", read_text, "the carrier or PBX; without one, phone numbers are simulated", chosen_only=True, unset="")
    port: int = key(0, read_port, f"its port; 0: {SIP_PORT}, with TLS {SIPS_PORT}", chosen_only=True)
    transport: SipTransport = key("udp", one_of("udp", "tcp", "tls"), "udp, tcp or tls", chosen_only=True)
    ca_file: Path | None = key("", read_path, "authorities (PEM) trusted beside the system's, with tls", chosen_only=True)
    srtp: bool = key(False, read_flag, "encrypt sound (SRTP); use it with tls", chosen_only=True)
    username: str | None = key("", read_text, "who we are there", chosen_only=True)
    password: str | None = key("", read_text, "its password (environment only)", variable="SINCHPHONE_TRUNK_PASSWORD", secret=True)
    register: bool = key(False, read_flag, "register there, so that it calls us", chosen_only=True)
    caller_id: str | None = key("", read_caller_id, "shown for those who show no number, or none that they may", chosen_only=True)
    caller_ids: tuple[str, ...] = key([ANY], read_texts, 'numbers that callers may show; "*": any', chosen_only=True)
    allow: tuple[str, ...] = key([], read_texts, 'beginnings of numbers that may be called, such as "+46"; "+": all', chosen_only=True)
    deny: tuple[str, ...] = key([], read_texts, "beginnings of numbers that may not; the longer beginning counts", chosen_only=True)
    strip: str = key("", read_text, "what is taken off the beginning of a number that is called, such as +", chosen_only=True, unset="")
    prefix: str = key("", read_text, "what is then put there, such as 00", chosen_only=True, unset="")
    max_calls: int = key(10, read_count, "calls at a time, both directions", chosen_only=True)
    addresses: tuple[str, ...] = key([], read_texts, "addresses and networks that its calls come from, beside host", chosen_only=True)
    daily_calls: int = key(500, read_limit, "calls that one user may place over it in a day (UTC); 0: any number", chosen_only=True)
    daily_minutes: int = key(1440, read_limit, "minutes that one user's calls over it may last in a day; 0: any number", chosen_only=True)
    daily_spend: float | None = key(
        "", read_amount, "what one user's calls over it may cost in a day, by prices; what has none isn't called", chosen_only=True
    )
    prices: Mapping[str, float] = key(
        {}, read_amounts, 'what a minute costs, by the beginning of the number, such as { "+46" = "0.02" }', chosen_only=True
    )
    numbers: Mapping[str, str] = key({}, read_table, "our numbers there, and where their calls go: a table", chosen_only=True)

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        if self.host and not re.fullmatch(_HOST, self.host) and not is_address(unbracketed(self.host)):
            raise ConfigError(f'"{self.host}" is not a host', hint="[trunk] host is a name or an IP address, without sip: and port")
        if not 1 <= self.max_calls <= MAX_CALLS:
            raise ConfigError(f"a trunk takes 1 to {MAX_CALLS} calls")
        if self.register and not self.username:
            raise ConfigError("a trunk that registers needs a username")
        for name, numbers in (("caller_id", (self.caller_id,) if self.caller_id else ()), ("caller_ids", self.caller_ids)):
            for number in numbers:
                if number != ANY and not is_number(number):
                    raise ConfigError(f'[trunk] {name}: "{number}" is not a number such as +46700000000')
        if self.daily_spend is not None and not self.prices:
            raise ConfigError("[trunk] daily_spend needs prices", hint='[trunk] prices = { "+46" = "0.02" }: what a minute costs')
        for prefix in (*self.allow, *self.deny, *self.prices):
            if not is_number_prefix(prefix):
                raise ConfigError(f'"{prefix}" is not a prefix such as +46', hint='allow = ["+"] allows every number')
        for network in self.addresses:
            read_network(network)
        if not re.fullmatch(_DIALLABLE, self.prefix) or not re.fullmatch(_DIALLABLE, self.strip):
            raise ConfigError("[trunk] strip and prefix are what numbers begin with, such as + and 00")

    @property
    def port_in_use(self) -> int:
        """The port, or the transport's own."""
        return self.port or SIP_PORTS[self.transport]


@quick_dataclass(frozen=True)
class BackendOptions:
    """The developer's backend: where events are posted, and where else when that fails; none without a ``url``."""

    url: str = key("", read_full_url, "where events are posted; without one the dial plan decides", chosen_only=True, unset="")
    fallback: str | None = key("", read_full_url, "where else, when that fails", chosen_only=True)
    ca_file: Path | None = key(
        "", read_path, "authorities (PEM) trusted beside the system's, there and where its sounds are fetched", chosen_only=True
    )


@quick_dataclass(frozen=True, kw_only=True)
class GatewayOptions:
    """Everything about calls that don't stay between users. Without ``sip`` nobody can call over SIP; calls out need none.

    ``dialplan`` maps patterns to targets; the first that fits counts (``gateway.routing.rules`` says what both may be).
    """

    sip: SipSettings | None = None
    trunk: TrunkOptions | None = None
    dialplan: Mapping[str, str] = key(
        {}, read_table, "where calls from phones, PBXs and the trunk go: a table of patterns and targets", chosen_only=True
    )
    backend: BackendOptions | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        if self.trunk is not None and not self.trunk.host:
            raise ConfigError("a trunk needs a host", hint="[trunk] host is a name or an IP address, without sip: and port")
        if self.backend is not None and not self.backend.url:
            raise ConfigError("a backend needs a url", hint="[backend] url says where events are posted")
