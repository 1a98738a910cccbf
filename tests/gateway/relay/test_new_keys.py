"""A phone over SRTP in mid-call: new keys at the same port, and payload numbers unlike the other side's, by the sound."""

from typing import Final

import pytest

from sinchphone.gateway.relay.relay import Side
from tests.gateway.relay.changing_phone import EVENT, ChangingPhone
from tests.gateway.relay.relay_lab import PortPhone, until, until_heard
from tests.gateway.relay.relayed_calls import CALLED_HZ, CALLER_HZ, RTP, SRTP, STEREO_DB, THIRD_HZ, WEBRTC, Call, Lab
from tests.gateway.relay.secure_phone import SecurePhone, new_key

SIDES: Final = pytest.mark.parametrize("side", list(Side))
OTHERS: Final = pytest.mark.parametrize("other", ["plain", "encrypted", "webrtc"])

LOCAL: Final = pytest.mark.parametrize("relays", ["local"], indirect=True)  # rtpengine 10.5 takes the numbers of an answer for the offer's


class Talk:
    """A call of a phone over SRTP with somebody who isn't asked."""

    def __init__(self, lab: Lab, side: Side, other: str) -> None:
        self.lab, self.side = lab, side
        self.phone = SecurePhone(CALLER_HZ)
        self.kind = {"plain": RTP, "encrypted": SRTP, "webrtc": WEBRTC}[other]
        self.other: ChangingPhone | PortPhone
        if other == "webrtc":
            self.other = lab.port(WEBRTC, CALLED_HZ)
        else:
            self.other = ChangingPhone(CALLED_HZ) if other == "plain" else SecurePhone(CALLED_HZ)
            lab.stack.push_async_callback(self.other.close)
        lab.stack.push_async_callback(self.phone.close)
        self.call: Call

    async def begin(self) -> None:
        """The call, heard both ways."""
        phone, other = self.phone, self.other
        if self.side is Side.CALLER:
            self.call = await self.lab.call(phone, SRTP, other, self.kind)
        else:
            self.call = await self.lab.call(other, self.kind, phone, SRTP)
        await self.goes_both_ways()

    async def goes_both_ways(self) -> None:
        """From now on both hear each other."""
        self.phone.forget()
        if isinstance(self.other, ChangingPhone):
            self.other.forget()
        for ear, mouth in ((self.phone, self.other), (self.other, self.phone)):
            await until_heard(ear, mouth.hz, within_db=STEREO_DB)
        self.phone.forget()
        await until(lambda: len(self.phone.got) >= 5, "more sound")
        assert (self.phone.unreadable, self.phone.unknown) == (0, set())

    async def renew(self) -> None:
        """The phone offers what it has changed."""
        self.phone.point(await self.call.relay.renew(self.side, str(self.phone.said)))


@pytest.fixture
async def made(lab: Lab, side: Side, other: str) -> Talk:
    one = Talk(lab, side, other)
    await one.begin()
    return one


@SIDES
@OTHERS
async def test_a_new_key_is_taken_at_the_same_port(made: Talk) -> None:
    for _ in range(2):
        made.phone.change(key=new_key())
        await made.renew()
        await made.goes_both_ways()
    await made.renew()
    await made.goes_both_ways()


@SIDES
@OTHERS
async def test_a_new_key_counts_from_the_start_though_numbers_had_wrapped(lab: Lab, side: Side, other: str) -> None:
    one = Talk(lab, side, other)
    one.phone.count_from(65520)
    await one.begin()
    await until(lambda: one.phone.wrapped, "its numbers to wrap")
    await one.goes_both_ways()
    one.phone.change(key=new_key())
    await one.renew()
    await one.goes_both_ways()


@SIDES
@OTHERS
async def test_an_answer_to_our_offer_may_have_a_new_key(made: Talk) -> None:
    for key in (new_key(), new_key()):
        offer = await made.call.relay.propose(made.side)
        made.phone.change(key=key)
        await made.call.relay.settle(made.side, await made.phone.answer(offer))
        await made.goes_both_ways()


@SIDES
@OTHERS
async def test_who_refuses_an_offer_of_ours_after_a_new_key_goes_on_with_the_key_it_knows(made: Talk) -> None:
    relay = made.call.relay

    async def refuse(side: Side) -> None:
        await relay.propose(side)
        await relay.withdraw()
        await made.goes_both_ways()

    for _ in range(2):
        made.phone.change(key=new_key())
        await made.renew()
        await refuse(made.side)
        if isinstance(made.other, ChangingPhone):
            await refuse(made.side.other)
    offer = await relay.propose(made.side)
    made.phone.change(key=new_key())
    await relay.settle(made.side, await made.phone.answer(offer))
    await refuse(made.side)
    if isinstance(made.other, ChangingPhone):
        await refuse(made.side.other)
        await relay.settle(made.side.other, await made.other.answer(await relay.propose(made.side.other)))
        await refuse(made.side.other)
    await made.renew()
    await made.goes_both_ways()


@LOCAL
@SIDES
@OTHERS
@pytest.mark.parametrize(
    "formats", [{97: "PCMU", 96: EVENT}, {98: "PCMA", 99: EVENT}, {8: "PCMA", 0: "PCMU", 102: EVENT}], ids=["PCMU", "PCMA", "both"]
)
async def test_payload_numbers_unlike_the_other_sides_are_heard(lab: Lab, side: Side, other: str, formats: dict[int, str]) -> None:
    one = Talk(lab, side, other)
    one.phone.change(formats=formats)
    await one.begin()
    one.phone.change(formats={0: "PCMU", 101: EVENT}, key=new_key())
    await one.renew()
    await one.goes_both_ways()
    one.phone.change(formats=formats)
    await one.renew()
    await one.goes_both_ways()


@SIDES
@pytest.mark.parametrize("other", ["plain", "encrypted"])
async def test_digits_pass_between_unlike_numbers_and_after_new_keys(lab: Lab, side: Side, other: str) -> None:
    one = Talk(lab, side, other)
    one.phone.change(formats={97: "PCMU", 96: EVENT})
    await one.begin()
    assert isinstance(one.other, ChangingPhone)
    for key in (one.phone.said.key, new_key()):
        one.phone.change(key=key)
        await one.renew()
        await one.goes_both_ways()
        one.phone.digits.clear()
        one.other.digits.clear()
        one.phone.press(7)
        one.other.press(3)
        await until(lambda: one.phone.digits == [3] and one.other.digits == [7], "digits both ways")


@SIDES
@pytest.mark.parametrize("other", ["encrypted"])
async def test_digits_of_ours_are_sent_after_new_keys(made: Talk) -> None:
    assert isinstance(made.other, ChangingPhone)
    made.phone.change(key=new_key())
    await made.renew()
    await made.goes_both_ways()
    await made.call.relay.dtmf(made.side, "3")
    await made.call.relay.dtmf(made.side.other, "7")
    await until(lambda: made.phone.digits == [3] and made.other.digits == [7], "digits both ways")
    await made.goes_both_ways()


@SIDES
@pytest.mark.parametrize("other", ["encrypted"])
async def test_who_takes_a_place_with_keys_of_its_own_is_heard_and_hears(made: Talk) -> None:
    new = SecurePhone(THIRD_HZ)
    made.lab.stack.push_async_callback(new.close)
    await new.accept(await made.call.relay.replace(made.side, await new.offer(), SRTP))
    made.phone = new
    await made.goes_both_ways()
