"""How large and how many pictures a bit rate pays for. Fewer details before fewer movements, and neither beyond what there is."""

from dataclasses import replace
from typing import Final

from sinchphone.picture.frame import even
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class PictureSetting:
    """What is sent: the sides of the picture, pictures a second, and bits a second for the encoder."""

    width: int
    height: int
    rate: float
    bitrate: int


@quick_dataclass(frozen=True, slots=True)
class _Quality:
    bitrate: int  # from here on [bit/s]
    height: int
    rate: float
    enough: int  # beyond which nothing gets better [bit/s]


_STEPS: Final = (
    _Quality(16_000, 90, 5.0, 40_000),
    _Quality(35_000, 90, 10.0, 70_000),
    _Quality(60_000, 180, 7.5, 150_000),
    _Quality(80_000, 180, 15.0, 250_000),
    _Quality(115_000, 270, 15.0, 400_000),
    _Quality(155_000, 360, 15.0, 590_000),
    _Quality(750_000, 360, 30.0, 1_050_000),
    _Quality(1_500_000, 720, 30.0, 2_100_000),
)
LEAST_BITRATE: Final = _STEPS[0].bitrate
_ABOVE: Final = 1.15  # of a step's bit rate, before one climbs to it again
_CLOSE: Final = 0.15  # a bit rate that changes by less stays as it was: another encoder begins with a key frame
_WAIT: Final = 3.0  # [s] between two rises,
_LEAP: Final = 1.35  # or less where it rises by so much: at first, when nothing is known of the path
_LEAP_WAIT: Final = 0.5


class PictureLadder:
    """Follows what may be sent. ``width``, ``height`` and ``rate`` are those of the source, and the most that is sent. Times in
    seconds of one clock."""

    def __init__(self, width: int, height: int, rate: float) -> None:
        self._source = (even(width), even(height), rate)
        self._step: _Quality | None = None
        self._setting: PictureSetting | None = None
        self._changed_at = 0.0

    @property
    def most(self) -> int:
        """The bit rate beyond which nothing gets better."""
        _, height, rate = self._source
        return min((step.enough for step in _STEPS if step.height >= height and step.rate >= rate), default=_STEPS[-1].enough)

    def follow(self, bitrate: float, now: float) -> PictureSetting | None:
        """What to send where so much may be sent [bit/s]; ``None``: so little that no picture is."""
        bitrate = min(bitrate, self.most)
        step = self._affordable(bitrate)
        if step is None:
            self._step = self._setting = None
            return None
        kept = self._setting
        if kept is not None:
            wait = 0.0 if bitrate < kept.bitrate else _LEAP_WAIT if bitrate >= _LEAP * kept.bitrate else _WAIT
            if now - self._changed_at < wait or abs(bitrate / kept.bitrate - 1) < _CLOSE:
                return kept
        self._step, self._changed_at = step, now
        self._setting = replace(self._sized(step), bitrate=int(bitrate))
        return self._setting

    def _affordable(self, bitrate: float) -> _Quality | None:
        below = [step for step in _STEPS if bitrate >= step.bitrate * (_ABOVE if self._is_above(step) else 1.0)]
        return below[-1] if below else None

    def _is_above(self, step: _Quality) -> bool:
        return self._step is not None and step.bitrate > self._step.bitrate

    def _sized(self, step: _Quality) -> PictureSetting:
        width, height, rate = self._source
        scale = min(1.0, step.height / height)
        return PictureSetting(even(round(width * scale)), even(round(height * scale)), min(rate, step.rate), step.bitrate)
