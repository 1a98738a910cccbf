"""Somebody takes the place of one side of a call: the other one isn't asked, hears them from then on and is heard, and who was there before
isn't any more."""

import pytest

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay.description import direction
from sinchphone.gateway.relay.relay import MediaTransport, Side
from tests.gateway.relay.relay_lab import until, until_heard
from tests.gateway.relay.relayed_calls import CALLED_HZ, CALLER_HZ, RTP, STEREO_DB, THIRD_HZ, WEBRTC, Lab, until_quiet

PLACES = [(Side.CALLED, WEBRTC, RTP), (Side.CALLER, RTP, WEBRTC)]


@pytest.mark.parametrize(("side", "stays", "comes"), PLACES, ids=lambda one: one.value)
async def test_who_takes_a_sides_place_is_heard_and_hears(lab: Lab, side: Side, stays: MediaTransport, comes: MediaTransport) -> None:
    kept, old = lab.port(stays, CALLER_HZ), lab.raw(CALLED_HZ)
    call = await (lab.call(old, RTP, kept, stays) if side is Side.CALLER else lab.call(kept, stays, old, RTP))
    await until_heard(old, CALLER_HZ, within_db=STEREO_DB)
    new = lab.port(comes, THIRD_HZ)
    await new.accept(await call.relay.replace(side, await new.offer(), comes))
    await until_heard(kept, THIRD_HZ, within_db=STEREO_DB)
    await until_heard(new, CALLER_HZ, within_db=STEREO_DB)
    await until_quiet(old)


async def test_who_offers_nothing_that_can_be_taken_is_refused_and_the_call_goes_on(lab: Lab) -> None:
    caller, called, new = lab.raw(CALLER_HZ), lab.raw(CALLED_HZ), await lab.raw(THIRD_HZ).open()
    call = await lab.call(caller, RTP, called, RTP)
    await until_heard(called, CALLER_HZ)
    unknown = new.description().replace("RTP/AVP 0 101", "RTP/AVP 77").replace("rtpmap:0 PCMU", "rtpmap:77 nothing")
    for wrong in (unknown, unknown.replace("c=IN IP4 127.0.0.1\r\n", ""), "v=0\r\n", ""):
        with pytest.raises(MediaError):
            await call.relay.replace(Side.CALLED, wrong, RTP)
    called.got.clear()
    await until_heard(called, CALLER_HZ)
    await until_heard(caller, CALLED_HZ)
    assert call.relay.hears(Side.CALLED)


async def test_a_place_is_taken_again_and_who_has_it_may_hold(lab: Lab) -> None:
    kept, others = lab.raw(CALLER_HZ), [lab.raw(hz) for hz in (CALLED_HZ, THIRD_HZ, 1300.0)]
    call = await lab.call(kept, RTP, others[0], RTP)
    for new in others[1:]:
        await new.accept(await call.relay.replace(Side.CALLED, await new.offer(), RTP))
    await until_heard(kept, others[2].hz)
    assert direction(await call.relay.renew(Side.CALLED, others[2].description("sendonly"))) == "recvonly"
    assert not call.relay.hears(Side.CALLED)
    assert direction(await call.relay.renew(Side.CALLED, others[2].description())) == "sendrecv"
    await call.relay.dtmf(Side.CALLED, "5")
    await until(lambda: others[2].digits() == [5], "the digit")


async def test_nobody_has_a_place_to_be_taken_before_the_call_is_answered(lab: Lab) -> None:
    caller, new = lab.raw(CALLER_HZ), lab.raw(THIRD_HZ)
    relay, _ = lab.relay(RTP)
    await relay.offer(await caller.offer(), RTP)
    with pytest.raises(LocalProtocolError):
        await relay.replace(Side.CALLER, await new.offer(), RTP)
