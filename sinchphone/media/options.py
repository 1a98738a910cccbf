"""What can be configured of sound devices, of what is done to the microphone's sound, and of cameras. Imports no library of theirs."""

import re
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import key, one_of, read_flag, read_text

EchoCancel: TypeAlias = Literal["auto", "on", "off"]
NoiseSuppression: TypeAlias = Literal["off", "low", "high"]


class RecordLayout(StrEnum):
    """What a recording's tracks hold."""

    STEREO = "stereo"  # near end left, far end right
    MIXED = "mixed"  # one track: both added
    NEAR = "near"
    FAR = "far"


STANDARD_INPUT: Final = "-"  # in place of a file's path
# For FFmpeg: no format may open other files or addresses (playlists, concatenations). What was named is the only one.
NO_OTHER_FILES: Final = {"protocol_whitelist": "none"}
RECORDER_CLOSES_SECONDS: Final = 3.0  # how long a person waits after Ctrl-C
_LEAST_KBPS: Final = 20  # of speech with its headers
_MOST_KBPS: Final = 1000
_FEW_DIGITS: Final = re.compile(r"[0-9]{1,4}")
_DEFAULT_TONES: Final = "europe"


def _device(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a device's index or part of its name")
    return int(value) if _FEW_DIGITS.fullmatch(str(value)) else str(value)


def _kbps(value: object) -> int:
    if isinstance(value, bool) or not _FEW_DIGITS.fullmatch(str(value)) or not _LEAST_KBPS <= int(str(value)) <= _MOST_KBPS:
        raise ValueError(f"must be a number from {_LEAST_KBPS} to {_MOST_KBPS}")
    return int(str(value))


def _country(value: object) -> str:
    if value != _DEFAULT_TONES:  # the tones themselves need numpy
        from sinchphone.audio.tones.national import PLANS

        country: str = one_of(*PLANS)(read_text(value))
        return country
    return _DEFAULT_TONES


@quick_dataclass(frozen=True, kw_only=True)
class AudioOptions:
    """[audio]: the sound devices, by index or part of the name (not set is the system's default), and how they sound."""

    input: int | str | None = key("", _device, "microphone: an index or part of its name")
    output: int | str | None = key("", _device, "speaker or headphones: an index or part of its name")
    ring: int | str | None = key("", _device, "where incoming calls ring: an index or part of its name")
    echo_cancel: EchoCancel = key(
        "auto",
        one_of("auto", "on", "off"),
        "remove the loudspeaker's echo from the microphone: auto, on or off; auto: not where the device is called a headset",
    )
    noise_suppression: NoiseSuppression = key(
        "off", one_of("off", "low", "high"), "lower the noise around the microphone (and music, a little): off, low or high"
    )
    gain_control: bool = key(False, read_flag, "even out how loud the microphone is")
    max_kbps: int | None = key(
        "",
        _kbps,
        "the most that a WebRTC call sends in Opus, in kbit/s: sound, its copies, pictures, what is sent again, reports, headers",
    )
    tones: str = key(_DEFAULT_TONES, _country, "the country whose ringing and busy tones are heard")


@quick_dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """[video]: the camera, by index or part of the name (not set is the first one)."""

    camera: int | str | None = key("", _device, "camera: an index or part of its name")
