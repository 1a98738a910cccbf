"""Bodies of the Verification API and of its events, as the SDKs write and read them (pure)."""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from sinchphone.errors import DestinationError, RemoteProtocolError
from sinchphone.exchange.refusals import RefusedError
from sinchphone.exchange.verifications.verification import Verification
from sinchphone.protocol.phone_numbers import country_of, read_number
from sinchphone.protocol.verification import MAX_CODE_CHARACTERS, VerificationMethod, VerificationStatus
from sinchphone.protocol.voice_limits import FREE
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.fields import Record
from sinchphone.signaling.wire import ErrorCode, write_time

MAX_REFERENCE_CHARACTERS: Final = 256
MAX_CUSTOM_CHARACTERS: Final = 4096
INTERCEPTION_SECONDS: Final = {VerificationMethod.SMS: 300, VerificationMethod.FLASH_CALL: 120, VerificationMethod.CALLOUT: 300}
CODE_TYPES: Final = ("Numeric", "Alpha", "Alphanumeric")
SMS_TEMPLATE: Final = "Your verification code is {{CODE}}"
FLASH_FILTER: Final = r"^\+1[2-9]\d\d55501\d\d$"
_NOT_HERE: Final = {"seamless": "seamless (data) verification", "whatsapp": "verification by WhatsApp"}
_EXPIRY: Final = re.compile(r"(\d{2}):([0-5]\d):([0-5]\d)")
_SOURCES: Final = ("manual", "intercepted")


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class VerificationWish:
    """A verification that is asked for. ``code``: the backend's own, where it has one."""

    method: VerificationMethod
    number: str
    reference: str | None = None
    custom: str | None = None
    code_type: str = CODE_TYPES[0]
    template: str = SMS_TEMPLATE
    locale: str | None = None
    ring_s: float | None = None
    seconds: float = 300.0
    code: str | None = field(default=None, repr=False)


@quick_dataclass(frozen=True, slots=True)
class ReportedCode:
    """A code that somebody reports."""

    method: VerificationMethod
    code: str = field(repr=False)
    source: str


def read_method(text: str) -> VerificationMethod:
    """A method's name in any case. Raises RefusedError where it isn't here, RemoteProtocolError where there is none."""
    name = {"phonecall": "callout"}.get(text.lower(), text.lower())
    if name in _NOT_HERE:
        raise RefusedError(501, ErrorCode.NOT_THERE, f"method: {_NOT_HERE[name]} is not on this exchange; sms, flashcall and callout are")
    try:
        return VerificationMethod(name)
    except ValueError as error:
        raise RemoteProtocolError("method should be sms, flashcall or callout, but is another text") from error


def read_verified_number(text: str, name: str) -> str:
    """+E164. Raises RemoteProtocolError."""
    written = text if text.lstrip().startswith("+") else f"+{text.strip()}"
    try:
        return read_number(written)
    except DestinationError as error:
        raise RemoteProtocolError(f"{name}: {error}") from error


def read_start(body: bytes) -> VerificationWish:
    """What is asked for. Raises RefusedError and RemoteProtocolError."""
    asked = Record.parse(body)
    method = read_method(asked.text("method", limit=32))
    identity = asked.record("identity")
    if identity.text("type", limit=32).lower() != "number":
        raise identity.odd("type", "number")
    number = read_verified_number(identity.text("endpoint", limit=64), "identity.endpoint")
    common: dict[str, Any] = {
        "method": method,
        "number": number,
        "reference": asked.optional_text("reference", limit=MAX_REFERENCE_CHARACTERS),
        "custom": asked.optional_text("custom", limit=MAX_CUSTOM_CHARACTERS),
    }
    return VerificationWish(**common, **_options(asked, method))


def _options(asked: Record, method: VerificationMethod) -> dict[str, Any]:
    seconds = float(INTERCEPTION_SECONDS[method])
    match method:
        case VerificationMethod.SMS:
            options = asked.optional_record("smsOptions")
            return {
                "code_type": _code_type(options),
                "template": _template(options),
                "locale": options.optional_text("locale", limit=64),
                "seconds": _expiry(options) or seconds,
            }
        case VerificationMethod.FLASH_CALL:
            options = asked.optional_record("flashCallOptions")
            seconds = options.number("interceptionTimeout", default=seconds, low=1, high=3600)
            return {"ring_s": options.number("dialTimeout", default=15, low=1, high=120), "seconds": seconds}
        case VerificationMethod.CALLOUT:
            options = asked.optional_record("calloutOptions")
            return {"locale": options.optional_record("speech").optional_text("locale", limit=64), "seconds": seconds}


def _code_type(options: Record) -> str:
    kind = options.optional_text("codeType", limit=32) or CODE_TYPES[0]
    known = next((one for one in CODE_TYPES if one.lower() == kind.lower()), None)
    if known is None:
        raise options.odd("codeType", "Numeric, Alpha or Alphanumeric")
    return known


def _template(options: Record) -> str:
    template = options.optional_text("template", limit=1024) or SMS_TEMPLATE
    if "{{CODE}}" not in template:
        raise options.odd("template", "a text with {{CODE}} in it")
    return template


def _expiry(options: Record) -> float | None:
    text = options.optional_text("expiry", limit=32)
    if text is None:
        return None
    found = _EXPIRY.fullmatch(text)
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) if found else 0
    if not 1 <= seconds <= 24 * 3600:
        raise options.odd("expiry", "a time as HH:MM:SS")
    return float(seconds)


def read_report(body: bytes) -> ReportedCode:
    """The code that is reported. Raises RefusedError and RemoteProtocolError."""
    asked = Record.parse(body)
    method = read_method(asked.text("method", limit=32))
    names = {
        VerificationMethod.SMS: ("sms",),
        VerificationMethod.FLASH_CALL: ("flashCall", "flashcall"),
        VerificationMethod.CALLOUT: ("callout", "phoneCall"),
    }[method]
    inner = next((asked.record(name) for name in names if asked.has(name)), None)
    if inner is None:
        raise asked.odd(names[0], "an object")
    code = inner.text("cli" if method is VerificationMethod.FLASH_CALL else "code", limit=MAX_CODE_CHARACTERS)
    source = asked.optional_text("source", limit=32) or "manual"
    if source not in _SOURCES:
        raise asked.odd("source", "manual or intercepted")
    return ReportedCode(method, code, source)


def started_members(one: Verification, wish: VerificationWish, base: str) -> dict[str, Any]:
    """The answer to a start. ``base`` is the API's URL."""
    members: dict[str, Any] = {"id": one.id, "method": one.method.value}
    seconds = int(one.expires_at - one.began_at)
    match one.method:
        case VerificationMethod.SMS:
            members["sms"] = {"template": wish.template, "interceptionTimeout": seconds, "codeType": wish.code_type}
        case VerificationMethod.FLASH_CALL:
            times = {"interceptionTimeout": seconds, "reportTimeout": seconds, "denyCallAfter": 0}
            members["flashCall"] = {"cliFilter": FLASH_FILTER, **times}
        case VerificationMethod.CALLOUT:  # what the SDKs of 2016 poll by
            members["callout"] = {"startPollingAfter": 1, "stopPollingAfter": seconds, "pollingInterval": 1}
    number = f"{base}/verifications/{one.method.value}/number/{one.number}"
    by_id = f"{base}/verifications/id/{one.id}"
    members["_links"] = [
        {"rel": "status", "href": by_id, "method": "GET"},
        {"rel": "report", "href": by_id, "method": "PUT"},
        {"rel": "status", "href": number, "method": "GET"},
        {"rel": "report", "href": f"{base}/verifications/number/{one.number}", "method": "PUT"},
    ]
    return members


def status_members(one: Verification) -> dict[str, Any]:
    """How it stands with one, as the SDKs read it."""
    over = one.status is not VerificationStatus.PENDING
    calls = one.method is not VerificationMethod.SMS
    return {
        "id": one.id,
        "method": one.method.value,
        "status": one.status.value,
        "reason": one.reason.value if one.reason is not None else None,
        "reference": one.reference,
        "identity": {"type": "number", "endpoint": one.number},
        "countryId": country_of(one.number) or "",
        "verificationTimestamp": write_time(one.began_at).removesuffix("Z"),
        "source": one.source,
        "price": {"verificationPrice": FREE} | ({"terminationPrice": FREE, "billableDuration": 0} if calls else {}) if over else None,
        "callComplete": over if calls else None,
    }


def request_event(one: Verification) -> dict[str, Any]:
    """The VerificationRequestEvent: may it be?"""
    return _event("VerificationRequestEvent", one) | {"price": FREE, "rate": FREE, "acceptLanguage": []}


def result_event(one: Verification) -> dict[str, Any]:
    """The VerificationResultEvent: how it ended."""
    result = {"status": one.status.value, "reason": one.reason.value if one.reason is not None else None, "source": one.source}
    return _event("VerificationResultEvent", one) | result


def _event(name: str, one: Verification) -> dict[str, Any]:
    return {
        "id": one.id,
        "event": name,
        "method": one.method.value,
        "identity": {"type": "number", "endpoint": one.number},
        "reference": one.reference,
        "custom": one.custom,
    }


def read_permission(body: bytes, method: VerificationMethod) -> Mapping[str, str] | None:
    """What a backend answers to a request event: ``None`` where it denies, else what it wants otherwise (``code``, ``cli``). Raises
    RemoteProtocolError."""
    answer = Record.parse(body)
    action = (answer.optional_text("action", limit=32) or "allow").lower()
    if action not in ("allow", "deny"):
        raise answer.odd("action", "allow or deny")
    if action == "deny":
        return None
    name = {VerificationMethod.SMS: "sms", VerificationMethod.FLASH_CALL: "flashCall", VerificationMethod.CALLOUT: "callout"}[method]
    wanted = answer.optional_record(name)
    own = "cli" if method is VerificationMethod.FLASH_CALL else "code"
    return {own: text} if (text := wanted.optional_text(own, limit=MAX_CODE_CHARACTERS)) is not None else {}
