"""Where a registrar's users are: the rules of REGISTER (RFC 3261 10.3)."""

import re
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.message import HeaderLines, Request
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_address

SourceT = TypeVar("SourceT")
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_Q: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingLimits:
    """What a user may register, and for how long [s]."""

    most: int = 10
    shortest_seconds: int = 60
    longest_seconds: int = 7200
    usual_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class Binding(Generic[SourceT]):
    """One Contact of a user. ``source`` is where its REGISTER came from."""

    uri: SipUri
    source: SourceT
    q: float
    expires_at: float
    call_id: str
    cseq: int


class RegisterRefusedError(RemoteProtocolError):
    """A REGISTER that can't be done: nothing of it was."""

    def __init__(self, message: str, status: int, headers: HeaderLines = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class Bindings(Generic[SourceT]):
    """The bindings of every user. ``now`` is epoch [s]."""

    def __init__(self, limits: BindingLimits) -> None:
        self._limits = limits
        self._by_user: dict[str, list[Binding[SourceT]]] = {}

    def of(self, user: str, now: float) -> list[Binding[SourceT]]:
        """A user's bindings, the most wanted first, of those the newest."""
        alive = [one for one in self._by_user.get(user, []) if one.expires_at > now]
        return sorted(alive, key=lambda one: (-one.q, -one.expires_at))

    def listed(self, user: str, now: float) -> HeaderLines:
        """The Contacts of a 200 to a REGISTER."""
        return tuple(
            ("Contact", f"<{one.uri}>;expires={max(1, round(one.expires_at - now))}" + ("" if one.q == 1.0 else f";q={one.q:g}"))
            for one in self.of(user, now)
        )

    def register(self, user: str, request: Request, source: SourceT, now: float) -> None:
        """Add, refresh and remove what a REGISTER says, all or nothing (RFC 3261 10.3, 7). Raises RegisterRefusedError."""
        values = request.values("Contact")
        bindings = [one for one in self._by_user.get(user, []) if one.expires_at > now]
        if "*" in values:
            if len(values) > 1 or (request.first("Expires") or "").strip() != "0":
                raise RegisterRefusedError("a REGISTER removes all and something else", 400)
            for one in bindings:
                _check_order(one, request)
            bindings = []
        else:
            for contact in self._read(values):
                bindings = self._apply(bindings, contact, request, source, now)
        if len(bindings) > self._limits.most:
            raise RegisterRefusedError("a user has too many phones", 403)
        if bindings:
            self._by_user[user] = bindings
        else:
            self._by_user.pop(user, None)

    def _read(self, values: list[str]) -> list[SipAddress]:
        if len(values) > self._limits.most:
            raise RegisterRefusedError("a REGISTER has too many Contacts", 403)
        try:
            contacts = [parse_address(value) for value in values]
        except RemoteProtocolError as error:
            raise RegisterRefusedError("a REGISTER has a Contact that can't be read", 400) from error
        if any(not one.uri.is_sip for one in contacts):
            raise RegisterRefusedError("a REGISTER has a Contact that can't be called", 400)
        return contacts

    def _apply(
        self, bindings: list[Binding[SourceT]], contact: SipAddress, request: Request, source: SourceT, now: float
    ) -> list[Binding[SourceT]]:
        uri = SipUri(contact.uri.scheme, contact.uri.user, contact.uri.host, contact.uri.port, contact.uri.parameters)
        others = [one for one in bindings if not one.uri.is_same_as(uri)]
        for one in bindings:
            if one.uri.is_same_as(uri):
                _check_order(one, request)
        seconds = self._seconds(contact, request)
        if seconds == 0:
            return others
        q = _q(contact)
        return [*others, Binding(uri, source, q, now + seconds, request.call_id, request.cseq.number)]

    def _seconds(self, contact: SipAddress, request: Request) -> int:
        """How long a binding lasts: what Contact says, else Expires; what can't be read is the usual time (RFC 3261 10.2.1.1, 20.19)."""
        said = contact.parameter("expires") or request.first("Expires") or ""
        seconds = int(said) if _SECONDS.fullmatch(said.strip()) else self._limits.usual_seconds
        if 0 < seconds < self._limits.shortest_seconds:
            raise RegisterRefusedError("a REGISTER is for too short a time", 423, (("Min-Expires", str(self._limits.shortest_seconds)),))
        return min(seconds, self._limits.longest_seconds)


def _check_order(binding: Binding[SourceT], request: Request) -> None:
    """A REGISTER that is older than what is known changes nothing (RFC 3261 10.3, 7)."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise RegisterRefusedError("a REGISTER came too late", 500)


def _q(contact: SipAddress) -> float:
    said = contact.parameter("q") or ""
    return float(said) if _Q.fullmatch(said) else 1.0
