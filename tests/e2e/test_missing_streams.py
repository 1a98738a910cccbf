"""A stream that stops or never begins is said, and said again when it comes back; what only looks like it isn't."""

import asyncio
from typing import Any

import pytest

from sinchphone.audio.frame import silence
from sinchphone.engine.calls.call import Call, CallEvent, CallWarning
from sinchphone.engine.calls.media.monitor import QualityRecovered, QualityTriggered, StatsTaken
from sinchphone.protocol.call.states import State
from sinchphone.protocol.sdp.jsep import Description
from sinchphone.tasks import start_task

MISSING = "MissingMediaStream"
PATIENCE_S = 15.0


class Told:
    """What a call told of its sound."""

    def __init__(self, call: Call) -> None:
        self.events: list[CallEvent] = []
        self._task = start_task(self._read(call), name="read")

    async def _read(self, call: Call) -> None:
        async for event in call.events():
            self.events.append(event)

    @property
    def missing(self) -> list[bool]:
        """True for each time that the stream went, False for each that it came back."""
        changes = [event for event in self.events if isinstance(event, QualityTriggered | QualityRecovered) and event.name == MISSING]
        return [isinstance(event, QualityTriggered) for event in changes]

    @property
    def stats(self) -> list[StatsTaken]:
        return [event for event in self.events if isinstance(event, StatsTaken)]

    async def until(self, missing: list[bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.missing != missing:
                await asyncio.sleep(0.05)


async def to_a_phone(lines: Any, steps: Any) -> tuple[Told, Any, Any]:
    """A terminal calls a SIP phone, which answers and sends nothing yet."""
    phone, client = await lines.sip_phone(), await lines.phone("ada")
    _, sound = lines.ear(440.0)
    call = await client.call_sip(phone.address(), sound=sound)
    there = await phone.next_call()
    answer = await there.port.answer(Description("offer", there.sip.offer))
    await there.sip.answer(answer.sdp)
    await steps.reach(call, State.ESTABLISHED)
    return Told(call), phone, there


async def speaking(lines: Any, there: Any, tone_hz: float | None = 620.0) -> Any:
    _, sound = lines.ear(tone_hz)
    await sound.connect(there.port.leg)
    lines.stack.push_async_callback(sound.close)
    return sound


async def test_a_far_terminal_that_freezes_is_missing_until_it_goes_on(lines: Any, steps: Any) -> None:
    _, bobs_sound = lines.ear(620.0)
    alice, bob = await lines.phone("alice"), await lines.phone("bob", sound=lambda: bobs_sound)
    outgoing = await alice.call_user("bob")
    incoming = await steps.next_call(bob)
    await incoming.answer()
    await steps.reach(outgoing, State.ESTABLISHED)
    told = Told(outgoing)
    await asyncio.sleep(1.5)
    assert told.missing == []
    await bobs_sound.connect(Nowhere())
    await told.until([True])
    async with asyncio.timeout(PATIENCE_S):
        while told.stats[-1].report.mos != pytest.approx(1.0, abs=0.3):
            await asyncio.sleep(0.05)
    await bobs_sound.connect(incoming._ports.winner.leg)
    await told.until([True, False])
    assert not [event for event in told.events if isinstance(event, CallWarning)]


class Nowhere:
    """A leg that leads to nobody."""

    def send(self, frame: Any) -> None: ...

    def pull(self, samples: int) -> Any:
        return silence(samples)

    def is_missing(self) -> bool:
        return False


async def test_a_muted_terminal_keeps_sending(lines: Any, steps: Any) -> None:
    outgoing, incoming = await steps.talking(lines)
    told = Told(incoming)
    outgoing.mute(True)
    await asyncio.sleep(3.0)
    assert told.missing == []


async def test_a_phone_that_answers_and_sends_nothing_is_missing_until_it_speaks(lines: Any, steps: Any) -> None:
    told, _, there = await to_a_phone(lines, steps)
    await told.until([True])
    assert told.stats[-1].stats.packets_received == 0, "silence in its place would hide it"
    await speaking(lines, there)
    await told.until([True, False])


async def test_a_phone_that_sends_only_silence_is_there(lines: Any, steps: Any) -> None:
    told, _, there = await to_a_phone(lines, steps)
    await speaking(lines, there, None)
    async with asyncio.timeout(PATIENCE_S):
        while not [event for event in told.events if isinstance(event, QualityTriggered) and "Inbound" in event.name]:
            await asyncio.sleep(0.1)
    assert told.missing in ([], [True, False]), "while this test was slow to let it speak, at most"
    assert told.stats[-1].stats.packets_received > 0


async def test_a_phone_whose_stream_stops_is_missing_although_its_sound_is_decoded_on_the_way(lines: Any, steps: Any) -> None:
    told, _, there = await to_a_phone(lines, steps)
    sound = await speaking(lines, there)
    await asyncio.sleep(1.5)
    before = len(told.missing)
    await sound.connect(Nowhere())
    await told.until([*told.missing[:before], True])
    await sound.connect(there.port.leg)
    await told.until([*told.missing[:before], True, False])


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_a_phone_that_holds_and_sends_nothing_is_not_missing(lines: Any, steps: Any, direction: str) -> None:
    told, _, there = await to_a_phone(lines, steps)
    sound = await speaking(lines, there)
    await asyncio.sleep(1.0)
    before = told.missing
    offer = await there.port.reoffer(direction=direction)
    await there.port.accept(Description("answer", await there.sip.reoffer(offer.sdp)))
    await sound.connect(Nowhere())
    await asyncio.sleep(3.0)
    assert told.missing == before
    resumed = await there.port.reoffer()
    await there.port.accept(Description("answer", await there.sip.reoffer(resumed.sdp)))
    await sound.connect(there.port.leg)
    await asyncio.sleep(1.0)
    assert told.missing == before
