"""What every relay does, ours and rtpengine: everybody hears the other one, and nobody hears himself."""

import asyncio

import pytest

from sinchphone.gateway.relay.description import direction
from sinchphone.gateway.relay.local import LocalRelays
from sinchphone.gateway.relay.relay import MediaTransport, Side, SideConnected, SideDigitHeard
from tests.gateway.relay.relay_lab import hears, hears_nothing, until, until_heard
from tests.gateway.relay.relayed_calls import CALLED_HZ, CALLER_HZ, RTP, SRTP, STEREO_DB, THIRD_HZ, WEBRTC, Lab, until_quiet

COMBINATIONS = [(RTP, RTP), (WEBRTC, RTP), (RTP, WEBRTC), (WEBRTC, WEBRTC), (SRTP, RTP), (SRTP, WEBRTC), (RTP, SRTP)]


@pytest.mark.parametrize(("one", "other"), COMBINATIONS, ids=lambda transport: transport.value)
async def test_each_side_hears_the_other_at_its_level_and_nothing_else(lab: Lab, one: MediaTransport, other: MediaTransport) -> None:
    caller, called = (lab.port(each, hz, "PCMU") for each, hz in ((one, CALLER_HZ), (other, CALLED_HZ)))
    call = await lab.call(caller, one, called, other)
    await until_heard(caller, CALLED_HZ)
    await until_heard(called, CALLER_HZ)
    await until(lambda: {each.side for each in call.told.events if isinstance(each, SideConnected)} == set(Side), "connected")
    assert {each.codec for each in call.told.events if isinstance(each, SideConnected)} == {"PCMU"}


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMA"])
async def test_sides_without_a_common_codec_hear_each_other(lab: Lab, codec: str) -> None:
    caller, called = lab.port(WEBRTC if codec == "opus" else RTP, CALLER_HZ, codec), lab.raw(CALLED_HZ)
    call = await lab.call(caller, WEBRTC if codec == "opus" else RTP, called, RTP)
    await until_heard(called, CALLER_HZ, within_db=STEREO_DB)
    await until_heard(caller, CALLED_HZ, within_db=STEREO_DB)
    await until(lambda: sum(isinstance(each, SideConnected) for each in call.told.events) == 2, "connected")
    assert {each.side: each.codec for each in call.told.events if isinstance(each, SideConnected)} == {
        Side.CALLER: codec,
        Side.CALLED: "PCMU",
    }


async def test_opus_on_both_sides_stays_as_loud_as_it_was(lab: Lab) -> None:
    caller, called = lab.port(WEBRTC, CALLER_HZ, "opus"), lab.port(RTP, CALLED_HZ, "opus", "PCMU")
    await lab.call(caller, WEBRTC, called, RTP)
    await until_heard(caller, CALLED_HZ)
    await until_heard(called, CALLER_HZ)


async def test_early_sound_is_heard_before_the_final_answer_which_changes_nothing(lab: Lab) -> None:
    caller, called = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ)
    relay, _ = lab.relay(RTP)
    offered = await relay.offer(await caller.offer(), RTP)
    answer = await called.answer(offered)
    early = await relay.answer(answer)
    await caller.accept(early)
    await until_heard(caller, CALLED_HZ)
    assert await relay.answer(answer) == early
    await until_heard(called, CALLER_HZ)
    await until_heard(caller, CALLED_HZ)


async def test_of_two_phones_that_answer_one_offer_the_last_one_is_heard(lab: Lab) -> None:
    caller, first, second = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ), lab.raw(THIRD_HZ)
    relay, _ = lab.relay(RTP)
    offered = await relay.offer(await caller.offer(), RTP)
    early = await relay.answer(await first.answer(offered), branch="1")
    await caller.accept(early)
    await until_heard(caller, CALLED_HZ)
    first.talks = False
    assert await relay.answer(await second.answer(offered), branch="2") == early
    await until_heard(caller, THIRD_HZ)
    await until_heard(second, CALLER_HZ)


async def test_of_two_webrtc_devices_that_ring_the_one_that_takes_the_call_is_heard(lab: Lab) -> None:
    caller, first, second = lab.port(WEBRTC, CALLER_HZ), lab.port(WEBRTC, CALLED_HZ), lab.port(WEBRTC, THIRD_HZ)
    relay, _ = lab.relay(WEBRTC)
    offered = await relay.offer(await caller.offer(), WEBRTC)
    answers = {"1": await first.answer(offered), "2": await second.answer(offered)}
    for branch, answer in answers.items():
        await relay.ringing(answer, branch=branch)
    await caller.accept(await relay.answer(answers["2"], branch="2"))
    await until_heard(caller, THIRD_HZ)
    await until_heard(second, CALLER_HZ)
    assert hears_nothing(first)


@pytest.mark.parametrize("side", list(Side))
async def test_a_phone_that_holds_hears_nothing_and_the_webrtc_side_stays(lab: Lab, side: Side) -> None:
    phone, web = lab.raw(CALLER_HZ), lab.port(WEBRTC, CALLED_HZ)
    call = await (lab.call(phone, RTP, web, WEBRTC) if side is Side.CALLER else lab.call(web, WEBRTC, phone, RTP))
    await until_heard(phone, CALLED_HZ, within_db=STEREO_DB)
    answer = await call.relay.renew(side, phone.description("sendonly"))
    assert direction(answer) == "recvonly"
    await until_heard(web, CALLER_HZ, within_db=STEREO_DB)  # music on hold comes from who holds
    phone.talks = False
    assert direction(await call.relay.renew(side, phone.description("inactive"))) == "inactive"
    await until(lambda: hears_nothing(web), "silence while held")
    phone.talks = True
    assert direction(await call.relay.renew(side, phone.description())) == "sendrecv"
    await until_heard(phone, CALLED_HZ, within_db=STEREO_DB)
    await until_heard(web, CALLER_HZ, within_db=STEREO_DB)


@pytest.mark.parametrize("side", list(Side))
async def test_a_phone_that_holds_and_asks_for_our_offer_is_heard_again(lab: Lab, side: Side) -> None:
    caller, called = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ)
    call = await lab.call(caller, RTP, called, RTP)
    phone, other = (caller, called) if side is Side.CALLER else (called, caller)
    await until_heard(phone, other.hz)
    phone.talks = False
    await call.relay.renew(side, phone.description("inactive"))
    phone.got.clear()
    for _ in range(2):
        offer = await call.relay.propose(side)
        assert direction(offer) == "sendrecv"
        phone.talks = True
        await call.relay.settle(side, await phone.answer(offer))
        await until_heard(phone, other.hz)
        await until_heard(other, phone.hz)


async def test_an_offer_of_ours_that_is_refused_changes_nothing(lab: Lab) -> None:
    caller, called = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ)
    call = await lab.call(caller, RTP, called, RTP)
    await call.relay.propose(Side.CALLED)
    await call.relay.withdraw()
    assert direction(await call.relay.renew(Side.CALLED, called.description("sendonly"))) == "recvonly"
    await until_heard(caller, called.hz)


@pytest.mark.parametrize("side", list(Side))
async def test_a_phone_that_holds_another_is_heard_and_hears_again_when_it_resumes(lab: Lab, side: Side) -> None:
    caller, called = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ)
    call = await lab.call(caller, RTP, called, RTP)
    await until_heard(caller, CALLED_HZ)
    holding, held = (caller, called) if side is Side.CALLER else (called, caller)

    async def renew(way: str, answered: str) -> None:
        given = await call.relay.renew(side, holding.description(way))
        assert direction(given) == answered
        holding.point(given)

    await renew("sendonly", "recvonly")
    await until_heard(held, holding.hz)
    if isinstance(lab.relays, LocalRelays):  # rtpengine passes on what comes, whoever holds; phones that hold don't play it
        await until_quiet(holding)
    await renew("sendrecv", "sendrecv")
    await until_heard(held, holding.hz)
    await until_heard(holding, held.hz)


async def test_our_descriptions_for_a_phone_are_numbered_and_name_nobody(lab: Lab) -> None:
    """RFC 3264 8: the version of a changed description is one higher."""
    web, phone = lab.port(WEBRTC, CALLER_HZ), lab.raw(CALLED_HZ)
    relay, _ = lab.relay(RTP)
    theirs = (await phone.offer()).replace("o=- ", "o=margot ").replace("s=-", "s=A private call")
    offered = await relay.offer(theirs, WEBRTC)
    assert "margot" not in offered and "private" not in offered
    answers = [await relay.answer(await web.answer(offered))]
    answers += [await relay.renew(Side.CALLER, phone.description(way).replace("o=- ", "o=margot ")) for way in ("sendonly", "sendrecv")]
    origins = [next(line for line in answer.splitlines() if line.startswith("o=")).split() for answer in answers]
    versions = [int(origin[2]) for origin in origins]
    assert versions == [versions[0], versions[0] + 1, versions[0] + 2]
    assert len({tuple(origin[:2] + origin[3:]) for origin in origins}) == 1


async def test_digits_from_one_side_reach_the_other_and_are_reported_once(lab: Lab) -> None:
    caller, called = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ)
    call = await lab.call(caller, RTP, called, RTP)
    await until_heard(caller, CALLED_HZ)
    await until_heard(called, CALLER_HZ)
    for code in (5, 5, 11):
        await caller.press(code)
        await asyncio.sleep(0.2)
    await called.press(10)
    await until(lambda: called.digits() == [5, 5, 11], "digits of the caller")
    await until(lambda: caller.digits() == [10], "digit of the called side")
    heard = [(each.side, each.digit, each.passed) for each in call.told.events if isinstance(each, SideDigitHeard)]
    assert heard == [
        (Side.CALLER, "5", True),
        (Side.CALLER, "5", True),
        (Side.CALLER, "#", True),
        (Side.CALLED, "*", True),
    ]
    await until_heard(called, CALLER_HZ)


@pytest.mark.parametrize("towards", list(Side))
async def test_digits_of_the_gateway_reach_the_side_they_are_for(lab: Lab, towards: Side) -> None:
    caller, called = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ)
    call = await lab.call(caller, RTP, called, RTP)
    await until_heard(caller, CALLED_HZ)
    await until_heard(called, CALLER_HZ)
    await call.relay.dtmf(towards, "17")
    phone, other = (caller, called) if towards is Side.CALLER else (called, caller)
    await until(lambda: phone.digits() == [1, 7], "the digits")
    assert other.digits() == []
    assert not any(isinstance(each, SideDigitHeard) for each in call.told.events)


@pytest.mark.parametrize("towards", list(Side))
async def test_after_digits_of_the_gateway_a_webrtc_side_and_a_phone_hear_each_other_as_before(lab: Lab, towards: Side) -> None:
    web, phone = lab.port(WEBRTC, CALLER_HZ, "opus", "PCMU"), lab.raw(CALLED_HZ)
    call = await lab.call(web, WEBRTC, phone, RTP)
    await until_heard(phone, CALLER_HZ)
    await until_heard(web, CALLED_HZ)  # rtpengine has no stream before that which a digit could be put into
    await call.relay.dtmf(towards, "2")
    if towards is Side.CALLER:
        await until(lambda: [each.digit for each in web.digits] == ["2"], "the digit")
    else:
        await until(lambda: phone.digits() == [2], "the digit")
    await until_heard(phone, CALLER_HZ)
    await until_heard(web, CALLED_HZ)


async def test_digits_cross_from_webrtc_to_a_phone_and_back(lab: Lab) -> None:
    web, phone = lab.port(WEBRTC, CALLER_HZ, "opus", "PCMU"), lab.raw(CALLED_HZ)
    call = await lab.call(web, WEBRTC, phone, RTP)
    await until_heard(phone, CALLER_HZ)
    await until_heard(web, CALLED_HZ)
    await web.port.dtmf("3#")
    await until(lambda: phone.digits() == [3, 11], "digits of the WebRTC side")
    await phone.press(8)
    await until(lambda: [each.digit for each in web.digits] == ["8"], "the digit of the phone")
    assert [each.digit for each in call.told.events if isinstance(each, SideDigitHeard)] == ["3", "#", "8"]


@pytest.mark.parametrize("side", list(Side))
async def test_trickled_candidates_connect_a_webrtc_side_whose_description_has_none(lab: Lab, side: Side) -> None:
    web, phone = lab.port(WEBRTC, CALLER_HZ), lab.raw(CALLED_HZ)
    if side is Side.CALLER:
        relay, _ = lab.relay(WEBRTC)
        whole = await web.offer()
        offered = await relay.offer(_bare(whole), RTP)
        await web.accept(await relay.answer(await phone.answer(offered)))
    else:
        relay, _ = lab.relay(RTP)
        offered = await relay.offer(await phone.offer(), WEBRTC)
        answer = await web.answer(offered)
        await phone.accept(await relay.answer(_bare(answer), branch="7"))
    for candidate in web.candidates:
        await relay.add_candidate(side, candidate, branch="7" if side is Side.CALLED else "")
    await relay.add_candidate(side, None, branch="7" if side is Side.CALLED else "")
    await until_heard(phone, CALLER_HZ, within_db=STEREO_DB)
    await until_heard(web, CALLED_HZ, within_db=STEREO_DB)


async def test_a_deleted_relay_says_so_and_carries_nothing(lab: Lab) -> None:
    caller, called = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ)
    call = await lab.call(caller, RTP, called, RTP)
    await until_heard(caller, CALLED_HZ)
    await call.relay.delete()
    await call.relay.delete()
    await call.told.ended()
    count = len(caller.got)
    await asyncio.sleep(0.3)
    assert len(caller.got) <= count + 1
    assert hears(caller, CALLED_HZ)


def _bare(sdp: str) -> str:
    return "".join(f"{line}\r\n" for line in sdp.splitlines() if not line.startswith(("a=candidate", "a=end-of-candidates")))
