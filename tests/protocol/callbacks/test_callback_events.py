import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from sinchphone.protocol.auth import verify_request
from sinchphone.protocol.callbacks.events import (
    AmdReason,
    AmdResult,
    AmdStatus,
    CallDomain,
    CallFacts,
    CallingErrorCode,
    CallResult,
    DisconnectedCallEvent,
    Identity,
    IdentityType,
    IncomingCallEvent,
    Notification,
    NotificationType,
    Reason,
    sign_callback,
    write_ace,
    write_dice,
    write_ice,
    write_notify,
    write_timestamp,
)

NOW = 1_411_556_381.9
FACTS = CallFacts(call_id="call-1", application_key="key", user="ada", custom="c")


def test_a_callback_is_signed_as_in_the_platforms_own_example() -> None:
    body = b'{"event":"ace","callid":"822aa4b7-05b4-4d83-87c7-1f835ee0b6f6_257","timestamp":"2014-09-24T10:59:41Z","version":1}'
    headers = sign_callback(
        "669E367E-6BBA-48AB-AF15-266871C28135",
        base64.b64decode("BeIukql3pTKJ8RGL5zo0DA=="),
        "/sinch/callback/ace",
        body,
        "2014-09-24T10:59:41Z",
    )
    assert headers == {
        "Content-Type": "application/json",
        "x-timestamp": "2014-09-24T10:59:41Z",
        "Authorization": "application 669E367E-6BBA-48AB-AF15-266871C28135:Tg6fMyo8mj9pYfWQ9ssbx3Tc1BNC87IEygAfLbJqZb4=",
    }


def test_the_signature_is_that_of_a_request_in_the_platforms_other_example() -> None:
    secret, body = base64.b64decode("JViE5vDor0Sw3WllZka15Q=="), b'{"message":"Hello world"}'
    signature = "qDXMwzfaxCRS849c/2R0hg0nphgdHciTo7OdM6MsdnM="
    assert verify_request("POST", "/v1/sms/+46700000000", body, "application/json", "2014-06-04T13:41:58Z", secret, signature)


def test_an_incoming_call_has_the_platforms_fields() -> None:
    event = IncomingCallEvent(
        to=Identity(IdentityType.DID, "+12017777777"),
        domain=CallDomain.PSTN,
        origin=CallDomain.PSTN,
        caller_id="+12015555555",
        headers={"X-A": "1"},
    )
    assert json.loads(write_ice(FACTS, event, {}, NOW)) == {
        "event": "ice",
        "callid": "call-1",
        "timestamp": "2014-09-24T10:59:41Z",
        "version": 1,
        "custom": "c",
        "applicationKey": "key",
        "user": "ada",
        "userRate": {"currencyId": "USD", "amount": 0},
        "cli": "+12015555555",
        "to": {"type": "did", "endpoint": "+12017777777"},
        "domain": "pstn",
        "originationType": "pstn",
        "duration": 0,
        "rdnis": "",
        "callHeaders": [{"key": "X-A", "value": "1"}],
    }


def test_events_say_where_the_call_is_found() -> None:
    facts = CallFacts(call_id="c", application_key="k", resource_url="http://127.0.0.1:4600/calling/v1/calls/id/c")
    to = Identity(IdentityType.USERNAME, "ada")
    ice = json.loads(write_ice(facts, IncomingCallEvent(to=to, domain=CallDomain.MXP, origin=CallDomain.MXP), {}, NOW))
    ace = json.loads(write_ace(facts, {}, NOW, AmdResult(AmdStatus.MACHINE, AmdReason.BEEP, 1500)))
    assert ice["callResourceUrl"] == ace["callResourceUrl"] == facts.resource_url
    assert ace["amd"] == {"status": "machine", "reason": "beep", "duration": 1500}


def test_a_notification_has_what_belongs_to_its_kind() -> None:
    error = Notification(type=NotificationType.CALLING_ERROR, error=(CallingErrorCode.ILLEGAL_SVAML, "action is absent"))
    body = json.loads(write_notify(FACTS, error, {}, NOW))
    assert (body["event"], body["type"], body["errorCode"], body["errorMsg"], body["user"]) == (
        "notify",
        "callingerror",
        40001,
        "action is absent",
        "ada",
    )
    recording = Notification(type=NotificationType.RECORDING_AVAILABLE, destination="http://127.0.0.1/x.mp3")
    assert json.loads(write_notify(FACTS, recording, {}, NOW))["destination"] == "http://127.0.0.1/x.mp3"


def test_an_answered_call_brings_the_cookies_back() -> None:
    body = json.loads(write_ace(FACTS, {"step": "2"}, NOW))
    assert (body["event"], body["cookies"]) == ("ace", [{"key": "step", "value": "2"}])
    assert "cookies" not in json.loads(write_ace(FACTS, {}, NOW))


def test_a_disconnected_call_says_why_and_how_long() -> None:
    to = Identity(IdentityType.SIP, "bob@pbx.example")
    answered = DisconnectedCallEvent(to=to, caller="ada", reason=Reason.CALLER_HANGUP, result=CallResult.ANSWERED, duration_s=12)
    body = json.loads(write_dice(FACTS, answered, {}, NOW))
    assert (body["reason"], body["result"], body["duration"], body["from"]) == ("CALLERHANGUP", "ANSWERED", 12, "ada")
    assert (body["to"], body["debit"]) == ({"type": "sip", "endpoint": "bob@pbx.example"}, {"currencyId": "USD", "amount": 0})
    busy = DisconnectedCallEvent(to=to, caller="private", reason=Reason.BUSY, result=CallResult.BUSY)
    assert "duration" not in json.loads(write_dice(FACTS, busy, {}, NOW))


def test_a_call_from_a_phone_has_no_user() -> None:
    assert "user" not in json.loads(write_ace(CallFacts(call_id="c", application_key="k"), {}, NOW))


def test_time_stamps_are_whole_seconds_in_utc() -> None:
    assert write_timestamp(NOW) == "2014-09-24T10:59:41Z"


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_texts_of_peers_make_a_body_that_reads_back(text: str, texts: dict[str, str]) -> None:
    event = IncomingCallEvent(
        to=Identity(IdentityType.SIP, text), domain=CallDomain.PSTN, origin=CallDomain.PSTN, caller_id=text, headers=texts
    )
    body = json.loads(write_ice(CallFacts(call_id=text, application_key=text), event, texts, NOW))
    assert (body["callid"], body["to"]["endpoint"]) == (text, text)
    assert {one["key"]: one["value"] for one in body["callHeaders"]} == texts
