"""The frame clock keeps its deadlines; the ticker keeps a party going whatever it does."""

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, Frame, Samples
from sinchphone.media.clock import CATCH_UP_FRAMES, FrameClock, steady_epoch
from sinchphone.media.sound import Signal
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.tasks import start_task

PATIENCE = 10.0


class Ticks:
    """Counts, and says when so many have come."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append(time.monotonic())

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.at) < count:
                await asyncio.sleep(0.005)


async def test_a_second_has_fifty_ticks_however_late_each_is() -> None:
    ticks = Ticks()
    clock = FrameClock(ticks)
    clock.start()
    for _ in range(4):
        await asyncio.sleep(0.2)
        time.sleep(0.05)  # the loop is blocked for two and a half frames
    await asyncio.sleep(FRAME_SECONDS)
    clock.stop()
    elapsed = time.monotonic() - ticks.at[0]
    assert abs(len(ticks.at) + clock.dropped - elapsed / FRAME_SECONDS) <= 1.5
    assert clock.ticks == len(ticks.at)


async def test_after_a_long_stall_a_few_frames_are_caught_up_and_the_rest_is_dropped() -> None:
    ticks = Ticks()
    clock = FrameClock(ticks)
    clock.start()
    await ticks.reach(2)
    before = len(ticks.at)
    time.sleep(0.41)  # twenty frames
    await asyncio.sleep(0.005)
    clock.stop()
    assert CATCH_UP_FRAMES <= len(ticks.at) - before <= CATCH_UP_FRAMES + 2
    assert clock.dropped >= 13


async def test_stopping_in_a_tick_is_the_end_of_ticks() -> None:
    ticks = Ticks()

    def tick() -> None:
        ticks()
        if len(ticks.at) == 3:
            clock.stop()

    clock = FrameClock(tick)
    clock.start()
    await ticks.reach(2)
    time.sleep(0.1)  # several are due at once
    await asyncio.sleep(0.1)
    assert len(ticks.at) == 3
    clock.stop()


async def test_starting_twice_is_one_clock_and_it_can_start_again() -> None:
    ticks = Ticks()
    clock = FrameClock(ticks)
    clock.start()
    clock.start()
    await asyncio.sleep(0.11)
    clock.stop()
    assert len(ticks.at) <= 7
    count = len(ticks.at)
    await asyncio.sleep(0.06)
    assert len(ticks.at) == count
    clock.start()
    await ticks.reach(count + 2)
    clock.stop()


class RecordingLeg:
    """A leg with a constant on its line."""

    def __init__(self) -> None:
        self.sent: list[Frame] = []
        self.threads: set[str] = set()

    def send(self, frame: Frame) -> None:
        self.threads.add(threading.current_thread().name)
        self.sent.append(frame)

    def is_missing(self) -> bool:
        return False

    def pull(self, samples: int) -> Samples:
        return np.full(samples, 1000, np.int16)

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.sent) < count:
                await asyncio.sleep(0.005)


class Echo:
    """Says what it hears, turned round."""

    def tick(self, far: Frame) -> Frame:
        return -far


class Broken:
    """Fails every other time."""

    def __init__(self) -> None:
        self.calls = 0

    def tick(self, far: Frame) -> Frame:
        self.calls += 1
        if self.calls % 2:
            raise RuntimeError("a bug in somebody's code")
        return far


@pytest.fixture
async def media() -> AsyncIterator[MediaThread]:
    async with MediaThread() as thread:
        yield thread


async def test_a_party_hears_the_far_sound_and_its_answer_is_sent_in_the_media_thread(media: MediaThread) -> None:
    ticker, leg = Ticker(Echo(), media), RecordingLeg()
    await ticker.open()
    await ticker.signal(Signal.RINGBACK)
    await ticker.connect(leg)
    await leg.reach(5)
    await ticker.close()
    assert leg.threads == {"media"}
    assert all(len(frame) == FRAME_SAMPLES and frame[0] == -1000 for frame in leg.sent)
    assert [event async for event in ticker.events()] == []


async def test_while_muted_silence_is_sent_and_the_level_says_so(media: MediaThread) -> None:
    ticker, leg = Ticker(Echo(), media), RecordingLeg()
    assert ticker.levels().near_dbfs == -math.inf
    await ticker.connect(leg)
    await leg.reach(20)
    assert ticker.levels().near_dbfs == pytest.approx(-30.3, abs=1)
    ticker.mute(True)
    muted_from = len(leg.sent) + 2
    await leg.reach(muted_from + 40)
    levels = ticker.levels()
    await ticker.close()
    assert not np.any(leg.sent[muted_from : muted_from + 40])
    assert levels.near_dbfs < -60
    assert levels.far_dbfs == pytest.approx(-30.3, abs=1)


async def test_a_party_that_raises_costs_its_own_frames_only(media: MediaThread) -> None:
    party = Broken()
    ticker, leg = Ticker(party, media), RecordingLeg()
    await ticker.connect(leg)
    await leg.reach(10)
    await ticker.close()
    assert ticker.faults >= 5
    assert [bool(np.any(frame)) for frame in leg.sent[:10]] == [False, True] * 5


async def test_a_closed_ticker_ticks_no_more_and_closes_again(media: MediaThread) -> None:
    ticker, leg = Ticker(Echo(), media), RecordingLeg()
    await ticker.close()
    await ticker.connect(leg)
    await leg.reach(2)
    await ticker.close()
    count = len(leg.sent)
    await asyncio.sleep(0.1)
    assert len(leg.sent) == count
    await ticker.close()


async def test_a_ticker_can_be_closed_after_its_thread_was_stopped() -> None:
    async with MediaThread() as media:
        ticker = Ticker(Echo(), media)
        await ticker.connect(RecordingLeg())
    await ticker.close()


async def test_a_ticker_whose_thread_stops_while_it_closes_ends_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    media = MediaThread().start()
    ticker = Ticker(Echo(), media)
    await ticker.connect(RecordingLeg())
    monkeypatch.setattr(ticker, "_stop", lambda: asyncio.sleep(PATIENCE))
    closing = start_task(ticker.close(), name="close")
    await asyncio.sleep(0.05)
    await asyncio.to_thread(media.stop)
    await asyncio.wait_for(closing, PATIENCE)

    async def read() -> list[object]:
        return [event async for event in ticker.events()]

    assert await asyncio.wait_for(read(), PATIENCE) == []


def test_the_clock_of_reports_goes_on_when_the_time_of_day_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = steady_epoch()
    assert abs(before - time.time()) < 3600
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0.0 <= steady_epoch() - before < 60
