"""Whole calls: two phones, an exchange, real media over loopback; the sound is decoded at the far end and measured."""

import asyncio
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.engine.client import SinchClient
from sinchphone.errors import PlatformError
from sinchphone.media.sound import SoundOptions
from sinchphone.protocol.call.states import Cause, State
from sinchphone.signaling.dialect import Domain

ENOUGH_S = 2.0


async def test_each_hears_the_others_tone_and_not_its_own(lines: Any, steps: Any) -> None:
    alices_ear, alices_sound = lines.ear(440.0)
    bobs_ear, bobs_sound = lines.ear(620.0)
    alice, bob = await lines.phone("alice"), await lines.phone("bob", sound=lambda: bobs_sound)
    outgoing = await alice.call_user("bob", sound=alices_sound)
    incoming = await steps.next_call(bob)
    assert incoming.peer == "alice"
    await incoming.answer()
    await steps.reach(outgoing, State.ESTABLISHED)
    await steps.reach(incoming, State.ESTABLISHED)
    for ear, theirs, own in ((alices_ear, 620.0, 440.0), (bobs_ear, 440.0, 620.0)):
        await ear.becomes(lambda sound, theirs=theirs: share(sound, theirs) >= 0.95 and abs(dbfs(sound) + 15.2) < 2)
        assert ear.share(own) < 0.01
    await outgoing.hang_up()
    assert (await steps.end_of(outgoing)).cause is Cause.HUNG_UP
    details = await steps.end_of(incoming)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")


async def test_the_callee_hangs_up(lines: Any, steps: Any) -> None:
    outgoing, incoming = await steps.talking(lines)
    await incoming.hang_up()
    details = await steps.end_of(outgoing)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    assert details.establishing_ms is not None and details.codec == "opus" and details.pair == "host"


async def test_echo_gives_back_what_it_hears(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear(500.0)
    call = await alice.call_user("echo", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(500.0)


async def test_the_tone_is_440_hz(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear()
    call = await alice.call_user("tone", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await ear.hears(440.0)


async def test_the_test_number_speaks_and_ends_the_call(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear()
    call = await alice.call_phone("+46000000000", sound=sound)
    details = await steps.end_of(call, 30.0)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    assert details.duration_ms > 1500
    spoken = ear.last(details.duration_ms / 1000)
    assert dbfs(spoken) > -35
    assert max(ear.share(hz, 3.0) for hz in (440.0, 425.0, 1000.0)) < 0.5, "that is a tone, not speech"


async def test_another_number_rings_says_what_was_called_then_echoes(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear(700.0)
    call = await alice.call_phone("+14155550101", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    details = call.details
    assert details.answered_at - details.ringing_at == pytest.approx(2.0, abs=1.0)
    await asyncio.sleep(1.5)
    assert ear.share(700.0) < 0.5, "it speaks first"
    async with asyncio.timeout(20):
        while ear.share(700.0) < 0.95:
            await asyncio.sleep(0.25)


async def test_hangup_after_hangs_up_in_time(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    call = await alice.call_user("hangup-after:1s")
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    assert 800 < details.duration_ms < 4000


async def test_answer_after_rings_that_long(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    call = await alice.call_user("answer-after:1s")
    await steps.reach(call, State.ANSWERED)
    assert call.details.answered_at - call.details.ringing_at == pytest.approx(1.0, abs=0.7)


@pytest.mark.parametrize(("name", "code"), [("busy", 486), ("decline", None)])
async def test_busy_and_declined_calls_are_denied(lines: Any, steps: Any, name: str, code: int | None) -> None:
    alice = await lines.phone("alice")
    details = await steps.end_of(await alice.call_user(name))
    assert (details.cause, details.ended_by) == (Cause.DENIED, "peer")
    assert (details.failure.code if details.failure else None) == code


@pytest.mark.parametrize("name", ["unknown", "nobody-of-that-name"])
async def test_an_unknown_user_is_refused_with_a_sentence(lines: Any, steps: Any, name: str) -> None:
    alice = await lines.phone("alice")
    details = await steps.end_of(await alice.call_user(name))
    assert (details.cause, details.ended_by) == (Cause.FAILURE, "platform")
    assert type(details.error).__name__ == "NotFoundError"
    assert name in details.failure.message


async def test_nobody_answers(lines: Any, steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.protocol.call.machine.SETUP_S", 2.0)
    alice = await lines.phone("alice")
    call = await alice.call_user("no-answer")
    await steps.reach(call, State.RINGING)
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.NO_ANSWER, "time")


async def test_the_caller_cancels(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    outgoing = await alice.call_user("bob")
    incoming = await steps.next_call(bob)
    await steps.reach(outgoing, State.RINGING)
    await outgoing.hang_up()
    assert (await steps.end_of(outgoing)).cause is Cause.CANCELED
    assert (await steps.end_of(incoming)).cause is Cause.CANCELED


async def test_the_caller_cancels_at_once(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    outgoing = await alice.call_user("bob")
    await outgoing.hang_up()
    assert (await steps.end_of(outgoing)).cause is Cause.CANCELED
    async with asyncio.timeout(5):
        while bob.calls:
            await asyncio.sleep(0.05)


async def test_the_callee_declines(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    outgoing = await alice.call_user("bob")
    await (await steps.next_call(bob)).decline()
    details = await steps.end_of(outgoing)
    assert (details.cause, details.ended_by, details.failure) == (Cause.DENIED, "peer", None)
    assert not outgoing.met_busy


async def test_the_callee_is_busy(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    outgoing = await alice.call_user("bob")
    incoming = await steps.next_call(bob)
    await incoming.decline(busy=True)
    details = await steps.end_of(outgoing)
    assert details.cause is Cause.DENIED and details.failure.code == 486
    await steps.end_of(incoming)
    assert outgoing.met_busy
    assert incoming.met_busy


async def test_one_of_two_devices_answers_and_the_other_stops_ringing(lines: Any, steps: Any) -> None:
    alices_ear, alices_sound = lines.ear(440.0)
    bobs_ear, bobs_sound = lines.ear(620.0)
    alice, phone = await lines.phone("alice"), await lines.phone("bob")
    laptop = await lines.phone("bob", sound=lambda: bobs_sound)
    assert phone.instance_id != laptop.instance_id
    outgoing = await alice.call_user("bob", sound=alices_sound)
    on_phone, on_laptop = await steps.next_call(phone), await steps.next_call(laptop)
    await steps.reach(on_phone, State.RINGING)
    await steps.reach(on_laptop, State.RINGING)
    await on_laptop.answer()
    assert (await steps.end_of(on_phone)).cause is Cause.OTHER_DEVICE_ANSWERED
    await steps.reach(outgoing, State.ESTABLISHED)
    await asyncio.sleep(ENOUGH_S)
    await alices_ear.hears(620.0)
    await bobs_ear.hears(440.0)


async def test_one_of_two_devices_is_busy_and_the_other_rings_on(lines: Any, steps: Any) -> None:
    alice, phone, laptop = await lines.phone("alice"), await lines.phone("bob"), await lines.phone("bob")
    outgoing = await alice.call_user("bob")
    await (await steps.next_call(phone)).decline(busy=True)
    await (await steps.next_call(laptop)).answer()
    await steps.reach(outgoing, State.ESTABLISHED)


async def test_a_call_to_oneself_rings_the_other_device_only(lines: Any, steps: Any) -> None:
    here, there = await lines.phone("alice"), await lines.phone("alice")
    outgoing = await here.call_user("alice")
    await (await steps.next_call(there)).answer()
    await steps.reach(outgoing, State.ESTABLISHED)


async def test_public_headers_reach_the_callee(lines: Any, steps: Any) -> None:
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    await alice.call_user("bob", headers={"x-order": "42", "x-ä": "ö"})
    assert (await steps.next_call(bob)).headers == {"x-order": "42", "x-ä": "ö"}


async def test_a_push_that_fails_doesnt_stop_the_call(lines: Any, steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> None:
        raise PlatformError("no push today")

    monkeypatch.setattr("sinchphone.engine.active_calls.PUSH_CAPABILITY", "p2p")
    alice, bob = await lines.phone("alice"), await lines.phone("bob")
    monkeypatch.setattr(alice._link.dialect, "send_push", refuse)
    call = await alice.call_user("bob")
    await (await steps.next_call(bob)).answer()
    await steps.reach(call, State.ESTABLISHED)


async def test_a_caller_cannot_pose_as_somebody_else_with_a_caller_id(lines: Any, steps: Any) -> None:
    mallory, bob = await lines.phone("mallory"), await lines.phone("bob")
    await mallory._calls.place(Domain.MXP, "bob", None, None, "alice")
    assert (await steps.next_call(bob)).peer == "mallory"


async def test_a_call_that_was_just_made_ends_when_the_client_is_left(lines: Any, steps: Any) -> None:
    async with SinchClient("alice", lines.local, media=lines.media) as alice:
        call = await alice.call_user("echo")
    assert (await steps.end_of(call)).cause is Cause.CANCELED
    await asyncio.wait_for(call.closed(), 10)


async def test_calls_that_are_given_up_at_once_dont_use_up_the_users_calls(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    await lines.phone("bob")
    for _ in range(20):
        call = await alice.call_user("bob")
        await call.hang_up()
        await steps.end_of(call)
        async with asyncio.timeout(10):
            await call.closed()
            while alice.calls:
                await asyncio.sleep(0.01)
    call = await alice.call_user("echo")
    await steps.reach(call, State.ESTABLISHED)


async def test_a_flood_of_incoming_calls_is_taken_up_to_a_limit(lines: Any, steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.engine.active_calls.MAX_CALLS", 3)
    bob, callers = await lines.phone("bob"), [await lines.phone(f"caller{n}") for n in range(5)]
    for caller in callers:
        await caller.call_user("bob")
    async with asyncio.timeout(10):
        while len(bob.calls) < 3 or bob.undecodable < 2:
            await asyncio.sleep(0.01)
    assert len(bob.calls) == 3


async def test_a_muted_call_sends_silence_not_nothing(lines: Any, steps: Any) -> None:
    _, alices_sound = lines.ear(440.0)
    bobs_ear, bobs_sound = lines.ear()
    alice, bob = await lines.phone("alice"), await lines.phone("bob", sound=lambda: bobs_sound)
    outgoing = await alice.call_user("bob", sound=alices_sound)
    incoming = await steps.next_call(bob)
    await incoming.answer()
    await steps.reach(outgoing, State.ESTABLISHED)
    outgoing.mute(True)
    await asyncio.sleep(1.5)
    before = (await incoming.stats()).packets_received
    await asyncio.sleep(1.0)
    assert (await incoming.stats()).packets_received - before > 25
    assert dbfs(bobs_ear.last(0.5)) < -60


async def test_a_recording_has_the_near_end_left_and_the_far_end_right(lines: Any, steps: Any, tmp_path: Any) -> None:
    alice = await lines.phone("alice")
    path = tmp_path / "call.wav"
    call = await alice.call_user("tone", sound=SoundOptions(devices=False, tone_hz=620.0, record=str(path)))
    await steps.reach(call, State.ESTABLISHED)
    await asyncio.sleep(2 * ENOUGH_S)
    await call.hang_up()
    await asyncio.wait_for(call.closed(), 10)
    left, right = steps.read_wav(path)
    assert steps.clearest(left, 620.0) > 0.95
    assert steps.clearest(right, 440.0) > 0.95
    assert len(left) / 48000 == pytest.approx(2 * ENOUGH_S, abs=1.0)
    assert not np.array_equal(left, right)


async def test_two_calls_at_once_dont_mix(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    first_ear, first_sound = lines.ear(500.0)
    second_ear, second_sound = lines.ear(800.0)
    first = await alice.call_user("echo", sound=first_sound)
    second = await alice.call_user("echo", sound=second_sound)
    await steps.reach(first, State.ESTABLISHED)
    await steps.reach(second, State.ESTABLISHED)
    await asyncio.sleep(ENOUGH_S)
    await first_ear.hears(500.0)
    await second_ear.hears(800.0)
