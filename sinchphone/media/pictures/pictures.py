"""Pictures of one call at this end, as the engine sees them: where ours come from, and who sees the peer's. Imports no picture library."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from sinchphone.media.options import VideoOptions
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.sound import CALL, Descriptor, RecordFinished, RecordStarted, Tap, file_name_of
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:  # a call without pictures loads nothing of them
    from sinchphone.picture.frame import Picture

CODECS: Final = ("VP8", "H264")  # in the order of our offers


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions(VideoOptions):
    """What a call's pictures are made of: the camera, or a file or a pipe, or the test picture in its place."""

    play: str | Descriptor | None = None  # any container that FFmpeg reads, "-" for standard input; a pipe's pictures as they arrive
    test: bool = False
    test_source: int = 1  # which test picture: 0 to 255
    sends: bool = True  # False: only see the peer
    record: str | None = None  # .mkv or .mp4: what is seen of the peer, and both sides' sound
    force: bool = False  # overwrite an existing recording

    def of_call(self, call_id: str) -> "PictureOptions":
        """Those of one call: in the recording's path ``{call}`` stands for its id, as far as a file's name can have it."""
        return replace(self, record=self.record and self.record.replace(CALL, file_name_of(call_id)))


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CameraStarted:
    """A camera runs."""

    name: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class CameraStopped:
    """It runs no more."""

    name: str


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PicturesFinished:
    """The file's pictures were all shown; the last one stays. ``failure``: why there were none of it."""

    path: str
    failure: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PictureWarning:
    """The call goes on, but without pictures of ours, or not as asked."""

    message: str
    hint: str


PictureEvent: TypeAlias = CameraStarted | CameraStopped | PicturesFinished | RecordStarted | RecordFinished | PictureWarning


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class PictureCounts:
    """What was seen of the peer: pictures, and of them those of a test picture that could be read."""

    seen: int
    recognised: int


class Viewer(Protocol):
    """Who looks at the pictures of a call. Called in threads that make them; doesn't block."""

    def far(self, picture: "Picture", at: float) -> None:
        """A picture of the peer, to be shown at that time of ``time.monotonic``."""

    def near(self, picture: "Picture") -> None:
        """A picture of ours, as it's sent."""


class Pictures(Protocol):
    """One call's pictures at this end. All methods are called on the engine's loop."""

    async def open(self) -> None:
        """Check what is asked for, before the call is placed; no camera is opened. Raises DeviceError or AudioFileError."""

    async def connect(self, leg: PictureLeg) -> None:
        """The call was answered with pictures: show the peer's, open the camera and send its."""

    @property
    def tap(self) -> Tap | None:
        """Who is to hear both sides' sound from ``connect`` on, until ``close``."""

    def view(self, viewer: Viewer | None) -> None:
        """Who looks at them from now on."""

    def pause(self, paused: bool) -> None:
        """While paused the camera is closed, and the peer sees black."""

    def counts(self) -> PictureCounts:
        """Counters at this moment."""

    def events(self) -> AsyncIterator[PictureEvent]:
        """What happens; ends when it's closed. One reader."""

    async def close(self) -> None:
        """Close the camera, finish the recording: within three seconds. May be called twice."""


VideoChoice: TypeAlias = PictureOptions | Pictures
