"""Reads SVAML with every field checked: an answer that can be carried out, or all that is wrong with it (Sinch Voice callbacks, v1).

::

    body of the answer -> parse_svaml(body, event) -> Svaml(action, instructions)
                                                   -> SvamlError with every complaint, field by field
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from sinchphone.protocol.callbacks.svaml import (
    MAX_COOKIE_BYTES,
    Action,
    AnswerCall,
    ConnectConf,
    ConnectMxp,
    ConnectPstn,
    ConnectSip,
    Continue,
    Event,
    Fetched,
    Hangup,
    Instruction,
    PlayFiles,
    Prompt,
    Say,
    SendDtmf,
    SetCookie,
    Spoken,
    Ssml,
    Svaml,
    SvamlError,
    cookie_bytes,
)
from sinchphone.protocol.callbacks.svaml_fields import Complaint, Fields, Notes, describe, is_unicode
from sinchphone.protocol.phone_numbers import E164, INTERNATIONAL

MAX_CALL_SECONDS: Final = 14_400
MAX_SAY_CHARACTERS: Final = 600
MAX_CALL_HEADER_BYTES: Final = 1024  # of an action's headers together
MAX_CONFERENCE_ID_CHARACTERS: Final = 64
# Limits of this exchange, where the platform states none:
MAX_INSTRUCTIONS: Final = 32
MAX_PROMPTS: Final = 32
MAX_PROMPT_CHARACTERS: Final = 4096
MAX_DTMF_CHARACTERS: Final = 128
MAX_CALL_HEADERS: Final = 32

_CALLER_ID: Final = re.compile(rf"private|\+?{INTERNATIONAL}", re.IGNORECASE)
_SIP_CALLER: Final = re.compile(r"[A-Za-z0-9_.+~!*-]{1,64}")
_SIP_ADDRESS: Final = re.compile(
    r"(?:sips?:)?[^\s@<>\"\x00-\x1f\x7f]{1,128}@[A-Za-z0-9.\-:\[\]]{1,253}(?:;[A-Za-z0-9.;=\-]{1,128})?", re.IGNORECASE
)
_USER: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_ROOM: Final = re.compile(rf"[^\s\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_CONFERENCE_ID_CHARACTERS}}}")
_DTMF: Final = re.compile(rf"[0-9#w]{{1,{MAX_DTMF_CHARACTERS}}}")
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,8}(?:/[A-Za-z]{1,32})?|[A-Za-z][A-Za-z-]{1,31}")
_PRIVATE_HEADER: Final = re.compile(r"[Xx]-[A-Za-z0-9!%'*+.^_`|~-]{1,64}")
_MARKED: Final = re.compile(r"#(tts|ssml|href)\[(.*?)\]\s*(?=;|$)", re.IGNORECASE | re.DOTALL)
_COUNTRIES: Final = tuple(
    re.findall(
        r"[a-z]{2}", "at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru se sg th uk us tw ve za"
    )
)
_MUSIC: Final = ("ring", "music1", "music2", "music3")


def parse_svaml(body: bytes, event: Event) -> Svaml:
    """The answer in the body of a response. Raises SvamlError.

    DiCE is answered with an empty body, which counts as "hangup".
    """
    if event is Event.DICE and not body.strip():
        return Svaml(Hangup())
    if not body.strip():
        raise SvamlError((Complaint("the body", "empty", f"a JSON object with an action, {_allowed(event)}"),))
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise SvamlError((Complaint("the body", "something else", "JSON"),)) from error
    return read_svaml(value, event)


def read_svaml(value: object, event: Event) -> Svaml:
    """The answer in a JSON value (what ``json.loads`` gives). Raises SvamlError."""
    notes = Notes()
    fields = Fields(value, "", notes)
    instructions = _read_instructions(fields, event)
    action = _read_action(fields, event)
    fields.finish()
    if notes.complaints or action is None:
        raise SvamlError(tuple(notes.complaints))
    return Svaml(action, instructions, tuple(notes.remarks))


# Actions

_ReadAction: TypeAlias = Callable[[Fields], Action | None]


def _read_action(fields: Fields, event: Event) -> Action | None:
    if not fields.has("action"):
        if event is Event.DICE:
            return Hangup()
        fields.odd("action", f"an object whose name is {_allowed(event)}")
        return None
    inner = fields.inner("action")
    assert inner is not None
    name = _name_of(inner, _allowed(event))
    if name is None:
        return None
    known = _ACTIONS.get(name)
    if known is None or event not in known.events:
        inner.odd("name", _allowed(event), _why_not(inner, _NOT_HERE_ACTIONS, known is not None, event))
        return None
    action = known.read(inner)
    inner.finish()
    return action


def _name_of(fields: Fields, expected: str) -> str | None:
    """The lower-case name; None where there is none, which is complained about."""
    value = fields.value("name")
    if isinstance(value, str) and value:
        return value.lower()
    fields.odd("name", expected)
    return None


def _why_not(fields: Fields, not_here: frozenset[str], known: bool, event: Event) -> str:
    value = fields.value("name")
    if str(value).lower() in not_here:
        return f"{describe(value)}, which is not on this exchange"
    return f"{describe(value)}, which is not an answer to {event.upper()}" if known else describe(value)


def _connect_pstn(fields: Fields) -> ConnectPstn:
    _refuse_recording(fields)
    amd = fields.inner("amd")
    if amd is not None and amd.value("enabled") is not False:
        fields.odd("amd", "absent", "answering machine detection, which is not on this exchange")
    if fields.word("indications", _COUNTRIES):
        fields.remark("indications", "absent: callers hear this exchange's own ringing tone")
    return ConnectPstn(
        number=fields.matching("number", E164, "a phone number such as +46700000000"),
        caller_id=_caller_id(fields),
        max_duration_s=fields.whole("maxDuration", 1, MAX_CALL_SECONDS),
        dial_timeout_s=fields.whole("dialTimeout", 1, MAX_CALL_SECONDS),
        dtmf=fields.matching("dtmf", _DTMF, "digits: 0-9, # and w") or "",
        suppress_callbacks=fields.flag("suppressCallbacks"),
        locale=_locale(fields),
    )


def _connect_mxp(fields: Fields) -> ConnectMxp:
    _refuse_recording(fields)
    return ConnectMxp(_endpoint(fields, "username", _USER, "a user id", required=False), _call_headers(fields, private=False))


def _connect_conf(fields: Fields) -> ConnectConf:
    _refuse_recording(fields)
    options = fields.inner("conferenceDtmfOptions")
    if options is not None:
        mode = options.word("mode", ("ignore", "forward", "detect"))
        options.whole("maxDigits", 1, 100)
        options.whole("timeoutMills", 1, 600_000)
        if mode in ("forward", "detect"):
            options.odd("mode", "ignore", f'"{mode}", which is not on this exchange')
        options.finish()
    room = fields.matching("conferenceId", _ROOM, f"a room's name of 1 to {MAX_CONFERENCE_ID_CHARACTERS} characters", required=True)
    music = fields.word("moh", _MUSIC)
    if music:
        fields.remark("moh", "absent: who is alone in a room hears nothing here")
    return ConnectConf(room or "", music)


def _connect_sip(fields: Fields) -> ConnectSip:
    _refuse_recording(fields)
    if fields.word("moh", _MUSIC):
        fields.remark("moh", "absent: whoever holds the call says what is heard")
    return ConnectSip(
        address=_endpoint(fields, "sip", _SIP_ADDRESS, "a SIP address such as 46708000000@sip.example.com", required=True) or "",
        caller_id=fields.matching("cli", _SIP_CALLER, "a number or a user's name"),
        transport=fields.word("transport", ("udp", "tcp", "tls")),
        max_duration_s=fields.whole("maxDuration", 1, MAX_CALL_SECONDS),
        suppress_callbacks=fields.flag("suppressCallbacks"),
        headers=_call_headers(fields, private=True),
    )


def _refuse_recording(fields: Fields) -> None:
    if fields.flag("record"):
        fields.odd("record", "false", "true: recording is not on this exchange")
    fields.value("recordingOptions")


def _caller_id(fields: Fields) -> str | None:
    found = fields.matching("cli", _CALLER_ID, "a phone number such as +46700000000, or private")
    if found is None or found.lower() == "private":
        return found.lower() if found else None
    return f"+{found.removeprefix('+')}"


def _locale(fields: Fields) -> str | None:
    return fields.matching("locale", _LOCALE, "a locale such as en-US, or a voice's name")


def _endpoint(fields: Fields, kind: str, pattern: re.Pattern[str], expected: str, *, required: bool) -> str | None:
    identity = fields.inner("destination")
    if identity is None:
        if required:
            fields.odd("destination", f'an object with type "{kind}" and an endpoint')
        return None
    if identity.readable and identity.word("type", (kind,)) is None and not identity.has("type"):
        identity.odd("type", f'"{kind}"')
    endpoint = identity.matching("endpoint", pattern, expected, required=True)
    identity.finish()
    return endpoint


def _call_headers(fields: Fields, *, private: bool) -> dict[str, str]:
    """``private``: they become SIP headers, whose names begin with X-."""
    headers: dict[str, str] = {}
    for one in fields.objects("callHeaders", MAX_CALL_HEADERS):
        if private:
            key = one.matching("key", _PRIVATE_HEADER, "the name of a private SIP header such as X-Reference", required=True)
        else:
            key = one.text("key", limit=MAX_CALL_HEADER_BYTES, required=True)
        value = one.value("value")
        if not isinstance(value, str) or not is_unicode(value) or (private and not value.isprintable()):
            one.odd("value", "a text on one line" if private else "a text")
        elif key is not None:
            headers[key] = value
        one.finish()
    size = sum(len(f"{key}{value}".encode(errors="replace")) for key, value in headers.items())
    if size > MAX_CALL_HEADER_BYTES:
        fields.odd("callHeaders", f"at most {MAX_CALL_HEADER_BYTES} bytes, names and values", f"{size} bytes")
    return headers


# Instructions

_ReadInstruction: TypeAlias = Callable[[Fields], Instruction | None]


def _read_instructions(fields: Fields, event: Event) -> tuple[Instruction, ...]:
    read = [_read_instruction(one, event) for one in fields.objects("instructions", MAX_INSTRUCTIONS)]
    found = tuple(instruction for instruction in read if instruction is not None)
    cookies = {one.key: one.value for one in found if isinstance(one, SetCookie)}
    size = cookie_bytes(cookies)
    if size > MAX_COOKIE_BYTES:
        fields.odd("instructions", f"at most {MAX_COOKIE_BYTES} bytes of cookies, keys and values", f"cookies of {size} bytes")
    return found


def _read_instruction(fields: Fields, event: Event) -> Instruction | None:
    names = [one.name for one in _INSTRUCTIONS.values() if event in one.events]
    expected = _one_of(names) if names else f"nothing: {event.upper()} has no instructions"
    name = _name_of(fields, expected) if fields.readable else None
    if name is None:
        return None
    known = _INSTRUCTIONS.get(name)
    if known is None or event not in known.events:
        fields.odd("name", expected, _why_not(fields, _NOT_HERE_INSTRUCTIONS, known is not None, event))
        return None
    instruction = known.read(fields)
    fields.finish()
    return instruction


def _say(fields: Fields) -> Say | None:
    text, locale = fields.text("text", limit=MAX_SAY_CHARACTERS, required=True), _locale(fields)
    return Say(text, locale) if text is not None else None


def _play_files(fields: Fields) -> PlayFiles | None:
    prompts: list[Prompt] = []
    ids = fields.items("ids", MAX_PROMPTS)
    if not fields.has("ids") or fields.value("ids") == []:
        fields.odd("ids", "a list of prompts")
    for path, value in ids:
        read = read_prompts(value) if isinstance(value, str) else None
        if read:
            prompts += read
        else:
            fields.complain(path, describe(value), "#tts[…], #ssml[…], #href[…] or a URL (several are separated by ;)")
    if len(prompts) > MAX_PROMPTS:
        fields.complain(fields.path_of("ids"), f"{len(prompts)} prompts", f"at most {MAX_PROMPTS} prompts together")
    locale = _locale(fields)
    if any(not isinstance(prompt, Fetched) for prompt in prompts) and not fields.has("locale"):
        fields.odd("locale", "a locale such as en-US, since a text is spoken")
    return PlayFiles(tuple(prompts), locale)


def read_prompts(text: str) -> tuple[Prompt, ...] | None:
    """The prompts of one text (``#tts[…];#href[…];https://…``); None where it isn't one, or is none."""
    if len(text) > MAX_PROMPT_CHARACTERS or not is_unicode(text):
        return None
    prompts: list[Prompt] = []
    rest = text.strip().strip(";").strip()
    while rest:
        marked = _MARKED.match(rest)
        piece, end = (marked[0], marked.end()) if marked else (rest.partition(";")[0], len(rest.partition(";")[0]))
        prompt = _marked_prompt(marked[1].lower(), marked[2].strip()) if marked else _fetched(piece.strip())
        if prompt is None:
            return None
        prompts.append(prompt)
        rest = rest[end:].lstrip("; \t\r\n")
    return tuple(prompts) or None


def _marked_prompt(mark: str, content: str) -> Prompt | None:
    if not content:
        return None
    if mark == "href":
        return _fetched(content)
    return Ssml(content) if mark == "ssml" else Spoken(content)


def _fetched(url: str) -> Fetched | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return Fetched(url) if usable and url.isprintable() and " " not in url and parts.username is None else None


def _send_dtmf(fields: Fields) -> SendDtmf | None:
    digits = fields.matching("value", _DTMF, "digits: 0-9, # and w", required=True)
    return SendDtmf(digits) if digits is not None else None


def _set_cookie(fields: Fields) -> SetCookie | None:
    key, value = fields.text("key", limit=MAX_COOKIE_BYTES, required=True), fields.value("value")
    if not isinstance(value, str) or not is_unicode(value) or len(value) > MAX_COOKIE_BYTES:
        fields.odd("value", f"a text of at most {MAX_COOKIE_BYTES} characters")
        return None
    return SetCookie(key, value) if key is not None else None


# Which is an answer to what


@dataclass(frozen=True, slots=True)
class _KnownAction:
    name: str
    events: frozenset[Event]
    read: _ReadAction


@dataclass(frozen=True, slots=True)
class _KnownInstruction:
    name: str
    events: frozenset[Event]
    read: _ReadInstruction


_ICE: Final = frozenset({Event.ICE})
_ICE_PIE: Final = frozenset({Event.ICE, Event.PIE})
_LIVE: Final = frozenset({Event.ICE, Event.ACE, Event.PIE})
_ACTIONS: Final = {
    one.name.lower(): one
    for one in (
        _KnownAction("hangup", _LIVE | {Event.DICE}, lambda _: Hangup()),
        _KnownAction("continue", _LIVE - _ICE, lambda _: Continue()),
        _KnownAction("connectPstn", _ICE_PIE, _connect_pstn),
        _KnownAction("connectMxp", _ICE, _connect_mxp),
        _KnownAction("connectConf", _LIVE, _connect_conf),
        _KnownAction("connectSip", _ICE_PIE, _connect_sip),
    )
}
_INSTRUCTIONS: Final = {
    one.name.lower(): one
    for one in (
        _KnownInstruction("answer", _ICE, lambda _: AnswerCall()),
        _KnownInstruction("say", _LIVE, _say),
        _KnownInstruction("playFiles", _LIVE, _play_files),
        _KnownInstruction("sendDtmf", _ICE_PIE, _send_dtmf),
        _KnownInstruction("setCookie", _LIVE, _set_cookie),
    )
}
_NOT_HERE_ACTIONS: Final = frozenset({"runmenu", "park", "connectstream", "connectagent"})
_NOT_HERE_INSTRUCTIONS: Final = frozenset({"startrecording", "stoprecording", "reportcallstatus"})


def _allowed(event: Event) -> str:
    return _one_of([one.name for one in _ACTIONS.values() if event in one.events])


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
