"""Words of Sinch's Verification API (v1) that both sides say."""

from enum import StrEnum
from typing import Final

MAX_CODE_CHARACTERS: Final = 64


class VerificationMethod(StrEnum):
    """How somebody proves that a number is theirs."""

    SMS = "sms"
    FLASH_CALL = "flashcall"
    CALLOUT = "callout"


class VerificationStatus(StrEnum):
    """How it stands with a verification."""

    PENDING = "PENDING"
    SUCCESSFUL = "SUCCESSFUL"
    FAIL = "FAIL"
    DENIED = "DENIED"
    ABORTED = "ABORTED"
    ERROR = "ERROR"
