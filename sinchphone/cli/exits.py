"""The exit codes: what each means, and which one an error or the end of a call leads to."""

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from sinchphone.errors import (
    AudioFileError,
    AuthenticationError,
    ConfigError,
    ControlError,
    DestinationError,
    DeviceError,
    ForbiddenError,
    LocalProtocolError,
    MediaError,
    MessageError,
    NetworkError,
    NotFoundError,
    OutputError,
    PlatformError,
    RemoteProtocolError,
    TopicError,
    UsageError,
)
from sinchphone.protocol.call.states import BUSY_CODES, ICE_FAILED, NETWORK_DOMAIN, Cause, EndedBy

if TYPE_CHECKING:
    from sinchphone.engine.calls.details import CallDetails


class ExitCode(IntEnum):
    """What a shell learns from a command. The numbers are a promise: none ever changes its meaning."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "ExitCode":
        """A code with the words that ``--help`` prints for it."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "done as asked"
    BUG = 1, "a bug in sinchphone"
    USAGE = 2, "usage: an option, a destination or a file that can't be used"
    DECLINED = 3, "declined"
    AUTHENTICATION = 4, "authentication"
    NO_ANSWER = 5, "no answer"
    BUSY = 6, "busy"
    NOT_FOUND = 7, "nobody of that name or number"
    FORBIDDEN = 8, "forbidden (caller id, credit, blocked)"
    NETWORK = 9, "network"
    MEDIA = 10, "media (ICE, DTLS, no sound arrived)"
    DEVICE = 11, "sound device"
    NOT_DONE = 12, "something asked for on the command line was kept from being done, or a check failed"
    PLATFORM = 13, "the platform or a callback failed"
    CONFIG = 14, "configuration"
    NOT_DELIVERED = 15, "a message was not delivered in time"
    UNWELL = 20, "doctor found problems"
    DEADLINE = 124, "the time was up before what was waited for came"
    INTERRUPTED = 130, "interrupted before the call was established, or in a script"
    TERMINATED = 143, "terminated"


# The first row whose class fits counts. A file named on the command line that can't be used is a matter of usage.
_ERRORS: Final[tuple[tuple[type[BaseException], ExitCode], ...]] = (
    (NetworkError, ExitCode.NETWORK),  # of a store, too, that is away
    (ConfigError, ExitCode.CONFIG),
    (DestinationError, ExitCode.USAGE),
    (MessageError, ExitCode.USAGE),
    (TopicError, ExitCode.USAGE),
    (UsageError, ExitCode.USAGE),
    (ControlError, ExitCode.USAGE),
    (AuthenticationError, ExitCode.AUTHENTICATION),
    (ForbiddenError, ExitCode.FORBIDDEN),
    (NotFoundError, ExitCode.NOT_FOUND),
    (AudioFileError, ExitCode.USAGE),
    (OutputError, ExitCode.USAGE),
    (MediaError, ExitCode.MEDIA),
    (DeviceError, ExitCode.DEVICE),
    (PlatformError, ExitCode.PLATFORM),
    (RemoteProtocolError, ExitCode.PLATFORM),
    (LocalProtocolError, ExitCode.BUG),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
)

# A failure's code as SIP and HTTP number them (RFC 3261 21): what a gateway or a callback tells.
_FAILURES: Final = {
    401: ExitCode.AUTHENTICATION,
    402: ExitCode.FORBIDDEN,
    403: ExitCode.FORBIDDEN,
    404: ExitCode.NOT_FOUND,
    407: ExitCode.AUTHENTICATION,
    408: ExitCode.NO_ANSWER,
    410: ExitCode.NOT_FOUND,
    415: ExitCode.MEDIA,
    480: ExitCode.NO_ANSWER,
    484: ExitCode.NOT_FOUND,
    486: ExitCode.BUSY,
    487: ExitCode.NO_ANSWER,
    488: ExitCode.MEDIA,
    600: ExitCode.BUSY,
    603: ExitCode.DECLINED,
    604: ExitCode.NOT_FOUND,
    606: ExitCode.MEDIA,
    607: ExitCode.DECLINED,
    608: ExitCode.DECLINED,
}
_BEFORE_THE_ANSWER: Final = (ExitCode.NO_ANSWER, ExitCode.BUSY, ExitCode.DECLINED, ExitCode.NOT_FOUND)
USAGE_HINT: Final = "see: sinchphone --help, or --help after a command"
# What to do, where an error doesn't say it better itself.
_HINTS: Final = {
    ExitCode.BUG: "run it again with --debug and report what it prints",
    ExitCode.USAGE: USAGE_HINT,
    ExitCode.AUTHENTICATION: "check the application key, its secret or token, and the user: sinchphone config show",
    ExitCode.NOT_FOUND: "check the name or number; a user of the local exchange must be listening: sinchphone listen --user NAME",
    ExitCode.FORBIDDEN: "in the cloud the account may lack credit or a verified caller id; on the local exchange see sinchphone help trunk",
    ExitCode.NETWORK: "check the network connection",
    ExitCode.MEDIA: "a firewall may keep the sound out",
    ExitCode.DEVICE: "sinchphone devices lists what there is",
    ExitCode.PLATFORM: "what was asked for may be wrong, or the platform in trouble: check it, then try again with --debug",
    ExitCode.CONFIG: "sinchphone config path says which files count, config init writes one with every key and its default",
}
# The same, where it was a SIP server or phone that refused.
_SIP_HINTS: Final = {
    ExitCode.AUTHENTICATION: "the SIP side asks for a user and a password, and the exchange has none for it, or wrong ones",
    ExitCode.FORBIDDEN: "the SIP side doesn't let this caller in: check its rules, and the caller id",
    ExitCode.NOT_FOUND: "check the address, and whether that phone is registered there",
    ExitCode.MEDIA: "the other end takes none of the codecs that were offered",
    ExitCode.PLATFORM: "the SIP side is in trouble, or can't be reached: check its host, port and transport",
}
_SIP: Final = "sip"  # the domain of a failure that came from there


def code_of_error(error: BaseException) -> ExitCode:
    """The exit code of an error; what nobody foresaw is a bug."""
    return next((code for kind, code in _ERRORS if isinstance(error, kind)), ExitCode.BUG)


def hint_of_code(code: ExitCode) -> str | None:
    """What to do about an exit code of which nothing else is known."""
    return _HINTS.get(code)


def hint_of_sip(code: ExitCode) -> str | None:
    """What to do where the SIP side refused a call, which led to that exit code."""
    return _SIP_HINTS.get(code)


def sip_failure(details: "CallDetails") -> tuple[int, str] | None:
    """Status and reason with which the SIP side refused or ended a call; ``None`` for other ends."""
    failure = details.failure
    if failure is None or failure.domain.lower() != _SIP or failure.code is None or not 300 <= failure.code < 700:
        return None
    return failure.code, failure.message


def code_of_call(details: "CallDetails") -> ExitCode:
    """The exit code of an outgoing call, read off its end alone (``conversation`` knows why *we* ended one)."""
    sip = sip_failure(details)
    if sip is not None and details.cause is not Cause.HUNG_UP:
        return _code_of_status(sip[0], details)
    match details.cause:
        case Cause.HUNG_UP:
            return ExitCode.OK if details.answered_at is not None else ExitCode.NO_ANSWER
        case Cause.DENIED:
            return ExitCode.BUSY if details.failure and details.failure.code in BUSY_CODES else ExitCode.DECLINED
        case Cause.NO_ANSWER | Cause.TIMEOUT:
            return ExitCode.NO_ANSWER
        case Cause.CANCELED:
            return ExitCode.INTERRUPTED if details.ended_by == EndedBy.US else ExitCode.NO_ANSWER
        case Cause.INACTIVE:
            return ExitCode.MEDIA
        case Cause.OTHER_DEVICE_ANSWERED:
            return ExitCode.OK
        case Cause.FAILURE | None:
            return _code_of_failure(details)


def code_of_simulated(failure: tuple[int, str] | None, *, answered: bool) -> ExitCode:
    """The exit code of a simulated phone's call, by SIP's number where it failed."""
    if failure is None:
        return ExitCode.OK
    code = _FAILURES.get(failure[0], ExitCode.PLATFORM)
    if answered:  # whoever hangs up for the backend says 603 too
        return ExitCode.OK if code is ExitCode.DECLINED else ExitCode.PLATFORM
    return code


def _code_of_failure(details: "CallDetails") -> ExitCode:
    code = details.failure.code if details.failure else None
    if details.ended_by == EndedBy.MEDIA or code == ICE_FAILED:
        return ExitCode.MEDIA
    if code is not None and code in _FAILURES:
        return _code_of_status(code, details)
    network = details.failure is not None and details.failure.domain == NETWORK_DOMAIN
    return ExitCode.NETWORK if network else ExitCode.PLATFORM


def _code_of_status(status: int, details: "CallDetails") -> ExitCode:
    """Of SIP's numbers. Whoever answered was there, and took the call: what ended it then is another thing."""
    code = _FAILURES.get(status, ExitCode.PLATFORM)
    return ExitCode.PLATFORM if details.answered_at is not None and code in _BEFORE_THE_ANSWER else code


def help_text() -> str:
    """The table of exit codes for ``--help``, one a line."""
    return "\n".join(f"{code.value:>5}  {code.meaning}" for code in ExitCode)
