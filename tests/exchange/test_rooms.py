"""Rooms without a network: legs made of arrays."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.audio.tones.signals import Loop, Sine
from sinchphone.errors import MediaError
from sinchphone.exchange.conference.room import Room, Seat
from sinchphone.exchange.conference.rooms import Participant, Rooms, RoomSeat, TakeDigit
from sinchphone.exchange.refusals import RefusedError
from sinchphone.media.thread import MediaThread
from sinchphone.tasks import cancel_all, start_task
from tests.instruments import tone_dbfs

LEVEL = -20.0
AUDIBLE = -30.0  # anything above it was said by somebody


class Voice:
    """A leg whose far end says one tone and keeps what it hears."""

    def __init__(self, hz: float) -> None:
        self.hz = hz
        self.heard: list[Frame] = []
        self._sine = Sine(hz, LEVEL)

    def is_missing(self) -> bool:
        return False

    def pull(self, samples: int) -> Samples:
        return self._sine.pull(samples)

    def send(self, frame: Frame) -> None:
        assert len(frame) == FRAME_SAMPLES
        self.heard.append(frame)

    def hears(self, hz: float, frames: int = 25) -> bool:
        return len(self.heard) >= frames and tone_dbfs(np.concatenate(self.heard[-frames:]), hz) > AUDIBLE

    def is_silent(self, frames: int = 25) -> bool:
        return len(self.heard) >= frames and not np.concatenate(self.heard[-frames:]).any()


class Company:
    """A room that is ticked by hand."""

    def __init__(self) -> None:
        self.room = Room()
        self.seats: dict[float, Seat] = {}
        self.voices: dict[float, Voice] = {}

    async def come(self, hz: float) -> Voice:
        self.seats[hz], self.voices[hz] = Seat(f"call-{hz}"), Voice(hz)
        await self.room.join(self.seats[hz], self.voices[hz])
        return self.voices[hz]

    def pass_time(self, seconds: float = 0.6) -> None:
        for _ in range(round(seconds * 50)):
            self.room._tick()


@pytest.fixture
async def company() -> Any:
    made = Company()
    made.room._clock.start = lambda: None  # type: ignore[method-assign]
    return made


async def test_everybody_hears_every_tone_but_their_own(company: Company) -> None:
    tones = [300.0 + 200 * number for number in range(7)]
    voices = [await company.come(hz) for hz in tones]
    company.pass_time(1.2)
    for voice in voices:
        heard = np.concatenate(voice.heard[-25:])
        assert all(tone_dbfs(heard, hz) == pytest.approx(LEVEL, abs=0.5) for hz in tones if hz != voice.hz)
        assert tone_dbfs(heard, voice.hz) < -60


async def test_who_makes_noise_only_is_not_mixed_and_all_who_listen_send_the_same_frame(company: Company) -> None:
    alice, bob = await company.come(400.0), await company.come(700.0)
    quiet = [await company.come(900.0 + 100 * number) for number in range(3)]
    for voice in quiet:
        voice._sine = Sine(voice.hz, -60.0)
    company.pass_time(1.5)
    for voice in (alice, bob, *quiet):
        heard = np.concatenate(voice.heard[-25:])
        assert all(tone_dbfs(heard, one.hz) < -75 for one in quiet)
    assert all(voice.hears(400.0) and voice.hears(700.0) for voice in quiet)
    assert alice.hears(700.0) and not alice.hears(400.0)
    assert len({id(voice.heard[-1]) for voice in quiet}) == 1


async def test_eight_who_speak_at_once_are_all_heard_and_of_more_the_loudest(company: Company) -> None:
    voices = [await company.come(300.0 + 200 * number) for number in range(10)]
    for voice in voices[:2]:
        voice._sine = Sine(voice.hz, LEVEL - 20)
    listener = await company.come(2_500.0)
    listener._sine = Sine(2_500.0, -70.0)
    company.pass_time(1.5)
    heard = np.concatenate(listener.heard[-25:])
    assert [voice.hz for voice in voices if tone_dbfs(heard, voice.hz) > LEVEL - 8] == [voice.hz for voice in voices[2:]]


async def test_who_begins_or_ends_to_speak_makes_no_click(company: Company) -> None:
    alice, bob = await company.come(400.0), await company.come(700.0)
    alice._sine = Sine(400.0, -70.0)
    bob._sine = Sine(700.0, -70.0)
    company.pass_time(1.0)
    alice._sine = Sine(400.0, LEVEL)
    company.pass_time(0.1)
    alice._sine = Sine(400.0, -52.0)  # a voice that goes away
    company.pass_time(1.0)
    heard = np.concatenate(bob.heard[-60:]).astype(np.int32)
    steepest = 32_768 * 10 ** (LEVEL / 20) * 2**0.5 * 2 * np.pi * 400 / RATE
    assert np.abs(np.diff(heard)).max() < 1.5 * steepest


async def test_who_is_muted_hears_and_is_not_heard(company: Company) -> None:
    alice, bob = await company.come(400.0), await company.come(700.0)
    company.seats[400.0].muted = True
    company.pass_time()
    assert not bob.hears(400.0) and alice.hears(700.0)
    company.seats[400.0].muted = False
    company.pass_time()
    assert bob.hears(400.0)


async def test_who_is_deaf_is_heard_and_hears_nothing(company: Company) -> None:
    alice, bob = await company.come(400.0), await company.come(700.0)
    company.seats[400.0].deaf = True
    company.pass_time()
    assert bob.hears(400.0) and alice.is_silent()


async def test_a_tone_ends_and_what_comes_after_it_is_the_talk_alone(company: Company) -> None:
    alice = await company.come(400.0)
    company.pass_time()
    assert alice.is_silent(), "nobody was there for whom to announce the first"
    await company.come(700.0)
    company.pass_time(0.2)
    assert tone_dbfs(np.concatenate(alice.heard[-10:]), 659.26) > -45
    company.pass_time(0.6)
    assert tone_dbfs(np.concatenate(alice.heard[-25:]), 659.26) < -50


async def test_who_leaves_is_gone_with_the_next_tick(company: Company) -> None:
    alice, bob = await company.come(400.0), await company.come(700.0)
    company.pass_time()
    await company.room.leave(company.seats[700.0])
    await company.room.leave(company.seats[700.0])
    heard = len(bob.heard)
    company.pass_time(0.8)
    assert len(bob.heard) == heard
    assert alice.is_silent()


async def test_a_seat_that_changes_its_leg_is_not_announced_again(company: Company) -> None:
    alice = await company.come(400.0)
    await company.come(700.0)
    company.pass_time()
    await company.room.join(company.seats[700.0], Voice(1000.0))
    company.pass_time(0.2)
    assert tone_dbfs(np.concatenate(alice.heard[-10:]), 659.26) < -60
    company.pass_time()
    assert alice.hears(1000.0) and not alice.hears(700.0)


ACTS = st.lists(st.tuples(st.sampled_from(["come", "go", "mute", "hold"]), st.integers(0, 4)), max_size=12)
PEOPLE = (300.0, 500.0, 1050.0, 1300.0, 1600.0)


@given(ACTS)
@settings(deadline=None, max_examples=25)
def test_whoever_comes_goes_is_muted_or_held_everybody_hears_exactly_those_who_may_be_heard(acts: list[tuple[str, int]]) -> None:
    asyncio.run(check_course(acts))


async def check_course(acts: list[tuple[str, int]]) -> None:
    made = Company()
    made.room._clock.start = lambda: None  # type: ignore[method-assign]
    for act, number in acts:
        hz = PEOPLE[number]
        seat = made.seats.get(hz)
        if act == "come" and seat is None:
            await made.come(hz)
        elif act == "go" and seat is not None:
            await made.room.leave(made.seats.pop(hz))
            del made.voices[hz]
        elif act == "mute" and seat is not None:
            seat.muted = not seat.muted
        elif act == "hold" and seat is not None:
            seat.hold = None if seat.hold else Loop(silence())
    made.pass_time(0.6)
    speaking = {hz for hz, seat in made.seats.items() if not seat.muted and seat.hold is None}
    for hz, voice in made.voices.items():
        heard = {other for other in PEOPLE if voice.hears(other, 10)}
        assert heard == (set() if made.seats[hz].hold else speaking - {hz})


async def nothing() -> None:
    pass


@pytest.fixture
def media() -> Iterator[MediaThread]:
    with MediaThread() as thread:
        yield thread


@pytest.fixture
def rooms(media: MediaThread) -> Rooms:
    return Rooms(media, seats_per_room=3, rooms=2)


def enter(rooms: Rooms, name: str, room: str = "tea", application: str = "acme", takes_digit: TakeDigit | None = None) -> RoomSeat:
    return rooms.enter(application, room, Participant(f"call-{name}", name, name), nothing, takes_digit)


async def test_a_room_opens_with_the_first_and_closes_with_the_last(rooms: Rooms) -> None:
    seats = [enter(rooms, name) for name in ("a", "b")]
    assert [presence.participant.name for presence in rooms.participants("acme", "tea")] == ["a", "b"]
    for seat in seats:
        await seat.leave()
        await seat.leave()
    assert len(rooms) == 0
    with pytest.raises(RefusedError) as refused:
        rooms.participants("acme", "tea")
    assert refused.value.status == 404


async def test_the_limits_refuse_with_a_sentence_and_end_with_those_who_leave(rooms: Rooms) -> None:
    seats = [enter(rooms, name) for name in ("a", "b", "c")]
    with pytest.raises(RefusedError, match="full: 3 people") as refused:
        enter(rooms, "d")
    assert refused.value.status == 429
    enter(rooms, "d", "coffee")
    with pytest.raises(RefusedError, match="no more can be opened"):
        enter(rooms, "e", "water")
    await seats[0].leave()
    enter(rooms, "e")


async def test_a_hundred_may_be_in_a_room_and_no_more(media: MediaThread) -> None:
    rooms = Rooms(media)
    for number in range(100):
        enter(rooms, str(number))
    with pytest.raises(RefusedError, match="full: 100 people"):
        enter(rooms, "one more")


async def test_rooms_of_two_applications_are_not_the_same(rooms: Rooms) -> None:
    enter(rooms, "a")
    enter(rooms, "a", application="globex")
    assert len(rooms.participants("acme", "tea")) == len(rooms.participants("globex", "tea")) == 1


@pytest.mark.parametrize("room", ["", "x" * 65, "a\nb", "a\x00"])
async def test_a_room_id_has_1_to_64_printable_characters(rooms: Rooms, room: str) -> None:
    with pytest.raises(RefusedError) as refused:
        enter(rooms, "a", room)
    assert refused.value.status == 400
    enter(rooms, "a", "ü" * 64)


async def test_attack_a_second_call_cannot_take_the_seat_of_another_by_its_id(rooms: Rooms) -> None:
    first = enter(rooms, "a")
    with pytest.raises(RefusedError) as refused:
        enter(rooms, "a")
    assert refused.value.status == 409
    assert len(rooms.participants("acme", "tea")) == 1
    await first.leave()


async def test_a_kick_ends_the_calls_of_those_who_are_meant(rooms: Rooms) -> None:
    kicked: list[str] = []

    def guest(name: str) -> None:
        async def kick() -> None:
            kicked.append(name)

        rooms.enter("acme", "tea", Participant(name, name, name), kick)

    for name in ("a", "b", "c"):
        guest(name)
    await rooms.kick("acme", "tea", "b")
    assert kicked == ["b"]
    with pytest.raises(RefusedError, match="nobody of that call id"):
        await rooms.kick("acme", "tea", "z")
    await rooms.kick_all("acme", "tea")
    assert kicked == ["b", "a", "b", "c"]


async def test_the_sound_runs_by_the_clock_of_the_media_thread(rooms: Rooms) -> None:
    alice, bob = Voice(400.0), Voice(700.0)
    seats = [enter(rooms, "a"), enter(rooms, "b")]
    await seats[0].sound.connect(alice, early=True)
    await asyncio.sleep(0.1)
    assert alice.heard == [], "before the answer nobody hears anybody"
    await seats[0].sound.connect(alice)
    await seats[1].sound.connect(bob)
    async with asyncio.timeout(20):
        while not (alice.hears(700.0) and bob.hears(400.0)):
            await asyncio.sleep(0.05)
    seats[0].mute(True)
    assert rooms.participants("acme", "tea")[0].muted
    rooms.hold("acme", "tea", "call-b", True, music_name="ring")
    async with asyncio.timeout(20):
        while not bob.hears(425.0):
            await asyncio.sleep(0.05)
    assert seats[1].participant_status.on_hold
    for seat in seats:
        await seat.leave()
    heard = len(alice.heard), len(bob.heard)
    await asyncio.sleep(0.1)
    assert (len(alice.heard), len(bob.heard)) == heard
    assert sum(len(frame) for frame in alice.heard) > RATE / 4


async def test_what_is_announced_is_heard_once_and_what_was_ordered_meanwhile_counts_then(rooms: Rooms) -> None:
    seat, moment, held = enter(rooms, "a"), silence(RATE // 20), Loop(silence())
    first = start_task(seat.announce(moment), name="first")
    await asyncio.sleep(0)
    second = start_task(seat.announce(moment), name="second")
    await asyncio.sleep(0)
    seat.hold(held)
    await asyncio.gather(first, second)
    assert seat._seat.hold is held
    seat.hold(None)
    cut_short = start_task(seat.announce(moment), name="third")
    await asyncio.sleep(0)
    assert seat.participant_status.on_hold
    await cancel_all([cut_short])
    assert not seat.participant_status.on_hold


async def test_digits_reach_all_others_who_take_them(rooms: Rooms) -> None:
    told: list[str] = []

    async def take(digit: str) -> None:
        told.append(digit)

    async def refuse(digit: str) -> None:
        raise MediaError("no digits")

    alice = enter(rooms, "a", takes_digit=take)
    enter(rooms, "b", takes_digit=take)
    enter(rooms, "c", takes_digit=refuse)
    await rooms.pass_digit("acme", "tea", alice.participant.id, "5")
    assert told == ["5"]
    await rooms.pass_digit("acme", "elsewhere", alice.participant.id, "5")
    assert told == ["5"]


async def test_a_stopped_media_thread_doesnt_keep_anybody_from_leaving(rooms: Rooms, media: MediaThread) -> None:
    seat = enter(rooms, "a")
    await seat.sound.connect(Voice(400.0))
    await asyncio.to_thread(media.stop)
    await seat.leave()
    assert len(rooms) == 0


class NoThread:
    """A media thread that can't be started at present."""

    lateness = None

    def start(self) -> MediaThread:
        raise MediaError("the media thread was stopped")


async def nobody_is_kicked() -> None:
    raise AssertionError


async def test_a_room_that_nobody_could_enter_is_none() -> None:
    rooms = Rooms(NoThread())  # type: ignore[arg-type]
    with pytest.raises(MediaError):
        rooms.enter("acme", "tea", Participant("call-1", "ada", "ada"), nobody_is_kicked)
    assert len(rooms) == 0
    assert rooms.open_rooms("acme") == {}


async def test_all_are_hung_up_on_though_one_can_not_be(rooms: Rooms) -> None:
    kicked = []

    async def fails() -> None:
        raise MediaError("gone already")

    async def kick() -> None:
        kicked.append("bob")

    rooms.enter("acme", "tea", Participant("call-1", "ada", "ada"), fails)
    rooms.enter("acme", "tea", Participant("call-2", "bob", "bob"), kick)
    with pytest.raises(MediaError):
        await rooms.kick_all("acme", "tea")
    assert kicked == ["bob"]
