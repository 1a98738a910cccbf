"""Lines of ``--control``: what is a command, and what is said of what is none."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sinchphone.cli.control import commands as k
from sinchphone.cli.control.commands import ControlRequest, RefusedLine, read_request
from sinchphone.cli.control.schema import schema_text

NAMES = [*k.COMMANDS]
WHOLE = json.loads(schema_text())
SCHEMA = Draft202012Validator({"$ref": "#/$defs/control", "$defs": WHOLE["$defs"]})


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def refusal(raw: bytes) -> RefusedLine:
    with pytest.raises(RefusedLine) as caught:
        read_request(raw)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({"command": "answer"}, k.PickUpCall()),
        ({"command": "decline", "call_id": "c", "busy": True}, k.DeclineCall(call_id="c", busy=True)),
        ({"command": "hangup", "call_id": None}, k.HangUpCall()),
        ({"command": "dtmf", "digits": "1w2#A"}, k.SendDigits(digits="1w2#A")),
        ({"command": "play", "path": "a.wav"}, k.PlayFile(path="a.wav")),
        ({"command": "play", "stop": True}, k.PlayFile(stop=True)),
        ({"command": "say", "text": "hello", "locale": "sv"}, k.SpeakText(text="hello", locale="sv")),
        ({"command": "record", "path": "a.wav", "layout": "far", "force": True}, k.RecordCall(path="a.wav", layout="far", force=True)),
        ({"command": "hold", "music": False}, k.HoldCall(music=False)),
        ({"command": "transfer", "to": "bob"}, k.TransferCall(to="bob")),
        ({"command": "device", "input": "USB"}, k.ChangeDevice(input="USB")),
        ({"command": "mute"}, k.MuteCall(on=True)),
        ({"command": "mute", "on": False}, k.MuteCall(on=False)),
        ({"command": "message", "to": "bob", "text": "hi\nyou"}, k.SendText(to=["bob"], text="hi\nyou")),
        ({"command": "message", "to": ["bob", "+46700000000"], "text": "é"}, k.SendText(to=["bob", "+46700000000"], text="é")),
        ({"command": "quit"}, k.QuitPhone()),
    ],
)
def test_a_command_is_read_and_the_schema_says_the_same(fields: dict[str, Any], command: k.Command) -> None:
    for request_id in (None, 7, "seven"):
        assert read_request(line(**fields, id=request_id)) == ControlRequest(request_id, command)
        SCHEMA.validate({**fields, "id": request_id})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"command": "dtmf"}, 'needs "digits"'),
        ({"command": "play", "path": ""}, "form"),
        ({"command": "play", "path": "a\x00b"}, "form"),
        ({"command": "record", "path": "a.wav", "layout": "both"}, "one of stereo"),
        ({"command": "say"}, 'needs "text"'),
        ({"command": "dtmf", "digits": "12x"}, "form"),
        ({"command": "dtmf", "digits": 12}, "must be a text"),
        ({"command": "mute", "on": "yes"}, "true or false"),
        ({"command": "mute", "on": 1}, "true or false"),
        ({"command": "hangup", "call": "c"}, 'takes no "call"'),
        ({"command": "hangup", "call_id": 3}, "must be a text"),
        ({"command": "quit", "call_id": "c"}, 'takes no "call_id"'),
        ({"command": "message", "to": [], "text": "x"}, "1 to 100"),
        ({"command": "message", "to": ["bob\x00"], "text": "x"}, "form"),
        ({"command": "message", "to": ["bob"], "text": ""}, "form"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_by_the_schema(fields: dict[str, Any], words: str) -> None:
    refused = refusal(line(**fields, id="mine"))
    assert words in refused.reason
    assert (refused.request_id, refused.command) == ("mine", fields["command"])
    assert not SCHEMA.is_valid(fields)


def test_half_a_character_is_no_text() -> None:
    assert "surrogate" in refusal(b'{"command": "message", "to": "bob", "text": "\\ud800"}').reason


@pytest.mark.parametrize(
    "raw",
    [
        b"hangup",
        b"\xff\xfe",
        b"{",
        b'{"command": NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 10_000,
        b"[]",
        b"null",
        b'"hangup"',
        b'{"id": true, "command": "hangup"}',
        b'{"id": 9007199254740993, "command": "hangup"}',
        b'{"id": [1], "command": "hangup"}',
        line(id="x" * 200, command="hangup"),
        b"{}",
        b'{"command": 1}',
    ],
)
def test_garbage_is_refused_as_no_command(raw: bytes) -> None:
    assert refusal(raw).command is None


def test_an_unknown_command_is_told_with_the_nearest_one_and_nothing_that_moves_a_cursor() -> None:
    near = refusal(line(command="hang_up", id=1))
    assert "hang_up" in near.reason
    assert near.hint == "did you mean hangup?"
    assert near.request_id == 1
    hostile = refusal(line(command="\x1b[2J" + "x" * 500))
    assert hostile.reason.isprintable()
    assert len(hostile.reason) < 80


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_refused(raw: bytes) -> None:
    with contextlib.suppress(RefusedLine):
        read_request(raw)


@given(
    st.dictionaries(
        st.sampled_from(["command", "id", "call_id", "digits", "on", "to", "text", "busy", "x"]),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.lists(st.text(max_size=3)), st.sampled_from([*k.COMMANDS])
        ),
    )
)
def test_what_is_read_is_what_the_schema_allows(fields: dict[str, Any]) -> None:
    try:
        read_request(json.dumps(fields).encode())
    except RefusedLine:
        return
    assert SCHEMA.is_valid(fields)
