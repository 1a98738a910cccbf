"""How the exchange says no: a status, a number and a sentence that names what was wrong."""

from typing import Final

from sinchphone.errors import SinchphoneError
from sinchphone.signaling.wire import ErrorCode

EXCHANGE_FAILED: Final = "the exchange failed; its log says why"
TOO_LONG_REASON: Final = "The call has reached its maximum duration"


class RefusedError(SinchphoneError):
    """A request that the exchange doesn't serve. ``status`` is HTTP's, ``code`` the platform's number; ``retry_s``: when it may."""

    def __init__(self, status: int, code: ErrorCode, message: str, *, retry_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_s = retry_s


def invalid(message: str) -> RefusedError:
    """The request itself can't be read."""
    return RefusedError(400, ErrorCode.INVALID_PARAMETERS, message)


def unauthorized(message: str, code: ErrorCode = ErrorCode.INVALID_CREDENTIALS) -> RefusedError:
    """The request doesn't prove who sends it."""
    return RefusedError(401, code, message)


def forbidden(message: str) -> RefusedError:
    """We know who asks, and they may not."""
    return RefusedError(403, ErrorCode.FORBIDDEN, message)


def not_found(message: str) -> RefusedError:
    """Nobody and nothing of that name."""
    return RefusedError(404, ErrorCode.NOT_FOUND, message)


def too_many(message: str, *, retry_s: int | None = None) -> RefusedError:
    """A limit is reached; ``retry_s`` where it's one of how often."""
    return RefusedError(429, ErrorCode.TOO_MANY, message, retry_s=retry_s)


def asks_too_often() -> RefusedError:
    """A device asks more often than it may."""
    return too_many("this device asks too often; wait a moment", retry_s=1)


def served_before() -> RefusedError:
    """A signed request comes a second time."""
    return RefusedError(409, ErrorCode.INVALID_REQUEST, "signature: this very request was served before")


def too_large(message: str) -> RefusedError:
    """The request has too many bytes."""
    return RefusedError(413, ErrorCode.INVALID_REQUEST, message)
