"""What a SIP user agent can be told, and who may call it without a password."""

from collections.abc import Container
from dataclasses import field
from pathlib import Path
from typing import get_args

from sinchphone.exchange.options import Certificate
from sinchphone.gateway.options import SipSettings
from sinchphone.gateway.sip.limits import SourceLimits
from sinchphone.gateway.sip.network.hop import Hop, Transport
from sinchphone.protocol.sip.session.state import RING_SECONDS, SESSION_SECONDS
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPeer:
    """Who may call us without a password: a carrier's or PBX's addresses (numeric).

    ``names``: what else it is called in URIs. ``transports``: by which it calls; over UDP anybody can write its address as the source.
    ``encrypted``: it says that the sound is encrypted, so nobody who offers plain RTP is that one.
    """

    name: str
    hosts: Container[str]
    names: frozenset[str] = frozenset()
    transports: frozenset[Transport] = frozenset(get_args(Transport))
    encrypted: bool = False

    def is_source(self, hop: Hop) -> bool:
        """Whether what comes from there is this peer's."""
        return hop.host in self.hosts and hop.transport in self.transports


_USUAL = SipSettings()


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SipOptions:
    """What a user agent can be told: by ``[sip]``, whose defaults these are, and by programs. Port 0 takes a free one."""

    host: str = _USUAL.host
    port: int = _USUAL.port
    public_address: str | None = None  # an address or name by which others than this machine reach us, where that isn't ``host``
    tls_port: int | None = None  # with ``certificate``; None: the port after ``port``
    certificate: Certificate | None = None
    ca_files: tuple[Path, ...] = ()  # authorities of other servers' certificates (PEM), beside the system's
    realm: str = _USUAL.realm
    algorithms: tuple[str, ...] = _USUAL.digest  # that we challenge with, most wanted first; SHA-256 stops phones that only know MD5
    domains: frozenset[str] = frozenset()  # what we are called in URIs, besides our addresses and the realm
    trunks: tuple[TrunkPeer, ...] = ()
    proxies: Container[str] = ()  # in front of phones: they say by which way a phone is reached (Path), and prove nothing
    reached_at: str = ""  # the address by which the other processes of this exchange reach us; ``host`` where it's empty
    open: bool = False  # takes calls from anybody without a password: for tests on loopback
    calls: int = 200  # open at the same time
    ring_seconds: float = RING_SECONDS
    session_seconds: int = SESSION_SECONDS  # 0: no session timers
    nonce_seconds: float = 300.0
    limits: SourceLimits = field(default_factory=SourceLimits)
    timing: Timing = field(default_factory=Timing)
