"""Users with a password, and the names that users go by: user name, e-mail address, phone number (PAPI v1, users)."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import field, replace
from functools import partial
from typing import Any, Final

from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.directory.directory import Directory, check_user_id
from sinchphone.exchange.directory.passwords import hash_password, is_password
from sinchphone.exchange.refusals import RefusedError, invalid, not_found, too_many, unauthorized
from sinchphone.exchange.store.shared_limits import Limit, SharedLimits
from sinchphone.exchange.store.store import Store, StoreError, kept
from sinchphone.exchange.store.tables import ACCOUNTS, IDENTITIES, TAKEN_NAMES, Row
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import IdentityKind, Recipient
from sinchphone.signaling.wire import ErrorCode

MIN_PASSWORD_CHARACTERS: Final = 6
MAX_PASSWORD_CHARACTERS: Final = 256
MAX_PROFILE_BYTES: Final = 4096
MAX_IDENTITIES: Final = 3  # one of each kind
_HASHING_AT_A_TIME: Final = 2
_HASHING_WAITING: Final = 32
_GUESSES: Final = Limit("passwords", 10, 0.05)  # wrong passwords of one user in a row, from one source


@quick_dataclass(frozen=True, slots=True)
class Account:
    """A user with a password. ``profile`` is what the user wants kept."""

    application: Application
    user_id: str
    password: str = field(repr=False)
    identities: tuple[Recipient, ...] = ()
    profile: dict[str, Any] = field(default_factory=dict, repr=False)


class Accounts:
    """All accounts of an exchange. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self, directory: Directory, store: Store, limits: SharedLimits) -> None:
        self._directory = directory
        self._store = store
        self._accounts: dict[tuple[str, str], Account] = {}
        self._names: dict[tuple[str, Recipient], str] = {}  # by application key -> user id
        self._hashing = asyncio.Semaphore(_HASHING_AT_A_TIME)
        self._waiting = 0
        self._limits = limits
        self._nobody: str | None = None  # a password that nobody has

    async def recall(self) -> None:
        """Know again the accounts from before this exchange started. Raises StoreError."""
        try:
            for row in await self._store.read(ACCOUNTS):
                self._know(row)
            for row in await self._store.read(IDENTITIES):
                self._know_name(row)
            for row in await self._store.read(TAKEN_NAMES):
                self._know_taken(row)
        except ValueError as error:
            raise StoreError("the exchange's store has accounts that can't be read", hint="delete it") from error
        self._store.follow(ACCOUNTS, self._know, self._lost)
        self._store.follow(IDENTITIES, self._know_name, lambda key: None)
        self._store.follow(TAKEN_NAMES, self._know_taken, self._free)

    def _know(self, row: Row) -> None:
        key, user_id, password, profile = row
        application, before = self._directory.application(key), self._accounts.get((key, user_id))
        if application is not None:
            names = before.identities if before is not None else ()
            self._add(Account(application, user_id, password, names, json.loads(profile)), time.time())

    def _know_name(self, row: Row) -> None:
        key, kind, endpoint, user_id = row
        account, name = self._accounts.get((key, user_id)), Recipient(endpoint, IdentityKind(kind))
        if account is not None and name not in account.identities:
            account = self._accounts[key, user_id] = replace(account, identities=(*account.identities, name))
            self._names[key, name] = user_id

    def _know_taken(self, row: Row) -> None:
        key, user_id, proved_at = row
        application = self._directory.application(key)
        if application is not None and proved_at is not None:
            application.proved_at[user_id] = float(proved_at)
            application.unproved.discard(user_id)
        elif application is not None:
            application.unproved.add(user_id)

    def _lost(self, key: tuple[Any, ...]) -> None:
        """Another process forgot an account."""
        application = self._directory.application(key[0])
        if application is not None:
            application.accounts.pop(key[1], None)
            self._is_there(application, key[1])
            application.leave_unless_known(key[1])

    def _free(self, key: tuple[Any, ...]) -> None:
        application = self._directory.application(key[0])
        if application is not None:
            application.unproved.discard(key[1])
            application.proved_at.pop(key[1], None)

    def account(self, application: Application, user_id: str) -> Account | None:
        """The account of a user who has one."""
        return self._accounts.get((application.key, user_id)) if self._is_there(application, user_id) else None

    def resolve(self, application: Application, name: Recipient) -> str | None:
        """The user id of whoever goes by that name, if anybody does."""
        known = self._names.get((application.key, name))
        if known is not None and self._is_there(application, known):
            return known
        return name.identity if name.kind is IdentityKind.USERNAME and name.identity in application.users else None

    async def create(
        self,
        application: Application,
        identities: tuple[Recipient, ...],
        password: str,
        profile: dict[str, Any],
        now: float,
        *,
        vouched: bool = False,
    ) -> Account:
        """A new user. The user id is the user name, or else the first of the identities. ``vouched``: whoever has the application's secret
        asks, also for a user who has come with tokens only. Raises RefusedError, and StoreError: nobody is created then."""
        _check_password(password)
        user_id = _user_id(identities)
        self._check_free(application, user_id, identities, vouched)
        hashed = await self._hash(partial(hash_password, password))
        gone: list[Device] = []
        async with kept(self._store) as undo, self._store.exclusive(application.key):
            self._check_free(application, user_id, identities, vouched)  # somebody may have been faster
            if (other := self._directory.in_the_way(application, user_id, now)) is not None:
                gone = self.forget_user(application, other, undo)
            undo.callback(self._remove, application, user_id, hashed)
            account = Account(application, user_id, hashed, identities, _checked(profile))
            self._add(account, now)
            self._keep(account)
            if not vouched:
                self._directory.forget_messages(application, user_id, undo)
                application.unproved.add(user_id)
                self._store.put(TAKEN_NAMES, application.key, user_id, None)
            self._keep_names(account)
        self._directory.dismiss(gone)
        return account

    async def forget(self, application: Application, user_id: str) -> None:
        """A user isn't known any more. Raises RefusedError for somebody unknown, and StoreError: the user is there then as before."""
        async with kept(self._store) as undo:
            gone = self.forget_user(application, user_id, undo)
        self._directory.dismiss(gone)

    def forget_user(self, application: Application, user_id: str, undo: ExitStack) -> list[Device]:
        """A user isn't known any more, unless it's undone; the devices, to be dismissed. Raises RefusedError for somebody unknown."""
        account, seen_at = self.account(application, user_id), application.accounts.get(user_id, 0.0)
        if account is not None:
            undo.callback(self._bring_back, account, seen_at)  # after the user
        gone = self._directory.forget_user(application, user_id, undo)
        self._is_there(application, user_id)
        return gone

    def _bring_back(self, account: Account, seen_at: float) -> None:
        if self._accounts.get((account.application.key, account.user_id)) is None:  # nobody else has taken the name meanwhile
            self._add(account, seen_at)
            self._keep(account)
            self._keep_names(account)

    async def authenticate(self, application: Application, name: Recipient, password: str, now: float, source: str = "") -> Account:
        """The account that name and password open. Raises RefusedError, which doesn't say what of the two was wrong. Who guesses from
        one ``source`` locks out that one only, and never one from which the right password came before."""
        user_id = self.resolve(application, name) or ""
        account = self.account(application, user_id)
        guessed, known = f"{source} {name.identity}", f"{source} {user_id}"
        if not await self._limits.has(_GUESSES, application.key, guessed, now) and not await self._limits.trusts(application.key, known):
            raise too_many("too many wrong passwords; wait a minute")
        if not await self._fits(password, account):
            await self._limits.take(_GUESSES, application.key, guessed, now)
            raise unauthorized("wrong user or password")
        assert account is not None
        await self._limits.trust(application.key, known)
        self._directory.saw(application, user_id, now)
        return account

    async def change_password(self, account: Account, old: str | None, new: str, now: float) -> None:
        """Give an account another password; ``old`` is checked where it's given. Raises RefusedError, also where the user was
        forgotten meanwhile, and StoreError: it's the old one then."""
        if old is not None:
            await self.authenticate(account.application, account.identities[0], old, now)
        _check_password(new)
        hashed = await self._hash(partial(hash_password, new))
        await self._change(account, lambda current: replace(current, password=hashed))

    async def change_profile(self, account: Account, profile: dict[str, Any]) -> Account:
        """Change what is given of the profile. Raises RefusedError, and StoreError: it's as it was then."""
        return await self._change(account, lambda current: replace(current, profile=_checked({**current.profile, **profile})))

    async def _change(self, account: Account, change: Callable[[Account], Account]) -> Account:
        current = self.account(account.application, account.user_id)
        if current is None:
            raise not_found("there is no such user here any more")
        changed = change(current)

        def back() -> None:
            if self._accounts.get((account.application.key, account.user_id)) is changed:
                self._replace(current)

        async with kept(self._store) as undo:
            undo.callback(back)
            self._replace(changed)
        return changed

    async def _fits(self, password: str, account: Account | None) -> bool:
        """Takes as long for a user who doesn't exist."""
        if self._nobody is None:
            self._nobody = await self._hash(partial(hash_password, ""))
        kept = account.password if account is not None else self._nobody
        fits = await self._hash(partial(is_password, password, kept))
        return bool(fits) and account is not None

    async def _hash(self, work: "partial[Any]") -> Any:
        """Hashing takes memory and time: some at once, some more may wait."""
        if self._waiting >= _HASHING_WAITING:
            raise too_many("too many people log in at this moment; try again", retry_s=1)
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1

    def _check_free(self, application: Application, user_id: str, identities: tuple[Recipient, ...], vouched: bool) -> None:
        known = application.accounts if vouched else application.users
        others = {None, *((user_id,) if vouched else ())}
        taken = (
            user_id if user_id in known else next((one.identity for one in identities if self.resolve(application, one) not in others), "")
        )
        if taken:
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, f"there is a user {taken} already")

    def _is_there(self, application: Application, user_id: str) -> bool:
        """Whether an account is still there: one that nobody used may have made room for another."""
        if user_id in application.accounts:
            return True
        gone = self._accounts.pop((application.key, user_id), None)
        for name in gone.identities if gone is not None else ():
            self._names.pop((application.key, name), None)
        return False

    def _remove(self, application: Application, user_id: str, password: str) -> None:
        """The account with that password is none any more; nor is its user one, where nothing else is known."""
        account = self._accounts.get((application.key, user_id))
        if account is not None and account.password == password:
            self._directory.forget_account(application, user_id)
            self._is_there(application, user_id)
            application.leave_unless_known(user_id)

    def _add(self, account: Account, now: float) -> None:
        application = account.application
        application.enroll(account.user_id)
        application.accounts[account.user_id] = now
        self._accounts[application.key, account.user_id] = account
        self._names.update({(application.key, name): account.user_id for name in account.identities})

    def _replace(self, account: Account) -> None:
        self._accounts[account.application.key, account.user_id] = account
        self._keep(account)

    def _keep_names(self, account: Account) -> None:
        for name in account.identities:
            self._store.put(IDENTITIES, account.application.key, str(name.kind), name.identity, account.user_id)

    def _keep(self, account: Account) -> None:
        self._store.put(ACCOUNTS, account.application.key, account.user_id, account.password, json.dumps(account.profile))


def _user_id(identities: tuple[Recipient, ...]) -> str:
    if not identities or len({name.kind for name in identities}) < len(identities):
        raise invalid("identities: a user has a user name, an e-mail address or a number, at most one of each")
    for name in identities:
        check_user_id(name.identity)
    usernames = [name.identity for name in identities if name.kind is IdentityKind.USERNAME]
    return (usernames or [identities[0].identity])[0]


def _check_password(password: str) -> None:
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise invalid(f"password: it must have {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters")


def _checked(profile: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(profile)) > MAX_PROFILE_BYTES:
        raise invalid(f"profile: it has more than {MAX_PROFILE_BYTES} bytes")
    return profile
