"""Where a registrar's users are: the rules of REGISTER (RFC 3261 10.3), and which bindings are one phone's (RFC 5626 6)."""

import re
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from sinchphone.errors import RemoteProtocolError
from sinchphone.protocol.sip.message import HeaderLines, Request
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_address
from sinchphone.quick_dataclass import quick_dataclass

SourceT = TypeVar("SourceT")
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_Q: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class BindingLimits:
    """How many phones of a user are remembered, and for how long [s]."""

    most: int = 10
    shortest_seconds: int = 60
    longest_seconds: int = 7200
    usual_seconds: int = 3600


@quick_dataclass(frozen=True, slots=True)
class Binding(Generic[SourceT]):
    """One Contact of a user. ``source`` is where its REGISTER came from; ``instance`` is the phone, whatever its address
    (``+sip.instance``), ``reg_id`` which of its ways to us; both are empty where it doesn't say."""

    uri: SipUri
    source: SourceT
    q: float
    registered_at: float
    expires_at: float
    call_id: str
    cseq: int
    instance: str = ""
    reg_id: str = ""

    def replaces(self, older: "Binding[SourceT]") -> bool:
        """Whether that one is the same phone's: by its address, or by what it says that it is. Of one REGISTER several may be a phone's;
        and a phone that forgets an old address of its own means that alone."""
        if self.uri.is_same_as(older.uri):
            return True
        if not self.instance or self.instance != older.instance or (self.call_id, self.cseq) == (older.call_id, older.cseq):
            return False
        if self.reg_id and older.reg_id:
            return self.reg_id == older.reg_id
        return self.expires_at > self.registered_at


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
        """A user's bindings, the most wanted first, of those the newest: how long one wants to be kept says nothing about it."""
        alive = [one for one in self._by_user.get(user, []) if one.expires_at > now]
        alive.reverse()  # those of the same moment too
        return sorted(alive, key=lambda one: (-one.q, -one.registered_at))

    def kept(self, user: str) -> list[Binding[SourceT]]:
        """All that is remembered of a user, the oldest first."""
        return list(self._by_user.get(user, ()))

    def keep(self, user: str, bindings: Iterable[Binding[SourceT]]) -> None:
        """Remember these of a user, the oldest first, and no others."""
        self._by_user[user] = list(bindings)
        if not self._by_user[user]:
            del self._by_user[user]

    def listed(self, user: str, now: float) -> HeaderLines:
        """The Contacts of a 200 to a REGISTER."""
        return tuple(
            ("Contact", f"<{one.uri}>;expires={max(1, round(one.expires_at - now))}" + ("" if one.q == 1.0 else f";q={one.q:g}"))
            for one in self.of(user, now)
        )

    def register(self, user: str, request: Request, source: SourceT, now: float) -> None:
        """Add, refresh and remove what a REGISTER says, all or nothing (RFC 3261 10.3, 7). Where they get too many the oldest go: who
        registers now is alive. Raises RegisterRefusedError."""
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
        self.keep(user, bindings[-self._limits.most :])

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
        seconds = self._seconds(contact, request)
        made = Binding(
            uri,
            source,
            _q(contact),
            registered_at=now,
            expires_at=now + seconds,
            call_id=request.call_id,
            cseq=request.cseq.number,
            instance=(contact.parameter("+sip.instance") or "").lower(),  # a URN; RFC 4122 reads its digits in either case
            reg_id=contact.parameter("reg-id") or "",
        )
        others = [one for one in bindings if not made.replaces(one)]
        for one in bindings:
            if made.replaces(one):
                _check_order(one, request)
        return [*others, made] if seconds else others

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
