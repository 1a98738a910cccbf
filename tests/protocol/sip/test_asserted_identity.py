"""Who calls by the word of a trusted network (RFC 3325), and what the caller's privacy keeps back (RFC 3323)."""

import pytest

from sinchphone.protocol.sip.headers.asserted_identity import ANONYMOUS, caller_by_network
from sinchphone.protocol.sip.message import Request
from sinchphone.protocol.sip.uri import parse_uri

FROM = ("From", '"Ann" <sip:ann@carrier.example>;tag=1')
NUMBER = ("P-Asserted-Identity", "<sip:+46701234567@carrier.example;user=phone>")


def caller(*headers: tuple[str, str]) -> tuple[str, str]:
    found = caller_by_network(Request(headers, b"", "INVITE", parse_uri("sip:us")))
    return found.name, str(found.uri)


def test_without_an_assertion_it_is_the_from() -> None:
    assert caller(FROM) == ("Ann", "sip:ann@carrier.example")


@pytest.mark.parametrize(
    "asserted",
    [
        ["<tel:+46701234567>"],
        ["<sip:ann@carrier.example>, <tel:+46701234567>"],
        ["<tel:+46701234567>", "<sip:ann@carrier.example>"],
        ["tel:+46701234567;npdi"],
        ["<mailto:ann@carrier.example>, <tel:+46701234567>"],
    ],
)
def test_of_two_assertions_the_number_counts(asserted: list[str]) -> None:
    headers = [("P-Asserted-Identity", one) for one in asserted]
    found = caller_by_network(Request((FROM, *headers), b"", "INVITE", parse_uri("sip:us")))
    assert (found.uri.number, found.name) == ("+46701234567", "Ann")


def test_the_network_may_know_a_name_of_its_own() -> None:
    assert caller(FROM, ("P-Asserted-Identity", '"Ann Smith" <sip:ann.smith@carrier.example>')) == (
        "Ann Smith",
        "sip:ann.smith@carrier.example",
    )


def test_who_is_anonymous_to_others_and_asserted_to_us_is_known_by_number_only() -> None:
    anonymous = ("From", '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1')
    assert caller(anonymous, NUMBER) == ("", "sip:+46701234567@carrier.example;user=phone")
    assert caller(anonymous, NUMBER, ("Privacy", "none"))[1] == "sip:+46701234567@carrier.example;user=phone"


@pytest.mark.parametrize("privacy", ["id", "ID", "user;id", "header; id ;critical", "user"])
def test_privacy_keeps_back_the_assertion_and_the_from(privacy: str) -> None:
    assert caller(FROM, NUMBER, ("Privacy", privacy)) == (ANONYMOUS.name, str(ANONYMOUS.uri))
    assert caller(FROM, ("Privacy", privacy)) == (ANONYMOUS.name, str(ANONYMOUS.uri))


@pytest.mark.parametrize("asserted", ["", "nonsense", "<>", "<mailto:ann@carrier.example>", "*"])
def test_an_assertion_that_cannot_be_read_is_none(asserted: str) -> None:
    assert caller(FROM, ("P-Asserted-Identity", asserted)) == ("Ann", "sip:ann@carrier.example")
