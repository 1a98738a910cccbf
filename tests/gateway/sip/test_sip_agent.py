"""Two user agents call each other over loopback: every way a call can go."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sinchphone.exchange.tls import issue
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import (
    Refused,
    SipAnswered,
    SipCall,
    SipDigitHeard,
    SipEarly,
    SipEnded,
    SipError,
    SipReoffered,
    SipRinging,
    SipTarget,
)
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.gateway.sip.registrar import Registrar
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.protocol.sip.uri import SipAddress, parse_address, parse_uri

LIMIT = 20.0  # generous: the machine may be busy
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace("4000", "5000")
QUICK = Timing(t1=0.05, t2=0.2, t4=0.2)
ALICE = parse_address('"Alice" <sip:alice@127.0.0.1>')


async def nobody(call: SipCall) -> None:
    await call.refuse(404)


@asynccontextmanager
async def agent(router: Callable[[SipCall], Awaitable[None]] = nobody, **options: Any) -> AsyncIterator[SipAgent]:
    registrar = options.pop("registrar", None)
    given: dict[str, Any] = {"port": 0, "open": True, "timing": QUICK, **options}
    one = SipAgent(SipOptions(**given), router=router, registrar=registrar)
    await one.start()
    try:
        yield one
    finally:
        await one.close()


def to(one: SipAgent, user: str = "bob", tail: str = "") -> SipTarget:
    return SipTarget(parse_uri(f"sip:{user}@127.0.0.1:{one.port}{tail}"))


async def events_of(call: SipCall) -> list[object]:
    async with asyncio.timeout(LIMIT):
        return [event async for event in call.events()]


async def first(call: SipCall, kind: type) -> Any:
    async with asyncio.timeout(LIMIT):
        async for event in call.events():
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__}")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_is_answered_and_hung_up_by_the_caller(transport: Any) -> None:
    heard: list[object] = []

    async def answers(call: SipCall) -> None:
        assert call.offer == OFFER
        assert call.headers == {"x-team": "blue"}
        assert call.remote.name == "Alice"
        await call.ring()
        await call.answer(ANSWER)
        heard.extend(await events_of(call))

    async with agent(answers) as bob, agent() as alice:
        call = alice.invite(to(bob), caller=ALICE, offer=OFFER, headers={"X-Team": "blue"}, transport=transport)
        events = []
        async with asyncio.timeout(LIMIT):
            async for event in call.events():
                events.append(event)
                if isinstance(event, SipAnswered):
                    await call.hang_up()
        assert events == [SipRinging(180, "Ringing"), SipAnswered(ANSWER), SipEnded("hung up")]
        async with asyncio.timeout(LIMIT):
            while not heard:
                await asyncio.sleep(0.01)
        assert heard == [SipEnded("the other side hung up")]


async def test_the_callee_hangs_up() -> None:
    async def answers(call: SipCall) -> None:
        await call.answer(ANSWER)
        await call.hang_up()

    async with agent(answers) as bob, agent() as alice:
        call = alice.invite(to(bob), caller=ALICE, offer=OFFER)
        assert await events_of(call) == [SipAnswered(ANSWER), SipEnded("the other side hung up")]


async def test_a_refusal_comes_with_status_and_reason() -> None:
    async def refuses(call: SipCall) -> None:
        await call.refuse(486, "Busy At The Moment")

    async with agent(refuses) as bob, agent() as alice:
        assert await events_of(alice.invite(to(bob), caller=ALICE, offer=OFFER)) == [Refused(486, "Busy At The Moment")]


async def test_early_sound_is_reliable_and_the_200_needs_no_description() -> None:
    async def early(call: SipCall) -> None:
        await call.early(ANSWER)
        await call.answer(ANSWER)
        await events_of(call)

    async with agent(early) as bob, agent() as alice:
        call = alice.invite(to(bob), caller=ALICE, offer=OFFER)
        assert await first(call, SipEarly) == SipEarly(ANSWER, 183)
        assert await first(call, SipAnswered) == SipAnswered(ANSWER)
        await call.hang_up()


async def test_hanging_up_while_it_rings_cancels() -> None:
    ended = asyncio.Event()
    heard: list[object] = []

    async def rings(call: SipCall) -> None:
        await call.ring()
        heard.extend(await events_of(call))
        ended.set()

    async with agent(rings) as bob, agent() as alice:
        call = alice.invite(to(bob), caller=ALICE, offer=OFFER)
        await first(call, SipRinging)
        await call.hang_up()
        async with asyncio.timeout(LIMIT):
            await ended.wait()
        assert heard == [SipEnded("canceled", 487)]
        assert await events_of(call) == [SipEnded("hung up")]


async def test_nobody_there_is_a_503_or_a_408() -> None:
    async with agent() as alice:
        target = SipTarget(parse_uri("sip:bob@127.0.0.1:9;transport=tcp"))
        assert await events_of(alice.invite(target, caller=ALICE, offer=OFFER)) == [
            Refused(503, "127.0.0.1 can't be reached over SIP: connection refused")
        ]
        silent = asyncio.DatagramProtocol()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: silent, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        target = SipTarget(parse_uri(f"sip:bob@127.0.0.1:{port}"))
        assert await events_of(alice.invite(target, caller=ALICE, offer=OFFER)) == [Refused(408, "Request Timeout")]
        transport.close()


async def test_hold_and_resume_by_either_side_and_digits() -> None:
    held = OFFER + "a=sendonly\r\n"
    heard: list[object] = []

    async def answers(call: SipCall) -> None:
        await call.answer(ANSWER)
        async for event in call.events():
            heard.append(event)
            if isinstance(event, SipReoffered):
                await call.answer_reoffer(ANSWER + "a=recvonly\r\n")
            if isinstance(event, SipDigitHeard):
                assert await call.reoffer(ANSWER + "a=inactive\r\n") == OFFER + "a=inactive\r\n"
                await call.hang_up()

    async with agent(answers) as bob, agent() as alice:
        call = alice.invite(to(bob), caller=ALICE, offer=OFFER)
        await first(call, SipAnswered)
        assert await call.reoffer(held) == ANSWER + "a=recvonly\r\n"
        await call.send_digit("7", 200)
        await first(call, SipReoffered)
        await call.answer_reoffer(OFFER + "a=inactive\r\n")
        assert await events_of(call) == [SipEnded("the other side hung up")]
    assert heard == [SipReoffered(held), SipDigitHeard("7", 200), SipEnded("hung up")]


async def test_a_refused_change_leaves_the_call_as_it_was() -> None:
    async def answers(call: SipCall) -> None:
        await call.answer(ANSWER)
        async for event in call.events():
            if isinstance(event, SipReoffered):
                await call.refuse_reoffer(488)

    async with agent(answers) as bob, agent() as alice:
        call = alice.invite(to(bob), caller=ALICE, offer=OFFER)
        await first(call, SipAnswered)
        with pytest.raises(SipError) as refused:
            await call.reoffer(OFFER + "a=sendonly\r\n")
        assert refused.value.status == 488
        assert not call.is_over
        await call.hang_up()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_only_a_user_with_the_right_password_may_call(algorithm: str) -> None:
    users: list[str | None] = []

    async def answers(call: SipCall) -> None:
        users.append(call.user)
        await call.refuse(480)

    registrar = Registrar({"alice": "secret"})
    async with agent(answers, open=False, registrar=registrar, algorithms=(algorithm,)) as bob, agent() as alice:
        right, wrong, unknown = Credentials("alice", "secret"), Credentials("alice", "guess"), Credentials("mallory", "secret")
        for credentials, status in ((None, 407), (wrong, 407), (unknown, 407), (right, 480)):
            call = alice.invite(to(bob), caller=ALICE, offer=OFFER, credentials=credentials)
            (refused,) = await events_of(call)
            assert isinstance(refused, Refused)
            assert refused.status == status
    assert users == ["alice"]


async def test_a_call_over_ipv6() -> None:
    async def answers(call: SipCall) -> None:
        await call.answer(ANSWER)
        await call.hang_up()

    async with agent(answers, host="::1") as bob, agent(host="::1") as alice:
        call = alice.invite(SipTarget(parse_uri(f"sip:bob@[::1]:{bob.port}")), caller=ALICE, offer=OFFER)
        assert await events_of(call) == [SipAnswered(ANSWER), SipEnded("the other side hung up")]


@pytest.mark.parametrize("scheme", ["sip", "sips"])
async def test_a_call_over_tls_to_somebody_trusted(scheme: str, tmp_path: Path) -> None:
    async def answers(call: SipCall) -> None:
        await call.answer(ANSWER)
        await call.hang_up()

    issued = issue(tmp_path / "right", "127.0.0.1", datetime.datetime.now(datetime.UTC))
    other = issue(tmp_path / "wrong", "127.0.0.1", datetime.datetime.now(datetime.UTC))
    tail = ";transport=tls" if scheme == "sip" else ""
    async with agent(answers, certificate=issued.certificate) as bob:
        target = SipTarget(parse_uri(f"{scheme}:bob@127.0.0.1:{bob.tls_port}{tail}"))
        async with agent(ca_files=(issued.authority,), certificate=issued.certificate) as alice:
            assert await events_of(alice.invite(target, caller=ALICE, offer=OFFER)) == [
                SipAnswered(ANSWER),
                SipEnded("the other side hung up"),
            ]
        async with agent(ca_files=(other.authority,), certificate=issued.certificate) as mallory:
            (refused,) = await events_of(mallory.invite(target, caller=ALICE, offer=OFFER))
            assert isinstance(refused, Refused)
            assert refused.status == 503


async def test_no_call_leaves_anything_behind() -> None:
    async def answers(call: SipCall) -> None:
        await call.answer(ANSWER)
        await call.hang_up()

    async with agent(answers) as bob, agent() as alice:
        for _ in range(3):
            await events_of(alice.invite(to(bob), caller=ALICE, offer=OFFER))
        async with asyncio.timeout(LIMIT):
            while alice.open_transactions or bob.open_transactions:
                await asyncio.sleep(0.05)
        assert alice.open_calls == bob.open_calls == 0


async def test_an_address_without_a_name_server_entry_is_a_503() -> None:
    async with agent() as alice:
        call = alice.invite(SipTarget(parse_uri("sip:bob@nowhere.invalid:5060")), caller=SipAddress(parse_uri("sip:a@b")), offer=OFFER)
        (refused,) = await events_of(call)
        assert isinstance(refused, Refused)
        assert refused.status == 503
