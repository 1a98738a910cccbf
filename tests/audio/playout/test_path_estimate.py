"""How long to wait for what fills a hole: forward error correction comes sooner than what is sent again, and is waited for alone."""

import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE
from sinchphone.audio.path_estimate import PathEstimate

FRAME_S = FRAME_SAMPLES / RATE
SENT_AGAIN = 0.070  # [s] after its time


@pytest.mark.parametrize(("corrected", "least", "most"), [(False, 0.070, 0.085), (True, 0.030, 0.045)])
def test_what_is_sent_again_is_waited_for_where_nothing_else_mends(corrected: bool, least: float, most: float) -> None:
    path = PathEstimate()
    for frame in range(400):
        now = frame * FRAME_S
        if frame % 10 == 5:
            path.missed(1)
            continue
        path.arrived(frame * FRAME_SAMPLES, now)
        path.received()
        if corrected:
            path.redundant(FRAME_S, now)
        if frame % 10 == 9:
            path.mended((frame - 4) * FRAME_SAMPLES, (frame - 4) * FRAME_S + SENT_AGAIN)
    assert least <= path.target <= most
