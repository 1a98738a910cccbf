"""Tests of a bot that answers calls, as they run in CI: a phone calls it and listens. No account, no network, no sound card.

::

    pytest softphone_in_ci.py
"""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

import answering_bot  # type: ignore[import-not-found]
import numpy as np
import pytest

from sinchphone import Call, Cause, Local, SinchClient, SoundOptions, State

RATE = 48_000
PATIENCE_S = 60.0  # on a machine that others use too


async def with_bot(folder: Path, conversation: Callable[[SinchClient], Awaitable[None]]) -> None:
    """An exchange on a free port, the bot that is tested, and a phone."""
    async with (
        asyncio.timeout(PATIENCE_S),
        Local(folder, port=0) as local,
        SinchClient("ada", local) as ada,
        asyncio.TaskGroup() as tasks,
    ):
        bot = tasks.create_task(answering_bot.serve(local), name="bot")
        await conversation(ada)
        bot.cancel()


async def call_bot(ada: SinchClient, sound: SoundOptions | None = None) -> Call:
    """A call that the bot answered; it needs a moment to register."""
    while True:
        call = await ada.call_user("bot", sound=sound)
        async for state in call.states():
            if state is State.ESTABLISHED:
                return call
        await asyncio.sleep(0.1)


def far_end(recording: Path) -> Callable[[float, float, float], float]:
    """What was heard; gives how much of it, from one second to another, is a tone of that frequency: 0 to 1."""
    with wave.open(str(recording)) as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 1].astype(float)

    def share(begin: float, end: float, hz: float) -> float:
        part = heard[int(begin * RATE) : int(end * RATE)]
        tone = np.exp(-2j * np.pi * hz / RATE * np.arange(len(part)))
        return float(2 * abs(part @ tone) ** 2 / (len(part) * (part @ part) + 1e-9))

    return share


def test_the_bot_greets_and_then_says_back_what_it_hears(tmp_path: Path) -> None:
    recording = tmp_path / "call.wav"

    async def conversation(ada: SinchClient) -> None:
        call = await call_bot(ada, SoundOptions(devices=False, tone_hz=1000.0, record=str(recording)))
        await asyncio.sleep(5.0)
        await call.hang_up()
        assert (await call.ended()).cause is Cause.HUNG_UP
        await call.closed()

    asyncio.run(with_bot(tmp_path / "exchange", conversation))
    share = far_end(recording)
    assert max(share(at, at + 0.2, 440.0) for at in np.arange(0.0, 2.0, 0.1)) > 0.9, "the first tone of the greeting"
    assert max(share(at, at + 0.2, 660.0) for at in np.arange(0.0, 4.0, 0.1)) > 0.9, "the last one"
    assert max(share(at, at + 0.2, 1000.0) for at in np.arange(2.0, 4.8, 0.1)) > 0.9, "our own tone, said back"


def test_two_people_can_call_at_a_time(tmp_path: Path) -> None:
    async def conversation(ada: SinchClient) -> None:
        first = await call_bot(ada)
        second = await call_bot(ada)
        assert first.state is second.state is State.ESTABLISHED
        for call in (first, second):
            await call.hang_up()

    asyncio.run(with_bot(tmp_path, conversation))


@pytest.mark.parametrize(("number", "cause"), [("+14155550102", Cause.DENIED), ("+14155550109", Cause.FAILURE)])
def test_numbers_that_nobody_has_fail_as_real_ones_do(tmp_path: Path, number: str, cause: Cause) -> None:
    async def conversation(ada: SinchClient) -> None:
        call = await ada.call_phone(number)
        assert (await call.ended()).cause is cause

    asyncio.run(with_bot(tmp_path, conversation))
