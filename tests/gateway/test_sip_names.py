"""Who calls over SIP and whom they ask for, as the gateway takes it."""

from typing import Any

import pytest

from sinchphone.gateway.call_control import caller_of, dialled_in
from sinchphone.gateway.call_facts import CallerName, Dialled
from sinchphone.gateway.legs.sip import SipIncomingLeg, transport_of
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.gateway.sip.calls import SipCall, SipCallFacts
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.signaling.dialect import Domain


def call(sender: str, target: str = "sip:bob@us", **more: Any) -> SipCall:
    facts = SipCallFacts(call_id="1", outbound=False, remote=parse_address(sender), target=parse_uri(target), headers={}, **more)
    return SipCall(facts, lambda order: None)


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
    found = caller_of(call("<sip:carol@pbx.example:5070>", trunk="peer"), "us")
    assert (found.domain, found.identity) == (Domain.SIP, "carol@pbx.example:5070")


async def test_two_callers_with_the_same_call_id_are_two_calls() -> None:
    legs = [SipIncomingLeg(each, caller_of(each, "us"), dialled_in(each)) for each in (call("<sip:a@b>"), call("<sip:c@d>"))]
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
    assert dialled_in(call("<sip:a@b>", target)) == dialled


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
