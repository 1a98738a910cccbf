"""One verification of a phone number: its code, who has guessed it, and how it ended (pure).

::

    PENDING -- right code in time --> SUCCESSFUL
       |------ MAX_GUESSES wrong ---> FAIL, Invalid code
       |------ too late ------------> FAIL, Expired
       |------ the backend says no -> DENIED
       '------ a new one for the same number and method -> ABORTED
"""

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sinchphone.protocol.phone_numbers import is_same_number
from sinchphone.protocol.verification import VerificationMethod, VerificationStatus

MAX_GUESSES: Final = 5  # wrong codes of one verification


class FailureReason(StrEnum):
    """Why it isn't successful."""

    DENIED_BY_CALLBACK = "Denied by callback"
    INVALID_CALLBACK = "Invalid callback"
    INVALID_CODE = "Invalid code"
    INVALID_CLI = "Invalid CLI"
    EXPIRED = "Expired"
    FAILED_PENDING = "Failed pending"


@dataclass(slots=True, kw_only=True)
class Verification:
    """One verification. ``code`` is a text: its zeros count; for a flash call it is the number that calls. Times are in seconds since the
    epoch."""

    id: str
    application: str
    method: VerificationMethod
    number: str
    code: str = field(repr=False)
    began_at: float
    expires_at: float
    reference: str | None = None
    custom: str | None = None
    status: VerificationStatus = VerificationStatus.PENDING
    reason: FailureReason | None = None
    source: str | None = None
    wrong_guesses: int = 0

    def guess(self, code: str, source: str, now: float) -> bool:
        """Whether that is the code; the right one counts once, while it is pending."""
        self.look(now)
        if self.status is not VerificationStatus.PENDING:
            return False
        if self._fits(code):
            self.status, self.source = VerificationStatus.SUCCESSFUL, source
            return True
        self.wrong_guesses += 1
        if self.wrong_guesses >= MAX_GUESSES:
            is_flash = self.method is VerificationMethod.FLASH_CALL
            self.end(VerificationStatus.FAIL, FailureReason.INVALID_CLI if is_flash else FailureReason.INVALID_CODE)
        return False

    def confirm(self, now: float) -> bool:
        """Whoever has the phone has confirmed it there; whether that counts."""
        return self.guess(self.code, "intercepted", now)

    def look(self, now: float) -> None:
        """See whether it is too late."""
        if now >= self.expires_at:
            self.end(VerificationStatus.FAIL, FailureReason.EXPIRED)

    def end(self, status: VerificationStatus, reason: FailureReason) -> None:
        """It isn't successful, unless it ended before."""
        if self.status is VerificationStatus.PENDING:
            self.status, self.reason = status, reason

    def _fits(self, code: str) -> bool:
        """Flash calls are told of as phones show them: with the country or without."""
        if self.method is VerificationMethod.FLASH_CALL:
            return is_same_number(self.code, code)
        return hmac.compare_digest(self.code.encode(), code.strip().encode(errors="replace"))
