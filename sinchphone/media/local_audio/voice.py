"""The microphone's sound made fit for the other end: echo removed, rumble cut, noise lowered, level evened out.

::

    loudspeaker's thread: far(what it was given) -> queue ─┐
    media loop:           near(what was captured) ─────────┴> WebRTC audio processing (AEC3, NS, AGC2) -> the same length

``pywebrtc-audio`` brings WebRTC's own modules and is imported here only. It finds the delay between what was played and its echo by
itself (up to 400 ms), as long as that doesn't jump: so exactly one sample of what was played goes in for each that was captured.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.errors import DeviceError
from sinchphone.media.options import AudioOptions

MISSING_HINT: Final = "Install it (pip install pywebrtc-audio), or use a headset."
_NOISE_LEVELS: Final = {"low": 0, "high": 2}  # WebRTC's suppression levels: 6 dB, 18 dB
_MAX_GAIN_DB: Final = 18.0
_MAX_AHEAD: Final = RATE * 6 // 100  # samples: beyond it what was played is older than any echo of it that is worth the wait
_MAX_BLOCKS: Final = 64  # kept while nothing is captured
_HEADSETS: Final = ("headset", "headphone", "earphone", "earbud", "airpods", "buds", "hands-free")


class VoiceProcessing:
    """One call's processing. ``far`` in the loudspeaker's thread, ``near`` in the media loop."""

    def __init__(self, process: Callable[[Samples, Samples], Samples]) -> None:
        """``process(captured, played)`` takes and gives the same number of samples."""
        self._process = process
        self._played: deque[Samples] = deque(maxlen=_MAX_BLOCKS)
        self._rest = silence(0)

    def far(self, samples: Samples) -> None:
        """What the loudspeaker is given now."""
        self._played.append(samples)

    def near(self, samples: Samples) -> Samples:
        """What was captured just now; what is to be sent in its place."""
        if not len(samples):
            return samples
        return self._process(np.ascontiguousarray(samples), self._reference(len(samples)))

    def _reference(self, samples: int) -> Samples:
        """The next ``samples`` that were played; silence where nothing was."""
        played = [self._rest]
        while self._played:
            played.append(self._played.popleft())
        waiting = np.concatenate(played)
        if len(waiting) > _MAX_AHEAD:  # the loudspeaker began with a burst, or its clock is the faster one
            waiting = waiting[-max(samples, _MAX_AHEAD // 2) :]
        taken, self._rest = waiting[:samples], waiting[samples:]
        if len(taken) < samples:
            taken = np.concatenate([taken, silence(samples - len(taken))])
        return np.ascontiguousarray(taken)


def is_headset(device: str) -> bool:
    """Whether a loudspeaker's name says that nobody but the wearer hears it."""
    return any(word in device.casefold() for word in _HEADSETS)


def is_available() -> bool:
    """Whether the library is there."""
    return _module() is not None


def make_voice(options: AudioOptions, loudspeaker: str | None, worn: bool | None = None) -> VoiceProcessing | None:
    """The processing for a loudspeaker of that name (``None``: there is none); ``None`` where nothing is to be done or can be. ``worn``:
    whether it's a headset, where the system knows; else its name tells.

    Raises DeviceError where echo is to be removed in any case and the library is missing.
    """
    echoes = loudspeaker is not None and not (is_headset(loudspeaker) if worn is None else worn)
    removes = options.echo_cancel == "on" or (options.echo_cancel == "auto" and echoes)
    if not (removes or options.noise_suppression != "off" or options.gain_control):
        return None
    module = _module()
    if module is None:
        if options.echo_cancel == "on":
            raise DeviceError("echo can't be removed: pywebrtc-audio is missing", hint=MISSING_HINT)
        return None
    processor = module.AudioProcessor(
        sample_rate=RATE,
        echo_cancellation=removes,
        high_pass_filter=True,
        noise_suppression=options.noise_suppression != "off",
        ns_level=_NOISE_LEVELS.get(options.noise_suppression, 0),
        auto_gain_control=options.gain_control,
        agc_max_gain_db=_MAX_GAIN_DB,
    )
    return VoiceProcessing(processor.process)


def _module() -> Any:
    try:
        import pywebrtc_audio
    except (ImportError, OSError):
        return None
    return pywebrtc_audio
