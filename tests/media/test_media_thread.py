"""The media thread: what crosses the line between two loops, what is cancelled, and what is left after it stops."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from sinchphone.audio.frame import Frame
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import CandidateFound, Connected, MediaPort, PortEvent, PortLost, PortOptions
from sinchphone.media.thread import SWITCH_SECONDS, MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.sdp.jsep import Candidate, Description
from sinchphone.tasks import start_task

HERE = PortOptions(loopback=True)
PATIENCE = 10.0


@pytest.fixture
async def media() -> AsyncIterator[MediaThread]:
    async with MediaThread() as thread:
        yield thread


async def test_work_runs_in_the_media_thread_and_its_result_comes_back(media: MediaThread) -> None:
    async def where() -> tuple[str, bool]:
        return threading.current_thread().name, asyncio.get_running_loop() is media.loop

    assert await media.run(where()) == ("media", True)


async def test_what_work_raises_is_raised_here(media: MediaThread) -> None:
    async def fail() -> None:
        raise MediaError("no")

    with pytest.raises(MediaError, match="no"):
        await media.run(fail())


async def test_run_inside_the_media_loop_is_a_plain_await(media: MediaThread) -> None:
    async def inner() -> int:
        return 7

    async def outer() -> int:
        return await media.run(inner())

    assert await media.run(outer()) == 7


async def test_cancelling_the_caller_cancels_the_work(media: MediaThread) -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    caller = start_task(media.run(work()), name="run")
    await asyncio.to_thread(started.wait, PATIENCE)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await asyncio.to_thread(cancelled.wait, PATIENCE)


async def test_stopping_the_thread_ends_what_runs_in_it_with_an_error_and_not_a_cancellation() -> None:
    media = MediaThread().start()
    started = threading.Event()

    async def work() -> None:
        started.set()
        await asyncio.sleep(PATIENCE)

    caller = start_task(media.run(work()), name="run")
    await asyncio.to_thread(started.wait, PATIENCE)
    await asyncio.to_thread(media.stop)
    with pytest.raises(MediaError, match="stopped"):
        await asyncio.wait_for(caller, PATIENCE)


async def test_a_thread_that_is_not_running_refuses_work() -> None:
    media = MediaThread()
    with pytest.raises(LocalProtocolError):
        await media.run(asyncio.sleep(0))
    with pytest.raises(LocalProtocolError):
        media.call_soon(print)


def test_start_and_stop_may_be_repeated_in_any_order() -> None:
    media = MediaThread()
    media.stop()
    first = media.start().loop
    assert media.start().loop is first
    media.stop()
    media.stop()
    assert first.is_closed()
    with media:
        assert media.loop is not first
    assert "media" not in {thread.name for thread in threading.enumerate()}


def test_the_switch_interval_is_short_while_any_media_thread_runs_and_restored_afterwards() -> None:
    usual = sys.getswitchinterval()
    one, other = MediaThread(), MediaThread()
    one.start()
    other.start()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    one.stop()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    other.stop()
    assert sys.getswitchinterval() == pytest.approx(usual)


async def test_a_tick_there_is_punctual_beside_work_here(media: MediaThread) -> None:
    delays: list[float] = []

    async def tick() -> None:
        due = time.monotonic()
        for _ in range(25):
            due += 0.02
            await asyncio.sleep(max(0, due - time.monotonic()))
            delays.append(time.monotonic() - due)

    ticking = start_task(media.run(tick()), name="run")
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        sum(index * index for index in range(20_000))  # this loop is blocked all the time
    await ticking
    assert sorted(delays)[len(delays) // 2] < 0.015


def test_importing_the_thread_imports_neither_aiortc_nor_av_nor_aioice() -> None:
    code = (
        "import sys, sinchphone.media.thread, sinchphone.media.clock; print({'aiortc', 'av', 'aioice', 'cryptography'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "set()"


def test_warming_up_imports_them_in_the_background() -> None:
    code = (
        "import sys, threading; from sinchphone.media.thread import MediaThread; MediaThread().warm_up();"
        "[each.join() for each in threading.enumerate() if each is not threading.main_thread()]; print('aiortc' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "True"


class Tone:
    """A party that says a tone and keeps what it hears."""

    def __init__(self, hz: float) -> None:
        self._tone = Sine(hz)
        self.heard: list[Frame] = []

    def tick(self, far: Frame) -> Frame:
        assert threading.current_thread().name == "media"
        self.heard.append(far)
        return self._tone.pull()


class Reader:
    """Reads a port's events here and gives its candidates to another port."""

    def __init__(self, port: MediaPort, other: MediaPort) -> None:
        self.seen: list[PortEvent] = []
        self.connected = asyncio.Event()
        self.task = start_task(self._read(port, other), name="read")

    async def _read(self, port: MediaPort, other: MediaPort) -> None:
        async for event in port.events():
            self.seen.append(event)
            if isinstance(event, CandidateFound):
                await other.add_candidate(event.candidate)
            elif isinstance(event, Connected):
                self.connected.set()


async def connect(caller: MediaPort, callee: MediaPort, offer: Description) -> tuple[Reader, Reader]:
    readers = Reader(caller, callee), Reader(callee, caller)
    await caller.accept(await callee.answer(offer))
    for reader in readers:
        await asyncio.wait_for(reader.connected.wait(), PATIENCE)
    return readers


async def test_two_ports_carry_the_sound_of_two_parties(media: MediaThread) -> None:
    caller, callee = media.ports.port(HERE), media.ports.port(HERE)
    readers = await connect(caller, callee, await caller.offer())
    high, low = Tone(620), Tone(440)
    sounds = Ticker(low, media), Ticker(high, media)
    for sound, port in zip(sounds, (caller, callee), strict=True):
        await sound.open()
        await sound.connect(port.leg)
    await asyncio.sleep(1.5)
    async with asyncio.timeout(PATIENCE):  # a busy machine may stall the sound for a moment
        while min(share(np.concatenate(ear.heard[-40:]), hz) for ear, hz in ((high, 440), (low, 620))) < 0.95:
            await asyncio.sleep(0.1)
    assert (await caller.stats()).packets_received > 40
    for sound in sounds:
        await sound.close()
    await callee.close()
    await caller.close()
    for reader in readers:
        await asyncio.wait_for(reader.task, PATIENCE)
    assert any(isinstance(event, PortLost) for event in readers[0].seen)


async def test_a_fork_crosses_the_line_too(media: MediaThread) -> None:
    caller = media.ports.port(HERE)
    offer = await caller.offer()
    fork = await caller.fork()
    devices = [media.ports.port(HERE) for _ in range(2)]
    for port, device in zip((caller, fork), devices, strict=True):
        await connect(port, device, offer)
    for port in (caller, fork, *devices):
        await port.close()


async def test_a_fork_that_is_cancelled_when_it_is_made_already_is_closed(media: MediaThread, monkeypatch: pytest.MonkeyPatch) -> None:
    from sinchphone.media.webrtc.port import WebRtcPort

    forked, closed, fork = list[WebRtcPort](), threading.Event(), WebRtcPort.fork
    made = threading.Event()

    async def watched(port: WebRtcPort) -> WebRtcPort:
        forked.append(await fork(port))
        close = forked[0].close

        async def watched_close() -> None:
            await close()
            closed.set()

        monkeypatch.setattr(forked[0], "close", watched_close)
        asyncio.get_running_loop().call_later(0.1, made.set)  # after the result is on its way
        return forked[0]

    caller = media.ports.port(HERE)
    await caller.offer()
    monkeypatch.setattr(WebRtcPort, "fork", watched)
    forking = start_task(caller.fork(), name="fork")
    await asyncio.sleep(0)
    assert made.wait(PATIENCE)  # this loop stands still: it can't take the result
    forking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forking
    assert await asyncio.to_thread(closed.wait, PATIENCE)
    await caller.close()


async def test_a_port_that_was_never_used_closes_and_then_refuses(media: MediaThread) -> None:
    port = media.ports.port(HERE)
    await port.close()
    await port.close()
    assert [event async for event in port.events()] == []
    with pytest.raises(MediaError):
        await port.offer()


async def test_a_port_can_be_closed_after_the_thread_was_stopped() -> None:
    media = MediaThread()
    async with media:
        port = media.ports.port(HERE)
        await port.offer()
        await port.close()
    await port.close()
    assert [event async for event in port.events()][-1:] == [CandidateFound(candidate=None)]


async def test_a_cancelled_offer_leaves_a_port_that_closes(media: MediaThread) -> None:
    port = media.ports.port(HERE)
    offering = start_task(port.offer(), name="offer")
    await asyncio.sleep(0)
    offering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await offering
    await asyncio.wait_for(port.close(), PATIENCE)


async def test_no_task_is_left_in_the_media_loop(media: MediaThread) -> None:
    caller, callee = media.ports.port(HERE), media.ports.port(HERE)
    await connect(caller, callee, await caller.offer())
    await caller.close()
    await callee.close()

    async def tasks() -> set[str]:
        await asyncio.sleep(0.05)
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert await media.run(tasks()) == set()


async def test_an_outbox_keeps_the_order_and_a_cancelled_reader_takes_nothing_with_it() -> None:
    outbox: Outbox[int] = Outbox()
    waiting = start_task(anext(outbox), name="anext")
    await asyncio.sleep(0)
    waiting.cancel()

    def fill() -> None:
        for number in range(100):
            outbox.put(number)
        outbox.end()

    threading.Thread(target=fill).start()
    assert await asyncio.wait_for(_all(outbox), PATIENCE) == list(range(100))
    outbox.put(1)
    assert [number async for number in outbox] == []


async def _all(outbox: Outbox[int]) -> list[int]:
    return [number async for number in outbox]


async def test_a_port_whose_thread_stops_while_it_closes_ends_its_events() -> None:
    media = MediaThread().start()
    port = media.ports.port(HERE)
    await media.run(port._making.acquire())  # type: ignore[attr-defined]  # so that the closing waits
    reading = start_task(_all(port.events()), name="all")  # type: ignore[arg-type]
    closing = start_task(port.close(), name="close")
    await asyncio.sleep(0.05)
    await asyncio.to_thread(media.stop)
    await asyncio.wait_for(closing, PATIENCE)
    assert await asyncio.wait_for(reading, PATIENCE) == []


async def test_candidates_cross_the_line_in_order_those_with_it_that_made_the_port(
    media: MediaThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sinchphone.media.webrtc.port import WebRtcPort

    taken: list[str | None] = []

    async def note(port: WebRtcPort, candidate: Candidate | None) -> None:
        taken.append(None if candidate is None else candidate.candidate)

    monkeypatch.setattr(WebRtcPort, "add_candidate", note)
    port = media.ports.port(HERE)
    first = [start_task(port.add_candidate(Candidate(f"{number}", "0", 0)), name="add") for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.gather(*first)
    for number in range(3, 20):
        await port.add_candidate(Candidate(f"{number}", "0", 0))
    await port.add_candidate(None)
    await port.stats()
    assert taken == [*(f"{number}" for number in range(20)), None]
    await port.close()
