"""WebRTC ports over real sockets on the loopback: what is pulled at one end is what was sent at the other."""

import asyncio
import datetime
import random
import socket
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from sinchphone.audio.frame import FRAME_SAMPLES
from sinchphone.audio.tones.goertzel import share
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.ice_servers import IceServer
from sinchphone.media.port import CandidateFound, Connected, FirstPacket, PortFailed, PortLost, PortOptions
from sinchphone.media.webrtc.identity import DtlsCertificate, DtlsIdentity
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task
from tests.media.webrtc.port_peers import HERE, PATIENCE, a_peer, clearest, connect, set_up, talk, two_peers


async def test_each_end_hears_the_tone_of_the_other_and_not_its_own() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await talk(200, (caller, 440), (callee, 620))
        assert clearest(callee.sound, 440) > 0.95
        assert clearest(caller.sound, 620) > 0.95
        assert share(caller.sound, 440) < 0.01
        assert (await caller.wait_for(Connected)) == Connected(pair="host", codec="opus")
        await caller.wait_for(FirstPacket)


async def test_an_offer_and_an_answer_carry_no_candidates_and_ask_for_error_correction() -> None:
    async with two_peers() as (caller, callee):
        offer = await caller.port.offer()
        answer = await callee.port.answer(offer)
        for description in (offer, answer):
            assert "a=candidate" not in description.sdp
            assert "a=fmtp:111 minptime=10;useinbandfec=1" in description.sdp
        assert (await caller.wait_for(CandidateFound)).candidate is not None
        while CandidateFound(candidate=None) not in caller.seen:
            await asyncio.sleep(0.01)


async def test_statistics_count_both_directions() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await talk(100, (caller, 440), (callee, 620))
        stats = await caller.port.stats()
        assert (stats.codec, stats.packets_lost) == ("opus", 0)
        assert stats.packets_sent == 100
        assert 95 <= stats.packets_received <= 100
        assert stats.bytes_received > 2_000


async def test_the_round_trip_is_known_after_a_report_each_way() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await talk(10, (caller, 440), (callee, 620))
        async with asyncio.timeout(PATIENCE):
            while (round_trip := (await caller.port.stats()).round_trip_ms) is None:
                await asyncio.sleep(0.05)
        assert 0 < round_trip < 1000


async def test_a_stun_server_that_never_answers_delays_neither_the_offer_nor_the_call() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        port = hole.getsockname()[1]
        servers = (IceServer(urls=(f"stun:127.0.0.1:{port}",)), IceServer(urls=(f"turn:127.0.0.1:{port}",), username="u", credential="p"))
        dead = PortOptions(ice_servers=servers, loopback=True)
        async with two_peers(dead, dead) as (caller, callee):
            started = time.monotonic()
            await connect(caller, callee)
            assert time.monotonic() - started < 0.5  # the servers' own limit is 2 s
            assert CandidateFound(candidate=None) not in caller.seen


async def test_two_devices_answer_one_offer_and_each_talks_on_a_fork_of_its_own() -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(a_peer(WebRtcPort(HERE)))
        offer = await first.port.offer()
        second = await stack.enter_async_context(a_peer(await first.port.fork()))
        devices = [await stack.enter_async_context(a_peer(WebRtcPort(HERE))) for _ in range(2)]
        for mine, device in zip((first, second), devices, strict=True):
            await mine.trickle_to(device.port.add_candidate)
            await device.trickle_to(mine.port.add_candidate)
            await mine.port.accept(await device.port.answer(offer))
        for peer in (first, second, *devices):
            await peer.wait_for(Connected)
        await talk(200, (first, 300), (second, 500), (devices[0], 700), (devices[1], 1100))
        heard = [clearest(peer.sound, hz) for peer, hz in ((first, 700), (second, 1100), (devices[0], 300), (devices[1], 500))]
        assert min(heard) > 0.95, heard


async def test_a_fork_answers_after_the_first_device_was_accepted_and_the_first_was_closed() -> None:
    async with two_peers() as (caller, callee), AsyncExitStack() as stack:
        offer = await caller.port.offer()
        await caller.port.accept(await callee.port.answer(offer))
        await caller.wait_for(Connected)
        fork = await stack.enter_async_context(a_peer(await caller.port.fork()))
        late = await stack.enter_async_context(a_peer(WebRtcPort(HERE)))
        await caller.port.close()
        await fork.trickle_to(late.port.add_candidate)
        await fork.port.accept(await late.port.answer(offer))
        await fork.wait_for(Connected)


async def test_candidates_may_come_before_the_description() -> None:
    async with a_peer(WebRtcPort(HERE)) as caller, a_peer(WebRtcPort(HERE)) as callee:
        offer = await caller.port.offer()
        while CandidateFound(candidate=None) not in caller.seen:
            await asyncio.sleep(0.01)
        await caller.trickle_to(callee.port.add_candidate)  # all of them, and their end, before the offer
        await caller.port.accept(await callee.port.answer(offer))
        await callee.wait_for(Connected)


async def test_a_callee_that_gives_no_candidates_is_found_by_its_checks() -> None:
    async with a_peer(WebRtcPort(HERE)) as caller, a_peer(WebRtcPort(HERE)) as callee:
        await caller.trickle_to(callee.port.add_candidate)
        await caller.port.accept(await callee.port.answer(await caller.port.offer()))
        await caller.port.add_candidate(None)
        await caller.wait_for(Connected)


async def test_candidates_that_cannot_be_used_are_ignored() -> None:
    async with two_peers() as (caller, callee):
        for text in (
            "candidate:1 1 udp 2122260223 4f7d1a3e-aaaa-bbbb-cccc-123456789abc.local 50000 typ host",
            "candidate:1 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
            "candidate:1 2 udp 2122260222 127.0.0.1 50001 typ host",
            "candidate:1 1 udp 2122260223 127.0.0.1 0 typ host",
            "candidate:1 1 udp 2122260223 127.0.0.1 70000 typ host",
            "candidate:1 1 udp many 127.0.0.1 5000 typ host",
            "candidate:",
            "nonsense",
        ):
            await caller.port.add_candidate(Candidate(text, "0", 0))
        await connect(caller, callee)


@pytest.mark.parametrize("dropped", [["a=mid"], ["a=mid", "a=group"], ["a=ssrc", "a=msid"]])
async def test_an_answer_without_optional_attributes_is_taken(dropped: list[str]) -> None:
    async with two_peers() as (caller, callee):
        answer = await callee.port.answer(await caller.port.offer())
        lines = [line for line in answer.sdp.splitlines() if not line.startswith(tuple(dropped))]
        await caller.port.accept(Description("answer", "\r\n".join(lines)))
        await caller.wait_for(Connected)


async def test_an_offer_that_lets_us_only_be_the_dtls_server_is_answered() -> None:
    async with two_peers() as (caller, callee):
        offer = await caller.port.offer()
        answer = await callee.port.answer(Description("offer", offer.sdp.replace("a=setup:actpass", "a=setup:active")))
        assert "a=setup:passive" in answer.sdp
        await caller.port.accept(answer)
        await callee.wait_for(Connected)


async def test_a_peer_with_an_rsa_certificate_is_reached_as_its_dtls_client() -> None:
    async with a_peer(WebRtcPort(HERE, identity=rsa_identity())) as caller, a_peer(WebRtcPort(HERE)) as callee:
        await caller.trickle_to(callee.port.add_candidate)
        await connect(caller, callee)


async def test_a_certificate_that_is_not_the_announced_one_fails_the_call() -> None:
    """Attack: somebody in the middle of the media path shakes hands with a certificate of their own."""
    async with two_peers() as (caller, callee):
        answer = await callee.port.answer(await caller.port.offer())
        start = answer.sdp.index("sha-256 ") + 8
        forged = answer.sdp[:start] + ("00" if answer.sdp[start : start + 2] != "00" else "11") + answer.sdp[start + 2 :]
        await caller.port.accept(Description("answer", forged))
        assert "DTLS" in (await caller.wait_for(PortFailed)).reason
        assert not caller.has(Connected)


async def test_nobody_there_fails_after_the_connect_timeout() -> None:
    async with a_peer(WebRtcPort(PortOptions(loopback=True, connect_timeout_s=0.3))) as caller, a_peer(WebRtcPort(HERE)) as callee:
        started = time.monotonic()
        await caller.port.accept(await callee.port.answer(await caller.port.offer()))  # and no candidate ever comes
        assert "0.3 s" in (await caller.wait_for(PortFailed)).reason
        assert 0.25 < time.monotonic() - started < 3


async def test_a_peer_that_vanishes_is_lost_in_bounded_time() -> None:
    quick = PortOptions(loopback=True, lost_after_s=0.8)
    async with two_peers(quick, HERE) as (caller, callee):
        await connect(caller, callee)
        await talk(25, (caller, 440), (callee, 620))
        for protocol in callee.port._path.ice._protocols:
            protocol.transport.abort()  # no goodbye
        started = time.monotonic()
        lost = await caller.wait_for(PortLost)
        assert 0.8 <= lost.silent_s < 3
        assert time.monotonic() - started < 3


async def test_a_peer_that_says_nothing_but_is_there_is_not_lost() -> None:
    quick = PortOptions(loopback=True, lost_after_s=0.8)
    async with two_peers(quick, quick) as (caller, callee):
        await connect(caller, callee)
        await asyncio.sleep(2.0)  # consent alone keeps it
        assert not caller.has(PortLost)
        assert not callee.has(PortLost)


async def test_a_peer_that_closes_is_lost_at_once() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await talk(5, (caller, 440), (callee, 620))
        started = time.monotonic()
        await callee.port.close()
        assert (await caller.wait_for(PortLost)).silent_s < 1
        assert time.monotonic() - started < 1


async def test_a_closed_port_can_be_closed_again_and_says_no_to_the_rest() -> None:
    async with two_peers() as (caller, callee):
        await connect(caller, callee)
        await asyncio.gather(caller.port.close(), caller.port.close())
        await caller.port.close()
        await asyncio.wait_for(caller.ended.wait(), PATIENCE)
        await caller.port.add_candidate(Candidate("candidate:1 1 udp 1 127.0.0.1 5000 typ host"))
        caller.port.leg.send(np.zeros(FRAME_SAMPLES, np.int16))
        assert len(caller.port.leg.pull(FRAME_SAMPLES)) == FRAME_SAMPLES
        with pytest.raises(MediaError):
            await caller.port.offer()


async def test_a_port_of_which_nothing_was_asked_closes() -> None:
    port = WebRtcPort(HERE)
    await port.close()
    assert [event async for event in port.events()] == []


async def test_methods_out_of_turn_are_refused() -> None:
    async with two_peers() as (caller, callee):
        with pytest.raises(LocalProtocolError):
            await caller.port.fork()
        offer = await caller.port.offer()
        with pytest.raises(LocalProtocolError):
            await caller.port.offer()
        with pytest.raises(LocalProtocolError):
            await callee.port.accept(await callee.port.answer(offer))


async def test_an_answer_without_opus_is_refused_and_a_better_one_still_taken() -> None:
    async with two_peers() as (caller, callee):
        answer = await callee.port.answer(await caller.port.offer())
        with pytest.raises(MediaError, match="Opus"):
            await caller.port.accept(Description("answer", answer.sdp.replace("opus/48000", "PCMU/8000")))
        await caller.port.accept(answer)
        await caller.wait_for(Connected)


async def test_no_task_and_no_socket_is_left_behind() -> None:
    tasks = asyncio.all_tasks()
    ports: list[WebRtcPort] = []
    async with two_peers() as (caller, callee):
        ports += [caller.port, callee.port]
        await connect(caller, callee)
        transports = [protocol.transport for port in ports for protocol in port._path.ice._protocols]
        assert transports
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == tasks
    assert all(transport.is_closing() for transport in transports)
    assert all(transport.get_extra_info("socket").fileno() == -1 for transport in transports)


async def test_closing_while_connecting_leaves_nothing_behind() -> None:
    tasks = asyncio.all_tasks()
    async with two_peers() as (caller, callee):
        await set_up(caller, callee)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == tasks


async def test_closing_at_any_moment_leaves_nothing_behind() -> None:
    servers = (IceServer(urls=("stun:127.0.0.1:9", "turn:127.0.0.1:9"), username="u", credential="p"),)
    options, chance = PortOptions(loopback=True, ice_servers=servers), random.Random(7)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    tasks = asyncio.all_tasks()
    for _ in range(60):
        async with two_peers(options, options) as (caller, callee):
            setting_up = start_task(set_up(caller, callee), name="set up")
            await asyncio.sleep(chance.uniform(0, 0.012))  # a call is connected after 5 ms
            if chance.random() < 0.5:
                setting_up.cancel()
            await asyncio.gather(caller.port.close(), callee.port.close())
            with suppress(MediaError, asyncio.CancelledError):
                await setting_up
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == tasks
    assert complaints == []


def rsa_identity() -> DtlsIdentity:
    """An identity as a gateway has it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.now(tz=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    unnatural: Any = key  # aiortc's type says elliptic curve
    return DtlsIdentity.of(DtlsCertificate(key=unnatural, cert=builder.sign(key, hashes.SHA256())))


async def test_a_fault_while_connecting_fails_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call must not stay half open, whatever goes wrong inside."""
    async with two_peers() as (caller, callee):

        async def fault(*arguments: object, **options: object) -> None:
            raise IndexError("a bug")

        monkeypatch.setattr(caller.port._path, "connect", fault)
        await set_up(caller, callee)
        assert (await caller.wait_for(PortFailed)).reason
        assert not caller.has(Connected)


@pytest.mark.parametrize(("offered", "answered"), [(None, "passive"), ("active", None), (None, None)])
async def test_descriptions_without_a_setup_connect(offered: str | None, answered: str | None) -> None:
    """RFC 4145 4: without the line an offer is active, and an answer passive."""

    def with_setup(description: Description, setup: str | None) -> str:
        lines = [line for line in description.sdp.splitlines() if not line.startswith("a=setup")]
        return "\r\n".join([*lines, f"a=setup:{setup}"] if setup else lines)

    async with two_peers() as (caller, callee):
        offer = await caller.port.offer()
        answer = await callee.port.answer(Description("offer", with_setup(offer, offered)))
        assert "a=setup:passive" in answer.sdp
        await caller.port.accept(Description("answer", with_setup(answer, answered)))
        await caller.wait_for(Connected)
        await callee.wait_for(Connected)


@pytest.mark.parametrize("datagrams", [0, 1])
async def test_a_peer_that_falls_silent_in_the_middle_of_the_handshake_is_given_up(datagrams: int) -> None:
    """It answers on the path all the time, and sends no more than so many datagrams of DTLS."""
    impatient = PortOptions(loopback=True, connect_timeout_s=1.5)
    async with two_peers(impatient, impatient) as (caller, callee):
        answer = await callee.port.answer(await caller.port.offer())
        ice, left = callee.port._path.ice, datagrams
        send = ice.send_dtls

        def falls_silent(data: bytes) -> bool:
            nonlocal left
            left -= 1
            return left < 0 or send(data)

        ice.send_dtls = falls_silent  # type: ignore[method-assign]
        await caller.port.accept(answer)
        failed = await caller.wait_for(PortFailed)
        assert "couldn't be reached within 1.5 s" in failed.reason
        assert not caller.has(Connected)
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
