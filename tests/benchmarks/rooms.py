"""Impulse responses of rooms, by mirror images of the loudspeaker (Allen & Berkley 1979), without chance."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sinchphone.audio.frame import RATE

SPEED = 343.0  # of sound [m/s]
LOWEST = 120.0  # of a small loudspeaker [Hz]
_SABINE = 24 * math.log(10) / SPEED


@dataclass(frozen=True)
class Room:
    """A box with walls that are all alike, a loudspeaker and a microphone on a table [m]; a wall sends back the share that makes RT60
    ``decay_s``."""

    decay_s: float
    size: tuple[float, float, float] = (5.1, 3.7, 2.6)
    loudspeaker: tuple[float, float, float] = (2.31, 1.63, 0.79)
    microphone: tuple[float, float, float] = (2.62, 1.87, 0.83)

    @property
    def reflection(self) -> float:
        """Of the pressure, after Eyring."""
        length, width, height = self.size
        surface = 2 * (length * width + length * height + width * height)
        return math.exp(-_SABINE * length * width * height / (2 * surface * self.decay_s))

    def response(self) -> NDArray[np.float64]:
        """What the microphone hears of an impulse, from the moment on at which the sound leaves the loudspeaker, for RT60; of energy 1."""
        samples = round(self.decay_s * RATE)
        reach = SPEED * self.decay_s
        axes = [_images(*axis, reach) for axis in zip(self.size, self.loudspeaker, self.microphone, strict=True)]
        response = np.zeros(samples + 2)
        (across, bounces_x), (along, bounces_y), (up, bounces_z) = axes
        flat, bounces = across[:, None] ** 2 + along**2, bounces_x[:, None] + bounces_y
        for height, more in zip(up, bounces_z, strict=True):
            distance = np.sqrt(flat + height**2)
            near = distance < SPEED * samples / RATE
            at = distance[near] / SPEED * RATE
            pressure = self.reflection ** (bounces[near] + more) / distance[near]
            whole = at.astype(int)
            for offset, share in ((0, 1 - (at - whole)), (1, at - whole)):
                response += np.bincount(whole + offset, pressure * share, len(response))[: len(response)]
        response = _without_standing_pressure(response[:samples])
        return response / math.sqrt(float(np.dot(response, response)))


def _without_standing_pressure(response: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mirror images alone pile up into a pressure that no loudspeaker makes: below LOWEST it is cut."""
    size = 2 * len(response)
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    passed: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(response, size) * frequencies / (frequencies - 1j * LOWEST), size)[
        : len(response)
    ]
    return passed


def _images(size: float, source: float, listener: float, reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far the images are along one axis, and how many walls each has met."""
    count = math.ceil(reach / (2 * size)) + 1
    order = np.arange(-count, count + 1)
    straight, mirrored = 2 * order * size + source - listener, 2 * order * size - source - listener
    return np.concatenate([straight, mirrored]), np.concatenate([np.abs(2 * order), np.abs(2 * order - 1)]).astype(float)
