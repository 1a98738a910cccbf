"""The shell around the call machine: what it asks of its channel, ports and sound, and in which order."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from sinchphone.engine.calls.attended_call import AttendedCall
from sinchphone.engine.calls.call import MAX_UNREAD_EVENTS, Call, CallEvent, DigitHeard, DigitsSent
from sinchphone.errors import (
    AudioFileError,
    ForbiddenError,
    LocalProtocolError,
    MediaError,
    NetworkError,
    NotFoundError,
    PlatformError,
    SinchphoneError,
)
from sinchphone.media import port as media
from sinchphone.media.port import Connected, PortLost, PortOptions, PortStats
from sinchphone.media.sound import Levels, Signal
from sinchphone.protocol.call import vocabulary as v
from sinchphone.protocol.call.machine import CallMachine
from sinchphone.protocol.call.states import Cause, State
from sinchphone.protocol.mxp.message import BodyType, CallFailure, Client, Message, Method, encode_client, encode_failure
from sinchphone.protocol.sdp.jsep import Candidate, Description, encode_candidate, encode_description
from sinchphone.signaling.dialect import Domain
from sinchphone.tasks import start_task

ME, BOB, BOB2 = Client("ada", "ada-1", "sig-ada"), Client("bob", "bob-1", "sig-bob"), Client("bob", "bob-2", "sig-bob-2")
ANSWER = encode_description(Description("answer", "v=0 answer"))
INVITE = Message(Method.INVITE, BOB, BodyType.MEDIA, "", {"sdp": encode_description(Description("offer", "v=0 offer"))})
PATIENCE_S = 10.0


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(eq=False)
class FakePort:
    log: list[str]
    name: str = "port"
    leg: Any = field(default_factory=object)
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    forks: int = 0
    broken: bool = False
    closed: bool = False
    made: list["FakePort"] = field(default_factory=list)

    may_answer: asyncio.Event = field(default_factory=_set)

    async def offer(self) -> Description:
        if self.broken:
            raise MediaError("no socket")
        return Description("offer", "v=0 offer")

    async def answer(self, offer: Description) -> Description:
        await self.may_answer.wait()
        return Description("answer", "v=0 answer")

    async def accept(self, answer: Description) -> None:
        self.check()
        if "bad" in answer.sdp:
            raise MediaError("nothing fits")
        self.log.append(f"{self.name} accept")

    async def fork(self) -> "FakePort":
        self.check()
        self.forks += 1
        self.made.append(FakePort(self.log, f"{self.name}.{self.forks}"))
        return self.made[-1]

    async def add_candidate(self, candidate: Any) -> None:
        self.check()
        self.log.append(f"{self.name} candidate")

    def check(self) -> None:
        if self.closed:
            raise MediaError("the port is closed")

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self.queue.get()

    async def dtmf(self, digits: str) -> None:
        if self.broken:
            raise MediaError("the peer takes no digits")
        self.log.append(f"{self.name} dials {digits}")

    async def stats(self) -> PortStats:
        return PortStats(packets_sent=7)

    async def close(self) -> None:
        self.closed = True
        self.log.append(f"{self.name} close")


@dataclass(eq=False)
class FakeSound:
    log: list[str]
    refuses: bool = False

    async def open(self) -> None:
        if self.refuses:
            raise AudioFileError("no such file")

    async def connect(self, leg: Any, *, early: bool = False) -> None:
        self.log.append("sound early" if early else "sound connect")

    async def signal(self, signal: Signal | None) -> bool:
        self.log.append(f"sound {signal.value if signal else 'quiet'}")
        return False

    def mute(self, muted: bool) -> None:
        self.log.append(f"mute {muted}")

    def levels(self) -> Levels:
        return Levels(near_dbfs=0, far_dbfs=0)

    async def events(self) -> AsyncIterator[Any]:
        return
        yield

    async def close(self) -> None:
        self.log.append("sound close")


@dataclass(eq=False)
class FakeChannel:
    sent: list[tuple[Method, tuple[str, ...]]] = field(default_factory=list)
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    failing: bool = False
    counters: object = None

    async def send(self, message: Message, channels: Collection[str]) -> None:
        if self.failing:
            raise NetworkError("gone")
        self.sent.append((message.method, tuple(channels)))

    async def receive(self) -> Message:
        return await self.inbox.get()


class Harness:
    """A call and everything around it."""

    def __init__(self, invite: Message | None = None, *, refusal: Exception | None = None, devices: int = 1) -> None:
        self.log: list[str] = []
        self.port_one, self.sound, self.channel = FakePort(self.log), FakeSound(self.log), FakeChannel()
        self.refusal, self.devices = refusal, devices
        self.call = AttendedCall(
            CallMachine(ME, invite=invite),
            call_id="call-1",
            peer="bob",
            domain=Domain.MXP,
            channel=self.channel,
            ports=self,  # type: ignore[arg-type]
            port_options=PortOptions(),
            sound=self.sound,
            place=None if invite else self.place,
        )
        self.task = start_task(self.call.run(), name="run")

    def port(self, options: PortOptions) -> FakePort:
        return self.port_one

    async def place(self, offer: Description) -> v.Placed:
        if self.refusal is not None:
            raise self.refusal
        return v.Placed("sig-call", self.devices)

    def hear(self, method: Method, sender: Client = BOB, body_type: str = BodyType.NONE, body: str = "", **headers: str) -> None:
        self.channel.inbox.put_nowait(Message(method, sender, body_type, body, headers))

    def ack(self, sender: Client = BOB, **headers: str) -> None:
        self.hear(Method.ACK, sender, BodyType.SDP, ANSWER, **headers)

    async def reach(self, state: State) -> None:
        async with asyncio.timeout(PATIENCE_S):
            async for now in self.call.states():
                if now is state:
                    return
        raise AssertionError(f"ended: {self.call.details}")

    async def until(self, entry: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while entry not in self.log:
                await asyncio.sleep(0.001)

    async def end(self) -> None:
        await asyncio.wait_for(self.task, PATIENCE_S)

    async def talk(self) -> None:
        await self.reach(State.PROGRESSING)
        self.ack()
        self.hear(Method.JOIN)
        await self.reach(State.ANSWERED)
        self.port_one.queue.put_nowait(Connected(pair="host", codec="opus"))
        await self.reach(State.ESTABLISHED)


async def test_it_rings_until_the_answer_and_then_carries_sound() -> None:
    harness = Harness()
    await harness.reach(State.PROGRESSING)
    harness.ack()
    await harness.until("sound ringback")
    harness.hear(Method.JOIN)
    await harness.until("sound connect")
    assert harness.log == ["port accept", "sound ringback", "sound quiet", "sound connect"]
    await harness.call.hang_up()
    await harness.end()


async def test_early_media_takes_the_place_of_the_ringback() -> None:
    harness = Harness()
    await harness.reach(State.PROGRESSING)
    harness.ack(earlymedia="yes")
    await harness.until("sound early")
    assert "sound connect" not in harness.log, "nothing is said before the answer"
    harness.hear(Method.JOIN)
    await harness.until("sound connect")
    assert harness.log[-4:] == ["sound quiet", "sound early", "sound quiet", "sound connect"]
    await harness.call.hang_up()
    await harness.end()


async def test_an_incoming_call_rings_until_it_is_answered() -> None:
    harness = Harness(INVITE)
    await harness.until("sound ringtone")
    await harness.call.answer()
    await harness.until("sound connect")
    assert harness.log == ["sound ringtone", "sound quiet", "sound connect"]
    harness.hear(Method.JOINED, BOB, BodyType.CLIENT, encode_client(ME))
    await harness.reach(State.ANSWERED)
    await harness.call.hang_up()
    await harness.end()


async def test_a_ringtone_stops_when_the_caller_gives_up() -> None:
    harness = Harness(INVITE)
    await harness.until("sound ringtone")
    harness.hear(Method.CANCEL)
    await harness.end()
    assert harness.log[-3:] == ["port close", "sound quiet", "sound close"]
    assert harness.call.details.cause is Cause.CANCELED


@pytest.mark.parametrize(("code", "tone"), [(486, "busy"), (600, "busy"), (503, "congestion"), (504, "congestion"), (404, "quiet")])
async def test_a_refused_caller_hears_whether_it_was_busy_or_had_no_way_there(code: int, tone: str) -> None:
    harness = Harness()
    await harness.reach(State.PROGRESSING)
    harness.hear(Method.DENY, BOB, BodyType.ERROR, encode_failure(CallFailure(code, "no")))
    await harness.end()
    assert harness.log[-2:] == [f"sound {tone}", "sound close"]


async def test_a_call_that_is_cancelled_during_its_end_tone_has_let_go_of_its_sound_when_it_says_so() -> None:
    harness = Harness()
    tone, slow = asyncio.Event(), asyncio.Event()

    async def signal(signal: Signal | None) -> bool:
        if signal is Signal.BUSY:
            tone.set()
        return signal is Signal.BUSY

    async def close() -> None:
        await slow.wait()
        harness.log.append("sound close")

    harness.sound.signal, harness.sound.close = signal, close  # type: ignore[method-assign]
    await harness.reach(State.PROGRESSING)
    harness.hear(Method.DENY, BOB, BodyType.ERROR, encode_failure(CallFailure(486, "no")))
    await asyncio.wait_for(tone.wait(), PATIENCE_S)
    harness.task.cancel()
    closed = start_task(harness.call.closed(), name="closed")
    await asyncio.wait([harness.task, closed], timeout=0.1)
    assert not closed.done()
    slow.set()
    await asyncio.wait_for(closed, PATIENCE_S / 10)  # without the rest of the tone
    assert harness.log[-1] == "sound close"
    with pytest.raises(asyncio.CancelledError):
        await harness.task


async def test_an_incoming_call_that_waits_is_not_heard_to_ring_and_the_caller_is_told_that_it_does() -> None:
    harness = Harness(INVITE)
    harness.call.rings = False
    await harness.reach(State.RINGING)
    await asyncio.sleep(0.02)
    assert "sound ringtone" not in harness.log
    assert Method.ACK in [method for method, _ in harness.channel.sent]
    await harness.call.hang_up()
    await harness.end()


async def test_a_declined_call_is_quiet_at_once() -> None:
    harness = Harness()
    await harness.reach(State.PROGRESSING)
    harness.ack()
    await harness.until("sound ringback")
    harness.hear(Method.DENY)
    await harness.end()
    assert harness.log[-2:] == ["sound quiet", "sound close"]


async def test_each_device_gets_a_port_of_its_own_and_the_losers_port_is_closed() -> None:
    harness = Harness(devices=2)
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    harness.ack(BOB2)
    await harness.until("port.1 accept")
    harness.hear(Method.JOIN, BOB2)
    await harness.until("port close")
    await harness.until("sound connect")
    assert "port.1 close" not in harness.log
    await harness.call.hang_up()
    await harness.end()
    assert "port.1 close" in harness.log


async def test_a_late_candidate_of_a_device_that_lost_harms_nobody() -> None:
    harness = Harness(devices=2)
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    harness.ack(BOB2)
    await harness.until("port.1 accept")
    harness.hear(Method.JOIN, BOB)
    await harness.until("port.1 close")
    harness.hear(Method.PEER_EVENT, BOB2, BodyType.SDP, encode_candidate(Candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "0", 0)))
    harness.port_one.queue.put_nowait(Connected(pair="host", codec="opus"))
    await harness.reach(State.ESTABLISHED)
    await harness.call.hang_up()
    await harness.end()
    assert harness.call.details.cause is Cause.HUNG_UP


async def test_a_device_whose_media_doesnt_fit_spoils_the_call_only_for_itself() -> None:
    harness = Harness(devices=2)
    await harness.reach(State.PROGRESSING)
    harness.hear(Method.ACK, BOB, BodyType.SDP, encode_description(Description("answer", "v=0 bad")))
    harness.ack(BOB2)
    await harness.until("port.1 accept")
    harness.hear(Method.JOIN, BOB2)
    await harness.reach(State.ANSWERED)
    await harness.call.hang_up()
    await harness.end()


async def test_a_second_device_is_reached_though_the_first_one_has_refused() -> None:
    harness = Harness(devices=2)
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    await harness.until("port accept")
    harness.hear(Method.DENY, BOB, denyall="no")
    harness.ack(BOB2)
    await harness.until("port.1 accept")
    harness.hear(Method.JOIN, BOB2)
    await harness.reach(State.ANSWERED)
    await harness.call.hang_up()
    await harness.end()
    assert harness.port_one.closed


async def test_an_error_of_ours_is_not_blamed_on_the_platform() -> None:
    harness = Harness(INVITE)
    harness.sound.refuses = True
    await harness.end()
    assert harness.call.details.ended_by == "media"


async def test_a_bug_in_a_call_ends_it_and_tells_its_end() -> None:
    harness = Harness(INVITE)

    def broken(offer: Description) -> Any:
        raise RuntimeError("a bug")

    harness.port_one.answer = broken  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup):
        await harness.end()
    assert harness.call.state is State.ENDED
    assert harness.call.details.cause is not None
    await asyncio.wait_for(harness.call.closed(), PATIENCE_S)
    assert harness.log[-1] == "sound close"


async def test_cancelling_the_call_says_goodbye() -> None:
    harness = Harness()
    await harness.talk()
    harness.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await harness.end()
    assert harness.channel.sent[-1] == (Method.LEAVE, ("sig-bob",))
    assert harness.call.details.cause is Cause.HUNG_UP
    assert harness.log[-1] == "sound close"


async def test_a_refusal_of_the_platform_ends_the_call_with_its_error() -> None:
    harness = Harness(refusal=NotFoundError("nobody"))
    await harness.end()
    details = harness.call.details
    assert (details.cause, details.ended_by) == (Cause.FAILURE, "platform")
    assert isinstance(details.error, NotFoundError)


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (NotFoundError("nobody"), CallFailure(404, "nobody", "platform")),
        (ForbiddenError("no credit"), CallFailure(403, "no credit", "platform")),
        (PlatformError("too many", status=429), CallFailure(429, "too many", "platform")),
        (PlatformError("odd", status=422, code=42201), CallFailure(42201, "odd", "platform")),
        (NetworkError("away"), CallFailure(None, "away", "network")),
    ],
    ids=str,
)
async def test_a_call_that_is_not_placed_tells_why_in_numbers_and_whose_they_are(refusal: SinchphoneError, told: CallFailure) -> None:
    harness = Harness(refusal=refusal)
    await harness.end()
    assert harness.call.details.failure == told


async def test_a_platform_that_is_gone_while_it_rings_ends_the_call_but_not_while_people_talk() -> None:
    harness = Harness()
    await harness.talk()
    harness.channel.failing = True
    harness.ack(BOB2)  # makes us send JOINED, which fails
    async with asyncio.timeout(PATIENCE_S):
        while harness.call.details.error is None:
            await asyncio.sleep(0.001)
    assert harness.call.state is State.ESTABLISHED
    await harness.call.hang_up()
    await harness.end()
    assert harness.call.details.cause is Cause.HUNG_UP

    other = Harness(INVITE)
    other.channel.failing = True
    await other.end()
    assert other.call.details.cause is Cause.FAILURE


async def test_media_that_cant_be_offered_ends_the_call() -> None:
    harness = Harness()
    harness.port_one.broken = True
    await harness.end()
    assert harness.call.details.cause is Cause.FAILURE
    assert isinstance(harness.call.details.error, MediaError)


async def test_an_incoming_call_whose_sound_cant_be_had_is_refused_with_an_error() -> None:
    harness = Harness(INVITE)
    harness.sound.refuses = True
    await harness.end()
    assert harness.channel.sent == [(Method.ERROR, ("sig-bob",))]
    assert isinstance(harness.call.details.error, AudioFileError)


async def test_a_peer_that_vanishes_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinchphone.protocol.call.machine.FADE_S", 0.01)
    harness = Harness()
    await harness.talk()
    harness.port_one.queue.put_nowait(PortLost(silent_s=12.0))
    await harness.end()
    assert (harness.call.details.cause, harness.call.details.ended_by) == (Cause.INACTIVE, "media")


async def test_answering_at_once_is_not_too_early() -> None:
    harness = Harness(INVITE)
    await harness.call.answer()
    await harness.until("sound connect")
    await harness.call.hang_up()
    await harness.end()
    assert [method for method, _ in harness.channel.sent] == [Method.ACK, Method.JOIN, Method.LEAVE]


async def test_an_outgoing_call_cant_be_answered_from_here() -> None:
    harness = Harness()
    with pytest.raises(LocalProtocolError):
        await harness.call.answer()
    await harness.call.hang_up()
    await harness.end()


async def test_states_can_be_read_from_the_first_on_by_several_readers_and_later() -> None:
    harness = Harness()
    readers = [start_task(collect(harness.call), name="collect") for _ in range(3)]
    await harness.talk()
    await harness.call.hang_up()
    await harness.end()
    course = [State.CREATED, State.PROGRESSING, State.RINGING, State.ANSWERED, State.ESTABLISHED, State.ENDED]
    assert await asyncio.gather(*readers) == [course] * 3
    assert await collect(harness.call) == course


async def collect(call: Call) -> list[State]:
    return [state async for state in call.states()]


async def test_details_tell_how_the_call_went() -> None:
    harness = Harness()
    await harness.talk()
    assert (await harness.call.stats()).packets_sent == 7
    await harness.call.hang_up()
    await harness.end()
    details = harness.call.details
    times = [details.started_at, details.progressing_at, details.ringing_at, details.answered_at, details.established_at, details.ended_at]
    assert all(time is not None for time in times)
    assert sorted(times) == times  # type: ignore[type-var]
    assert (details.codec, details.pair, details.ended_by) == ("opus", "host", "us")
    assert details.establishing_ms is not None and details.duration_ms >= 0


async def events(call: Call) -> list[CallEvent]:
    return [event async for event in call.events()]


async def test_digits_go_to_the_device_that_answered_and_are_told() -> None:
    harness = Harness(devices=2)
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    harness.ack(BOB2)
    await harness.until("port.1 accept")
    harness.hear(Method.JOIN, BOB2)
    await harness.reach(State.ANSWERED)
    with pytest.raises(LocalProtocolError, match="established"):
        await harness.call.dtmf("1")
    harness.port_one.made[0].queue.put_nowait(Connected(pair="host", codec="opus"))
    await harness.reach(State.ESTABLISHED)
    await harness.call.dtmf("1 w-2#")
    assert "port.1 dials 1w2#" in harness.log
    await harness.call.hang_up()
    await harness.end()
    assert await events(harness.call) == [DigitsSent(digits="1w2#")]


async def test_digits_of_the_peer_are_told_and_those_of_another_device_are_not() -> None:
    harness = Harness(devices=2)
    await harness.reach(State.PROGRESSING)
    harness.ack(BOB)
    harness.ack(BOB2)
    await harness.until("port.1 accept")
    harness.hear(Method.JOIN, BOB2)
    await harness.reach(State.ANSWERED)
    winner, loser = harness.port_one.made[0], harness.port_one
    reading = start_task(events(harness.call), name="events")
    loser.queue.put_nowait(media.PortDigitHeard(digit="9", duration_ms=100))
    winner.queue.put_nowait(media.PortDigitHeard(digit="5", duration_ms=120))
    winner.queue.put_nowait(Connected(pair="host", codec="opus"))
    await harness.reach(State.ESTABLISHED)
    await harness.call.hang_up()
    await harness.end()
    assert await reading == [DigitHeard(digit="5", duration_ms=120)]


async def test_digits_that_cant_be_sent_are_an_error_and_no_event() -> None:
    harness = Harness()
    await harness.talk()
    harness.port_one.broken = True
    with pytest.raises(MediaError, match="takes no digits"):
        await harness.call.dtmf("1")
    for odd in ("", "1x", "1" * 257, "١"):
        with pytest.raises(LocalProtocolError):
            await harness.call.dtmf(odd)
    assert harness.call.state is State.ESTABLISHED
    await harness.call.hang_up()
    await harness.end()
    assert await events(harness.call) == []


async def test_attack_a_peer_that_dials_without_end_doesnt_fill_the_memory() -> None:
    harness = Harness()
    await harness.talk()
    for number in range(2 * MAX_UNREAD_EVENTS):
        harness.port_one.queue.put_nowait(media.PortDigitHeard(digit="1", duration_ms=number))
    async with asyncio.timeout(PATIENCE_S):
        while not harness.port_one.queue.empty():
            await asyncio.sleep(0.001)
    await harness.call.hang_up()
    await harness.end()
    told = await events(harness.call)
    assert len(told) == MAX_UNREAD_EVENTS
    assert told[-1] == DigitHeard(digit="1", duration_ms=2 * MAX_UNREAD_EVENTS - 1)


async def test_who_hangs_up_can_say_why() -> None:
    harness = Harness()
    await harness.talk()
    await harness.call.hang_up(CallFailure(None, "the shop is closed"))
    await harness.end()
    assert harness.call.details.failure == CallFailure(None, "the shop is closed")
    assert harness.channel.sent[-1] == (Method.LEAVE, ("sig-bob",))


async def test_an_attended_call_rings_once_its_answer_is_told() -> None:
    harness = Harness(INVITE)
    harness.port_one.may_answer.clear()
    ringing = start_task(harness.call.ring(), name="ring")
    await asyncio.sleep(0.01)
    assert not ringing.done()
    assert harness.channel.sent == []
    harness.port_one.may_answer.set()
    await asyncio.wait_for(ringing, PATIENCE_S)
    await harness.call.answer()
    await harness.until("sound connect")
    await harness.call.hang_up()
    await harness.end()
    assert [method for method, _ in harness.channel.sent] == [Method.ACK, Method.JOIN, Method.LEAVE]


@pytest.mark.parametrize(
    ("failure", "method"),
    [
        (None, Method.DENY),
        (CallFailure(486, "Busy here", "session"), Method.DENY),
        (CallFailure(480, "nobody can be reached there", "sip"), Method.ERROR),
    ],
)
async def test_what_somebody_decided_is_a_denial_and_all_else_an_error(failure: CallFailure | None, method: Method) -> None:
    harness = Harness(INVITE)
    await harness.reach(State.RINGING)
    await harness.call.refuse(failure)
    await harness.end()
    assert harness.channel.sent[-1] == (method, ("sig-bob",))


async def test_an_attendant_hears_the_callers_digits_once_sound_flows() -> None:
    harness = Harness(INVITE)
    await harness.reach(State.RINGING)
    await harness.call.answer()
    harness.hear(Method.JOINED, BOB, BodyType.CLIENT, encode_client(ME))
    harness.port_one.queue.put_nowait(Connected(pair="host", codec="opus"))
    assert await asyncio.wait_for(harness.call.established(), PATIENCE_S)
    harness.port_one.queue.put_nowait(media.PortDigitHeard(digit="5", duration_ms=100))
    assert await asyncio.wait_for(anext(aiter(harness.call.digits())), PATIENCE_S) == "5"
    await harness.call.hang_up()
    await harness.end()


async def test_what_only_attendants_do_is_not_on_the_call_that_programs_get() -> None:
    assert not {"ring", "preview", "fail", "refuse"} & set(dir(Call))


async def test_an_attended_call_that_cannot_be_served_is_an_error_with_the_reason() -> None:
    harness = Harness(INVITE)
    harness.port_one.may_answer.clear()
    await harness.call.fail(CallFailure(503, "Service Unavailable", "sip"))
    await harness.end()
    assert harness.channel.sent[-1] == (Method.ERROR, ("sig-bob",))
    assert harness.call.details.failure == CallFailure(503, "Service Unavailable", "sip")


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
async def test_a_clock_that_is_set_in_mid_call_changes_no_duration(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    harness = Harness()
    await harness.reach(State.PROGRESSING)
    harness.ack()
    harness.hear(Method.JOIN)
    harness.port_one.queue.put_nowait(Connected(pair="host", codec="opus"))
    await harness.reach(State.ESTABLISHED)
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + jump_s)
    talked = harness.call.talked_seconds
    assert talked is not None and 0 <= talked < PATIENCE_S
    await harness.call.hang_up()
    await harness.end()
    assert 0 <= harness.call.details.duration_ms < 1000 * PATIENCE_S
    assert harness.call.talked_seconds == pytest.approx(harness.call.details.duration_ms / 1000, abs=0.01)
