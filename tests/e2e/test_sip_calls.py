"""Calls between users and SIP phones through the exchange: real signaling and media on loopback, sound measured at both ends.

The phones are made of the exchange's own user agent and RTP port; tests/peers has phones that nobody here wrote.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sinchphone.engine.calls.call import DigitHeard
from sinchphone.gateway.options import GatewayOptions, SipSettings, TrunkOptions
from sinchphone.gateway.relay.local import LocalRelays
from sinchphone.gateway.sip import calls as sip
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.protocol.sip.digest import Credentials
from sinchphone.protocol.sip.uri import parse_address, parse_uri
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

LIMIT_S = 20.0


@dataclass
class Street:
    """An exchange that speaks SIP, and phones."""

    lines: Any
    local: Local
    stack: AsyncExitStack

    async def sip_phone(self) -> Any:
        return await self.lines.sip_phone()

    @property
    def at(self) -> str:
        """Where the exchange speaks SIP."""
        assert self.local.sip_address is not None
        return self.local.sip_address

    async def register(self, user: str, phone: Any) -> None:
        """Have a phone register under that name, until the end of the test."""
        password = {"desk": "secret", "kitchen": "other"}[user]
        registered = asyncio.Event()
        registration = phone.agent.registration(
            parse_uri(f"sip:{user}@{self.at}"), Credentials(user, password), registered=lambda hop: registered.set()
        )
        task = start_task(registration.run(), name="run")
        self.stack.callback(task.cancel)
        async with asyncio.timeout(LIMIT_S):
            await registered.wait()

    def left_over(self) -> tuple[int, int]:
        """Conversations and SIP calls that aren't over."""
        exchange = self.local._exchange
        assert exchange is not None and exchange.gateway is not None
        runtime = exchange.gateway._runtime  # type: ignore[attr-defined]
        if runtime is None:
            return 0, 0
        backends, sides = runtime.context.media_backends._made.values(), runtime._agents._sides.values()
        relays = [backend.relays for backend in backends if isinstance(backend.relays, LocalRelays)]
        return sum(len(one._relays) for one in relays), sum(side.agent.open_calls for side in sides)

    async def is_quiet(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            while self.left_over() != (0, 0):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(tmp_path_factory: Any, media: MediaThread, lines_type: Any, **gateway: Any) -> AsyncIterator[Street]:
    settings = SipSettings(users={"desk": "secret", "kitchen": "other"})
    async with (
        Local(tmp_path_factory.mktemp("state"), port=0, media=media, gateway=GatewayOptions(sip=settings, **gateway), sip_port=0) as local,
        AsyncExitStack() as stack,
    ):
        yield Street(lines_type(local, media, stack), local, stack)


@pytest.fixture
async def street(tmp_path_factory: Any, media: MediaThread, lines: Any) -> AsyncIterator[Street]:
    async with opened(tmp_path_factory, media, type(lines)) as found:
        yield found
        await found.is_quiet()


async def test_a_user_calls_a_sip_address_and_both_hear_each_other(street: Street, steps: Any) -> None:
    bob = await street.sip_phone()
    alice = await street.lines.phone("alice")
    ear, sound = street.lines.ear(440.0)
    call = await alice.call_sip(bob.address(), headers={"x-order": "42"}, sound=sound)
    incoming = await bob.next_call()
    assert incoming.sip.headers["x-order"] == "42"
    await incoming.sip.ring()
    await steps.reach(call, State.RINGING)
    theirs = await bob.answer(incoming, 620.0)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(620.0)
    await theirs.hears(440.0)
    assert theirs.share(620.0) < 0.01
    await call.hang_up()
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP
    await incoming.over()


async def test_the_phone_hangs_up(street: Street, steps: Any) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    call = await alice.call_sip(bob.address())
    incoming = await bob.next_call()
    await bob.answer(incoming)
    await steps.reach(call, State.ESTABLISHED)
    await incoming.sip.hang_up()
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")


@pytest.mark.parametrize(
    ("status", "cause"),
    [(486, Cause.DENIED), (603, Cause.DENIED), (404, Cause.FAILURE), (480, Cause.FAILURE), (488, Cause.FAILURE), (503, Cause.FAILURE)],
)
async def test_a_sip_failure_comes_back_with_its_code_and_reason(street: Street, steps: Any, status: int, cause: Cause) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    call = await alice.call_sip(bob.address())
    for _ in range(2 if status == 488 else 1):  # it may have wanted another kind of sound
        await (await bob.next_call()).sip.refuse(status, "For a reason")
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (cause, "peer")
    assert details.failure is not None
    assert (details.failure.code, details.failure.message, details.failure.domain) == (status, "For a reason", "sip")


async def test_a_phone_calls_a_user_and_both_hear_each_other(street: Street, steps: Any) -> None:
    ear, sound = street.lines.ear(440.0)
    alice = await street.lines.phone("alice", sound=lambda: sound)
    desk = await street.sip_phone()
    call = await desk.dial(f"sip:alice@{street.at}", "sip:desk@127.0.0.1", "secret", headers={"x-order": "42"})
    incoming = await steps.next_call(alice)
    assert (incoming.peer, incoming.domain) == (f"desk@{street.at.partition(':')[0]}", Domain.SIP)
    assert incoming.headers["x-order"] == "42"
    await call.until(sip.SipRinging)
    await incoming.answer()
    await call.until(sip.SipAnswered)
    theirs = await desk.listen(call, 620.0)
    await steps.reach(incoming, State.ESTABLISHED)
    await ear.hears(620.0)
    await theirs.hears(440.0)
    await incoming.hang_up()
    assert isinstance(await call.over(), sip.SipEnded)


async def test_all_devices_of_a_user_ring_and_the_first_takes_the_call(street: Street, steps: Any) -> None:
    desktop, laptop = await street.lines.phone("alice"), await street.lines.phone("alice")
    desk = await street.sip_phone()
    call = await desk.dial(f"sip:alice@{street.at}", "sip:desk@127.0.0.1", "secret")
    one, other = await steps.next_call(desktop), await steps.next_call(laptop)
    await other.answer()
    await call.until(sip.SipAnswered)
    assert (await steps.end_of(one)).cause is Cause.OTHER_DEVICE_ANSWERED
    theirs = await desk.listen(call, 500.0)
    await steps.reach(other, State.ESTABLISHED)
    await call.sip.hang_up()
    assert (await steps.end_of(other)).cause is Cause.HUNG_UP
    assert theirs is not None


@pytest.mark.parametrize(("busy", "status"), [(False, 603), (True, 486)])
async def test_a_user_who_declines_refuses_the_phone(street: Street, steps: Any, busy: bool, status: int) -> None:
    alice, desk = await street.lines.phone("alice"), await street.sip_phone()
    call = await desk.dial(f"sip:alice@{street.at}", "sip:desk@127.0.0.1", "secret")
    await (await steps.next_call(alice)).decline(busy=busy)
    ended = await call.over()
    assert isinstance(ended, sip.Refused) and ended.status == status


async def test_a_phone_that_gives_up_cancels_the_call(street: Street, steps: Any) -> None:
    alice, desk = await street.lines.phone("alice"), await street.sip_phone()
    call = await desk.dial(f"sip:alice@{street.at}", "sip:desk@127.0.0.1", "secret")
    incoming = await steps.next_call(alice)
    await call.until(sip.SipRinging)
    await call.sip.hang_up()
    assert (await steps.end_of(incoming)).cause is Cause.CANCELED


async def test_a_user_who_gives_up_cancels_the_invite(street: Street, steps: Any) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    call = await alice.call_sip(bob.address())
    incoming = await bob.next_call()
    await incoming.sip.ring()
    await steps.reach(call, State.RINGING)
    await call.hang_up()
    assert (await steps.end_of(call)).cause is Cause.CANCELED
    await incoming.over()


@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.02])
async def test_an_answer_that_crosses_the_hanging_up_leaves_nothing_behind(street: Street, steps: Any, after_s: float) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    call = await alice.call_sip(bob.address())
    incoming = await bob.next_call()
    await call.hang_up()
    await asyncio.sleep(after_s)
    await bob.answer(incoming)
    await incoming.over()
    await steps.end_of(call)


@pytest.mark.parametrize(("dialled", "status"), [("nobody", 404), ("+46", 484)])
async def test_what_cannot_be_called_is_refused(street: Street, dialled: str, status: int) -> None:
    desk = await street.sip_phone()
    call = await desk.dial(f"sip:{dialled}@{street.at}", "sip:desk@127.0.0.1", "secret")
    ended = await call.over()
    assert isinstance(ended, sip.Refused) and ended.status == status


async def test_a_phone_whose_offer_cannot_be_answered_is_refused_before_anybody_rings(street: Street, steps: Any) -> None:
    """What rings for bob is the next call, whose offer is another one."""
    bob, desk = await street.lines.phone("bob"), await street.sip_phone()
    caller, whom = parse_address("sip:desk@127.0.0.1"), parse_uri(f"sip:bob@{street.at}")
    offer = (await desk._port().offer()).sdp
    statuses = []
    for offered in (re.sub(r"RTP/AVP [0-9 ]+", "RTP/AVP 18", offer), offer):
        call = desk._follow(
            desk.agent.invite(sip.SipTarget(whom), caller=caller, offer=offered, credentials=Credentials("desk", "secret")), desk._port()
        )
        if offered is offer:
            await (await steps.next_call(bob)).decline()
        statuses.append((await call.over()).status)
    assert statuses == [488, 603]


async def test_who_proves_nothing_calls_nobody(street: Street) -> None:
    stranger = await street.sip_phone()
    call = await stranger.dial(f"sip:echo@{street.at}", "sip:desk@127.0.0.1")
    ended = await call.over()
    assert isinstance(ended, sip.Refused) and ended.status == 407


async def test_a_phone_hears_its_echo(street: Street) -> None:
    desk = await street.sip_phone()
    call = await desk.dial(f"sip:echo@{street.at}", "sip:desk@127.0.0.1", "secret")
    await call.until(sip.SipAnswered)
    await (await desk.listen(call, 500.0)).hears(500.0)
    await call.sip.hang_up()


async def test_a_simulated_subscriber_sends_digits_to_a_phone(street: Street) -> None:
    desk = await street.sip_phone()
    call = await desk.dial(f"sip:+14155550105@{street.at}", "sip:desk@127.0.0.1", "secret")
    await call.until(sip.SipAnswered)
    await call.heard("123")
    await call.sip.hang_up()


async def test_digits_cross_in_both_directions(street: Street, steps: Any) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    call = await alice.call_sip(bob.address())
    incoming = await bob.next_call()
    await bob.answer(incoming)
    await steps.reach(call, State.ESTABLISHED)
    heard: list[str] = []

    async def listen() -> None:
        async for event in call.events():
            heard.extend([event.digit] if isinstance(event, DigitHeard) else [])

    listening = start_task(listen(), name="listen")
    await call.dtmf("12#")
    await incoming.heard("12#")
    await incoming.port.dtmf("5")
    await incoming.sip.send_digit("7")
    async with asyncio.timeout(LIMIT_S):
        while heard != ["5", "7"]:
            await asyncio.sleep(0.05)
    await call.hang_up()
    await listening


async def test_a_phone_holds_and_resumes(street: Street, steps: Any) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    ear, sound = street.lines.ear(440.0)
    call = await alice.call_sip(bob.address(), sound=sound)
    incoming = await bob.next_call()
    theirs = await bob.answer(incoming, 620.0)
    await steps.reach(call, State.ESTABLISHED)
    await theirs.hears(440.0)
    held = await incoming.sip.reoffer((await incoming.port.reoffer(direction="sendonly")).sdp)
    await incoming.port.accept(Description("answer", held))
    assert "a=recvonly" in held
    await ear.hears(620.0)  # the music of who holds
    resumed = await incoming.sip.reoffer((await incoming.port.reoffer(direction="sendrecv")).sdp)
    await incoming.port.accept(Description("answer", resumed))
    await theirs.hears(440.0)
    assert call.state is State.ESTABLISHED
    await call.hang_up()


async def test_early_sound_is_heard_before_the_answer(street: Street, steps: Any) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    ear, sound = street.lines.ear()
    call = await alice.call_sip(bob.address(), sound=sound)
    incoming = await bob.next_call()
    assert incoming.sip.offer is not None
    answer = await incoming.port.answer(Description("offer", incoming.sip.offer))
    await incoming.sip.early(answer.sdp)
    await bob.listen(incoming, 700.0)
    await ear.hears(700.0)
    assert call.state is State.RINGING
    await incoming.sip.answer(answer.sdp)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(700.0)
    await call.hang_up()


async def test_a_user_calls_a_registered_phone_by_its_name_or_address(street: Street, steps: Any) -> None:
    desk, alice = await street.sip_phone(), await street.lines.phone("alice")
    await street.register("desk", desk)
    for place in (lambda: alice.call_user("desk"), lambda: alice.call_sip(f"desk@{street.at}")):
        call = await place()  # type: ignore[no-untyped-call]
        incoming = await desk.next_call()
        assert incoming.sip.remote.uri.user == "alice"
        await desk.answer(incoming)
        await steps.reach(call, State.ESTABLISHED)
        await incoming.sip.hang_up()
        assert (await steps.end_of(call)).cause is Cause.HUNG_UP


async def test_a_phone_calls_a_registered_phone(street: Street) -> None:
    desk, kitchen = await street.sip_phone(), await street.sip_phone()
    await street.register("kitchen", kitchen)
    call = await desk.dial(f"sip:kitchen@{street.at}", "sip:desk@127.0.0.1", "secret")
    incoming = await kitchen.next_call()
    there = await kitchen.answer(incoming, 620.0)
    await call.until(sip.SipAnswered)
    here = await desk.listen(call, 440.0)
    await there.hears(440.0)
    await here.hears(620.0)
    await call.sip.hang_up()
    await incoming.over()


async def test_a_users_terminal_and_phone_ring_together(street: Street, steps: Any) -> None:
    desk, terminal = await street.sip_phone(), await street.lines.phone("kitchen")
    kitchen = await street.sip_phone()
    await street.register("kitchen", kitchen)
    call = await desk.dial(f"sip:kitchen@{street.at}", "sip:desk@127.0.0.1", "secret")
    rings = await steps.next_call(terminal)
    incoming = await kitchen.next_call()
    await kitchen.answer(incoming)
    await call.until(sip.SipAnswered)
    assert (await steps.end_of(rings)).cause is Cause.OTHER_DEVICE_ANSWERED
    await call.sip.hang_up()
    await incoming.over()


async def test_a_user_and_a_phone_meet_in_a_room(street: Street, steps: Any) -> None:
    desk, alice = await street.sip_phone(), await street.lines.phone("alice")
    ear, sound = street.lines.ear(440.0)
    call = await alice.call_conference("standup", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    theirs = await desk.dial(f"sip:conf-standup@{street.at}", "sip:desk@127.0.0.1", "secret")
    await theirs.until(sip.SipAnswered)
    other = await desk.listen(theirs, 620.0)
    await ear.hears(620.0)
    await other.hears(440.0)
    await call.hang_up()
    await theirs.sip.hang_up()


async def test_an_exchange_that_closes_ends_its_calls(tmp_path_factory: Any, media: MediaThread, lines: Any, steps: Any) -> None:
    async with opened(tmp_path_factory, media, type(lines)) as street:
        bob, alice = await street.sip_phone(), await street.lines.phone("alice")
        call = await alice.call_sip(bob.address())
        incoming = await bob.next_call()
        await bob.answer(incoming)
        await steps.reach(call, State.ESTABLISHED)
        assert street.local._exchange is not None
        await street.local._exchange.close()
        assert isinstance(await incoming.over(), sip.SipEnded)
        assert (await steps.end_of(call)).cause is Cause.FAILURE


CARRIER = {"allow": ("+1", "+46"), "deny": ("+1900",), "strip": "+", "prefix": "00", "caller_id": "+12025550100"}


async def test_numbers_go_over_the_trunk_by_its_rules(tmp_path_factory: Any, media: MediaThread, lines: Any, steps: Any) -> None:
    async with AsyncExitStack() as stack:
        carrier = await lines.sip_phone()
        trunk = TrunkOptions(host="127.0.0.1", port=carrier.agent.port, max_calls=1, caller_ids=(), **CARRIER)  # type: ignore[arg-type]
        street = await stack.enter_async_context(opened(tmp_path_factory, media, type(lines), trunk=trunk))
        alice = await street.lines.phone("alice")
        call = await alice.call_phone("+46701234567", headers={"x-order": "42"})
        incoming = await carrier.next_call()
        assert (incoming.sip.target.user, incoming.sip.remote.uri.user) == ("0046701234567", "+12025550100")
        busy = await steps.end_of(await alice.call_phone("+46701234567"))
        assert busy.failure.code == 503 and "lines" in busy.failure.message
        forbidden = await steps.end_of(await alice.call_phone("+19001234567"))
        assert forbidden.failure.code == 403
        await carrier.answer(incoming)
        await steps.reach(call, State.ESTABLISHED)
        await call.hang_up()
        await incoming.over()
        await street.is_quiet()
        again = await alice.call_phone("+46701234567")
        await (await carrier.next_call()).sip.refuse(486)
        assert (await steps.end_of(again)).cause is Cause.DENIED


async def test_a_call_from_the_trunk_reaches_the_user_of_the_number(
    tmp_path_factory: Any, media: MediaThread, lines: Any, steps: Any
) -> None:
    trunk = TrunkOptions(host="127.0.0.1", numbers={"+12025550123": "user:alice"})
    async with opened(tmp_path_factory, media, type(lines), trunk=trunk) as street:
        alice, carrier = await street.lines.phone("alice"), await street.sip_phone()
        call = await carrier.dial(f"sip:0012025550123@{street.at}", "sip:+46701234567@carrier.example")
        incoming = await steps.next_call(alice)
        assert (incoming.peer, incoming.domain) == ("+46701234567", Domain.PSTN)
        await incoming.answer()
        await call.until(sip.SipAnswered)
        await call.sip.hang_up()
        assert (await steps.end_of(incoming)).cause is Cause.HUNG_UP
        stray = await carrier.dial(f"sip:+46709999999@{street.at}", "sip:+46701234567@carrier.example")
        ended = await stray.over()
        assert isinstance(ended, sip.Refused) and ended.status == 404
        await street.is_quiet()


async def test_a_phone_without_opus_is_reached_without_transcoding(street: Street, steps: Any) -> None:
    bob, alice = await street.sip_phone(), await street.lines.phone("alice")
    call = await alice.call_sip(bob.address())
    await bob.answer(await bob.next_call())
    await steps.reach(call, State.ESTABLISHED)
    assert call.details.codec == "PCMU"
    await call.hang_up()
    desk = await street.sip_phone()
    theirs = await desk.dial(f"sip:alice@{street.at}", "sip:desk@127.0.0.1", "secret")
    incoming = await steps.next_call(alice)
    await incoming.answer()
    await theirs.until(sip.SipAnswered)
    await steps.reach(incoming, State.ESTABLISHED)
    assert incoming.details.codec == "PCMU"
    await incoming.hang_up()


async def test_an_exchange_that_listens_for_no_phones_calls_out_all_the_same(lines: Any, steps: Any) -> None:
    bob, alice = await lines.sip_phone(), await lines.phone("alice")
    assert lines.local.sip_address is None
    ear, sound = lines.ear(440.0)
    call = await alice.call_sip(bob.address(), sound=sound)
    theirs = await bob.answer(await bob.next_call(), 620.0)
    await ear.hears(620.0)
    await theirs.hears(440.0)
    await call.hang_up()
    await steps.end_of(call)


async def test_a_call_to_a_port_where_nobody_is_fails_and_says_so(street: Street, steps: Any, free_port: int) -> None:
    alice = await street.lines.phone("alice")
    details = await steps.end_of(await alice.call_sip(f"bob@127.0.0.1:{free_port};transport=tcp"))
    assert details.cause is Cause.FAILURE
    assert details.failure is not None and details.failure.code in (408, 503)
