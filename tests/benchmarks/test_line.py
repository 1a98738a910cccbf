"""The lines' own behaviour: narrow places that are shared, outages, what is lost besides sound, and that every line has one name."""

import pytest
from line import ALL, DELAY_S, Condition, Line, named
from tcp_flow import SEGMENT_BYTES, TcpFlow

FRAME_S = 0.02


def sent(condition: Condition, seconds: float, size: int = 100) -> list[tuple[float, float | None]]:
    """When each packet of a call was sent, and when it came."""
    line = Line(condition, 1)
    return [(number * FRAME_S, line.take(number, size, number * FRAME_S)) for number in range(int(seconds / FRAME_S))]


def test_no_two_lines_have_one_name_and_each_is_found_by_it() -> None:
    assert len({each.name for each in ALL}) == len(ALL)
    assert all(named(each.name) is each for each in ALL)


def test_all_is_lost_while_a_line_is_out_and_nothing_before_or_after() -> None:
    packets = sent(Condition("out", outages=((1.0, 0.5),)), 3.0)
    assert [at for at, arrival in packets if arrival is None] == [at for at, _ in packets if 1.0 <= at < 1.5]


def test_reports_are_lost_only_where_the_line_says_so() -> None:
    both, one = (Line(Condition("reports", loss=0.15, both_ways=ways), 1) for ways in (True, False))
    assert sum(both.loses_report() for _ in range(2000)) / 2000 == pytest.approx(0.15, abs=0.03)
    assert not any(one.loses_report() for _ in range(2000))


def test_a_tcp_flow_takes_what_a_line_has_left() -> None:
    free_at = 0.0

    def whole(size: int, at: float) -> float | None:
        nonlocal free_at
        begins = max(at, free_at)
        if begins - at > 0.3:
            return None
        free_at = begins + size * 8e-3 / 80
        return free_at

    flow = TcpFlow(whole, 2 * DELAY_S)
    for tick in range(3000):
        flow.run(tick * 0.01)
    assert flow.acknowledged * SEGMENT_BYTES * 8e-3 / 30 == pytest.approx(80, rel=0.15)


def test_sound_beside_a_tcp_flow_waits_behind_it_and_some_is_lost() -> None:
    alone, beside = (sent(Condition("narrow", kbps=((0.0, 80.0),), tcp=tcp), 30.0) for tcp in (False, True))
    waits = [sum(arrival - at - DELAY_S for at, arrival in each if arrival is not None) / len(each) for each in (alone, beside)]
    assert waits[0] < 0.02
    assert waits[1] > 0.1
    assert all(arrival is not None for _, arrival in alone)
    assert 0.0 < sum(arrival is None for _, arrival in beside) / len(beside) < 0.3
