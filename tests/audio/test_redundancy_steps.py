"""What makes the redundancy take a step, report by report and request by request."""

import pytest

from sinchphone.audio.redundancy import RedundancyController


def after(*reports: float) -> RedundancyController:
    """One second between two."""
    redundancy = RedundancyController(fec=True, red=True)
    for second, lost in enumerate(reports):
        redundancy.reported(lost, float(second))
    return redundancy


@pytest.mark.parametrize(("before", "protects"), [(0.02, True), (0.0, False)])
def test_the_codecs_own_correction_stays_for_loss_that_alone_would_not_bring_it(before: float, protects: bool) -> None:
    redundancy = after(*[before] * 10, *[0.008] * 60)
    assert redundancy.loss == pytest.approx(0.008, abs=0.0005)
    assert (redundancy.setting.fec_percent > 0) == protects


@pytest.mark.parametrize(("then", "seconds"), [(0.15, 4), (0.05, 15)])
def test_copies_are_back_at_once_where_giving_them_up_did_not_help(then: float, seconds: int) -> None:
    """The line is just bad; else they are held back for a while."""
    redundancy, without = after(*[0.0] * 9, 0.07), 0
    assert redundancy.setting.copies == 1
    now = 9.0
    while redundancy.setting.copies:
        now += 1.0
        redundancy.reported(0.15, now)
        assert now < 20
    while not redundancy.setting.copies:
        now, without = now + 1.0, without + 1
        redundancy.reported(then, now)
        assert without <= 30
    assert without == seconds


@pytest.mark.parametrize(("packets", "copies"), [(4, 1), (5, 2)])
def test_one_more_copy_does_not_wait_for_a_report_where_five_packets_are_asked_for_within_two_seconds(packets: int, copies: int) -> None:
    redundancy = after(*[0.05] * 10)
    for packet in range(packets):
        redundancy.requested(1, 9.1 + 0.1 * packet)
    assert redundancy.setting.copies == copies


@pytest.mark.parametrize(("packets", "copies"), [(3, 1), (4, 2)])
def test_few_packets_that_are_asked_for_are_no_reason_for_another_copy_however_soon_the_report_comes(packets: int, copies: int) -> None:
    redundancy = after(*[0.05] * 10)
    redundancy.requested(packets, 9.2)
    redundancy.reported(0.05, 9.3)
    assert redundancy.setting.copies == copies
