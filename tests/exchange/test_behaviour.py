"""Attendants in calls that are made of nothing."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from sinchphone.audio.frame import silence
from sinchphone.errors import MediaError
from sinchphone.exchange.destinations import behaviour
from sinchphone.exchange.destinations.behaviour import Act, behave, prepare
from sinchphone.exchange.destinations.dialplan import Plan, Verdict, Voice, plan_for
from sinchphone.exchange.destinations.parties import Echo, Silence, Speaker
from sinchphone.exchange.destinations.prompts import load, spell_digit
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.signaling.dialect import Domain


class FakeCall:
    """Notes what the attendant does; ``pressed`` are the caller's digits."""

    def __init__(self, pressed: str = "", *, is_established: bool = True, takes_digits: bool = True) -> None:
        self.done: list[object] = []
        self._pressed = pressed
        self._is_established = is_established
        self._takes_digits = takes_digits

    async def ring(self) -> None:
        self.done.append("ring")

    async def answer(self) -> None:
        self.done.append("answer")

    async def refuse(self, failure: CallFailure | None) -> None:
        self.done.append(("refuse", failure.code if failure else None))

    async def established(self) -> bool:
        return self._is_established

    async def dtmf(self, digits: str) -> None:
        if not self._takes_digits:
            raise MediaError("the peer takes no digits")
        self.done.append(("dtmf", digits))

    async def digits(self) -> AsyncIterator[str]:
        for digit in self._pressed:
            yield digit
        await asyncio.Event().wait()

    async def hang_up(self) -> None:
        self.done.append("hang up")


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour, "_BEFORE_DIGITS_S", 0.0)
    monkeypatch.setattr(behaviour, "_AFTER_LAST_WORD_S", 0.0)
    monkeypatch.setattr(behaviour, "DIGIT_WAIT_S", 0.05)


@pytest.mark.parametrize(
    ("plan", "done"),
    [
        (Plan(), ["ring", "answer"]),
        (Plan(Verdict.RING), ["ring"]),
        (Plan(Verdict.BUSY), [("refuse", 486)]),
        (Plan(Verdict.DECLINE), ["ring", ("refuse", None)]),
        (Plan(Verdict.FAIL, failure=(404, "not allocated")), ["ring", ("refuse", 404)]),
        (Plan(talk_s=0.0), ["ring", "answer", "hang up"]),
        (Plan(digits="123"), ["ring", "answer", ("dtmf", "123")]),
    ],
)
async def test_an_attendant_does_what_its_plan_says(_at_once: None, plan: Plan, done: list[object]) -> None:
    call = FakeCall()
    await behave(call, Act(plan, Silence(), 0.0))
    assert call.done == done


async def test_a_call_that_ends_before_sound_flows_gets_no_digits(_at_once: None) -> None:
    call = FakeCall(is_established=False)
    await behave(call, Act(Plan(digits="1", talk_s=0.0), Silence(), 0.0))
    assert call.done == ["ring", "answer"]


async def test_a_caller_that_takes_no_digits_is_talked_to_all_the_same(_at_once: None) -> None:
    call = FakeCall(takes_digits=False)
    await behave(call, Act(Plan(digits="1", talk_s=0.0), Silence(), 0.0))
    assert call.done == ["ring", "answer", "hang up"]


async def test_a_digit_is_said_back_in_place_of_the_request_for_it(_at_once: None) -> None:
    speaker, call = Speaker(), FakeCall("7")
    act = Act(Plan(repeats_digit=True), speaker, 0.0, speaker)
    async with asyncio.timeout(30):
        await behave(call, act)
    assert call.done == ["ring", "answer", "hang up"]
    said = np.concatenate([speaker.tick(silence()) for _ in range(60)])
    word = spell_digit("7")
    assert np.array_equal(said[(start := len(load("pressed"))) : start + len(word)], word)


async def test_who_presses_nothing_is_hung_up_on(_at_once: None) -> None:
    speaker, call = Speaker(), FakeCall()
    async with asyncio.timeout(30):
        await behave(call, Act(Plan(repeats_digit=True), speaker, 0.0, speaker))
    assert call.done == ["ring", "answer", "hang up"]


@pytest.mark.parametrize("ending", ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09"])
def test_every_number_that_nobody_has_can_be_prepared(ending: str) -> None:
    plan = plan_for(Domain.PSTN, f"+14155550{100 + int(ending)}")
    assert plan is not None
    act = prepare(plan)
    assert (act.words_s > 0) == bool(plan.recordings)
    assert (act.speaker is not None) == plan.repeats_digit


def test_an_echo_without_words_is_the_echo_itself() -> None:
    assert isinstance(prepare(Plan(voice=Voice.ECHO)).party, Echo)
