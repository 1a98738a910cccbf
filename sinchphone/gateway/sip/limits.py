"""How much one source may ask of the SIP side: requests, registrations, wrong passwords (pure)."""

import ipaddress
from collections.abc import Container
from enum import Enum, auto
from typing import Final

from sinchphone.exchange.access.limits import Allowances
from sinchphone.quick_dataclass import quick_dataclass

_IPV6_PREFIX: Final = 64  # what one subscriber has; less would give a scanner as many allowances as it likes


class Admission(Enum):
    """What to do with a request before anything else is done with it."""

    TAKE = auto()
    REFUSE = auto()  # 503 with Retry-After, or 403: worth one short answer
    IGNORE = auto()  # no answer at all: it would be one more packet for a flood, or for the victim of a forged source


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SourceLimits:
    """Limits for one source (an IPv4 address, an IPv6 /64). ``trusted`` sources (a proxy in front, the carrier) have none."""

    requests_at_once: int = 200
    requests_a_second: float = 50.0
    registrations_at_once: int = 30
    registrations_a_second: float = 5.0
    failures_at_once: int = 10  # answers to a challenge with a wrong password or an unknown user
    failures_a_second: float = 1 / 30
    trusted: frozenset[str] = frozenset()


class Sources:
    """Counts what sources ask for. ``now`` is in seconds of any clock that doesn't go back; ``host`` a numeric address."""

    def __init__(self, limits: SourceLimits, *, known: tuple[Container[str], ...] = ()) -> None:
        """``known`` sources have no limits either: media_backends and proxies, whose addresses may be found out later."""
        self._known = (limits.trusted, *known)
        self._requests: Allowances[str] = Allowances(limits.requests_at_once, limits.requests_a_second)
        self._registrations: Allowances[str] = Allowances(limits.registrations_at_once, limits.registrations_a_second)
        self._failures: Allowances[str] = Allowances(limits.failures_at_once, limits.failures_a_second)

    def judge(self, host: str, method: str, now: float) -> Admission:
        """Whether to deal with a new request (not a repeated one). ACK, CANCEL, BYE and PRACK finish what was taken: never refused."""
        if self._knows(host):
            return Admission.TAKE
        source = _source(host)
        if not self._requests.take(source, now):
            return Admission.IGNORE
        if method in ("ACK", "CANCEL", "BYE", "PRACK"):
            return Admission.TAKE
        if not self._failures.has(source, now):
            return Admission.REFUSE  # a phone with a wrong password is told, and when to try again
        if method == "REGISTER" and not self._registrations.take(source, now):
            return Admission.REFUSE
        return Admission.TAKE

    def count_failure(self, host: str, now: float) -> bool:
        """Somebody there answered a challenge wrongly; whether that was one time too many."""
        if self._knows(host):
            return False
        could = self._failures.take(_source(host), now)
        return could and not self._failures.has(_source(host), now)

    def _knows(self, host: str) -> bool:
        return any(host in hosts for hosts in self._known)


def _source(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
