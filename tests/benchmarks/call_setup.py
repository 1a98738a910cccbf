"""Call set-up over loopback, with where the time goes: two bare media ports, then whole calls through the embedded exchange.

usage: python tests/benchmarks/call_setup.py [CALLS]

The anchor is stock aiortc in the same run: two peer connections in one process, no signaling at all. A whole call has a REST
request, an encrypted INVITE and six more messages over a broker on top of that. Every figure is a median [ms].
"""

import asyncio
import json
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import stock
from figures import median, rounds, table

from sinchphone.audio.frame import Frame
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.engine.calls.call import Call
from sinchphone.engine.client import SinchClient
from sinchphone.engine.events.events import IncomingCall
from sinchphone.local import Local
from sinchphone.media.port import CandidateFound, Connected, FirstPacket, MediaPort, PortOptions
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.media.webrtc.ice.agent import IceConnection
from sinchphone.protocol.call.states import State
from sinchphone.tasks import start_task

PATIENCE_S = 30.0
RING_S = 0.2  # until somebody answers who doesn't answer at once
CALLER_HZ, CALLEE_HZ = 440.0, 620.0

#: from call_user on; the steps of both ends count at the later one
STEPS = {
    "offer": "offer made, sockets open",
    "progressing": "placed (REST)",
    "invited": "INVITE read by the callee",
    "ringing": "first ring: ACK with an answer",
    "ice": "ICE",
    "connected": "DTLS",
}
#: from the callee's answer on
ANSWER_STEPS = {
    "answered": "JOIN read by the caller",
    "established": "established",
    "packet": "first packet",
    "sound": "first sound decoded",
}

Marks = dict[str, float]


class Stopwatch:
    """When the steps of one call were taken, on time.monotonic, which the processes of a machine share. The last time counts."""

    def __init__(self) -> None:
        self.marks: Marks = {}

    def note(self, step: str) -> None:
        self.marks[step] = time.monotonic()

    @asynccontextmanager
    async def on_ice(self) -> AsyncIterator[None]:
        """While open, notes when a pair of candidates was found: after it comes DTLS."""
        connect = IceConnection.connect

        async def timed(ice: IceConnection) -> None:
            await connect(ice)
            self.note("ice")

        IceConnection.connect = timed  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            IceConnection.connect = connect  # type: ignore[method-assign]


class Ear:
    """A party that says one tone and tells when it first hears the other, in what it pulls."""

    def __init__(self, says_hz: float, hears_hz: float, watch: Stopwatch) -> None:
        self.heard = asyncio.Event()
        self._sine = Sine(says_hz)
        self._hears_hz = hears_hz
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._waits = True

    def tick(self, far: Frame) -> Frame:
        if self._waits and np.abs(far).max() > stock.LOUD and share(far, self._hears_hz) > 0.5:
            self._waits = False
            self._watch.note("sound")
            self._loop.call_soon_threadsafe(self.heard.set)
        return self._sine.pull()


class TimedPorts:
    """Makes ports whose offers, connections and first packets are noted."""

    def __init__(self, media: MediaThread, watch: Stopwatch) -> None:
        self._ports = media.ports
        self._watch = watch

    def port(self, options: PortOptions) -> MediaPort:
        port: Any = self._ports.port(options)
        offer, events = port.offer, port.events()
        put = events.put

        async def timed_offer() -> Any:
            description = await offer()
            self._watch.note("offer")
            return description

        def timed_put(event: object) -> None:
            if isinstance(event, Connected | FirstPacket):
                self._watch.note("connected" if isinstance(event, Connected) else "packet")
            put(event)

        port.offer, events.put = timed_offer, timed_put
        return port  # type: ignore[no-any-return]


# Two ports without signaling: what stock aiortc is compared with


async def connect_ports(media: MediaThread) -> dict[str, float]:
    """From the first line to connected and to sound, the later end counts [ms]."""
    begun, watch = time.monotonic(), Stopwatch()
    caller, callee = (media.ports.port(PortOptions(loopback=True)) for _ in range(2))
    ears = Ear(CALLER_HZ, CALLEE_HZ, watch), Ear(CALLEE_HZ, CALLER_HZ, watch)
    sounds = [Ticker(ear, media) for ear in ears]
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(_run_port(caller, callee, sounds[0], watch))
        group.create_task(_run_port(callee, caller, sounds[1], watch))
        await caller.accept(await callee.answer(await caller.offer()))
        for ear in ears:
            await ear.heard.wait()
        for sound, port in zip(sounds, (caller, callee), strict=True):
            await sound.close()
            await port.close()
    return {step: 1000 * (watch.marks[step] - begun) for step in ("connected", "sound")}


async def _run_port(port: MediaPort, other: MediaPort, sound: Ticker, watch: Stopwatch) -> None:
    async for event in port.events():
        if isinstance(event, CandidateFound):
            await other.add_candidate(event.candidate)
        elif isinstance(event, Connected):
            watch.note("connected")
            await sound.connect(port.leg)


# Whole calls

Told = Callable[[], Awaitable[Marks]]  # the callee's marks of the call that runs, as soon as it hears the caller


@asynccontextmanager
async def phone(user: str, local: Local, media: MediaThread, watch: Stopwatch, **options: Any) -> AsyncIterator[SinchClient]:
    """A registered phone whose ports are timed."""
    async with SinchClient(user, local, media=media, **options) as client:
        media.ports = TimedPorts(media, watch)  # type: ignore[assignment, misc]
        yield client


async def reach(call: Call, wanted: State, watch: Stopwatch, *, all_states: bool = False) -> None:
    """Follow a call to a state."""
    async for state in call.states():
        if all_states or state is wanted:
            watch.note(state.value)
        if state is wanted:
            return
    raise AssertionError(f"the call ended instead: {call.details}")


async def answer_calls(local: Local, media: MediaThread, watch: Stopwatch, ring_s: float, tell: Callable[[Marks], None]) -> None:
    """A callee: answers call after call; ``tell(Marks())`` when it is there, then ``tell`` gets the marks of each call."""
    ears: list[Ear] = []

    def sound() -> Ticker:
        ears.append(Ear(CALLEE_HZ, CALLER_HZ, watch))
        return Ticker(ears[-1], media)

    async with phone("bob", local, media, watch, sound=sound) as bob:
        tell({})
        async for event in bob.events():
            if isinstance(event, IncomingCall):
                watch.note("invited")
                await asyncio.sleep(ring_s)
                watch.note("answer")
                await event.call.answer()
                await reach(event.call, State.ESTABLISHED, watch)
                await ears[-1].heard.wait()
                tell(dict(watch.marks))
                await event.call.closed()


async def call_bob(alice: SinchClient, watch: Stopwatch, told: Told) -> dict[str, float]:
    """One call to its first sound at both ends: STEPS from call_user on, ANSWER_STEPS from the answer on [ms]."""
    watch.marks.clear()
    ear = Ear(CALLER_HZ, CALLEE_HZ, watch)
    watch.note("dial")
    call = await alice.call_user("bob", sound=Ticker(ear, alice.media))
    await reach(call, State.ESTABLISHED, watch, all_states=True)
    await ear.heard.wait()
    theirs = await told()
    await call.hang_up()
    await call.closed()
    at = {step: max(marks[step] for marks in (watch.marks, theirs) if step in marks) for step in {**watch.marks, **theirs}}
    return {**{step: 1000 * (at[step] - at["dial"]) for step in STEPS}, **{step: 1000 * (at[step] - at["answer"]) for step in ANSWER_STEPS}}


@dataclass(frozen=True)
class Setup:
    """Medians [ms] of the steps of each kind of call."""

    stock: dict[str, float]
    ports: dict[str, float]  # ours, as bare as stock's
    calls: dict[str, dict[str, float]]


async def calls_in_one_process(times: int, ring_s: float) -> dict[str, float]:
    """Caller, callee and exchange share a process, a loop and a media thread."""
    watch, told = Stopwatch(), asyncio.Queue[Marks]()
    with tempfile.TemporaryDirectory() as folder:
        async with MediaThread() as media, Local(Path(folder), port=0, media=media) as local, watch.on_ice():
            answering = start_task(answer_calls(local, media, watch, ring_s, told.put_nowait), name="answer calls")
            await told.get()
            async with asyncio.timeout(PATIENCE_S * (times + 1)), phone("alice", local, media, watch) as alice:
                found = [await call_bob(alice, watch, told.get) for _ in range(times + 1)]
            answering.cancel()
            await asyncio.wait([answering])
    return _medians(found)


async def calls_between_processes(times: int, ring_s: float) -> dict[str, float]:
    """The callee has a process of its own; the caller's hosts the exchange."""
    watch, port = Stopwatch(), _free_port()
    with tempfile.TemporaryDirectory() as folder:
        async with MediaThread() as media, Local(Path(folder), port=port, media=media) as local, watch.on_ice():
            command = (sys.executable, __file__, "--callee", folder, str(port), str(ring_s))
            bob = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            try:
                async with asyncio.timeout(PATIENCE_S * (times + 1)):
                    await _read_marks(bob)
                    async with phone("alice", local, media, watch) as alice:
                        found = [await call_bob(alice, watch, lambda: _read_marks(bob)) for _ in range(times + 1)]
            finally:
                bob.kill()
                await bob.wait()
    return _medians(found)


async def _read_marks(process: asyncio.subprocess.Process) -> Marks:
    assert process.stdout is not None
    marks: Marks = json.loads(await process.stdout.readline())
    return marks


async def _be_callee(folder: str, port: str, ring_s: str) -> None:
    watch = Stopwatch()
    async with MediaThread() as media, Local(Path(folder), port=int(port), media=media) as local, watch.on_ice():
        await answer_calls(local, media, watch, float(ring_s), lambda marks: print(json.dumps(marks), flush=True))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    """Of all calls but the first, which imports and warms up."""
    return {step: median(each[step] for each in found[1:]) for step in found[0]}


async def measure(times: int) -> Setup:
    """Stock aiortc and bare ports in turn, then the whole calls."""
    async with MediaThread() as media:
        pairs = [(await stock.set_up(), await connect_ports(media)) for _ in range(times + 1)]
    calls = {
        "one process": await calls_in_one_process(times, 0.0),
        "two processes": await calls_between_processes(times, 0.0),
        "two, after a ring": await calls_between_processes(times, RING_S),
    }
    return Setup(_medians([each for each, _ in pairs]), _medians([each for _, each in pairs]), calls)


def report_media(found: Setup) -> str:
    """The figures of media without signaling."""
    steps = ("connected", "sound")
    rows = {f"{step} at both ends": [found.stock[step], found.ports[step], found.ports[step] / found.stock[step]] for step in steps}
    return table("media alone: offer to", ["stock aiortc", "sinchphone", "ratio"], rows)


def report_calls(found: Setup) -> str:
    """The figures of whole calls."""
    calls = found.calls.values()
    whole = {words: [each[step] for each in calls] for step, words in STEPS.items()}
    answer = {words: [each[step] for each in calls] for step, words in ANSWER_STEPS.items()}
    ratio = {"first sound / stock's, from its offer": [each["sound"] / found.stock["sound"] for each in calls]}
    columns = list(found.calls)
    return table("whole call: call_user to", columns, whole) + "\n" + table("answer to", columns, {**answer, **ratio})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--callee"]:
        asyncio.run(_be_callee(*sys.argv[2:]))
    else:
        figures = asyncio.run(measure(rounds(20)))
        print(report_media(figures), report_calls(figures), sep="\n")
