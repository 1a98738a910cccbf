"""The redundancy on a virtual clock: what is spent on which line, and when it is taken back."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.redundancy import BITRATE, HEADER_BYTES, MAX_COPIES, RedundancyController, RedundancySetting

PACKETS = 50  # in a report's second


class Walk:
    """A redundancy and a line: ``loss`` of a setting is the share of packets that it loses there."""

    def __init__(
        self, loss: Callable[[RedundancySetting], float], *, fec: bool = True, red: bool = True, nack: bool = False, burst: int = 1
    ) -> None:
        self.redundancy = RedundancyController(fec=fec, red=red)
        self.settings: list[RedundancySetting] = []
        self.now = 0.0
        self.loss = loss
        self._nack = nack
        self._burst = burst
        self._dice = random.Random(3)

    def go(self, seconds: int) -> list[RedundancySetting]:
        """A report a second; the settings since."""
        begun = len(self.settings)
        for _ in range(seconds):
            self.now += 1.0
            lost = unmended = 0
            setting = self.redundancy.setting
            for _packet in range(PACKETS // self._burst):
                if self._dice.random() < self.loss(setting):
                    lost += self._burst
                    unmended += max(0, self._burst - setting.copies)
            if self._nack and unmended:
                self.redundancy.requested(unmended, self.now)
            self.redundancy.reported(min(1.0, lost / PACKETS), self.now)
            self.settings.append(self.redundancy.setting)
        return self.settings[begun:]


def test_a_clean_line_gets_the_best_sound_and_nothing_else() -> None:
    assert set(Walk(lambda _: 0.0).go(60)) == {RedundancySetting(BITRATE)}


def test_one_lost_packet_in_a_minute_changes_little() -> None:
    redundancy = RedundancyController(fec=True, red=True)
    for second in range(60):
        redundancy.reported(0.02 if second == 30 else 0.0, float(second))
        assert redundancy.setting.copies == 0


def test_a_little_loss_is_met_by_the_codec_alone() -> None:
    redundancy = RedundancyController(fec=True, red=True)
    for second in range(20):
        redundancy.reported(0.02, float(second))
    assert redundancy.setting == RedundancySetting(BITRATE, 0, 5)


def test_a_line_that_was_interrupted_for_a_moment_gets_neither_copies_nor_correction() -> None:
    redundancy = RedundancyController(fec=True, red=True)
    for second in range(20):
        redundancy.reported(0.6 if second == 10 else 0.0, float(second))
        assert redundancy.setting == RedundancySetting(BITRATE)


def test_a_line_that_loses_half_of_all_packets_is_believed_at_the_second_report() -> None:
    redundancy = RedundancyController(fec=True, red=True)
    redundancy.reported(0.5, 0.0)
    redundancy.reported(0.5, 1.0)
    assert redundancy.setting.copies == MAX_COPIES


@pytest.mark.parametrize(("loss", "copies"), [(0.05, {1}), (0.10, {1}), (0.25, {2, 3})])
def test_more_loss_is_met_by_copies_and_these_replace_the_codecs_own(loss: float, copies: set[int]) -> None:
    settled = Walk(lambda _: loss).go(40)[10:]
    assert {setting.copies for setting in settled} <= copies
    assert {setting.fec_percent for setting in settled} == {0}


def test_a_peer_without_copies_gets_the_codecs_own_correction_in_proportion() -> None:
    settled = Walk(lambda _: 0.10, red=False).go(40)[10:]
    assert {setting.copies for setting in settled} == {0}
    assert all(8 <= setting.fec_percent <= 25 for setting in settled)


def test_a_peer_that_takes_nothing_gets_plain_packets() -> None:
    assert set(Walk(lambda _: 0.2, fec=False, red=False).go(20)) == {RedundancySetting(BITRATE)}


def test_bursts_that_one_copy_does_not_mend_get_more() -> None:
    walk = Walk(lambda _: 0.10, nack=True, burst=3)
    walk.go(25)
    assert walk.redundancy.setting.copies >= 2
    alone = Walk(lambda _: 0.10, nack=True)
    alone.go(25)
    assert alone.redundancy.setting.copies == 1


def test_packets_asked_for_in_a_row_do_not_wait_for_the_next_report() -> None:
    redundancy = RedundancyController(fec=True, red=True)
    redundancy.requested(2, 0.3)
    assert redundancy.setting.copies == 0
    redundancy.requested(1, 0.4)
    assert redundancy.setting.copies == 1


def test_when_the_loss_is_over_everything_is_taken_back_and_no_sooner() -> None:
    walk = Walk(lambda _: 0.08)
    walk.go(20)
    walk.loss = lambda _: 0.0
    after = walk.go(60)
    assert after[2].copies == 1
    assert after[-1] == RedundancySetting(BITRATE)
    copies = [setting.copies for setting in after]
    assert copies == sorted(copies, reverse=True)


def narrow(setting: RedundancySetting) -> float:
    """A line of 90 kbit/s."""
    rate = setting.bitrate * (1 + setting.copies) + 22_000
    return 1 - (1 - 0.04) * min(1.0, 90_000 / rate)


def test_copies_that_make_a_narrow_line_worse_are_given_up() -> None:
    settings = Walk(narrow).go(120)
    assert max(setting.copies for setting in settings) >= 1
    assert sum(setting.copies > 0 for setting in settings) < 0.3 * len(settings)
    assert sum(setting.copies > 0 for setting in settings[60:]) < 0.15 * 60


def test_a_line_that_becomes_bad_by_itself_gets_its_copies_back() -> None:
    walk = Walk(lambda _: 0.04)
    walk.go(3)
    walk.loss = lambda _: 0.30
    assert all(setting.copies >= 1 for setting in walk.go(60)[20:])


def budgets(*kbps: float, red: bool = True, max_frames: int = 3, loss: float = 0.0) -> RedundancySetting:
    """The setting after these budgets, one each second, with so much loss."""
    redundancy = RedundancyController(fec=True, red=red, max_frames=max_frames)
    for second, each in enumerate(kbps):
        redundancy.reported(loss, float(second))
        redundancy.limit(1000 * each, 1000 * each, float(second))
    return redundancy.setting


def test_where_not_all_fits_copies_go_first_then_bits_then_headers() -> None:
    settings = [budgets(kbps, loss=0.1) for kbps in (150, 80, 64, 50, 38, 27, 20)]
    assert [setting.copies for setting in settings] == [1, 1, 0, 0, 0, 0, 0]
    assert [setting.frames for setting in settings] == [1, 1, 1, 1, 2, 2, 3]
    assert [setting.bitrate for setting in settings[2:5]] == [44_000, 30_000, 28_000]
    assert all(setting.fec_percent for setting in settings[2:])


@pytest.mark.parametrize("kbps", [20, 24, 30, 40, 52, 64, 75, 90, 105, 120, 150, 200])
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4])
def test_what_is_sent_stays_within_the_budget(kbps: float, loss: float) -> None:
    setting = budgets(*[kbps] * 20, loss=loss)
    headers = 8 * (HEADER_BYTES + 5 * setting.copies) * 50 / setting.frames
    assert setting.bitrate * (1 + setting.copies) + headers <= 1000 * kbps + 100


def test_frames_stay_long_while_a_queue_is_drained_and_for_some_seconds_after() -> None:
    assert budgets(30, 80, 80).frames == 2
    assert budgets(30, 80, 80, 80, 80, 80, 80, 80).frames == 1
    assert budgets(30, 80, 80, 80, 30, 80, 80, 80).frames == 2


def test_a_peer_that_takes_short_packets_only_gets_these() -> None:
    assert budgets(30, max_frames=1).frames == 1
    assert budgets(20, max_frames=2).frames == 2


def test_the_peers_limit_is_kept() -> None:
    redundancy = RedundancyController(fec=True, red=True, max_bitrate=20_000)
    assert redundancy.setting.bitrate == 20_000


@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 1), st.none() | st.floats(0, 200_000), st.floats(0, 5), st.integers(0, 60)), max_size=100),
)
def test_whatever_is_reported_the_rung_is_one_that_the_peer_takes(
    fec: bool, red: bool, steps: list[tuple[float, float | None, float, int]]
) -> None:
    redundancy, now = RedundancyController(fec=fec, red=red, max_frames=2), 0.0
    for lost, budget, later, requests in steps:
        now += later
        redundancy.requested(requests, now)
        redundancy.reported(lost, now)
        if budget is not None:
            redundancy.limit(budget, budget, now)
        setting = redundancy.setting
        assert 8_000 <= setting.bitrate <= BITRATE
        assert 1 <= setting.frames <= 2
        assert 0 <= setting.copies <= (MAX_COPIES if red else 0)
        assert setting.fec_percent == 0 or (fec and 5 <= setting.fec_percent <= 25 and not setting.copies)


def test_where_others_fill_the_queue_packets_are_protected_and_short_at_once() -> None:
    redundancy = RedundancyController(fec=True, red=True, max_frames=3)
    redundancy.limit(15_000, 15_000, 0.0)
    assert redundancy.setting.frames == 3
    redundancy.expect(lossy=True, in_bursts=False)
    redundancy.limit(55_000, 55_000, 0.1)
    assert (redundancy.setting.frames, redundancy.setting.fec_percent) == (1, 15)
    redundancy.expect(lossy=True, in_bursts=True)
    redundancy.limit(55_000, 55_000, 0.2)
    assert (redundancy.setting.frames, redundancy.setting.fec_percent) == (2, 15)
    redundancy.expect(lossy=False, in_bursts=False)
    assert redundancy.setting.fec_percent == 0
