"""How much sound goes into a packet: as the peer wants it, never more than it takes (``a=ptime``, ``a=maxptime``: RFC 8866 6.4). Pure.

::

    frames of 20 ms -> Packetizer -> sound for one packet each, and where it begins
"""

from typing import Final

import numpy as np

from sinchphone.audio.frame import RATE, Samples
from sinchphone.media.codecs.codec import OPUS, CodecFormat
from sinchphone.media.codecs.opus import packet_samples
from sinchphone.protocol.sdp.session_description import ANY_LENGTH, PacketTimes

USUAL_MS: Final = 20  # RFC 3551 4.5
LONGEST_MS: Final = 60  # what is wanted beyond costs more delay than anybody saves
_OPUS_MS: Final = (5, 10, 20, 40, 60)  # RFC 6716 2.1.4; 2.5 aside
_STEP_MS: Final = 5  # of the others, whose bytes are samples
_SAMPLES_PER_MS: Final = RATE // 1000
_BYTES_PER_MS: Final = 8  # of G.711 and G.722


def packet_ms(codec: CodecFormat, times: PacketTimes, frames: int = 1) -> int:
    """The length of our packets: the longest that the codec has of those that aren't longer than the peer wants, or than ``frames`` of
    20 ms, where the path is too narrow for shorter ones."""
    wanted = min(max(times.wanted_ms or USUAL_MS, USUAL_MS * frames if frames > 1 else 0), times.most_ms or LONGEST_MS, LONGEST_MS)
    lengths = _OPUS_MS if codec == OPUS else range(_STEP_MS, LONGEST_MS + 1, _STEP_MS)
    return max((one for one in lengths if one <= wanted), default=_STEP_MS)


def most_frames(codec: CodecFormat, times: PacketTimes) -> int:
    """Frames of 20 ms in the longest packet that the peer takes. Only Opus has as many bits as the path carries."""
    return max(1, min(times.most_ms or LONGEST_MS, LONGEST_MS) // USUAL_MS) if codec == OPUS else 1


def fits(codec: CodecFormat, payload: bytes, times: PacketTimes) -> bool:
    """Whether somebody else's packet is one that the peer wants. Looks into it only where the peer says what it wants."""
    if times == ANY_LENGTH:
        return True
    length = packet_samples(payload) / _SAMPLES_PER_MS if codec == OPUS else len(payload) / _BYTES_PER_MS
    if times.wanted_ms is not None:
        return length == packet_ms(codec, times)
    return length <= (times.most_ms or LONGEST_MS)


class Packetizer:
    """Cuts frames into what packets of one length hold."""

    def __init__(self, milliseconds: int) -> None:
        self._samples = milliseconds * _SAMPLES_PER_MS
        self._kept = np.zeros(0, np.int16)

    def resize(self, milliseconds: int) -> None:
        """Packets are of that length from now on, with what is kept in the next one."""
        self._samples = milliseconds * _SAMPLES_PER_MS

    def clear(self) -> None:
        """What is kept isn't sent any more: something came in between."""
        self._kept = self._kept[:0]

    def push(self, frame: Samples) -> list[tuple[int, Samples]]:
        """The packets that are full with the next sound, which is a frame or what another leg's packet held: how many samples before it
        each begins (after it: less than nothing), and its sound."""
        if self._samples == len(frame) and not len(self._kept):
            return [(0, frame)]
        before, sound = len(self._kept), np.concatenate([self._kept, frame])
        whole = len(sound) // self._samples
        self._kept = sound[whole * self._samples :]
        return [(before - at, sound[at : at + self._samples]) for at in range(0, whole * self._samples, self._samples)]
