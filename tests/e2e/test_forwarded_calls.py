"""A phone that sends its calls on (301, 302), to users and numbers: by its user's rights, in no circle, and told where it can't be."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sinchphone.exchange.calls.usage import Payer, day_of
from sinchphone.gateway.options import TrunkOptions
from sinchphone.gateway.sip import calls as sip
from sinchphone.gateway.sip.network.hop import Hop
from sinchphone.gateway.sip.shared_bindings import PhonePlace
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.sip.message import Request

CARRIER = "127.0.0.9"


@dataclass
class Mover(asyncio.DatagramProtocol):
    """A phone that answers each INVITE with one status and these Contacts."""

    status: str
    contacts: tuple[str, ...]
    invites: list[str] = field(default_factory=list)
    transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        text = data.decode()
        if not text.startswith("INVITE "):
            return
        self.invites.append(text)
        kept = [line for line in text.split("\r\n") if line.lower().startswith(("via:", "from:", "to:", "call-id:", "cseq:"))]
        echoed = [f"{line};tag=mover" if line.lower().startswith("to:") else line for line in kept]
        lines = [f"SIP/2.0 {self.status}", *echoed, *(f"Contact: {one}" for one in self.contacts), "Content-Length: 0", "", ""]
        self.transport.sendto("\r\n".join(lines).encode(), address)

    @property
    def port(self) -> int:
        return int(self.transport.get_extra_info("sockname")[1])


@dataclass
class Town:
    exchange: Any
    carrier: Any
    opened: list[Mover] = field(default_factory=list)

    async def moved(self, user: str, *contacts: str, status: str = "302 Moved Temporarily") -> Mover:
        """A phone of that user which sends its calls on; ``HERE`` is the exchange."""
        written = tuple(one.replace("HERE", self.exchange.at) for one in contacts)
        _, made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Mover(status, written), local_addr=("127.0.0.1", 0))
        self.opened.append(made)
        headers = (
            ("Contact", f"<sip:{user}@127.0.0.1:{made.port}>"),
            ("Call-ID", f"mover-{made.port}"),
            ("CSeq", "1 REGISTER"),
            ("To", f"<sip:{user}@x>"),
            ("From", f"<sip:{user}@x>;tag=1"),
        )
        gateway = self.exchange.local._exchange.gateway
        registrar = gateway._runtime.context.legs._registrar
        request = Request(headers, b"", "REGISTER")
        assert (await registrar.register(user, request, PhonePlace(Hop("udp", "127.0.0.1", made.port)), time.time()))[0] == 200
        return made


@pytest.fixture
async def carrier(lines: Any) -> Any:
    return await lines.sip_phone(host=CARRIER)


@pytest.fixture
async def town(sip_exchange: Any, carrier: Any) -> AsyncIterator[Town]:
    """desk, kitchen and hall have SIP phones; numbers of one country may be called over the trunk."""
    trunk = TrunkOptions(host=CARRIER, port=carrier.agent.port, allow=("+46",), caller_id="+46101234567", caller_ids=())
    made = Town(await sip_exchange("desk", "kitchen", "hall", trunk=trunk), carrier)
    yield made
    for one in made.opened:
        one.transport.close()


async def failure_of(call: Any, steps: Any) -> tuple[int, str]:
    failure = (await steps.end_of(call)).failure
    return failure.code, failure.message


@pytest.mark.parametrize("status", ["302 Moved Temporarily", "301 Moved Permanently", "300 Multiple Choices"])
@pytest.mark.parametrize("contact", ["<sip:bob@HERE>", "<sip:bob@HERE;transport=tcp>;expires=60", "sip:bob@sinchphone", "<sip:%62ob@HERE>"])
async def test_a_phone_sends_its_calls_on_to_another_user(town: Town, steps: Any, status: str, contact: str) -> None:
    bob, alice = await town.exchange.terminal("bob"), await town.exchange.terminal("alice")
    await town.moved("desk", contact, status=status)
    call = await alice.call_user("desk")
    rings = await steps.next_call(bob)
    assert rings.peer == "alice"
    await rings.answer()
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()
    assert (await steps.end_of(rings)).cause is Cause.HUNG_UP


async def test_both_hear_each_other_after_the_call_was_sent_on(town: Town, steps: Any) -> None:
    kitchen = await town.exchange.phone("kitchen")
    await town.moved("desk", "<sip:kitchen@HERE>")
    call = await town.exchange.dial("hall", "desk")
    incoming = await kitchen.next_call()
    assert incoming.sip.remote.uri.user == "hall"
    there = await kitchen.answer(incoming, 620.0)
    await call.until(sip.SipAnswered)
    phone = await town.exchange.lines.sip_phone()
    here = await phone.listen(call, 440.0)
    await here.hears(620.0)
    await there.hears(440.0)
    await call.sip.hang_up()
    await incoming.over()


async def test_a_users_terminal_rings_on_while_its_phone_sends_the_call_on(town: Town, steps: Any) -> None:
    terminal, bob = await town.exchange.terminal("desk"), await town.exchange.terminal("bob")
    await town.moved("desk", "<sip:bob@HERE>")
    call = await (await town.exchange.terminal("alice")).call_user("desk")
    own, others = await steps.next_call(terminal), await steps.next_call(bob)
    await others.answer()
    await steps.reach(call, State.ESTABLISHED)
    assert (await steps.end_of(own)).cause is Cause.OTHER_DEVICE_ANSWERED
    await call.hang_up()


@pytest.mark.parametrize("contact", ["<tel:+46701234567>", "<sip:+46701234567@HERE;user=phone>", "<tel:+46-70-123-45-67>"])
async def test_a_number_is_called_by_the_rights_of_whose_phone_it_is(town: Town, steps: Any, contact: str) -> None:
    await town.moved("desk", contact)
    call = await (await town.exchange.terminal("alice")).call_user("desk")
    incoming = await town.carrier.next_call()
    assert (incoming.sip.target.user, incoming.sip.remote.uri.user) == ("+46701234567", "+46101234567")
    local = town.exchange.local
    used = {user: local._exchange._usage.of(Payer(local.application_key, user), day_of(time.time())).calls for user in ("desk", "alice")}
    assert used == {"desk": 1, "alice": 0}, "it counts among the calls of whose phone it is"
    await town.carrier.answer(incoming)
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()


@pytest.mark.parametrize(
    ("contact", "code", "why"),
    [
        ("<tel:+19001234567>", 403, "numbers with that beginning can't be called: [trunk]"),
        ("<sip:+19001234567@127.0.0.9>", 403, "numbers with that beginning can't be called"),
        ("<sip:service@127.0.0.9>", 403, "the trunk is called by phone number only"),
        ("<sip:nobody@HERE>", 404, "there is no user nobody on this exchange"),
        ("<sip:conf-standup@HERE>", 403, "rooms, take no calls"),
        ("<sip:echo@HERE>", 403, "what the exchange answers itself"),
        ("<sip:desk@HERE>", 482, "it was there already"),
        ("<tel:123>", 404, "no user 123"),
    ],
)
async def test_why_a_call_cannot_be_sent_on_is_told(town: Town, steps: Any, contact: str, code: int, why: str) -> None:
    await town.moved("desk", contact)
    told = await failure_of(await (await town.exchange.terminal("alice")).call_user("desk"), steps)
    assert told[0] == code
    assert told[1].startswith("desk's phone sends the call on, but ")
    assert why in told[1]
    assert town.carrier.incoming.empty()


async def test_attack_a_circle_of_phones_ends(town: Town, steps: Any) -> None:
    phones = [await town.moved("desk", "<sip:kitchen@HERE>"), await town.moved("kitchen", "<sip:hall@HERE>")]
    phones.append(await town.moved("hall", "<sip:desk@HERE>"))
    code, why = await failure_of(await (await town.exchange.terminal("alice")).call_user("desk"), steps)
    assert (code, "a circle" in why) == (482, True)
    assert [len(one.invites) for one in phones] == [1, 1, 1]


async def test_attack_phones_that_each_name_many_make_no_flood(town: Town, steps: Any) -> None:
    sinks = [await town.moved("bob", "<sip:nobody@HERE>") for _ in range(2)]
    many = [[f"<sip:{user}{number}@127.0.0.1:{sinks[0].port}>" for number in range(7)] for user in "abc"]
    phones = [await town.moved("desk", "<sip:kitchen@HERE>", *many[0])]
    phones.append(await town.moved("kitchen", "<sip:hall@HERE>", *many[1]))
    phones.append(await town.moved("hall", *many[2]))
    await failure_of(await (await town.exchange.terminal("alice")).call_user("desk"), steps)
    assert [len(one.invites) for one in phones] == [1, 1, 1]
    assert len(sinks[0].invites) <= 14


async def test_the_next_contact_is_tried_when_the_one_before_cannot_be_reached(town: Town, steps: Any) -> None:
    bob = await town.exchange.terminal("bob")
    await town.moved("desk", "<sip:x@nowhere.invalid>;q=0.9, <sip:bob@HERE>;q=0.1")
    call = await (await town.exchange.terminal("alice")).call_user("desk")
    await (await steps.next_call(bob)).answer()
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()


async def test_a_call_that_came_with_few_hops_left_is_not_sent_on_for_ever(town: Town) -> None:
    await town.moved("desk", "<sip:kitchen@HERE>")
    kitchen = await town.exchange.phone("kitchen")
    call = await town.exchange.dial("hall", "desk", max_forwards=1)
    ended = await call.over()
    assert (ended.status, kitchen.incoming.empty()) == (483, True)


async def test_attack_a_call_that_was_sent_on_often_enough_before_it_came_is_not_sent_on_again(town: Town) -> None:
    await town.moved("desk", "<sip:kitchen@HERE>")
    kitchen = await town.exchange.phone("kitchen")
    often = {"Diversion": "<sip:a@x>;reason=unconditional;counter=4, <sip:b@x>"}
    ended = await (await town.exchange.dial("hall", "desk", headers=often)).over()
    assert (ended.status, kitchen.incoming.empty()) == (483, True)


async def test_the_less_wanted_contact_rings_when_the_more_wanted_one_does_not_take_the_call(town: Town, steps: Any) -> None:
    kitchen, bob = await town.exchange.phone("kitchen"), await town.exchange.terminal("bob")
    await town.moved("desk", "<sip:bob@HERE>;q=0.2, <sip:kitchen@HERE>;q=0.9")
    call = await (await town.exchange.terminal("alice")).call_user("desk")
    await (await kitchen.next_call()).sip.refuse(486)
    rings = await steps.next_call(bob)
    await rings.answer()
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()


async def test_where_nobody_takes_it_the_caller_hears_what_became_of_the_last(town: Town, steps: Any) -> None:
    kitchen = await town.exchange.phone("kitchen")
    await town.moved("desk", "<sip:kitchen@HERE>")
    call = await (await town.exchange.terminal("alice")).call_user("desk")
    await (await kitchen.next_call()).sip.refuse(486, "Busy Here")
    assert (await failure_of(call, steps))[0] == 486


async def test_the_trunk_reads_who_sent_the_call_on_by_our_number(town: Town, carrier: Any) -> None:
    seen: list[str] = []
    wire = carrier.agent._wire
    receive = wire._receive

    def note(data: bytes, hop: Hop) -> None:
        seen.append(data.decode(errors="replace"))
        receive(data, hop)

    for one in wire._transports._datagrams.values():
        one._received = note
    await town.moved("desk", "<tel:+46701234567>")
    await town.exchange.dial("hall", "desk")
    await carrier.next_call()
    (invite,) = [one for one in seen if one.startswith("INVITE")][:1]
    assert f"Diversion: <sip:+46101234567@{CARRIER}>;reason=deflection;counter=1" in invite
    assert "desk" not in invite


async def test_a_stranger_sends_a_call_on_to_a_user_but_calls_nobody_at_our_cost(sip_exchange: Any, steps: Any) -> None:
    exchange = await sip_exchange("hall")  # without a trunk: one on this machine is told from no other address of it
    bob, alice = await exchange.terminal("bob"), await exchange.terminal("alice")
    stranger = await Town(exchange, None).moved("hall", "<sip:bob@HERE>")
    call = await alice.call_sip(f"somebody@127.0.0.1:{stranger.port}")
    await (await steps.next_call(bob)).answer()
    await steps.reach(call, State.ESTABLISHED)
    await call.hang_up()
    stranger.contacts = (f"<sip:+46701234567@{exchange.at}>", "<tel:+46701234567>")
    code, why = await failure_of(await alice.call_sip(f"somebody@127.0.0.1:{stranger.port}"), steps)
    assert (code, why.startswith("the called side sends the call on, but ")) == (404, True)
    stranger.transport.close()


async def test_a_contact_that_is_none_leaves_the_refusal_as_it_is(town: Town, steps: Any) -> None:
    await town.moved("desk", "<mailto:bob@example.org>", status="380 Alternative Service")
    assert (await failure_of(await (await town.exchange.terminal("alice")).call_user("desk"), steps))[0] == 380
