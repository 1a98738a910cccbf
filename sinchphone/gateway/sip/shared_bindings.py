"""What the registrars of several processes have together: each binding with the process that holds the phone's connection, and its Path.

::

    here:  REGISTER in our turn -> put -> a row -> there: Bindings.keep
    we were taken for dead, and live -> our phones' bindings once more
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

from sinchphone.exchange.processes.phones import PROCESS, Phone, PhoneRows
from sinchphone.exchange.store.store import StoreError
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.protocol.sip.bindings import Binding, Bindings
from sinchphone.protocol.sip.uri import SipAddress, parse_address, parse_uri
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

NONCES: Final = "sip-nonces"


@quick_dataclass(frozen=True, slots=True)
class PhonePlace:
    """How a phone is reached: over the connection (``hop``) that ``process`` holds (empty: the only one, or this), and by others by that
    ``path``. Without a process it's by the ``path`` alone, which a proxy gave."""

    hop: Hop
    process: str | None = ""
    path: tuple[SipAddress, ...] = ()


class SharedBindings:
    """One process's end of it."""

    def __init__(self, rows: PhoneRows, application: str, nonce_key: bytes) -> None:
        """``application``: the key of the one that phones belong to; ``nonce_key`` is the same at all processes."""
        self.process = rows.process
        self.nonce_key = nonce_key
        self._rows = rows
        self._application = application
        self._bindings: Bindings[PhonePlace] | None = None
        self._users: set[str] = set()
        self._reviving: set[asyncio.Task[None]] = set()

    async def join(self, bindings: Bindings[PhonePlace]) -> None:
        """Keep those of other processes there. Raises StoreError."""
        self._bindings = bindings
        await self._rows.join(self._application, self._changed, self._buried)

    async def close(self) -> None:
        """Let the others forget the phones whose connections end with this process. May be called twice."""
        for task in self._reviving:
            task.cancel()
        await asyncio.gather(*self._reviving, return_exceptions=True)
        if self._bindings is not None:
            self._bindings = None
            with contextlib.suppress(StoreError):
                await self._rows.bury(self._application, self.process)

    async def use_once(self, name: str, seconds: float) -> bool:
        """Whether no process has used that name within so long; it has from now on. Raises StoreError."""
        return await self._rows.use_once(self._application, name, seconds)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Our turn to change them: all that others changed is known. Raises StoreError."""
        return self._rows.turn(self._application)

    def placed(self, place: PhonePlace) -> PhonePlace:
        """As the others know it."""
        return place if place.process is None else replace(place, process=self.process)

    def put(self, user: str, bindings: Sequence[Binding[PhonePlace]], now: float) -> None:
        """All of a user; in a turn."""
        self._users.add(user)
        self._rows.put(self._application, user, [write_binding(one) for one in bindings if one.expires_at > now])

    def _changed(self, user: str, phones: Sequence[Phone]) -> None:
        self._users.add(user)
        if self._bindings is not None:
            self._bindings.keep(user, [read_binding(one) for one in phones])

    def _buried(self) -> None:
        """What is ours is kept as it was before the others forgot it, and told once more."""
        if self._bindings is not None:
            ours = {user: [one for one in self._bindings.kept(user) if one.source.process == self.process] for user in self._users}
            task = start_task(self._revive({user: kept for user, kept in ours.items() if kept}), name="tell of phones once more")
            self._reviving.add(task)
            task.add_done_callback(self._reviving.discard)

    async def _revive(self, ours: dict[str, list[Binding[PhonePlace]]]) -> None:
        with contextlib.suppress(StoreError):  # they register again
            async with self.turn():
                for user, kept in ours.items() if self._bindings is not None else ():
                    assert self._bindings is not None, "nothing was awaited since"
                    self._bindings.keep(user, revived(self._bindings.kept(user), kept))
                    self.put(user, self._bindings.kept(user), time.time())


def revived(known: Sequence[Binding[PhonePlace]], ours: Iterable[Binding[PhonePlace]]) -> list[Binding[PhonePlace]]:
    """All, those of ours too that no phone has replaced meanwhile, by the time of registration."""
    left = [one for one in ours if not any(other == one or other.replaces(one) for other in known)]
    return sorted([*known, *left], key=lambda one: one.registered_at)


def write_binding(one: Binding[PhonePlace]) -> Phone:
    """A binding as JSON."""
    place = one.source
    return {
        PROCESS: place.process,
        "uri": str(one.uri),
        "hop": [place.hop.transport, place.hop.host, place.hop.port, place.hop.connection],
        "path": [str(each) for each in place.path],
        "q": one.q,
        "registered_at": one.registered_at,
        "expires_at": one.expires_at,
        "call_id": one.call_id,
        "cseq": one.cseq,
        "instance": one.instance,
        "reg_id": one.reg_id,
    }


def read_binding(members: Phone) -> Binding[PhonePlace]:
    """What ``write_binding`` wrote."""
    path = tuple(parse_address(one) for one in members["path"])
    return Binding(
        parse_uri(members["uri"]),
        PhonePlace(Hop(*members["hop"]), members[PROCESS], path),
        members["q"],
        registered_at=members["registered_at"],
        expires_at=members["expires_at"],
        call_id=members["call_id"],
        cseq=members["cseq"],
        instance=members["instance"],
        reg_id=members["reg_id"],
    )
