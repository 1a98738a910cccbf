import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.exchange.destinations.dialplan import NOBODYS_NUMBER, Plan, Verdict
from sinchphone.gateway.call_facts import CallerName, Dialled, Failure, Source
from sinchphone.gateway.options import GatewayOptions, SipSettings, TrunkOptions
from sinchphone.gateway.routing.routing import (
    Dialling,
    Refuse,
    Route,
    Routes,
    Terms,
    ToAttendant,
    ToNumber,
    ToRoom,
    ToSip,
    ToUser,
    identity_of,
    incoming_event,
    raises_ace,
)
from sinchphone.gateway.routing.rules import Rule
from sinchphone.gateway.trunk.trunk import Trunk
from sinchphone.protocol.callbacks import svaml
from sinchphone.protocol.callbacks.events import CallDomain, Identity, IdentityType, Reason
from sinchphone.signaling.dialect import Domain

ADA, BOB, DID = "+46700000001", "+46700000002", "+46101234567"


def dialling(
    identity: str, source: Source = Source.PHONE, domain: Domain = Domain.SIP, caller_id: str | None = None, **more: object
) -> Dialling:
    caller = CallerName(Domain.MXP if source is Source.USER else Domain.SIP, "ada", caller_id)
    return Dialling(source=source, caller=caller, dialled=Dialled(domain, identity), **more)  # type: ignore[arg-type]


def routes(*rules: Rule, trunk: bool = False, **options: object) -> Routes:
    lines = TrunkOptions(host="carrier.example", allow=("+46",), numbers={DID: "room:standup"}, **options)  # type: ignore[arg-type]
    settings = SipSettings(realm="phones.example", public_address="203.0.113.7")
    given = GatewayOptions(sip=settings, dialplan={rule.pattern: rule.target for rule in rules}, trunk=lines if trunk else None)
    return Routes(given, Trunk(lines) if trunk else None)


def status(route: Route) -> int:
    assert isinstance(route, Refuse), route
    return route.failure.status


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "phones.example", "PHONES.EXAMPLE:5060", "203.0.113.7", "localhost;transport=tcp", "[::1]:5060"]
)
def test_a_phone_calls_a_user_by_name_at_any_name_of_ours(host: str) -> None:
    assert routes().by_plan(dialling(f"bob@{host}")) == ToUser("bob")


def test_a_phone_calls_the_exchanges_own() -> None:
    assert routes().by_plan(dialling("echo@127.0.0.1")) == ToAttendant(Plan())
    assert routes().by_plan(dialling("busy@127.0.0.1")) == ToAttendant(Plan(Verdict.BUSY))
    assert status(routes().by_plan(dialling("unknown@127.0.0.1"))) == 404


@pytest.mark.parametrize("name", ["conf-standup", "conf:standup", "room:standup", "CONF-standup"])
def test_a_phone_enters_a_room_by_its_prefix(name: str) -> None:
    assert routes().by_plan(dialling(f"{name}@127.0.0.1")) == ToRoom("standup")
    assert status(routes().by_plan(dialling("conf-@127.0.0.1"))) == 404


def test_a_phone_calls_a_foreign_address_with_its_private_headers() -> None:
    call = dialling("bob@pbx.example:5070", headers={"X-A": "1", "Other": "2"})
    assert routes().by_plan(call) == ToSip("sip:bob@pbx.example:5070", {"X-A": "1"})


@pytest.mark.parametrize("source", [Source.TRUNK, Source.PEER])
def test_attack_nobody_can_be_called_through_us_by_naming_another_host(source: Source) -> None:
    assert routes(trunk=True).by_plan(dialling("bob@elsewhere.example", source)) == ToUser("bob")


@pytest.mark.parametrize("source", [Source.TRUNK, Source.PEER])
def test_attack_a_call_from_outside_can_not_go_out_over_the_trunk(source: Source) -> None:
    assert status(routes(trunk=True).by_plan(dialling(f"{BOB}@127.0.0.1", source, caller_id=ADA))) == 404


README_PLAN = (
    Rule("9*", "number:+{1}"),
    Rule("reception", "user:ada"),
    Rule("meet-*", "room:{1}"),
    Rule("2??", "sip:reception@pbx.example"),
    Rule("test", "echo"),
)


@pytest.mark.parametrize("source", [Source.TRUNK, Source.PEER])
@pytest.mark.parametrize("dialled", ["946700000002", "9+46700000002", "200"])
def test_attack_a_call_from_outside_can_not_go_out_again_by_a_rule_of_the_dial_plan(source: Source, dialled: str) -> None:
    plan = routes(*README_PLAN, trunk=True, caller_id=ADA)
    assert status(plan.by_plan(dialling(f"{dialled}@127.0.0.1", source, caller_id=ADA))) in (403, 484)
    assert status(plan.by_action(svaml.Continue(), dialling(f"{dialled}@127.0.0.1", source, caller_id=ADA))) in (403, 484)
    assert isinstance(plan.by_plan(dialling(f"{dialled}@127.0.0.1")), ToNumber | ToSip | Refuse)


@pytest.mark.parametrize("source", [Source.TRUNK, Source.PEER])
def test_a_call_from_outside_reaches_users_rooms_and_the_exchanges_own_by_rules(source: Source) -> None:
    plan = routes(*README_PLAN, trunk=True)
    found = [plan.by_plan(dialling(f"{name}@127.0.0.1", source)) for name in ("reception", "meet-tea", "test")]
    assert found == [ToUser("ada"), ToRoom("tea"), ToAttendant(Plan())]


def test_one_of_our_own_numbers_may_be_forwarded_to_a_number() -> None:
    lines = TrunkOptions(host="carrier.example", allow=("+46",), caller_id=ADA, numbers={DID: f"number:{BOB}"})
    plan = Routes(GatewayOptions(trunk=lines), Trunk(lines))
    assert plan.by_plan(dialling(f"{DID}@127.0.0.1", Source.TRUNK)) == ToNumber(BOB, ADA)


@pytest.mark.parametrize(
    "server",
    [
        "carrier.example",
        "CARRIER.example.:5080",
        "192.0.2.7",
        "192.0.2.77;transport=tcp",
        "elsewhere.example;maddr=192.0.2.7",
        "elsewhere.example;maddr=carrier.example",
    ],
)
def test_attack_the_trunks_rules_hold_for_its_numbers_at_its_own_address(server: str) -> None:
    plan = routes(Rule("7*", f"sip:{{1}}@{server}"), trunk=True, caller_id=ADA, addresses=("192.0.2.0/24",))
    assert plan.by_plan(dialling(f"{BOB}@{server}")) == ToNumber(BOB, ADA)
    assert plan.by_plan(dialling(f"7{BOB}@127.0.0.1")) == ToNumber(BOB, ADA)
    assert plan.by_plan(dialling(f"sips:{BOB}@{server}", Source.USER, caller_id=ADA)) == ToNumber(BOB, ADA)
    assert status(plan.by_plan(dialling(f"0046700000002@{server}"))) == 403
    action = svaml.ConnectSip(f"{BOB}@{server}", max_duration_s=9)
    assert plan.by_action(action, dialling("x@y")) == ToNumber(BOB, ADA, Terms(max_duration_s=9))


def test_a_number_goes_to_the_trunk_and_to_a_simulated_subscriber_where_there_is_none() -> None:
    assert routes(trunk=True).by_plan(dialling(f"{BOB}@127.0.0.1", caller_id=ADA)) == ToNumber(BOB, ADA)
    route = routes().by_plan(dialling(f"{BOB}@127.0.0.1"))
    assert isinstance(route, ToAttendant)
    assert (route.number, route.plan.number) == (BOB, BOB)


def test_numbers_that_nobody_has_never_go_to_the_trunk() -> None:
    route = routes(trunk=True).by_plan(dialling("+14155550102@127.0.0.1", caller_id=ADA))
    assert route == ToAttendant(Plan(Verdict.BUSY), "+14155550102")
    assert isinstance(routes(trunk=True).by_plan(dialling("+46000000000", Source.USER, Domain.PSTN, ADA)), ToAttendant)


@pytest.mark.parametrize("with_trunk", [False, True])
def test_a_user_without_a_caller_id_can_not_call_a_number(with_trunk: bool) -> None:
    route = routes(trunk=with_trunk).by_plan(dialling(BOB, Source.USER, Domain.PSTN))
    assert route == Refuse(Failure(403, "a call to a phone number needs a caller id (cli)"), Reason.BLOCKED)


def test_a_phone_shows_the_trunks_number_as_it_has_none_of_its_own() -> None:
    assert routes(trunk=True, caller_id=ADA).by_plan(dialling(f"{BOB}@127.0.0.1")) == ToNumber(BOB, ADA)
    assert status(routes(trunk=True).by_plan(dialling(f"{BOB}@127.0.0.1"))) == 403


@pytest.mark.parametrize("number", ["+123", "+46abc", "+0123456789"])
def test_what_is_no_number_is_refused(number: str) -> None:
    assert status(routes().by_plan(dialling(f"{number}@127.0.0.1"))) == 484


def test_a_call_to_one_of_our_numbers_goes_where_the_trunk_says() -> None:
    assert routes(trunk=True).by_plan(dialling("0046101234567@203.0.113.7", Source.TRUNK)) == ToRoom("standup")
    assert status(routes(trunk=True).by_plan(dialling("0046999@203.0.113.7", Source.TRUNK))) == 404


def test_the_first_rule_that_fits_decides() -> None:
    plan = routes(
        Rule("reception", "user:ada"),
        Rule("9*", "number:+{1}"),
        Rule("8*", "sip:{1}@pbx.example"),
        Rule("7*", "room:{1}"),
        Rule("6*", "refuse:busy"),
        Rule("5*", "echo"),
        Rule("*", "user:everybody-else"),
        trunk=True,
        caller_id=ADA,
    )
    expected: dict[str, Route] = {
        "reception": ToUser("ada"),
        f"9{BOB[1:]}": ToNumber(BOB, ADA),
        "8200": ToSip("sip:200@pbx.example"),
        "7standup": ToRoom("standup"),
        "6": Refuse(Failure(486, "the dial plan refuses it"), Reason.BLOCKED),
        "5": ToAttendant(Plan()),
        "bob": ToUser("everybody-else"),
    }
    assert {dialled: plan.by_plan(dialling(f"{dialled}@127.0.0.1")) for dialled in expected} == expected
    assert status(plan.by_plan(dialling("9@127.0.0.1"))) == 484


def test_users_calls_to_rooms_and_addresses_go_there() -> None:
    assert routes().by_plan(dialling("standup", Source.USER, Domain.CONFERENCE)) == ToRoom("standup")
    assert routes().by_plan(dialling("bob@pbx.example", Source.USER)) == ToSip("sip:bob@pbx.example")
    assert routes().by_plan(dialling("sips:bob@pbx.example", Source.USER)) == ToSip("sips:bob@pbx.example")


def test_rules_are_not_for_calls_between_users() -> None:
    plan = routes(Rule("*", "refuse"))
    assert plan.by_plan(dialling("bob", Source.USER, Domain.MXP)) == ToUser("bob")
    assert plan.by_plan(dialling("conf-bob", Source.USER, Domain.MXP)) == ToUser("conf-bob")
    assert plan.by_plan(dialling("echo", Source.USER, Domain.MXP)) == ToAttendant(Plan())
    assert status(plan.by_plan(dialling("bob@127.0.0.1", Source.PEER))) == 603


def test_a_backend_connects_to_a_number_on_its_terms() -> None:
    call = dialling(BOB, Source.USER, Domain.PSTN, ADA)
    action = svaml.ConnectPstn(None, None, 60, 20, "12", suppress_callbacks=True)
    assert routes(trunk=True).by_action(action, call) == ToNumber(BOB, ADA, Terms(max_duration_s=60, ring_s=20, dtmf="12", callbacks=False))
    assert routes(trunk=True).by_action(svaml.ConnectPstn("+46700000003", "private"), call) == ToNumber("+46700000003", "private")
    route = routes().by_action(svaml.ConnectPstn("+14155550102", max_duration_s=9), dialling("x@y", Source.PEER))
    assert route == ToAttendant(Plan(Verdict.BUSY), "+14155550102", Terms(max_duration_s=9))


def test_a_backend_that_names_no_number_means_the_dialled_one() -> None:
    assert routes(trunk=True).by_action(svaml.ConnectPstn(), dialling(f"{BOB}@127.0.0.1", caller_id=ADA)) == ToNumber(BOB, ADA)
    route = routes().by_action(svaml.ConnectPstn(), dialling("bob@127.0.0.1"))
    assert isinstance(route, Refuse)
    assert (route.failure.status, route.reason) == (484, Reason.INVALID_SVAML_ACTION)


def test_a_backend_connects_to_users_rooms_and_addresses() -> None:
    call = dialling(DID, Source.TRUNK, Domain.PSTN, BOB, headers={"a": "b"})
    assert routes().by_action(svaml.ConnectMxp("ada", {"c": "d"}), call) == ToUser("ada", {"c": "d"})
    assert routes().by_action(svaml.ConnectMxp(), dialling("ada@127.0.0.1", headers={"a": "b"})) == ToUser("ada", {"a": "b"})
    assert routes().by_action(svaml.ConnectMxp("echo"), call) == ToAttendant(Plan())
    assert routes().by_action(svaml.ConnectConf("standup", "ring"), call) == ToRoom("standup", music="ring")
    action = svaml.ConnectSip("sip:ada@pbx.example", "100", "tls", 60, True, {"X-A": "1"})
    expected = ToSip("sip:ada@pbx.example", {"X-A": "1"}, "tls", "100", Terms(max_duration_s=60, callbacks=False))
    assert routes().by_action(action, call) == expected


@pytest.mark.parametrize("address", ["sips:ada@pbx.example", "ada@pbx.example;transport=tcp"])
def test_the_address_decides_how_it_is_reached_where_a_backend_names_no_transport(address: str) -> None:
    route = routes().by_action(svaml.ConnectSip(address), dialling("x@y"))
    assert isinstance(route, ToSip)
    assert route.transport is None


def test_a_backend_can_refuse() -> None:
    assert routes().by_action(svaml.Hangup(), dialling("x@y")) == Refuse(Failure(603, "the backend ended the call"), Reason.MANAGER_HANGUP)


@pytest.mark.parametrize(
    ("route", "raises"),
    [
        (ToUser("ada"), False),
        (ToRoom("standup"), False),
        (ToSip("sip:a@b"), True),
        (ToSip("sip:a@b", terms=Terms(callbacks=False)), False),
        (ToNumber(BOB, ADA), True),
        (ToAttendant(Plan(), BOB), True),
        (ToAttendant(Plan()), False),
        (Refuse(Failure(404, "")), False),
    ],
)
def test_only_numbers_and_addresses_raise_an_answered_call_event(route: Route, raises: bool) -> None:
    assert raises_ace(route) is raises


def test_an_incoming_call_event_names_both_ends() -> None:
    event = incoming_event(dialling(DID, Source.TRUNK, Domain.PSTN, BOB, headers={"X-A": "1"}))
    assert (event.to, event.caller_id, event.headers) == (Identity(IdentityType.DID, DID), BOB, {"X-A": "1"})
    assert (event.domain, event.origin) == (CallDomain.PSTN, CallDomain.PSTN)
    event = incoming_event(dialling("standup", Source.USER, Domain.CONFERENCE))
    assert (event.to, event.caller_id) == (Identity(IdentityType.CONFERENCE, "standup"), "private")
    assert (event.domain, event.origin) == (CallDomain.CONFERENCE, CallDomain.MXP)
    assert incoming_event(dialling("x@y", Source.PHONE)).caller_id == "ada"
    assert incoming_event(dialling("ada@203.0.113.7", Source.PEER)).domain is CallDomain.MXP
    dialled = {
        "0046101234567@h": (IdentityType.DID, DID),
        "ada@h": (IdentityType.USERNAME, "ada"),
        "conf-r@h": (IdentityType.CONFERENCE, "r"),
    }
    for address, (kind, endpoint) in dialled.items():
        assert identity_of(dialling(address, Source.TRUNK)) == Identity(kind, endpoint)
    assert identity_of(dialling(f"{BOB}@127.0.0.1")) == Identity(IdentityType.NUMBER, BOB)
    assert identity_of(dialling("x@y")) == Identity(IdentityType.SIP, "x@y")
    assert identity_of(dialling("bob", Source.USER, Domain.MXP)) == Identity(IdentityType.USERNAME, "bob")
    assert identity_of(dialling(BOB, Source.USER, Domain.PSTN)) == Identity(IdentityType.NUMBER, BOB)


def test_phones_show_a_number_that_nobody_has_where_there_is_no_trunk() -> None:
    assert routes()._caller_id(dialling("x@y")) == NOBODYS_NUMBER


@given(st.text(max_size=300), st.sampled_from(Source), st.sampled_from(Domain), st.booleans())
def test_anything_that_is_dialled_goes_somewhere_or_is_refused(identity: str, source: Source, domain: Domain, trunk: bool) -> None:
    plan = routes(Rule("*-?", "user:{1}"), Rule("1*", "sip:{1}@pbx.example"), trunk=trunk)
    assert isinstance(plan.by_plan(dialling(identity, source, domain)), ToUser | ToSip | ToNumber | ToRoom | ToAttendant | Refuse)
