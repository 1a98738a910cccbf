"""How long the sound waits for pictures, on a line whose sound has the delay that it is told to have."""

from sinchphone.media.video.lip_sync import LipSync

NATURAL_S = 0.030  # that the sound has anyway


def follow(lips: LipSync, picture_s: float, seconds: float, began: float = 0.0) -> float:
    """How far lips and voice are apart at last, where pictures are ready ``picture_s`` after they could be heard."""
    apart = 0.0
    for number in range(round(seconds * 15)):
        delay = max(NATURAL_S, lips.delay)
        apart = picture_s - delay
        lips.frame(apart, delay, began + number / 15)
        lips.expire(began + (number + 0.5) / 15)
    return apart


def test_sound_is_not_delayed_where_pictures_come_before_it() -> None:
    lips = LipSync()
    follow(lips, 0.020, 5.0)
    assert lips.delay == 0.0


def test_sound_waits_for_pictures_that_are_late_and_no_longer_once_they_are_not() -> None:
    lips = LipSync()
    assert abs(follow(lips, 0.300, 3.0)) < 0.080
    assert abs(lips.delay - 0.300) < 0.030
    follow(lips, 0.020, 3.0, began=3.0)
    assert lips.delay < 0.080


def test_a_single_late_picture_delays_nothing() -> None:
    lips = LipSync()
    for number in range(45):
        lips.frame(0.5 if number % 15 == 7 else -0.01, NATURAL_S, number / 15)
    assert lips.delay == 0.0


def test_sound_waits_no_longer_than_people_can_talk_with() -> None:
    lips = LipSync()
    follow(lips, 2.0, 5.0)
    assert lips.delay == 0.400


def test_sound_does_not_wait_for_pictures_that_have_ended() -> None:
    lips = LipSync()
    follow(lips, 0.300, 3.0)
    lips.expire(4.0)
    assert lips.delay > 0
    lips.expire(9.0)
    assert lips.delay == 0.0
