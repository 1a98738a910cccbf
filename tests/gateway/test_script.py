"""A backend's SVAML on an end that is a fake: what is said, asked and told, in which order."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pytest

from sinchphone.audio.frame import Samples
from sinchphone.errors import MediaError
from sinchphone.exchange.refusals import RefusedError
from sinchphone.gateway.svaml.script import MAX_CHANGES, ParkingOverError, Script, ScriptParts
from sinchphone.protocol.callbacks.menu import MenuResult, MenuResultType
from sinchphone.protocol.callbacks.svaml import (
    AnswerCall,
    ConnectMxp,
    ConnectPstn,
    Hangup,
    Instruction,
    Menu,
    Park,
    PlayFiles,
    Prompt,
    RunMenu,
    Say,
    SendDtmf,
    Spoken,
    StartRecording,
    StopRecording,
    Svaml,
)
from sinchphone.tasks import start_task

LIMIT_S = 10.0
SHORT, LONG = Spoken("short"), Spoken("long")


class End:
    """Whom the script speaks to: remembers its orders."""

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.digits: asyncio.Queue[str] = asyncio.Queue()
        self.back: list[str] = []
        self.is_broken = False
        self.leg: Any = None

    async def preview(self) -> None:
        if self.is_broken:
            raise MediaError("no sound")

    async def pick_up(self) -> None:
        self.orders.append("pick up")

    async def heard(self) -> None:
        """At once."""

    async def listen(self, party: Any) -> None:
        self.orders.append(type(party).__name__)

    async def send_digits(self, digits: str) -> None:
        self.orders.append(("digits", digits))

    async def next_digit(self) -> str:
        return self.back.pop(0) if self.back else await self.digits.get()

    def put_back(self, digits: Iterable[str]) -> None:
        self.back[:0] = digits

    def press(self, digits: str) -> None:
        for digit in digits:
            self.digits.put_nowait(digit)


class Announcements:
    async def render(self, instruction: Say | PlayFiles) -> Samples:
        is_long = isinstance(instruction, PlayFiles) and LONG in instruction.prompts
        return np.zeros(48_000 * 60 if is_long else 480, np.int16)


class Backend:
    def __init__(self, *answers: Svaml, thinks_s: float = 0.0) -> None:
        self.answers = list(answers)
        self.results: list[MenuResult] = []
        self.lost: list[MenuResultType] = []
        self.thinks_s = thinks_s

    async def prompted(self, result: MenuResult) -> Svaml:
        self.results.append(result)
        await asyncio.sleep(self.thinks_s)
        return self.answers.pop(0)

    def left(self, result: MenuResult) -> None:
        self.lost.append(result.type)


class Recording:
    def __init__(self) -> None:
        self.orders: list[str] = []

    async def start(self, end: Any, wanted: StartRecording) -> None:
        self.orders.append(f"start {wanted.format}")

    async def stop(self) -> None:
        self.orders.append("stop")


class Call:
    def __init__(self, *answers: Svaml, thinks_s: float = 0.0) -> None:
        self.end, self.backend, self.recording = End(), Backend(*answers, thinks_s=thinks_s), Recording()

        async def end() -> Any:
            return self.end

        async def steer(instructions: tuple[Instruction, ...], carry_out: Any) -> None:
            await carry_out(instructions)

        self.script = Script(ScriptParts(end, steer, cast(Any, Announcements()), self.backend, self.recording))

    async def run(self, answer: Svaml) -> Svaml:
        async with asyncio.timeout(LIMIT_S):
            return await self.script.run(answer)


def ask(*prompts: Prompt, digits: int = 1, barge: bool = True, wait_ms: int = 5000) -> Svaml:
    return Svaml(RunMenu({"main": Menu("main", prompts, max_digits=digits, timeout_ms=wait_ms)}, barge=barge))


async def test_instructions_are_carried_out_in_their_order_before_the_action() -> None:
    call = Call()
    instructions = (AnswerCall(), Say("hello"), SendDtmf("12"), StartRecording("wav"), StopRecording())
    assert await call.run(Svaml(Hangup(), instructions)) == Svaml(Hangup(), instructions)
    assert call.end.orders == ["pick up", "Speaker", ("digits", "12")]
    assert call.recording.orders == ["start wav", "stop"]


async def test_digits_while_the_backend_thinks_are_the_next_menus_in_their_order_and_none_twice() -> None:
    call = Call(ask(digits=2), ask(), Svaml(Hangup()), thinks_s=0.1)
    call.end.press("1234")
    await call.run(ask())
    assert [result.value for result in call.backend.results] == ["1", "23", "4"]


async def test_whether_a_digit_ends_a_prompt_is_each_menus_own() -> None:
    call = Call(ask(SHORT, barge=False), ask(LONG), Svaml(Hangup()))
    call.end.press("123")
    await call.run(ask(LONG))
    assert [result.value for result in call.backend.results] == ["1", "2", "3"]


async def test_a_menu_that_nobody_answers_is_over_in_time() -> None:
    call = Call(Svaml(Hangup()))
    await call.run(ask(SHORT, wait_ms=20))
    assert [result.type for result in call.backend.results] == [MenuResultType.TIMEOUT]


async def test_a_caller_who_leaves_in_a_menu_and_sound_that_fails_are_told() -> None:
    call = Call()
    running = start_task(call.run(ask(LONG)), name="menu")
    await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    call.end.is_broken = True
    with pytest.raises(MediaError):
        await call.run(ask())
    assert call.backend.lost == [MenuResultType.HANGUP, MenuResultType.ERROR]


async def test_a_parked_call_goes_where_the_change_says_and_its_prompts_stop_at_once() -> None:
    call = Call()
    parked = start_task(call.run(Svaml(Park((LONG,), (SHORT,)))), name="park")
    async with asyncio.timeout(LIMIT_S):
        while not call.script.is_parked or "Speaker" not in call.end.orders:
            await asyncio.sleep(0.01)
    call.script.change(Svaml(ConnectPstn("+46700000000")))
    async with asyncio.timeout(LIMIT_S):
        assert (await parked).action == ConnectPstn("+46700000000")
    assert not call.script.is_parked
    assert call.end.orders[-1] == "Silence"


async def test_more_changes_of_a_call_than_parks_will_take_are_refused() -> None:
    call = Call()
    for _ in range(MAX_CHANGES):
        call.script.change(Svaml(Park()))
    with pytest.raises(RefusedError, match="changes of this call wait") as refused:
        call.script.change(Svaml(Hangup()))
    assert refused.value.status == 409
    parked = start_task(call.run(Svaml(Park())), name="park")
    async with asyncio.timeout(LIMIT_S):
        while len(call.end.orders) < MAX_CHANGES:  # each park takes one
            await asyncio.sleep(0.01)
        while not call.script.is_parked:
            await asyncio.sleep(0.01)
        call.script.change(Svaml(Hangup()))
        assert (await parked).action == Hangup()


async def test_a_park_may_be_changed_into_a_menu() -> None:
    call = Call(Svaml(Hangup()))
    parked = start_task(call.run(Svaml(Park())), name="park")
    await asyncio.sleep(0.02)
    call.script.change(ask())
    call.end.press("7")
    async with asyncio.timeout(LIMIT_S):
        await parked
    assert [result.value for result in call.backend.results] == ["7"]


async def test_a_park_that_is_over_says_its_prompt_to_the_end_first() -> None:
    call = Call()
    with pytest.raises(ParkingOverError, match="within 1 s"):
        await call.run(Svaml(Park(hold=(SHORT,), max_duration_s=1)))
    assert "Speaker" in call.end.orders


async def test_calls_to_users_are_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    call = Call()
    with caplog.at_level(logging.WARNING):
        await call.run(Svaml(ConnectMxp("bob"), (StartRecording(),)))
    assert call.recording.orders == []
    assert "startRecording is ignored" in caplog.text
