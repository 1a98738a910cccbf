"""What the quick benchmark of sound makes of its tries, and what the long one plans: without a call."""

import pytest
import quality_plan as plan
import quality_rows as rows
from line import ALL
from quality_calls import LIBWEBRTC, OURS, SYSTEMS, Found
from quality_quick import Trial
from quality_run import first_sentence, free_numbers
from speech import Score

GOOD, BAD = Score(4.0, 60.0, 1.0, 0.0), Score(3.0, 60.0, 1.0, 0.0)
CLEAN, NARROW = LINES = ("clean", "narrow")


def row(line: str, ours: Score, *, disturbed: bool = False) -> rows.Row:
    systems = {OURS: Found([ours], 60.0, 0.0), LIBWEBRTC: Found([GOOD], 60.0, 0.0, disturbed)}
    return rows.Row(rows.Key("", "report", line, 1001, 1), systems)


def test_a_line_that_is_good_once_is_not_tried_again() -> None:
    trial = Trial(LINES)
    trial.push([row(CLEAN, GOOD), row(NARROW, BAD)])
    assert (trial.open, trial.red) == ([NARROW], [])
    trial.push([row(NARROW, GOOD)])
    assert (trial.open, trial.red) == ([], [])


def test_red_is_what_is_far_behind_three_times() -> None:
    trial = Trial(LINES)
    trial.push([row(CLEAN, GOOD), row(NARROW, BAD)])
    for _ in range(2):
        assert not trial.red
        trial.push([row(NARROW, BAD)])
    assert trial.red == [NARROW]


@pytest.mark.parametrize("said_nothing", [[row(NARROW, BAD, disturbed=True)], []], ids=["a disturbed call", "no call"])
def test_a_try_that_says_nothing_makes_nothing_red_and_nothing_good(said_nothing: list[rows.Row]) -> None:
    trial = Trial((NARROW,))
    for tried in ([row(NARROW, BAD)], said_nothing, [row(NARROW, BAD)]):
        trial.push(tried)
    assert (trial.open, trial.red) == ([NARROW], [])


def test_a_full_table_with_three_seeds_and_all_peers_fits_in_two_hours() -> None:
    keys = plan.keys("", "report", [each.name for each in ALL], 3, 3)
    assert {key.line for key in keys} == {each.name for each in ALL}
    assert sum(plan.seconds(key, SYSTEMS, 3, spoken_s=20.5) for key in keys) < 2 * 3600


def test_rows_that_a_limit_leaves_out_are_named() -> None:
    keys = plan.keys("", "report", ["clean", "music"], 2, 1)
    told = plan.told(keys, SYSTEMS, 3, minutes=3.0, spoken_s=lambda _: 20.0)
    assert "3 rows, 3 minutes" in told
    assert "1 are left out: music, 1002." in told


def test_each_seed_says_other_sentences_as_far_as_there_are_more() -> None:
    keys = plan.keys("", "report", ["clean"], 3, 3)
    assert [first_sentence(key) for key in keys] == [0, 3, 0]


def test_a_call_of_three_minutes_is_made_with_one_seed() -> None:
    keys = plan.keys("", "report", ["clean", "clocks 200 ppm apart, 3 minutes"], 3, 3)
    assert [key.line for key in keys] == ["clean", "clocks 200 ppm apart, 3 minutes", "clean", "clean"]


def test_two_runs_at_the_same_time_have_hosts_of_their_own() -> None:
    with free_numbers(6) as one, free_numbers(3) as other:
        assert (len(one), len(other)) == (6, 3)
        assert not set(one) & set(other)
