"""The numbers that nobody has, each called through a whole exchange: what scripts can be tested against."""

import asyncio
from typing import Any

import pytest

from sinchphone.audio.levels.level import dbfs
from sinchphone.cli.exits import ExitCode, code_of_call, code_of_error
from sinchphone.engine.calls.call import DigitHeard
from sinchphone.errors import DestinationError
from sinchphone.protocol.call.states import Cause, State

NUMBER = "+121255501"


async def test_00_speaks_a_passage(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear()
    call = await alice.call_phone(f"{NUMBER}00", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    async with asyncio.timeout(20):
        while dbfs(ear.last(1.0)) < -35:
            await asyncio.sleep(0.2)
    assert max(ear.share(hz, 2.0) for hz in (440.0, 425.0, 1000.0)) < 0.5, "that is a tone, not speech"
    await call.hang_up()


@pytest.mark.parametrize(
    ("ending", "cause", "code", "exit_code"),
    [
        ("02", Cause.DENIED, 486, ExitCode.BUSY),
        ("04", Cause.DENIED, None, ExitCode.DECLINED),
        ("09", Cause.FAILURE, 404, ExitCode.NOT_FOUND),
    ],
)
async def test_02_is_busy_04_declines_and_09_is_not_allocated(
    lines: Any, steps: Any, ending: str, cause: Cause, code: int | None, exit_code: ExitCode
) -> None:
    alice = await lines.phone("alice")
    details = await steps.end_of(await alice.call_phone(NUMBER + ending))
    assert (details.cause, details.failure.code if details.failure else None) == (cause, code)
    assert code_of_call(details) is exit_code
    assert details.error is None or code_of_error(details.error) is exit_code


async def test_03_rings_until_the_caller_gives_up(lines: Any, steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.protocol.call.machine.SETUP_S", 3.0)
    alice = await lines.phone("alice")
    call = await alice.call_phone(f"{NUMBER}03")
    await steps.reach(call, State.RINGING)
    details = await steps.end_of(call)
    assert (details.cause, code_of_call(details)) == (Cause.NO_ANSWER, ExitCode.NO_ANSWER)


async def test_05_sends_three_digits_after_the_answer_and_echoes(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear(700.0)
    call = await alice.call_phone(f"{NUMBER}05", sound=sound)
    heard = []
    async with asyncio.timeout(20):
        async for event in call.events():
            if isinstance(event, DigitHeard):
                heard.append(event.digit)
            if len(heard) == 3:
                break
    assert heard == ["1", "2", "3"]
    await ear.hears(700.0)


async def test_06_hangs_up_three_seconds_after_the_answer(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    details = await steps.end_of(await alice.call_phone(f"{NUMBER}06"))
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    assert 2500 < details.duration_ms < 8000


async def test_07_waits_for_a_digit_says_it_back_and_hangs_up(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear()
    call = await alice.call_phone(f"{NUMBER}07", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    await call.dtmf("7")
    details = await steps.end_of(call)
    assert (details.cause, details.ended_by) == (Cause.HUNG_UP, "peer")
    assert dbfs(ear.last(1.0)) > -40


async def test_08_is_a_bad_line(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    ear, sound = lines.ear(700.0)
    call = await alice.call_phone(f"{NUMBER}08", sound=sound)
    await steps.reach(call, State.ESTABLISHED)
    async with asyncio.timeout(20):
        while ear.share(700.0, 2.0) < 0.6:
            await asyncio.sleep(0.2)
    assert ear.share(700.0, 2.0) < 0.999
    await call.hang_up()


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("112", "112 is an emergency number"),
        ("+46112", "short number"),
        ("911", "911 is an emergency number"),
        ("0701234567", "0701234567 has no country"),
        ("reception", '"reception" is not a phone number'),
        ("", '"" is not a phone number'),
    ],
)
async def test_what_is_no_phone_number_is_refused_before_anybody_is_asked(lines: Any, number: str, why: str) -> None:
    alice = await lines.phone("alice")
    with pytest.raises(DestinationError, match=why) as refused:
        await alice.call_phone(number)
    assert refused.value.hint
    assert not alice.calls


async def test_a_number_is_called_as_people_write_it(lines: Any, steps: Any) -> None:
    alice = await lines.phone("alice")
    call = await alice.call_phone("tel:+1 (212) 555-0102")
    assert call.remote.number == f"{NUMBER}02"
    assert (await steps.end_of(call)).cause is Cause.DENIED


async def test_a_number_without_a_caller_id_is_refused_with_the_platforms_rule_and_a_hint(
    lines: Any, steps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinchphone.local.application.NOBODYS_NUMBER", None)
    alice = await lines.phone("alice")
    with pytest.raises(Exception, match="caller id") as refused:
        details = await steps.end_of(await alice.call_phone(f"{NUMBER}01"))
        raise details.error
    assert code_of_error(refused.value) is ExitCode.FORBIDDEN
    assert refused.value.hint  # type: ignore[attr-defined]
