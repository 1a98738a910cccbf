"""What a phone says is obeyed by whoever it calls: users, other phones, the exchange's own, rooms."""

from typing import Any

import pytest

from sinchphone.gateway.sip import calls as sip
from sinchphone.gateway.sip.calls import SipTarget
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_address, parse_uri

NOWHERE = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 41234 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"


@pytest.mark.parametrize("dialled", ["bob", "kitchen", "echo", "conf-standup"])
async def test_an_offer_that_names_no_address_is_refused_and_rings_nobody(sip_exchange: Any, dialled: str) -> None:
    exchange = await sip_exchange("desk", "kitchen")
    await exchange.terminal("bob")
    kitchen = await exchange.phone("kitchen")
    phone = await exchange.lines.sip_phone()
    call = phone.agent.invite(
        SipTarget(parse_uri(f"sip:{dialled}@{exchange.at}")),
        caller=parse_address("sip:desk@127.0.0.1"),
        offer=NOWHERE,
        credentials=Credentials("desk", "desk"),
    )
    told = [event async for event in call.events()]
    assert isinstance(told[-1], sip.Refused)
    assert told[-1].status == 488
    assert kitchen.incoming.empty()
    assert not any(isinstance(event, sip.SipRinging) for event in told)


async def press(call: Any, digits: str, *, signaling_first: bool) -> None:
    """As a phone does that tells each key twice."""
    for digit in digits:
        if signaling_first:
            await call.sip.send_digit(digit)
        await call.port.dtmf(digit)
        if not signaling_first:
            await call.sip.send_digit(digit)


@pytest.mark.parametrize("signaling_first", [True, False])
async def test_keys_that_a_phone_tells_of_twice_reach_another_phone_once(sip_exchange: Any, signaling_first: bool) -> None:
    exchange = await sip_exchange("desk", "kitchen")
    kitchen = await exchange.phone("kitchen")
    call = await exchange.dial("desk", "kitchen")
    incoming = await kitchen.next_call()
    await kitchen.answer(incoming)
    await call.until(sip.SipAnswered)
    await press(call, "1224", signaling_first=signaling_first)
    await incoming.heard("1224")
    await call.sip.send_digit("9")
    await incoming.heard("12249")
    await press(incoming, "773", signaling_first=signaling_first)
    await incoming.sip.send_digit("9")
    await call.heard("7739")
