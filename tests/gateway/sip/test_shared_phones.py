"""Phones that registered at one process of an exchange, called by another: through the one that holds their connection."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from sinchphone.exchange.processes.phones import PhoneRows
from sinchphone.exchange.tls import Issued, issue
from sinchphone.gateway.sip.agent import SipAgent
from sinchphone.gateway.sip.calls import Refused, SipAnswered, SipCall, SipDigitHeard, SipEnded, SipReoffered, SipRinging, SipTarget
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.sip.options import SipOptions
from sinchphone.gateway.sip.registrar import Contact, Registrar
from sinchphone.gateway.sip.shared_bindings import SharedBindings
from sinchphone.protocol.sip.digest import Answering, Credentials
from sinchphone.protocol.sip.flow_token import FlowEnd, FlowToken, seal
from sinchphone.protocol.sip.message import Request, Response
from sinchphone.protocol.sip.transactions.transaction import Timing
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.tasks import start_task
from tests.gateway.sip.raw_peer import Peer, peer
from tests.gateway.sip.shared_table import SharedTable
from tests.waiting import until

LIMIT = 20.0
QUICK = Timing(t1=0.05, t2=0.2, t4=0.2)
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace("4000", "5000")
LONG = OFFER + "".join(f"a=x-{number}:{'y' * 60}\r\n" for number in range(40))  # more than a datagram should have
BOB = parse_address('"Bob" <sip:bob@127.0.0.1>')
Take = Callable[[SipCall], Awaitable[None]]


async def refuses(call: SipCall) -> None:
    await call.refuse(486)


@dataclass
class Process:
    """One process of the exchange."""

    agent: SipAgent
    registrar: Registrar
    rows: PhoneRows

    def phone(self) -> Contact:
        (found,) = self.registrar.contacts("ada")
        return found

    def calls(self, phone: Contact, offer: str = OFFER) -> SipCall:
        return self.agent.invite(SipTarget(phone.uri, phone.hop, phone.route), caller=BOB, offer=offer)


@dataclass
class Floor:
    """Processes that share phones, and phones."""

    stack: AsyncExitStack
    issued: Issued
    shared: SharedTable = field(default_factory=SharedTable)

    async def process(self, name: str, **more: Any) -> Process:
        rows = self.shared.phones(name)
        registrar = Registrar({"ada": "secret"}, shared=SharedBindings(rows, "acme", b"n" * 32))
        options = SipOptions(port=0, timing=QUICK, certificate=self.issued.certificate, **more)
        agent = SipAgent(options, router=refuses, registrar=registrar)
        await agent.start()
        self.stack.push_async_callback(agent.close)
        await registrar.join()
        return Process(agent, registrar, rows)

    async def phone(self, at: Process, take: Take, transport: Any = "udp") -> SipAgent:
        """One that is registered there."""
        options = SipOptions(port=0, timing=QUICK, open=True, certificate=self.issued.certificate, ca_files=(self.issued.authority,))
        agent = SipAgent(options, router=take)
        await agent.start()
        self.stack.push_async_callback(agent.close)
        granted: list[object] = []
        registrar = parse_uri(f"sip:127.0.0.1:{at.agent.tls_port if transport == 'tls' else at.agent.port}")
        registration = agent.registration(registrar, Credentials("ada", "secret"), transport=transport, registered=granted.append)
        task = start_task(registration.run(), name="phone")
        self.stack.callback(task.cancel)
        await until(lambda: bool(granted))
        return agent


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return issue(tmp_path_factory.mktemp("tls"), "127.0.0.1", datetime.datetime.now(datetime.UTC))


@pytest.fixture
async def floor(issued: Issued) -> AsyncIterator[Floor]:
    async with AsyncExitStack() as stack:
        yield Floor(stack, issued)


@asynccontextmanager
async def limited() -> AsyncIterator[None]:
    async with asyncio.timeout(LIMIT):
        yield


async def events_of(call: SipCall) -> list[object]:
    async with limited():
        return [event async for event in call.events()]


async def first(call: SipCall, kind: type) -> Any:
    async with limited():
        async for event in call.events():
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__}")


@pytest.mark.parametrize("offer", [OFFER, LONG])
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_call_goes_through_the_process_that_holds_the_phones_connection_with_all_that_is_said_in_it(
    floor: Floor, transport: str, offer: str
) -> None:
    heard: list[object] = []

    async def answers(call: SipCall) -> None:
        assert call.offer == offer
        assert call.facts.source is not None
        came_from.append((call.facts.source.transport, call.facts.source.port))
        await call.ring()
        await call.answer(ANSWER)
        async for event in call.events():
            heard.append(event)
            if isinstance(event, SipReoffered):
                await call.answer_reoffer(ANSWER + "a=recvonly\r\n")
            if isinstance(event, SipDigitHeard):
                assert await call.reoffer(ANSWER + "a=inactive\r\n") == OFFER + "a=inactive\r\n"
                await call.hang_up()

    came_from: list[tuple[str, int]] = []
    one, two = await floor.process("one"), await floor.process("two")
    await floor.phone(one, answers, transport)
    phone = two.phone()
    assert one.phone().route == ()
    assert (phone.hop.transport, phone.route[0].uri.port) == (transport, one.agent.port)
    call = two.calls(phone, offer)
    await first(call, SipAnswered)
    assert await call.reoffer(OFFER + "a=sendonly\r\n") == ANSWER + "a=recvonly\r\n"
    await call.send_digit("7", 200)
    await first(call, SipReoffered)
    await call.answer_reoffer(OFFER + "a=inactive\r\n")
    assert await events_of(call) == [SipEnded("the other side hung up")]
    assert heard == [SipReoffered(OFFER + "a=sendonly\r\n"), SipDigitHeard("7", 200), SipEnded("hung up")]
    assert [transport_ for transport_, _ in came_from] == [transport]
    if transport == "udp":
        assert came_from[0][1] == one.agent.port  # where it registered: a NAT in between lets nothing else in


async def test_hanging_up_while_it_rings_reaches_the_phone_with_the_reason(floor: Floor) -> None:
    heard: list[object] = []

    async def rings(call: SipCall) -> None:
        await call.ring()
        heard.extend(await events_of(call))

    one, two = await floor.process("one"), await floor.process("two")
    await floor.phone(one, rings)
    call = two.calls(two.phone())
    await first(call, SipRinging)
    await call.hang_up("Call completed elsewhere", 200)
    await until(lambda: bool(heard))
    assert heard == [SipEnded("Call completed elsewhere", 200)]
    edge = one.agent._edge
    assert edge is not None
    await until(lambda: not edge._invites)


async def test_a_refusal_of_the_phone_is_what_the_caller_hears(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    await floor.phone(one, refuses)
    (refused,) = await events_of(two.calls(two.phone()))
    assert isinstance(refused, Refused)
    assert refused.status == 486


async def test_a_phone_whose_connection_broke_off_is_a_failed_flow(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    phone = await floor.phone(one, refuses, "tcp")
    found = two.phone()
    await phone.close()
    (refused,) = await events_of(two.calls(found))
    assert isinstance(refused, Refused)
    assert refused.status == 430


async def test_a_phone_that_registers_at_another_process_is_reached_there_and_nowhere_else(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    phone = await floor.phone(one, refuses)
    granted: list[object] = []
    registrar = parse_uri(f"sip:127.0.0.1:{two.agent.port}")
    again = phone.registration(registrar, Credentials("ada", "secret"), registered=granted.append)
    task = start_task(again.run(), name="phone")
    await until(lambda: bool(granted))
    assert two.phone().route == ()
    assert one.phone().route[0].uri.port == two.agent.port
    task.cancel()
    await again.withdraw()
    assert one.registrar.contacts("ada") == two.registrar.contacts("ada") == []


async def test_what_a_process_held_is_gone_with_it_and_told_once_more_where_it_lives_after_all(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    await floor.phone(one, refuses)
    told = floor.shared.followers.pop("one")  # it stalls
    await two.rows.bury("acme", "one")
    floor.shared.followers["one"] = told
    assert two.registrar.contacts("ada") == []
    assert floor.shared.rows == {}
    one.rows.taken_for_dead()  # and goes on
    await until(lambda: bool(floor.shared.rows))
    await until(lambda: bool(two.registrar.contacts("ada")))
    assert one.phone().route == ()
    assert two.phone().route[0].uri.port == one.agent.port


async def test_a_process_that_ends_lets_the_others_forget_its_phones(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    await floor.phone(one, refuses)
    await one.registrar.close()
    assert two.registrar.contacts("ada") == []
    assert floor.shared.rows == {}


async def register(one: Peer, *headers: str, then: int | None = None) -> Response:
    """Register ada's phone, with the password sent to the process at that port."""
    await prove(one, *headers, then=then)
    return await one.hear(200)


async def prove(one: Peer, *headers: str, then: int | None = None, **more: str) -> str:
    """Ask to be registered, with the password sent to the process at that port; what was sent as proof."""
    given: dict[str, Any] = {"uri": "sip:127.0.0.1", "To": "<sip:ada@127.0.0.1>", "Contact": "<sip:ada@192.0.2.7:5070>", **more}
    one.ask("REGISTER", *headers, **given)
    challenged = await one.hear(401)
    answering = Answering(Credentials("ada", "secret"), lambda: "c" * 16)
    request = Request((), b"", "REGISTER", parse_uri("sip:127.0.0.1"))
    assert answering.take(challenged, request, 0)
    ((_, proof),) = answering.headers("REGISTER", request.uri)
    one.to = ("127.0.0.1", then) if then else one.to
    one.ask("REGISTER", *headers, f"Authorization: {proof}", **given)
    return proof


async def prove_call(one: Peer) -> str:
    """Call bob; with what proof that may be done."""
    one.ask("INVITE")
    answering = Answering(Credentials("ada", "secret"), lambda: "c" * 16)
    request = Request((), b"", "INVITE", parse_uri("sip:bob@127.0.0.1"))
    assert answering.take(await one.hear(407), request, 0)
    ((_, proof),) = answering.headers("INVITE", request.uri)
    return proof


async def test_a_nonce_of_one_process_is_good_at_the_other(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    async with peer(one.agent) as phone:
        await register(phone, then=two.agent.port)
    assert one.phone().route[0].uri.port == two.agent.port


async def test_attack_an_answer_overheard_at_one_process_is_no_proof_at_another(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    async with peer(one.agent) as phone, peer(two.agent) as mallory:
        proof = await prove(phone)
        await phone.hear(200)
        stolen = {"uri": "sip:127.0.0.1", "To": "<sip:ada@127.0.0.1>", "Contact": "<sip:mallory@192.0.2.66>"}
        for process in (two, one):
            mallory.to = ("127.0.0.1", process.agent.port)
            mallory.ask("REGISTER", f"Authorization: {proof}", **stolen)
            assert "stale=true" in ((await mallory.hear(401)).first("WWW-Authenticate") or "")
        assert [one.uri.host for one in two.registrar.contacts("ada")] == ["192.0.2.7"]


async def test_attack_a_call_is_placed_once_by_an_answer_whichever_process_hears_it(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    async with peer(one.agent) as phone, peer(two.agent) as mallory:
        proof = await prove_call(phone)
        phone.ask("INVITE", f"Proxy-Authorization: {proof}")
        assert (await phone.hear()).status == 486  # by whom it was for
        mallory.ask("INVITE", f"Proxy-Authorization: {proof}")
        assert "stale=true" in ((await mallory.hear(407)).first("Proxy-Authenticate") or "")


async def test_who_hangs_up_while_it_is_asked_whether_an_answer_was_used_calls_nobody(floor: Floor) -> None:
    one = await floor.process("one")
    async with peer(one.agent) as phone:
        proof = await prove_call(phone)
        floor.shared.answers.clear()
        via = f"SIP/2.0/UDP 127.0.0.1:{phone.port};rport;branch=z9hG4bK-hangs-up"
        phone.ask("INVITE", f"Proxy-Authorization: {proof}", Call_ID="hangs-up", Via=via)
        phone.ask("CANCEL", Call_ID="hangs-up", Via=via)
        answers = {(answer := await phone.hear()).cseq.method: answer for _ in range(2)}
        assert {method: answer.status for method, answer in answers.items()} == {"CANCEL": 200, "INVITE": 487}
        assert answers["INVITE"].recipient.tag
        floor.shared.answers.set()
        assert await phone.hears_nothing(), "the call was taken"
        assert one.agent.open_calls == 0


async def test_nobody_is_let_in_while_it_can_not_be_known_whether_an_answer_was_used(floor: Floor) -> None:
    one = await floor.process("one")
    floor.shared.is_reached = False
    async with peer(one.agent) as phone:
        await prove(phone)
        assert (await phone.hear(503)).first("Retry-After") is not None
        floor.shared.is_reached = True
        await register(phone)


async def test_a_stranger_has_nothing_sent_to_anybody_by_a_route_through_us(floor: Floor) -> None:
    one, two = await floor.process("one"), await floor.process("two")
    async with peer(one.agent) as mallory, peer(one.agent) as phone:
        victim = FlowEnd("udp", "127.0.0.1", phone.port)
        for token in (seal(FlowToken(victim), b"guessed" * 4), seal(FlowToken(victim), b"n" * 32), "ada", ""):
            route = f"Route: <sip:{token + '@' if token else ''}127.0.0.1:{one.agent.port};lr>"
            mallory.ask("INVITE", route, uri=f"sip:x@127.0.0.1:{phone.port}")
            assert (await mallory.hear()).status == 407
        assert one.agent._edge is not None
        there = Hop("udp", "127.0.0.1", phone.port)
        two.agent.invite(SipTarget(parse_uri("sip:ada@127.0.0.1"), there, (one.agent._edge.path(there),)), caller=BOB, offer=OFFER)
        invite = await phone.hear_request("INVITE")
        assert len(invite.values("Record-Route")) == 2
        assert invite.first("Route") is None
        for ours in invite.values("Record-Route"):  # which the phone, and who listens, knows
            mallory.ask("INVITE", f"Route: {ours}", uri=f"sip:x@127.0.0.1:{phone.port}")
            assert (await mallory.hear()).status == 407
        to_other = invite.values("Record-Route")[0]
        mallory.ask("BYE", f"Route: {to_other}", uri=f"sip:x@127.0.0.1:{phone.port}", To="<sip:bob@127.0.0.1>;tag=guessed")
        assert (await mallory.hear()).status == 481  # by the process that called, whatever it asks for
        mallory.ask("BYE", f"Route: {to_other}", Max_Forwards="0", To="<sip:bob@127.0.0.1>;tag=guessed")
        assert (await mallory.hear()).status == 483


async def test_the_path_of_a_proxy_in_front_is_followed_and_nobody_elses(floor: Floor) -> None:
    for proxies, route in (((), None), (("127.0.0.1",), "<sip:front@127.0.0.1:5099;lr>")):
        one = await floor.process(f"one{proxies}", proxies=proxies)
        two = await floor.process(f"two{proxies}", proxies=proxies)
        async with peer(one.agent) as front:
            granted = await register(front, "Path: <sip:front@127.0.0.1:5099;lr>")
            assert (granted.status, granted.first("Path")) == (200, route)
        if route is None:
            assert two.phone().route[0].uri.port == one.agent.port
            assert one.phone().route == ()
        else:  # whichever process calls, and whichever is gone
            await floor.shared.phones("two").bury("acme", "one")
            assert [str(each) for each in (*one.phone().route, *two.phone().route)] == [route, route]
        floor.shared.rows.clear()
