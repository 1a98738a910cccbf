"""A trunk that says its sound is encrypted: whoever calls in its name with plain RTP is turned away."""

from types import SimpleNamespace
from typing import Any

from sinchphone.exchange.access.intake import Intake
from sinchphone.gateway.call_control import CallControl
from sinchphone.gateway.call_facts import CallerName, Dialled
from sinchphone.gateway.legs.sip import SipIncomingLeg
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.gateway.sip.calls import SipCall, SipCallFacts
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.signaling.dialect import Domain

PLAIN = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def call(offer: str | None, *, encrypted: bool) -> tuple[SipCall, list[v.Order]]:
    """A call of the trunk, and what is ordered."""
    orders: list[v.Order] = []
    facts = SipCallFacts(
        call_id="1",
        outbound=False,
        remote=parse_address("<sip:+46700000001@carrier.example>"),
        target=parse_uri("sip:+46101234567@us.example"),
        trunk="trunk",
        offer=offer,
        headers={},
        encrypted=encrypted,
    )
    return SipCall(facts, orders.append), orders


async def test_attack_plain_sound_in_the_name_of_a_trunk_that_encrypts_is_refused() -> None:
    nobody: Any = None
    context: Any = SimpleNamespace(trunk=None, lines=None, intake=Intake())
    plain, orders = call(PLAIN, encrypted=True)
    await CallControl(context).take(plain, nobody)
    assert orders == [v.SipRefuse(488, "Encrypted sound only")]


def test_a_trunk_that_encrypts_and_waits_for_our_offer_is_offered_srtp() -> None:
    caller, dialled = CallerName(Domain.PSTN, "+46700000001"), Dialled(Domain.SIP, "+46101234567")
    assert SipIncomingLeg(call(None, encrypted=True)[0], caller, dialled).transport is MediaTransport.SRTP
    assert SipIncomingLeg(call(None, encrypted=False)[0], caller, dialled).transport is MediaTransport.RTP
