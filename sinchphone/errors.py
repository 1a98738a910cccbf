"""Every error that sinchphone raises on purpose.

::

    SinchphoneError
    ├── LocalProtocolError     our caller broke the rules of a machine
    ├── RemoteProtocolError    the peer did
    ├── ConfigError            configuration that can't be used
    ├── DestinationError       something that can't be dialled
    ├── MessageError           a message that can't be sent: empty, too long, to oneself
    ├── AuthenticationError    the platform doesn't believe who we are
    ├── ForbiddenError         the platform knows us and says no
    ├── NotFoundError          nobody of that name or number
    ├── NetworkError           the platform can't be reached
    ├── PlatformError          the platform answered, but not as agreed
    ├── MediaError             no sound could be carried
    │   └── AudioFileError     a file that can't be played or recorded
    ├── DeviceError            no such sound device, or it refuses
    ├── ControlError           a stream of commands that can't be read, a program that can't be run
    └── OutputError            standard output doesn't take what we write

The message says what happened, ``hint`` what to do about it. Both begin with a small letter, unless a name does, and end without a full
stop: they stand behind ``error:`` and ``hint:``. Text that came from a peer is in them as it came: whoever shows an error escapes it.
"""

from typing import Final

INSECURE: Final = "no secure connection"  # how every sentence about TLS that failed begins
NOT_OVER_SIP: Final = "can't be reached over SIP"  # of a SIP side, as whoever called it reads
TRUNK_AWAY: Final = "the trunk can't be reached"  # as whoever called a number reads
EXCHANGE_CLOSING: Final = "the exchange is closing, or was reset"  # as those read whose calls it ends with that
BACKEND: Final = "the backend"  # how sentences about an application's begin
BACKENDS_ANSWER: Final = f"({BACKEND}'s answer to"  # in those about what it answers
BACKEND_HANGS_UP: Final = f"{BACKEND} ended the call"  # as whoever's call its answer ends before anybody took it reads
RELAY_ONLY: Final = "calls go through TURN servers only"  # how those about calls that found none begin


class SinchphoneError(Exception):
    """Something went wrong that sinchphone knows about.

    ``hint`` is a sentence for the user (what to do), or an empty string.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class LocalProtocolError(SinchphoneError):
    """This program used a call or a message in a way that the protocol doesn't allow."""


class RemoteProtocolError(SinchphoneError):
    """The other side sent something that the protocol doesn't allow."""


class ConfigError(SinchphoneError):
    """The configuration can't be used."""


class DestinationError(SinchphoneError):
    """That can't be dialled."""


class TopicError(SinchphoneError):
    """There is no page of help about that."""


class UsageError(SinchphoneError):
    """What a command was given can't be used, as only the exchange could tell."""


class MessageError(SinchphoneError):
    """That message can't be sent."""


class AuthenticationError(SinchphoneError):
    """The platform didn't accept the credentials."""


class ForbiddenError(SinchphoneError):
    """The platform refused the request."""


class NotFoundError(SinchphoneError):
    """Nobody of that name or number is known."""


class NetworkError(SinchphoneError):
    """The platform can't be reached."""


class PlatformError(SinchphoneError):
    """The platform gave an answer that can't be used.

    ``status`` is the HTTP status, or ``None`` where no answer came; ``code`` the platform's own error number.
    """

    def __init__(self, message: str, *, hint: str = "", status: int | None = None, code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class TransferError(SinchphoneError):
    """A call wasn't transferred, and goes on. ``status``: why, in SIP's numbers."""

    def __init__(self, message: str, *, hint: str = "", status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class MediaError(SinchphoneError):
    """No sound could be carried."""


class NoPortError(MediaError):
    """No UDP port could be opened for sound."""


class NoServerError(NetworkError):
    """Nobody serves SIP at a name."""


class AudioFileError(MediaError):
    """The file can't be played or recorded."""


class DeviceError(SinchphoneError):
    """The sound device isn't there or doesn't work."""


class ControlError(SinchphoneError):
    """What is to steer the phone can't: a stream that can't be read, a program that isn't there."""


class OutputError(SinchphoneError):
    """Standard output doesn't take what is written to it."""


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group of them, and in the groups within; an error that is no group stands for itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]
