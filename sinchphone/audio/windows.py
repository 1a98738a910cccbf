"""Overlapping pieces of a signal. numpy's ``sliding_window_view`` takes longer for it than what is then done with 20 ms of sound."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value", np.float32, np.float64)


def windows(signal: NDArray[Value], width: int, hop: int = 1) -> NDArray[Value]:
    """Pieces of ``width`` samples, each ``hop`` after the one before: rows that can only be read, and are the signal's own memory.

    ``signal`` has one dimension, and no gaps in memory. Raises TypeError or ValueError where it hasn't, or is shorter than ``width``.
    """
    step = signal.itemsize
    rows = np.ndarray((1 + (len(signal) - width) // hop, width), signal.dtype, signal, strides=(hop * step, step))
    rows.flags.writeable = False
    return rows
