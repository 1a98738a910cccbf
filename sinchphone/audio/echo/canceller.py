"""Removes a loudspeaker's echo from what a microphone hears. Pure.

::

    played  -> history -> loudspeaker's curve -> room's filter ─┐ echo
    captured ──> rumble cut ───────────────────────────────> minus ──> suppressor of what is left -> sent
                     └──> delay search, drift loop: where in the history to read

Blocks of 20 ms; what is sent is 2 ms late. Where devices jump, what is known of the room stays, and is read elsewhere in the history; where
their clocks drift apart, the history is read at the loudspeaker's rate.
"""

from typing import Final

import numpy as np

from sinchphone.audio.echo.delay import DelaySearch, DriftLoop
from sinchphone.audio.echo.loudspeaker import LoudspeakerCurve
from sinchphone.audio.echo.recent import RecentSamples
from sinchphone.audio.echo.residual import ResidualSuppressor
from sinchphone.audio.echo.room_filter import RoomFilter
from sinchphone.audio.echo.spectra import BLOCK, SIZE, Spectrum, Wave, block_spectrum, energy_of, transform
from sinchphone.audio.frame import RATE, Samples

_FULL: Final = np.float32(32_768)
_HISTORY: Final = 2 * RATE
_SLACK: Final = BLOCK // 2  # samples that may come in late: less than any device's delay
_MOST_WAITING: Final = RATE * 6 // 100  # beyond the slack: what was captured has a gap
_FAR: Final = RATE * 8 // 100  # a delay that takes up too much of the filter
_BEFORE: Final = RATE // 100  # of the filter, before what comes straight
_SAME: Final = 24  # samples: two searches have found the same
_SURE: Final = 5  # so often it is true, even if the filter doesn't fit there
_WRONG: Final = 0.2
_WRONG_BLOCKS: Final = 10
_FITS: Final = 0.5
_JUMP: Final = 96  # samples: less, the filter follows
_CUT_HZ: Final = 50.0  # twice


class PlayedSamples:
    """What was played last, by the number of its sample."""

    def __init__(self) -> None:
        self.count = 0
        self._samples = RecentSamples(_HISTORY)

    def push(self, samples: Wave) -> None:
        """Behind the last."""
        self._samples.push(samples)
        self.count += len(samples)

    def read(self, position: float, samples: int) -> Wave:
        """From there on, between samples too; silence for what isn't there."""
        begin = int(position // 1)
        share = np.float32(position - begin)
        first = begin - self.count + _HISTORY
        known = np.zeros(samples + 1, np.float32)
        low, high = max(first, 0), max(0, min(first + samples + 1, _HISTORY))
        if high > low:
            known[low - first : high - first] = self._samples.all[low:high]
        return known[:-1] if not share else known[:-1] * (1 - share) + known[1:] * share


class EchoCanceller:
    """One microphone's and one loudspeaker's."""

    def __init__(self) -> None:
        self.is_echo = False  # most of what was captured last
        self._history = PlayedSamples()
        self._position: float | None = None  # in the history, of the next block
        self._delay: int | None = None  # that the search has found: what the filter knows is so far back
        self._wrong = 0  # blocks, so far
        self._found: int | None = None  # by the last search,
        self._times = 0  # and as often before
        self._shift = 0  # samples by which the filter reads earlier, for devices that are late
        self._before = np.zeros(BLOCK, np.float32)
        self._cuts = HighPass(_CUT_HZ), HighPass(_CUT_HZ)
        self._loudspeaker, self._room, self._suppressor = LoudspeakerCurve(), RoomFilter(), ResidualSuppressor()
        self._search, self._drift = DelaySearch(), DriftLoop()

    def play(self, samples: Samples) -> None:
        """What the loudspeaker is given."""
        self._history.push(samples.astype(np.float32) / _FULL)

    def capture(self, block: Samples) -> Samples:
        """BLOCK samples that were heard; what is to be sent in their place."""
        position = self._next_position()
        heard = self._without_rumble(block.astype(np.float32) / _FULL)
        self._room.play(self._played_before(position))
        echo = self._follow(position, heard)
        left = heard - echo
        error = block_spectrum(left)
        self._room.learn(error)
        self._loudspeaker.learn(self._room.low_weights, left)
        expected = block_spectrum(echo)
        self._position = position + BLOCK + self._drift.push(error, expected)
        self.is_echo = energy_of(echo) > energy_of(left)
        self._doubt()
        sent = self._suppressor.push(left, error, expected) * _FULL
        samples: Samples = np.clip(np.rint(sent), -32_768, 32_767).astype(np.int16)
        return samples

    def _doubt(self) -> None:
        """Where much of the echo is left for a while, the room has changed, or somebody has moved: what is known of it counts little."""
        self._wrong = self._wrong + 1 if self._suppressor.left_over > _WRONG else 0
        if self._wrong >= _WRONG_BLOCKS:
            self._wrong = 0
            self._room.doubt()

    def _next_position(self) -> float:
        """Where what was played at the time of this block begins; it waits for a loudspeaker that has stopped, or not begun."""
        newest = self._history.count - BLOCK
        if self._position is None or self._position > newest:
            return float(newest - _SLACK if self._position is None else newest)
        return self._position if newest - self._position < _SLACK + _MOST_WAITING else float(newest - _SLACK)

    def _played_before(self, position: float) -> Spectrum:
        """The spectrum of the two blocks until the one at the position ends, as the loudspeaker plays them."""
        played = self._loudspeaker.play(self._history.read(position - self._shift, BLOCK))
        spectrum = transform(np.concatenate([self._before, played]))
        self._before = played
        return spectrum

    def _follow(self, position: float, heard: Wave) -> Wave:
        """The echo; where it is found at another delay than before, of what was played at that one."""
        echo = self._room.echo()
        found = self._search.push(self._history.read(position, BLOCK), heard)
        if found is None:
            return echo
        again = self._found is not None and abs(found - self._found) <= _SAME
        self._times = self._times + 1 if again else 0
        self._found = found
        if self._delay is None:
            if again:
                self._delay = found
                if found > _FAR:
                    return self._move((found - _BEFORE) // BLOCK, position)
        elif abs(found - self._delay) > _JUMP:
            shift = self._shift + found - self._delay
            spectra = self._spectra_at(position - shift)
            if self._room.suppose(spectra, heard, echo):
                self._shift, self._delay = shift, found
                return self._reread(spectra, position)
            if self._times >= _SURE and not 0 <= found - self._shift <= _FAR:
                self._delay = found
                return self._move((found - _BEFORE) // BLOCK - self._shift // BLOCK, position)
            if again and energy_of(heard - echo) > _FITS * energy_of(heard):  # the sound comes another way
                self._delay = found
                self._room.doubt()
        return echo

    def _move(self, blocks: int, position: float) -> Wave:
        """Let the filter begin so many blocks earlier in what was played; the echo from there."""
        self._shift += blocks * BLOCK
        self._room.move(blocks)
        return self._reread(self._spectra_at(position - self._shift), position)

    def _reread(self, spectra: Spectrum, position: float) -> Wave:
        self._room.replay(spectra)
        self._before = self._loudspeaker.plays(self._history.read(position - self._shift, BLOCK))
        return self._room.echo()

    def _spectra_at(self, position: float) -> Spectrum:
        """Of all blocks that the filter knows, newest first, if it read there."""
        blocks = self._room.partitions
        played = self._loudspeaker.plays(self._history.read(position - blocks * BLOCK, (blocks + 1) * BLOCK))
        return transform(np.lib.stride_tricks.sliding_window_view(played, SIZE)[::BLOCK][::-1])

    def _without_rumble(self, heard: Wave) -> Wave:
        for each in self._cuts:
            heard = each.push(heard)
        return heard


class HighPass:
    """Of first order: y(n) = a y(n - 1) + x(n) - x(n - 1), solved for a block at once."""

    def __init__(self, hertz: float) -> None:
        self._shrinks = np.exp(-2 * np.pi * hertz / RATE * np.arange(1, BLOCK + 1))
        self._grows = 1 / self._shrinks
        self._input = self._output = 0.0

    def push(self, block: Wave) -> Wave:
        """The next BLOCK samples."""
        steps = np.diff(block, prepend=np.float32(self._input))
        passed: Wave = (self._shrinks * (self._output + np.cumsum(steps * self._grows))).astype(np.float32)
        self._input, self._output = float(block[-1]), float(passed[-1])
        return passed
