"""Where SIP names lead, asked of a name server of the test's own on loopback."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from sinchphone.errors import NetworkError, NoServerError
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.sip.network.resolve import Resolver

ZONE = """
pbx.example. A 192.0.2.1
pbx.example. A 192.0.2.2
pbx.example. AAAA 2001:db8::1
srv.example. A 192.0.2.9
_sip._udp.srv.example. SRV 20 0 5070 late.srv.example.
_sip._udp.srv.example. SRV 10 0 5060 pbx.example.
_sip._tcp.srv.example. SRV 10 0 5062 pbx.example.
late.srv.example. A 192.0.2.5
carrier.example. NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.carrier.example.
carrier.example. NAPTR 90 50 "s" "SIP+D2T" "" _sip._tcp.carrier.example.
carrier.example. NAPTR 95 50 "u" "E2U+sip" "!^.*$!sip:x@y!" .
_sips._tcp.carrier.example. SRV 0 0 5061 edge.other.example.
_sip._tcp.carrier.example. SRV 0 0 5060 edge.other.example.
edge.other.example. A 192.0.2.7
closed.example. A 192.0.2.3
_sip._udp.closed.example. SRV 0 0 0 .
half.example. A 192.0.2.3
_sip._udp.half.example. SRV 0 0 5060 nowhere.example.
_sip._udp.half.example. SRV 1 0 5060 pbx.example.
"""


class NameServer(asyncio.DatagramProtocol):
    """Answers from ZONE; says nothing about names under ``silent.example``, fails for ``broken.example``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        if name.endswith("silent.example."):
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        lines = [line.split(" ", 2) for line in ZONE.strip().splitlines()]
        found = [rest for owner, type_, rest in lines if (owner, type_) == (name, kind)]
        if found:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *found))
        elif name.endswith("broken.example.") and kind not in ("A", "AAAA"):
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name.endswith("broken.example."):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.4"))
        elif not any(owner == name for owner, *_ in lines):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


@asynccontextmanager
async def resolving(families: tuple[int, ...] = (4,)) -> AsyncIterator[Resolver]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    asked = dns.asyncresolver.Resolver(configure=False)
    asked.nameservers = ["127.0.0.1"]
    asked.port = transport.get_extra_info("sockname")[1]
    asked.lifetime = 1.0
    try:
        yield Resolver(asked, families=families, chance=Random(4).random)
    finally:
        transport.close()


async def test_an_address_is_no_question() -> None:
    found = Resolver(None)
    assert await found.resolve("192.0.2.1", None, None) == [Hop("udp", "192.0.2.1", 5060)]
    assert await found.resolve("192.0.2.1", 5080, "tcp") == [Hop("tcp", "192.0.2.1", 5080)]
    assert await found.resolve("192.0.2.1", None, "tls") == [Hop("tls", "192.0.2.1", 5061)]
    assert await found.resolve("[2001:db8::1]", None, None, secure=True) == [Hop("tls", "2001:db8::1", 5061)]


async def test_a_port_leaves_only_the_address_to_ask_for() -> None:
    async with resolving() as found:
        hops = [Hop("udp", "192.0.2.1", 5999), Hop("udp", "192.0.2.2", 5999)]
        assert sorted(await found.resolve("pbx.example", 5999, None), key=lambda hop: hop.host) == hops
        assert await found.resolve("srv.example", 5999, "tcp") == [Hop("tcp", "192.0.2.9", 5999)]


async def test_services_come_by_priority_and_by_transport() -> None:
    async with resolving() as found:
        hops = await found.resolve("srv.example", None, None)
        assert [(hop.transport, hop.port) for hop in hops] == [("udp", 5060), ("udp", 5060), ("udp", 5070), ("tcp", 5062), ("tcp", 5062)]
        assert {(hop.transport, hop.port) for hop in await found.resolve("srv.example.", None, "tcp")} == {("tcp", 5062)}


async def test_the_domains_own_wish_decides_the_transport_and_its_name_must_be_in_the_certificate() -> None:
    async with resolving() as found:
        secure, plain = await found.resolve("carrier.example", None, None)
        assert secure == Hop("tls", "192.0.2.7", 5061, server_name="carrier.example")
        assert plain == Hop("tcp", "192.0.2.7", 5060)
        assert await found.resolve("carrier.example", None, None, secure=True) == [secure]
        assert await found.resolve("carrier.example", None, "tls") == [secure]


async def test_without_services_the_address_and_the_default_port_are_taken() -> None:
    async with resolving(families=(6, 4)) as found:
        hops = await found.resolve("pbx.example", None, None)
        assert hops[0] == Hop("udp", "2001:db8::1", 5060)
        assert {hop.host for hop in hops[1:]} == {"192.0.2.1", "192.0.2.2"}
        assert (await found.resolve("pbx.example", None, None, secure=True))[0] == Hop(
            "tls", "2001:db8::1", 5061, server_name="pbx.example"
        )


async def test_a_service_that_is_decidedly_not_there_isnt_looked_for_elsewhere() -> None:
    async with resolving() as found:
        with pytest.raises(NetworkError):
            await found.resolve("closed.example", None, "udp")


async def test_a_server_without_an_address_is_passed_over() -> None:
    async with resolving() as found:
        assert {hop.host for hop in await found.resolve("half.example", None, None)} == {"192.0.2.1", "192.0.2.2"}


async def test_a_name_server_that_fails_for_services_may_still_know_addresses() -> None:
    async with resolving() as found:
        assert await found.resolve("old.broken.example", None, None) == [Hop("udp", "192.0.2.4", 5060)]


@pytest.mark.parametrize(
    "name", ["nobody.example", "host.silent.example", "x" * 70 + ".example", "a..b", "", ".", "a b\x00.example", "ü" * 64]
)
async def test_a_name_that_leads_nowhere_is_a_network_error(name: str) -> None:
    async with resolving() as found:
        for port in (None, 5060):
            with pytest.raises(NetworkError):
                await found.resolve(name, port, None)


@pytest.mark.parametrize("port", [None, 5060])
@pytest.mark.parametrize("name", ["nobody.example", "x" * 70 + ".example", "a..b", "ü" * 64 + ".example", ("x" * 60 + ".") * 5 + "example"])
async def test_that_nobody_is_at_a_name_is_said_where_the_name_server_says_so_or_there_is_no_such_name(name: str, port: int | None) -> None:
    async with resolving() as found:
        with pytest.raises(NoServerError, match="no SIP server"):
            await found.resolve(name, port, None)


@pytest.mark.parametrize("port", [None, 5060])
async def test_a_name_server_that_says_nothing_is_not_taken_for_nobody_there(port: int | None) -> None:
    async with resolving() as found:
        with pytest.raises(NetworkError, match="name server") as caught:
            await found.resolve("host.silent.example", port, None)
    assert not isinstance(caught.value, NoServerError)


async def test_a_secure_address_never_goes_over_udp() -> None:
    with pytest.raises(NetworkError):
        await Resolver(None).resolve("192.0.2.1", None, "udp", secure=True)


async def test_this_machines_own_names_are_known_without_dns() -> None:
    assert await Resolver(None).resolve("localhost", 5070, None) == [Hop("udp", "127.0.0.1", 5070)]


class ManyServers:
    """Services of one priority: weights 10 and 30, and one of 0; each with an address."""

    async def resolve(self, qname: str, rdtype: str) -> list[object]:
        if rdtype == "SRV" and qname.startswith("_sip._udp"):
            servers = dns.rrset.from_text(
                "x.", 60, "IN", "SRV", "1 10 5060 ten.example.", "1 30 5060 thirty.example.", "1 0 5060 zero.example."
            )
            return list(servers)
        if rdtype == "A":
            return list(dns.rrset.from_text("x.", 60, "IN", "A", {"t": "192.0.2.10", "h": "192.0.2.30"}.get(qname[:1], "192.0.2.99")))
        raise dns.resolver.NXDOMAIN


async def test_servers_of_one_priority_share_the_calls_by_weight() -> None:
    found = Resolver(ManyServers(), chance=Random(7).random)
    firsts: Counter[str] = Counter()
    for _ in range(400):
        orders = [part.name for part in (await found._srv("_sip._udp.x.example", "udp")) or ()]
        assert sorted(orders) == ["ten.example", "thirty.example", "zero.example"]
        firsts[orders[0]] += 1
    assert 0.68 < firsts["thirty.example"] / 400 < 0.82
    assert firsts["zero.example"] < 10
