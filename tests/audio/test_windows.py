"""Overlapping pieces of a signal."""

import numpy as np
import pytest

from sinchphone.audio.windows import windows

SIGNAL = np.arange(20, dtype=np.float32)


@pytest.mark.parametrize(("width", "hop", "starts"), [(20, 1, [0]), (18, 1, [0, 1, 2]), (8, 5, [0, 5, 10]), (5, 5, [0, 5, 10, 15])])
def test_each_begins_a_hop_later_and_all_that_fit_are_there(width: int, hop: int, starts: list[int]) -> None:
    assert windows(SIGNAL, width, hop).tolist() == [SIGNAL[start : start + width].tolist() for start in starts]


def test_they_are_of_the_same_kind_as_the_signal_and_cannot_be_written_to() -> None:
    pieces = windows(SIGNAL[3:].astype(np.float64), 4)
    assert pieces.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        pieces[0, 0] = 1


@pytest.mark.parametrize("signal", [SIGNAL[:4], SIGNAL[::2]])
def test_what_has_none_is_refused(signal: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    with pytest.raises((TypeError, ValueError)):
        windows(signal, 6)
