"""What is lost in a queue of ours isn't the line's, and nothing is padded where all that is sent has a limit without room for it."""

import pytest

from sinchphone.media.legs.path_control import PathControl
from sinchphone.protocol.rtp.packet import ReportBlock, padding_bytes
from tests.media.legs.test_outbound import LossyWire
from tests.media.legs.test_path_control import EXTENSION, sound


@pytest.mark.parametrize(("behind", "ours"), [(0, False), (15, True)])
def test_loss_counts_as_the_lines_unless_packets_fall_out_of_a_queue_of_ours(behind: int, ours: bool) -> None:
    """``behind`` packets are under way when the peer reports."""
    wire = LossyWire()
    for second, loss in enumerate([0.0, 0.0, *[0.08] * 4]):
        wire.talk(50)
        block = ReportBlock(7, round(256 * loss), 10, wire.sent[-1 - (behind if second > 1 else 0)].sequence, 0, 0, 0)
        wire.path.reported(block, None)
        wire.out.adapt(block)
    assert (wire.out._redundancy.loss == 0.0) == ours


@pytest.mark.parametrize(("limit", "padded"), [(None, True), (200, True), (58, False)])
def test_packets_are_padded_to_tell_how_fast_the_path_is_where_the_limit_has_room_for_that(limit: int | None, padded: bool) -> None:
    """Of sound that takes some 50 kbit/s."""
    now, paddings = 100.0, []
    path = PathControl(lambda packet: True, max_kbps=limit, clock=lambda: now)
    path.agree(EXTENSION)
    for frame in range(250):
        packet = path.pad(sound(frame, 60))
        paddings.append(padding_bytes(packet))
        path.send(packet)
        now += 0.020
    assert (max(paddings[50:]) > 0) == padded
