import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.cli.addressing.destination import Destination, Kind, read_destination, sip_address
from sinchphone.errors import DestinationError
from sinchphone.protocol.phone_numbers import read_number


@pytest.mark.parametrize(
    ("text", "kind", "identity"),
    [
        ("sip:bob@example.org", Kind.SIP, "bob@example.org"),
        ("sips:bob@example.org;transport=tls", Kind.SIP, "sips:bob@example.org;transport=tls"),
        ("SIP:+46700000000@example.org:5080", Kind.SIP, "+46700000000@example.org:5080"),
        ("bob%20smith@[2001:db8::1]:5061", Kind.SIP, "bob%20smith@[2001:db8::1]:5061"),
        ("1000@10.0.0.5", Kind.SIP, "1000@10.0.0.5"),
        ("*98@pbx", Kind.SIP, "*98@pbx"),
        ("bob@example.org", Kind.SIP, "bob@example.org"),
        ("conf:tea-room", Kind.CONFERENCE, "tea-room"),
        ("+46 70-123.45 (67)", Kind.PHONE, "+46701234567"),
        ("tel:+1-415-555-0123;ext=7", Kind.PHONE, "+14155550123"),
        ("\u202a+44 (0)20 7946 0018\u202c", Kind.PHONE, "+442079460018"),
        ("tel:%2B46701234567", Kind.PHONE, "+46701234567"),
        ("bob", Kind.USER, "bob"),
        ("Bob_2=x-y", Kind.USER, "Bob_2=x-y"),
        ("hangup-after:3s", Kind.USER, "hangup-after:3s"),
        ("answer-after:2s", Kind.USER, "answer-after:2s"),
        ("  echo ", Kind.USER, "echo"),
    ],
)
def test_the_kind_is_read_off_the_text(text: str, kind: Kind, identity: str) -> None:
    assert read_destination(text) == Destination(kind, identity)


@pytest.mark.parametrize("text", ["123", "4155550123", "415-555-0123", "(0)70 123"])
def test_digits_only_names_both_readings(text: str) -> None:
    with pytest.raises(DestinationError) as refused:
        read_destination(text)
    assert "+" in refused.value.hint
    assert f"call-user {text}" in refused.value.hint


@pytest.mark.parametrize("text", ["+46000000000", "+14155550123", "+12025550123"])
def test_test_numbers_are_possible_though_not_valid(text: str) -> None:
    assert read_number(text) == text


@pytest.mark.parametrize("text", ["112", "911", "999", "tel:911"])
def test_emergency_numbers_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(DestinationError, match="can't reach emergency services"):
        read_destination(text)
    with pytest.raises(DestinationError, match="can't reach emergency services"):
        read_number(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("+12345", "short number"),
        ("+1234567890123456", "more than 15"),
        ("+99912345678", "no known country"),
        ("+1415555012", "too few or too many"),
        ("+46 abc", "not a phone number"),
        ("+", "not a phone number"),
    ],
)
def test_a_number_that_cannot_exist_is_refused_with_what_to_do(text: str, reason: str) -> None:
    with pytest.raises(DestinationError, match=reason) as refused:
        read_destination(text)
    assert refused.value.hint


def test_a_number_without_country_is_refused_by_call_phone() -> None:
    with pytest.raises(DestinationError, match="no country"):
        read_number("0701234567")


@pytest.mark.parametrize("text", ["", "bob smith", "bob/../x", "böb", "x" * 256, "a\x1b[31m", "conf:", "conf:" + "r" * 65, "conf:a b"])
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(DestinationError):
        read_destination(text)


@pytest.mark.parametrize(
    "text",
    [
        "sip:", "sip:bob", "@example.org", "bob@", "bob@exa mple.org", "bob@example.org:0", "bob@example.org:70000", "bob@example.org:x",
        "bob@-example.org", "bob@example..org", "bob@example.org;lr", "bob@example.org?subject=x", "bob:secret@example.org",
        "sip:bob:secret@example.org", "http:bob@example.org", "tel:+46700000000@example.org", "http://bob@example.org", "bob@[::1",
        "böb@example.org", "bob@example.org\r\nX-Evil: 1", "<bob@example.org>", "b@" + "x" * 260, "a@b@c", "bob%2@example.org",
    ],
)  # fmt: skip
def test_what_is_no_sip_address_is_refused(text: str) -> None:
    with pytest.raises(DestinationError):
        sip_address(text)
    if "@" in text:
        with pytest.raises(DestinationError):
            read_destination(text)


@given(st.text(max_size=300))
def test_any_text_is_a_destination_or_a_destination_error(text: str) -> None:
    with contextlib.suppress(DestinationError):
        read_destination(text)


@pytest.mark.parametrize(
    ("text", "proposed"),
    [
        ("14155550100", "+14155550100"),
        ("1-415-555-0100", "+14155550100"),
        ("46701234567", "+46701234567"),
        ("0046 70 123 45 67", "+46701234567"),
        ("011 44 20 7946 0018", "+442079460018"),
        ("00393331234567", "+393331234567"),
    ],
)
def test_the_hint_proposes_the_number_whose_country_stands_in_front_without_its_plus(text: str, proposed: str) -> None:
    for read in (read_destination, read_number):
        with pytest.raises(DestinationError) as refused:
            read(text)
        assert proposed in refused.value.hint


@pytest.mark.parametrize("text", ["4155550100", "0701234567", "070-123 45 67", "020 7946 0018", "1234567"])
def test_the_hint_makes_up_no_country_for_a_number_without_one(text: str) -> None:
    for read in (read_destination, read_number):
        with pytest.raises(DestinationError) as refused:
            read(text)
        assert "COUNTRY" not in refused.value.hint
        assert re.sub(r"\D", "", text).lstrip("0") not in re.sub(r"call-user .*|\s", "", refused.value.hint)
