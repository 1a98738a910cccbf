"""What goes to rtpengine and comes from it: requests that get lost, answers that can't be used, calls that vanish there."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.gateway.relay import ng
from sinchphone.gateway.relay.digit_log import DigitLog
from sinchphone.gateway.relay.ng import NgLink
from sinchphone.gateway.relay.relay import MediaTransport, Side, SideDigitHeard, SideLost, SideSilent
from sinchphone.gateway.relay.rtpengine import RtpengineRelays
from sinchphone.schema import WeightedAddress
from sinchphone.tasks import start_task
from tests.gateway.relay.relay_lab import RawPhone, Rtpengine, Told, until, until_heard
from tests.suite.ports import free_ports

RTP = MediaTransport.RTP
FORGED: list[dict[str, Any]] = [
    {"callid": "another"},
    {"callid": None},
    {"callid": []},
    {"source_tag": "nobody"},
    {"source_tag": 7},
    {"event": 16},
    {"event": -1},
    {"event": "x"},
    {"duration": None},
    {"duration": 10**9},
    {"duration": float("inf")},
    {"source_tag": []},
]
REPORT: dict[str, Any] = {"callid": "call", "source_tag": "called-1", "event": 3, "duration": 100}  # of a digit
Script = Callable[[dict[str, Any], int], list[bytes]]


class Pretender(asyncio.DatagramProtocol):
    """Answers as a script says; it gets the request and how often its cookie came before."""

    def __init__(self, script: Script) -> None:
        self.cookies: list[bytes] = []
        self.requests: list[dict[str, Any]] = []
        self._script = script
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        cookie, _, body = data.partition(b" ")
        before = self.cookies.count(cookie)
        self.cookies.append(cookie)
        self.requests.append(json.loads(body))
        for answer in self._script(self.requests[-1], before):
            self.transport.sendto(answer.replace(b"COOKIE", cookie), addr)


@contextlib.asynccontextmanager
async def pretending(script: Script) -> AsyncIterator[tuple[NgLink, Pretender]]:
    loop = asyncio.get_running_loop()
    transport, pretender = await loop.create_datagram_endpoint(lambda: Pretender(script), local_addr=("127.0.0.1", 0))
    link = NgLink(transport.get_extra_info("sockname"))
    try:
        yield link, pretender
    finally:
        link.close()
        transport.close()


async def test_a_request_that_gets_lost_is_sent_again_with_the_same_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ng, "SEND_AGAIN_SECONDS", (0.05, 0.05, 5.0))
    async with pretending(lambda _, before: [] if before < 2 else [b'COOKIE {"result":"pong"}']) as (link, pretender):
        assert await link.request("ping") == {"result": "pong"}
        assert len(pretender.cookies) == 3
        assert len(set(pretender.cookies)) == 1
        await link.request("ping")
        assert len(set(pretender.cookies)) == 2


async def test_answers_with_another_cookie_or_none_and_doubles_are_dropped() -> None:
    junk = [b"", b"x", b'other {"result":"error"}', b'{"result":"error"}']
    async with pretending(lambda _, __: [*junk, b'COOKIE {"result":"ok","a":1}', b'COOKIE {"result":"ok","a":2}']) as (link, _):
        assert (await link.request("query"))["a"] == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'COOKIE {"result":"error","error-reason":"Unknown call-id"}', "Unknown call-id"),
        (b'COOKIE {"result":"load limit"}', "limit"),
        (b"COOKIE d6:result2:oke", "can't be read"),
        (b"COOKIE []", "can't be read"),
        (b"COOKIE {}", "refused"),
        (b"COOKIE " + b"[" * 60_000, "can't be read"),
    ],
)
async def test_an_answer_that_is_no_yes_is_an_error_of_media(answer: bytes, said: str) -> None:
    async with pretending(lambda _, __: [answer]) as (link, _):
        with pytest.raises(MediaError, match=said):
            await link.request("query")


async def test_nobody_there_is_said_with_a_hint_after_a_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ng, "SEND_AGAIN_SECONDS", (0.02, 0.02))
    link = NgLink(("127.0.0.1", free_ports(1)))
    with pytest.raises(MediaError, match="does not answer") as caught:
        await link.request("ping")
    assert "--listen-ng" in caught.value.hint
    link.close()


async def test_a_closed_link_lets_nobody_wait() -> None:
    async with pretending(lambda _, __: []) as (link, pretender):
        waiting = start_task(link.request("ping"), name="request")
        await until(lambda: bool(pretender.cookies), "asked")
        link.close()
        with pytest.raises(MediaError, match="closed"):
            await waiting


async def test_a_cancelled_request_is_cancelled_and_the_link_goes_on() -> None:
    async with pretending(lambda asked, _: [] if asked["command"] == "query" else [b'COOKIE {"result":"pong"}']) as (link, pretender):
        waiting = start_task(link.request("query"), name="request")
        await until(lambda: bool(pretender.cookies), "asked")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await link.request("ping")


async def test_a_description_too_long_for_a_datagram_is_refused_before_it_is_sent() -> None:
    async with pretending(lambda _, __: []) as (link, pretender):
        with pytest.raises(MediaError, match="too long"):
            await link.request("offer", sdp="x" * 65_000)
        assert pretender.cookies == []


async def test_an_answer_without_a_description_is_an_error_of_media() -> None:
    async with pretending(lambda _, __: [b'COOKIE {"result":"ok"}']) as (link, pretender):
        relays = RtpengineRelays([WeightedAddress(*link.address)])
        relay = relays.relay("call", RTP)
        with pytest.raises(MediaError, match="no session description"):
            await relay.offer("m=audio 1 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n", RTP)
        await relays.close()
        assert [each["command"] for each in pretender.requests] == ["offer", "delete"]


PLAIN = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
WITH_EVENTS = PLAIN.replace(" 0\r\na=", " 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=")


@pytest.mark.parametrize(("unanswered", "lost"), [(2, False), (3, True)])
async def test_a_busy_rtpengine_that_leaves_two_questions_unanswered_ends_no_call(
    monkeypatch: pytest.MonkeyPatch, unanswered: int, lost: bool
) -> None:
    monkeypatch.setattr(ng, "SEND_AGAIN_SECONDS", (0.02,))
    monkeypatch.setattr("sinchphone.gateway.relay.rtpengine._QUERY_SECONDS", 0.02)
    asked = 0

    def script(request: dict[str, Any], _: int) -> list[bytes]:
        nonlocal asked
        asked += request["command"] == "query"
        if request["command"] == "query" and asked <= unanswered:
            return []
        return [b"COOKIE " + json.dumps({"result": "ok", "sdp": PLAIN, "tags": {}}).encode()]

    async with pretending(script) as (link, _):
        relays = RtpengineRelays([WeightedAddress(*link.address)])
        relay = relays.relay("call", RTP)
        told = Told(relay)
        await relay.offer(PLAIN, RTP)
        await relay.answer(PLAIN)
        if lost:
            await until(lambda: len(told.events) == 2, "both sides are lost")
            assert asked == 3
        else:
            await until(lambda: asked > 5, "more questions")
            assert told.events == []
        await relays.close()


@pytest.mark.parametrize(("called", "passed"), [(WITH_EVENTS, True), (PLAIN, False)])
async def test_a_digit_for_a_side_without_telephone_events_is_told_as_not_passed(called: str, passed: bool) -> None:
    async with pretending(lambda _, __: [b"COOKIE " + json.dumps({"result": "ok", "sdp": WITH_EVENTS, "tags": {}}).encode()]) as (link, _):
        relays = RtpengineRelays([WeightedAddress(*link.address)])
        relay = relays.relay("call", RTP)
        told = Told(relay)
        await relay.offer(WITH_EVENTS, RTP)
        await relay.answer(called)
        relay.heard_digit(Side.CALLER, "7", 100)
        await until(lambda: bool(told.events), "the digit")
        assert told.events == [SideDigitHeard(Side.CALLER, "7", 100, passed)]
        await relays.close()


async def test_two_calls_with_one_name_are_two_calls_for_rtpengine() -> None:
    relays = RtpengineRelays([WeightedAddress("127.0.0.1", 9)])
    assert relays.relay("call", RTP).name != relays.relay("call", RTP).name


@pytest.mark.parametrize("forged", [json.dumps({**REPORT, **one}) for one in FORGED] + ["", "[]", "7", "[" * 4000, "\xff"])
def test_no_report_of_a_digit_is_too_odd_to_be_dropped(forged: str) -> None:
    DigitLog({}).datagram_received(forged.encode("latin-1"), ("127.0.0.1", 9))


async def test_a_forged_report_of_a_digit_is_dropped(remote: RtpengineRelays, rtpengine: Rtpengine) -> None:
    relay = remote.relay("call", RTP)
    told = Told(relay)
    loop = asyncio.get_running_loop()
    forger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=rtpengine.digits_at)
    true = {**REPORT, "callid": relay.name}
    for wrong in (b"", b"{", b"[]", b"null", b"\xff", *(json.dumps({**true, **each}).encode() for each in FORGED)):
        forger.sendto(wrong)
    forger.sendto(json.dumps(true).encode())
    await until(lambda: bool(told.events), "the true one")
    assert told.events == [SideDigitHeard(Side.CALLED, "3", 100)]
    forger.close()


async def test_both_sides_of_a_call_that_rtpengine_lost_are_lost(remote: RtpengineRelays, rtpengine: Rtpengine) -> None:
    caller, called = RawPhone(440.0), RawPhone(1000.0)
    relay = remote.relay("call", RTP)
    told = Told(relay)
    offered = await relay.offer(await caller.offer(), RTP)
    await caller.accept(await relay.answer(await called.answer(offered)))
    await until_heard(caller, 1000.0)
    link = NgLink(rtpengine.address)
    await link.request("delete", call_id=relay.name, from_tag="caller", delete_delay=0)
    link.close()
    await until(lambda: {each.side for each in told.events if isinstance(each, SideLost)} == set(Side), "lost")
    await caller.close()
    await called.close()


async def test_a_side_that_falls_silent_is_told_of_now_and_again_but_not_while_it_holds(rtpengine: Rtpengine) -> None:
    relays = RtpengineRelays([WeightedAddress(*rtpengine.address)], lost_after_s=1.0)
    caller, called = RawPhone(440.0), RawPhone(1000.0)
    relay = relays.relay("call", RTP)
    told = Told(relay)
    offered = await relay.offer(await caller.offer(), RTP)
    await caller.accept(await relay.answer(await called.answer(offered)))
    await until_heard(caller, 1000.0)
    await relay.renew(Side.CALLER, caller.description("inactive"))
    caller.talks = called.talks = False
    begun = time.monotonic()
    await until(lambda: sum(isinstance(each, SideSilent) for each in told.events) >= 2, "silent")
    assert time.monotonic() - begun >= 2.0
    assert {each.side for each in told.events if isinstance(each, SideSilent)} == {Side.CALLED}
    assert not any(isinstance(each, SideLost) for each in told.events)
    await relays.close()
    await caller.close()
    await called.close()


async def test_what_is_deleted_leaves_no_call_in_rtpengine(remote: RtpengineRelays, rtpengine: Rtpengine) -> None:
    caller = RawPhone(440.0)
    relay = remote.relay("call", RTP)
    await relay.offer(await caller.offer(), MediaTransport.WEBRTC)
    await relay.delete()
    link = NgLink(rtpengine.address)
    with pytest.raises(MediaError):
        await link.request("query", call_id=relay.name)
    link.close()
    with pytest.raises(MediaError):
        await relay.offer(caller.description(), RTP)
    await caller.close()


async def test_calls_that_are_left_are_deleted_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other they'd take seconds each where rtpengine is gone."""
    monkeypatch.setattr(ng, "SEND_AGAIN_SECONDS", (0.1,) * 200)
    deleted = set[str]()

    def script(request: dict[str, Any], _: int) -> list[bytes]:
        if request["command"] == "delete":
            deleted.add(request["call-id"])
            return [b'COOKIE {"result":"ok"}'] if len(deleted) == 3 else []
        return [b"COOKIE " + json.dumps({"result": "ok", "sdp": request["sdp"]}).encode()]

    async with pretending(script) as (link, _), asyncio.timeout(10):
        relays = RtpengineRelays([WeightedAddress(*link.address)])
        for _ in range(3):
            await relays.relay("call", RTP).offer("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\n", RTP)
        await relays.close()
    assert len(deleted) == 3


async def test_calls_out_of_order_are_refused(remote: RtpengineRelays) -> None:
    caller = RawPhone(440.0)
    relay = remote.relay("call", RTP)
    offer = await caller.offer()
    for wrong in (relay.answer(offer), relay.renew(Side.CALLER, offer), relay.propose(Side.CALLED)):
        with pytest.raises(LocalProtocolError):
            await wrong
    with pytest.raises(MediaError):
        await relay.dtmf(Side.CALLED, "1")
    await caller.close()


async def test_an_offer_that_names_no_address_is_not_told_to_rtpengine() -> None:
    async with pretending(lambda _, __: []) as (link, pretender):
        relay = RtpengineRelays([WeightedAddress(*link.address)]).relay("call", RTP)
        with pytest.raises(MediaError, match="names no address"):
            await relay.offer("m=audio 1 RTP/AVP 0\r\n", RTP)
        assert pretender.requests == []
