"""The ICE agent: which candidates it gathers, when, and what it makes of servers that answer or don't."""

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import pytest
from aioice import stun

from sinchphone.media.ice_servers import IceServer, IceServerList
from sinchphone.media.port import PortOptions
from sinchphone.media.webrtc import seam
from sinchphone.media.webrtc.ice import agent as ice
from sinchphone.media.webrtc.ice import local_addresses, server_queries
from sinchphone.media.webrtc.ice.agent import IceConnection, IceCredentials, IceListener
from sinchphone.media.webrtc.ice.resolver import resolve
from sinchphone.media.webrtc.ice.servers import MAX_SERVERS, Server, parse_servers
from sinchphone.tasks import start_task

HERE = PortOptions(loopback=True)
PATIENCE = 10.0
EVERY = 0.05
ANYWHERE = ("203.0.113.9", 40_000)


class RoundTrips:
    """Wants a check each 50 ms, and keeps what it's told."""

    def __init__(self) -> None:
        self.asked_at: dict[int, float] = {}
        self.took: dict[int, float] = {}
        self.paths: set[object] = set()

    def check_in(self) -> float:
        return max(0.0, max(self.asked_at.values(), default=-math.inf) + EVERY - time.monotonic())

    def checked(self, path: object) -> int:
        self.paths.add(path)
        self.asked_at[len(self.asked_at)] = time.monotonic()
        return len(self.asked_at) - 1

    def answered(self, number: int) -> None:
        assert number not in self.took
        self.took[number] = time.monotonic() - self.asked_at[number]


class Agent:
    """An ICE agent and what it has found."""

    def __init__(self, options: PortOptions = HERE, ufrag: str = "here") -> None:
        self.found: list[seam.Candidate] = []
        self.complete = asyncio.Event()
        self.media: list[bytes] = []
        self.dtls: list[bytes] = []
        self.consents = 0
        self.broken = asyncio.Event()
        self.no_relay: list[str] = []
        self.round_trips: RoundTrips | None = None
        self.told_of_packets = False  # by the peer, all the time
        listener = IceListener(
            self._found,
            self.media.append,
            self.dtls.append,
            self._consented,
            lambda: self.told_of_packets,
            self.broken.set,
            self.no_relay.append,
            lambda: self.round_trips,
        )
        self.connection = IceConnection(options, IceCredentials(ufrag, ufrag * 6), listener)

    def _found(self, candidate: seam.Candidate | None) -> None:
        if candidate is None:
            self.complete.set()
        else:
            self.found.append(candidate)

    def _consented(self) -> None:
        self.consents += 1

    def knows(self, other: "Agent", *, controlling: bool) -> None:
        self.connection.ice_controlling = controlling
        self.connection.remote_username = other.connection.local_username
        self.connection.remote_password = other.connection.local_password

    @property
    def types(self) -> set[str]:
        return {each.type for each in self.found}


@asynccontextmanager
async def an_agent(options: PortOptions = HERE, ufrag: str = "here") -> AsyncIterator[Agent]:
    agent = Agent(options, ufrag)
    try:
        yield agent
    finally:
        await agent.connection.close()


class StunServer(asyncio.DatagramProtocol):
    """Says where a request comes from, as seen from a network that isn't there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = ANYWHERE
        self.transport.sendto(bytes(response), addr)


@asynccontextmanager
async def a_stun_server() -> AsyncIterator[str]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    try:
        yield f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


@pytest.fixture
def black_hole() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        yield hole.getsockname()[1]


@pytest.fixture
def no_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "get_host_addresses", lambda use_ipv4, use_ipv6: [])
    monkeypatch.setattr(local_addresses, "_looked", None)


@pytest.fixture
def another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seam, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.2", "192.0.2.77", "169.254.7.7"])
    monkeypatch.setattr(local_addresses, "_looked", None)


@pytest.mark.usefixtures("no_other_address")
async def test_a_machine_with_nothing_but_loopback_offers_that() -> None:
    async with an_agent(PortOptions()) as agent:
        await agent.connection.gather_candidates()
        assert "127.0.0.1" in {each.host for each in agent.found}


async def test_ports_that_are_opened_in_a_row_look_at_the_addresses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []

    def look(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        looks.append(use_ipv4 and use_ipv6)
        return ["127.0.0.2"]

    monkeypatch.setattr(seam, "get_host_addresses", look)
    monkeypatch.setattr(local_addresses, "_looked", None)
    async with an_agent(HERE) as first, an_agent(HERE) as second:
        for each in (first, second):
            await each.connection.gather_candidates()
    assert len(looks) == 1
    local_addresses.usable_addresses()
    assert len(looks) == 2, "what is there now"
    monkeypatch.setattr(local_addresses, "_RECENT_SECONDS", 0.0)
    async with an_agent(HERE) as later:
        await later.connection.gather_candidates()
    assert len(looks) == 3


@pytest.mark.usefixtures("another_address")
async def test_a_machine_with_a_network_offers_loopback_only_when_asked() -> None:
    async with an_agent(PortOptions()) as agent, an_agent(HERE) as local:
        for each in (agent, local):
            await each.connection.gather_candidates()
        assert agent.connection._addresses() == ["192.0.2.77"]
        assert local.connection._addresses() == ["192.0.2.77", "127.0.0.1", "::1"]


async def test_host_candidates_are_there_at_once_and_the_end_follows() -> None:
    async with an_agent() as agent:
        started = time.monotonic()
        await agent.connection.gather_candidates()
        assert time.monotonic() - started < 0.3
        assert agent.types == {"host"}
        await asyncio.wait_for(agent.complete.wait(), PATIENCE)


async def test_a_loopback_candidate_is_worth_less_than_any_other() -> None:
    assert server_queries.preference_of("::1") < server_queries.preference_of("192.0.2.1")


async def test_a_reflexive_candidate_follows_when_its_server_answers() -> None:
    async with a_stun_server() as url, an_agent(PortOptions(ice_servers=(IceServer(urls=(url,)),), loopback=True)) as agent:
        await agent.connection.gather_candidates()
        await asyncio.wait_for(agent.complete.wait(), PATIENCE)
        reflexive = [each for each in agent.found if each.type == "srflx"]
        assert [(each.host, each.port) for each in reflexive] == [ANYWHERE]
        assert (reflexive[0].related_address, reflexive[0].related_port) in {(each.host, each.port) for each in agent.found}


async def test_a_server_that_never_answers_delays_only_the_end_and_not_for_long(black_hole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_queries, "GATHER_SECONDS", 1.0)
    dead = (IceServer(urls=(f"stun:127.0.0.1:{black_hole}", f"turn:127.0.0.1:{black_hole}?transport=udp"), username="u", credential="p"),)
    async with a_stun_server() as url, an_agent(PortOptions(ice_servers=(*dead, IceServer(urls=(url,))), loopback=True)) as agent:
        started = time.monotonic()
        await agent.connection.gather_candidates()
        assert time.monotonic() - started < 0.7
        assert not agent.complete.is_set()
        await asyncio.wait_for(agent.complete.wait(), PATIENCE)
        assert 0.9 < time.monotonic() - started < 3
        assert agent.types == {"host", "srflx"}  # the one that answers isn't lost with the others


async def introduce(one: Agent, two: Agent) -> None:
    """Both have candidates, and know each other's user name fragment and password."""
    await one.connection.gather_candidates()
    await two.connection.gather_candidates()
    one.knows(two, controlling=True)
    two.knows(one, controlling=False)


async def try_all(one: Agent, two: Agent) -> None:
    """Each knows all the other's candidates, and they connect."""
    for agent, other in ((one, two), (two, one)):
        for candidate in other.found:
            await agent.connection.add(f"candidate:{candidate.to_sdp()}")
    await asyncio.wait_for(asyncio.gather(one.connection.connect(), two.connection.connect()), PATIENCE)


async def test_servers_that_come_while_it_gathers_are_asked_and_nobody_waits_for_them() -> None:
    coming = IceServerList()
    async with (
        a_stun_server() as url,
        an_agent(PortOptions(loopback=True, more_servers=coming), "onea") as one,
        an_agent(PortOptions(loopback=True, more_servers=coming), "twob") as two,
    ):
        await introduce(one, two)
        await try_all(one, two)
        assert not one.complete.is_set()  # there may be more
        coming.put((IceServer(urls=(url,)),))
        await asyncio.wait_for(one.complete.wait(), PATIENCE)
        assert one.types == {"host", "srflx"}


async def test_with_relay_only_no_address_of_ours_is_given() -> None:
    async with (
        a_stun_server() as url,
        an_agent(PortOptions(relay_only=True, loopback=True, ice_servers=(IceServer(urls=(url,)),))) as agent,
    ):
        await agent.connection.gather_candidates()
        await asyncio.wait_for(agent.complete.wait(), PATIENCE)
        assert agent.found == []


async def test_two_agents_find_each_other_without_a_pause() -> None:
    async with an_agent(ufrag="onea") as one, an_agent(ufrag="twob") as two:
        await introduce(one, two)
        await try_all(one, two)
        assert one.connection.pair_type == "host"
        assert one.connection.send_media(b"\x80sound")
        await asyncio.sleep(0.05)
        assert two.media == [b"\x80sound"]


async def test_two_agents_that_have_nothing_but_ipv6_find_each_other() -> None:
    async with an_agent(ufrag="onea") as one, an_agent(ufrag="twob") as two:
        await introduce(one, two)
        for agent, other in ((one, two), (two, one)):
            for candidate in other.found:
                if candidate.host == "::1":
                    await agent.connection.add(f"candidate:{candidate.to_sdp()}")
        connecting = asyncio.gather(one.connection.connect(), two.connection.connect())
        if not any(candidate.host == "::1" for candidate in one.found):
            connecting.cancel()
            pytest.skip("this machine has no IPv6")
        await asyncio.wait_for(connecting, PATIENCE)
        assert one.connection._nominated[1].remote_addr[0] == "::1"


async def test_an_agent_without_a_candidate_that_works_fails_when_all_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.stun.RETRY_MAX", 1)
    monkeypatch.setattr("aioice.stun.RETRY_RTO", 0.05)
    async with an_agent(ufrag="onea") as one, an_agent(ufrag="twob") as two:
        await one.connection.gather_candidates()
        one.knows(two, controlling=True)
        await one.connection.add("candidate:1 1 udp 2122260223 127.0.0.1 9 typ host")
        await one.connection.add(None)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(one.connection.connect(), PATIENCE)


async def find_each_other(one: Agent, two: Agent) -> None:
    """By the first candidate of ``one``; the other one is learnt from its checks."""
    await introduce(one, two)
    await two.connection.add(f"candidate:{one.found[0].to_sdp()}")
    await asyncio.wait_for(asyncio.gather(one.connection.connect(), two.connection.connect()), PATIENCE)


async def test_consent_is_asked_for_again_and_again_where_the_peer_tells_of_no_packets() -> None:
    often = PortOptions(loopback=True, lost_after_s=0.4)
    async with an_agent(often, "onea") as one, an_agent(HERE, "twob") as two:
        await find_each_other(one, two)
        await asyncio.sleep(0.6)
        assert one.consents >= 3
        assert two.consents == 0  # its turn comes every 0.8 s
        one.told_of_packets = True
        await asyncio.sleep(0.2)  # for an answer that is on its way
        before = one.consents
        await asyncio.sleep(0.6)
        assert one.consents == before, "the peer's reports say that the path works"
        one.told_of_packets = False
        await asyncio.sleep(0.6)
        assert one.consents >= before + 3


async def test_where_round_trips_are_wanted_each_check_is_sent_once_and_its_answer_told() -> None:
    """Also while the peer tells of packets."""
    async with an_agent(ufrag="onea") as one, an_agent(ufrag="twob") as two:
        one.round_trips, one.told_of_packets = RoundTrips(), True
        await find_each_other(one, two)
        await asyncio.sleep(0.6)
        assert len(one.round_trips.asked_at) >= 5
        assert len(one.round_trips.took) >= len(one.round_trips.asked_at) - 1
        assert one.consents >= 5
        assert len(one.round_trips.paths) == 1
        assert all(took < EVERY for took in one.round_trips.took.values())


@asynccontextmanager
async def answers(agent: Agent, *, late_s: float = 0.0, elsewhere: bool = False) -> AsyncIterator[None]:
    """What ``agent`` sends goes so much later, or from another port."""
    loop = asyncio.get_running_loop()
    other, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))

    def send(on: asyncio.DatagramTransport, way: Any, data: bytes, addr: Any) -> None:
        if not on.is_closing():
            way(data, addr)

    for each in (protocol.transport for protocol in agent.connection._protocols):
        way = partial(send, other, other.sendto) if elsewhere else partial(send, each, each.sendto)
        cast(Any, each).sendto = partial(loop.call_later, late_s, way)
    try:
        yield
    finally:
        other.close()


@pytest.mark.parametrize("measured", [False, True])
async def test_an_answer_from_another_address_is_no_consent(measured: bool) -> None:
    """RFC 7675 5.1: it must come from where the check went to, however well it's signed."""
    async with an_agent(PortOptions(loopback=True, lost_after_s=0.4), "onea") as one, an_agent(ufrag="twob") as two:
        await find_each_other(one, two)
        trips = one.round_trips = RoundTrips() if measured else None
        async with answers(two, elsewhere=True):
            await asyncio.sleep(0.3)  # for an answer that is on its way
            before, told = one.consents, 0 if trips is None else len(trips.took)
            await asyncio.sleep(0.7)
            assert one.consents == before
            assert trips is None or len(trips.took) == told


@pytest.mark.parametrize("measured", [False, True])
async def test_an_answer_that_comes_seconds_late_is_a_consent(measured: bool) -> None:
    """Trap: each check was given up before its answer came, and the peer was taken for gone."""
    async with an_agent(PortOptions(loopback=True, lost_after_s=0.4), "onea") as one, an_agent(ufrag="twob") as two:
        await find_each_other(one, two)
        one.round_trips = RoundTrips() if measured else None
        await asyncio.sleep(0.3)
        async with answers(two, late_s=2.0):
            await asyncio.sleep(0.3)
            before = one.consents
            await asyncio.sleep(2.7)
            assert one.consents > before + 2


async def test_a_check_with_another_password_is_refused() -> None:
    """Attack: somebody who saw the user name fragment, but not the password, checks in."""
    async with an_agent(ufrag="onea") as one, an_agent(ufrag="twob") as two:
        await introduce(one, two)
        two.connection.remote_password = "x" * 24
        await two.connection.add(f"candidate:{one.found[0].to_sdp()}")
        connecting = asyncio.gather(one.connection.connect(), two.connection.connect())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(connecting), 0.3)
        assert one.connection.remote_candidates == []
        connecting.cancel()


async def test_the_number_of_remote_candidates_is_limited() -> None:
    """Attack: a peer trickles candidates without end, so that we check addresses all over the world."""
    async with an_agent() as agent:
        for port in range(1, 500):
            await agent.connection.add(f"candidate:1 1 udp 1 127.0.0.1 {port} typ host")
        assert len(agent.connection.remote_candidates) == ice.MAX_REMOTE_CANDIDATES


async def test_a_name_is_resolved_and_an_address_is_taken_as_it_is() -> None:
    assert await resolve("192.0.2.1", 3478) == [("192.0.2.1", 3478)]
    assert (await resolve("localhost", 1))[0][0] in ("127.0.0.1", "::1")
    with pytest.raises(OSError, match="no address"):
        await asyncio.wait_for(resolve("a..b", 1), PATIENCE)


def test_server_urls() -> None:
    assert parse_servers([IceServer(urls=("stun:stun.example.com", "STUN:192.0.2.1:19302"))]) == [
        Server("stun.example.com", 3478, relay=False),
        Server("192.0.2.1", 19302, relay=False),
    ]
    assert parse_servers(
        [IceServer(urls=("turn:t.example:80?transport=tcp", "turns:t.example", "turn:[2001:db8::1]:1"), username="u", credential="p")]
    ) == [
        Server("t.example", 80, True, "tcp", False, "u", "p"),
        Server("t.example", 5349, True, "tcp", True, "u", "p"),
        Server("2001:db8::1", 1, True, "udp", False, "u", "p"),
    ]


@pytest.mark.parametrize(
    "url", ["", "http://x", "stun:", "stuns:host", "stun:host:0", "stun:host:99999", "turns:host?transport=udp", "stun:a b"]
)
def test_a_url_that_cannot_be_used_is_left_out(url: str) -> None:
    assert parse_servers([IceServer(urls=(url,))]) == []


def test_no_more_than_a_few_servers_are_asked() -> None:
    assert len(parse_servers([IceServer(urls=(f"stun:s{number}.example",)) for number in range(50)])) == MAX_SERVERS


def test_a_credential_is_not_shown() -> None:
    assert "secret" not in repr(parse_servers([IceServer(urls=("turn:t.example",), username="u", credential="secret")]))


@asynccontextmanager
async def two_connecting(*, controlling: bool = True) -> AsyncIterator[tuple[Agent, Agent]]:
    """Two agents that know each other, with their candidates; ``connect`` is the test's."""
    async with an_agent(ufrag="onea") as one, an_agent(ufrag="twob") as two:
        await one.connection.gather_candidates()
        await two.connection.gather_candidates()
        one.knows(two, controlling=controlling)
        two.knows(one, controlling=not controlling)
        for agent, other in ((one, two), (two, one)):
            for candidate in other.found:
                await agent.connection.add(f"candidate:{candidate.to_sdp()}")
        yield one, two


def first_socket(agent: Agent) -> seam.StunProtocol:
    return next(each for each in agent.connection._protocols if each.local_candidate.host == "127.0.0.1")


async def test_datagrams_for_dtls_are_taken_from_proven_addresses_only() -> None:
    """Attack: a stranger's DTLS record, or broken STUN, gets into the handshake."""
    async with two_connecting() as (one, two):
        mine, stranger = first_socket(one), ("127.0.0.1", 9)
        await asyncio.wait_for(asyncio.gather(one.connection.connect(), two.connection.connect()), PATIENCE)
        for data in (b"\x15alert", b"\x00", b"\x01" * 30, b"\x00\x01\xff\xff" + bytes(16)):
            mine.datagram_received(data, stranger)
        assert one.dtls == []
        mine.datagram_received(b"\x00", one.connection._nominated[1].remote_addr)
        assert one.dtls == []
        mine.datagram_received(b"\x16hello", one.connection._nominated[1].remote_addr)
        assert one.dtls == [b"\x16hello"]


@pytest.mark.usefixtures("no_other_address")
async def test_a_dtls_datagram_that_overtakes_the_check_is_kept_until_its_address_is_proven() -> None:
    async with two_connecting() as (one, two):
        first_socket(one).datagram_received(b"\x15alert", ("127.0.0.1", 9))
        for theirs in two.found:
            first_socket(one).datagram_received(b"\x16" + theirs.host.encode(), (theirs.host, theirs.port))
        await asyncio.wait_for(asyncio.gather(one.connection.connect(), two.connection.connect()), PATIENCE)
        assert b"\x16" + one.connection._nominated[1].remote_addr[0].encode() in one.dtls
        assert b"\x15alert" not in one.dtls


async def test_what_is_kept_for_dtls_is_bounded() -> None:
    """Attack: records from ever more addresses, and ever more records from one."""
    async with an_agent() as agent:
        await agent.connection.gather_candidates()
        for port in range(1, 5000):
            first_socket(agent).datagram_received(b"\x16" + bytes(1000), ("192.0.2.1", port))
            first_socket(agent).datagram_received(b"\x16" + bytes(1000), ("192.0.2.2", 1))
        kept = [data for waiting in agent.connection._unproven.values() for data in waiting]
        assert 0 < len(kept) <= 64


def a_check_from(agent: Agent, attributes: dict[str, object]) -> stun.Message:
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{agent.connection.local_username}:{agent.connection.remote_username}"
    request.attributes["ICE-CONTROLLED"] = 1
    request.attributes.update(attributes)
    request.add_message_integrity(agent.connection.local_password.encode())
    return request


@pytest.mark.parametrize("early", [False, True])
async def test_the_number_of_addresses_that_check_in_is_limited(early: bool) -> None:
    """Attack: a peer checks in, with the right password, from ports without end."""
    async with two_connecting() as (one, _):
        connecting = start_task(one.connection.connect(), name="connect")
        if not early:
            await asyncio.sleep(0)
        for port in range(1, 501):
            request = bytes(a_check_from(one, {"PRIORITY": 1}))
            first_socket(one).datagram_received(request, ("127.0.0.1", port))
        assert len(one.connection._early_checks) <= 2 * ice.MAX_REMOTE_CANDIDATES
        await asyncio.sleep(0)
        assert len(one.connection.remote_candidates) <= ice.MAX_REMOTE_CANDIDATES
        assert len(one.connection._check_list) <= ice.MAX_REMOTE_CANDIDATES * len(one.connection._protocols)
        connecting.cancel()


async def test_an_early_check_without_a_priority_does_not_end_the_connecting() -> None:
    """Attack: a check that the library can't use, before our description's answer is there."""
    async with two_connecting() as (one, two):
        first_socket(one).datagram_received(bytes(a_check_from(one, {})), ("127.0.0.1", 9))
        await asyncio.wait_for(asyncio.gather(one.connection.connect(), two.connection.connect()), PATIENCE)


async def test_what_is_sent_is_marked_as_voice() -> None:
    async with an_agent() as agent:
        await agent.connection.gather_candidates()
        for protocol in agent.connection._protocols:
            voice = protocol.transport.get_extra_info("socket")
            six = voice.family == socket.AF_INET6
            marked = voice.getsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if six else (socket.IPPROTO_IP, socket.IP_TOS)))
            assert marked >> 2 == 46


async def test_a_request_that_is_repeated_on_a_socket_that_was_closed_meanwhile_breaks_nothing() -> None:
    """As in an outage, when the path that it was for has given way to another."""
    faults: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    agent = Agent()
    await agent.connection.gather_candidates()
    async with asyncio.timeout(PATIENCE):
        await agent.complete.wait()
    one = agent.connection._protocols[0]
    asked = start_task(one.request(stun.Message(stun.Method.BINDING, stun.Class.REQUEST), ("127.0.0.1", 9)), name="asking")
    await asyncio.sleep(0.05)
    await agent.connection.close()
    await asyncio.sleep(0.7)  # the first repetition is due after half a second
    asked.cancel()
    await asyncio.wait([asked])
    assert not faults
