"""Transports: a key and an id for every set of users who exchange instant messages (PAPI v1, transport)."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import field
from typing import Any, Final

from sinchphone.exchange.directory.accounts import Accounts
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.directory.identity import transport_identity
from sinchphone.exchange.refusals import forbidden, invalid, not_found, too_many
from sinchphone.exchange.store.store import Store, StoreError, kept
from sinchphone.exchange.store.tables import TRANSPORTS, Row
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import IdentityKind, Recipient, RemoteInstance, Transport, TransportParticipant
from sinchphone.signaling.rest.transports import IM_CAPABILITIES

MAX_TRANSPORTS: Final = 2_000  # that one user opens


@quick_dataclass(frozen=True, slots=True)
class Members:
    """The users of a transport, and who opened it."""

    users: frozenset[str]
    opened_by: str
    key: bytes = field(repr=False)


class Transports:
    """All transports of an exchange. Ids and keys derive from the members: the same users always have the same."""

    def __init__(
        self, directory: Directory, accounts: Accounts, store: Store, is_built_in: Callable[[str], bool] = lambda _: False
    ) -> None:
        """``is_built_in`` says of a name that no user has whether it answers calls."""
        self._is_built_in = is_built_in
        self._directory = directory
        self._accounts = accounts
        self._store = store
        self._transports: dict[tuple[str, str], Members] = {}
        self._opened: Counter[tuple[str, str]] = Counter()

    async def recall(self) -> None:
        """Know again the transports from before this exchange started. Raises StoreError."""
        try:
            for key, identifier, members, opened_by in await self._store.read(TRANSPORTS):
                self._know((key, identifier, members, opened_by))
        except ValueError as error:
            raise StoreError("the exchange's store has transports that can't be read", hint="delete it") from error
        self._store.follow(TRANSPORTS, self._know, self._went)

    def _know(self, row: Row) -> None:
        key, identifier, members, opened_by = row
        application = self._directory.application(key)
        if application is not None and (key, identifier) not in self._transports:
            self._add(application, identifier, frozenset(json.loads(members)), opened_by)

    def _went(self, key: tuple[Any, ...]) -> None:
        gone = self._transports.pop((key[0], key[1]), None)
        if gone is not None:
            self._opened[key[0], gone.opened_by] -= 1
            if not self._opened[key[0], gone.opened_by]:
                del self._opened[key[0], gone.opened_by]

    async def open(self, sender: Device, recipients: Sequence[Recipient]) -> Transport:
        """The transport from the sender's user to the recipients. Those who don't exist are left out. Raises RefusedError, for who
        takes calls alone too, and StoreError: there is none then."""
        application, user_id = sender.application, sender.user_id
        found = [(name, known) for name in recipients if (known := self._accounts.resolve(application, name)) is not None]
        unknown = [name for name in recipients if name not in {one for one, _ in found}]
        for name in unknown:
            if name.kind is IdentityKind.USERNAME and self._is_built_in(name.identity):
                raise forbidden(f"{name.identity} takes calls, but no messages")
        if user_id in {known for _, known in found}:
            raise invalid("that would be a message to oneself")
        participants = tuple(self._participant(application, name, known) for name, known in found)
        members = frozenset({user_id, *(known for _, known in found)})
        identifier, key = transport_identity(application.secret, members)
        if len(found) == len(recipients) and (application.key, identifier) not in self._transports:
            self._check_room(application, user_id)
            async with kept(self._store) as undo:
                undo.callback(self._drop, application, identifier)
                self._add(application, identifier, members, user_id)
                self._put(application, identifier, members, user_id)
        return Transport(identifier, key, participants)

    def _drop(self, application: Application, identifier: str) -> None:
        self._went((application.key, identifier))
        self._store.drop(TRANSPORTS, application.key, identifier)

    def clear(self, application: Application, undo: ExitStack) -> None:
        """Forget the application's transports, unless it's undone."""
        gone = [(key, members) for key, members in self._transports.items() if key[0] == application.key]
        undo.callback(self._put_back, application, gone)
        for key, _ in gone:
            self._went(key)
        self._store.drop_where(TRANSPORTS, application=application.key)

    def _put_back(self, application: Application, gone: Sequence[tuple[tuple[str, str], Members]]) -> None:
        for key, members in gone:
            if key not in self._transports:
                self._add(application, key[1], members.users, members.opened_by)
            self._put(application, key[1], members.users, members.opened_by)

    def find(self, reader: Device, identifier: str) -> Transport:
        """A transport that the reader's user is part of, with everybody in it. Raises RefusedError."""
        application = reader.application
        members = self._transports.get((application.key, identifier))
        if members is None:
            raise not_found("transportId: there is no such transport")
        if reader.user_id not in members.users:
            raise forbidden("transportId: this user is not part of that transport")
        participants = (self._participant(application, Recipient(user_id), user_id) for user_id in sorted(members.users))
        return Transport(identifier, members.key, tuple(participants))

    def has_member(self, application: Application, identifier: str, user_id: str) -> bool:
        """Whether a user takes part in a transport."""
        members = self._transports.get((application.key, identifier))
        return members is not None and user_id in members.users

    def key_among(self, application: Application, identifier: str, users: Collection[str]) -> bytes | None:
        """The key of a transport, where it has all of these users."""
        members = self._transports.get((application.key, identifier))
        return members.key if members is not None and members.users.issuperset(users) else None

    def _participant(self, application: Application, name: Recipient, user_id: str) -> TransportParticipant:
        """A user's devices, and the mailbox, which takes messages while they are away."""
        devices = application.users.get(user_id, {}).values()
        instances = [RemoteInstance(device.instance_id, device.capabilities) for device in devices]
        mailbox = RemoteInstance("mailbox", IM_CAPABILITIES)
        return TransportParticipant(application.transport_channel(user_id), name, (*instances, mailbox))

    def _add(self, application: Application, identifier: str, users: frozenset[str], opened_by: str) -> None:
        _, key = transport_identity(application.secret, users)
        self._transports[application.key, identifier] = Members(users, opened_by, key)
        self._opened[application.key, opened_by] += 1

    def _put(self, application: Application, identifier: str, users: frozenset[str], opened_by: str) -> None:
        self._store.put(TRANSPORTS, application.key, identifier, json.dumps(sorted(users)), opened_by)

    def _check_room(self, application: Application, user_id: str) -> None:
        if self._opened[application.key, user_id] >= MAX_TRANSPORTS:
            raise too_many(f"the user writes to {MAX_TRANSPORTS} different circles already")
