"""Which rooms there are and who is in them. A room opens with its first participant and closes with its last."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.audio.levels.talkers import TALKERS
from sinchphone.audio.tones.music import music
from sinchphone.audio.tones.signals import Loop
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.exchange.conference.owners import RoomOwners
from sinchphone.exchange.conference.room import Room, Seat
from sinchphone.exchange.refusals import RefusedError, invalid, not_found, too_many
from sinchphone.media.outbox import Outbox
from sinchphone.media.port import MediaPorts
from sinchphone.media.sound import AudioLeg, Levels, Signal, SoundEvent
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.call.room_events import RoomMember, RoomRoster
from sinchphone.protocol.mxp.message import CallFailure
from sinchphone.protocol.names import MAX_ROOM_CHARACTERS, is_room_length
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.wire import ErrorCode
from sinchphone.tasks import start_task

SEATS_PER_ROOM: Final = 100  # what one core decodes, mixes and sends within 20 ms, where a few speak
ROOMS: Final = 100
MIXER_SEATS: Final = 1_000  # where somebody else mixes
SPEAKS_SECONDS: Final = 1.5  # after the last frame: people breathe
REMOVED: Final = CallFailure(None, "removed from the conference")  # what a participant is told who is hung up on

Kick = Callable[[], Awaitable[None]]
TakeDigit = Callable[[str], Awaitable[None]]


@quick_dataclass(frozen=True, slots=True)
class Participant:
    """Who is in a room: ``id`` is the call's, ``cli`` what the REST API shows of who it is (a number, or a user id)."""

    id: str
    name: str
    cli: str


@quick_dataclass(frozen=True, slots=True)
class ParticipantStatus:
    """How it stands with a participant."""

    participant: Participant
    seconds: float  # since they came
    muted: bool  # by themselves or by others
    on_hold: bool
    speaks: bool = False


class RoomSeat:
    """A participant's place in a room, until ``leave``. Give ``sound`` to the call that the participant came by; where there are ``ports``
    its media come from those."""

    ports: MediaPorts | None = None

    def __init__(
        self,
        participant: Participant,
        room: Room,
        media: MediaThread,
        kick: Kick,
        empty: Callable[[], None],
        takes_digit: TakeDigit | None = None,
    ) -> None:
        """``takes_digit`` tells the participant what another one pressed."""
        self.participant = participant
        self.kick = kick
        self.takes_digit = takes_digit
        self._since = time.monotonic()
        self._muted_self = False
        self._seat = Seat(participant.id)
        self._held: Loop | None = None
        self._announced: Loop | None = None
        self._empty = empty
        self.sound: SeatSound = SeatSound(self._seat, room, media)

    async def leave(self) -> None:
        """Make room for somebody else. May be called twice."""
        self._empty()
        await self.sound.close()

    def mute(self, muted: bool) -> None:
        """While muted nobody hears them."""
        self._seat.muted = muted

    async def settled(self) -> None:
        """Return when what was ordered is so. Raises RefusedError where it isn't."""

    def mute_self(self, muted: bool) -> None:
        """They say that they are muted, or not any more."""
        self._muted_self = muted

    def hold(self, music: Loop | None) -> None:
        """Hear ``music`` and be heard by nobody, until ``None``."""
        self._held = music
        self._tune()

    def play_alone(self, name: str | None) -> None:
        """What they hear as long as nobody else is there: ``ring``, or a piece of music by its name; ``None``: nothing."""
        self._seat.alone = music(name) if name is not None else None

    async def announce(self, samples: Samples) -> None:
        """Let them hear that in place of the room, once, and wait until it's over; nobody hears them meanwhile. A later one takes its
        place."""
        if not len(samples):
            return
        announced = self._announced = Loop(samples)
        self._tune()
        try:
            await asyncio.sleep(len(samples) / RATE)
        finally:
            if self._announced is announced:
                self._announced = None
                self._tune()

    def _tune(self) -> None:
        self._seat.hold = self._announced if self._announced is not None else self._held

    @property
    def participant_status(self) -> ParticipantStatus:
        """How it stands with them now."""
        now, muted, held = time.monotonic(), self._seat.muted or self._muted_self, self._seat.hold is not None
        speaks = not muted and not held and now - self._seat.spoke_at < SPEAKS_SECONDS
        return ParticipantStatus(self.participant, now - self._since, muted, held, speaks)


class SeatSound:
    """Implements media.sound.Sound: joins a leg to a room."""

    def __init__(self, seat: Seat, room: Room, media: MediaThread) -> None:
        self._seat = seat
        self._room = room
        self._media = media
        self._joined = False
        self._events: Outbox[SoundEvent] = Outbox()

    async def open(self) -> None:
        """Nothing to take."""

    async def connect(self, leg: AudioLeg, *, early: bool = False) -> None:
        """Take the seat; before the answer nobody hears anybody."""
        if not early:
            self._joined = True
            await self._media.run(self._room.join(self._seat, leg))

    async def signal(self, signal: Signal | None) -> bool:
        """Nobody listens at this end."""
        return False

    def mute(self, muted: bool) -> None:
        """While muted this end of the call is silent: the participant hears nothing of the room."""
        self._seat.deaf = muted

    def levels(self) -> Levels:
        """How loud both directions are now; the near sound is what the participant hears."""
        return self._seat.levels()

    def events(self) -> Outbox[SoundEvent]:
        """Nothing happens; ends when the seat is left."""
        return self._events

    async def close(self) -> None:
        """Leave the seat. May be called twice."""
        try:
            if self._joined:
                self._joined = False
                with suppress(LocalProtocolError, MediaError):  # the media thread was stopped, and the room with it
                    await self._media.run(self._room.leave(self._seat))
        finally:
            self._events.end()


class RoomMixer(Protocol):
    """Mixes rooms elsewhere."""

    def seat(
        self, key: tuple[str, str], participant: Participant, kick: Kick, empty: Callable[[], None], takes_digit: TakeDigit | None
    ) -> RoomSeat:
        """A seat in the room of that application and id."""

    async def trouble(self) -> str | None:
        """Why it can't mix now."""

    async def close(self) -> None:
        """Let go of it. May be called twice."""


class Rooms:
    """All rooms of an exchange, each of one application. Used on the exchange's loop. Methods raise RefusedError."""

    def __init__(
        self,
        media: MediaThread,
        *,
        seats_per_room: int = SEATS_PER_ROOM,
        rooms: int = ROOMS,
        talkers: int = TALKERS,
        owners: RoomOwners | None = None,
        mixer: RoomMixer | None = None,
    ) -> None:
        """``media`` carries the sound; it is started with the first participant. ``talkers``: how many are heard at once in a room.
        ``owners``: whose the rooms are, where this exchange has several processes; ``mixer``: who mixes in place of this process."""
        self.owners = owners or RoomOwners()
        self._leaving: set[asyncio.Task[None]] = set()
        self._media = media
        self._mixer = mixer
        self._talkers = talkers
        self._seats_per_room = seats_per_room if mixer is None else MIXER_SEATS
        self._most_rooms = rooms
        self._rooms: dict[tuple[str, str], tuple[Room, dict[str, RoomSeat]]] = {}  # by application key and room id

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def seats_taken(self) -> int:
        """How many participants all rooms have."""
        return sum(len(seats) for _, seats in self._rooms.values())

    def check(self, application: str, room_id: str) -> None:
        """Whether one more could enter. Raises RefusedError that says why not."""
        check_room_id(room_id)
        found = self._rooms.get((application, room_id))
        if found is None and len(self._rooms) >= self._most_rooms:
            raise too_many(f"there are {len(self._rooms)} conference rooms already, and no more can be opened; try again later")
        if found is not None and len(found[1]) >= self._seats_per_room:
            raise too_many(f"the conference room is full: {len(found[1])} people are in it")

    def enter(self, application: str, room_id: str, participant: Participant, kick: Kick, takes_digit: TakeDigit | None = None) -> RoomSeat:
        """A seat in the room, which is opened if need be. ``kick`` ends the participant's call; whoever made that call then leaves.
        ``takes_digit`` tells the participant what another one pressed, where they can be told."""
        self.check(application, room_id)
        key = application, room_id
        room, seats = self._rooms.get(key) or (Room(self._talkers, self._media.lateness), {})
        if participant.id in seats:
            raise RefusedError(409, ErrorCode.INVALID_REQUEST, "this call is in the room already")

        def empty() -> None:
            if seats.get(participant.id) is seat:
                del seats[participant.id]
            if not seats and self._rooms.get(key, (None,))[0] is room:
                del self._rooms[key]
                self.owners.emptied(*key)

        if self._mixer is not None:
            seat = self._mixer.seat(key, participant, kick, empty, takes_digit)
        else:
            seat = RoomSeat(participant, room, self._media.start(), kick, empty, takes_digit)
        self._rooms[key] = room, seats
        self.owners.opened(*key)
        seats[participant.id] = seat
        return seat

    async def settled(self, application: str, room_id: str, participant_id: str) -> None:
        """Return when what was ordered of a participant is so."""
        await self._seat(application, room_id, participant_id).settled()

    async def troubles(self) -> Mapping[str, str]:
        """Whether who mixes is there."""
        trouble = await self._mixer.trouble() if self._mixer is not None else None
        return {} if trouble is None else {"mixer": trouble}

    async def close(self) -> None:
        """Let go of who mixes; all calls are over by then. May be called twice."""
        if self._mixer is not None:
            await self._mixer.close()

    def participants(self, application: str, room_id: str) -> list[ParticipantStatus]:
        """Who is there, in the order in which they came."""
        return [seat.participant_status for seat in self._seats(application, room_id).values()]

    def roster(self, application: str, room_id: str, reader: RoomSeat) -> RoomRoster:
        """Who is there, for one of them; nobody once the room is closed."""
        seats = self._rooms[application, room_id][1].values() if (application, room_id) in self._rooms else ()
        return RoomRoster(tuple(_member(seat.participant_status, is_us=seat is reader) for seat in seats), len(seats))

    def open_rooms(self, application: str) -> dict[str, list[ParticipantStatus]]:
        """The application's rooms that somebody is in, by their ids, with who is there."""
        return {room: self.participants(application, room) for owner, room in self._rooms if owner == application}

    def mute(self, application: str, room_id: str, participant_id: str, muted: bool) -> None:
        """Whether the others hear a participant."""
        self._seat(application, room_id, participant_id).mute(muted)

    def hold(self, application: str, room_id: str, participant_id: str, held: bool, *, music_name: str | None = None) -> None:
        """On hold a participant is neither heard nor hears the room, but silence, a ringing tone (``ring``) or a piece of music."""
        heard = (music(music_name) if music_name is not None else Loop(silence())) if held else None
        self._seat(application, room_id, participant_id).hold(heard)

    async def pass_digit(self, application: str, room_id: str, participant_id: str, digit: str) -> None:
        """Tell all others what a participant pressed, as far as they take digits; returns when they were told."""
        found = self._rooms.get((application, room_id))
        others = [seat for one, seat in (found[1] if found is not None else {}).items() if one != participant_id]
        await asyncio.gather(*(seat.takes_digit(digit) for seat in others if seat.takes_digit is not None), return_exceptions=True)

    async def kick(self, application: str, room_id: str, participant_id: str) -> None:
        """End a participant's call."""
        await self._seat(application, room_id, participant_id).kick()

    async def kick_all(self, application: str, room_id: str) -> None:
        """End the calls of all who are in a room."""
        await asyncio.gather(*(seat.kick() for seat in self._seats(application, room_id).values()))

    async def empty(self, application: str) -> None:
        """End the calls of all who are in a room of the application."""
        for owner, room_id in list(self._rooms):
            if owner == application:
                await self.kick_all(owner, room_id)

    def lose(self, application: str, room_id: str) -> None:
        """The room is another process's: ours was taken for dead."""
        if (application, room_id) in self._rooms:
            start_task(self.kick_all(application, room_id), name="leave a room", among=self._leaving)

    def _seats(self, application: str, room_id: str) -> dict[str, RoomSeat]:
        found = self._rooms.get((application, room_id))
        if found is None:
            raise not_found("there is no such conference")
        return found[1]

    def _seat(self, application: str, room_id: str, participant_id: str) -> RoomSeat:
        seat = self._seats(application, room_id).get(participant_id)
        if seat is None:
            raise not_found("nobody of that call id is in the conference")
        return seat


def check_room_id(room_id: str) -> None:
    """Raises RefusedError for what is none."""
    if not is_room_length(room_id) or not room_id.isprintable():
        raise invalid(f"a conference room's id has 1 to {MAX_ROOM_CHARACTERS} printable characters")


def _member(status: ParticipantStatus, *, is_us: bool) -> RoomMember:
    named = status.participant.name or status.participant.cli
    return RoomMember(name=named, speaks=status.speaks, muted=status.muted, on_hold=status.on_hold, is_us=is_us)
