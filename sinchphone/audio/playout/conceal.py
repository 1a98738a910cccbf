"""Makes up sound for what was lost, by repeating the last pitch periods (the idea of ITU-T G.711 Appendix I).

::

    heard(good) -> the same, faded in after made-up sound        make_up(n) -> n samples that carry on what was heard

The period is where the last 20 ms resemble what came 5 to 15 ms before. After 20 ms two periods are repeated instead of one, after
40 ms three, lest it sounds like a tone; from 20 ms on it fades, and is silent after 60 ms. (The appendix says 10 ms for both, for packets
of 10 ms; with 20 ms packets, 5 and 10 % of them lost, 20 is better by 0.05 and 0.1 of PESQ.) Where the appendix delays all sound by
3.75 ms to smooth the first joint, here the step at the joint is taken back within a quarter of a period: no delay, no click.
"""

from typing import Final

import numpy as np

from sinchphone.audio.resample import Wave
from sinchphone.audio.windows import windows

_SHORTEST: Final = 0.005  # [s] the pitch period: 200 Hz; of higher voices several periods are taken
_LONGEST: Final = 0.015  # 66 Hz
_WINDOW: Final = 0.020  # that is compared
_PERIODS: Final = 3  # repeated at most
_STEP: Final = 0.020  # after which one more period is taken, and from which on it fades
_SILENT: Final = 0.060
_FADE_IN: Final = 0.004  # of good sound after a loss of 10 ms, and as much more for each further 10
_LONGEST_FADE_IN: Final = 0.010


class Concealer:
    """For one stream of mono samples at ``rate`` [Hz]."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._shortest, self._longest = round(_SHORTEST * rate), round(_LONGEST * rate)
        self._window, self._step = round(_WINDOW * rate), round(_STEP * rate)
        self._past = np.zeros(self._window + (_PERIODS + 1) * self._longest, np.float32)
        self._made = 0  # samples in a row
        self._period = 0
        self._source = self._past  # what came before the loss
        self._offset = np.float32(0)  # the step at the joint

    def heard(self, wave: Wave) -> Wave:
        """The next good samples; after made-up ones the two are cross-faded."""
        if self._made and len(wave):
            wave = self._fade_in(wave)
        self._made = 0
        self._keep(wave)
        return wave

    def make_up(self, count: int) -> Wave:
        """``count`` samples that follow what was heard or made up last."""
        if not self._made:
            self._begin()
        wave = self._carry_on(count)
        self._made += count
        self._keep(wave)
        return wave

    def _begin(self) -> None:
        self._source = self._past
        self._period = self._find_period()
        self._offset = self._past[-1] - self._past[-1 - self._period]

    def _find_period(self) -> int:
        """The lag at which the last window resembles what came before it best."""
        last = self._past[-self._window :]
        before = self._past[-self._window - self._longest : -self._shortest]
        shifted = windows(before, self._window)
        energy = np.einsum("ij,ij->i", shifted, shifted)
        likeness = (shifted @ last) / np.sqrt(energy + 1.0)
        return self._longest - int(np.argmax(likeness))

    def _carry_on(self, count: int) -> Wave:
        """The sound from ``_made`` on, at the level that it then has."""
        wave = np.zeros(count, np.float32)
        if self._made >= _SILENT * self._rate:
            return wave
        moments = np.arange(self._made, self._made + count)
        for periods in range(1, _PERIODS + 1):
            share = self._share(periods, moments)
            if share.any():
                wave += share * self._cycle(periods)[moments % (periods * self._period)]
        wave += self._offset * np.clip(1 - (moments + 1) / self._quarter, 0, 1).astype(np.float32)
        gain = np.clip((_SILENT * self._rate - moments) / ((_SILENT - _STEP) * self._rate), 0, 1)
        faded: Wave = wave * gain.astype(np.float32)
        return faded

    @property
    def _quarter(self) -> int:
        return self._period // 4

    def _share(self, periods: int, moments: np.typing.NDArray[np.intp]) -> Wave:
        """How much of the sound repeats so many periods: one after the other, cross-faded in a quarter of a period."""
        risen = np.clip((moments - (periods - 1) * self._step) / self._quarter, 0, 1) if periods > 1 else np.ones(len(moments))
        fallen = np.clip((moments - periods * self._step) / self._quarter, 0, 1) if periods < _PERIODS else np.zeros(len(moments))
        return (risen - fallen).astype(np.float32)

    def _cycle(self, periods: int) -> Wave:
        """The last periods before the loss, in the phase of a single one, with an end that flows into their beginning."""
        length, quarter = periods * self._period, self._quarter
        cycle: Wave = self._source[-length:].copy()
        rise = np.linspace(0, 1, quarter + 1, dtype=np.float32)[1:]
        cycle[-quarter:] += rise * (self._source[-length - quarter : -length] - cycle[-quarter:])
        return cycle

    def _fade_in(self, wave: Wave) -> Wave:
        fade = _FADE_IN * max(1.0, self._made / self._rate / 0.010)
        count = min(len(wave), round(min(fade, _LONGEST_FADE_IN) * self._rate))
        rise = np.linspace(0, 1, count + 2, dtype=np.float32)[1:-1]
        made_up = self._carry_on(count)
        faded = wave.copy()
        faded[:count] = made_up + rise * (wave[:count] - made_up)
        return faded

    def _keep(self, wave: Wave) -> None:
        self._past = np.concatenate([self._past, wave])[-len(self._past) :]
