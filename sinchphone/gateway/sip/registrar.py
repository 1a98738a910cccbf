"""The registrar's users and their phones; the rules are in ``protocol.sip.bindings``, what other processes know in ``shared_bindings``.

::

    REGISTER -> our turn, where several processes have the phones -> Bindings -> its answer, and a row for the others
    contacts -> a phone whose connection this process holds: by that            another one: by its Path (RFC 3327)
"""

import time
from collections.abc import Mapping
from typing import Final

from sinchphone.exchange.store.store import StoreError
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.sip.shared_bindings import PhonePlace, SharedBindings
from sinchphone.protocol.sip.bindings import Binding, BindingLimits, Bindings, RegisterRefusedError
from sinchphone.protocol.sip.message import HeaderLines, Request
from sinchphone.protocol.sip.uri import SipAddress, SipUri
from sinchphone.quick_dataclass import quick_dataclass

SHARED_RETRY_SECONDS: Final = 5  # where what the processes share isn't reached


@quick_dataclass(frozen=True, slots=True)
class Contact:
    """One phone of a user: where it can be reached. ``hop`` is where its REGISTER came from; with a ``route`` only that leads there."""

    uri: SipUri
    hop: Hop
    q: float
    expires_at: float  # epoch [s]
    route: tuple[SipAddress, ...] = ()


class Registrar:
    """Users with their passwords, and the phones that they registered."""

    def __init__(self, passwords: Mapping[str, str], limits: BindingLimits | None = None, *, shared: SharedBindings | None = None) -> None:
        """``passwords`` by user name; the mapping may change. ``shared``: what several processes have together."""
        self._passwords = passwords
        self._bindings: Bindings[PhonePlace] = Bindings(limits or BindingLimits())
        self._shared = shared

    async def join(self) -> None:
        """Know the phones that registered at other processes, and from now on who does. Raises StoreError."""
        if self._shared is not None:
            await self._shared.join(self._bindings)

    async def close(self) -> None:
        """Nobody registers any more. May be called twice."""
        if self._shared is not None:
            await self._shared.close()

    @property
    def nonce_key(self) -> bytes | None:
        """With which all processes make their nonces, so that each knows the others'; ``None`` where this is the only one."""
        return self._shared.nonce_key if self._shared is not None else None

    async def is_first_with(self, proof: str, seconds: float) -> bool:
        """Whether no process has let anybody in by that proof within so long. Raises StoreError."""
        return self._shared is None or await self._shared.use_once(f"sip:{proof}", seconds)

    @property
    def shares_phones(self) -> bool:
        """Whether other processes call the phones whose connections this one holds."""
        return self._shared is not None

    @property
    def users(self) -> list[str]:
        """Every user's name."""
        return list(self._passwords)

    def password(self, user: str) -> str | None:
        """A user's password; None where there's no such user."""
        return self._passwords.get(user)

    def contacts(self, user: str) -> list[Contact]:
        """The phones of a user, the most wanted first; none where the user is unknown."""
        return [self._contact(one) for one in self._bindings.of(user, time.time())]

    async def register(self, user: str, request: Request, place: PhonePlace, now: float) -> tuple[int, HeaderLines]:
        """Do what a REGISTER of that user asks for; status and headers of the answer. ``place``: how this process reaches who sent it."""
        if request.recipient.uri.user != user:
            return 403, ()  # somebody else's phones
        try:
            if self._shared is None or request.first("Contact") is None:
                self._bindings.register(user, request, place, now)
            else:
                async with self._shared.turn():
                    self._bindings.register(user, request, self._shared.placed(place), now)
                    self._shared.put(user, self._bindings.kept(user), now)
        except RegisterRefusedError as refused:
            return refused.status, refused.headers
        except StoreError:
            return 503, (("Retry-After", str(SHARED_RETRY_SECONDS)),)
        return 200, self._bindings.listed(user, now)

    def _contact(self, one: Binding[PhonePlace]) -> Contact:
        place, process = one.source, self._shared.process if self._shared is not None else ""
        return Contact(one.uri, place.hop, one.q, one.expires_at, () if place.process == process else place.path)
