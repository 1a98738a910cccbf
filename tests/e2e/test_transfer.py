"""A user transfers a SIP phone, and a phone a user: who is transferred calls by itself; who asked is told what came of it, and the
call goes on where that failed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sinchphone.errors import TransferError
from sinchphone.gateway.options import BackendOptions
from sinchphone.gateway.sip.calls import SipAnswered, SipEnded, SipReferred
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sip.headers.replaces import ReplacedDialog, parse_replaces
from sinchphone.tasks import start_task
from tests.e2e.backend.backend_lab import Backend, action, serving, tone_file

LIMIT_S = 20.0
DESK_HZ, CAROL_HZ = 440.0, 700.0


async def phone_and_user(sip_exchange: Any, steps: Any) -> tuple[Any, Any, Any]:
    street = await sip_exchange("desk", "lab")
    alice = await street.terminal("alice")
    there = await street.dial("desk", "alice")
    call = await steps.next_call(alice)
    await call.answer()
    await steps.reach(call, State.ESTABLISHED)
    return street, call, there


@pytest.mark.parametrize(("status", "reason"), [(486, "Busy Here"), (603, "")])
async def test_a_phone_that_reaches_nobody_stays_in_the_call(sip_exchange: Any, steps: Any, status: int, reason: str) -> None:
    _, call, there = await phone_and_user(sip_exchange, steps)
    asking = start_task(call.transfer("bob"), name="asking")  # before the phone's ACK, as it may be
    asked = await there.until(SipReferred)
    assert asked.target.user == "bob"
    await there.sip.tell_refer(status, reason)
    with pytest.raises(TransferError) as failed:
        await asking
    assert failed.value.status == status
    assert call.state is State.ESTABLISHED
    await call.hang_up()


async def test_a_phone_that_reaches_the_other_one_is_hung_up_on(sip_exchange: Any, steps: Any) -> None:
    street, call, there = await phone_and_user(sip_exchange, steps)
    carol = await street.terminal("carol")
    asking = start_task(call.transfer("carol"), name="asking")
    target = (await there.until(SipReferred)).target
    phone = await street.phone()
    new = await phone.dial(str(target), "sip:desk@127.0.0.1", "desk")
    at_carol = await steps.next_call(carol)
    await at_carol.answer()
    await steps.reach(at_carol, State.ESTABLISHED)
    await there.sip.tell_refer(200)
    await asking
    await there.over()
    await steps.end_of(call)
    assert at_carol.state is State.ESTABLISHED
    await new.sip.hang_up()
    await steps.end_of(at_carol)


@pytest.mark.parametrize(("to", "user"), [("conf:standup", "conf-standup"), ("+46701234567", "+46701234567")])
async def test_a_phone_is_sent_to_rooms_and_numbers_as_it_dials_them(sip_exchange: Any, steps: Any, to: str, user: str) -> None:
    street, call, there = await phone_and_user(sip_exchange, steps)
    asking = start_task(call.transfer(to), name="asking")
    target = (await there.until(SipReferred)).target
    assert (target.user, target.password) == (user, None)
    if to.startswith("conf:"):
        new = await (await street.phone()).dial(str(target), "sip:desk@127.0.0.1", "desk")
        await new.until(SipAnswered)
        await new.sip.hang_up()
    await there.sip.tell_refer(200)
    await asking
    await steps.end_of(call)


async def transfers(there: Any, to: str) -> None:
    """Returns when the phone is told that it came to it."""
    async with asyncio.timeout(LIMIT_S):
        await there.sip.refer(to)


async def test_a_phone_transfers_a_user_and_hears_that_it_came_to_it(sip_exchange: Any, steps: Any, lines: Any) -> None:
    street, call, there = await phone_and_user(sip_exchange, steps)
    carol = await street.terminal("carol")
    asking = start_task(transfers(there, f"sip:carol@{street.at}"), name="asking")
    at_carol = await steps.next_call(carol)
    await at_carol.answer()
    await asking
    async with asyncio.timeout(LIMIT_S):
        while call.peer != "carol":
            await asyncio.sleep(0.02)
    assert (call.state, at_carol.state) == (State.ESTABLISHED, State.ESTABLISHED)
    await there.sip.hang_up()
    await call.hang_up()
    await steps.end_of(at_carol)


def dialog_of(phone: Any, call: Any) -> str:
    """A call of a test's phone, as the exchange knows it: its own tag is the first one."""
    session = next(one.session for one in phone.agent._usages.values() if one.call is call.sip)
    return str(ReplacedDialog(session.call_id, session.dialog.remote_tag, session.tag))


@dataclass
class Desk:
    """The desk's phone talks with alice and with carol, at terminals, who say a tone each."""

    street: Any
    phone: Any
    calls: list[Any]
    theirs: list[Any]
    ears: list[Any]


def heard_by_us(backend: Backend, prompt: str) -> Any:
    """What a backend answers that has something said first: the sound of the call ends at the exchange from then on."""

    def answer(event: dict[str, Any]) -> Any:
        user = event["to"]["endpoint"].partition("@")[0]
        say = {"name": "playFiles", "ids": [f"{backend.url.replace('/sinch', '/files/')}{prompt}"], "locale": "en-US"}
        return action("connectMxp", say, destination={"type": "username", "endpoint": user})

    return answer


@pytest.fixture
async def desk(sip_exchange: Any, steps: Any, lines: Any, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    """With ``heard`` a backend has something said to the desk first."""
    async with serving() as backend:
        more = {}
        if getattr(request, "param", "passes through") == "is heard":
            backend.files["hello.wav"] = tone_file(tmp_path, 300.0, 0.1)
            backend.answers["ice"] = heard_by_us(backend, "hello.wav")
            more["backend"] = BackendOptions(backend.url)
        yield await opened_desk(await sip_exchange("desk", "lab", **more), steps, lines)


async def opened_desk(street: Any, steps: Any, lines: Any) -> Desk:
    made = Desk(street, await street.phone(), [], [], [])
    for name, tone_hz in (("alice", DESK_HZ), ("carol", CAROL_HZ)):
        client = await street.terminal(name)
        made.calls.append(await made.phone.dial(f"sip:{name}@{street.at}", "sip:desk@127.0.0.1", "desk"))
        call = await steps.next_call(client)
        ear, sound = lines.ear(tone_hz)
        await call.answer(sound=sound)
        await steps.reach(call, State.ESTABLISHED)
        await made.calls[-1].until(SipAnswered)
        made.theirs.append(call)
        made.ears.append(ear)
    return made


SOUND = pytest.mark.parametrize("desk", ["passes through", "is heard"], indirect=True)


@SOUND
async def test_a_phone_lets_the_two_talk_with_each_other_whom_it_talks_with(desk: Desk, steps: Any) -> None:
    alice, carol = desk.theirs
    async with asyncio.timeout(LIMIT_S):
        replaces = parse_replaces(dialog_of(desk.phone, desk.calls[1])).in_uri()
        await desk.calls[0].sip.refer(f"sip:carol@{desk.street.at}?{replaces}")
    await desk.calls[1].over()
    assert (alice.state, alice.peer, carol.state) == (State.ESTABLISHED, "carol", State.ESTABLISHED)
    await desk.ears[0].hears(CAROL_HZ)
    await desk.ears[1].hears(DESK_HZ)
    await carol.hang_up()
    await steps.end_of(alice)


@SOUND
async def test_a_phone_takes_over_a_call_that_another_one_has(desk: Desk, steps: Any) -> None:
    lab = await desk.street.phone()
    named = {"Replaces": dialog_of(desk.phone, desk.calls[0])}
    taken = await lab.dial(f"sip:alice@{desk.street.at}", "sip:lab@127.0.0.1", "lab", headers=named)
    await taken.until(SipAnswered)
    ear = await lab.listen(taken, 1000.0)
    assert isinstance(await desk.calls[0].over(), SipEnded)
    alice = desk.theirs[0]
    assert alice.state is State.ESTABLISHED
    await ear.hears(DESK_HZ)
    await desk.ears[0].hears(1000.0)
    await alice.hang_up()
    await taken.over()


@pytest.mark.parametrize(("named", "status"), [("x;to-tag=1;from-tag=2", 481), ("x;to-tag=1;from-tag=2;early-only", 486), ("x", 400)])
async def test_a_call_that_is_not_there_is_not_taken_over(desk: Desk, named: str, status: int) -> None:
    lab = await desk.street.phone()
    refused = await (await lab.dial(f"sip:alice@{desk.street.at}", "sip:lab@127.0.0.1", "lab", headers={"Replaces": named})).over()
    assert refused.status == status
    assert desk.theirs[0].state is State.ESTABLISHED


@pytest.mark.parametrize("first", ["phone", "user"])
async def test_a_user_lets_a_user_and_a_phone_talk_with_each_other(sip_exchange: Any, steps: Any, lines: Any, first: str) -> None:
    """Whichever of the two is sent to the other one."""
    street = await sip_exchange("desk")
    desk, alice, bob = await street.phone(), await street.terminal("alice"), await street.terminal("bob")
    there = await desk.dial(f"sip:alice@{street.at}", "sip:desk@127.0.0.1", "desk")
    with_desk = await steps.next_call(alice)
    await with_desk.answer()
    await steps.reach(with_desk, State.ESTABLISHED)
    await there.until(SipAnswered)
    with_bob = await alice.call_user("bob")
    at_bob = await steps.next_call(bob)
    ear, sound = lines.ear(CAROL_HZ)
    await at_bob.answer(sound=sound)
    await steps.reach(with_bob, State.ESTABLISHED)
    await with_desk.hold()
    at_desk = there
    if first == "user":
        await with_bob.transfer(with_desk)
    else:
        asking = start_task(with_desk.transfer(with_bob), name="asking")
        asked = await there.until(SipReferred)
        assert asked.replaces is not None
        target = f"sip:{asked.target.user}@{street.at}"
        at_desk = await desk.dial(target, "sip:desk@127.0.0.1", "desk", headers={"Replaces": str(asked.replaces)})
        await at_desk.until(SipAnswered)
        await there.sip.tell_refer(200)
        await asking
        await there.over()
    desk_ear = await desk.listen(at_desk, DESK_HZ)
    await ear.hears(DESK_HZ)
    await desk_ear.hears(CAROL_HZ)
    await steps.end_of(with_bob)
    await steps.end_of(with_desk)
    assert at_bob.state is State.ESTABLISHED
    assert not at_bob.held_by_peer
    await at_bob.hang_up()
    await at_desk.over()
