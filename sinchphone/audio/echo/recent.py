"""The last samples, or the last spectra, as one piece of memory: nothing is moved but once in a long while, and nothing allocated. Pure."""

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", np.float32, np.complex64)


class RecentSamples:
    """The last so many, oldest first; zeros before the first one."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self._memory = np.zeros(2 * samples + 1, np.float32)
        self._end = samples

    def push(self, block: NDArray[np.float32]) -> None:
        """Behind the last."""
        block = block[-self.samples :]
        if self._end + len(block) > len(self._memory):
            kept = self.samples - len(block)
            self._memory[:kept] = self._memory[self._end - kept : self._end].copy()
            self._end = kept
        self._memory[self._end : self._end + len(block)] = block
        self._end += len(block)

    @property
    def all(self) -> NDArray[np.float32]:
        """A view, until the next push."""
        return self._memory[self._end - self.samples : self._end]


class RecentRows(Generic[T]):
    """The last so many arrays of one shape, newest first; zeros before the first one."""

    def __init__(self, rows: int, shape: tuple[int, ...], kind: type[T]) -> None:
        self._rows = rows
        self._memory: NDArray[T] = np.zeros((4 * rows, *shape), kind)
        self._begin = 3 * rows

    def push(self, row: NDArray[T]) -> None:
        """In front of all."""
        if not self._begin:
            kept = self._rows - 1
            self._begin = len(self._memory) - kept
            self._memory[self._begin :] = self._memory[:kept]
        self._begin -= 1
        self._memory[self._begin] = row

    def replace(self, rows: NDArray[T]) -> None:
        """All of them."""
        self.all[:] = rows

    @property
    def all(self) -> NDArray[T]:
        """A view, until the next push."""
        return self._memory[self._begin : self._begin + self._rows]
