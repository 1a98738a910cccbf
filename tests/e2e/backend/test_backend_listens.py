"""What a backend is told of who answers, and of digits in rooms; music for who is alone there, or held."""

from typing import Any

import pytest

from sinchphone.audio.tones import goertzel
from sinchphone.engine.calls.call import DigitHeard
from sinchphone.gateway.options import BackendOptions
from sinchphone.protocol.call.states import State
from sinchphone.tasks import start_task
from tests.e2e.backend.backend_lab import Backend, action, hears
from tests.waiting import until

MACHINE, PERSON = "+14155550111", "+14155550112"
LOW_NOTES_HZ = (110.0, 98.0, 130.81)  # of music2


@pytest.mark.parametrize(("number", "status", "reason"), [(MACHINE, "machine", "longgreeting"), (PERSON, "human", "greeting")])
async def test_who_answers_is_told_with_the_answer(town: Any, steps: Any, backend: Backend, number: str, status: str, reason: str) -> None:
    backend.answers |= {"ice": action("connectPstn", number=number, cli="+14155550100", amd={"enabled": True}), "ace": action("hangup")}
    alice = await town.phone("alice")
    await steps.end_of(await alice.call_user("x"))
    amd = (await backend.heard("ace"))["amd"]
    assert (amd["status"], amd["reason"]) == (status, reason)
    assert 500 < amd["duration"] < 5000


async def test_who_answers_is_told_meanwhile_and_a_machines_beep_too(town: Any, steps: Any, backend: Backend) -> None:
    amd = {"enabled": True, "async": True}
    backend.answers |= {"ice": action("connectPstn", number=MACHINE, cli="+14155550100", amd=amd), "ace": action("continue")}
    alice = await town.phone("alice")
    ear, sound = town.ear()
    call = await alice.call_user("x", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    assert (await backend.heard("ace"))["amd"]["status"] == "inprogress"
    assert (await backend.heard("notify", "amd"))["amd"]["status"] == "machine"
    assert (await backend.heard("notify", "amd_beep"))["amd"]["reason"] == "beep"
    await call.hang_up()
    assert ear.heard


async def test_who_is_alone_in_a_room_hears_music_and_digits_are_passed_to_the_others(town: Any, steps: Any, backend: Backend) -> None:
    options = {"mode": "forward"}
    backend.answers["ice"] = action("connectConf", conferenceId="lobby", moh="music2", conferenceDtmfOptions=options)
    alice, bob = await town.phone("alice"), await town.phone("bob")
    (ear, here), (_, there) = town.ear(), town.ear(620.0)
    first = await alice.call_user("x", sound=here)
    await steps.reach(first, State.ESTABLISHED)
    await hears_music(ear)
    second = await bob.call_user("x", sound=there)
    heard: list[str] = []

    async def listen() -> None:
        async for event in first.events():
            heard.extend([event.digit] if isinstance(event, DigitHeard) else [])

    listening = start_task(listen(), name="listen")
    await steps.reach(second, State.ESTABLISHED)
    await hears(ear, 620.0)
    await second.dtmf("57")
    await until(lambda: len(heard) >= 2)
    await second.hang_up()
    await first.hang_up()
    await listening
    assert heard == ["5", "7"]
    assert [event["event"] for event in backend.events if event["event"] == "pie"] == []


async def test_digits_in_a_room_are_told_to_the_backend(town: Any, steps: Any, backend: Backend) -> None:
    options = {"mode": "detect", "maxDigits": 2, "timeoutMills": 400}
    backend.answers["ice"] = action("connectConf", conferenceId="lobby", conferenceDtmfOptions=options)
    alice = await town.phone("alice")
    _, sound = town.ear()
    call = await alice.call_user("x", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await call.dtmf("123")
    await backend.until(lambda: sum(event["event"] == "pie" for event in backend.events) == 2)
    await call.hang_up()
    results = [event["menuResult"] for event in backend.events if event["event"] == "pie"]
    assert [(one["menuId"], one["type"], one["value"]) for one in results] == [("lobby", "sequence", "12"), ("lobby", "sequence", "3")]


async def test_a_caller_whom_a_sip_phone_holds_hears_the_backends_music(sip_exchange: Any, steps: Any, backend: Backend) -> None:
    town = await sip_exchange("desk", backend=BackendOptions(backend.url))
    bob = await town.lines.sip_phone()
    destination = {"type": "sip", "endpoint": bob.address()}
    backend.answers |= {"ice": action("connectSip", destination=destination, moh="music2"), "ace": action("continue")}
    alice = await town.terminal("alice")
    ear, sound = town.lines.ear(440.0)
    call = await alice.call_user("x", sound=sound)
    incoming = await bob.next_call()
    await bob.answer(incoming, 620.0)
    await hears(ear, 620.0)
    await incoming.sip.reoffer((await incoming.port.reoffer(direction="sendonly")).sdp)
    await hears_music(ear)
    await call.hang_up()
    await incoming.over()


async def hears_music(ear: Any) -> None:
    """Waits for the lowest note of the second piece; each note is there for a third of a second."""
    await ear.becomes(lambda sound: max(goertzel.share(sound, hz) for hz in LOW_NOTES_HZ) >= 0.3, back_s=0.3)
