"""The table of operations, the headers and the bodies, read and written by both sides."""

import contextlib
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.signaling.dialect import (
    CallReport,
    CallRequest,
    Domain,
    Instance,
    OfferedIceServer,
    Placement,
    Profile,
    PubSubConfig,
    RemoteInstance,
)
from sinchphone.signaling.ocra import calls as wire_calls
from sinchphone.signaling.ocra import registration as wire_registration
from sinchphone.signaling.ocra.calls import PushRequest
from sinchphone.signaling.ocra.names import (
    OPERATIONS,
    BearerToken,
    InstanceSignature,
    OcraOperation,
    read_authorization,
    write_authorization,
)
from sinchphone.signaling.ocra.registration import InstanceConfiguration, InstanceRequest
from sinchphone.signaling.rest import refusals
from sinchphone.signaling.rest.software import Software
from sinchphone.signaling.wire import Auth, ErrorCode, read_time, write_time

SOFTWARE = Software("1.0", "js", "Linux", "model", "name")
INSTANCE = Instance("i-1", b"secret", "alice", "d-1", 1_800_000_000.25)
CONFIGURATION = InstanceConfiguration(
    PubSubConfig("127.0.0.1:4600", False, "sub-b", "sub-s", "pub-s"),
    Profile("b-1", "s-1", b"k" * 16),
    ("stun:stun.example:3478",),
    True,
    3600.0,
    86_400.0 * 30,
)
CALL = CallRequest("01J9ZK3M6Q4B8V7N2T5X0YHDRA", Domain.PSTN, "+46700000001", Description("offer", "v=0\r\n"), "+4670", {"x-order": "42 ä"})


def test_every_operation_has_an_endpoint_and_no_two_share_one() -> None:
    assert set(OPERATIONS) == set(OcraOperation)
    assert len({(endpoint.verb, endpoint.template) for endpoint in OPERATIONS.values()}) == len(OcraOperation)


def test_the_known_path_of_the_push_profile() -> None:
    path = OPERATIONS[OcraOperation.SET_PUSH_PROFILE].path(user="alice", instance="i-1")
    assert path == "/ocra/v1/users/alice/instances/i-1/pushProfile"


def test_the_route_pattern_matches_exactly_the_paths() -> None:
    for endpoint in OPERATIONS.values():
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", endpoint.route)
        match = re.fullmatch(pattern, endpoint.path(user="a/b?c#d é=", instance="i%2F:1"))
        assert match is not None
        assert match.groupdict() in ({}, {"user": quote("a/b?c#d é=", safe=""), "instance": "i%252F%3A1"})


@pytest.mark.parametrize("user", ["", ".", ".."])
def test_attack_a_user_id_cannot_climb_the_path(user: str) -> None:
    with pytest.raises(LocalProtocolError):
        OPERATIONS[OcraOperation.PLACE_CALL].path(user=user, instance="i-1")


def test_a_user_id_cannot_bring_in_another_placeholder() -> None:
    path = OPERATIONS[OcraOperation.PLACE_CALL].path(user="{instance}", instance="i-1")
    assert path == "/ocra/v1/users/%7Binstance%7D/instances/i-1/calls"


def test_only_creating_and_prolonging_take_the_token() -> None:
    by_token = {operation for operation, endpoint in OPERATIONS.items() if endpoint.auth is Auth.TOKEN}
    assert by_token == {OcraOperation.CREATE_INSTANCE, OcraOperation.PROLONG_INSTANCE}


@pytest.mark.parametrize("credentials", [BearerToken("a.b.c"), InstanceSignature("i:1", "ab+/=")])
def test_an_authorization_is_read_as_it_was_written(credentials: Any) -> None:
    assert read_authorization(write_authorization(credentials)) == credentials


@pytest.mark.parametrize(
    ("value", "credentials"),
    [
        ("bearer a.b.c", BearerToken("a.b.c")),
        ("INSTANCE i-1:xyz=", InstanceSignature("i-1", "xyz=")),
        ("  instance   i-1:xyz=  ", InstanceSignature("i-1", "xyz=")),
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Instance i-1", None),
        ("Instance :sig", None),
        ("Instance i-1:", None),
        ("Basic YTpi", None),
        ("Bearer " + "x" * 10_000, None),
    ],
)
def test_an_authorization_is_read_liberally_but_not_guessed(value: Any, credentials: Any) -> None:
    assert read_authorization(value) == credentials


def test_a_time_is_written_in_utc_with_milliseconds() -> None:
    assert write_time(1_402_062_118.0) == "2014-06-06T13:41:58.000Z"
    assert write_time(1_402_062_118.9996) == "2014-06-06T13:41:59.000Z"


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_is_read_as_it_was_written(milliseconds: Any) -> None:
    assert read_time(write_time(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=0.0006)


def test_times_with_other_zones_and_without_one_are_read() -> None:
    assert read_time("2014-06-06T15:41:58+02:00") == read_time("2014-06-06T13:41:58Z") == read_time("2014-06-06T13:41:58")


@pytest.mark.parametrize("text", ["", "yesterday", "2014-13-01T00:00:00Z", "1402062118", "2014-06-06T13:41:58Z" + " " * 100])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_time(text)


def test_creating_an_instance_reads_as_written() -> None:
    request = InstanceRequest("alice", "d-1", ("p2p", "ocra.1"), SOFTWARE, 1_800_000_000.0)
    assert wire_registration.read_instance_request(wire_registration.write_instance_request(request)) == request
    body = wire_registration.write_created(INSTANCE, CONFIGURATION, ("p2p",), SOFTWARE)
    assert wire_registration.read_created(body, user_id="alice", device_id="d-1") == (INSTANCE, CONFIGURATION)


def test_an_instance_that_never_expires_reads_as_written() -> None:
    instance = Instance("i-1", b"secret", "alice", "d-1", None)
    body = wire_registration.write_created(instance, CONFIGURATION, (), SOFTWARE)
    assert "expireAt" not in json.loads(body)["instance"]
    assert wire_registration.read_created(body, user_id="alice", device_id="d-1")[0] == instance


@pytest.mark.parametrize("origin", ["ps.example", "127.0.0.1:4600", "[::1]:4600", "[::1]"])
@pytest.mark.parametrize("secure", [True, False])
def test_a_configuration_reads_as_written(origin: Any, secure: Any) -> None:
    configuration = InstanceConfiguration(PubSubConfig(origin, secure, "b", "s", "p"), Profile("b-1", "s-1", b"k" * 32))
    assert wire_registration.read_configuration(wire_registration.write_configuration(configuration)) == configuration


def test_the_cloud_configuration_of_the_documentation_is_read() -> None:
    body = {
        "configRefreshIntervalMs": 86_400_000,
        "pushProfileCacheValidityPeriodMs": 3_600_000,
        "updateInstanceTtlWindowDays": 180,
        "rtcProfile": {"broadcastChannel": "b", "signalChannel": "s", "key": "q83vEjRWeJCrze8SNFZ4kA==", "new": 1},
        "rtcConfig": {
            "mxpPubSubConfig": {
                "hostname": "ps.example",
                "broadcastSubscribeKey": "sub-b",
                "signalSubscribeKey": "sub-s",
                "signalPublishKey": "pub-s",
            },
            "legacyStunUrls": ["stun:stun.example:3478"],
        },
        "pushConfig": {"w3cApplicationServerKey": "BNc"},
    }
    configuration = wire_registration.read_configuration(json.dumps(body).encode())
    assert configuration.pubsub == PubSubConfig("ps.example", True, "sub-b", "sub-s", "pub-s")
    assert configuration.prolong_window_s == 180 * 86_400
    assert not configuration.relay_only


def altered(path: Any, value: Any) -> Any:
    body = json.loads(wire_registration.write_configuration(CONFIGURATION))
    place = body
    for name in path.split(".")[:-1]:
        place = place[name]
    if value is None:
        del place[path.split(".")[-1]]
    else:
        place[path.split(".")[-1]] = value
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("rtcProfile.key", None, "rtcProfile.key should be base64, but is absent"),
        ("rtcProfile.key", "c2hvcnQ=", "rtcProfile.key should be a key of 16 or 32 bytes, but has 5"),
        ("rtcProfile", [], "rtcProfile should be an object, but is a list"),
        ("rtcProfile.signalChannel", "a,b", "rtcProfile.signalChannel should be a channel name"),
        ("rtcProfile.signalChannel", "a b", "rtcProfile.signalChannel should be a channel name"),
        ("rtcConfig.mxpPubSubConfig.hostname", "evil/path", "rtcConfig.mxpPubSubConfig.hostname should be a host name"),
        ("rtcConfig.mxpPubSubConfig.hostname", "user@evil", "rtcConfig.mxpPubSubConfig.hostname should be a host name"),
        ("rtcConfig.mxpPubSubConfig.port", 0, "rtcConfig.mxpPubSubConfig.port should be a number from 1 to 65535"),
        ("rtcConfig.mxpPubSubConfig.ssl", "no", "rtcConfig.mxpPubSubConfig.ssl should be true or false"),
        ("configRefreshIntervalMs", "often", "configRefreshIntervalMs should be a number"),
    ],
)
def test_a_configuration_that_does_not_fit_names_the_first_member_that_differs(path: Any, value: Any, complaint: Any) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire_registration.read_configuration(altered(path, value))
    assert complaint in str(caught.value)


def test_a_complaint_never_repeats_the_value() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire_registration.read_configuration(altered("rtcProfile.key", "my secret"))
    assert "secret" not in str(caught.value)


def test_a_platform_that_wants_to_be_asked_without_end_is_asked_every_half_minute() -> None:
    configuration = wire_registration.read_configuration(altered("configRefreshIntervalMs", 0))
    assert configuration.config_refresh_s == 30


@pytest.mark.parametrize("expire_at", [None, 1_800_000_000.5])
def test_prolonging_reads_as_written(expire_at: Any) -> None:
    assert wire_registration.read_prolong_request(wire_registration.write_prolong_request(expire_at)) == expire_at
    assert wire_registration.read_prolonged(wire_registration.write_prolonged("i-1", expire_at)) == expire_at


def test_an_update_reads_as_written() -> None:
    assert wire_registration.read_update_request(wire_registration.write_update_request(("p2p",), SOFTWARE)) == (("p2p",), SOFTWARE)


def test_an_error_reads_as_written() -> None:
    body = refusals.write_error(ErrorCode.NOT_FOUND, "nobody of that name", "ref-1")
    assert refusals.read_error(body) == refusals.Refusal(40400, "nobody of that name", "ref-1")


@given(st.binary(max_size=200))
def test_whatever_comes_as_an_error_is_read(body: Any) -> None:
    assert len(refusals.read_error(body).message) <= 500


def test_a_call_reads_as_written() -> None:
    assert wire_calls.read_call_request(wire_calls.write_call_request(CALL)) == CALL
    placement = Placement("c-1", b"k" * 32, "s-9", (RemoteInstance("i-2", ("push", "p2p")), RemoteInstance("i-3")))
    assert wire_calls.read_placement(wire_calls.write_placement(placement, 1.5, {"a": "b"})) == placement


@pytest.mark.parametrize(("domain", "kind"), [("mxp", "userId"), ("pstn", "phonenumber"), ("sip", "sip"), ("conference", "conference")])
def test_each_domain_has_its_type_of_destination(domain: Any, kind: Any) -> None:
    request = CallRequest("c-1", Domain(domain), "somebody", CALL.offer)
    members = json.loads(wire_calls.write_call_request(request))
    assert members["destination"] == {"domain": domain, "type": kind, "identity": "somebody"}
    assert "cli" not in members
    assert "publicCallHeaders" not in members


def altered_call(**members: Any) -> Any:
    return json.dumps({**json.loads(wire_calls.write_call_request(CALL)), **members}).encode()


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"callId": "a b"}, "callId should be an identifier"),
        ({"callId": "x" * 200}, "callId should be an identifier"),
        ({"destination": {"domain": "fax", "identity": "x"}}, "destination.domain should be mxp or pstn or sip or conference"),
        ({"destination": {"domain": "mxp"}}, "destination.identity should be a text, but is absent"),
        ({"sdp": {"type": "answer", "sdp": "v=0"}}, "sdp should be an offer"),
        ({"sdp": {"type": "offer", "sdp": "x"}}, "sdp should be a session description"),
        ({"sdp": {"type": "offer", "sdp": "v=0" + "x" * 70_000}}, "sdp.sdp should be a text of 1 to"),
        ({"publicCallHeaders": {"a": "x" * 1024}}, "publicCallHeaders should be at most 1024 bytes"),
        ({"publicCallHeaders": {"a": 1}}, "publicCallHeaders should be an object of at most"),
        ({"cli": "\ud800"}, "cli should be a text of 1 to 64 characters"),
    ],
)
def test_a_call_request_that_does_not_fit_names_the_member(members: Any, complaint: Any) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wire_calls.read_call_request(altered_call(**members))
    assert complaint in str(caught.value)


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=5), inner))
)
def test_any_json_is_a_call_request_or_a_protocol_error(value: Any) -> None:
    for body in (json.dumps(value).encode(), altered_call(destination=value), altered_call(sdp=value), altered_call(callId=value)):
        with contextlib.suppress(RemoteProtocolError):
            assert wire_calls.read_call_request(body).offer == CALL.offer


@given(st.binary(max_size=300))
def test_any_bytes_are_a_configuration_or_a_protocol_error(body: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        wire_registration.read_configuration(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b"9" * 6_000])
def test_attack_json_that_is_too_deep_or_too_long_is_a_protocol_error(body: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        wire_registration.read_configuration(body)


def test_ice_servers_read_as_written() -> None:
    servers = (OfferedIceServer(("stun:a",)), OfferedIceServer(("turn:b", "turns:b"), "u", "p", 1_800_000_000.0))
    assert wire_calls.read_ice_servers(wire_calls.write_ice_servers(servers)) == servers


def test_a_password_is_not_in_what_is_logged() -> None:
    assert "hush" not in repr(OfferedIceServer(("turn:b",), "u", "hush"))


def test_a_push_reads_as_written() -> None:
    request = PushRequest("c-1", "bob", ("i-2", "i-3"), wire_calls.write_push_payload("c-1", "alice", 1.9), "Alice ä")
    assert wire_calls.read_push(wire_calls.write_push(request)) == request
    assert json.loads(request.sinch) == {"version": 4, "type": 1, "session_id": "c-1", "timestamp": 1, "user_id": "alice", "domain": "mxp"}


@pytest.mark.parametrize("receivers", [[], [{"userId": "a", "instanceId": "1"}, {"userId": "b", "instanceId": "2"}]])
def test_a_push_goes_to_one_user(receivers: Any) -> None:
    body = json.dumps({"collapseId": "c-1", "to": receivers}).encode()
    with pytest.raises(RemoteProtocolError, match="to should be a list of instances of one user"):
        wire_calls.read_push(body)


def test_a_call_report_says_who_called_whom_and_how_long_it_took() -> None:
    report = CallReport("c-1", False, "+4670", Domain.PSTN, "hung_up", 100.0, 101.0, None, None, 110.5, "oh")
    members = json.loads(wire_calls.write_call_report(report, INSTANCE, SOFTWARE, "r-1"))
    assert members["from"] == {"domain": "pstn", "identity": "+4670"}
    assert members["to"] == {"domain": "mxp", "identity": "alice", "type": "userId"}
    assert members["direction"] == "inbound"
    assert (members["duration"], members["setupDuration"]) == (10.5, 1.0)
    assert "ringingDuration" not in members
    assert members["error"] == {"message": "oh"}
