"""Reads SVAML with every field checked: an answer that can be carried out, or all that is wrong with it (Sinch Voice callbacks, v1).

::

    body of the answer -> parse_svaml(body, event) -> Svaml(action, instructions)
                                                   -> SvamlError with every complaint, field by field
"""

import json
from collections.abc import Callable
from typing import Final, TypeAlias

from sinchphone.protocol.callbacks.svaml import (
    MAX_COOKIE_BYTES,
    Action,
    AnswerCall,
    Continue,
    Event,
    Hangup,
    Instruction,
    SetCookie,
    StopRecording,
    Svaml,
    SvamlError,
    cookie_bytes,
)
from sinchphone.protocol.callbacks.svaml_actions import (
    read_connect_conf,
    read_connect_mxp,
    read_connect_pstn,
    read_connect_sip,
    read_connect_stream,
    read_park,
)
from sinchphone.protocol.callbacks.svaml_fields import Complaint, Fields, Notes, describe
from sinchphone.protocol.callbacks.svaml_instructions import (
    read_play_files,
    read_report_call_status,
    read_say,
    read_send_dtmf,
    read_set_cookie,
)
from sinchphone.protocol.callbacks.svaml_menus import read_run_menu
from sinchphone.protocol.callbacks.svaml_recording import read_start_recording
from sinchphone.quick_dataclass import quick_dataclass

MAX_INSTRUCTIONS: Final = 32  # this exchange's own limit: the platform states none


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
        inner.odd("name", _allowed(event), _why_not(inner, known is not None, event))
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


def _why_not(fields: Fields, known: bool, event: Event) -> str:
    value = fields.value("name")
    if str(value).lower() == "connectagent":
        return f"{describe(value)}, which is not on this exchange"
    return f"{describe(value)}, which is not an answer to {event.shown()}" if known else describe(value)


def _read_instructions(fields: Fields, event: Event) -> tuple[Instruction, ...]:
    read = [_read_instruction(one, event) for one in fields.objects("instructions", MAX_INSTRUCTIONS)]
    found = tuple(instruction for instruction in read if instruction is not None)
    cookies = {one.key: one.value for one in found if isinstance(one, SetCookie)}
    size = cookie_bytes(cookies)
    if size > MAX_COOKIE_BYTES:
        fields.odd("instructions", f"at most {MAX_COOKIE_BYTES} bytes of cookies, keys and values", f"cookies of {size} bytes")
    return found


def _read_instruction(fields: Fields, event: Event) -> Instruction | None:
    expected = _one_of([one.name for one in _INSTRUCTIONS.values() if event in one.events])
    name = _name_of(fields, expected) if fields.readable else None
    if name is None:
        return None
    known = _INSTRUCTIONS.get(name)
    if known is None or event not in known.events:
        fields.odd("name", expected, _why_not(fields, known is not None, event))
        return None
    instruction = known.read(fields)
    fields.finish()
    return instruction


# Which is an answer to what

_ReadAction: TypeAlias = Callable[[Fields], Action | None]
_ReadInstruction: TypeAlias = Callable[[Fields], Instruction | None]


@quick_dataclass(frozen=True, slots=True)
class _KnownAction:
    name: str
    events: frozenset[Event]
    read: _ReadAction


@quick_dataclass(frozen=True, slots=True)
class _KnownInstruction:
    name: str
    events: frozenset[Event]
    read: _ReadInstruction


_ICE: Final = frozenset({Event.ICE, Event.UPDATE})
_ICE_PIE: Final = _ICE | {Event.PIE}
_LIVE: Final = _ICE_PIE | {Event.ACE}
_ACTIONS: Final = {
    one.name.lower(): one
    for one in (
        _KnownAction("hangup", _LIVE | {Event.DICE}, lambda _: Hangup()),
        _KnownAction("continue", _LIVE - {Event.ICE}, lambda _: Continue()),
        _KnownAction("connectPstn", _ICE_PIE, read_connect_pstn),
        _KnownAction("connectMxp", _ICE, read_connect_mxp),
        _KnownAction("connectConf", _LIVE, read_connect_conf),
        _KnownAction("connectSip", _ICE_PIE, read_connect_sip),
        _KnownAction("connectStream", _ICE, read_connect_stream),
        _KnownAction("runMenu", _LIVE, read_run_menu),
        _KnownAction("park", _ICE, read_park),
    )
}
_INSTRUCTIONS: Final = {
    one.name.lower(): one
    for one in (
        _KnownInstruction("answer", _ICE, lambda _: AnswerCall()),
        _KnownInstruction("say", _LIVE, read_say),
        _KnownInstruction("playFiles", _LIVE, read_play_files),
        _KnownInstruction("sendDtmf", _ICE_PIE, read_send_dtmf),
        _KnownInstruction("setCookie", _LIVE, read_set_cookie),
        _KnownInstruction("startRecording", _LIVE, read_start_recording),
        _KnownInstruction("stopRecording", _LIVE, lambda _: StopRecording()),
        _KnownInstruction("reportCallStatus", frozenset({Event.DICE}), read_report_call_status),
    )
}


def _allowed(event: Event) -> str:
    return _one_of([one.name for one in _ACTIONS.values() if event in one.events])


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
