"""The registrar's users and their phones; the rules are in ``protocol.sip.bindings``."""

import time
from collections.abc import Mapping

from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.protocol.sip.bindings import BindingLimits, Bindings, RegisterRefusedError
from sinchphone.protocol.sip.message import HeaderLines, Request
from sinchphone.protocol.sip.uri import SipUri
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Contact:
    """One phone of a user: where it can be reached."""

    uri: SipUri
    hop: Hop
    q: float
    expires_at: float  # epoch [s]


class Registrar:
    """Users with their passwords, and the phones that they registered."""

    def __init__(self, passwords: Mapping[str, str], limits: BindingLimits | None = None) -> None:
        """``passwords`` by user name; the mapping may change."""
        self._passwords = passwords
        self._bindings: Bindings[Hop] = Bindings(limits or BindingLimits())

    @property
    def users(self) -> list[str]:
        """Every user's name."""
        return list(self._passwords)

    def password(self, user: str) -> str | None:
        """A user's password; None where there's no such user."""
        return self._passwords.get(user)

    def contacts(self, user: str) -> list[Contact]:
        """The phones of a user, the most wanted first; none where the user is unknown."""
        return [Contact(one.uri, one.source, one.q, one.expires_at) for one in self._bindings.of(user, time.time())]

    def register(self, user: str, request: Request, source: Hop, now: float) -> tuple[int, HeaderLines]:
        """Do what a REGISTER of that user asks for; status and headers of the answer."""
        if request.recipient.uri.user != user:
            return 403, ()  # somebody else's phones
        try:
            self._bindings.register(user, request, source, now)
        except RegisterRefusedError as refused:
            return refused.status, refused.headers
        return 200, self._bindings.listed(user, now)
