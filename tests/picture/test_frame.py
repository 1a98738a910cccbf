"""The picture format: planes and sides."""

from sinchphone.picture.frame import black


def test_the_planes_are_those_that_codecs_know() -> None:
    picture = black(6, 4, taken_at=2.5)
    blue, red = picture.differences
    assert picture.planes.shape == (6, 6)
    assert (picture.brightness == 16).all() and (blue == 128).all() and (red == 128).all()
    assert blue.shape == red.shape == (2, 3)
    assert picture.taken_at == 2.5


def test_sides_are_even() -> None:
    assert (black(7, 5).width, black(7, 5).height) == (6, 4)
    assert (black(1, 1).width, black(1, 1).height) == (2, 2)
