import dataclasses
import io
import json
import typing
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sinchphone.audio.quality_warning import QualityWarning
from sinchphone.cli.addressing.destination import Kind
from sinchphone.cli.control.schema import schema_text
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events import peer as p
from sinchphone.cli.terminal.output.events import video as v
from sinchphone.cli.terminal.output.events.client import (
    ClientFailedTold,
    ClientReady,
    ClientReconnecting,
    ClientSleeping,
    GroupCallAdded,
    GroupCallRemoved,
    GroupJoined,
    PushDroppedTold,
    PushReceivedTold,
)
from sinchphone.cli.terminal.output.events.control import ControlClosed, ControlDone, ControlFailed
from sinchphone.cli.terminal.output.events.exchange import (
    ExchangeBackground,
    ExchangeMoved,
    ExchangeStatus,
    ExchangeStopped,
    RecordingListed,
    SimulatedCallTold,
    SimulatedState,
    TextListed,
    UserListed,
    VerificationTold,
)
from sinchphone.cli.terminal.output.events.trace import TraceCallListed, TraceEventTold
from sinchphone.cli.terminal.output.listings import (
    CameraFound,
    CheckResult,
    ContactListed,
    DeviceFound,
    DeviceLevel,
    DevicesTested,
    DoctorChecked,
    ExchangeStarted,
    HistoryDeleted,
    HistoryEntry,
    PastKind,
)
from sinchphone.cli.terminal.output.rendering import RENDERERS
from sinchphone.cli.terminal.output.report import Report
from sinchphone.cli.terminal.output.results import MessageState, MessageTransport
from sinchphone.engine.calls.call_events import CallEvent
from sinchphone.engine.events.events import ClientEvent
from sinchphone.media.port import PortStats
from sinchphone.options import Place
from sinchphone.protocol.call.states import Cause, EndedBy
from sinchphone.protocol.verification import VerificationMethod, VerificationStatus
from sinchphone.signaling.dialect import Domain

SCHEMA = json.loads(schema_text())
VALIDATOR = Draft202012Validator(SCHEMA)
ENDED = e.CallEnded(
    call_id="1",
    peer="bob",
    outbound=True,
    cause="hung_up",  # type: ignore[arg-type]
    ended_by=EndedBy.US,
    answered=True,
    setup_ms=300,
    establishing_ms=300,
    duration_ms=5200,
    code=None,
    reason="you hung up",
    hint=None,
)
EVENTS: list[e.Event] = [
    ClientReady(user_id="ada", instance_id="i", environment=Place.LOCAL, hosted_here=True),
    ClientReady(user_id="ada", instance_id=None, environment=Place.CLOUD, hosted_here=None),
    ClientReconnecting(reason="the network"),
    ClientFailedTold(message="bad token", hint=None),
    ClientSleeping(),
    GroupJoined(group="standup", user_id="ada"),
    GroupCallAdded(call_id="1", group="standup", peer="bob", outbound=True),
    GroupCallRemoved(call_id="1", group="standup", peer="bob"),
    PushReceivedTold(call_id="1", peer="bob", display_name="Bob \x1b[31m", woke=True),
    PushReceivedTold(call_id="1", peer="bob", display_name=None, woke=False),
    PushDroppedTold(reason="a push came too late"),
    e.CallOutgoing(call_id="1", peer="bob", domain="mxp", user_id="ada", environment=Place.LOCAL, hosted_here=False),  # type: ignore[arg-type]
    e.CallIncoming(call_id="1", peer="bob", domain="pstn", headers={"x-topic": "tea"}),  # type: ignore[arg-type]
    e.CallProgressing(call_id="1"),
    e.CallRinging(call_id="1"),
    e.CallAnswered(call_id="1", after_ms=400),
    e.CallEstablished(call_id="1", setup_ms=500, establishing_ms=500, codec="opus", pair="host"),
    e.CallEstablished(call_id="1", setup_ms=None, establishing_ms=None, codec=None, pair=None),
    e.CallMuted(call_id="1", muted=True),
    v.VideoPaused(call_id="1", paused=True),
    v.VideoCamera(call_id="1", camera="cam", running=False),
    v.VideoSeen(call_id="1", pictures=3, recognised=2),
    e.CallHeld(call_id="1", peer="bob", by=e.HeldBy.US, agreed=False),
    e.CallHeld(call_id="1", peer="bob", by=e.HeldBy.PEER, agreed=True),
    e.CallResumed(call_id="1", peer="bob", by=e.HeldBy.US, agreed=True),
    e.CallResumed(call_id="1", peer="bob", by=e.HeldBy.PEER, agreed=True),
    p.CallTransferred(call_id="1", peer="carol", domain=Domain.MXP),
    p.ConferenceMembers(call_id="1", members=[p.Member(name="bob", speaks=True, muted=False, on_hold=False, you=False)], count=1),
    e.DigitsSentTold(call_id="1", digits="1w2#"),
    e.DigitReceived(call_id="1", digit="*", duration_ms=120),
    ENDED,
    dataclasses.replace(ENDED, cause="denied", code=486, sip=e.SipFailure(code=486, reason="Busy Here")),  # type: ignore[arg-type]
    dataclasses.replace(ENDED, cause=None, ended_by=None, setup_ms=None, establishing_ms=None, duration_ms=None),
    e.PlayStartedTold(call_id="1", path="a.wav"),
    e.PlayFinishedTold(call_id="1", path="a.wav", last=True),
    e.RecordStartedTold(call_id="1", path="r.wav"),
    e.RecordFinishedTold(call_id="1", path="r.wav", duration_s=1.25),
    e.Stats(
        call_id="1",
        codec="opus",
        packets_sent=1,
        packets_received=2,
        packets_lost=0,
        bytes_sent=3,
        bytes_received=4,
        concealed_ms=0.0,
        jitter_ms=None,
        delay_ms=40.0,
        round_trip_ms=None,
    ),
    e.Stats(
        call_id="1",
        codec="opus",
        packets_sent=1,
        packets_received=2,
        packets_lost=0,
        bytes_sent=3,
        bytes_received=4,
        concealed_ms=0.0,
        jitter_ms=1.0,
        delay_ms=40.0,
        round_trip_ms=2.0,
        sent_kbps=48.0,
        received_kbps=48.0,
        received_loss_percent=0.0,
        sent_loss_percent=0.0,
        concealed_percent=0.0,
        mos=4.4,
        mean_mos=4.3,
        near_dbfs=-20.0,
        far_dbfs=float("-inf"),
    ),
    e.QualityTriggeredTold(call_id="1", name="HighInboundJitter"),
    e.QualityRecoveredTold(call_id="1", name="HighInboundJitter"),
    e.DevicesChangedTold(call_id="1", microphone=None, loudspeaker="Jabra Headset"),
    e.CheckFinished(call_id="1", echo=False, sound=False, packets_received=0, delay_ms=None, level_dbfs=None),
    e.CheckFinished(call_id="1", echo=True, sound=True, packets_received=99, delay_ms=100, level_dbfs=-14.0),
    e.MessageSentTold(message_id="m", recipients=["bob", "+46700000001"], via=MessageTransport.INSTANT, elsewhere=False),
    e.MessageSentTold(message_id="m", recipients=["bob"], via=MessageTransport.INSTANT, elsewhere=True, text="on my way"),
    e.MessageSentTold(message_id="m", recipients=["+46700000001"], via=MessageTransport.SMS, elsewhere=False, text="hi", simulated=True),
    e.MessageDeliveredTold(message_id="m", recipient="bob"),
    e.MessageFailedTold(message_id=None, recipient="bob", reason="no network", hint=None),
    e.MessageReceivedTold(message_id="m", sender="bob", recipients=["ada"], text="tea?", headers={"k": "v"}),
    HistoryEntry(
        kind=PastKind.CALL,
        id="1",
        at="2026-11-21T09:00:00.000Z",
        outbound=True,
        peers=["bob"],
        status="hung_up",
        missed=False,
        duration_ms=5200,
        text=None,
    ),
    HistoryEntry(
        kind=PastKind.MESSAGE,
        id="m",
        at="2026-11-21T09:00:00.000Z",
        outbound=False,
        peers=["bob"],
        status="received",
        missed=False,
        duration_ms=None,
        text="tea?",
    ),
    e.Warned(message="careful", hint=None),
    ExchangeStarted(url="http://127.0.0.1:4600", application_key="key"),
    HistoryDeleted(calls=2, messages=0),
    ContactListed(name="mum", kind=Kind.PHONE, identity="+46701234567", user_id=None),
    DevicesTested(microphone="mic", loudspeaker="card", level_dbfs=-20.0, heard=True),
    DeviceLevel(microphone="mic", level_dbfs=None),
    DoctorChecked(id="clock", result=CheckResult.WARNING, summary="12 s ahead", hint=None),
    CameraFound(index=0, name="cam"),
    DeviceFound(index=0, name="card", host="ALSA", inputs=1, outputs=2, default_input=True, default_output=False),
    ExchangeBackground(pid=4711, log="/state/exchange.log"),
    ExchangeBackground(pid=4711, log=None),
    ExchangeStatus(running=False, url="http://127.0.0.1:4600"),
    ExchangeStatus(
        running=True,
        url="http://127.0.0.1:4600",
        kind="background",
        pid=4711,
        version="1.0",
        running_s=7,
        calls=0,
        callers=1,
        phones=2,
        log=None,
    ),
    e.PipeStartedTold(call_id="1", path="fd:3", direction=e.PipeDirection.OUT, offset_bytes=96_000),
    e.PipeEndedTold(call_id="1", path="fd:3", direction=e.PipeDirection.IN, offset_bytes=0, bytes=9, reason="nobody reads"),
    ControlDone(id=7, command="message", call_id=None, message_id="m"),
    ControlDone(id="seven", command="hangup", call_id="1"),
    ControlFailed(id=None, command=None, call_id=None, reason="not a line of JSON", hint="such as this"),
    ControlClosed(reason="standard input: nobody writes to it any more", lines=3),
    ExchangeStopped(calls=None),
    ExchangeStopped(calls=1),
    ExchangeMoved(users=2, devices=3, message_frames=4, rows=12, known=0),
    TraceCallListed(
        call_id="1", caller="ada", callee="bob", began_at="2026-11-21T09:00:00.000Z", duration_ms=None, ending=None, left_out=3
    ),
    TraceCallListed(call_id="1", caller="ada", callee="bob", began_at="2026-11-21T09:00:00.000Z", duration_ms=9, ending="busy", left_out=0),
    TraceEventTold(
        number=7,
        at="2026-11-21T09:00:00.000Z",
        way="sip",
        call_id="1",
        source="exchange",
        target="sip 192.0.2.1:5060",
        summary="486 Busy Here (INVITE)",
        failed=True,
        body="SIP/2.0 486 Busy Here\r\n\r\n",
    ),
    TraceEventTold(
        number=8,
        at="2026-11-21T09:00:00.000Z",
        way="call",
        call_id=None,
        source="exchange",
        target="exchange",
        summary="over",
        failed=False,
        body=None,
    ),
    RecordingListed(name="20261129141500_key_call.mp3", path="/x/20261129141500_key_call.mp3", bytes=1000, at="2026-11-29T14:15:00.000Z"),
    UserListed(user_id="ada", email="ada@example.org", number=None, account=True, devices=1, listening=0),
    SimulatedCallTold(id="1", state=SimulatedState.ENDED, status=486, reason="Busy here", talked_s=None, digits="", heard_s=0.0),
    SimulatedCallTold(id="1", state=SimulatedState.ENDED, status=None, reason=None, talked_s=2.5, digits="12#", heard_s=1.5),
    VerificationTold(id="1", number="+46700000001", method=VerificationMethod.SMS, status=VerificationStatus.FAIL, reason="Expired"),
    VerificationTold(id="1", number="+46700000001", method=VerificationMethod.CALLOUT, status=VerificationStatus.PENDING, reason=None),
    TextListed(id="1", sender=None, number="+46700000001", text="your code\nis 0042", at="2026-11-21T09:00:00.000Z"),
    e.Result(
        ok=False,
        exit_code=6,
        calls=[dataclasses.replace(ENDED, sip=e.SipFailure(code=486, reason="Busy Here"))],
        recordings=[],
        error=e.Problem(message="busy here (SIP 486)", hint=None),
    ),
    e.Result(ok=True, exit_code=0, calls=[ENDED], recordings=["r.wav"], error=None),
    e.Result(ok=False, exit_code=9, calls=[], recordings=[], error=e.Problem(message="no network", hint=None)),
    e.Result(
        ok=False,
        exit_code=15,
        calls=[],
        recordings=[],
        error=None,
        messages=[
            e.MessageStatus(message_id="m", recipient="bob", via=MessageTransport.INSTANT, status=MessageState.SENT),
            e.MessageStatus(message_id=None, recipient="+46", via=MessageTransport.SMS, status=MessageState.FAILED),
        ],
    ),
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
            optional = type(None) in typing.get_args(hint)
            validator = Draft202012Validator({"$defs": SCHEMA["$defs"], **described[name]})
            assert validator.is_valid(None) is optional, name


def test_the_causes_are_those_of_the_call_machine() -> None:
    assert set(SCHEMA["$defs"]["call.ended"]["properties"]["cause"]["enum"]) == {*(cause.value for cause in Cause), None}


def test_the_counters_are_those_of_the_port() -> None:
    told_otherwise = {"concealed_samples", "absent_samples", "played_samples", "silent_s", "pictures"}
    told_otherwise |= {"line_bytes_sent", "line_bytes_received"}  # as kbit/s
    told_otherwise |= {"recovered_samples", "coded_bytes", "coded_samples"}  # as the score
    counted = {field.name for field in dataclasses.fields(PortStats)} - told_otherwise
    assert counted <= {field.name for field in dataclasses.fields(e.Stats)}


def test_numbers_have_no_gaps_and_the_result_is_the_last_line() -> None:
    lines = lines_of(*EVENTS, e.Warned(message="after the end", hint=None))
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert [line["event"] for line in lines].count("result") == 1
    assert lines[-1]["event"] == "result"


def test_each_line_says_schema_time_and_seconds_since_the_start() -> None:
    [first, second] = lines_of(e.CallRinging(call_id="1"), e.CallRinging(call_id="1"))
    assert first["schema"] == "sinchphone.v1"
    assert first["ts"] == "2026-11-18T11:06:40.500Z"
    assert (first["t"], second["t"]) == (1, 2)


def test_silence_is_null_and_control_characters_are_escaped() -> None:
    stream = io.StringIO()
    Report(stream).tell(
        e.CheckFinished(call_id="\x1b[2J\u202e", echo=False, sound=False, packets_received=1, delay_ms=None, level_dbfs=float("-inf"))
    )
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()
    assert json.loads(stream.getvalue())["level_dbfs"] is None


def test_every_event_has_its_renderer() -> None:
    assert set(RENDERERS) == set(typing.get_args(e.Event))


def test_everything_that_can_be_wrong_with_the_sound_has_words() -> None:
    for name in QualityWarning:
        (line,) = RENDERERS[e.QualityTriggeredTold](e.QualityTriggeredTold(call_id="c1", name=name.value, stream="audio"))
        assert line.text.startswith("sound: ")


def test_what_happens_is_told_by_keyword_alone() -> None:
    kinds = [*typing.get_args(e.Event), *typing.get_args(ClientEvent), *typing.get_args(CallEvent)]
    for kind in kinds:
        assert all(field.kw_only for field in dataclasses.fields(kind)), kind
