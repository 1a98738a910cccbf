"""The shell around the call machine while sound flows: ICE restarts and warnings never end a call."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from sinchphone.audio import quality
from sinchphone.engine.calls.call import Call, CallWarning
from sinchphone.engine.calls.media.monitor import QualityRecovered, QualityTriggered
from sinchphone.errors import MediaError
from sinchphone.media.port import Connected, Moved, PortOptions, PortStats, PortWarning, RestartWanted
from sinchphone.media.sound import Levels
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import State
from sinchphone.protocol.mxp.message import BodyType, Client, Message, Method
from sinchphone.protocol.sdp.jsep import Description, encode_description
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

ME, BOB = Client("ada", "ada-1", "sig-ada"), Client("bob", "bob-1", "sig-bob")
PATIENCE_S = 10.0


@dataclass(eq=False)
class Port:
    """A port that is connected, and restarts unless it's told not to."""

    refuses: bool = False
    log: list[str] = field(default_factory=list)
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    leg: Any = field(default_factory=object)
    counters: PortStats = field(default_factory=PortStats)

    async def offer(self) -> Description:
        return Description("offer", "v=0 offer")

    async def accept(self, answer: Description) -> None:
        self.log.append(f"accept {answer.sdp}")
        if "bad" in answer.sdp:
            raise MediaError("the peer doesn't restart")

    async def answer(self, offer: Description) -> Description:
        self.log.append(f"answer {offer.sdp}")
        if self.refuses:
            raise MediaError("our own offer stands")
        return Description("answer", "v=0 reply")

    async def restart(self) -> Description:
        self.log.append("restart")
        if self.refuses:
            raise MediaError("not now")
        return Description("offer", "v=0 again")

    async def reoffer(self, *, direction: str) -> Description:
        self.log.append(f"reoffer {direction}")
        if self.refuses:
            raise MediaError("not now")
        return Description("offer", f"v=0 {direction}")

    async def add_candidate(self, candidate: Any) -> None:
        """Nothing to do."""

    async def stats(self) -> PortStats:
        return self.counters

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.queue.get()

    async def close(self) -> None:
        """Nothing to do."""


class Quiet:
    """No sound."""

    async def open(self) -> None: ...
    async def connect(self, leg: Any, *, early: bool = False) -> None: ...
    async def close(self) -> None: ...
    def mute(self, muted: bool) -> None: ...

    async def signal(self, signal: Any) -> bool:
        return False

    def levels(self) -> Levels:
        return Levels(near_dbfs=0, far_dbfs=0)


class Harness:
    """A call that talks."""

    counters: object = None

    def __init__(self) -> None:
        self.media, self.sent, self.inbox = Port(), list[Message](), asyncio.Queue[Message]()
        unlike: Any = self
        quiet: Any = Quiet()
        self.call = Call(
            CallMachine(ME),
            call_id="call-1",
            peer="bob",
            domain=Domain.MXP,
            channel=unlike,
            ports=unlike,
            port_options=PortOptions(),
            sound=quiet,
            place=self.place,
            monitored=True,
        )
        self.warnings: list[CallWarning] = []
        self.quality: list[Any] = []
        self.tasks = [start_task(self.call.run(), name="run"), start_task(self.read(), name="read")]

    def port(self, options: PortOptions) -> Port:
        return self.media

    async def place(self, offer: Description) -> v.Placed:
        return v.Placed("sig-call", 1)

    async def send(self, message: Message, channels: Collection[str]) -> None:
        self.sent.append(message)

    async def receive(self) -> Message:
        return await self.inbox.get()

    async def read(self) -> None:
        async for event in self.call.events():
            if isinstance(event, CallWarning):
                self.warnings.append(event)
            if isinstance(event, QualityTriggered | QualityRecovered):
                self.quality.append(event)

    def hear(self, method: Method, description: Description | None = None) -> None:
        body = (BodyType.NONE, "") if description is None else (BodyType.SDP, encode_description(description))
        self.inbox.put_nowait(Message(method, BOB, *body))

    async def reach(self, state: State) -> None:
        async with asyncio.timeout(PATIENCE_S):
            async for now in self.call.states():
                if now is state:
                    return

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.002)

    def described(self) -> list[str]:
        """What was told in PEER EVENTs."""
        return [message.body for message in self.sent if message.method is Method.PEER_EVENT]

    async def end(self) -> None:
        assert self.call.state is State.ESTABLISHED
        await self.call.hang_up()
        await asyncio.wait_for(asyncio.gather(*self.tasks), PATIENCE_S)


async def talking(counters: PortStats) -> Harness:
    made = Harness()
    made.media.counters = counters
    await made.reach(State.PROGRESSING)
    made.hear(Method.ACK, Description("answer", "v=0 answer"))
    made.hear(Method.JOIN)
    await made.reach(State.ANSWERED)
    made.media.queue.put_nowait(Connected(pair="host", codec="opus"))
    await made.reach(State.ESTABLISHED)
    made.media.log.clear()
    return made


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    made = await talking(PortStats())
    yield made
    await made.end()


async def test_a_port_that_wants_a_restart_gets_the_peers_answer_to_it(harness: Harness) -> None:
    harness.media.queue.put_nowait(RestartWanted(reason="the peer doesn't answer"))
    await harness.until(harness.described)
    assert harness.described() == [encode_description(Description("offer", "v=0 again"))]
    harness.hear(Method.PEER_EVENT, Description("answer", "v=0 reply"))
    await harness.until(lambda: "accept v=0 reply" in harness.media.log)
    harness.media.queue.put_nowait(Moved(pair="relay"))
    await harness.until(lambda: harness.call.details.pair == "relay")


async def test_the_peers_restart_is_answered(harness: Harness) -> None:
    harness.hear(Method.PEER_EVENT, Description("offer", "v=0 theirs"))
    await harness.until(harness.described)
    assert harness.media.log == ["answer v=0 theirs"]
    assert harness.described() == [encode_description(Description("answer", "v=0 reply"))]


async def test_what_fails_leaves_the_call_as_it_is_and_says_nothing_to_the_peer(harness: Harness) -> None:
    harness.media.refuses = True
    harness.media.queue.put_nowait(RestartWanted(reason="the peer doesn't answer"))
    harness.hear(Method.PEER_EVENT, Description("offer", "v=0 theirs"))
    await harness.until(lambda: len(harness.media.log) == 2)
    harness.media.refuses = False
    harness.media.queue.put_nowait(RestartWanted(reason="the peer doesn't answer"))
    await harness.until(harness.described)
    harness.hear(Method.PEER_EVENT, Description("answer", "v=0 bad"))
    await harness.until(lambda: "accept v=0 bad" in harness.media.log)
    assert len(harness.described()) == 1


async def test_a_warning_of_the_port_is_told_once(harness: Harness) -> None:
    for _ in range(3):  # of each of several devices
        harness.media.queue.put_nowait(PortWarning(message="no TURN server gave an address", hint="hint"))
    await harness.until(lambda: harness.warnings)
    await asyncio.sleep(0.02)
    assert harness.warnings == [CallWarning(message="no TURN server gave an address", hint="hint")]


async def test_a_stream_that_is_gone_and_comes_back_is_told_between_two_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "MISSING_SECONDS", 0.2)
    made = await talking(PortStats(codec="opus"))
    made.media.counters = PortStats(codec="opus", silent_s=5.0)
    await made.until(lambda: made.quality == [QualityTriggered(name="MissingMediaStream")])
    made.media.counters = PortStats(codec="opus", silent_s=0.0)
    await made.until(lambda: made.quality[1:] == [QualityRecovered(name="MissingMediaStream")])
    assert not made.warnings, "one silence, one word"
    await made.end()
