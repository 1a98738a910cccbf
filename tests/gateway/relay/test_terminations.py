"""Ends in this process whose peers are outside: the same call, with the peer at our own port or behind rtpengine."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay.description import direction
from sinchphone.gateway.relay.local import LocalOptions
from sinchphone.gateway.relay.relay import MAX_EARLY, MediaTransport
from sinchphone.gateway.relay.rtpengine import RtpengineRelays
from sinchphone.gateway.relay.terminations import LocalTerminations, RenewablePort, RtpenginePort, RtpengineTerminations, Terminations
from sinchphone.media.network.simulated_line import SimulatedLine
from sinchphone.media.port import MediaPort
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.schema import WeightedAddress
from tests.gateway.relay.relay_lab import PortPhone, RawPhone, opened_sockets, until, until_heard

ROOM_HZ, PEER_HZ = 700.0, 440.0


@pytest.fixture(params=["local", "rtpengine"])
def terminations(request: pytest.FixtureRequest, media: MediaThread) -> Terminations:
    """Both kinds."""
    if request.param == "local":
        return LocalTerminations(media)
    relays: RtpengineRelays = request.getfixturevalue("remote")
    return RtpengineTerminations(relays, media)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


def room(stack: AsyncExitStack, media: MediaThread, port: MediaPort) -> PortPhone:
    """The one who sits there."""
    gathers = type(port).__name__ == "_CrossingWebRtcPort"  # candidates of other ports are in their descriptions
    phone = PortPhone(media, port, ROOM_HZ, gathers=gathers)  # type: ignore[arg-type]
    stack.push_async_callback(phone.close)
    return phone


@pytest.mark.parametrize("transport", list(MediaTransport), ids=lambda each: each.value)
@pytest.mark.parametrize("who_calls", ["the peer", "the room"])
async def test_the_room_and_its_peer_hear_each_other(
    terminations: Terminations, media: MediaThread, stack: AsyncExitStack, transport: MediaTransport, who_calls: str
) -> None:
    inside = room(stack, media, terminations.port("call", transport))
    if transport is MediaTransport.WEBRTC:
        peer = PortPhone.webrtc(media, PEER_HZ)
    else:
        peer = PortPhone.rtp(media, PEER_HZ, srtp=transport is MediaTransport.SRTP)
    stack.push_async_callback(peer.close)
    caller, called = (peer, inside) if who_calls == "the peer" else (inside, peer)
    await caller.accept(await called.answer(await caller.offer()))
    await until_heard(peer, ROOM_HZ)
    await until_heard(inside, PEER_HZ)


@pytest.mark.parametrize("transport", list(MediaTransport), ids=lambda each: each.value)
async def test_what_a_bad_line_loses_was_sent_and_a_tap_has_seen_it_in_the_clear(
    media: MediaThread, stack: AsyncExitStack, transport: MediaTransport
) -> None:
    tapped: list[tuple[str, bytes, str, str]] = []
    options = LocalOptions(line=SimulatedLine(loss=1.0), tap=lambda call: lambda *packet: tapped.append((call, *packet)))
    inside = room(stack, media, LocalTerminations(media, options).port("call", transport))
    if transport is MediaTransport.WEBRTC:
        peer = PortPhone.webrtc(media, PEER_HZ)
    else:
        peer = PortPhone.rtp(media, PEER_HZ, srtp=transport is MediaTransport.SRTP)
    stack.push_async_callback(peer.close)
    await peer.accept(await inside.answer(await peer.offer()))
    await until(lambda: len(tapped) >= 20)
    sent, received = await inside.port.stats(), await peer.port.stats()
    assert (sent.packets_sent >= 20, sent.packets_received, received.packets_received) == (True, 0, 0)
    assert {(call, packet[0] & 0xC0) for call, packet, _, _ in tapped} == {("call", 0x80)}
    assert len({source for _, _, source, _ in tapped}) == 1 and all(":" in target for _, _, _, target in tapped)
    assert len({packet[2:4] for _, packet, _, _ in tapped}) == len(tapped), "numbered as RTP is"


async def test_a_phone_that_holds_and_asks_for_our_offer_hears_the_room_again(
    terminations: Terminations, media: MediaThread, stack: AsyncExitStack
) -> None:
    port = terminations.port("call", MediaTransport.RTP)
    inside, phone = room(stack, media, port), RawPhone(PEER_HZ)
    stack.push_async_callback(phone.close)
    await phone.accept(await inside.answer(await phone.offer()))
    assert isinstance(port, RenewablePort)
    phone.talks = False
    await port.reanswer(Description("offer", phone.description("inactive")))
    await port.reoffer()
    await port.withdraw()
    offer = await port.reoffer()
    assert direction(offer.sdp) == "sendrecv"
    phone.talks = True
    await port.accept(Description("answer", await phone.answer(offer.sdp)))
    await until_heard(phone, ROOM_HZ)
    await until_heard(inside, PEER_HZ)


async def test_digits_and_hold_of_a_phone_come_to_the_room(terminations: Terminations, media: MediaThread, stack: AsyncExitStack) -> None:
    port = terminations.port("call", MediaTransport.RTP)
    inside, phone = room(stack, media, port), RawPhone(PEER_HZ)
    stack.push_async_callback(phone.close)
    await phone.accept(await inside.answer(await phone.offer()))
    await until_heard(phone, ROOM_HZ)
    await until_heard(inside, PEER_HZ)
    await phone.press(9)
    await until(lambda: [each.digit for each in inside.digits] == ["9"], "the digit")
    await port.dtmf("4")
    await until(lambda: phone.digits() == [4], "the room's digit")
    assert isinstance(port, RenewablePort)
    held = await port.reanswer(Description("offer", phone.description("inactive")))
    assert direction(held.sdp) == "inactive"
    resumed = await port.reanswer(Description("offer", phone.description()))
    assert direction(resumed.sdp) == "sendrecv"
    await until_heard(phone, ROOM_HZ)
    await until_heard(inside, PEER_HZ)


async def test_a_port_that_is_closed_half_way_leaves_nothing_behind(
    terminations: Terminations, media: MediaThread, stack: AsyncExitStack
) -> None:
    before = opened_sockets()
    port = terminations.port("call", MediaTransport.RTP)
    await port.offer()
    with pytest.raises(MediaError):
        await port.accept(Description("answer", "v=0\r\n"))
    await port.close()
    await port.close()
    assert len(opened_sockets() - before) <= 1, "the link to rtpengine stays"


async def test_a_seat_behind_rtpengine_says_what_it_cannot_do(remote: RtpengineRelays, media: MediaThread) -> None:
    port = RtpengineTerminations(remote, media).port("call", MediaTransport.WEBRTC)
    with pytest.raises(LocalProtocolError):
        await port.accept(Description("answer", "v=0\r\n"))
    await port.offer()
    with pytest.raises(MediaError):
        await port.fork()
    with pytest.raises(LocalProtocolError):
        await port.offer()
    await port.close()


async def test_attack_of_candidates_that_come_before_an_offer_only_some_are_kept(media: MediaThread) -> None:
    relays = RtpengineRelays([WeightedAddress("127.0.0.1", 9)])
    port = RtpengineTerminations(relays, media).port("call", MediaTransport.WEBRTC)
    assert isinstance(port, RtpenginePort)
    for number in range(1000):
        await port.add_candidate(Candidate(f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host"))
    assert len(port._early) == MAX_EARLY
    await port.close()
