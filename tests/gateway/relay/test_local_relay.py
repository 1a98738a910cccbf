"""The relay in this process: packets that pass as they are, what isn't kept, and nothing that stays behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import cast

import numpy as np
import pytest

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay.local import LocalRelay, LocalRelays
from sinchphone.gateway.relay.relay import BranchCandidate, MediaTransport, Side, SideConnected, SideDigitHeard, SideLost
from sinchphone.media.codecs.choice import new_encoder
from sinchphone.media.codecs.codec import CODECS
from sinchphone.media.port import PassingPort
from sinchphone.media.thread import MediaThread
from sinchphone.tasks import start_task
from tests.gateway.relay.relay_lab import (
    PATIENCE_S,
    PortPhone,
    RawPhone,
    Sent,
    Told,
    hears_nothing,
    linear,
    opened_sockets,
    until,
    until_heard,
)

CALLER_HZ, CALLED_HZ, THIRD_HZ = 440.0, 1000.0, 700.0
WEBRTC, RTP = MediaTransport.WEBRTC, MediaTransport.RTP
STALE_S = 0.3  # sound that is older when it goes on was kept somewhere


@pytest.fixture
async def phones() -> AsyncIterator[tuple[RawPhone, RawPhone]]:
    pair = RawPhone(CALLER_HZ), RawPhone(CALLED_HZ)
    yield pair
    for phone in pair:
        await phone.close()


async def join(relay: LocalRelay, caller: RawPhone, called: RawPhone) -> None:
    offered = await relay.offer(await caller.offer(), RTP)
    await caller.accept(await relay.answer(await called.answer(offered)))


def as_sent(got: list[Sent], sent: list[Sent]) -> list[tuple[Sent, Sent]]:
    """What came, each with the packet that it was."""
    by_payload = {each.payload: each for each in sent}
    assert len(by_payload) == len(sent), "the payloads are all different"
    return [(each, by_payload[each.payload]) for each in got]


class Marked(RawPhone):
    """Each of its payloads is another one: silence with a number in it."""

    def _send(self, kind: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        if kind == 0:
            payload = len(self.sent).to_bytes(4, "big") + b"\xff" * 156
        super()._send(kind, timestamp, payload, marker=marker)


@pytest.fixture
async def marked() -> AsyncIterator[tuple[Marked, Marked]]:
    pair = Marked(CALLER_HZ), Marked(CALLED_HZ)
    yield pair
    for phone in pair:
        await phone.close()


async def test_pcmu_payloads_pass_bit_for_bit_with_the_distances_of_their_time_stamps(
    local: LocalRelays, marked: tuple[Marked, Marked]
) -> None:
    caller, called = marked
    relay = local.relay("call", RTP)
    await join(relay, caller, called)
    await until(lambda: len(called.got) > 30 and len(caller.got) > 30, "sound")
    caller.pause(0.5)
    await until(lambda: len(called.got) > 60 and len(caller.got) > 60, "sound after a pause")
    for source, sink in ((caller, called), (called, caller)):
        pairs = as_sent(sink.got, source.sent)
        offset = (pairs[0][0].timestamp - pairs[0][1].timestamp) % 2**32
        steps = (pairs[0][0].sequence - pairs[0][1].sequence) % 2**16
        assert {(came.timestamp - went.timestamp) % 2**32 for came, went in pairs} == {offset}
        assert {(came.sequence - went.sequence) % 2**16 for came, went in pairs} == {steps}
        assert all(came.marker == went.marker for came, went in pairs[1:])
    assert any(came.marker for came in called.got[1:]), "the marker after the pause"


async def test_packets_that_were_lost_before_the_relay_are_missing_behind_it(local: LocalRelays, marked: tuple[Marked, Marked]) -> None:
    caller, called = marked
    await join(local.relay("call", RTP), caller, called)
    await until(lambda: len(called.got) > 10, "sound")
    caller._sequence += 3
    caller._timestamp += 3 * 160
    await until(lambda: len(called.got) > 40, "sound after the loss")
    numbers = [each.sequence for each in called.got]
    assert numbers[-1] - numbers[0] == len(numbers) - 1 + 3


async def test_between_webrtc_sides_opus_passes_too(local: LocalRelays, media: MediaThread) -> None:
    caller, called = PortPhone.webrtc(media, CALLER_HZ), PortPhone.webrtc(media, CALLED_HZ)
    relay = local.relay("call", WEBRTC)
    try:
        offered = await relay.offer(await caller.offer(), WEBRTC)
        await caller.accept(await relay.answer(await called.answer(offered)))
        await until_heard(caller, CALLED_HZ)
        await until_heard(called, CALLER_HZ)
        assert relay.passes == (True, True)
    finally:
        await caller.close()
        await called.close()


async def test_sound_from_before_the_other_side_was_there_is_dropped(local: LocalRelays, marked: tuple[Marked, Marked]) -> None:
    caller, called = marked
    relay = local.relay("call", RTP)
    offered = await relay.offer(await caller.offer(), RTP)
    early = await called.answer(offered)
    called.pause(0)
    await asyncio.sleep(1.0)  # the called side talks, nobody is there to hear it
    await caller.accept(await relay.answer(early))
    await until(lambda: len(caller.got) > 20, "sound")
    for came, went in as_sent(caller.got, called.sent):
        assert came.at - went.at < STALE_S


async def test_decoded_sound_is_not_kept_either(local: LocalRelays, media: MediaThread) -> None:
    """The tone changes: it is heard soon after, however long the other one had been said before the answer."""
    caller, called = PortPhone.rtp(media, CALLER_HZ, "opus"), RawPhone(CALLED_HZ)
    relay = local.relay("call", RTP)
    try:
        offered = await relay.offer(await caller.offer(), RTP)
        answer = await called.answer(offered)
        await asyncio.sleep(1.0)
        await caller.accept(await relay.answer(answer))
        await until_heard(caller, CALLED_HZ)
        assert relay.passes == (False, False)
        called.talks = False
        stopped = time.monotonic()
        await until(lambda: hears_nothing(caller, 0.1), "silence")
        assert time.monotonic() - stopped < 2.0  # made-up sound fades within a second
    finally:
        await caller.close()
        await called.close()


async def test_a_webrtc_branch_that_answers_later_takes_over_and_the_first_one_is_silent(local: LocalRelays, media: MediaThread) -> None:
    caller, first, second = (PortPhone.webrtc(media, hz) for hz in (CALLER_HZ, CALLED_HZ, THIRD_HZ))
    relay = local.relay("call", WEBRTC)
    told = Told(relay)
    try:
        offered = await relay.offer(await caller.offer(), WEBRTC)
        early = await relay.answer(await first.answer(offered), branch="1")
        await caller.accept(early)
        await until_heard(caller, CALLED_HZ)
        assert await relay.answer(await second.answer(offered), branch="2") == early
        await until_heard(caller, THIRD_HZ)
        await until_heard(second, CALLER_HZ)
        await until(lambda: hears_nothing(first), "silence for the first")
        assert {each.branch for each in told.events if isinstance(each, BranchCandidate)} == {"2"}
        assert sum(each.side is Side.CALLED for each in told.events if isinstance(each, SideConnected)) == 2
    finally:
        for phone in (caller, first, second):
            await phone.close()


async def test_a_branch_that_rings_is_connected_before_it_takes_the_call(local: LocalRelays, media: MediaThread) -> None:
    caller, called = PortPhone.webrtc(media, CALLER_HZ), PortPhone.webrtc(media, CALLED_HZ)
    relay = local.relay("call", WEBRTC)
    told = Told(relay)
    try:
        offered = await relay.offer(await caller.offer(), WEBRTC)
        answer = await called.answer(offered)
        await relay.ringing(answer, branch="1")
        await until(lambda: called.connected, "connected in advance")
        assert told.events == []
        await caller.accept(await relay.answer(answer, branch="1"))
        await until_heard(caller, CALLED_HZ)
        assert {each.side for each in told.events if isinstance(each, SideConnected)} == set(Side)
    finally:
        await caller.close()
        await called.close()


async def test_the_port_of_a_device_that_gave_up_is_closed_while_the_call_goes_on(local: LocalRelays, media: MediaThread) -> None:
    caller, first, second = (PortPhone.webrtc(media, hz) for hz in (CALLER_HZ, CALLED_HZ, THIRD_HZ))
    relay = local.relay("call", WEBRTC)
    try:
        offered = await relay.offer(await caller.offer(), WEBRTC)
        await caller.accept(await relay.answer(await first.answer(offered), branch="1"))
        await until_heard(caller, CALLED_HZ)
        before = opened_sockets()
        await relay.ringing(await second.answer(offered), branch="2")
        assert opened_sockets() > before
        await until(lambda: second.connected, "connected in advance")
        await second.close()
        await until(lambda: opened_sockets() <= before, "closed")
        await until_heard(caller, CALLED_HZ)
    finally:
        for phone in (caller, first, second):
            await phone.close()


class Switching(RawPhone):
    """Names PCMA too, and changes to it in the middle of the call."""

    def __init__(self, hz: float) -> None:
        super().__init__(hz)
        self.changes = False
        self.changed = 0  # packets
        self._encode = new_encoder(CODECS["PCMA"])

    def description(self, direction: str = "sendrecv") -> str:
        return super().description(direction).replace("RTP/AVP 0 ", "RTP/AVP 0 8 ")

    def _send(self, kind: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        if kind == 0 and self.changes:
            wide = np.repeat(linear(payload), 6).astype(np.int16)
            kind, payload = 8, self._encode.encode(wide)
            self.changed += 1
        super()._send(kind, timestamp, payload, marker=marker)


async def test_a_phone_that_changes_its_codec_in_the_middle_of_the_call_is_still_heard(local: LocalRelays) -> None:
    caller, called = RawPhone(CALLER_HZ), Switching(CALLED_HZ)
    relay = local.relay("call", RTP)
    try:
        await join(relay, caller, called)
        await until_heard(caller, CALLED_HZ)
        assert relay.passes == (True, True)
        called.changes = True
        await until(lambda: called.changed > 60, "more in the other codec than is listened to")
        await until_heard(caller, CALLED_HZ)
        await until_heard(called, CALLER_HZ)
        assert relay.passes == (True, True), "by a table"
    finally:
        await caller.close()
        await called.close()


async def test_a_side_that_vanishes_is_reported_lost(local: LocalRelays, media: MediaThread) -> None:
    caller, called = PortPhone.webrtc(media, CALLER_HZ), RawPhone(CALLED_HZ)
    relay = local.relay("call", WEBRTC)
    told = Told(relay)
    try:
        offered = await relay.offer(await caller.offer(), RTP)
        await caller.accept(await relay.answer(await called.answer(offered)))
        await until_heard(caller, CALLED_HZ)
        await caller.close()
        await until(lambda: any(isinstance(each, SideLost) and each.side is Side.CALLER for each in told.events), "lost")
    finally:
        await caller.close()
        await called.close()


async def test_a_digit_that_the_other_side_does_not_take_is_reported_so(local: LocalRelays, phones: tuple[RawPhone, RawPhone]) -> None:
    caller, called = phones
    relay = local.relay("call", RTP)
    told = Told(relay)
    offered = await relay.offer(await caller.offer(), RTP)
    answer = [line for line in (await called.answer(offered)).splitlines() if "telephone-event" not in line and "fmtp" not in line]
    plain = "".join(f"{line}\r\n" for line in answer).replace(f"RTP/AVP 0 {called.event_type}", "RTP/AVP 0")
    await caller.accept(await relay.answer(plain))
    await until_heard(called, CALLER_HZ)
    await caller.press(4)
    await until(lambda: any(isinstance(each, SideDigitHeard) for each in told.events), "the digit")
    assert next(each for each in told.events if isinstance(each, SideDigitHeard)).passed is False
    with pytest.raises(MediaError):
        await relay.dtmf(Side.CALLED, "1")


# what must not stay behind


async def test_a_refused_answer_leaves_no_port_behind(local: LocalRelays, phones: tuple[RawPhone, RawPhone]) -> None:
    caller, called = phones
    before = opened_sockets()
    relay = local.relay("call", RTP)
    offered = await relay.offer(await caller.offer(), RTP)
    answer = (await called.answer(offered)).replace("RTP/AVP 0", "RTP/AVP 77")
    with pytest.raises(MediaError):
        await relay.answer(answer)
    await relay.delete()
    await called.close()
    await caller.close()
    assert opened_sockets() <= before


@pytest.mark.parametrize("sdp", ["", "v=0\r\n", "v=0\r\nm=video 1 RTP/AVP 0\r\n", "v=0\r\nm=audio 0 RTP/AVP 0\r\n"])
async def test_an_offer_without_sound_is_refused_and_leaves_no_port_behind(local: LocalRelays, sdp: str) -> None:
    before = opened_sockets()
    relay = local.relay("call", RTP)
    with pytest.raises(MediaError):
        await relay.offer(sdp, WEBRTC)
    await relay.delete()
    assert opened_sockets() <= before


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.005, 0.02, 0.1])
async def test_a_relay_whose_offer_was_cancelled_leaves_no_port_behind(
    local: LocalRelays, phones: tuple[RawPhone, RawPhone], delay_s: float
) -> None:
    caller, called = phones
    await called.open()
    offer = await caller.offer()
    before = opened_sockets()
    relay = local.relay("call", RTP)
    working = start_task(relay.offer(offer, WEBRTC), name="offer")
    await asyncio.sleep(delay_s)
    working.cancel()
    await asyncio.wait([working])
    await relay.delete()
    assert opened_sockets() <= before


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.005, 0.02])
async def test_a_relay_whose_second_branch_was_cancelled_leaves_no_port_behind(
    local: LocalRelays, media: MediaThread, delay_s: float
) -> None:
    first, second, caller = PortPhone.webrtc(media, CALLED_HZ), PortPhone.webrtc(media, THIRD_HZ), RawPhone(CALLER_HZ)
    try:
        offer = await caller.offer()
        relay = local.relay("call", RTP)
        before = opened_sockets()
        offered = await relay.offer(offer, WEBRTC)
        await relay.ringing(await first.answer(offered), branch="1")
        answer = await second.answer(offered)
        working = start_task(relay.ringing(answer, branch="2"), name="ringing")
        await asyncio.sleep(delay_s)
        working.cancel()
        await asyncio.wait([working])
        await relay.delete()
        await first.close()
        await second.close()
        assert opened_sockets() <= before
    finally:
        for phone in (first, second, caller):
            await phone.close()


class ForkingPort:
    """Is forked when it's let."""

    def __init__(self, let: asyncio.Event) -> None:
        self.is_closed = False
        self._let = let

    async def fork(self) -> "ForkingPort":
        await self._let.wait()
        return self

    async def close(self) -> None:
        await asyncio.sleep(0.01)
        self.is_closed = True


async def test_forks_that_come_about_while_a_relay_is_deleted_are_closed(local: LocalRelays) -> None:
    relay, let = local.relay("call", RTP), asyncio.Event()
    told, ports = Told(relay), [ForkingPort(let) for _ in range(3)]
    forking = [start_task(_forked(relay, port), name="fork") for port in ports]
    await asyncio.sleep(0)
    deleting = start_task(relay.delete(), name="delete")
    await asyncio.sleep(0.05)
    let.set()
    await asyncio.wait([*forking, deleting])
    assert deleting.exception() is None
    assert all(port.is_closed for port in ports)
    await told.ended()


async def _forked(relay: LocalRelay, port: ForkingPort) -> None:
    await relay._fork(cast(PassingPort, port))


async def test_closing_the_relays_deletes_what_is_left_and_no_task_stays(media: MediaThread, phones: tuple[RawPhone, RawPhone]) -> None:
    caller, called = phones
    before, relays = opened_sockets(), LocalRelays(media)
    running = asyncio.all_tasks()
    relay = relays.relay("call", RTP)
    await join(relay, caller, called)
    await until_heard(called, CALLER_HZ)
    await relays.close()
    await relays.close()
    await caller.close()
    await called.close()
    assert opened_sockets() <= before
    async with asyncio.timeout(PATIENCE_S):
        while asyncio.all_tasks() - running:
            await asyncio.sleep(0.01)
    with pytest.raises(MediaError):
        await relay.answer("v=0\r\n")


async def test_deleting_after_the_media_thread_was_stopped_still_ends_the_events(phones: tuple[RawPhone, RawPhone]) -> None:
    caller, called = phones
    thread = MediaThread().start()
    relay = LocalRelays(thread).relay("call", RTP)
    told = Told(relay)
    await join(relay, caller, called)
    await until_heard(called, CALLER_HZ)
    await asyncio.to_thread(thread.stop)
    await relay.delete()
    await told.ended()


async def test_a_called_side_behind_nat_is_heard_once_its_answer_says_where_it_is(
    local: LocalRelays, phones: tuple[RawPhone, RawPhone]
) -> None:
    caller, called = phones
    relay = local.relay("call", RTP)
    private = (await called.answer(await relay.offer(await caller.offer(), RTP))).replace("IN IP4 127.0.0.1", "IN IP4 192.0.2.1")
    await caller.accept(await relay.answer(private, signalled_from="127.0.0.1"))
    await until_heard(caller, CALLED_HZ)
    await until_heard(called, CALLER_HZ)
    await relay.delete()


async def test_calls_out_of_order_are_refused(local: LocalRelays, phones: tuple[RawPhone, RawPhone]) -> None:
    caller, _ = phones
    relay = local.relay("call", RTP)
    offer = await caller.offer()
    for wrong in (relay.answer(offer), relay.renew(Side.CALLER, offer), relay.propose(Side.CALLED)):
        with pytest.raises(LocalProtocolError):
            await wrong
    with pytest.raises(MediaError):
        await relay.dtmf(Side.CALLER, "1")
    await phones[1].open()


async def test_an_offer_over_rtp_that_names_no_address_is_refused_before_anybody_rings(local: LocalRelays) -> None:
    before = opened_sockets()
    relay = local.relay("call", RTP)
    with pytest.raises(MediaError, match="names no address"):
        await relay.offer("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", WEBRTC)
    await relay.delete()
    assert opened_sockets() <= before
