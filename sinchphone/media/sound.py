"""What a call's sound is joined to: between a leg and a person, a file or a program.

::

    near sound -> AudioLeg.send (20 ms frames, media thread)     -> the peer
    far sound  <- AudioLeg.pull (any number of samples, any thread) <- the peer
"""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from enum import Enum
from typing import Final, Protocol, TypeAlias, runtime_checkable

from sinchphone.audio.frame import Frame, Samples
from sinchphone.audio.levels.activity import Activity
from sinchphone.media.options import AudioOptions, RecordLayout
from sinchphone.quick_dataclass import quick_dataclass


class AudioLeg(Protocol):
    """The sound face of one leg. Neither method blocks, raises or waits."""

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms of near sound. Call it in the media thread only, once every 20 ms."""

    def pull(self, samples: int) -> Samples:
        """The next ``samples`` of far sound, decoded at this moment; silence before the first packet. Any one thread at a time."""

    def is_missing(self) -> bool:
        """Whether the peer ought to send, and nothing comes, or nothing ever came. Any thread."""


@runtime_checkable
class Skimmable(Protocol):
    """A leg that need not be decoded all the time."""

    def skim(self, samples: int) -> Samples | None:
        """As ``pull``, for somebody who wants to know whether the peer speaks: ``None`` where the peer's encoder says that it doesn't."""


class Tap(Protocol):
    """Hears both sides of a call. Media thread; none of these blocks. ``now`` is the time at which the last sample was heard."""

    def near(self, samples: Samples, now: float) -> None:
        """What was sent to the peer."""

    def far(self, samples: Samples, now: float) -> None:
        """What was heard from the peer."""

    def flush(self, now: float) -> None:
        """All until ``now`` was given."""


class Signal(Enum):
    """The sounds that tell a person how a call is going."""

    RINGBACK = "ringback"
    RINGTONE = "ringtone"
    BUSY = "busy"
    CONGESTION = "congestion"
    WAITING = "waiting"  # somebody else calls: heard over the call, not in its place


class Party(Protocol):
    """Somebody made of code at this end of a leg: hears 20 ms, says 20 ms. Runs in the media thread and must not block."""

    def tick(self, far: Frame) -> Frame:
        """Takes the far sound of the last 20 ms, returns the near sound of the next 20 ms."""


CALL: Final = "{call}"  # in the paths of SoundOptions
MAX_NAME_CHARACTERS: Final = 64


@quick_dataclass(frozen=True, slots=True)
class Descriptor:
    """An open file descriptor of this process, and how the person named it (``fd:N``)."""

    name: str
    number: int

    def __str__(self) -> str:
        return self.name


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SoundOptions(AudioOptions):
    """What a call's sound is made of: devices and what is done to the microphone's sound, files, pipes, a tone."""

    play: tuple[str, ...] = ()  # files, one after the other from the answer on; "-" reads standard input
    tone_hz: float | None = None
    record: str | None = None  # .wav, .ogg or .flac
    record_layout: RecordLayout = RecordLayout.STEREO
    force: bool = False  # overwrite an existing recording or file
    devices: bool = True  # False: no sound card is touched
    microphone: bool = True
    pipe_in: str | Descriptor | None = None  # raw sound that is said, from a file, a FIFO or "fd:N", as it arrives
    pipe_out: str | Descriptor | None = None  # raw sound that is heard, to one

    def of_call(self, call_id: str) -> "SoundOptions":
        """Those of one call: in the paths of recording and pipes ``{call}`` stands for its id, as far as a file's name can have it."""
        name = file_name_of(call_id)
        said, heard = self.pipe_in, self.pipe_out
        return replace(
            self,
            record=self.record and self.record.replace(CALL, name),
            pipe_in=said.replace(CALL, name) if isinstance(said, str) else said,
            pipe_out=heard.replace(CALL, name) if isinstance(heard, str) else heard,
        )


def file_name_of(call_id: str) -> str:
    """A call's id as a part of a file's name. One that the other side chose may have anything in it: what isn't a letter, a digit, - or _
    becomes _, and a digest keeps it apart from others."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", call_id)[:MAX_NAME_CHARACTERS]
    return plain if plain and plain == call_id else f"{plain}-{hashlib.sha256(call_id.encode(errors='surrogatepass')).hexdigest()[:12]}"


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PlayStarted:
    """A file begins to play to the peer."""

    path: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PlayFinished:
    """A file was played to its end; ``last`` when no other follows. ``failure``: why there was nothing to be heard of it."""

    path: str
    last: bool
    failure: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RecordStarted:
    """The recording runs."""

    path: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class RecordFinished:
    """The recording is in its place. ``failure``: why it isn't complete; without any sound there is no file then."""

    path: str
    seconds: float
    failure: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether there is a file."""
        return self.failure is None or self.seconds > 0


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PipeStarted:
    """The sound of a call goes through a pipe from now on, in a plain file from the byte ``offset`` on (``None`` in any other)."""

    path: str
    outward: bool
    offset: int | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PipeEnded:
    """A pipe is closed. ``outward``: what was heard went out through it. ``failure``: why not all of it."""

    path: str
    outward: bool
    bytes: int
    failure: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SoundWarning:
    """The call goes on, but not as asked."""

    message: str
    hint: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class DevicesChanged:
    """Sound goes through these devices from now on, after one had stopped, gone or come. ``None``: there is none."""

    microphone: str | None
    loudspeaker: str | None


PipeEvent: TypeAlias = PipeStarted | PipeEnded
SoundEvent: TypeAlias = PlayStarted | PlayFinished | RecordStarted | RecordFinished | PipeEvent | DevicesChanged | SoundWarning


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Loudness of the last tenth of a second [dBFS], -inf for digital silence; and what both directions are like over time.

    ``near`` is what the microphone says, muted or not; ``None`` where something else speaks, or nothing.
    """

    near_dbfs: float
    far_dbfs: float
    near: Activity | None = None
    far: Activity | None = None


class Sound(Protocol):
    """One call's sound at this end. All methods are called on the engine's loop."""

    async def open(self) -> None:
        """Check and take what is asked for (devices, files), before the call is placed. Raises DeviceError or AudioFileError."""

    async def connect(self, leg: AudioLeg, *, early: bool = False) -> None:
        """The call was answered: carry sound both ways from now on. ``early``: it was not, and the peer is heard all the same (an
        announcement, a far ringing tone); silence is said until it is connected again, perhaps to another leg."""

    async def signal(self, signal: Signal | None) -> bool:
        """Play ``signal`` to the person from now on, in place of the one before; ``None`` is quiet. Whether anybody can hear it."""

    def mute(self, muted: bool) -> None:
        """While muted, send silence (not nothing)."""

    def levels(self) -> Levels:
        """How loud both directions are now."""

    def events(self) -> AsyncIterator[SoundEvent]:
        """What happens to files and devices; ends when the sound is closed. One reader."""

    async def close(self) -> None:
        """Let go of the leg, finish recordings, close devices. May be called twice."""


LOUDEST_DB: Final = 18.0
QUIETEST_DB: Final = -42.0


@quick_dataclass(frozen=True, slots=True)
class Volume:
    """How much louder than they come sounds are played, and what the microphone hears is sent [dB]."""

    loudspeaker_db: float = 0.0
    microphone_db: float = 0.0

    def turned(self, loudspeaker_db: float, microphone_db: float) -> "Volume":
        """So much louder."""
        return Volume(_within(self.loudspeaker_db + loudspeaker_db), _within(self.microphone_db + microphone_db))


def _within(db: float) -> float:
    return min(LOUDEST_DB, max(QUIETEST_DB, db))


NO_DEVICES: Final = "the sound of this call has no devices"


@runtime_checkable
class HasDevices(Protocol):
    """A sound that people may send to another device while they talk."""

    async def next_device(self) -> bool:
        """Move to the next loudspeaker, and to its microphone if it has one. Whether there is another; DevicesChanged says which."""

    async def set_devices(self, *, microphone: int | str | None = None, loudspeaker: int | str | None = None) -> None:
        """Use these from now on: an index or part of a name; ``None`` leaves it as it is. DevicesChanged says which. Raises DeviceError,
        and then nothing has changed; LocalProtocolError where it has no such device at all."""


@runtime_checkable
class MayRest(Protocol):
    """A sound with devices, of which another call's may be in need."""

    async def rest(self, resting: bool) -> None:
        """Let go of the devices while another call has the person's ear, or take them again; files and pipes go on."""


@runtime_checkable
class HasVolume(Protocol):
    """A sound whose loudspeaker and microphone people may turn up and down."""

    @property
    def is_heard(self) -> bool:
        """Whether there may be a loudspeaker at all."""

    def turn(self, *, loudspeaker_db: float = 0.0, microphone_db: float = 0.0) -> Volume:
        """Make them so much louder, within LOUDEST_DB and QUIETEST_DB; how loud they are then."""
