"""The one audio format inside the phone: 48 kHz, mono, int16; a frame is 20 ms, 960 samples."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE: Final = 48_000  # [Hz]
FRAME_SAMPLES: Final = 960
FRAME_SECONDS: Final = 0.020

Samples: TypeAlias = NDArray[np.int16]  # any length
Frame: TypeAlias = NDArray[np.int16]  # exactly FRAME_SAMPLES


def silence(samples: int = FRAME_SAMPLES) -> Samples:
    """``samples`` zeros, a new array each time."""
    return np.zeros(samples, np.int16)
