"""The benchmark of what the phone says of its sound, short: some lines without PESQ, and the order of the scores."""

from dataclasses import fields

import estimate
import numpy as np
import pytest
from judged_call import Counted, JudgedCall
from line import Condition, named
from speech import Speech
from test_virtual_call import babble

from sinchphone.audio.frame import RATE

SECONDS = 8


@pytest.fixture(scope="module")
def said() -> Speech:
    return Speech(babble(SECONDS), ((RATE, (SECONDS - 1) * RATE),))


@pytest.mark.parametrize(
    "line", ["10 % in bursts of 3", "Wi-Fi", "5 % reordered by 45 ms", "24 kbit/s, queue 100 ms", "80 kbit/s beside TCP"]
)
def test_what_the_phone_tells_of_its_sound_is_what_line_and_ear_have_counted(said: Speech, line: str) -> None:
    found = estimate.figures(named(line), said, 1)
    for field in fields(found):
        told, counted = getattr(found, field.name)
        assert told == pytest.approx(counted, rel=0.05, abs=0.2), field.name


def test_lines_that_are_worse_get_lower_scores(said: Speech) -> None:
    lines = ("clean", "40 kbit/s, 5 %", "24 kbit/s, 5 %")
    scores = [estimate.mos(listened(named(line), said), said) for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 4 and scores[-1] < 3.5


def test_the_score_falls_while_nothing_arrives_and_the_longer_the_more(said: Speech) -> None:
    outages = [listened(Condition(f"out for {seconds} s", outages=((2.0, seconds),)), said) for seconds in (0.0, 1.0, 4.0)]
    scores = [estimate.mos(call, said) for call in outages]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[1] > 0.3 and scores[1] - scores[2] > 0.5
    by_second = dict(outages[-1].scores)
    assert [by_second[second] for second in (4.0, 5.0, 6.0)] == pytest.approx([1.0, 1.0, 1.0], abs=0.1)
    assert by_second[8.0] > 3.5


def listened(line: Condition, said: Speech) -> JudgedCall:
    call = JudgedCall(line, 1, marked=False)
    call.listen(said.sound)
    return call


def test_others_count_new_packets_alone_and_their_jitter_in_the_order_of_arrival() -> None:
    counted = Counted()
    for number, arrives in ((0, 0.02), (1, None), (2, 0.07), (1, 0.11), (3, 0.10)):
        counted.sent(number, 0.02 * number, 0.02 * number, arrives, 100)
    for number, now in ((0, 0.02), (2, 0.07), (3, 0.10), (1, 0.11)):
        counted.arrived(number, now, 100)
    assert counted.loss() == pytest.approx(1 / 4)
    assert counted.jitter_ms == pytest.approx(10 / 16 * 15 / 16 + 10 / 16)
    assert counted.fastest_ms(0.12) == pytest.approx(20)
    assert (counted.octets, counted.arrived_octets) == (500, 400)


def test_ranks_of_the_same_order_go_together_and_shared_places_are_shared() -> None:
    assert estimate.spearman([(1.0, 10.0), (2.0, 20.0), (3.0, 30.0)]) == pytest.approx(1)
    assert estimate.spearman([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]) == pytest.approx(-1)
    assert np.array_equal(estimate.ranks([5.0, 1.0, 5.0]), [1.5, 0.0, 1.5])
