"""The microphone's sound made fit for the other end: echo removed, rumble cut, noise lowered, level evened out.

::

    loudspeaker's thread: far(what it was given) -> queue ─┐
    media loop:           near(what was captured) ─────────┴> blocks of 20 ms -> echo -> noise -> gain -> what is to be sent

``pywebrtc-audio`` brings WebRTC's noise suppression and is imported here only; echo and gain are ours (``audio.echo``,
``audio.gain_control``).
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.media.options import AudioOptions

if TYPE_CHECKING:
    from sinchphone.audio.echo.canceller import EchoCanceller
    from sinchphone.audio.levels.gain_control import GainControl

MISSING_HINT: Final = "install it: pip install pywebrtc-audio"
_NOISE_LEVELS: Final = {"low": 0, "high": 2}  # WebRTC's suppression levels: 6 dB, 18 dB
_MAX_BLOCKS: Final = 64  # kept while nothing is captured
_HEADSETS: Final = ("headset", "headphone", "earphone", "earbud", "airpods", "buds", "hands-free")

NoiseSuppressor = Callable[[Samples], Samples]


class VoiceProcessing:
    """One call's processing. ``far`` in the loudspeaker's thread, ``near`` in the media loop."""

    def __init__(
        self,
        *,
        canceller: "EchoCanceller | None" = None,
        quieter: NoiseSuppressor | None = None,
        gain: "GainControl | None" = None,
    ) -> None:
        self._canceller, self._quieter, self._gain = canceller, quieter, gain
        self._played: deque[Samples] = deque(maxlen=_MAX_BLOCKS)
        self._rest = silence(0)

    def far(self, samples: Samples) -> None:
        """What the loudspeaker is given now."""
        if self._canceller is not None:
            self._played.append(samples)

    def near(self, samples: Samples) -> Samples:
        """What was captured just now; what is to be sent: whole frames, as far as they are full."""
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = waiting[whole:]
        return np.concatenate([silence(0), *(self._processed(frame) for frame in waiting[:whole].reshape(-1, FRAME_SAMPLES))])

    def _processed(self, frame: Samples) -> Samples:
        holds = False
        if self._canceller is not None:
            while self._played:
                self._canceller.play(self._played.popleft())
            frame = self._canceller.capture(frame)
            holds = self._canceller.is_echo
        if self._quieter is not None:
            frame = self._quieter(np.ascontiguousarray(frame))
        return frame if self._gain is None else self._gain.push(frame, holds=holds)


def is_headset(device: str) -> bool:
    """Whether a loudspeaker's name says that nobody but the wearer hears it."""
    return any(word in device.casefold() for word in _HEADSETS)


def is_available() -> bool:
    """Whether the library that lowers noise is there."""
    return _module() is not None


def make_voice(options: AudioOptions, loudspeaker: str | None, worn: bool | None = None) -> VoiceProcessing | None:
    """The processing for a loudspeaker of that name (``None``: there is none); ``None`` where nothing is to be done or can be. ``worn``:
    whether it's a headset, where the system knows; else its name tells."""
    echoes = loudspeaker is not None and not (is_headset(loudspeaker) if worn is None else worn)
    removes = options.echo_cancel == "on" or (options.echo_cancel == "auto" and echoes)
    quieter = _noise_suppressor(options.noise_suppression, cuts_rumble=not removes)
    if not (removes or quieter or options.gain_control):
        return None
    return VoiceProcessing(
        canceller=_echo_canceller() if removes else None, quieter=quieter, gain=_gain_control() if options.gain_control else None
    )


def _echo_canceller() -> "EchoCanceller":
    from sinchphone.audio.echo.canceller import EchoCanceller

    return EchoCanceller()


def _gain_control() -> "GainControl":
    from sinchphone.audio.levels.gain_control import GainControl

    return GainControl()


def _noise_suppressor(how: str, *, cuts_rumble: bool) -> NoiseSuppressor | None:
    """WebRTC's; ``None`` where it isn't wanted or the library is missing."""
    module = _module() if how in _NOISE_LEVELS else None
    if module is None:
        return None
    processor = module.AudioProcessor(sample_rate=RATE, noise_suppression=True, ns_level=_NOISE_LEVELS[how], high_pass_filter=cuts_rumble)
    process: NoiseSuppressor = processor.process
    return process


def _module() -> Any:
    try:
        import pywebrtc_audio
    except (ImportError, OSError):
        return None
    return pywebrtc_audio
