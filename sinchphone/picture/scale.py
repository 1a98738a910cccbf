"""Pictures beside pictures: which size fits into which, and one in the corner of another."""

from sinchphone.picture.frame import Colours


def fitted(width: int, height: int, most_width: int, most_height: int) -> tuple[int, int]:
    """The largest size of the same shape that fits, at least 1 x 1."""
    scale = min(most_width / width, most_height / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def inset(under: Colours, over: Colours) -> Colours:
    """``over`` in the lower right corner of ``under``, cut where it's larger."""
    rows, columns = min(under.shape[0], over.shape[0]), min(under.shape[1], over.shape[1])
    both = under.copy()
    both[under.shape[0] - rows :, under.shape[1] - columns :] = over[:rows, :columns]
    return both
