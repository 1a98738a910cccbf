"""VP8 and H.264 by way of FFmpeg's libvpx and libx264: one picture in, one frame out. One thread at a time each."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from sinchphone.errors import MediaError
from sinchphone.picture.frame import MAX_SIDE, Picture
from sinchphone.picture.ladder import PictureSetting
from sinchphone.protocol.rtp.packet import VIDEO_RATE
from sinchphone.protocol.rtp.video.assembly import EncodedPicture, FrameFormat
from sinchphone.protocol.rtp.video.h264 import cut_h264, is_h264_key, read_h264
from sinchphone.protocol.rtp.video.vp8 import MAX_PICTURE_ID, cut_vp8, is_vp8_key, read_vp8
from sinchphone.quick_dataclass import quick_dataclass

_TIME_BASE: Final = Fraction(1, VIDEO_RATE)
_KEY_APART: Final = 100_000  # pictures: a key frame comes when somebody asks for one
_FORMAT: Final = "yuv420p"


@quick_dataclass(frozen=True, slots=True)
class VideoCodec:
    """One codec: its frames in RTP, and what FFmpeg calls it."""

    name: str
    form: FrameFormat
    cut: Callable[[bytes, int, int], list[bytes]]  # a frame, its number, the most bytes of a packet
    encoder: str
    decoder: str
    options: Callable[[int], dict[str, str]]  # of the encoder, by its bit rate


def _vp8_options(bitrate: int) -> dict[str, str]:
    """As WebRTC sets them: constant bit rate within half a second, quick, nothing looked ahead at."""
    return {
        "deadline": "realtime",
        "cpu-used": "-6",
        "lag-in-frames": "0",
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        "bufsize": str(bitrate // 2),
        "undershoot-pct": "100",
        "overshoot-pct": "15",
        "max-intra-rate": "400",  # percent of a usual frame
        "static-thresh": "1",
        "qmin": "2",
        "qmax": "63",
    }


def _h264_options(bitrate: int) -> dict[str, str]:
    return {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "level": "3.1",
        "maxrate": str(bitrate),
        "bufsize": str(bitrate // 2),
        "forced-idr": "1",
    }


VIDEO_CODECS: Final[Mapping[str, VideoCodec]] = MappingProxyType(
    {
        "VP8": VideoCodec("VP8", FrameFormat(read_vp8, is_vp8_key), cut_vp8, "libvpx", "vp8", _vp8_options),
        "H264": VideoCodec(
            "H264", FrameFormat(read_h264, is_h264_key), lambda frame, _, most: cut_h264(frame, most), "libx264", "h264", _h264_options
        ),
    }
)


class VideoEncoder:
    """Pictures of any size to frames of the wanted one."""

    def __init__(self, codec: VideoCodec) -> None:
        self._codec = codec
        self._context: VideoCodecContext | None = None
        self._setting: PictureSetting | None = None
        self._number = 0

    def encode(self, picture: Picture, timestamp: int, setting: PictureSetting, *, key: bool, most: int) -> list[bytes]:
        """The payloads of one picture, none longer than ``most`` bytes; ``timestamp`` [1/90000 s] rises. Another setting begins with a
        key frame. Raises MediaError."""
        if self._context is None or setting != self._setting:
            self._context, self._setting = _open_encoder(self._codec, setting), setting
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.planes), format=_FORMAT)
        if (frame.width, frame.height) != (setting.width, setting.height):
            frame = frame.reformat(width=setting.width, height=setting.height)
        frame.pts, frame.time_base = timestamp, _TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        try:
            data = b"".join(bytes(packet) for packet in self._context.encode(frame))
        except av.FFmpegError as error:
            self._context = None
            raise MediaError(f"a picture could not be encoded as {self._codec.name}: {error}") from error
        self._number = (self._number + 1) & MAX_PICTURE_ID
        return self._codec.cut(data, self._number, most) if data else []


class VideoDecoder:
    """Frames to pictures."""

    def __init__(self, codec: VideoCodec) -> None:
        self._codec = codec
        self._context: VideoCodecContext | None = None

    def decode(self, frame: EncodedPicture) -> Picture | None:
        """The picture, if the frame makes one. Raises MediaError where it can't be read: then a key frame is needed."""
        if self._context is None:
            self._context = _open(self._codec.decoder, "r")
        packet = av.Packet(frame.data)
        packet.pts, packet.time_base = frame.timestamp, _TIME_BASE
        try:
            pictures = self._context.decode(packet)
        except av.FFmpegError as error:
            self._context = None  # what it has kept is spoilt
            raise MediaError(f"a picture could not be decoded as {self._codec.name}: {error}") from error
        return as_picture(pictures[-1]) if pictures else None


def as_picture(frame: av.VideoFrame, taken_at: float = 0.0) -> Picture:
    """FFmpeg's picture as ours, with even sides. Raises MediaError for one that is too large."""
    if not (0 < frame.width <= MAX_SIDE and 0 < frame.height <= MAX_SIDE):
        raise MediaError(f"a picture of {frame.width} x {frame.height} is too large")
    width, height = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
    if frame.format.name != _FORMAT or (width, height) != (frame.width, frame.height):
        frame = frame.reformat(width=width, height=height, format=_FORMAT)
    return Picture(frame.to_ndarray().astype(np.uint8, copy=False), taken_at)


def _open_encoder(codec: VideoCodec, setting: PictureSetting) -> VideoCodecContext:
    context = _open(codec.encoder, "w")
    context.width, context.height, context.pix_fmt = setting.width, setting.height, _FORMAT
    context.time_base, context.framerate = _TIME_BASE, Fraction(setting.rate).limit_denominator(1000)
    context.bit_rate, context.gop_size, context.max_b_frames = setting.bitrate, _KEY_APART, 0
    context.options = codec.options(setting.bitrate)
    return context


def _open(name: str, mode: Any) -> VideoCodecContext:
    try:
        context = av.CodecContext.create(name, mode)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"FFmpeg has no {name}", hint="install the wheel of PyAV, which has it") from error
    assert isinstance(context, VideoCodecContext), "pictures have that kind"
    context.thread_count = 1  # several wait for one another, and delay
    return context
