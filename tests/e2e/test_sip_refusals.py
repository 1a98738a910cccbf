"""A SIP side that refuses: its status and reason come back to the caller, and the caller's headers reach it."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sinchphone.cli.endings import describe
from sinchphone.exchange.tls import issue
from sinchphone.protocol.call.states import State


@dataclass
class Refuser(asyncio.DatagramProtocol):
    """Answers each INVITE with one status (RFC 3261 8.2.6) and keeps what it was sent."""

    status: str
    seen: list[list[str]] = field(default_factory=list)
    transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        lines = data.decode().split("\r\n")
        if not lines[0].startswith("INVITE "):
            return
        self.seen.append(lines)
        kept = [line for line in lines if line.lower().startswith(("via:", "from:", "to:", "call-id:", "cseq:"))]
        echoed = [f"{line};tag=refuser" if line.lower().startswith("to:") else line for line in kept]
        self.transport.sendto(
            "\r\n".join([f"SIP/2.0 {self.status}", *echoed, "X-Ticket: closed", "Content-Length: 0", "", ""]).encode(), address
        )

    @property
    def address(self) -> str:
        return f"alice@127.0.0.1:{self.transport.get_extra_info('sockname')[1]}"


@pytest.fixture
async def refuser() -> AsyncIterator[Callable[[str], Any]]:
    opened: list[Refuser] = []

    async def refuse(status: str) -> Refuser:
        _, made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Refuser(status), local_addr=("127.0.0.1", 0))
        opened.append(made)
        return made

    yield refuse
    for one in opened:
        one.transport.close()


@pytest.mark.parametrize(
    ("status", "exit_code", "words"),
    [
        ("486 Busy Here", 6, "busy here (SIP 486)"),
        ("600 Busy Everywhere", 6, "busy everywhere (SIP 600)"),
        ("404 Not Found", 7, "not found (SIP 404)"),
        ("480 Temporarily Unavailable", 5, "temporarily unavailable (SIP 480)"),
        ("403 Forbidden", 8, "forbidden (SIP 403)"),
        ("603 Decline", 3, "decline (SIP 603)"),
        ("488 Not Acceptable Here", 10, "not acceptable here (SIP 488)"),
        ("500 Server Internal Error", 13, "server internal error (SIP 500)"),
    ],
)
async def test_a_refusal_comes_back_with_its_status_and_reason(
    lines: Any, steps: Any, refuser: Any, status: str, exit_code: int, words: str
) -> None:
    pbx = await refuser(status)
    alice = await lines.phone("alice")
    call = await alice.call_sip(pbx.address, headers={"x-ticket": "4711"})
    details = await steps.end_of(call)
    code, _, reason = status.partition(" ")
    assert details.failure is not None
    assert (details.failure.domain, details.failure.code, details.failure.message) == ("sip", int(code), reason)
    assert details.failure.headers == {"x-ticket": "closed"}
    ending = describe(details, peer=call.peer, domain=call.domain, outbound=True, order=None, interactive=False)
    assert (int(ending.code), ending.reason) == (exit_code, words)
    assert "x-ticket: 4711" in [line.lower() for line in pbx.seen[0]]


@pytest.mark.parametrize(("status", "header"), [("486 Busy Here", "120"), ("603 Decline", "120"), ("503 Service Unavailable", None)])
async def test_when_to_call_again_reaches_callers_of_either_kind(
    sip_exchange: Any, steps: Any, refuser: Any, status: str, header: str | None
) -> None:
    pbx = await refuser(f"{status}\r\nRetry-After: 120")
    exchange = await sip_exchange("desk", dialplan={"9": f"sip:{pbx.address}"})
    alice = await exchange.terminal("alice")
    call = await exchange.dial("desk", "9")
    code, _, reason = status.partition(" ")
    ended = await call.over()
    assert (ended.status, ended.retry_after_s) == (int(code), int(header) if header else None)
    if header:
        told = (await steps.end_of(await alice.call_sip(pbx.address))).failure
        assert (told.code, told.message) == (int(code), f"{reason}, to be tried again in 120 s")


async def test_a_sip_side_that_isnt_there_is_trouble_of_the_network_and_not_its_refusal(lines: Any, steps: Any, free_port: int) -> None:
    alice = await lines.phone("alice")
    call = await alice.call_sip(f"alice@127.0.0.1:{free_port}")
    details = await steps.end_of(call, 60.0)
    assert details.failure is not None
    assert (details.failure.domain, details.failure.code) == ("network", 503)
    ending = describe(details, peer=call.peer, domain=call.domain, outbound=True, order=None, interactive=False)
    assert (int(ending.code), ending.reason) == (
        9,
        f"the call failed: 127.0.0.1 can't be reached over SIP: no SIP server listens at port {free_port} there",
    )
    assert ending.hint is not None and "whether a SIP server runs there" in ending.hint
    assert State.RINGING not in [state async for state in call.states()]


async def test_why_a_sip_side_is_not_trusted_reaches_the_caller_with_what_to_do(sip_exchange: Any, steps: Any, tmp_path: Path) -> None:
    issued = issue(tmp_path, "127.0.0.1", datetime.datetime.now(datetime.UTC))
    for ca_file, says in ((None, "the issuer of its certificate is unknown here"), (issued.authority, "")):
        exchange = await sip_exchange("desk", sip={"ca_file": ca_file})
        pbx, alice = await exchange.phone(certificate=issued.certificate), await exchange.terminal("alice")
        call = await alice.call_sip(f"bob@127.0.0.1:{pbx.agent.tls_port};transport=tls")
        if says:
            ending = describe(
                await steps.end_of(call, 60.0), peer=call.peer, domain=call.domain, outbound=True, order=None, interactive=False
            )
            assert (int(ending.code), ending.hint is not None and "ca_file" in ending.hint) == (9, True)
            assert ending.reason == f"the call failed: no secure connection to 127.0.0.1: {says}"
        else:
            await (await pbx.next_call()).sip.refuse(486)
            assert (await steps.end_of(call)).failure.code == 486
