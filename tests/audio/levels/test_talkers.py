"""Who of many speaks."""

import math

from sinchphone.audio.levels.talkers import ADVANTAGE_DB, HANGOVER_SECONDS, TALKERS, Talkers

LOUD, NOISE = -20.0, -65.0
PAUSE = round(HANGOVER_SECONDS / 0.020)


def test_who_is_over_the_threshold_speaks_at_once_and_noise_does_not() -> None:
    talkers: Talkers[str] = Talkers()
    assert talkers.choose({"ada": LOUD, "bob": NOISE, "carol": -math.inf}) == {"ada"}


def test_pauses_between_words_do_not_take_the_floor_away() -> None:
    talkers: Talkers[str] = Talkers()
    talkers.choose({"ada": LOUD})
    assert all(talkers.choose({"ada": NOISE}) == {"ada"} for _ in range(PAUSE - 1))
    assert talkers.choose({"ada": NOISE}) == frozenset()


def test_eight_are_heard_at_once_and_of_more_the_loudest() -> None:
    talkers: Talkers[int] = Talkers()
    assert talkers.choose(dict.fromkeys(range(TALKERS), LOUD)) == set(range(TALKERS))
    louder = dict.fromkeys(range(TALKERS), LOUD) | {99: LOUD + ADVANTAGE_DB + 1}
    assert 99 in talkers.choose(louder)
    assert len(talkers.choose(louder)) == TALKERS


def test_who_speaks_already_is_not_pushed_out_by_who_is_as_loud() -> None:
    talkers: Talkers[int] = Talkers()
    first = talkers.choose(dict.fromkeys(range(TALKERS), LOUD))
    both = dict.fromkeys(range(2 * TALKERS), LOUD)
    assert all(talkers.choose(both) == first for _ in range(100))


def test_a_word_of_somebody_loud_does_not_silence_others_for_longer_than_it_lasts() -> None:
    talkers: Talkers[int] = Talkers(most=2)
    talkers.choose({0: LOUD, 1: LOUD, 2: 0.0})
    frames = 0
    while not {0, 1} <= talkers.choose({0: LOUD, 1: LOUD, 2: NOISE}):
        frames += 1
        assert frames <= PAUSE


def test_who_left_is_forgotten() -> None:
    talkers: Talkers[str] = Talkers()
    talkers.choose({"ada": LOUD})
    talkers.choose({})
    assert talkers.choose({"ada": NOISE}) == frozenset()
