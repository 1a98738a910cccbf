"""A developer's backend decides about calls: ICE, ACE and DiCE over HTTP, with the sound that follows."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sinchphone.engine.calls.call import DigitHeard
from sinchphone.exchange.destinations import behaviour
from sinchphone.exchange.destinations.prompts import spell_digit
from sinchphone.exchange.directory.credentials import local_credentials
from sinchphone.exchange.options import ApplicationCredentials
from sinchphone.local import Local
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.auth import decode_secret, verify_request
from sinchphone.protocol.call.states import Cause, State
from sinchphone.tasks import start_task
from tests.e2e.backend.backend_lab import Backend, action, tone_file

BOB = {"type": "username", "endpoint": "bob"}


async def test_a_backend_that_is_set_while_the_exchange_runs_is_asked_from_then_on(
    tmp_path: Path, media: MediaThread, lines: Any, steps: Any, backend: Backend
) -> None:
    async with Local(tmp_path, port=0, media=media) as local:
        town = type(lines)(local, media, lines.stack)
        alice, bob = await town.phone("alice"), await town.phone("bob")
        assert (await steps.end_of(await alice.call_user("robert"))).cause is Cause.FAILURE
        await set_backend(await local.open(), local_credentials(tmp_path), backend.url)
        backend.answers["ice"] = action("connectMxp", destination=BOB)
        call = await alice.call_user("robert")
        await (await steps.next_call(bob)).decline()
        assert (await steps.end_of(call)).cause is Cause.DENIED
        assert (await backend.heard("ice"))["to"]["endpoint"] == "robert"
        await lines.stack.aclose()


async def set_backend(exchange: str, application: ApplicationCredentials, url: str) -> None:
    """What a developer's program does (Sinch Voice REST, applications)."""
    path = f"{exchange}/v1/configuration/callbacks/applications/{application.key}"
    credentials = base64.b64encode(f"{application.key}:{application.secret}".encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {credentials}"}) as session:
        answer = await session.post(path, json={"url": {"primary": url}})
        assert answer.status == 200


async def test_a_users_call_to_a_user_is_connected_by_the_backend(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action(
        "connectMxp", destination={"type": "username", "endpoint": "bob"}, callHeaders=[{"key": "x-a", "value": "1"}]
    )
    bobs_ear, bobs_sound = town.ear(620.0)
    ear, sound = town.ear(440.0)
    alice, bob = await town.phone("alice"), await town.phone("bob", sound=lambda: bobs_sound)
    call = await alice.call_user("robert", sound=sound)
    incoming = await steps.next_call(bob)
    assert (incoming.peer, incoming.headers) == ("alice", {"x-a": "1"})
    await incoming.answer()
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(620.0)
    await bobs_ear.hears(440.0)
    await incoming.hang_up()
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP
    dice = await backend.heard("dice")
    assert (dice["reason"], dice["result"]) == ("CALLEEHANGUP", "ANSWERED")
    ice = backend.events[0]
    assert (ice["event"], ice["to"], ice["user"]) == ("ice", {"type": "username", "endpoint": "robert"}, "alice")
    assert [event["event"] for event in backend.events] == ["ice", "dice"], "users' answers raise no ACE"


async def test_callbacks_are_signed(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("hangup")
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("bob"))
    assert details.cause is Cause.DENIED
    await backend.heard("dice")
    secret = town.local.credentials.secret
    for request, body in backend.requests:
        key, _, signature = request.headers["Authorization"].partition(" ")[2].partition(":")
        assert key == town.local.application_key
        assert verify_request(
            "POST", "/sinch", body, request.headers["Content-Type"], request.headers["x-timestamp"], decode_secret(secret), signature
        )
    assert (await backend.heard("dice"))["reason"] == "MANAGERHANGUP"


async def test_a_number_is_connected_and_its_answer_asked_about(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action(
        "connectPstn", {"name": "setCookie", "key": "step", "value": "one"}, number="+14155550106", cli="+14155550100"
    )
    backend.answers["ace"] = action("continue")
    alice = await town.phone("alice")
    ear, sound = town.ear(500.0)
    call = await alice.call_phone("+14155550199", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(500.0)
    details = await steps.end_of(call)
    assert details.cause is Cause.HUNG_UP
    dice = await backend.heard("dice")
    assert (dice["reason"], dice["result"], dice["cookies"]) == ("CALLEEHANGUP", "ANSWERED", [{"key": "step", "value": "one"}])
    assert [event["event"] for event in backend.events] == ["ice", "ace", "dice"]


async def test_the_backend_ends_a_call_as_it_is_answered(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers |= {"ice": action("connectPstn"), "ace": action("hangup")}
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_phone("+14155550106"))
    assert details.answered_at is None
    assert (await backend.heard("dice"))["reason"] == "MANAGERHANGUP"


async def test_users_meet_in_a_room_of_the_backends_choice(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("connectConf", conferenceId="lobby")
    alice, bob = await town.phone("alice"), await town.phone("bob")
    (one, here), (other, there) = town.ear(440.0), town.ear(620.0)
    first, second = await alice.call_user("x", sound=here), await bob.call_phone("+14155550100", sound=there)
    await steps.reach(first, State.ESTABLISHED)
    await steps.reach(second, State.ESTABLISHED)
    await one.hears(620.0)
    await other.hears(440.0)
    first.mute(True)
    async with asyncio.timeout(20):
        while not any(member.muted for member in second.room_members):
            await asyncio.sleep(0.05)
    await first.hang_up()
    await second.hang_up()


async def test_what_the_backend_says_is_heard_before_the_call_goes_on(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action(
        "connectMxp", {"name": "answer"}, {"name": "sendDtmf", "value": "42"}, destination={"type": "username", "endpoint": "bob"}
    )
    bobs_ear, bobs_sound = town.ear(620.0)
    ear, sound = town.ear(440.0)
    alice, bob = await town.phone("alice"), await town.phone("bob", sound=lambda: bobs_sound)
    call = await alice.call_user("x", sound=sound)
    heard: list[str] = []

    async def listen() -> None:
        async for event in call.events():
            heard.extend([event.digit] if isinstance(event, DigitHeard) else [])

    listening = start_task(listen(), name="listen")
    await steps.reach(call, State.ESTABLISHED)
    incoming = await steps.next_call(bob)
    assert heard == ["4", "2"]
    await incoming.answer()
    await bobs_ear.hears(440.0)
    await ear.hears(620.0)
    await call.dtmf("7")
    await call.hang_up()
    await listening
    assert (await steps.end_of(incoming)).cause is Cause.HUNG_UP


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (500, "HTTP 500"),
        ({"action": {"name": "connectPstn", "number": 7}}, "number"),
        ({"action": {"name": "dance"}}, "action.name"),
        ({}, "action"),
    ],
)
async def test_an_answer_that_cannot_be_carried_out_is_explained(town: Any, steps: Any, backend: Backend, answer: Any, words: str) -> None:
    backend.answers["ice"] = answer
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("bob"))
    assert details.cause is Cause.FAILURE and details.failure is not None
    assert words in details.failure.message
    assert (await backend.heard("dice"))["reason"] == "CALLBACKERROR"


async def test_a_caller_who_gives_up_while_the_backend_thinks_is_told_in_dice(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("connectPstn", number="+14155550103")
    alice = await town.phone("alice")
    call = await alice.call_phone("+14155550103")
    await steps.reach(call, State.RINGING)
    await call.hang_up()
    assert (await steps.end_of(call)).cause is Cause.CANCELED
    dice = await backend.heard("dice")
    assert dice["reason"] == "CANCEL" and "duration" not in dice


async def test_a_sip_address_is_connected_with_its_headers_and_asked_about(town: Any, steps: Any, backend: Backend) -> None:
    bob = await town.sip_phone()
    destination = {"type": "sip", "endpoint": bob.address()}
    backend.answers["ice"] = action(
        "connectSip", destination=destination, cli="+12025550100", transport="tcp", callHeaders=[{"key": "X-Order", "value": "42"}]
    )
    backend.answers["ace"] = action("continue")
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("support", sound=sound)
    incoming = await bob.next_call()
    assert (incoming.sip.headers["x-order"], incoming.sip.remote.uri.user) == ("42", "+12025550100")
    await incoming.sip.ring()
    await steps.reach(call, State.RINGING)
    theirs = await bob.answer(incoming, 620.0)
    await ear.hears(620.0)
    await theirs.hears(440.0)
    await call.dtmf("7")
    await incoming.heard("7")
    held = await incoming.sip.reoffer((await incoming.port.reoffer(direction="sendonly")).sdp)
    assert "a=recvonly" in held
    await incoming.sip.hang_up()
    assert (await steps.end_of(call)).cause is Cause.HUNG_UP
    assert [event["event"] for event in backend.events] == ["ice", "ace"] or backend.events[-1]["event"] == "dice"


async def test_both_sides_are_sent_to_a_room_at_the_answer(town: Any, steps: Any, backend: Backend) -> None:
    bob = await town.sip_phone()
    backend.answers["ice"] = action("connectSip", destination={"type": "sip", "endpoint": bob.address()})
    backend.answers["ace"] = action("connectConf", conferenceId="lobby")
    alice = await town.phone("alice")
    ear, sound = town.ear(440.0)
    call = await alice.call_user("support", sound=sound)
    incoming = await bob.next_call()
    theirs = await bob.answer(incoming, 620.0)
    await ear.hears(620.0)
    await theirs.hears(440.0)
    await call.hang_up()
    await incoming.over()


async def test_a_file_is_heard_before_the_call_is_answered(town: Any, steps: Any, backend: Backend, tmp_path: Any) -> None:
    backend.files["tone.wav"] = tone_file(tmp_path, 500.0)
    url = backend.url.replace("/sinch", "/files/tone.wav")
    backend.answers["ice"] = action("hangup", {"name": "playFiles", "ids": [url]})
    alice = await town.phone("alice")
    ear, sound = town.ear()
    call = await alice.call_user("support", sound=sound)
    await ear.hears(500.0)
    assert call.state is State.RINGING
    assert (await steps.end_of(call)).cause is Cause.DENIED


async def test_a_simulated_subscriber_rings_no_longer_than_the_backend_lets_it(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("connectPstn", number="+14155550103", cli="+14155550100", dialTimeout=1)  # who never answers
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("support"))
    assert details.failure is not None
    assert (details.failure.code, details.failure.message) == (480, "Nobody answered")
    dice = await backend.heard("dice")
    assert (dice["reason"], dice["result"]) == ("NOANSWER", "NOANSWER")


async def test_a_ring_time_is_over_at_the_answer(town: Any, steps: Any, backend: Backend) -> None:
    backend.answers["ice"] = action("connectPstn", number="+14155550106", cli="+14155550100", dialTimeout=2)  # it talks for 3 s
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("support"))
    assert details.cause is Cause.HUNG_UP
    assert (await backend.heard("dice"))["result"] == "ANSWERED"


async def test_a_simulated_subscriber_hears_the_digits_that_the_backend_dials_after_the_answer(
    town: Any, steps: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def note(digit: str) -> Any:
        said.append(digit)
        return spell_digit(digit)

    monkeypatch.setattr(behaviour, "spell_digit", note)
    backend.answers["ice"] = action("connectPstn", number="+14155550107", cli="+14155550100", dtmf="w5")  # who says a digit back
    alice = await town.phone("alice")
    _, sound = town.ear(500.0)
    details = await steps.end_of(await alice.call_user("support", sound=sound))
    assert (said, details.cause) == (["5"], Cause.HUNG_UP)


@pytest.mark.parametrize(
    ("answered", "told"), [([], [{"key": "team", "value": "blue"}]), ([{"key": "team", "value": "red"}], [{"key": "team", "value": "red"}])]
)
async def test_the_headers_of_the_answer_take_the_place_of_the_callers_for_the_called_and_in_dice(
    town: Any, steps: Any, backend: Backend, answered: list[Any], told: list[Any]
) -> None:
    """Sinch Voice, call headers: the caller isn't told."""
    backend.answers["ice"] = action("connectMxp", destination=BOB, callHeaders=answered)
    alice, bob = await town.phone("alice"), await town.phone("bob")
    call = await alice.call_user("support", headers={"team": "blue"})
    incoming = await steps.next_call(bob)
    assert [{"key": key, "value": value} for key, value in incoming.headers.items()] == told
    await incoming.decline()
    await steps.end_of(call)
    assert (await backend.heard("ice"))["callHeaders"] == [{"key": "team", "value": "blue"}]
    assert (await backend.heard("dice"))["callHeaders"] == told


async def test_an_answer_that_cannot_be_carried_out_is_told_with_the_value_that_was_wrong(town: Any, steps: Any, backend: Backend) -> None:
    """Whatever the value should have been: there are forty countries."""
    backend.answers["ice"] = action("connectPstn", number="+14155550106", indications="atlantis")
    alice = await town.phone("alice")
    details = await steps.end_of(await alice.call_user("support"))
    assert details.failure is not None
    assert 'action.indications is "atlantis"' in details.failure.message
