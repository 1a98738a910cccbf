"""Names of candidates: ``.local`` ones are asked for on the link, aside; whatever comes back, the call goes its way."""

import asyncio
import ipaddress
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from sinchphone.media.port import CandidateFound, Connected, PortFailed, PortOptions
from sinchphone.media.webrtc.ice import resolver as names
from sinchphone.media.webrtc.ice.resolver import is_local_name, resolve_local
from sinchphone.media.webrtc.port import WebRtcPort
from sinchphone.protocol.sdp.jsep import Candidate
from sinchphone.tasks import start_task
from tests.media.webrtc.webrtc_parties import HERE, a_party

NAME = "4f7d1a3e-aaaa-bbbb-cccc-123456789abc.local"
PATIENCE_S = 10.0
Reply = Callable[[dns.message.Message], list[bytes]]


class Responder(asyncio.DatagramProtocol):
    """A machine on the link."""

    def __init__(self, reply: Reply) -> None:
        self.asked: list[str] = []
        self._reply = reply

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(f"{query.question[0].name} {dns.rdatatype.to_text(query.question[0].rdtype)}")
        for answer in self._reply(query):
            self.transport.sendto(answer, addr)


def answer(query: dns.message.Message, address: str, *, name: str = "", flush: bool = False) -> bytes:
    """As a responder says it to a one-shot query (RFC 6762 6.7), or, with ``flush``, as it says it to everybody (10.2)."""
    kind = dns.rdatatype.A if "." in address else dns.rdatatype.AAAA
    if query.question[0].rdtype != kind:
        return b""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    response.answer.append(dns.rrset.from_text(name or query.question[0].name, 10, "IN", dns.rdatatype.to_text(kind), address))
    wire = response.to_wire()
    if flush:
        data = ipaddress.ip_address(address).packed
        plain = struct.pack("!HHIH", kind, 1, 10, len(data)) + data
        wire = wire.replace(plain, struct.pack("!HHIH", kind, 0x8001, 10, len(data)) + data)
    return wire


@asynccontextmanager
async def a_responder(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Responder]:
    """On the loopback's multicast, at a port of its own: the real one may be taken."""
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind(("", 0))
    group, port = names.MDNS_GROUP[0], plain.getsockname()[1]
    plain.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("127.0.0.1"))
    plain.setblocking(False)
    monkeypatch.setattr(names, "MDNS_GROUP", (group, port))
    transport, responder = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Responder(reply), sock=plain)
    try:
        yield responder
    finally:
        transport.close()


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
@pytest.mark.parametrize("flush", [False, True])
async def test_a_name_is_asked_for_and_the_answer_taken(address: str, flush: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_responder(lambda query: [answer(query, address, flush=flush)], monkeypatch) as responder:
        started = time.monotonic()
        assert await resolve_local(NAME, ["127.0.0.1"]) == address
        assert time.monotonic() - started < 1
        assert responder.asked == [f"{NAME}. A", f"{NAME}. AAAA"]


async def test_a_name_that_nobody_knows_costs_a_bounded_time_and_a_few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_responder(lambda query: [], monkeypatch) as responder:
        started = time.monotonic()
        assert await resolve_local(NAME, ["127.0.0.1"]) is None
        assert 1.0 < time.monotonic() - started < 3.0
        assert len(responder.asked) == 6  # three times for each kind of address


async def test_answers_to_other_questions_and_garbage_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: somebody on the link answers everything, with anything."""

    def lies(query: dns.message.Message) -> list[bytes]:
        other = dns.message.make_query(NAME, "A", id=(query.id + 1) % 65536 or 1)
        right = answer(query, "192.0.2.7")
        noise = [random.Random(n).randbytes(n) for n in range(0, 120, 7)]
        return [*noise, right[:-3], query.to_wire(), answer(query, "192.0.2.66", name="other.local."), answer(other, "192.0.2.66")]

    async with a_responder(lies, monkeypatch):
        assert await resolve_local(NAME, ["127.0.0.1"], seconds=0.5) is None


async def test_an_address_that_is_none_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: with the cache-flush bit the library checks no lengths."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))

    def broken(query: dns.message.Message) -> list[bytes]:
        whole = answer(query, "192.0.2.7", flush=True)
        name = query.question[0].name.to_wire()
        three_bytes = b"\xc0\x0c" + struct.pack("!HHIH", dns.rdatatype.A, 0x8001, 10, 3) + b"abc"
        assert name is not None
        head = 12 + len(name) + 4
        return [whole[:6] + b"\0\2" + whole[8:head] + three_bytes + whole[head:]] if whole else []

    async with a_responder(broken, monkeypatch):
        assert await resolve_local(NAME, ["127.0.0.1"]) == "192.0.2.7"
    assert failures == []


async def test_who_is_cancelled_while_a_socket_is_opened_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[asyncio.DatagramTransport] = []
    really = names._open

    async def slow_after_the_first(asking: Any, address: str) -> asyncio.DatagramTransport | None:
        if opened:
            await asyncio.Event().wait()
        transport = await really(asking, address)
        assert transport is not None
        opened.append(transport)
        return transport

    monkeypatch.setattr(names, "_open", slow_after_the_first)
    asking = start_task(resolve_local(NAME, ["127.0.0.1", "127.0.0.2"]), name="ask")
    while not opened:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert opened[0].is_closing()


@pytest.mark.parametrize("interfaces", [[], ["::1"], ["192.0.2.200"], ["nonsense"]])
async def test_no_way_to_ask_is_no_error(interfaces: list[str]) -> None:
    assert await resolve_local(NAME, interfaces, seconds=0.1) is None


def test_what_a_local_name_looks_like() -> None:
    assert is_local_name(NAME)
    for host in ("192.0.2.1", "example.com", "local", ".local", "a b.local", "a.b.local", "x" * 64 + ".local", "é.local"):
        assert not is_local_name(host)


def hidden(candidate: Candidate, name: str = NAME) -> Candidate:
    """As a browser says it: the address is behind a name."""
    words = candidate.candidate.split()
    words[4] = name
    return Candidate(" ".join(words), candidate.sdp_mid, candidate.sdp_mline_index)


async def test_a_peer_is_reached_whose_addresses_are_all_behind_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can learn it by its checks here: it isn't told ours."""
    async with (
        a_responder(lambda query: [answer(query, "127.0.0.1")], monkeypatch),
        a_party(WebRtcPort(HERE), 440) as caller,
        a_party(WebRtcPort(HERE), 620) as callee,
    ):

        async def tell(candidate: Candidate | None) -> None:
            if candidate is None or " 127.0.0.1 " in candidate.candidate:
                await caller.port.add_candidate(candidate and hidden(candidate))

        await callee.trickle_to(tell)
        await caller.port.accept(await callee.port.answer(await caller.port.offer()))
        await caller.wait_for(Connected)
        await callee.wait_for(Connected)


async def test_names_that_nobody_answers_delay_nothing_and_fail_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        a_responder(lambda query: [], monkeypatch),
        a_party(WebRtcPort(HERE), 440) as caller,
        a_party(WebRtcPort(HERE), 620) as callee,
    ):
        offer = await caller.port.offer()
        started = time.monotonic()
        for number in range(20):
            await caller.port.add_candidate(Candidate(f"candidate:1 1 udp 1 {number}-{NAME} 5000 typ host", "0", 0))
        assert time.monotonic() - started < 0.5
        await caller.trickle_to(callee.port.add_candidate)
        await callee.trickle_to(caller.port.add_candidate)
        await caller.port.accept(await callee.port.answer(offer))
        await caller.wait_for(Connected)
        assert time.monotonic() - started < 1.0


async def test_the_end_of_candidates_waits_for_names_that_are_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the only way to the peer would come too late."""

    async with (
        a_responder(lambda query: [answer(query, "127.0.0.1")], monkeypatch),
        a_party(WebRtcPort(HERE), 440) as caller,
        a_party(WebRtcPort(HERE), 620) as callee,
    ):
        answered = await callee.port.answer(await caller.port.offer())
        await callee.wait_for(CandidateFound)
        await caller.port.accept(answered)
        for event in list(callee.seen):
            if isinstance(event, CandidateFound) and event.candidate and " 127.0.0.1 " in event.candidate.candidate:
                await caller.port.add_candidate(hidden(event.candidate))
        await caller.port.add_candidate(None)
        await caller.wait_for(Connected)
        assert not caller.has(PortFailed)


async def test_with_relays_only_the_link_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        a_responder(lambda query: [answer(query, "127.0.0.1")], monkeypatch) as responder,
        a_party(WebRtcPort(PortOptions(relay_only=True)), 440) as caller,
    ):
        await caller.port.offer()
        await caller.port.add_candidate(Candidate(f"candidate:1 1 udp 1 {NAME} 5000 typ host", "0", 0))
        await asyncio.sleep(0.2)
        assert responder.asked == []


async def test_closing_while_a_name_is_asked_for_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = asyncio.all_tasks()
    async with a_responder(lambda query: [], monkeypatch), a_party(WebRtcPort(HERE), 440) as caller:
        await caller.port.offer()
        await caller.port.add_candidate(Candidate(f"candidate:1 1 udp 1 {NAME} 5000 typ host", "0", 0))
    assert asyncio.all_tasks() == tasks
