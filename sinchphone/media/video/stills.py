"""Single pictures for whoever shows them: made smaller by FFmpeg's scaler, and as JPEG files by its encoder."""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Interpolation, VideoReformatter

from sinchphone.picture.frame import Colours, Picture

_QUALITY: Final = 6  # of FFmpeg's scale from 2 to 31, less being better


class Scaler:
    """Pictures in RGB, of any size: each sample is the mean of those that it stands for. One thread at a time."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def scale(self, picture: Picture, width: int, height: int) -> Colours:
        """The picture in RGB, of exactly that size."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.planes), format="yuv420p")
        made = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation=Interpolation.AREA)
        return made.to_ndarray().astype(np.uint8, copy=False)


class JpegEncoder:
    """One thread at a time."""

    def __init__(self) -> None:
        self._context: VideoCodecContext | None = None

    def compress(self, colours: Colours) -> bytes:
        """The picture as a file. Raises av.FFmpegError."""
        height, width = colours.shape[:2]
        context = self._context
        if context is None or (context.width, context.height) != (width, height):
            context = self._context = _opened(width, height)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(colours), format="rgb24").reformat(format="yuvj420p")
        return b"".join(bytes(packet) for packet in context.encode(frame))


def _opened(width: int, height: int) -> VideoCodecContext:
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, VideoCodecContext), "pictures have that kind"
    context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
    context.time_base = Fraction(1, 25)
    context.qmin = context.qmax = _QUALITY
    context.thread_count = 1
    return context
