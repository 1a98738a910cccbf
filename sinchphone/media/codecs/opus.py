"""Opus by way of libopus: the copy that PyAV's wheel carries, else the system's (RFC 6716, RFC 7587).

PyAV's own codec classes hide what a call needs: concealment, in-band FEC and the encoder's controls. The library itself has
them, and it lies beside PyAV as a file of its own on Linux, macOS and Windows, so it's called directly; ``av`` isn't imported. Only where
it's neither there nor where the system looks (a PyAV that was built against a prefix of its own), PyAV is imported, and the process asked
for the libopus that came with it.
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.errors import MediaError

# opus_defines.h
_APPLICATION_VOIP: Final = 2048
_SET_BITRATE: Final = 4002
_SET_MAX_BANDWIDTH: Final = 4004
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERCENT: Final = 4014
_SET_DTX: Final = 4016

_WIDEBAND: Final = 1103
_FULLBAND: Final = 1105

_ROOMY_BITRATE: Final = 20_000  # [bit/s] for sound above 8 kHz in long packets: below, 24 kbit/s sound much worse (PESQ 3.4 to 2.5)

_SONAMES: Final = ("libopus.so.0", "libopus.0.dylib", "libopus-0.dll", "opus.dll")

_COMPLEXITY: Final = 9  # of 10
_MAX_PACKET_BYTES: Final = 1275  # one Opus frame, RFC 6716 section 3.4
_MAX_PACKET_SAMPLES: Final = 5760  # 120 ms, RFC 6716 section 3.4 [R5]
_NEEDLESS_BYTES: Final = 2
_STEP_SAMPLES: Final = 120  # libopus conceals in steps of 2.5 ms
_SILK_MILLISECONDS: Final = (10, 20, 40, 60)  # RFC 6716 table 2, configurations 0 to 11
_HYBRID_MILLISECONDS: Final = (10, 20)  # configurations 12 to 15
_CELT_SAMPLES: Final = (120, 240, 480, 960)  # configurations 16 to 31
_FRAMES: Final = (1, 2, 2, None)  # by code; the last tells how many in the next byte
_FRAME_SAMPLES: Final = (
    *(milliseconds * RATE // 1000 for milliseconds in 3 * _SILK_MILLISECONDS + 2 * _HYBRID_MILLISECONDS),
    *4 * _CELT_SAMPLES,
)


def packet_samples(payload: bytes) -> int:
    """Samples at 48 kHz in an Opus packet; 0 where ``payload`` isn't one (RFC 6716 section 3)."""
    if not payload:
        return 0
    frames = _FRAMES[payload[0] & 0x03]
    if frames is None:
        frames = payload[1] & 0x3F if len(payload) > 1 else 0
    samples = frames * _FRAME_SAMPLES[payload[0] >> 3]
    return samples if samples <= _MAX_PACKET_SAMPLES else 0


def has_fec(payload: bytes) -> bool:
    """Whether an Opus packet carries a copy of the sound before it (LBRR, RFC 6716 section 4.2.4).

    Packets of one frame only (code 0): that is all that senders of speech use, since SILK frames reach to 60 ms.
    """
    flags = _activity_flags(payload)
    if not flags:
        return False
    mid = payload[1] >> (7 - flags) & 1
    side = payload[1] >> (6 - 2 * flags) & 1 if payload[0] & 0x04 else 0
    return bool(mid or side)


def is_background(payload: bytes) -> bool:
    """Whether the encoder of an Opus packet says that nobody speaks in it (RFC 6716 section 4.2.3). ``False`` where it doesn't say: CELT
    alone, which music and tones are sent in, or several frames."""
    flags = _activity_flags(payload)
    if not flags:
        return False
    mid = payload[1] >> (8 - flags)
    side = payload[1] >> (7 - 2 * flags) & ((1 << flags) - 1) if payload[0] & 0x04 else 0
    return not mid and not side


def _activity_flags(payload: bytes) -> int:
    """How many flags of voice activity, one for each SILK frame, a packet of one Opus frame begins with; a flag for LBRR follows them, and
    the same again for a second channel. 0 where it has none."""
    if len(payload) < 2 or payload[0] & 0x03:
        return 0
    configuration = payload[0] >> 3
    if configuration < 12:
        return max(1, _SILK_MILLISECONDS[configuration & 3] // 20)
    return max(1, _HYBRID_MILLISECONDS[configuration & 1] // 20) if configuration < 16 else 0


def is_needless(payload: bytes) -> bool:
    """Whether an encoder with DTX means that this packet need not be sent (RFC 7587 3.1.3)."""
    return len(payload) <= _NEEDLESS_BYTES


class Encoder:
    """Frames of 5 to 60 ms to Opus packets: mono, 48 kHz, tuned for speech. One thread at a time.

    The complexity and the bit rate are what speech gains from (wideband PESQ without loss: 32 kbit/s 4.25, 40 kbit/s 4.36,
    48 kbit/s 4.44; complexity 5, 7, 9 at 32 kbit/s: 3.99, 4.14, 4.25). FEC is off until ``set_fec``: on a clean line it costs 0.1 to 0.2.
    """

    def __init__(self, *, bitrate: int = 40_000) -> None:
        """``bitrate`` in bit/s. Raises MediaError."""
        library = _library()
        error = ctypes.c_int()
        self._encoder = library.opus_encoder_create(RATE, 1, _APPLICATION_VOIP, ctypes.byref(error))
        _check(error.value)
        weakref.finalize(self, library.opus_encoder_destroy, self._encoder).atexit = False
        self._encode = library.opus_encode
        self._pcm = np.zeros(_MAX_PACKET_SAMPLES, np.int16)
        self._pcm_address = self._pcm.ctypes.data
        self._packet = ctypes.create_string_buffer(_MAX_PACKET_BYTES)
        self._packet_bytes = memoryview(self._packet)
        self._set(_SET_BITRATE, bitrate)
        self._set(_SET_COMPLEXITY, _COMPLEXITY)

    def encode(self, frame: Samples) -> bytes:
        """The packet for the next ``frame``. With DTX, one of two bytes or fewer need not be sent (RFC 7587 3.1.3). Raises MediaError."""
        samples = min(len(frame), _MAX_PACKET_SAMPLES)  # of more than a packet holds libopus says so
        self._pcm[:samples] = frame[:samples]
        size = self._encode(self._encoder, self._pcm_address, len(frame), self._packet, _MAX_PACKET_BYTES)
        if size < 0:
            _check(size)
        return bytes(self._packet_bytes[:size])

    def adapt(self, setting: RedundancySetting) -> None:
        """Bit rate, forward error correction and silence suppression from the next frame on. Raises MediaError."""
        self.set_bitrate(setting.bitrate)
        self.set_dtx(setting.dtx)
        self.set_fec(setting.fec_percent > 0)
        self.set_loss(setting.fec_percent)
        # above 8 kHz sound is in frames of 20 ms (hybrid): of several in a packet only the last one would be copied, and
        # each costs bits; libopus stays there at rates at which it wouldn't begin
        silk = setting.frames > 1 and (setting.fec_percent or setting.bitrate < _ROOMY_BITRATE)
        self._set(_SET_MAX_BANDWIDTH, _WIDEBAND if silk else _FULLBAND)

    def set_bitrate(self, bitrate: int) -> None:
        """Bits per second from the next frame on. Raises MediaError."""
        self._set(_SET_BITRATE, bitrate)

    def set_fec(self, enabled: bool) -> None:
        """Carry a coarse copy of each frame in the next packet. It works only together with ``set_loss``."""
        self._set(_SET_INBAND_FEC, int(enabled))

    def set_loss(self, percent: int) -> None:
        """The loss to prepare for, 0 to 100 percent; what is beyond is clipped."""
        self._set(_SET_PACKET_LOSS_PERCENT, min(100, max(0, percent)))

    def set_dtx(self, enabled: bool) -> None:
        """Make packets that need not be sent of most frames in which nobody speaks."""
        self._set(_SET_DTX, int(enabled))

    def _set(self, request: int, value: int) -> None:
        _check(_library().opus_encoder_ctl(self._encoder, request, ctypes.c_int32(value)))


class Decoder:
    """Opus packets to mono samples at 48 kHz. ``decode``, ``conceal`` and ``recover``: one thread at a time."""

    def __init__(self) -> None:
        """Raises MediaError where there is no libopus."""
        library = _library()
        error = ctypes.c_int()
        self._decoder = library.opus_decoder_create(RATE, 1, ctypes.byref(error))
        _check(error.value)
        weakref.finalize(self, library.opus_decoder_destroy, self._decoder).atexit = False
        self._decode = library.opus_decode
        self._pcm = np.zeros(_MAX_PACKET_SAMPLES, np.int16)
        self._pcm_address = self._pcm.ctypes.data
        self._state = ctypes.create_string_buffer(library.opus_decoder_get_size(1))

    def note(self) -> bool:
        """Remember the state of now, one piece of memory without pointers into itself (opus.h: it may be copied)."""
        ctypes.memmove(self._state, self._decoder, len(self._state))
        return True

    def go_back(self) -> None:
        """To the state that was noted last."""
        ctypes.memmove(self._decoder, self._state, len(self._state))

    def duration(self, payload: bytes) -> int:
        """Samples in a packet; 0 where it isn't one."""
        return packet_samples(payload)

    def recoverable(self, payload: bytes) -> int:
        """Samples before the packet that ``recover`` can rebuild; 0 where it carries no copy."""
        return packet_samples(payload) if has_fec(payload) else 0

    def is_background(self, payload: bytes) -> bool:
        """Whether the sender's encoder says that nobody speaks in it."""
        return is_background(payload)

    def decode(self, payload: bytes) -> Samples:
        """The packet's sound: at most 5760 samples. Raises MediaError."""
        if not payload:
            raise MediaError("an Opus packet is empty")
        return self._run(payload, _MAX_PACKET_SAMPLES, 0)

    def conceal(self, samples: int) -> Samples:
        """``samples`` (1 to 5760) that carry on the sound before them, fading if they follow each other."""
        return self._run(None, _whole_steps(samples), 0)[:samples]

    def recover(self, payload: bytes, samples: int) -> Samples:
        """The last ``samples`` before the packet, from the copy in it; concealed where it has none. Raises MediaError."""
        size = max(_whole_steps(samples), packet_samples(payload))  # for less than its own length libopus doesn't look at the copy
        return self._run(payload, size, 1)[-samples:]

    def _run(self, payload: bytes | None, samples: int, fec: int) -> Samples:
        size = len(payload) if payload else 0
        decoded = self._decode(self._decoder, payload, size, self._pcm_address, samples, fec)
        if decoded < 0:
            _check(decoded)
        return self._pcm[:decoded].copy()


def _whole_steps(samples: int) -> int:
    return min(_MAX_PACKET_SAMPLES, -(-samples // _STEP_SAMPLES) * _STEP_SAMPLES)


def _check(code: int) -> None:
    if code < 0:
        raise MediaError(f"libopus: {_library().opus_strerror(code).decode('ascii', 'replace')} ({code})")


@functools.cache
def _library() -> ctypes.CDLL:
    for path in _candidates():
        try:
            return _declare(ctypes.CDLL(path))
        except (OSError, AttributeError):  # not for this machine, or not libopus
            continue
    raise MediaError(
        "there is no libopus", hint="reinstall PyAV (pip install --force-reinstall av) or install libopus (apt install libopus0)"
    )


def _candidates() -> Iterator[str]:
    """Where libopus may be: in PyAV's wheel (Linux, macOS, Windows), then wherever the system keeps it, then loaded with PyAV."""
    spec = importlib.util.find_spec("av")  # looks it up, doesn't import it
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            yield from (str(path) for path in sorted(folder.glob("*opus*")))
    system = ctypes.util.find_library("opus")
    if system is not None:
        yield system
    if spec is not None and _load_pyav():
        yield from _SONAMES


def _load_pyav() -> bool:
    """Bring PyAV's libraries into the process: a library that is loaded is found by its soname, wherever its file is."""
    try:
        import av  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the types. Only fixed arguments of the variadic ctl: on arm64 macOS the others must be known to be more."""
    pointer, integer, int32 = ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
    signatures = {
        "opus_strerror": (ctypes.c_char_p, [integer]),
        "opus_encoder_create": (pointer, [int32, integer, integer, pointer]),
        "opus_encoder_destroy": (None, [pointer]),
        "opus_encoder_ctl": (integer, [pointer, integer]),
        "opus_encode": (int32, [pointer, pointer, integer, pointer, int32]),
        "opus_decoder_create": (pointer, [int32, integer, pointer]),
        "opus_decoder_destroy": (None, [pointer]),
        "opus_decoder_get_size": (integer, [integer]),
        "opus_decode": (integer, [pointer, ctypes.c_char_p, int32, pointer, integer, integer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
