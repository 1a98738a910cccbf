"""The benchmark of relays, short: what it measures still works, and no figure is far from where it belongs."""

import asyncio

import bridge
import pytest
from test_speed import at_best


def measured(*cases: str) -> dict[str, dict[str, bridge.Cost]]:
    return asyncio.run(bridge.measure(1, 2.0, {case: bridge.CASES[case] for case in cases}))


@pytest.mark.parametrize("case", ["RTP to RTP, passed", "RTP to WebRTC, passed", "RTP to RTP, PCMA"])
def test_a_relay_that_looks_at_no_sound_adds_next_to_nothing(case: str) -> None:
    """Half a millisecond to the round trip; the two laws of G.711 are a table."""

    def is_good(found: dict[str, dict[str, bridge.Cost]]) -> bool:
        return bridge.added_ms(found[case], bridge.OURS)[0] < 10 and found[case][bridge.OURS].heard > 0.9

    assert at_best(lambda: measured(case), lambda found: bridge.report(1, found), is_good)


def test_passing_takes_less_cpu_than_transcoding_which_waits_for_no_buffer() -> None:
    """A third, and 12 ms to the round trip."""
    passed, transcoded = "RTP to RTP, passed", "RTP to RTP, Opus"

    def is_good(found: dict[str, dict[str, bridge.Cost]]) -> bool:
        cheap, dear = (found[case][bridge.OURS] for case in (passed, transcoded))
        in_time = bridge.added_ms(found[transcoded], bridge.OURS)[0] < 40
        return cheap.leg_percent < 0.8 * dear.leg_percent and in_time and dear.heard > 0.9

    assert at_best(lambda: measured(passed, transcoded), lambda found: bridge.report(1, found), is_good)
