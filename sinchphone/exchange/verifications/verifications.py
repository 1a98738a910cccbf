"""All verifications of an exchange: by id, by number and method, by reference; the last thousand of an application."""

import json
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any, Final

from sinchphone.exchange.store.store import Store, StoreError
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

    def exclusive(self, application: str) -> AbstractAsyncContextManager[None]:
        """Nobody else changes an application's; all that others changed is known then. Raises StoreError."""
        return self._store.exclusive(application)

    async def settle(self) -> None:
        """Return when all that was changed is kept. Raises StoreError."""
        await self._store.settle()

    def begin(self, verification: Verification) -> Verification | None:
        """Its code went out: the one before of the same number and method is void, and returned."""
        before = self.of_number(verification.application, verification.method, verification.number)
        if before is not None and before.status is VerificationStatus.PENDING:
            before.end(VerificationStatus.ABORTED, FailureReason.FAILED_PENDING)
            self.changed(before)
        else:
            before = None
        self.keep(verification)
        return before

    def keep(self, verification: Verification) -> None:
        """So that it is found."""
        kept = self._kept.setdefault(verification.application, OrderedDict())
        kept[verification.id] = verification
        self.changed(verification)
        while len(kept) > MAX_KEPT:
            oldest, _ = kept.popitem(last=False)
            self._store.drop(VERIFICATIONS, verification.application, oldest)

    def changed(self, verification: Verification) -> None:
        """Something of it is another one now."""
        members = json.dumps(asdict(verification))
        self._store.put(VERIFICATIONS, verification.application, verification.id, members, verification.began_at)

    def of_id(self, application: str, verification_id: str) -> Verification | None:
        """The one with that id."""
        return self._kept.get(application, OrderedDict()).get(verification_id)

    def of_number(self, application: str, method: VerificationMethod, number: str) -> Verification | None:
        """The newest of that number and method."""
        kept = reversed(self._kept.get(application, OrderedDict()).values())
        return next((one for one in kept if one.method is method and one.number == number), None)

    def of_reference(self, application: str, reference: str) -> Verification | None:
        """The newest with that reference."""
        kept = reversed(self._kept.get(application, OrderedDict()).values())
        return next((one for one in kept if one.reference == reference), None)

    def forget(self, application: str) -> None:
        """An application has none any more."""
        self._kept.pop(application, None)
        self._store.drop_where(VERIFICATIONS, application=application)


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
