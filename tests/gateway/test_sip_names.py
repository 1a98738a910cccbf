"""Who calls over SIP and whom they ask for, as the gateway takes it."""

from typing import Any

import pytest

from sinchphone.gateway.call_facts import CallerName, Dialled
from sinchphone.gateway.legs.caller_names import CallerNames, dialled_in
from sinchphone.gateway.legs.sip import SipIncomingLeg, transport_of
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.gateway.sip.calls import SipCall, SipCallFacts
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.signaling.dialect import Domain


def call(sender: str, target: str = "sip:bob@us", **more: Any) -> SipCall:
    facts = SipCallFacts(call_id="1", outbound=False, remote=parse_address(sender), target=parse_uri(target), headers={}, **more)
    return SipCall(facts, lambda order: None)


def caller_of(call: SipCall, our_host: str = "us", *, users: tuple[str, ...] = ("bob", "123"), trunk: str = "carrier") -> CallerName:
    names = CallerNames(TrunkOptions(host=trunk), lambda host, port: host == "us" and port in (None, 5060), lambda name: name in users)
    return names.of(call, our_host)


def test_a_phone_cannot_pose_as_another_by_its_from() -> None:
    found = caller_of(call("<sip:alice@elsewhere>", user="desk"), "us")
    assert found == CallerName(Domain.SIP, "desk@us", None)


def test_a_phone_shows_no_number_but_its_own() -> None:
    assert caller_of(call("<sip:+12025550100@us>", user="desk"), "us").caller_id is None
    assert caller_of(call("<sip:+12025550100@us>", user="+12025550100"), "us").caller_id == "+12025550100"


@pytest.mark.parametrize(
    ("sender", "identity", "number"),
    [
        ('"A" <sip:+46701234567@carrier>', "+46701234567", "+46701234567"),
        ("<sip:0701234567@carrier>", "0701234567", None),
        ("<sip:anonymous@anonymous.invalid>", "private", None),
    ],
)
def test_a_call_of_the_trunk_comes_from_a_number(sender: str, identity: str, number: str | None) -> None:
    found = caller_of(call(sender, trunk="trunk"), "us")
    assert (found.domain, found.identity, found.caller_id) == (Domain.PSTN, identity, number)


def test_a_call_of_a_proxy_comes_from_the_address_that_it_says() -> None:
    found = caller_of(call("<sip:carol@pbx.example:5070>", trunk="peer", source=Hop("udp", "192.0.2.7", 5070)))
    assert (found.domain, found.identity) == (Domain.SIP, "carol@pbx.example:5070")


@pytest.mark.parametrize(
    ("sender", "identity"),
    [
        ("<sip:bob@carrier>", "bob@carrier"),
        ("<sip:bob@us>", "bob@carrier"),
        ("<sip:bob@us:5060>", "bob@carrier"),
        ("bob <sip:bob@[::1]>", "bob@carrier"),
        ("<tel:bob>", "bob@carrier"),
        ("<sip:Bob@carrier>", "Bob@carrier"),
        ("<sip:carol@carrier>", "carol@carrier"),
        ("<sip:123@carrier>", "123@carrier"),  # there is a user of that name
    ],
)
def test_attack_a_trunks_caller_is_not_taken_for_a_user(sender: str, identity: str) -> None:
    found = caller_of(call(sender, trunk="trunk"))
    assert found == CallerName(Domain.SIP, identity, None, "")


def test_attack_a_trunk_on_this_machine_is_told_from_its_phones() -> None:
    found = caller_of(call("<sip:bob@us>", trunk="trunk"), trunk="us")
    assert found == CallerName(Domain.SIP, "bob@us:5060", None, "")


@pytest.mark.parametrize("sender", ["<sip:bob@us>", "<sip:bob@us:5060>", "<sips:bob@us>", '"bob" <sip:bob@us;transport=tcp>'])
@pytest.mark.parametrize("trunk", ["peer", None])
def test_attack_a_proxys_caller_is_not_taken_for_a_user(sender: str, trunk: str | None) -> None:
    found = caller_of(call(sender, trunk=trunk, source=Hop("udp", "192.0.2.7", 5070)))
    assert found == CallerName(Domain.SIP, "bob@192.0.2.7:5070", None, "")


@pytest.mark.parametrize(
    ("more", "shown"), [({"trunk": "trunk"}, ""), ({"trunk": "peer"}, ""), ({"user": "desk"}, ""), ({"user": "bob"}, "bob")]
)
def test_attack_nobodys_display_name_is_that_of_another_user(more: dict[str, str], shown: str) -> None:
    assert caller_of(call('"bob" <sip:+46701234567@carrier>', **more)).display_name == shown
    assert caller_of(call('"Ann" <sip:+46701234567@carrier>', **more)).display_name == "Ann"


@pytest.mark.parametrize("name", [" bob ", "Bob", "BOB", "bob\u200b", "\u202abob\u202c", "bob\xa0", "\uff42\uff4f\uff42"])
def test_attack_what_reads_as_another_users_name_is_not_shown_either(name: str) -> None:
    assert caller_of(call(f'"{name}" <sip:+46701234567@carrier>', trunk="trunk")).display_name == ""
    assert caller_of(call(f'"{name}" <sip:desk@us>', user="desk")).display_name == ""
    assert caller_of(call(f'"{name}" <sip:bob@us>', user="bob")).display_name == name
    assert caller_of(call(f'"{name} Ann" <sip:+46701234567@carrier>', trunk="trunk")).display_name == f"{name} Ann"


async def test_two_callers_with_the_same_call_id_are_two_calls() -> None:
    legs = [SipIncomingLeg(each, caller_of(each, "us"), dialled_in(each.target)) for each in (call("<sip:a@b>"), call("<sip:c@d>"))]
    assert len({leg.id for leg in legs} | {"1"}) == 3


@pytest.mark.parametrize(
    ("target", "dialled"),
    [
        ("sip:bob@us:5062;transport=tcp", Dialled(Domain.SIP, "bob@us:5062")),
        ("tel:+46-70-123", Dialled(Domain.SIP, "+4670123")),
        ("sip:us", Dialled(Domain.SIP, "@us")),
    ],
)
def test_what_is_dialled_is_user_and_host(target: str, dialled: Dialled) -> None:
    assert dialled_in(parse_uri(target)) == dialled


@pytest.mark.parametrize(
    ("target", "dialled"),
    [
        ("sip:+46701234567;rn=+46700000000;npdi@us", "+46701234567@us"),
        ("sip:+46701234567;npdi;rn=+46700000000@us:5070;user=phone", "+46701234567@us:5070"),
        ("sip:+46-70-123;ext=22@us", "+46-70-123@us"),
        ("sip:0701234567;phone-context=+46@us", "+460701234567@us"),
        ("sip:7042;phone-context=+46101@us", "+461017042@us"),
        ("sip:7042;phone-context=pbx.example@us", "7042@us"),
        ("tel:+46701234567;ext=22", "+46701234567"),
        ("tel:+46701234567;rn=+46700000000;npdi", "+46701234567"),
        ("tel:7042;phone-context=+46101", "+461017042"),
        ("tel:7042;phone-context=pbx.example", "7042"),
        ("sip:*21;isub=7@us", "*21@us"),
        ("sip:bob;day=tuesday@us", "bob;day=tuesday@us"),
        ("sip:conf-standup;x@us", "conf-standup;x@us"),
    ],
)
def test_parameters_of_a_number_are_none_of_its_digits(target: str, dialled: str) -> None:
    assert dialled_in(parse_uri(target)) == Dialled(Domain.SIP, dialled)


@pytest.mark.parametrize(
    ("sender", "identity", "number"),
    [
        ("<sip:+46701234567;rn=+46700000000;npdi@carrier>", "+46701234567", "+46701234567"),
        ("<sip:0701234567;npdi@carrier>", "0701234567", None),
        ("<tel:+46701234567;ext=22>", "+46701234567", "+46701234567"),
        ("<tel:1234;phone-context=+46701>", "+467011234", "+467011234"),
        ("<sip:1234;phone-context=+46701@carrier;user=phone>", "+467011234", "+467011234"),
    ],
)
def test_parameters_of_a_callers_number_are_none_of_its_digits(sender: str, identity: str, number: str | None) -> None:
    found = caller_of(call(sender, trunk="trunk"))
    assert (found.identity, found.caller_id) == (identity, number)


@pytest.mark.parametrize(
    ("line", "transport"),
    [
        ("m=audio 4000 RTP/AVP 0", MediaTransport.RTP),
        ("m=audio 4000 RTP/SAVP 0", MediaTransport.SRTP),
        ("m=audio 0 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 0", MediaTransport.RTP),
        ("m=video 4000 RTP/SAVP 0", MediaTransport.RTP),
    ],
)
def test_the_first_section_of_sound_says_how_it_is_carried(line: str, transport: MediaTransport) -> None:
    assert transport_of(f"v=0\r\n{line}\r\na=x\r\n") is transport


def test_without_an_offer_plain_rtp_is_offered() -> None:
    assert transport_of(None) is MediaTransport.RTP
