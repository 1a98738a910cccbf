"""Who of many speaks, by level: those alone are mixed, so that a hundred open microphones don't add up to noise.

::

    level of each [dBFS], every 20 ms -> over the threshold now or lately -> the loudest of them, those who speak already first
"""

from collections.abc import Hashable, Mapping
from typing import Final, Generic, TypeVar

from sinchphone.audio.frame import FRAME_SECONDS

TALKERS: Final = 8  # at once: more aren't understood
THRESHOLD_DBFS: Final = -50.0  # above the noise of a quiet room, below a soft voice far from the microphone
HANGOVER_SECONDS: Final = 0.5  # pauses between words
ADVANTAGE_DB: Final = 6.0  # of who speaks already over who begins, where there are too many
_RELEASE_DB: Final = 1.0  # by which a remembered level falls in a frame

Speaker = TypeVar("Speaker", bound=Hashable)


class Talkers(Generic[Speaker]):
    """Chooses, frame by frame. Speakers that are missing from a frame are forgotten."""

    def __init__(self, most: int = TALKERS) -> None:
        self._most = most
        self._frames_left: dict[Speaker, int] = {}  # until each counts as silent
        self._levels: dict[Speaker, float] = {}  # with the fall of a pause
        self._chosen: frozenset[Speaker] = frozenset()

    def choose(self, levels: Mapping[Speaker, float]) -> frozenset[Speaker]:
        """Those of ``levels`` that speak in these 20 ms, the loudest at most so many. ``-inf`` is digital silence."""
        for one in self._levels.keys() - levels.keys():
            del self._levels[one]
            self._frames_left.pop(one, None)
        for one, level in levels.items():
            self._note(one, level)
        speaking = [one for one in levels if one in self._frames_left]
        if len(speaking) > self._most:
            speaking = sorted(speaking, key=self._weight, reverse=True)[: self._most]
        self._chosen = frozenset(speaking)
        return self._chosen

    def _note(self, one: Speaker, level: float) -> None:
        if level >= THRESHOLD_DBFS:
            self._frames_left[one] = round(HANGOVER_SECONDS / FRAME_SECONDS)
        elif one in self._frames_left:
            self._frames_left[one] -= 1
            if not self._frames_left[one]:
                del self._frames_left[one]
        self._levels[one] = max(level, self._levels.get(one, level) - _RELEASE_DB)

    def _weight(self, one: Speaker) -> float:
        return self._levels[one] + (ADVANTAGE_DB if one in self._chosen else 0.0)
