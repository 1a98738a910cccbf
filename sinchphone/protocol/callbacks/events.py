"""The events that a backend is told about a call, as JSON bodies with the platform's field names, and what signs them.

Sinch Voice callbacks, v1: ICE (a call came in), ACE (it was answered), PIE (a menu is done), DiCE (it is over), Notify (what happened
meanwhile).
"""

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any, Final

from sinchphone.protocol.auth import sign_request
from sinchphone.protocol.callbacks.menu import MenuResult
from sinchphone.protocol.phone_numbers import PRIVATE
from sinchphone.protocol.voice_limits import FREE
from sinchphone.quick_dataclass import quick_dataclass

CONTENT_TYPE: Final = "application/json"
_VERSION: Final = 1


class IdentityType(StrEnum):
    """What an endpoint is."""

    NUMBER = "number"
    USERNAME = "username"
    SIP = "sip"
    DID = "did"  # a number of ours that was dialled from outside
    CONFERENCE = "conference"


class CallDomain(StrEnum):
    """Where a call goes, or came from. A SIP call counts as pstn: the platform's events know no fourth."""

    PSTN = "pstn"
    MXP = "mxp"
    CONFERENCE = "conference"


class CallResult(StrEnum):
    """How a call went."""

    NONE = "N/A"
    ANSWERED = "ANSWERED"
    BUSY = "BUSY"
    NO_ANSWER = "NOANSWER"
    FAILED = "FAILED"


class Reason(StrEnum):
    """Why a call is over."""

    NONE = "N/A"
    TIMEOUT = "TIMEOUT"
    CALLER_HANGUP = "CALLERHANGUP"
    CALLEE_HANGUP = "CALLEEHANGUP"
    BLOCKED = "BLOCKED"
    MANAGER_HANGUP = "MANAGERHANGUP"
    GENERAL_ERROR = "GENERALERROR"
    CANCEL = "CANCEL"
    USER_NOT_FOUND = "USERNOTFOUND"
    CALLBACK_ERROR = "CALLBACKERROR"
    BUSY = "BUSY"
    NO_ANSWER = "NOANSWER"
    CONGESTION = "CONGESTION"
    INVALID_SVAML_ACTION = "INVALIDSVAMLACTION"


@quick_dataclass(frozen=True, slots=True)
class Identity:
    """An end of a call."""

    type: IdentityType
    endpoint: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What all events of a call say. ``user`` is the user who called, ``None`` where that was a phone or a SIP address; ``resource_url``
    is where the call is found in the REST API."""

    call_id: str
    application_key: str
    user: str | None = None
    custom: str = ""
    resource_url: str = ""


class AmdStatus(StrEnum):
    """Who answered."""

    HUMAN = "human"
    MACHINE = "machine"
    NOT_SURE = "notsure"
    HANGUP = "hangup"  # gone before it was known
    IN_PROGRESS = "inprogress"


class AmdReason(StrEnum):
    """Why that is thought."""

    LONG_GREETING = "longgreeting"
    INITIAL_SILENCE = "initialsilence"
    GREETING = "greeting"
    BEEP = "beep"
    NONE = "n/a"


@quick_dataclass(frozen=True, slots=True)
class AmdResult:
    """What was found out about who answered, and how long that took [ms]."""

    status: AmdStatus
    reason: AmdReason = AmdReason.NONE
    duration_ms: int = 0


class NotificationType(StrEnum):
    """What a Notify event tells. The platform's list is open: ``recording_started`` is this exchange's own."""

    RECORDING_STARTED = "recording_started"
    RECORDING_FINISHED = "recording_finished"
    RECORDING_AVAILABLE = "recording_available"
    AMD = "amd"
    AMD_BEEP = "amd_beep"
    CALLING_ERROR = "callingerror"


class CallingErrorCode(IntEnum):
    """Why a call's SVAML wasn't carried out."""

    ILLEGAL_SVAML = 40001
    INTERNAL = 50000


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A Notify event. ``destination`` is where a recording is; ``error`` what went wrong, and its number."""

    type: NotificationType
    destination: str | None = None
    amd: AmdResult | None = None
    error: tuple[CallingErrorCode, str] | None = None
    conference: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCallEvent:
    """ICE. ``caller_id`` is what the called side would be shown; ``origin`` is where the call came from, ``domain`` where it goes."""

    to: Identity
    domain: CallDomain
    origin: CallDomain
    caller_id: str = PRIVATE
    headers: Mapping[str, str] = field(default_factory=dict)
    redirected_from: str = ""


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectedCallEvent:
    """DiCE. ``duration_s`` counts from the answer; ``None`` where there was none."""

    to: Identity
    caller: str
    reason: Reason
    result: CallResult
    duration_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def write_ice(facts: CallFacts, event: IncomingCallEvent, cookies: Mapping[str, str], now: float) -> bytes:
    """The body of an Incoming Call Event. ``now`` in seconds since the epoch."""
    members = _common("ice", facts, cookies, now) | _resource(facts)
    members |= {
        "userRate": FREE,
        "cli": event.caller_id,
        "to": _identity(event.to),
        "domain": event.domain,
        "originationType": event.origin,
        "duration": 0,
        "rdnis": event.redirected_from,
        "callHeaders": _pairs(event.headers),
    }
    return _write(members)


def write_ace(facts: CallFacts, cookies: Mapping[str, str], now: float, amd: AmdResult | None = None) -> bytes:
    """The body of an Answered Call Event. ``amd``: who answered, where that was asked for."""
    members = _common("ace", facts, cookies, now) | _resource(facts)
    return _write(members | ({} if amd is None else {"amd": _amd(amd)}))


def write_pie(facts: CallFacts, result: MenuResult, cookies: Mapping[str, str], now: float) -> bytes:
    """The body of a Prompt Input Event."""
    members: dict[str, Any] = {"menuId": result.menu, "type": result.type, "value": result.value}
    if result.digits_given:
        members["inputMethod"] = "dtmf"
    return _write(_common("pie", facts, cookies, now) | {"menuResult": members})


def write_notify(facts: CallFacts, news: Notification, cookies: Mapping[str, str], now: float) -> bytes:
    """The body of a Notify event."""
    members = _common("notify", facts, cookies, now) | {"type": news.type}
    if news.conference is not None:
        members["conferenceId"] = news.conference
    if news.destination is not None:
        members["destination"] = news.destination
    if news.amd is not None:
        members["amd"] = _amd(news.amd)
    if news.error is not None:
        members |= {"errorCode": int(news.error[0]), "errorMsg": news.error[1]}
    return _write(members)


def write_dice(facts: CallFacts, event: DisconnectedCallEvent, cookies: Mapping[str, str], now: float) -> bytes:
    """The body of a Disconnected Call Event."""
    members = _common("dice", facts, cookies, now) | {
        "reason": event.reason,
        "result": event.result,
        "debit": FREE,
        "userRate": FREE,
        "to": _identity(event.to),
        "from": event.caller,
        "callHeaders": _pairs(event.headers),
    }
    return _write(members | ({} if event.duration_s is None else {"duration": event.duration_s}))


def write_timestamp(now: float) -> str:
    """``2014-09-24T10:59:41Z``: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sign_callback(application_key: str, secret: bytes, path: str, body: bytes, timestamp: str) -> dict[str, str]:
    """The HTTP headers of a signed callback (Sinch signed requests). ``path`` as on the wire; a query in it isn't signed."""
    signature = sign_request("POST", path, body, CONTENT_TYPE, timestamp, secret)
    return {"Content-Type": CONTENT_TYPE, "x-timestamp": timestamp, "Authorization": f"application {application_key}:{signature}"}


def _common(name: str, facts: CallFacts, cookies: Mapping[str, str], now: float) -> dict[str, Any]:
    """Cookies are a list of pairs, as Sinch's server SDK for .NET reads them."""
    members: dict[str, Any] = {
        "event": name,
        "callid": facts.call_id,
        "timestamp": write_timestamp(now),
        "version": _VERSION,
        "custom": facts.custom,
        "applicationKey": facts.application_key,
    }
    if facts.user is not None:
        members["user"] = facts.user
    if cookies:
        members["cookies"] = _pairs(cookies)
    return members


def _resource(facts: CallFacts) -> dict[str, str]:
    return {"callResourceUrl": facts.resource_url} if facts.resource_url else {}


def _amd(amd: AmdResult) -> dict[str, object]:
    return {"status": amd.status, "reason": amd.reason, "duration": amd.duration_ms}


def _identity(identity: Identity) -> dict[str, str]:
    return {"type": identity.type, "endpoint": identity.endpoint}


def _pairs(texts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in texts.items()]


def _write(members: Mapping[str, Any]) -> bytes:
    """In ASCII: what can't be UTF-8 (a peer's lone surrogates) can still be sent."""
    return json.dumps(members, separators=(",", ":")).encode()
