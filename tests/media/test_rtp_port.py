"""Ports over plain RTP and SDES-SRTP on the loopback: sound, digits, hold, strangers, and what is left behind."""

import asyncio
import gc
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.codecs.codec import PCMU
from sinchphone.media.port import Connected, FirstPacket, PortDigitHeard, PortEvent, PortSilent, RtpPortOptions
from sinchphone.media.rtp.port import RtpPort
from sinchphone.protocol.rtp.packet import RtpPacket, decode_packet, decode_reports, encode_packet
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.tasks import start_task

PATIENCE = 10.0
SETTLED = 15  # frames until the jitter buffers play
HERE = RtpPortOptions(codecs=("PCMU",))
Event = TypeVar("Event", bound=PortEvent)


class Peer:
    """A port whose events are read."""

    def __init__(self, options: RtpPortOptions) -> None:
        self.port = RtpPort(options)
        self.seen: list[PortEvent] = []
        self.heard: list[Samples] = []
        self._news = asyncio.Event()

    async def read(self) -> None:
        async for event in self.port.events():
            self.seen.append(event)
            self._news.set()

    async def wait_for(self, wanted: Callable[[PortEvent], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not any(map(wanted, self.seen)):
                self._news.clear()
                await self._news.wait()

    def all(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.seen if isinstance(event, kind)]

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.heard[SETTLED:])


@asynccontextmanager
async def two_peers(one: RtpPortOptions = HERE, other: RtpPortOptions | None = None) -> AsyncIterator[tuple[Peer, Peer]]:
    caller, callee = Peer(one), Peer(other or one)
    reading = [start_task(peer.read(), name="read") for peer in (caller, callee)]
    try:
        yield caller, callee
    finally:
        await caller.port.close()
        await callee.port.close()
        await asyncio.wait_for(asyncio.gather(*reading), PATIENCE)


async def connect(caller: Peer, callee: Peer) -> None:
    await caller.port.accept(await callee.port.answer(await caller.port.offer()))


async def talk(frames: int, *speakers: tuple[Peer, float]) -> None:
    """Everybody sends a tone of their own and keeps what they pull."""
    tones = [(peer, Sine(hz)) for peer, hz in speakers]
    for peer, _ in tones:
        peer.heard.clear()
    due = time.monotonic()
    for _ in range(frames):
        for peer, tone in tones:
            peer.port.leg.send(tone.pull())
            peer.heard.append(peer.port.leg.pull(FRAME_SAMPLES))
        due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def clearest(sound: Samples, hz: float, length: int = RATE // 2) -> float:
    """The tone's share in the half second that has most of it: on a busy machine a stalled test is heard as a gap."""
    return max(share(sound[at : at + length], hz) for at in range(0, max(1, len(sound) - length + 1), RATE // 10))


def port_of(description: Description) -> int:
    found = re.search(r"m=audio (\d+)", description.sdp)
    assert found is not None
    return int(found[1])


class Phone:
    """A bare socket in the place of a phone, with a description written by hand."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._socket.setblocking(False)
        self.sequence = 0

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def describe(self, kind: str = "offer", extra: str = "", *, address: str | None = None, port: int | None = None) -> Description:
        sdp = f"v=0\r\no=- 1 1 IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {address or self.address}\r\nt=0 0\r\n"
        sdp += f"m=audio {port or self.port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n{extra}"
        return Description("answer" if kind == "answer" else "offer", sdp)

    def send(self, to: int, payload: bytes = bytes(160), ssrc: int = 5) -> None:
        self.sequence += 1
        self._socket.sendto(encode_packet(RtpPacket(0, self.sequence, self.sequence * 160, ssrc, payload)), ("127.0.0.1", to))

    def send_raw(self, to: int, data: bytes) -> None:
        self._socket.sendto(data, ("127.0.0.1", to))

    async def receive(self) -> bytes:
        return (await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(self._socket, 2048), PATIENCE))[0]

    def received(self) -> list[bytes]:
        """What is there by now."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(2048))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def a_phone(address: str = "127.0.0.1") -> AsyncIterator[Phone]:
    phone = Phone(address)
    try:
        yield phone
    finally:
        phone.close()


@pytest.mark.parametrize("srtp", [False, True], ids=["rtp", "srtp"])
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "opus"])
async def test_each_end_hears_the_tone_of_the_other(codec: str, srtp: bool) -> None:
    async with two_peers(RtpPortOptions(codecs=(codec,), srtp=srtp)) as (caller, callee):
        await connect(caller, callee)
        await talk(80, (caller, 440), (callee, 620))
        assert clearest(callee.sound, 440) > 0.95
        assert clearest(caller.sound, 620) > 0.95
        assert dbfs(callee.sound) == pytest.approx(-20, abs=1)
        for peer in (caller, callee):
            await peer.wait_for(lambda event: isinstance(event, FirstPacket))
            assert peer.all(Connected) == [Connected(pair="srtp" if srtp else "rtp", codec=codec)]
            assert (await peer.port.stats()).codec == codec


async def test_ipv6_carries_sound_too() -> None:
    async with two_peers(replace(HERE, host="::1")) as (caller, callee):
        offer = await caller.port.offer()
        assert "c=IN IP6 ::1" in offer.sdp
        await caller.port.accept(await callee.port.answer(offer))
        await talk(60, (caller, 440), (callee, 620))
        assert clearest(callee.sound, 440) > 0.95


async def test_the_answerer_takes_the_first_common_codec_of_the_offer_or_the_preferred_one() -> None:
    everything = RtpPortOptions(codecs=("G722", "opus", "PCMA", "PCMU"))
    for prefer, taken in ((None, "opus"), ("PCMA", "PCMA"), ("G722", "opus")):
        async with two_peers(everything, RtpPortOptions(codecs=("PCMA", "opus"))) as (caller, callee):
            await caller.port.accept(await callee.port.answer(await caller.port.offer(), prefer=prefer))
            for peer in (caller, callee):
                assert peer.port.codec is not None
                assert peer.port.codec.name == taken


@pytest.mark.parametrize("codec", ["PCMU", "opus"])
async def test_digits_arrive_exactly_and_nothing_is_lost_by_them(codec: str) -> None:
    async with two_peers(RtpPortOptions(codecs=(codec,), srtp=True)) as (caller, callee):
        await connect(caller, callee)
        talking = start_task(talk(250, (caller, 440), (callee, 620)), name="talk")
        await caller.port.dtmf("15#")
        await asyncio.gather(caller.port.dtmf("*"), caller.port.dtmf("wD"), callee.port.dtmf("9"))
        await callee.wait_for(lambda event: event == PortDigitHeard(digit="D", duration_ms=100))
        assert callee.all(PortDigitHeard) == [PortDigitHeard(digit=digit, duration_ms=100) for digit in "15#*D"]
        await caller.wait_for(lambda event: event == PortDigitHeard(digit="9", duration_ms=100))
        await talking
        for peer in (caller, callee):
            stats = await peer.port.stats()
            assert stats.packets_lost == 0
            assert stats.packets_received > 200


async def test_digits_need_no_sound_beside_them() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await caller.port.dtmf("77")
        await callee.wait_for(lambda event: len(callee.all(PortDigitHeard)) == 2)
        assert callee.all(PortDigitHeard) == [PortDigitHeard(digit="7", duration_ms=100)] * 2


async def test_digits_are_refused_where_the_peer_takes_none_or_before_the_answer_or_what_is_none() -> None:
    async with two_peers() as (caller, _), a_phone() as phone:
        offer = await caller.port.offer()
        with pytest.raises(MediaError):
            await caller.port.dtmf("1")
        plain = phone.describe("answer").sdp.replace(" 101\r\n", "\r\n").replace("a=rtpmap:101 telephone-event/8000\r\n", "")
        await caller.port.accept(Description("answer", plain))
        with pytest.raises(MediaError, match="digits"):
            await caller.port.dtmf("1")
        assert port_of(offer) % 2 == 0
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        with pytest.raises(LocalProtocolError):
            await caller.port.dtmf("1x")


async def test_hold_and_resume() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        held = await callee.port.reanswer(await caller.port.reoffer(direction="sendonly"))
        assert "a=recvonly" in held.sdp
        await caller.port.accept(held)
        assert (caller.port.direction, callee.port.direction) == ("sendonly", "recvonly")
        sent_before = (await callee.port.stats()).packets_sent
        await talk(20, (caller, 440), (callee, 620))
        assert (await callee.port.stats()).packets_sent == sent_before
        with pytest.raises(MediaError):
            await callee.port.dtmf("1")
        await caller.port.accept(await callee.port.reanswer(await caller.port.reoffer()))
        assert (caller.port.direction, callee.port.direction) == ("sendrecv", "sendrecv")
        await talk(60, (caller, 440), (callee, 620))
        assert clearest(caller.sound, 620) > 0.95
        assert caller.all(Connected) == [Connected(pair="rtp", codec="PCMU")]


async def test_an_old_phone_holds_with_an_address_of_zeros() -> None:
    async with two_peers() as (port, _), a_phone() as phone:
        await port.port.answer(phone.describe())
        await talk(3, (port, 440))
        await phone.receive()
        held = await port.port.reanswer(phone.describe(address="0.0.0.0"))
        assert port.port.direction == "recvonly"
        assert "a=recvonly" in held.sdp
        await asyncio.sleep(0)
        phone.received()
        await talk(5, (port, 440))
        assert not [data for data in phone.received() if 0 <= data[1] & 0x7F <= 34]
        await port.port.reanswer(phone.describe())
        await talk(3, (port, 440))
        await phone.receive()


async def test_a_later_offer_may_change_the_codec() -> None:
    both = RtpPortOptions(codecs=("PCMU", "opus"), srtp=True)
    async with two_peers(both) as (caller, callee):
        await connect(caller, callee)
        await talk(30, (caller, 440), (callee, 620))
        await caller.port.accept(await callee.port.reanswer(await caller.port.reoffer(), prefer="opus"))
        await talk(100, (caller, 440), (callee, 620))
        assert clearest(callee.sound, 440) > 0.95
        assert clearest(caller.sound, 620) > 0.95
        assert callee.all(Connected) == [Connected(pair="srtp", codec="PCMU"), Connected(pair="srtp", codec="opus")]


async def test_a_refused_offer_changes_nothing() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await caller.port.reoffer(direction="inactive")
        await caller.port.withdraw()
        assert caller.port.direction == "sendrecv"
        with pytest.raises(MediaError):
            await callee.port.reanswer(Description("offer", "v=0\r\ns=-\r\nm=audio 9 RTP/AVP 18\r\n"))
        await talk(60, (caller, 440), (callee, 620))
        assert clearest(callee.sound, 440) > 0.95


async def test_an_early_answer_is_followed_by_the_final_one_of_another_branch() -> None:
    async with two_peers() as (caller, early), two_peers() as (final, _):
        offer = await caller.port.offer()
        first = await early.port.answer(offer)
        await caller.port.accept(first)
        await talk(30, (caller, 440), (early, 620))
        await caller.port.accept(first)  # the 200 of the same branch
        await caller.port.accept(await final.port.answer(offer))
        await talk(80, (caller, 440), (early, 620), (final, 800))
        assert clearest(final.sound, 440) > 0.95
        assert clearest(caller.sound, 800) > 0.95
        assert share(caller.sound[-RATE // 2 :], 620) < 0.05


async def test_after_an_answer_that_does_not_fit_another_one_is_taken() -> None:
    async with two_peers() as (caller, callee):
        offer = await caller.port.offer()
        with pytest.raises(MediaError):
            await caller.port.accept(Description("answer", "v=0\r\ns=-\r\nm=audio 9 RTP/AVP 18\r\n"))
        with pytest.raises(MediaError):
            await caller.port.accept(Description("answer", "nonsense"))
        await caller.port.accept(await callee.port.answer(offer))
        assert caller.port.codec == PCMU


async def test_rtcp_goes_to_its_own_port_unless_both_multiplex() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await talk(10, (caller, 440), (callee, 620))
        await until_round_trip(caller, callee)
    async with two_peers() as (port, _), a_phone() as phone, a_phone() as control:
        answer = await port.port.answer(phone.describe(extra=f"a=rtcp:{control.port}\r\n"))
        assert "rtcp-mux" not in answer.sdp
        await talk(5, (port, 440))
        reports = decode_reports(await control.receive())
        assert reports[0].sender is not None
        assert reports[0].sender.packets > 0
        assert not [data for data in phone.received() if 200 <= data[1] <= 204]


async def until_round_trip(caller: Peer, callee: Peer) -> None:
    async with asyncio.timeout(PATIENCE * 2):
        while (await caller.port.stats()).round_trip_ms is None:
            await talk(10, (caller, 440), (callee, 620))
    assert 0 <= ((await caller.port.stats()).round_trip_ms or 0) < 1000


async def test_the_peer_is_told_goodbye() -> None:
    async with two_peers() as (port, _), a_phone() as phone, a_phone() as control:
        await port.port.answer(phone.describe(extra=f"a=rtcp:{control.port}\r\n"))
        await port.port.close()
        data = await control.receive()
        assert 203 in {data[1], data[9], data[-7]}


async def test_sound_from_a_stranger_changes_nothing() -> None:
    """Attack: RTP to the open port from another host, before the phone's first packet and during the call."""
    async with two_peers() as (port, _), a_phone() as phone, a_phone("127.0.0.2") as stranger:
        answer = await port.port.answer(phone.describe())
        stranger.send(port_of(answer), bytes(range(160)), ssrc=66)
        phone.send(port_of(answer))
        await port.wait_for(lambda event: isinstance(event, FirstPacket))
        for _ in range(20):
            stranger.send(port_of(answer), bytes(range(160)), ssrc=66)
            stranger.send(port_of(answer) + 1, bytes(160))
        phone.send(port_of(answer))
        await wait_for_packets(port, 2)
        await talk(3, (port, 440))
        await phone.receive()
        assert not stranger.received()
        assert (await port.port.stats()).packets_received == 2


async def wait_for_packets(peer: Peer, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await peer.port.stats()).packets_received < count:
            await asyncio.sleep(0.005)


async def test_a_phone_behind_nat_is_heard_from_where_its_signaling_comes_and_answered_there() -> None:
    options = replace(HERE, signalled_from="127.0.0.3")
    async with two_peers(options) as (port, _), a_phone("127.0.0.3") as outside, a_phone("127.0.0.2") as stranger:
        answer = await port.port.answer(outside.describe(address="192.168.99.7", port=4000))
        stranger.send(port_of(answer))
        outside.send(port_of(answer))
        await port.wait_for(lambda event: isinstance(event, FirstPacket))
        await talk(3, (port, 440))
        assert decode_packet(await outside.receive()) is not None
        assert not stranger.received()


async def test_the_keys_of_another_call_open_nothing() -> None:
    """Attack: packets that are protected with a key of somebody else, from the very address of the phone."""
    async with two_peers(replace(HERE, srtp=True)) as (caller, callee):
        answer = await callee.port.answer(await caller.port.offer())
        forged = re.sub(r"inline:\S{10}", "inline:AAAAAAAAAA", answer.sdp)
        assert forged != answer.sdp
        await caller.port.accept(Description("answer", forged))
        await talk(10, (caller, 440), (callee, 620))
        assert (await caller.port.stats()).packets_received == 0
        assert (await callee.port.stats()).packets_received > 0
        assert not caller.all(FirstPacket)


async def test_plain_sound_is_not_taken_where_srtp_was_agreed_on() -> None:
    async with two_peers(replace(HERE, srtp=True)) as (caller, callee), a_phone() as phone:
        with pytest.raises(MediaError):
            await callee.port.answer(phone.describe())
        await connect(caller, callee)
        phone.send(port_of(await callee.port.reoffer()))
        await talk(5, (caller, 440))
        await callee.wait_for(lambda event: isinstance(event, FirstPacket))
        assert (await callee.port.stats()).packets_received <= 5


async def test_what_is_no_rtp_costs_nothing() -> None:
    """Attack: STUN, DTLS, torn RTP and RTCP from the phone's own address."""
    async with two_peers() as (port, _), a_phone() as phone:
        answer = await port.port.answer(phone.describe())
        for data in (
            b"",
            b"\x80",
            b"\x00\x01\x00\x00",
            b"\x16\xfe\xff",
            b"\x80\xc8",
            b"\x80\xc8\xff\xff" + bytes(20),
            b"\xbf" + bytes(60),
            b"\x80\x00" + bytes(1600),
        ):
            phone.send_raw(port_of(answer), data)
            phone.send_raw(port_of(answer) + 1, data)
        phone.send(port_of(answer))
        await port.wait_for(lambda event: isinstance(event, FirstPacket))
        assert (await port.port.stats()).packets_received == 1


async def test_a_phone_that_falls_silent_is_told_of_now_and_again_but_not_while_on_hold_and_is_sent_to_meanwhile() -> None:
    options = replace(HERE, lost_after_s=0.4)
    async with two_peers(options) as (port, held), a_phone() as phone:
        answers: list[Description] = []
        for peer, extra in ((port, ""), (held, "a=sendonly\r\n")):
            answers.append(await peer.port.answer(phone.describe(extra=extra)))
            phone.send(port_of(answers[-1]))
            await peer.wait_for(lambda event: isinstance(event, FirstPacket))
        began = time.monotonic()
        await port.wait_for(lambda _: len(port.all(PortSilent)) >= 3)
        first, second, third = (event.silent_s for event in port.all(PortSilent)[:3])
        assert first >= 0.4
        assert (first + 0.4 <= second, second + 0.4 <= third, time.monotonic() - began >= 1.2) == (True, True, True)
        assert not held.all(PortSilent)
        sent = (await port.port.stats()).packets_sent
        await talk(3, (port, 440))
        assert (await port.port.stats()).packets_sent > sent
        phone.send(port_of(answers[0]))
        told = len(port.all(PortSilent))
        await port.wait_for(lambda _: len(port.all(PortSilent)) > told)
        assert port.all(PortSilent)[told].silent_s < third


async def test_a_silent_phone_is_never_lost_where_no_time_is_set() -> None:
    async with two_peers(replace(HERE, lost_after_s=0.0)) as (port, _), a_phone() as phone:
        answer = await port.port.answer(phone.describe())
        phone.send(port_of(answer))
        await port.wait_for(lambda event: isinstance(event, FirstPacket))
        await asyncio.sleep(1.5)
        assert not port.all(PortSilent)
        assert (await port.port.stats()).silent_s > 1  # type: ignore[operator]


async def test_after_a_long_hold_the_phone_has_time_to_speak_again() -> None:
    async with two_peers(replace(HERE, lost_after_s=0.6)) as (port, _), a_phone() as phone:
        answer = await port.port.answer(phone.describe())
        phone.send(port_of(answer))
        await port.wait_for(lambda event: isinstance(event, FirstPacket))
        await port.port.reanswer(phone.describe(extra="a=sendonly\r\n"))
        await asyncio.sleep(1.0)
        await port.port.reanswer(phone.describe())
        await asyncio.sleep(0.2)
        assert not port.all(PortSilent)
        await port.wait_for(lambda event: isinstance(event, PortSilent))


async def test_a_description_whose_address_can_not_be_used_changes_nothing() -> None:
    async with two_peers() as (port, _), a_phone() as phone:
        offer = await port.port.offer()
        with pytest.raises(MediaError):
            await port.port.accept(phone.describe("answer", address="nobody.invalid.test"))
        ipv6 = Description("answer", phone.describe("answer").sdp.replace("IN IP4 127.0.0.1", "IN IP6 ::1"))
        with pytest.raises(MediaError):
            await port.port.accept(ipv6)
        assert port.port.codec is None
        await port.port.accept(phone.describe("answer"))
        phone.send(port_of(offer))
        await port.wait_for(lambda event: isinstance(event, FirstPacket))
        with pytest.raises(MediaError):
            await port.port.reanswer(phone.describe(address="nobody.invalid.test", extra="a=inactive\r\n"))
        assert port.port.direction == "sendrecv"
        assert "a=sendrecv" in (await port.port.reanswer(phone.describe())).sdp


async def test_a_phone_with_both_versions_of_ip_that_names_the_other_one_is_found_where_its_signaling_comes_from() -> None:
    """Seen with linphonec: signaling from 127.0.0.1, and a description with the machine's IPv6 address."""
    async with two_peers(replace(HERE, signalled_from="127.0.0.1")) as (port, _), a_phone() as phone:
        ipv6 = Description("offer", phone.describe().sdp.replace("IN IP4 127.0.0.1", "IN IP6 2001:db8::1"))
        answer = await port.port.answer(ipv6)
        phone.send(port_of(answer))
        await port.wait_for(lambda event: isinstance(event, FirstPacket))


async def test_a_phone_that_still_rings_is_not_lost() -> None:
    """Early media was agreed on, and nothing comes until somebody answers."""
    async with two_peers(replace(HERE, lost_after_s=0.1)) as (port, _), a_phone() as phone:
        await port.port.offer()
        await port.port.accept(phone.describe("answer"))
        await asyncio.sleep(0.5)
        assert not port.all(PortSilent)


async def test_packets_pass_through_two_ports_without_a_codec() -> None:
    async with two_peers() as (alice, left), two_peers() as (right, bob):
        await connect(alice, left)
        await connect(right, bob)
        left.port.divert(right.port.forward)
        right.port.divert(left.port.forward)
        talking = start_task(talk(120, (alice, 440), (bob, 620)), name="talk")
        await alice.port.dtmf("3")
        await left.wait_for(lambda event: event == PortDigitHeard(digit="3", duration_ms=100))
        await right.port.dtmf("3")
        await bob.wait_for(lambda event: event == PortDigitHeard(digit="3", duration_ms=100))
        await talking
        assert clearest(bob.sound, 440) > 0.95
        assert clearest(alice.sound, 620) > 0.95
        assert (await bob.port.stats()).packets_lost == (await alice.port.stats()).packets_lost == 0
        assert (await left.port.stats()).played_samples == 0
        left.port.divert(None)
        await talk(40, (alice, 440), (left, 700))
        assert clearest(left.sound, 440) > 0.9


async def test_a_port_that_is_bound_to_every_address_must_say_which_one_it_is() -> None:
    with pytest.raises(LocalProtocolError):
        RtpPort(RtpPortOptions(host="0.0.0.0"))
    async with two_peers(RtpPortOptions(host="0.0.0.0", address="127.0.0.1", codecs=("PCMU",))) as (caller, callee):
        await connect(caller, callee)
        await talk(60, (caller, 440), (callee, 620))
        assert clearest(callee.sound, 440) > 0.95


async def test_a_name_in_a_description_is_looked_up_and_an_unknown_one_refused() -> None:
    async with two_peers() as (port, other), a_phone() as phone:
        await port.port.answer(phone.describe(address="localhost"))
        await talk(3, (port, 440))
        with pytest.raises(MediaError):
            await other.port.answer(phone.describe(address="nobody.invalid.test"))


async def test_nothing_is_left_behind() -> None:
    tasks = asyncio.all_tasks()
    async with two_peers(replace(HERE, srtp=True)) as (caller, callee):
        await connect(caller, callee)
        pressing = start_task(caller.port.dtmf("123456789"), name="dtmf")
        await talk(10, (caller, 440), (callee, 620))
        ports = [port_of(await peer.port.reoffer()) for peer in (caller, callee)]
        await asyncio.gather(caller.port.close(), caller.port.close(), callee.port.close())
        with pytest.raises(MediaError):
            await pressing
        for method in (caller.port.offer(), caller.port.answer(Description("offer", ""))):
            with pytest.raises(MediaError):
                await method
    await asyncio.sleep(0)
    gc.collect()
    for port in ports:
        for number in (port, port + 1):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
                again.bind(("127.0.0.1", number))
    assert asyncio.all_tasks() == tasks


async def test_a_port_of_which_nothing_was_asked_closes() -> None:
    port = RtpPort(HERE)
    assert (port.codec, port.direction) == (None, "inactive")
    await port.close()
    assert [event async for event in port.events()] == []


LINES = [
    "a=rtpmap:0 PCMU/8000",
    "a=sendonly",
    "a=rtcp-mux",
    "a=rtcp:70000",
    "c=IN IP4 127.0.0.1",
    "c=IN IP6 ::1",
    "a=fmtp:0 x",
    "a=ptime:0",
]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=20)), max_size=20))
@settings(max_examples=30, deadline=None)
def test_any_description_is_taken_or_refused(lines: list[str]) -> None:
    async def answer() -> None:
        port = RtpPort(HERE)
        try:
            await port.answer(Description("offer", "v=0\r\nm=audio 9 RTP/AVP 0\r\n" + "\r\n".join(lines)))
        except MediaError:
            pass
        finally:
            await port.close()

    asyncio.run(answer())
