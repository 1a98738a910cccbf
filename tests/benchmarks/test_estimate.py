"""The benchmark of what the phone says of its sound, short: two lines without PESQ, and the order of the scores."""

import estimate
import numpy as np
import pytest
from line import named
from speech import Speech
from test_virtual_call import babble

from sinchphone.audio.frame import RATE

SECONDS = 12


@pytest.fixture(scope="module")
def said() -> Speech:
    return Speech(babble(SECONDS), ((RATE, (SECONDS - 1) * RATE),))


@pytest.mark.parametrize("line", ["10 % in bursts of 3", "Wi-Fi"])
def test_what_the_phone_tells_of_its_sound_is_what_line_and_player_have_counted(said: Speech, line: str) -> None:
    found = estimate.measure(named(line), said, 1, judges=False)
    for told, counted in (found.loss_percent, found.jitter_ms, found.sent_kbps, found.received_kbps, found.concealed_percent):
        assert told == pytest.approx(counted, rel=0.05, abs=0.2)


def test_lines_that_are_worse_get_lower_scores(said: Speech) -> None:
    scores = [estimate.measure(named(line), said, 1, judges=False).mos for line in ("clean", "40 kbit/s, 5 %", "24 kbit/s, 5 %")]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 4 and scores[-1] < 3.5


def test_ranks_of_the_same_order_go_together_and_shared_places_are_shared() -> None:
    assert estimate.spearman([(1.0, 10.0), (2.0, 20.0), (3.0, 30.0)]) == pytest.approx(1)
    assert estimate.spearman([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]) == pytest.approx(-1)
    assert np.array_equal(estimate.ranks([5.0, 1.0, 5.0]), [1.5, 0.0, 1.5])
