"""The test picture says which one it is, after scaling and noise too, and nothing where it can't be read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.picture.bar_code import PictureCode, draw_code, read_code
from sinchphone.picture.frame import Picture, black


@settings(max_examples=20, deadline=None)
@given(st.integers(0, (1 << 24) - 1), st.integers(0, 255))
def test_a_picture_is_recognised(number: int, source: int) -> None:
    code = PictureCode(number, source)
    assert read_code(draw_code(code, 320, 180)) == code


@pytest.mark.parametrize("size", [(160, 90), (320, 240), (426, 240), (1280, 720)])
def test_a_picture_with_noise_is_recognised_in_any_size(size: tuple[int, int]) -> None:
    code = PictureCode(70_123, 3)
    picture = draw_code(code, *size)
    noise = np.random.default_rng(1).normal(0, 30, picture.planes.shape)
    assert read_code(Picture(np.clip(picture.planes + noise, 0, 255).astype(np.uint8))) == code


def test_what_is_no_test_picture_is_not_taken_for_one() -> None:
    rng = np.random.default_rng(2)
    assert read_code(black(640, 360)) is None
    assert read_code(black(16, 8)) is None
    assert all(read_code(Picture(rng.integers(0, 256, (540, 640), np.uint8))) is None for _ in range(5))
    torn = draw_code(PictureCode(5, 1), 640, 360)
    torn.planes[:130, 320:] = draw_code(PictureCode(6, 1), 640, 360).planes[:130, 320:]
    assert read_code(torn) is None


def test_each_picture_differs_from_the_one_before_in_many_places() -> None:
    first, second = (draw_code(PictureCode(number, 1), 320, 180).planes.astype(int) for number in (1, 2))
    assert (np.abs(first - second) > 3).mean() > 0.2
