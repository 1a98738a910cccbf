"""All verifications of an exchange: by id, by number and method, by reference; the last thousand of an application."""

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, fields, replace
from typing import Any, Final

from sinchphone.exchange.store.store import Store, StoreError, Undo, kept
from sinchphone.exchange.store.tables import VERIFICATIONS, Row
from sinchphone.exchange.verifications.verification import FailureReason, Verification
from sinchphone.protocol.verification import VerificationMethod, VerificationStatus

MAX_KEPT: Final = 1_000  # of an application
VERIFICATIONS_KEPT_SECONDS: Final = 7 * 86_400.0  # while the exchange doesn't run


class Verifications:
    """Keeps them; the oldest makes room."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, OrderedDict[str, Verification]] = {}  # by application, newest last

    async def recall(self, now: float) -> None:
        """Know again those from before this exchange started; ``now`` in seconds since the epoch. Raises StoreError."""
        try:
            for row in sorted(await self._store.read(VERIFICATIONS), key=lambda row: float(row[-1])):
                if float(row[-1]) >= now - VERIFICATIONS_KEPT_SECONDS:
                    self._came(row)
                else:
                    self._store.drop(VERIFICATIONS, *row[:2])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError("the exchange's store has verifications that can't be read", hint="delete it") from error
        self._store.follow(VERIFICATIONS, self._came, self._went)

    def _came(self, row: Row) -> None:
        """One from before, or as another process changed it."""
        one = _read(row[2])
        self._kept.setdefault(one.application, OrderedDict())[one.id] = one

    def _went(self, key: tuple[Any, ...]) -> None:
        self._kept.get(key[0], OrderedDict()).pop(key[1], None)

    @asynccontextmanager
    async def changing(self, application: str) -> AsyncIterator[Undo]:
        """Nobody else changes an application's, and all that others changed is known; what is changed inside is kept when this is left, or
        undone. Raises StoreError."""
        async with kept(self._store) as undo, self._store.exclusive(application):
            yield undo

    def begin(self, verification: Verification, undo: ExitStack) -> Verification | None:
        """Its code goes out: the one before of the same number and method is void, and returned."""
        before = self.of_number(verification.application, verification.method, verification.number)
        if before is not None and before.status is VerificationStatus.PENDING:
            with self.change(before, undo):
                before.end(VerificationStatus.ABORTED, FailureReason.FAILED_PENDING)
        else:
            before = None
        self.add(verification, undo)
        return before

    def add(self, verification: Verification, undo: ExitStack) -> None:
        """So that it is found."""
        undo.callback(self._drop, verification.application, verification.id)
        known = self._kept.setdefault(verification.application, OrderedDict())
        known[verification.id] = verification
        self._put(verification)
        while len(known) > MAX_KEPT:
            oldest, gone = known.popitem(last=False)
            undo.callback(self._put_back, verification.application, OrderedDict({oldest: gone}))
            self._store.drop(VERIFICATIONS, verification.application, oldest)

    @contextmanager
    def change(self, verification: Verification, undo: ExitStack) -> Iterator[None]:
        """What is changed of it inside, at once, is kept. Undone, it's as before, where nobody has changed it since."""
        before = replace(verification)
        yield
        undo.callback(self._change_back, verification, before, replace(verification))
        self._put(verification)

    def _change_back(self, verification: Verification, before: Verification, after: Verification) -> None:
        if verification == after != before:
            for one in fields(Verification):
                setattr(verification, one.name, getattr(before, one.name))
            self._put(verification)

    def _put(self, verification: Verification) -> None:
        members = json.dumps(asdict(verification))
        self._store.put(VERIFICATIONS, verification.application, verification.id, members, verification.began_at)

    def of_id(self, application: str, verification_id: str) -> Verification | None:
        """The one with that id."""
        return self._kept.get(application, OrderedDict()).get(verification_id)

    def of_number(self, application: str, method: VerificationMethod, number: str) -> Verification | None:
        """The newest of that number and method."""
        newest = reversed(self._kept.get(application, OrderedDict()).values())
        return next((one for one in newest if one.method is method and one.number == number), None)

    def of_reference(self, application: str, reference: str) -> Verification | None:
        """The newest with that reference."""
        newest = reversed(self._kept.get(application, OrderedDict()).values())
        return next((one for one in newest if one.reference == reference), None)

    def forget(self, application: str, undo: ExitStack) -> None:
        """An application has none any more, unless it's undone."""
        undo.callback(self._put_back, application, self._kept.pop(application, OrderedDict()))
        self._store.drop_where(VERIFICATIONS, application=application)

    def _put_back(self, application: str, gone: "OrderedDict[str, Verification]") -> None:
        since = self._kept.get(application, OrderedDict())
        self._kept[application] = OrderedDict({**gone, **since})
        for one in gone.values():
            self._put(one)

    def _drop(self, application: str, verification_id: str) -> None:
        self._went((application, verification_id))
        self._store.drop(VERIFICATIONS, application, verification_id)


def _read(members: str) -> Verification:
    """Raises what reading something else raises."""
    known = json.loads(members)
    method, status, reason = known.pop("method"), known.pop("status"), known.pop("reason")
    return Verification(
        **known,
        method=VerificationMethod(method),
        status=VerificationStatus(status),
        reason=FailureReason(reason) if reason is not None else None,
    )
