"""A stream that has stopped, and the pauses that are none: on a clock that is set by hand."""

import pytest

from sinchphone.audio.stream_watch import PAUSE_SECONDS, REPORTS_SECONDS, StreamWatch


def talking(until: float = 10.0, *, may_pause: bool = True, reports: bool = True) -> StreamWatch:
    watch = StreamWatch(may_pause=may_pause)
    watch.expect(0.0, wanted=True)
    for tick in range(round(until * 50)):
        watch.came(tick / 50)
    if reports:
        watch.reported(until)
    return watch


def test_a_stream_that_stops_is_missing_from_its_last_packet_on_and_no_more_when_it_comes_back() -> None:
    watch = talking(10.0)
    assert watch.silent_s(10.0) == pytest.approx(0.02)
    assert not watch.is_missing(10.3)
    assert watch.silent_s(13.0) == pytest.approx(3.02)
    assert watch.is_missing(13.0)
    watch.came(13.0)
    assert watch.silent_s(13.0) == 0
    assert not watch.is_missing(13.1)


def test_a_stream_that_never_begins_is_missing_from_when_it_ought_to_have_come() -> None:
    watch = StreamWatch(may_pause=True)
    assert watch.silent_s(5.0) is None, "nothing was agreed on"
    watch.expect(5.0, wanted=True)
    watch.expect(6.0, wanted=True)
    assert watch.silent_s(7.0) == 2.0
    assert watch.is_missing(5.1), "nothing is passed on in its place"


def test_who_holds_need_not_send_and_after_it_has_time_to_begin() -> None:
    watch = talking(10.0)
    watch.expect(10.0, wanted=False)
    assert watch.silent_s(1000.0) is None
    assert not watch.is_missing(1000.0)
    watch.expect(1000.0, wanted=True)
    assert watch.silent_s(1000.5) == 0.5


@pytest.mark.parametrize("reports", [True, False])
def test_comfort_noise_is_a_pause_until_sound_comes(reports: bool) -> None:
    watch = talking(10.0, reports=reports)
    watch.came(10.0, rests=True)
    assert watch.silent_s(25.0) is None
    watch.came(25.0)
    assert watch.silent_s(27.0) == 2.0


def test_a_pause_of_somebody_whose_reports_stop_too_is_none() -> None:
    watch = talking(10.0)
    watch.came(10.0, rests=True)
    assert watch.silent_s(10.0 + REPORTS_SECONDS + 1) == REPORTS_SECONDS + 1


def test_who_paused_without_a_word_before_is_known_to_pause_as_long_as_its_reports_come() -> None:
    watch = talking(10.0)
    assert watch.silent_s(12.0) is not None, "the first time nobody can know"
    watch.came(12.0, resumed=True)
    watch.came(12.02)
    for now in (13.0, 18.0, 23.0, 28.0):
        watch.reported(now)
        assert watch.silent_s(now) is None
    assert watch.silent_s(28.0 + REPORTS_SECONDS + 0.1) is not None


def test_without_reports_a_pause_without_a_word_is_always_told() -> None:
    watch = talking(10.0, reports=False)
    watch.came(12.0, resumed=True)
    assert watch.silent_s(14.0) == 2.0


def test_a_marker_without_a_pause_before_it_means_nothing() -> None:
    watch = talking(10.0)
    watch.came(10.0 + PAUSE_SECONDS / 2, resumed=True)
    assert watch.silent_s(12.0) is not None


def test_webrtc_peers_do_not_pause() -> None:
    """A terminal that was frozen goes on with the next number and a marker: that is no reason to trust the next time."""
    watch = talking(10.0, may_pause=False)
    watch.came(12.0, resumed=True, rests=True)
    assert watch.silent_s(14.0) == 2.0
