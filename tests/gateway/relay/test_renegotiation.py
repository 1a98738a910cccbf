"""A side offers anew in mid-call, or answers an offer of ours anew: what both sides hear after it, by the sound (RFC 3264 8).

Whatever can't be agreed on changes nothing (RFC 3261 14.2): both sides hear each other as before.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import pytest

from sinchphone.errors import MediaError
from sinchphone.gateway.relay.relay import Side
from tests.gateway.relay.changing_phone import EVENT, ChangingPhone
from tests.gateway.relay.relay_lab import PortPhone, until, until_heard
from tests.gateway.relay.relayed_calls import CALLED_HZ, CALLER_HZ, RTP, SRTP, STEREO_DB, WEBRTC, Call, Lab

ALAW: Final = {8: "PCMA", 101: EVENT}
ULAW: Final = {0: "PCMU", 101: EVENT}
SIDES: Final = pytest.mark.parametrize("side", list(Side))
OTHERS: Final = pytest.mark.parametrize("other", ["phone", "webrtc"])
ENDS: Final = pytest.mark.parametrize(("side", "other"), [(Side.CALLER, "webrtc"), (Side.CALLED, "phone")])

Changed: TypeAlias = Callable[[ChangingPhone], None]


@dataclass
class Talk:
    """A call between the phone that changes and somebody who isn't asked."""

    call: Call
    phone: ChangingPhone
    other: ChangingPhone | PortPhone
    side: Side

    async def goes_both_ways(self) -> None:
        """From now on, both hear each other's tone at its level, and the phone gets nothing that it can't read."""
        self.phone.forget()
        if isinstance(self.other, ChangingPhone):
            self.other.forget()
        for ear, mouth in ((self.phone, self.other), (self.other, self.phone)):
            await until_heard(ear, mouth.hz, within_db=STEREO_DB)
        self.phone.forget()
        await asyncio.sleep(0.1)
        assert not self.phone.unknown

    async def renew(self, offer: str) -> str:
        """The phone offers, and does what the answer says."""
        answer = await self.call.relay.renew(self.side, offer)
        self.phone.point(answer)
        return answer


@pytest.fixture
def kept(lab: Lab) -> Callable[[float], ChangingPhone]:
    def make(hz: float) -> ChangingPhone:
        phone = ChangingPhone(hz)
        lab.stack.push_async_callback(phone.close)
        return phone

    return make


Kept: TypeAlias = Callable[[float], ChangingPhone]


async def talk(lab: Lab, kept: Kept, side: Side, other: str) -> Talk:
    phone = kept(CALLER_HZ)
    far: ChangingPhone | PortPhone = lab.port(WEBRTC, CALLED_HZ) if other == "webrtc" else kept(CALLED_HZ)
    kind = WEBRTC if other == "webrtc" else RTP
    call = await (lab.call(phone, RTP, far, kind) if side is Side.CALLER else lab.call(far, kind, phone, RTP))
    made = Talk(call, phone, far, side)
    await made.goes_both_ways()
    return made


@SIDES
@OTHERS
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda phone: phone.change(formats=ALAW), "another codec"),
        (lambda phone: phone.change(formats={97: "PCMU", 101: EVENT}), "another number for the same codec"),
        (lambda phone: phone.change(formats={98: "PCMA", 99: EVENT}), "another codec under a dynamic number"),
        (lambda phone: phone.change(formats={77: "nothing", 8: "PCMA", 0: "PCMU"}), "an unknown codec first"),
        (lambda phone: phone.change(formats={0: "PCMU", 96: EVENT}), "another number for events"),
        (lambda phone: phone.change(ptime=40), "longer packets"),
        (lambda phone: phone.restart(), "another source"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_both_sides_hear_each_other_after_an_offer_that_changes(
    lab: Lab, kept: Kept, side: Side, other: str, change: Changed, what: str
) -> None:
    made = await talk(lab, kept, side, other)
    change(made.phone)
    await made.renew(str(made.phone.said))
    await made.goes_both_ways()
    made.phone.change(formats=ULAW, ptime=20)
    await made.renew(str(made.phone.said))
    await made.goes_both_ways()


@ENDS
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"], ids=["port", "address"])
async def test_both_sides_hear_each_other_after_a_move(lab: Lab, kept: Kept, side: Side, other: str, host: str) -> None:
    made = await talk(lab, kept, side, other)
    await made.phone.move(host)
    await made.renew(str(made.phone.said))
    await made.goes_both_ways()


@ENDS
@pytest.mark.parametrize(
    "wrong",
    [
        lambda said: said.replace("RTP/AVP 0 101", "RTP/AVP 77 101").replace("rtpmap:0 PCMU", "rtpmap:77 nothing"),
        lambda said: said.replace("RTP/AVP 0 101", "RTP/AVP 77 96").replace("rtpmap:0 PCMU", "rtpmap:77 nothing").replace(":101 ", ":96 "),
        lambda said: said.replace("RTP/AVP 0 101", "RTP/AVP 101"),
        lambda said: said.replace("RTP/AVP", "RTP/SAVP"),
        lambda said: said.replace("c=IN IP4 127.0.0.1\r\n", ""),
        lambda said: said.replace("m=audio", "m=image"),
    ],
    ids=["unknown codec", "unknown codec and other events", "events alone", "encrypted without a key", "no address", "no sound"],
)
async def test_an_offer_that_cannot_be_taken_is_refused_and_the_call_goes_on(
    lab: Lab, kept: Kept, side: Side, other: str, wrong: Callable[[str], str]
) -> None:
    made = await talk(lab, kept, side, other)
    with pytest.raises(MediaError):
        await made.call.relay.renew(side, wrong(str(made.phone.said)))
    await made.goes_both_ways()
    made.phone.change(formats=ALAW)
    await made.renew(str(made.phone.said))
    await made.goes_both_ways()


@ENDS
@pytest.mark.parametrize("formats", [ULAW, {98: "PCMA", 99: EVENT}, {8: "PCMA"}], ids=["same", "other", "fewer"])
async def test_an_answer_to_our_offer_may_change_the_codec(lab: Lab, kept: Kept, side: Side, other: str, formats: dict[int, str]) -> None:
    made = await talk(lab, kept, side, other)
    offer = await made.call.relay.propose(side)
    made.phone.change(formats=formats)
    await made.call.relay.settle(side, await made.phone.answer(offer))
    await made.goes_both_ways()


@ENDS
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"], ids=["port", "address"])
async def test_an_answer_to_our_offer_may_name_another_place(lab: Lab, kept: Kept, side: Side, other: str, host: str) -> None:
    made = await talk(lab, kept, side, other)
    offer = await made.call.relay.propose(side)
    await made.phone.move(host)
    await made.call.relay.settle(side, await made.phone.answer(offer))
    await made.goes_both_ways()


@ENDS
@pytest.mark.parametrize(
    "wrong",
    [
        lambda said: said.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("rtpmap:0 PCMU", "rtpmap:18 G729"),
        lambda said: said.replace("RTP/AVP 0 101", "RTP/AVP 101"),
        lambda said: said.replace("RTP/AVP", "RTP/SAVP"),
        lambda said: said.replace("c=IN IP4 127.0.0.1\r\n", ""),
        lambda said: "v=0\r\n",
    ],
    ids=["not offered", "events alone", "encrypted", "no address", "nothing"],
)
async def test_an_answer_that_does_not_fit_our_offer_changes_nothing(
    lab: Lab, kept: Kept, side: Side, other: str, wrong: Callable[[str], str]
) -> None:
    made = await talk(lab, kept, side, other)
    await made.call.relay.propose(side)
    with pytest.raises(MediaError):
        await made.call.relay.settle(side, wrong(str(made.phone.said)))
    await made.call.relay.withdraw()
    await made.goes_both_ways()
    offer = await made.call.relay.propose(side)
    await made.call.relay.settle(side, await made.phone.answer(offer))
    await made.goes_both_ways()


@ENDS
@pytest.mark.parametrize(
    "held",
    [{"direction": "inactive"}, {"direction": "sendonly"}, {"host": "0.0.0.0"}],
    ids=["inactive", "sendonly", "address of zero"],
)
async def test_both_sides_hear_each_other_after_a_hold(lab: Lab, kept: Kept, side: Side, other: str, held: dict[str, str]) -> None:
    made = await talk(lab, kept, side, other)
    for again in ({}, {"formats": ALAW}):
        await made.renew(made.phone.change(**held))
        assert not made.call.relay.hears(side)
        await asyncio.sleep(0.2)
        await made.renew(made.phone.change(direction="sendrecv", host="127.0.0.1", **again))
        assert made.call.relay.hears(side)
        await made.goes_both_ways()


@SIDES
async def test_digits_go_under_the_number_that_was_agreed_last(lab: Lab, kept: Kept, side: Side) -> None:
    made = await talk(lab, kept, side, "phone")
    assert isinstance(made.other, ChangingPhone)
    for number in (96, 101, 97):
        await made.renew(made.phone.change(formats={0: "PCMU", number: EVENT}))
        made.phone.digits.clear()
        made.other.digits.clear()
        made.phone.press(7)
        made.other.press(3)
        await until(lambda: made.phone.digits == [3] and made.other.digits == [7], "digits both ways")
        await made.goes_both_ways()


@SIDES
async def test_new_keys_are_taken(lab: Lab, side: Side) -> None:
    """As a phone does that offers anew (RFC 4568 7.1.4), at another port or at the same one."""
    first, other = lab.port(SRTP, CALLER_HZ), lab.port(WEBRTC, CALLED_HZ)
    call = await (lab.call(first, SRTP, other, WEBRTC) if side is Side.CALLER else lab.call(other, WEBRTC, first, SRTP))
    await until_heard(first, CALLED_HZ, within_db=STEREO_DB)
    second = lab.port(SRTP, 700.0)
    await second.accept(await call.relay.renew(side, await second.offer()))
    await first.close()
    await until_heard(second, CALLED_HZ, within_db=STEREO_DB)
    await until_heard(other, 700.0, within_db=STEREO_DB)
