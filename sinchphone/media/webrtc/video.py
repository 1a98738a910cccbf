"""Joins pictures to the path of a leg's sound. Loaded by legs that have any."""

from collections.abc import Callable

from sinchphone.media.legs.stream import Stream
from sinchphone.media.pictures.picture_leg import PictureLeg
from sinchphone.media.video.stream import StreamPlace, VideoStream
from sinchphone.media.webrtc.sdp import LocalDescription


def open_video(local: LocalDescription, sound: Stream, leg: PictureLeg, transmit: Callable[[bytes], bool]) -> VideoStream:
    """The stream of pictures beside ``sound``. In the media loop."""
    return VideoStream(StreamPlace(local.picture_ssrc, local.cname, sound.path, sound, transmit), leg)
