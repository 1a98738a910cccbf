"""What comes before the answer decides nothing: only the answer's description, and the peer's own refusal, do (RFC 3261 13.2.1)."""

import asyncio
from typing import Any

import pytest

from sinchphone.errors import MediaError, NetworkError
from sinchphone.gateway.call_facts import Failure
from sinchphone.gateway.legs.leg import Answered, Early, Gone, Ringing
from sinchphone.gateway.legs.sip import Invitation, SipOutgoingLeg, Srtp
from sinchphone.gateway.relay.relay import MediaTransport
from sinchphone.gateway.sip.calls import SipCall, SipCallFacts, SipTarget
from sinchphone.protocol.sip.session import vocabulary as v
from sinchphone.protocol.sip.uri import parse_address

ADA = parse_address("<sip:ada@atlanta.example>")
BOB = parse_address("<sip:bob@biloxi.example>")


async def test_early_sound_that_cant_be_used_only_rings_and_the_answers_description_counts(calls: Any, make_leg: Any) -> None:
    leg, other = make_leg("called"), make_leg("encrypted")
    leg.other = other
    call = calls(leg)
    call.media_backends.broken.add("answer")
    leg.say(Early(sdp="v=0 nothing"))
    await call.caller.until("ring")
    call.media_backends.broken.discard("answer")
    leg.say(Answered(sdp="v=0 good"))
    await call.caller.until(("answer", "v=0 good relayed"))
    assert leg.orders == [("start", "v=0 offer relayed")]
    assert other.orders == []


async def test_early_sound_may_become_usable_before_the_answer(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg)
    call.media_backends.broken.add("answer")
    leg.say(Early(sdp="v=0 nothing"))
    await call.caller.until("ring")
    call.media_backends.broken.discard("answer")
    leg.say(Early(sdp="v=0 sound"))
    await call.caller.until(("early", "v=0 sound relayed"))
    leg.say(Answered(sdp=None))
    await call.caller.until(("answer", "v=0 sound relayed"))


async def test_an_answer_that_cant_be_used_ends_the_call_with_the_reason_and_nobody_rings_again(calls: Any, make_leg: Any) -> None:
    leg, other = make_leg("called"), make_leg("encrypted")
    leg.other = other
    call = calls(leg)
    call.media_backends.broken.add("answer")
    leg.say(Ringing(), Answered(sdp="v=0 nothing"))
    await call.over()
    assert leg.orders[-1] == ("hang up", 488)
    assert call.caller.orders == ["ring", ("hang up", 488)]
    assert other.orders == []
    call.legs.append(other)
    other.release()


async def test_an_answer_without_a_description_after_unusable_early_sound_ends_the_call(calls: Any, make_leg: Any) -> None:
    leg = make_leg("called")
    call = calls(leg)
    call.media_backends.broken.add("answer")
    leg.say(Early(sdp="v=0 nothing"), Answered(sdp=None))
    await call.over()
    assert leg.orders[-1] == ("hang up", 488)


async def test_an_offer_of_ours_that_cant_be_made_isnt_tried_as_another_kind_of_sound(calls: Any, make_leg: Any) -> None:
    leg, other = make_leg("called"), make_leg("encrypted")
    call = calls(leg)
    leg.other = other
    call.media_backends.broken.add("offer")
    await call.over()
    assert call.caller.orders == [("hang up", 488)]
    assert other.orders == []


class Dialled:
    """A SIP leg whose call says what a test has it say."""

    def __init__(self, srtp: Srtp | None = None, *, again: bool = False) -> None:
        self.released = 0
        self.orders: list[Any] = []
        facts = SipCallFacts(call_id="1", outbound=True, remote=BOB, target=BOB.uri, headers={})
        self.call = SipCall(facts, self.orders.append)
        invitation = Invitation(target=SipTarget(BOB.uri), caller=ADA, srtp=srtp)
        self.leg = SipOutgoingLeg(lambda _, __: self.call, invitation, media_host=None, over=self.release, again=again)

    def release(self) -> None:
        self.released += 1

    async def hears(self, *events: v.SipEvent) -> list[Any]:
        """The leg's own events, to its end."""
        await self.leg.start("v=0 offer")
        for event in events:
            self.call.notify(event)
        async with asyncio.timeout(5.0):
            await self.leg.run()
        return [event async for event in self.leg.events()]


@pytest.mark.parametrize("status", [488, 606])
async def test_a_phone_that_refuses_the_kind_of_sound_can_be_offered_the_other_one(status: int) -> None:
    dialled = Dialled()
    await dialled.hears(v.SipRinging(180, "Ringing"), v.Refused(status, "Not Acceptable"))
    other = dialled.leg.alternative()
    assert other is not None
    assert (dialled.leg.transport, other.transport) == (MediaTransport.RTP, MediaTransport.SRTP)
    dialled.leg.release()
    assert dialled.released == 0, "what was taken is the other's"
    other.release()
    assert dialled.released == 1


@pytest.mark.parametrize("status", [400, 403, 404, 408, 415, 480, 486, 487, 500, 503, 600, 603])
async def test_other_refusals_are_no_verdict_on_the_kind_of_sound(status: int) -> None:
    dialled = Dialled()
    await dialled.hears(v.Refused(status, "no"))
    assert dialled.leg.alternative() is None


@pytest.mark.parametrize(
    "event",
    [
        v.Refused(488, "the answer has no session description", MediaError("the answer has no session description")),
        v.Refused(503, "not reached", NetworkError("not reached")),
        v.SipEnded("not acceptable", 488),  # a call that was answered and hung up with that reason
        v.SipEnded("the other side hung up", None),
    ],
)
async def test_our_own_verdict_is_none_and_neither_is_the_end_of_an_answered_call(event: v.SipEvent) -> None:
    dialled = Dialled()
    await dialled.hears(v.SipAnswered("v=0 answer"), event)
    assert dialled.leg.alternative() is None


async def test_who_must_be_encrypted_or_was_asked_twice_isnt_asked_again() -> None:
    for dialled in (Dialled(Srtp.ALWAYS), Dialled(again=True)):
        await dialled.hears(v.Refused(488, "Not Acceptable Here"))
        assert dialled.leg.alternative() is None


async def test_our_own_end_of_a_ringing_call_says_why_and_rings_nobody_again() -> None:
    dialled = Dialled()
    await dialled.leg.start("v=0 offer")
    await dialled.leg.hang_up(Failure(488, "the answer has no encoding of the offer"))
    assert dialled.orders == [v.SipHangUp("the answer has no encoding of the offer", 488)]
    events = await dialled.hears(v.Refused(488, "Not Acceptable Here"))
    assert events == [Gone(failure=Failure(488, "the answer has no encoding of the offer"))]
    assert dialled.leg.alternative() is None
