import pytest

from sinchphone.errors import ConfigError
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.options import GatewayOptions, TrunkOptions
from sinchphone.gateway.trunk.trunk import Trunk, TrunkCall, TrunkServers
from sinchphone.protocol.sip.uri import parse_uri

ADA, BOB = "+46700000001", "+46700000002"


def trunk(**options: object) -> Trunk:
    return Trunk(TrunkOptions(**{"host": "carrier.example", "allow": ("+",), **options}))  # type: ignore[arg-type]


def placed(answer: TrunkCall | Failure) -> TrunkCall:
    assert isinstance(answer, TrunkCall)
    return answer


def status(answer: TrunkCall | Failure) -> int:
    assert isinstance(answer, Failure)
    return answer.status


def test_a_call_goes_to_the_carrier_with_the_callers_number() -> None:
    call = placed(trunk().place(BOB, ADA))
    assert (call.uri, call.caller_id, call.number) == (f"sip:{BOB}@carrier.example", ADA, BOB)


@pytest.mark.parametrize(
    ("options", "uri"),
    [
        ({"port": 5080}, f"sip:{BOB}@carrier.example:5080"),
        ({"transport": "tcp"}, f"sip:{BOB}@carrier.example;transport=tcp"),
        ({"transport": "tls"}, f"sip:{BOB}@carrier.example;transport=tls"),
        ({"host": "2001:db8::1"}, f"sip:{BOB}@[2001:db8::1]"),
        ({"strip": "+", "prefix": "00"}, "sip:0046700000002@carrier.example"),
        ({"strip": "+46", "prefix": "0"}, "sip:0700000002@carrier.example"),
        ({"strip": "+47", "prefix": "#"}, f"sip:%23{BOB}@carrier.example"),
    ],
)
def test_a_number_is_rewritten_as_the_carrier_wants_it(options: dict[str, object], uri: str) -> None:
    assert placed(trunk(**options).place(BOB, ADA)).uri == uri


@pytest.mark.parametrize(
    ("allow", "deny", "allowed"),
    [
        ((), (), False),
        (("+",), (), True),
        (("+46",), (), True),
        (("+45",), (), False),
        (("+46",), ("+4670",), False),
        (("+", "+46700000002"), ("+4670",), True),
        (("+46",), ("+46",), False),
    ],
)
def test_attack_numbers_outside_the_allowed_prefixes_can_not_be_called(
    allow: tuple[str, ...], deny: tuple[str, ...], allowed: bool
) -> None:
    answer = trunk(allow=allow, deny=deny).place(BOB, ADA)
    assert isinstance(answer, TrunkCall) if allowed else status(answer) == 403


@pytest.mark.parametrize(
    ("options", "caller_id", "shown"),
    [
        ({}, ADA, ADA),
        ({}, None, 403),
        ({}, "", 403),
        ({}, "anna", 403),
        ({}, "+14155550100", 403),
        ({"caller_id": BOB}, "+14155550100", BOB),
        ({}, "private", None),
        ({"caller_id": BOB}, None, BOB),
        ({"caller_id": BOB}, ADA, ADA),
        ({"caller_id": BOB, "caller_ids": ()}, ADA, BOB),
        ({"caller_ids": (ADA,)}, ADA, ADA),
        ({"caller_ids": (ADA,)}, BOB, 403),
        ({"caller_ids": (ADA,), "caller_id": ADA}, BOB, ADA),
    ],
)
def test_the_rules_of_caller_ids_decide_what_is_shown(options: dict[str, object], caller_id: str | None, shown: object) -> None:
    answer = trunk(**options).place(BOB, caller_id)
    assert (answer.caller_id if isinstance(answer, TrunkCall) else answer.status) == shown


@pytest.mark.parametrize("dialled", ["+46101234567", "46101234567", "0046101234567", "+46 10 123 45 67"])
def test_our_numbers_are_known_however_the_carrier_spells_them(dialled: str) -> None:
    assert trunk(numbers={"+46101234567": "user:ada"}).target_of(dialled) == "user:ada"


@pytest.mark.parametrize("dialled", ["", "ada", "+46101234568", "101234567"])
def test_other_numbers_are_not_ours(dialled: str) -> None:
    assert trunk(numbers={"+46101234567": "user:ada"}).target_of(dialled) is None


def test_calls_from_the_trunks_addresses_are_the_trunks() -> None:
    sources = trunk(host="192.0.2.7", addresses=("198.51.100.0/24", "2001:db8::/32"))
    assert all(address in sources for address in ("192.0.2.7", "198.51.100.9", "2001:db8::7", "::ffff:192.0.2.7"))
    assert not any(address in sources for address in ("192.0.2.8", "nonsense", "", None))
    assert "192.0.2.7" not in trunk()
    sources.learnt.add("192.0.2.99")
    assert "192.0.2.99" in sources


def test_a_carrier_that_calls_us_by_our_username_reaches_somebody_too() -> None:
    assert trunk(numbers={"us": "user:ada"}).target_of("us") == "user:ada"


@pytest.mark.parametrize(
    "options",
    [
        {"host": ""},
        {"host": "sip:carrier.example"},
        {"max_calls": 0},
        {"register": True},
        {"caller_id": "0700"},
        {"caller_ids": ("anna",)},
        {"allow": ("46",)},
        {"deny": ("*",)},
        {"prefix": "@evil.example"},
    ],
)
def test_a_trunk_that_can_not_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        GatewayOptions(trunk=trunk(**options).options)


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(TrunkOptions(host="carrier.example", username="us", password="hunter2"))


@pytest.mark.parametrize(
    ("address", "follows"),
    [
        ("sip:0046700000009@carrier.example", True),
        ("sip:0046700000002@192.0.2.7:5070", True),
        ("sip:0046700000009@elsewhere.example", False),
        ("sip:0019005551234@carrier.example", False),
        ("sip:operator@carrier.example", False),
    ],
)
def test_attack_the_trunk_redirects_only_within_itself_and_to_numbers_that_may_be_called(address: str, follows: bool) -> None:
    one = trunk(allow=("+46",), strip="+", prefix="00", addresses=("192.0.2.0/24",))
    assert one.may_redirect(placed(one.place(BOB, ADA)), parse_uri(address)) is follows


@pytest.mark.parametrize(
    ("dialled", "allow", "deny", "allowed"),
    [
        ("+460900123456", ("+46",), ("+46900",), False),
        ("+4600900123456", ("+46",), ("+46900",), False),
        ("+46900123456", ("+46",), ("+460900",), False),
        ("+46701234567", ("+46",), ("+46900",), True),
        ("+46701234567", ("+460701234567",), (), True),
        ("+4402079460018", ("+",), ("+442079460018",), False),
        ("+390900123456", ("+39",), ("+39900",), True),
    ],
)
def test_attack_a_national_prefix_behind_the_country_passes_no_denied_beginning(
    dialled: str, allow: tuple[str, ...], deny: tuple[str, ...], allowed: bool
) -> None:
    assert trunk(allow=allow, deny=deny).allows(dialled) is allowed


def test_a_number_of_ours_is_known_however_the_carrier_spells_it() -> None:
    lines = trunk(numbers={"+46101234567": "user:ada"})
    for spelt in ("+46101234567", "0046101234567", "46101234567", "+460101234567", "+46 10-123 45 67"):
        assert lines.target_of(spelt) == "user:ada"


HERE = ("127.0.0.1", "0.0.0.0", "::1", "::", "192.0.2.77")


def local(host: str, **options: object) -> Trunk:
    """A trunk where this machine has those addresses."""
    return Trunk(TrunkOptions(host=host, allow=("+46",), **options), is_this_machine=lambda one: one in HERE)  # type: ignore[arg-type]


@pytest.mark.parametrize("trunk_host", ["127.0.0.1", "localhost", "192.0.2.77", "::1", "[::1]", "127.1"])
@pytest.mark.parametrize("host", ["0.0.0.0", "0", "127.1", "[::]", "localhost", "localhost.", "2130706433", "0x7f.1", "192.0.2.77"])
def test_attack_a_trunk_on_this_machine_is_called_by_its_rules_whatever_its_host_is_called(trunk_host: str, host: str) -> None:
    one = local(trunk_host)
    one.resolved = frozenset({"127.0.0.1"} if trunk_host == "localhost" else ())
    assert one.is_at(host)


@pytest.mark.parametrize("host", ["192.0.2.7", "192.0.2.7.", "0xc0000207", "[::ffff:192.0.2.7]", "[64:ff9b::c000:207]"])
def test_attack_a_trunk_elsewhere_is_known_by_its_address_in_any_spelling(host: str) -> None:
    assert local("192.0.2.7").is_at(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost", "127.0.0.1", "192.0.2.8", "other.example"])
def test_this_machine_is_not_a_trunk_elsewhere(host: str) -> None:
    assert not local("192.0.2.7").is_at(host)


def test_attack_calls_from_this_machine_are_not_the_trunks_for_running_beside_it() -> None:
    assert "192.0.2.77" not in local("127.0.0.1")


def test_the_addresses_of_a_trunk_are_those_that_lead_to_it() -> None:
    servers = TrunkServers(local("127.0.0.1"))
    assert "0.0.0.0" in servers
    assert "192.0.2.7" not in servers
    assert None not in servers


@pytest.mark.parametrize("dialled", ["+46101;rn=234567", "+46101234567;npdi", "ada46101234567", "46101234567@x", "+46 10-123 45 67 ext. 8"])
def test_no_digits_are_gathered_out_of_what_is_no_number(dialled: str) -> None:
    assert trunk(numbers={"+46101234567": "user:ada"}).target_of(dialled) is None


@pytest.mark.parametrize("tail", [";npdi", ";rn=+46700000000;npdi", ";ext=9"])
def test_attack_parameters_of_a_number_take_a_redirection_past_no_rule(tail: str) -> None:
    one = trunk(allow=("+46",), addresses=("192.0.2.0/24",))
    call = placed(one.place(BOB, ADA))
    assert one.may_redirect(call, parse_uri(f"sip:+46700000009{tail}@carrier.example"))
    assert not one.may_redirect(call, parse_uri(f"sip:+19005551234{tail}@carrier.example"))
