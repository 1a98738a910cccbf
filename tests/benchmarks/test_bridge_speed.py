"""The benchmark of relays, short: what it measures still works, and no figure is far from where it belongs."""

import asyncio
from collections.abc import Callable
from functools import cache
from itertools import count

import bridge
import pytest
from test_speed import at_best

Found = dict[str, dict[str, bridge.Cost]]

PASSED, TO_WEBRTC, TO_THE_OTHER_LAW, TRANSCODED = "RTP to RTP, passed", "RTP to WebRTC, passed", "RTP to RTP, PCMA", "RTP to RTP, Opus"


@cache
def measured(_: int) -> Found:
    """One of several measurements."""
    cases = (TRANSCODED, PASSED, TO_WEBRTC, TO_THE_OTHER_LAW)
    return asyncio.run(bridge.measure_at_once(2.0, {case: bridge.CASES[case] for case in cases}))


def is_good_at_best(is_good: Callable[[Found], bool]) -> bool:
    attempts = count()
    return at_best(lambda: measured(next(attempts)), lambda found: bridge.report(1, found), is_good)


@pytest.mark.parametrize("case", [PASSED, TO_WEBRTC, TO_THE_OTHER_LAW])
def test_a_relay_that_looks_at_no_sound_adds_next_to_nothing(case: str) -> None:
    """Half a millisecond to the round trip; the two laws of G.711 are a table."""
    assert is_good_at_best(lambda found: bridge.added_ms(found[case], bridge.OURS)[0] < 10 and found[case][bridge.OURS].heard > 0.9)


def test_passing_takes_less_cpu_than_transcoding_which_waits_for_no_buffer() -> None:
    """A third, and 12 ms to the round trip."""

    def is_good(found: Found) -> bool:
        cheap, dear = (found[case][bridge.OURS] for case in (PASSED, TRANSCODED))
        in_time = bridge.added_ms(found[TRANSCODED], bridge.OURS)[0] < 40
        return cheap.leg_percent < 0.8 * dear.leg_percent and in_time and dear.heard > 0.9

    assert is_good_at_best(is_good)
