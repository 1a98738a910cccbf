"""A server that asks for a while without us (503 with Retry-After, RFC 3261 21.5.4) is left alone for so long."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import Refused, SipCall, SipTarget
from sinchphone.gateway.sip.network.hop import Hop, TransportError
from sinchphone.gateway.sip.network.rests import MAX_REST_SECONDS, MAX_SERVERS, Rests
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.tasks import start_task

LIMIT = 20.0
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
HOP = Hop("udp", "192.0.2.7", 5060)


class Busy(asyncio.DatagramProtocol):
    """Answers each request with one status and notes when it came."""

    def __init__(self, status: str, *headers: str) -> None:
        self.status = status
        self.headers = headers
        self.came_at: list[float] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        text = data.decode()
        if text.startswith(("INVITE", "REGISTER")):
            self.came_at.append(time.monotonic())
            kept = [line for line in text.split("\r\n") if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")]
            to = next(line for line in text.split("\r\n") if line.startswith("To:"))
            lines = [f"SIP/2.0 {self.status}", *kept, f"{to};tag=t", *self.headers, "Content-Length: 0", "", ""]
            self.transport.sendto("\r\n".join(lines).encode(), addr)

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])


@pytest.fixture
async def busy() -> AsyncIterator[Callable[..., Any]]:
    opened: list[Busy] = []

    async def made(status: str, *headers: str) -> Busy:
        _, one = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Busy(status, *headers), local_addr=("127.0.0.1", 0))
        opened.append(one)
        return one

    yield made
    for one in opened:
        one.transport.close()


@pytest.fixture
async def agent() -> AsyncIterator[SipAgent]:
    async def nobody(call: SipCall) -> None:
        await call.refuse(404)

    one = SipAgent(SipOptions(port=0), router=nobody)
    await one.start()
    yield one
    await one.close()


async def outcome(agent: SipAgent, port: int) -> Refused:
    call = agent.invite(SipTarget(parse_uri(f"sip:bob@127.0.0.1:{port}")), caller=parse_address("<sip:alice@127.0.0.1>"), offer=SDP)
    async with asyncio.timeout(LIMIT):
        last = [event async for event in call.events()][-1]
    assert isinstance(last, Refused)
    return last


async def test_a_server_that_is_overloaded_gets_no_call_for_as_long_as_it_asks(agent: SipAgent, busy: Any) -> None:
    server, other = await busy("503 Service Unavailable", "Retry-After: 120"), await busy("486 Busy Here")
    assert await outcome(agent, server.port) == Refused(503, "Service Unavailable", retry_after_s=120)
    refused = await outcome(agent, server.port)
    assert (refused.status, "it asks for no calls for another 1" in refused.reason) == (503, True)
    assert len(server.came_at) == 1
    assert (await outcome(agent, other.port)).status == 486


@pytest.mark.parametrize("status", ["486 Busy Here", "480 Unavailable", "500 Error", "600 Busy"])
async def test_what_a_callee_says_of_itself_keeps_no_other_call_from_its_server(agent: SipAgent, busy: Any, status: str) -> None:
    server = await busy(status, "Retry-After: 120")
    for _ in range(2):
        assert (await outcome(agent, server.port)).retry_after_s == 120
    assert len(server.came_at) == 2


async def test_a_server_that_says_no_time_is_called_again(agent: SipAgent, busy: Any) -> None:
    server = await busy("503 Service Unavailable")
    for _ in range(2):
        assert await outcome(agent, server.port) == Refused(503, "Service Unavailable")
    assert len(server.came_at) == 2


async def test_a_registrar_is_asked_again_when_it_says(agent: SipAgent, busy: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = await busy("503 Service Unavailable", "Retry-After: 2")
    registration = agent.registration(parse_uri(f"sip:127.0.0.1:{server.port}"), Credentials("us", "secret"), registered=lambda hop: None)
    registration._retry_seconds = (0.01, 0.02)
    running = start_task(registration.run(), name="run")
    async with asyncio.timeout(LIMIT):
        while len(server.came_at) < 2:
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.wait([running])
    assert server.came_at[1] - server.came_at[0] >= 1.9
    assert "it is to be asked again in 2 s" in caplog.text


def test_a_rest_ends_and_is_bounded() -> None:
    rests = Rests()
    rests.ask(HOP, 60, 0.0)
    with pytest.raises(TransportError, match="another 30 s"):
        rests.check(HOP, 30.0)
    rests.check(HOP, 60.0)
    rests.check(Hop("tcp", "192.0.2.7", 5060), 0.0)
    rests.ask(HOP, 10**9, 100.0)
    rests.check(HOP, 100.0 + MAX_REST_SECONDS)
    for port in range(1, MAX_SERVERS + 2):
        rests.ask(Hop("udp", "192.0.2.8", port), 60, 100.0)
    rests.check(HOP, 101.0)  # the oldest is forgotten
