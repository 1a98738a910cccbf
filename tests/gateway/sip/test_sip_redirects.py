"""Where a redirection may lead, and who a trunk is: attacks by whoever is called or sits beside."""

import asyncio
from typing import Any

import pytest

from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import Refused, SipCall, SipTarget
from sinchphone.gateway.sip.options import SipOptions, TrunkPeer
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.protocol.sip.uri import SipUri, parse_address, parse_uri

LIMIT = 20.0
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
QUICK = Timing(t1=0.05, t2=0.2, t4=0.2)
ALICE = parse_address("<sip:alice@127.0.0.1>")


class Server(asyncio.DatagramProtocol):
    """Answers each INVITE with one status and keeps it."""

    def __init__(self, status: str, *headers: str) -> None:
        self.status = status
        self.headers = headers
        self.invites: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        text = data.decode()
        if text.startswith("INVITE"):
            self.invites.append(text)
            kept = [line for line in text.split("\r\n") if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")]
            to = next(line for line in text.split("\r\n") if line.startswith("To:"))
            lines = [f"SIP/2.0 {self.status}", *kept, f"{to};tag=t", *self.headers, "Content-Length: 0", "", ""]
            self.transport.sendto("\r\n".join(lines).encode(), addr)

    @property
    def at(self) -> str:
        host, port = self.transport.get_extra_info("sockname")
        return f"{host}:{port}"


async def server(host: str, status: str, *headers: str) -> Server:
    _, made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Server(status, *headers), local_addr=(host, 0))
    return made


async def nobody(call: SipCall) -> None:
    await call.refuse(404)


async def outcome(target: str, *, trunks: tuple[TrunkPeer, ...] = (), **more: Any) -> object:
    """What becomes of a call of ours to there."""
    one = SipAgent(SipOptions(port=0, timing=QUICK, trunks=trunks), router=nobody)
    await one.start()
    try:
        call = one.invite(SipTarget(parse_uri(target)), caller=ALICE, offer=SDP, **more)
        async with asyncio.timeout(LIMIT):
            return [event async for event in call.events()][-1]
    finally:
        await one.close()


async def test_attack_a_redirection_cannot_reach_the_trunk_past_its_rules() -> None:
    carrier = await server("127.0.0.5", "486 Busy")
    phone = await server("127.0.0.6", "302 Moved", f"Contact: <sip:+19005551234@{carrier.at}>")
    trunk = TrunkPeer(name="trunk", hosts=frozenset({"127.0.0.5"}), names=frozenset({"carrier.example"}))
    assert isinstance(await outcome(f"sip:bob@{phone.at}", trunks=(trunk,)), Refused)
    assert carrier.invites == []
    phone.headers = ("Contact: <sip:+19005551234@Carrier.Example>",)
    assert await outcome(f"sip:bob@{phone.at}", trunks=(trunk,)) == Refused(302, "Moved")
    carrier.transport.close()
    phone.transport.close()


async def test_a_trusted_peer_may_redirect_to_itself() -> None:
    second = await server("127.0.0.6", "486 Busy")
    first = await server("127.0.0.6", "302 Moved", f"Contact: <sip:bob@{second.at}>")
    peer = TrunkPeer(name="peer", hosts=frozenset({"127.0.0.6"}))
    assert await outcome(f"sip:bob@{first.at}", trunks=(peer,)) == Refused(486, "Busy")
    first.transport.close()
    second.transport.close()


async def test_attack_a_redirection_does_not_take_the_password_with_it() -> None:
    evil = await server("127.0.0.6", "401 Unauthorized", 'WWW-Authenticate: Digest realm="evil", nonce="n", algorithm=MD5')
    carrier = await server("127.0.0.5", "302 Moved", f"Contact: <sip:+46700000001@{evil.at}>")
    credentials = Credentials("me", "secret")
    assert await outcome(f"sip:bob@{carrier.at}", credentials=credentials) == Refused(401, "Unauthorized")
    assert len(evil.invites) == 1
    assert "Authorization:" not in evil.invites[0]
    carrier.transport.close()
    evil.transport.close()


async def test_a_caller_may_say_where_a_redirection_may_lead() -> None:
    elsewhere = await server("127.0.0.6", "486 Busy")
    carrier = await server("127.0.0.5", "302 Moved", f"Contact: <sip:bob@{elsewhere.at}>")
    asked: list[SipUri] = []

    def never(uri: SipUri) -> bool:
        asked.append(uri)
        return False

    assert await outcome(f"sip:bob@{carrier.at}", may_follow=never) == Refused(302, "Moved")
    assert [str(one) for one in asked] == [f"sip:bob@{elsewhere.at}"]
    assert elsewhere.invites == []
    carrier.transport.close()
    elsewhere.transport.close()


@pytest.mark.parametrize(("transport", "trunk"), [("tcp", "carrier"), ("udp", None)])
async def test_attack_a_datagram_is_not_the_trunks_where_that_speaks_tcp(transport: Any, trunk: str | None) -> None:
    came: list[tuple[str | None, bool]] = []

    async def notes(call: SipCall) -> None:
        came.append((call.trunk, call.facts.encrypted))
        await call.refuse(480)

    peer = TrunkPeer(name="carrier", hosts=frozenset({"127.0.0.1"}), transports=frozenset({"tcp"}), encrypted=True)
    one = SipAgent(SipOptions(port=0, timing=QUICK, trunks=(peer,), open=True), router=notes)
    await one.start()
    await outcome(f"sip:bob@127.0.0.1:{one.port}", transport=transport)
    await one.close()
    assert came == [(trunk, trunk is not None)]


async def test_a_call_says_where_its_answers_come_from() -> None:
    busy = await server("127.0.0.6", "486 Busy")
    one = SipAgent(SipOptions(port=0, timing=QUICK), router=nobody)
    await one.start()
    call = one.invite(SipTarget(parse_uri(f"sip:bob@{busy.at}")), caller=ALICE, offer=SDP)
    assert call.heard_from is None
    async with asyncio.timeout(LIMIT):
        assert [event async for event in call.events()] == [Refused(486, "Busy")]
    assert call.heard_from is not None and call.heard_from.host == "127.0.0.6"
    await one.close()
    busy.transport.close()
