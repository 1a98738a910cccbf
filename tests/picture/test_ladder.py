"""What a bit rate pays for: sizes and rates that follow it, downwards at once, upwards with patience."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.picture.ladder import LEAST_BITRATE, PictureLadder


@pytest.mark.parametrize(
    ("bitrate", "size", "rate"),
    [
        (20_000, (160, 90), 5.0),
        (70_000, (320, 180), 7.5),
        (100_000, (320, 180), 15.0),
        (130_000, (480, 270), 15.0),
        (200_000, (640, 360), 15.0),
        (9e6, (640, 360), 15.0),
    ],
)
def test_more_bits_are_a_larger_picture_up_to_that_of_the_source(bitrate: float, size: tuple[int, int], rate: float) -> None:
    setting = PictureLadder(640, 360, 15.0).follow(bitrate, 0.0)
    assert setting is not None
    assert ((setting.width, setting.height), setting.rate) == (size, rate)


def test_with_too_few_bits_there_is_no_picture() -> None:
    assert PictureLadder(640, 360, 15.0).follow(LEAST_BITRATE - 1, 0.0) is None


def test_a_fall_counts_at_once_and_a_rise_after_a_while_and_little_changes_nothing() -> None:
    ladder = PictureLadder(640, 360, 15.0)
    begun = ladder.follow(500_000, 0.0)
    assert ladder.follow(510_000, 10.0) is begun
    fallen = ladder.follow(100_000, 10.1)
    assert fallen is not None and fallen.height == 180
    assert ladder.follow(125_000, 11.0) is fallen
    risen = ladder.follow(125_000, 13.2)
    assert risen is not None and risen.bitrate == 125_000


@given(st.lists(st.tuples(st.floats(0, 5e6), st.floats(0, 5)), max_size=40), st.integers(16, 2000), st.integers(16, 2000))
def test_whatever_comes_sides_are_even_and_no_more_is_spent_than_there_is(
    steps: list[tuple[float, float]], width: int, height: int
) -> None:
    ladder, now = PictureLadder(width, height, 30.0), 0.0
    for bitrate, wait in steps:
        now += wait
        setting = ladder.follow(bitrate, now)
        if setting is not None:
            assert not setting.width % 2 and not setting.height % 2
            assert setting.width <= width + 1 and setting.bitrate <= max(bitrate * 1.2, 1)
