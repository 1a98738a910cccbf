"""All verifications of an exchange: by id, by number and method, by reference; the last thousand of an application."""

from collections import OrderedDict
from typing import Final

from sinchphone.exchange.verifications.verification import FailureReason, Verification
from sinchphone.signaling.verification import VerificationMethod, VerificationStatus

MAX_KEPT: Final = 1_000  # of an application


class Verifications:
    """Keeps them; the oldest makes room."""

    def __init__(self) -> None:
        self._kept: dict[str, OrderedDict[str, Verification]] = {}  # by application, newest last

    def begin(self, verification: Verification) -> Verification | None:
        """Its code went out: the one before of the same number and method is void, and returned."""
        kept = self._kept.setdefault(verification.application, OrderedDict())
        before = self.of_number(verification.application, verification.method, verification.number)
        if before is not None and before.status is VerificationStatus.PENDING:
            before.end(VerificationStatus.ABORTED, FailureReason.FAILED_PENDING)
        else:
            before = None
        self.keep(verification)
        while len(kept) > MAX_KEPT:
            kept.popitem(last=False)
        return before

    def keep(self, verification: Verification) -> None:
        """So that it is found."""
        kept = self._kept.setdefault(verification.application, OrderedDict())
        kept[verification.id] = verification

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
