"""Why a call ended, in words, and which exit code that is. ``Order`` is why *we* ended it."""

from enum import Enum
from typing import TYPE_CHECKING, Final

from sinchphone.cli.exits import ExitCode, code_of_call, code_of_error, hint_of_code, hint_of_sip, sip_failure
from sinchphone.cli.explanations import explain
from sinchphone.errors import BACKEND, BACKEND_HANGS_UP, BACKENDS_ANSWER, EXCHANGE_CLOSING, INSECURE, NOT_OVER_SIP, RELAY_ONLY, TRUNK_AWAY
from sinchphone.protocol.call.states import BUSY_CODES, Cause, EndedBy
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Domain

if TYPE_CHECKING:
    from sinchphone.engine.calls.details import CallDetails


class Order(Enum):
    """An order of ours to end a call: what the person reads, where the call was never established and where it was."""

    KEY = "you hung up"
    INTERRUPT = "interrupted"
    TERMINATE = "terminated"
    STDOUT_CLOSED = "nobody reads the output any more"
    RING_TIMEOUT = "nobody answered in time"
    TIME_UP = "the time is up"
    PLAYED = "everything was played"
    CHECKED = "the check is done"
    DECLINED = "declined"
    DENIED = "declined by --allow or --deny"
    BUSY = "declined, busy in another call"
    CONTROL = "ended by a command"
    TRANSFERRED = "you transferred the call"


_OURS_IN_ANY_CASE: Final = (Order.INTERRUPT, Order.TERMINATE, Order.TRANSFERRED)  # whoever leaves first
# Who is not found though no user: the general hint is about users.
_NOBODY_THERE: Final = {
    Domain.SIP: "check the address: its host can't be found, or nobody is there",
    Domain.PSTN: "check the number; which ones the exchange's trunk carries, its configuration says: sinchphone help trunk",
}
_BACKEND_INSECURE: Final = "[backend] ca_file of the exchange names authorities of your own; the rest is for who runs the backend"
_BACKEND_FAILS: Final = (
    "check [backend] url and fallback of the exchange, and the backend's own log; while the exchange runs, sinchphone trace last shows both"
)
_CODES: Final = {
    Order.KEY: ExitCode.OK,
    Order.TERMINATE: ExitCode.TERMINATED,
    Order.STDOUT_CLOSED: ExitCode.OK,
    Order.RING_TIMEOUT: ExitCode.NO_ANSWER,
    Order.TIME_UP: ExitCode.OK,
    Order.PLAYED: ExitCode.OK,
    Order.CHECKED: ExitCode.OK,
    Order.DECLINED: ExitCode.OK,
    Order.DENIED: ExitCode.OK,
    Order.BUSY: ExitCode.OK,
    Order.CONTROL: ExitCode.OK,
    Order.TRANSFERRED: ExitCode.OK,
}


@quick_dataclass(frozen=True, slots=True)
class Ending:
    """The end of a call, for people and for shells."""

    code: ExitCode
    reason: str
    hint: str | None = None


# What to do after an end of our own, where there is something: the rest was done as asked.
NEXT_STEPS: Final = {
    Order.KEY: None,
    Order.INTERRUPT: None,
    Order.TERMINATE: None,
    Order.STDOUT_CLOSED: None,
    Order.RING_TIMEOUT: "--ring-timeout 60s rings as long as anything may; sinchphone call --again calls once more",
    Order.TIME_UP: "--max-duration, or max_duration in the configuration, says how long a call may last",
    Order.PLAYED: "without --hangup-after-play the call goes on after the last file",
    Order.CHECKED: None,
    Order.DECLINED: None,
    Order.DENIED: "--allow and --deny say whose calls are taken",
    Order.BUSY: None,
    Order.CONTROL: None,
    Order.TRANSFERRED: None,
}


def code_of_order(order: Order, *, established: bool, interactive: bool) -> ExitCode:
    """The exit code of a command that ended because of ``order``. Ctrl-C in an established call at a terminal is a normal end."""
    if order is Order.INTERRUPT:
        return ExitCode.OK if established and interactive else ExitCode.INTERRUPTED
    return _CODES[order]


def describe(details: "CallDetails", *, peer: str, domain: Domain, outbound: bool, order: Order | None, interactive: bool) -> Ending:
    """How a call ended, and what to do next. ``order``: what we wanted, if anything; it counts unless the other side was first."""
    ours = order if details.ended_by == EndedBy.US or order in _OURS_IN_ANY_CASE else None
    if ours is not None:
        code = code_of_order(ours, established=details.established_at is not None, interactive=interactive)
        return Ending(code, _our_words(ours, details), NEXT_STEPS[ours])
    busy = details.failure is not None and details.failure.code in BUSY_CODES
    explained = explain(details.cause, domain, outbound=outbound, peer=peer, busy=busy)
    if details.error is not None and details.cause is Cause.FAILURE:
        code = code_of_error(details.error)
        return Ending(code, str(details.error), details.error.hint or hint_of_code(code) or explained.next_step)
    code = code_of_call(details) if outbound else _code_of_incoming(details)
    if outbound and (sip := sip_failure(details)) is not None and details.cause is not Cause.HUNG_UP:
        return Ending(code, _sip_words(*sip), hint_of_sip(code) or explained.next_step)
    if outbound and code is ExitCode.NOT_FOUND and domain in _NOBODY_THERE:
        return Ending(code, _words(details, explained.words, peer), _NOBODY_THERE[domain])
    return Ending(code, _words(details, explained.words, peer), _hint(details, code) or explained.next_step)


def _hint(details: "CallDetails", code: ExitCode) -> str | None:
    """What to do where more is known than the cause."""
    if details.cause is Cause.DENIED and _is_backends(details):
        return "its answer to ICE, or a request of it, was hangup: while the exchange runs, sinchphone trace last shows which"
    if details.failure is not None and (details.failure.message.startswith(BACKEND) or BACKENDS_ANSWER in details.failure.message):
        return _BACKEND_INSECURE if INSECURE in details.failure.message else _BACKEND_FAILS
    if details.failure is not None and INSECURE in details.failure.message:  # between the exchange and the SIP side: not this network
        return "the exchange's [sip] and [trunk] ca_file name authorities of your own; the rest is for who runs the SIP side"
    if details.failure is not None and TRUNK_AWAY in details.failure.message:  # which may be since it can't be reached over SIP
        return "check the host, port and transport in [trunk] of the exchange, and its network: sinchphone help trunk"
    if details.failure is not None and NOT_OVER_SIP in details.failure.message:
        return "check the address: its host, port and transport (;transport=tcp), and whether a SIP server runs there"
    if details.failure is not None and RELAY_ONLY in details.failure.message:
        return "[ice] servers names TURN servers, sinchphone doctor asks each of them: sinchphone help networks"
    if details.failure is not None and EXCHANGE_CLOSING in details.failure.message:
        return "call once more when it runs again: sinchphone exchange status says whether it does"
    return hint_of_code(code) if details.cause is not Cause.INACTIVE else None


def _is_backends(details: "CallDetails") -> bool:
    """Whether it was the application's backend that wanted no such call, as the local exchange tells."""
    return details.failure is not None and details.failure.message == BACKEND_HANGS_UP


def _code_of_incoming(details: "CallDetails") -> ExitCode:
    """Who listens has done as asked whatever the caller does, unless sound fails."""
    return code_of_call(details) if details.cause in (Cause.FAILURE, Cause.INACTIVE) else ExitCode.OK


def _our_words(order: Order, details: "CallDetails") -> str:
    if order is Order.INTERRUPT and details.established_at is not None:
        return "you hung up"
    if order is Order.KEY and details.answered_at is None:
        return "you gave up"
    return order.value


def _sip_words(status: int, reason: str) -> str:
    """``busy here (SIP 486)``. Servers spell a reason as a title (RFC 3261 21), or as they like."""
    said = reason.lower() if reason.istitle() else reason
    return f"{said or 'refused'} (SIP {status})"


def _words(details: "CallDetails", explained: str, peer: str) -> str:
    said = f": {details.failure.message}" if details.failure and details.failure.message else ""
    match details.cause:
        case Cause.HUNG_UP if details.ended_by == EndedBy.US:
            return "you hung up"
        case Cause.CANCELED if details.ended_by == EndedBy.PEER:
            return f"{peer} gave up"
        case Cause.DENIED if _is_backends(details):
            return BACKEND_HANGS_UP
        case Cause.HUNG_UP | Cause.FAILURE | None:
            return f"{explained}{said}"
        case _:
            return explained
