"""What a call's sound is joined to: the doors between a leg and a person, a file or a program.

::

    near sound -> Leg.send (20 ms frames, media thread)     -> the peer
    far sound  <- Leg.pull (any number of samples, any thread) <- the peer
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from sinchphone.audio.frame import Frame, Samples


class Leg(Protocol):
    """The sound face of one leg. Neither method blocks, raises or waits."""

    def send(self, frame: Frame) -> None:
        """Send the next 20 ms of near sound. Call it in the media thread only, once every 20 ms."""

    def pull(self, samples: int) -> Samples:
        """The next ``samples`` of far sound, decoded at this moment; silence before the first packet. Any one thread at a time."""


class Signal(Enum):
    """The sounds that tell a person how a call is going."""

    RINGBACK = "ringback"
    RINGTONE = "ringtone"
    BUSY = "busy"
    CONGESTION = "congestion"


class Party(Protocol):
    """Somebody made of code at this end of a leg: hears 20 ms, says 20 ms. Runs in the media thread and must not block."""

    def tick(self, far: Frame) -> Frame:
        """Takes the far sound of the last 20 ms, returns the near sound of the next 20 ms."""


@dataclass(frozen=True, slots=True)
class SoundOptions:
    """What a call's sound is made of. A device is an index, part of a name, or ``None`` for the system's default."""

    play: tuple[str, ...] = ()  # files, one after the other from the answer on; "-" reads standard input
    tone_hz: float | None = None
    record: str | None = None  # .wav, .ogg or .flac, stereo: near left, far right
    force: bool = False  # overwrite an existing recording
    devices: bool = True  # False: no sound card is touched
    microphone: bool = True
    input: int | str | None = None
    output: int | str | None = None
    ring: int | str | None = None


@dataclass(frozen=True, slots=True)
class PlayStarted:
    """A file begins to play to the peer."""

    path: str


@dataclass(frozen=True, slots=True)
class PlayFinished:
    """A file was played to its end; ``last`` when no other follows."""

    path: str
    last: bool


@dataclass(frozen=True, slots=True)
class RecordStarted:
    """The recording runs."""

    path: str


@dataclass(frozen=True, slots=True)
class RecordFinished:
    """The recording is complete and in its place."""

    path: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SoundWarning:
    """The call goes on, but not as asked."""

    message: str
    hint: str


SoundEvent: TypeAlias = PlayStarted | PlayFinished | RecordStarted | RecordFinished | SoundWarning


@dataclass(frozen=True, slots=True)
class Levels:
    """Loudness of the last tenth of a second [dBFS], -inf for digital silence."""

    near_dbfs: float
    far_dbfs: float


class Sound(Protocol):
    """One call's sound at this end. All methods are called on the engine's loop."""

    async def open(self) -> None:
        """Check and take what is asked for (devices, files), before the call is placed. Raises DeviceError or AudioFileError."""

    async def connect(self, leg: Leg, *, early: bool = False) -> None:
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
