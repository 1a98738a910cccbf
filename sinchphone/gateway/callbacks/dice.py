"""What the backend learns when a call is over (DiCE). Pure."""

from collections.abc import Mapping
from typing import Final

from sinchphone.gateway.call_facts import Source
from sinchphone.gateway.legs.reasons import CallEnding
from sinchphone.gateway.routing.routing import Dialling, identity_of
from sinchphone.protocol.call.states import BUSY_CODES, Cause
from sinchphone.protocol.callbacks.events import CallResult, DisconnectedCallEvent, Reason
from sinchphone.protocol.phone_numbers import PRIVATE

_NO_ANSWER: Final = (408, 480)
_UNKNOWN: Final = (404, 410, 604)
_BLOCKED: Final = (401, 403, 407)
_GOODBYES: Final = (Reason.CALLER_HANGUP, Reason.CALLEE_HANGUP, Reason.MANAGER_HANGUP)


def disconnected_event(
    call: Dialling, ending: CallEnding, talked_s: float | None, headers: Mapping[str, str] | None = None
) -> DisconnectedCallEvent:
    """The Disconnected Call Event. ``talked_s``: since the answer; ``None`` where there was none. ``headers``: those that the answer to
    ICE set, in place of the caller's."""
    reason = ending.reason or _reason(ending, answered=talked_s is not None)
    caller = call.caller.identity if call.source is Source.USER else call.caller.caller_id or call.caller.identity
    return DisconnectedCallEvent(
        to=identity_of(call),
        caller=caller or PRIVATE,
        reason=reason,
        result=CallResult.ANSWERED if talked_s is not None else _result(ending, reason),
        duration_s=None if talked_s is None else round(talked_s),
        headers=headers or call.headers,
    )


def cause_of(event: DisconnectedCallEvent) -> Cause:
    """The same in the words for all calls of an exchange."""
    if event.result is CallResult.ANSWERED:
        lost = {Reason.TIMEOUT: Cause.TIMEOUT, Reason.NO_ANSWER: Cause.INACTIVE}
        return Cause.HUNG_UP if event.reason in _GOODBYES else lost.get(event.reason, Cause.FAILURE)
    match event.reason:
        case Reason.CANCEL:
            return Cause.CANCELED
        case Reason.BUSY | Reason.CALLEE_HANGUP | Reason.MANAGER_HANGUP:
            return Cause.DENIED
        case Reason.NO_ANSWER | Reason.TIMEOUT:
            return Cause.NO_ANSWER
        case _:
            return Cause.FAILURE


def _reason(ending: CallEnding, *, answered: bool) -> Reason:
    status = ending.failure.status if ending.failure is not None else 0
    if answered and not status:
        return Reason.CALLER_HANGUP if ending.by == "caller" else Reason.CALLEE_HANGUP
    if ending.by == "caller" and not answered:
        return Reason.CANCEL
    for statuses, reason in (
        (BUSY_CODES, Reason.BUSY),
        (_NO_ANSWER, Reason.NO_ANSWER),
        (_UNKNOWN, Reason.USER_NOT_FOUND),
        (_BLOCKED, Reason.BLOCKED),
    ):
        if status in statuses:
            return reason
    if status == 603:
        return Reason.CALLEE_HANGUP
    return Reason.CONGESTION if status == 503 else Reason.GENERAL_ERROR


def _result(ending: CallEnding, reason: Reason) -> CallResult:
    results = {
        Reason.BUSY: CallResult.BUSY,
        Reason.NO_ANSWER: CallResult.NO_ANSWER,
        Reason.TIMEOUT: CallResult.NO_ANSWER,
        Reason.CANCEL: CallResult.NO_ANSWER,
        Reason.CALLEE_HANGUP: CallResult.BUSY,  # declined
        Reason.CALLBACK_ERROR: CallResult.FAILED,
    }
    return results.get(reason, CallResult.FAILED if ending.failure is not None else CallResult.NONE)
