"""What happens to the pictures of a call, as events."""

from typing import ClassVar

from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class VideoPaused:
    """What the peer sees of us was switched: black, or the picture again."""

    NAME: ClassVar[str] = "video.paused"
    call_id: str
    paused: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class VideoCamera:
    """A camera runs from now on, or no more."""

    NAME: ClassVar[str] = "video.camera"
    call_id: str
    camera: str
    running: bool


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class VideoSeen:
    """At the end of a call with pictures: how many of the peer's were seen, and of them those of a test picture (``--video-test``) that
    could be read."""

    NAME: ClassVar[str] = "video.seen"
    call_id: str
    pictures: int
    recognised: int
