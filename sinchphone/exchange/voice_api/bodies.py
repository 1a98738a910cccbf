"""Reads the bodies of callouts and of what is told to calls (Sinch Voice REST).

What doesn't fit raises RemoteProtocolError or RefusedError.
"""

import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from sinchphone.errors import DestinationError
from sinchphone.exchange.destinations.backend_calls import AnswerUrl, Callout, EventAnswer
from sinchphone.exchange.refusals import RefusedError, invalid
from sinchphone.protocol.callbacks.events import Identity, IdentityType
from sinchphone.protocol.callbacks.svaml import Continue, Event, PlayFiles, Say, Svaml, SvamlError
from sinchphone.protocol.callbacks.svaml_instructions import MAX_SAY_CHARACTERS
from sinchphone.protocol.callbacks.svaml_reading import read_svaml
from sinchphone.protocol.phone_numbers import CALLER_ID_RULE, E164, INTERNATIONAL, PRIVATE, read_number
from sinchphone.protocol.voice_limits import MAX_CALL_SECONDS, MAX_DTMF_CHARACTERS
from sinchphone.signaling.fields import Record
from sinchphone.signaling.wire import ErrorCode

MAX_CUSTOM_BYTES: Final = 1024
MAX_INLINE_CHARACTERS: Final = 64 * 1024
MAX_FORWARDED_HEADERS: Final = 5
_METHODS: Final = ("ttsCallout", "conferenceCallout", "customCallout")
_TYPES: Final = {"number": IdentityType.NUMBER, "did": IdentityType.NUMBER, "username": IdentityType.USERNAME, "sip": IdentityType.SIP}
_SHOWN: Final = re.compile(rf"\+?{INTERNATIONAL}|{PRIVATE}")
_DTMF: Final = re.compile(r"[0-9#*wW]*")
_FORWARDED: Final = re.compile(r"x-cb-[\x21-\x7e]{1,27}", re.IGNORECASE)
_FORWARDED_VALUE: Final = re.compile(r"[\x20-\x7e]{0,128}")


def read_callout(body: bytes, headers: Mapping[str, str]) -> Callout:
    """The callout in a request's body; ``headers`` are the request's."""
    asked = Record.parse(body)
    method = asked.text("method", limit=64)
    known = {name.lower(): name for name in _METHODS}.get(method.lower())
    if known is None:
        raise asked.odd("method", "ttsCallout, conferenceCallout or customCallout")
    if not asked.has(known):
        raise RefusedError(400, ErrorCode.MISSING_PARAMETER, f"{known}: it is missing, though method says that it is there")
    inner = asked.record(known)
    forwarded = _forwarded(headers)
    match known:
        case "ttsCallout":
            return _tts(inner, forwarded)
        case "conferenceCallout":
            return _conference(inner, forwarded)
        case _:
            return _custom(inner, forwarded)


def _tts(inner: Record, headers: Mapping[str, str]) -> Callout:
    text, prompts = inner.optional_text("text", limit=MAX_SAY_CHARACTERS), inner.optional_text("prompts", limit=MAX_INLINE_CHARACTERS)
    locale = inner.optional_text("locale", limit=64)
    if text is None and prompts is None:
        raise RefusedError(400, ErrorCode.MISSING_PARAMETER, "ttsCallout.text: it is missing, and so are prompts")
    said: dict[str, object] = {"name": "say", "text": text}
    if prompts is not None:
        said = {"name": "playFiles", "ids": [part.strip() for part in prompts.split(";") if part.strip()]}
    script = _svaml("ttsCallout", {"instructions": [said | _given(locale=locale or "en-US")], "action": {"name": "hangup"}}, Event.ACE)
    return Callout(
        destination=_destination(inner, needed=True),
        shown=_shown(inner),
        custom=_custom_text(inner),
        dtmf=_dtmf(inner),
        script=script,
        asks=_asks(inner),
        headers=headers,
    )


def _conference(inner: Record, headers: Mapping[str, str]) -> Callout:
    greeting = inner.optional_text("greeting", limit=MAX_SAY_CHARACTERS)
    locale = inner.optional_text("locale", limit=64)
    options, music = inner.value("conferenceDtmfOptions"), inner.optional_text("mohClass", limit=32)
    action = {"name": "connectConf", "conferenceId": inner.text("conferenceId")} | _given(conferenceDtmfOptions=options, moh=music)
    said = [{"name": "say", "text": greeting} | _given(locale=locale)] if greeting else []
    return Callout(
        destination=_destination(inner, needed=True),
        shown=_shown(inner),
        custom=_custom_text(inner),
        dtmf=_dtmf(inner),
        max_duration_s=_max_duration(inner),
        script=_svaml("conferenceCallout", {"instructions": said, "action": action}, Event.ACE),
        asks=_asks(inner),
        headers=headers,
    )


def _custom(inner: Record, headers: Mapping[str, str]) -> Callout:
    answers = {event: answer for event in (Event.ICE, Event.ACE, Event.PIE) if (answer := _answer(inner, event)) is not None}
    return Callout(
        destination=_destination(inner, needed=Event.ICE not in answers),
        shown=_shown(inner),
        custom=_custom_text(inner),
        dtmf=_dtmf(inner),
        max_duration_s=_max_duration(inner),
        asks=frozenset(Event),
        answers=answers,
        headers=headers,
    )


def _answer(inner: Record, event: Event) -> EventAnswer | None:
    """An answer in advance: SVAML as a text, or the URL that is asked."""
    text = inner.optional_text(event, limit=MAX_INLINE_CHARACTERS)
    if text is None:
        return None
    if not text.lstrip().startswith("{"):
        if urlsplit(text).scheme not in ("http", "https"):
            raise invalid(f"customCallout.{event}: it should be SVAML as a text, or a URL")
        return AnswerUrl(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"customCallout.{event}: it should be SVAML as a text, but is no JSON") from error
    return _svaml(f"customCallout.{event}", value, event)


def _svaml(where: str, value: object, event: Event) -> Svaml:
    try:
        return read_svaml(value, event)
    except SvamlError as error:
        raise invalid(f"{where}: {error}") from error


def read_update(body: bytes) -> Svaml:
    """What is told to a call: instructions, and an action that fits what it does at present."""
    return _svaml("the body", _with_action(body), Event.UPDATE)


def read_announcement(body: bytes) -> tuple[Say | PlayFiles, ...]:
    """What is said to a leg of a call."""
    answer = _svaml("the body", _with_action(body), Event.PIE)
    words = tuple(one for one in answer.instructions if isinstance(one, Say | PlayFiles))
    if len(words) != len(answer.instructions) or not isinstance(answer.action, Continue):
        raise invalid("instructions: a leg of a call hears playFiles and say, and nothing else")
    if not words:
        raise RefusedError(400, ErrorCode.MISSING_PARAMETER, "instructions: they are missing")
    return words


def _with_action(body: bytes) -> object:
    Record.parse(body)  # an object, or it is explained why not
    value = json.loads(body or b"{}")
    return {"action": {"name": "continue"}} | {name: member for name, member in value.items() if member is not None}


def _given(**members: object) -> dict[str, object]:
    return {name: member for name, member in members.items() if member is not None}


def _destination(inner: Record, *, needed: bool) -> Identity | None:
    if not inner.has("destination"):
        if needed:
            raise RefusedError(400, ErrorCode.MISSING_PARAMETER, "destination: it is missing")
        return None
    given = inner.record("destination")
    endpoint, kind = given.text("endpoint", limit=512), given.optional_text("type", limit=32)
    if kind is None:
        kind = "number" if endpoint.lstrip().startswith("+") else "sip" if "@" in endpoint else "username"
    known = _TYPES.get(kind.lower())
    if known is None:
        raise given.odd("type", "number, username or sip")
    return Identity(known, _number(endpoint) if known is IdentityType.NUMBER else endpoint)


def _number(endpoint: str) -> str:
    """A number is written with its plus or without it."""
    written = endpoint if endpoint.lstrip().startswith("+") else f"+{endpoint.strip()}"
    try:
        number = read_number(written)
    except DestinationError as error:
        if "emergency" in str(error):
            raise RefusedError(403, ErrorCode.DESTINATION_FORBIDDEN, f"destination.endpoint: {error}") from error
        raise invalid(f"destination.endpoint: {error}") from error
    assert re.fullmatch(E164, number), "that is what numbers are read as"
    return number


def _shown(inner: Record) -> str | None:
    shown = inner.optional_text("cli", limit=64)
    if shown is None or shown.lower() == PRIVATE:
        return shown and PRIVATE
    bare = re.sub(r"[ ().-]", "", shown)
    if not _SHOWN.fullmatch(bare):
        raise inner.odd("cli", CALLER_ID_RULE)
    return bare if bare.startswith("+") else f"+{bare}"


def _custom_text(inner: Record) -> str:
    custom = inner.optional_text("custom", limit=MAX_CUSTOM_BYTES) or ""
    if len(custom.encode()) > MAX_CUSTOM_BYTES:
        raise invalid(f"custom: it has more than {MAX_CUSTOM_BYTES} bytes")
    return custom


def _dtmf(inner: Record) -> str:
    digits = inner.optional_text("dtmf", limit=MAX_DTMF_CHARACTERS) or ""
    if not _DTMF.fullmatch(digits):
        raise inner.odd("dtmf", "digits: 0-9, *, # and w")
    return digits


def _max_duration(inner: Record) -> int | None:
    if not inner.has("maxDuration"):
        return None
    return int(inner.number("maxDuration", low=1, high=MAX_CALL_SECONDS))


def _asks(inner: Record) -> frozenset[Event]:
    flags = {Event.ACE: "enableAce", Event.DICE: "enableDice", Event.PIE: "enablePie"}
    return frozenset(event for event, name in flags.items() if inner.flag(name, default=False))


def _forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for the backend that go along with each callback; those beyond the fifth are dropped, as the platform does."""
    fitting = {name: value for name, value in headers.items() if _FORWARDED.fullmatch(name) and _FORWARDED_VALUE.fullmatch(value)}
    return dict(list(fitting.items())[:MAX_FORWARDED_HEADERS])
