import dataclasses
import io
import json
import types
import typing
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sinchphone.cli.terminal import events as e
from sinchphone.cli.terminal.report import Report, schema_text
from sinchphone.media.port import PortStats
from sinchphone.protocol.call_vocabulary import Cause

SCHEMA = json.loads(schema_text())
VALIDATOR = Draft202012Validator(SCHEMA)
ENDED = e.CallEnded("1", "bob", True, "hung_up", "us", True, 300, 5200, None, "you hung up", None)
EVENTS: list[e.Event] = [
    e.ClientReady("ada", "i", "local", True),
    e.ClientReady("ada", None, "cloud", None),
    e.ClientReconnecting("the network"),
    e.ClientFailed("bad token", None),
    e.CallOutgoing("1", "bob", "mxp", "ada", "local", False),
    e.CallIncoming("1", "bob", "pstn", {"x-topic": "tea"}),
    e.CallProgressing("1"),
    e.CallRinging("1"),
    e.CallAnswered("1", 400),
    e.CallEstablished("1", 500, "opus", "host"),
    e.CallEstablished("1", None, None, None),
    e.CallMuted("1", True),
    e.DigitsSent("1", "1w2#"),
    e.DigitReceived("1", "*", 120),
    ENDED,
    dataclasses.replace(ENDED, cause="denied", code=486, sip=e.SipFailure(486, "Busy Here")),
    dataclasses.replace(ENDED, cause=None, ended_by=None, setup_ms=None, duration_ms=None),
    e.PlayStarted("1", "a.wav"),
    e.PlayFinished("1", "a.wav", True),
    e.RecordStarted("1", "r.wav"),
    e.RecordFinished("1", "r.wav", 1.25),
    e.Stats("1", "opus", 1, 2, 0, 3, 4, 0.0, None, 40.0, None),
    e.Stats("1", "opus", 1, 2, 0, 3, 4, 0.0, 1.0, 40.0, 2.0, 48.0, 48.0, 0.0, 0.0, 0.0, 4.4, 4.3, -20.0, float("-inf")),
    e.QualityTriggered("1", "HighInboundJitter"),
    e.QualityRecovered("1", "HighInboundJitter"),
    e.DevicesChanged("1", None, "Jabra Headset"),
    e.CheckFinished("1", False, False, 0, None, None),
    e.CheckFinished("1", True, True, 99, 100, -14.0),
    e.MessageSent("m", ["bob", "+46700000001"], "instant", False),
    e.MessageDelivered("m", "bob"),
    e.MessageFailed(None, "bob", "no network", None),
    e.MessageReceived("m", "bob", ["ada"], "tea?", {"k": "v"}),
    e.HistoryEntry("call", "1", "2026-11-21T09:00:00.000Z", True, ["bob"], "hung_up", False, 5200, None),
    e.HistoryEntry("message", "m", "2026-11-21T09:00:00.000Z", False, ["bob"], "received", False, None, "tea?"),
    e.Warned("careful", None),
    e.ExchangeStarted("http://127.0.0.1:4600", "key"),
    e.DeviceFound(0, "card", "ALSA", 1, 2, True, False),
    e.Result(False, 6, [dataclasses.replace(ENDED, sip=e.SipFailure(486, "Busy Here"))], [], e.Problem("busy here (SIP 486)", None)),
    e.Result(True, 0, [ENDED], ["r.wav"], None),
    e.Result(False, 9, [], [], e.Problem("no network", None)),
    e.Result(False, 15, [], [], None, [e.MessageStatus("m", "bob", "instant", "sent"), e.MessageStatus(None, "+46", "sms", "failed")]),
]


def lines_of(*events: e.Event) -> list[dict[str, Any]]:
    stream = io.StringIO()
    report = Report(stream, now=lambda: 1_795_000_000.5, clock=iter(range(1000)).__next__)
    for event in events:
        report.tell(event)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.NAME)
def test_every_event_fits_the_schema(event: e.Event) -> None:
    [line] = lines_of(event)
    VALIDATOR.validate(line)


def test_every_kind_of_event_is_tried_here_and_described_there() -> None:
    kinds = typing.get_args(e.Event)
    assert {type(event) for event in EVENTS} == set(kinds)
    assert {reference["$ref"] for reference in SCHEMA["oneOf"]} == {f"#/$defs/{kind.NAME}" for kind in kinds}


@pytest.mark.parametrize("kind", typing.get_args(e.Event), ids=lambda kind: kind.NAME)
def test_the_schema_asks_for_exactly_the_fields_that_there_are(kind: type[Any]) -> None:
    described = SCHEMA["$defs"][kind.NAME]
    fields = {field.name for field in dataclasses.fields(kind)}
    head = {"schema", "seq", "ts", "t", "event"}
    assert set(described["required"]) == set(described["properties"]) == fields | head
    assert described["additionalProperties"] is False


@pytest.mark.parametrize("kind", typing.get_args(e.Event), ids=lambda kind: kind.NAME)
def test_what_may_be_unknown_may_be_null(kind: type[Any]) -> None:
    described = SCHEMA["$defs"][kind.NAME]["properties"]
    for name, hint in typing.get_type_hints(kind).items():
        if name != "NAME":
            optional = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
            validator = Draft202012Validator({"$defs": SCHEMA["$defs"], **described[name]})
            assert validator.is_valid(None) is optional, name


def test_the_causes_are_those_of_the_call_machine() -> None:
    assert set(SCHEMA["$defs"]["call.ended"]["properties"]["cause"]["enum"]) == {*(cause.value for cause in Cause), None}


def test_the_counters_are_those_of_the_port() -> None:
    counted = {field.name for field in dataclasses.fields(PortStats)} - {"concealed_samples", "played_samples"}
    assert counted <= {field.name for field in dataclasses.fields(e.Stats)}


def test_numbers_have_no_gaps_and_the_result_is_the_last_line() -> None:
    lines = lines_of(*EVENTS, e.Warned("after the end", None))
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert [line["event"] for line in lines].count("result") == 1
    assert lines[-1]["event"] == "result"


def test_each_line_says_schema_time_and_seconds_since_the_start() -> None:
    [first, second] = lines_of(e.CallRinging("1"), e.CallRinging("1"))
    assert first["schema"] == "sinchphone.v1"
    assert first["ts"] == "2026-11-18T11:06:40.500Z"
    assert (first["t"], second["t"]) == (1, 2)


def test_silence_is_null_and_control_characters_are_escaped() -> None:
    stream = io.StringIO()
    Report(stream).tell(e.CheckFinished("\x1b[2J\u202e", False, False, 1, None, float("-inf")))
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()
    assert json.loads(stream.getvalue())["level_dbfs"] is None
