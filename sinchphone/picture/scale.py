"""Pictures made smaller, for terminals: each sample is the mean of those that it stands for; and which size fits into which."""

import numpy as np
from numpy.typing import NDArray

from sinchphone.picture.frame import Colours, Picture, Plane, to_colours


def fitted(width: int, height: int, most_width: int, most_height: int, aspect: float = 1.0) -> tuple[int, int]:
    """The largest size of the same shape that fits, at least 1 x 1. ``aspect``: how much higher than wide a sample is over there."""
    scale = min(most_width / width, most_height * aspect / height)
    return max(1, round(width * scale)), max(1, round(height * scale / aspect))


def shrunk(picture: Picture, width: int, height: int) -> Colours:
    """The picture in RGB, of exactly that size."""
    blue, red = picture.differences
    return to_colours(*(_mean(plane, width, height) for plane in (picture.brightness, blue, red)))


def inset(under: Colours, over: Colours) -> Colours:
    """``over`` in the lower right corner of ``under``, cut where it's larger."""
    rows, columns = min(under.shape[0], over.shape[0]), min(under.shape[1], over.shape[1])
    both = under.copy()
    both[under.shape[0] - rows :, under.shape[1] - columns :] = over[:rows, :columns]
    return both


def _mean(plane: Plane, width: int, height: int) -> Plane:
    rows, columns = _edges(plane.shape[0], height), _edges(plane.shape[1], width)
    sums = np.add.reduceat(np.add.reduceat(plane, rows, axis=0, dtype=np.uint32), columns, axis=1)
    counts = np.outer(_counts(rows, plane.shape[0]), _counts(columns, plane.shape[1]))
    return (sums // counts).astype(np.uint8)


def _edges(size: int, wanted: int) -> NDArray[np.intp]:
    return np.minimum(np.arange(wanted) * size // wanted, size - 1)


def _counts(edges: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Samples from each edge to the next; reduceat takes one where both are the same."""
    return np.maximum(np.diff(edges, append=size), 1)
