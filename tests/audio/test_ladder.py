"""The ladder on a virtual clock: what is spent on which line, and when it is taken back."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.ladder import BITRATES, MAX_COPIES, Ladder, Rung

PACKETS = 50  # in a report's second


class Walk:
    """A ladder and a line: ``loss`` of a rung is the share of packets that it loses there."""

    def __init__(self, loss: Callable[[Rung], float], *, fec: bool = True, red: bool = True, nack: bool = False, burst: int = 1) -> None:
        self.ladder = Ladder(fec=fec, red=red)
        self.rungs: list[Rung] = []
        self.now = 0.0
        self.round_trip = 0.040
        self.loss = loss
        self._nack = nack
        self._burst = burst
        self._dice = random.Random(3)

    def go(self, seconds: int) -> list[Rung]:
        """A report a second; the rungs since."""
        begun = len(self.rungs)
        for _ in range(seconds):
            self.now += 1.0
            lost = unmended = 0
            rung = self.ladder.rung
            for _packet in range(PACKETS // self._burst):
                if self._dice.random() < self.loss(rung):
                    lost += self._burst
                    unmended += max(0, self._burst - rung.copies)
            if self._nack and unmended:
                self.ladder.requested(unmended, self.now)
            self.ladder.reported(min(1.0, lost / PACKETS), self.round_trip, self.now)
            self.rungs.append(self.ladder.rung)
        return self.rungs[begun:]


def test_a_clean_line_gets_the_best_sound_and_nothing_else() -> None:
    assert set(Walk(lambda _: 0.0).go(60)) == {Rung(BITRATES[0])}


def test_one_lost_packet_in_a_minute_changes_little() -> None:
    ladder = Ladder(fec=True, red=True)
    for second in range(60):
        ladder.reported(0.02 if second == 30 else 0.0, 0.04, float(second))
        assert ladder.rung.copies == 0


def test_a_little_loss_is_met_by_the_codec_alone() -> None:
    ladder = Ladder(fec=True, red=True)
    for second in range(20):
        ladder.reported(0.02, 0.04, float(second))
    assert ladder.rung == Rung(BITRATES[0], 0, 5)


@pytest.mark.parametrize(("loss", "copies"), [(0.05, {1}), (0.10, {1}), (0.25, {2, 3})])
def test_more_loss_is_met_by_copies_and_these_replace_the_codecs_own(loss: float, copies: set[int]) -> None:
    settled = Walk(lambda _: loss).go(40)[10:]
    assert {rung.copies for rung in settled} <= copies
    assert {rung.fec_percent for rung in settled} == {0}


def test_a_peer_without_copies_gets_the_codecs_own_correction_in_proportion() -> None:
    settled = Walk(lambda _: 0.10, red=False).go(40)[10:]
    assert {rung.copies for rung in settled} == {0}
    assert all(8 <= rung.fec_percent <= 25 for rung in settled)


def test_a_peer_that_takes_nothing_gets_plain_packets() -> None:
    assert set(Walk(lambda _: 0.2, fec=False, red=False).go(20)) == {Rung(BITRATES[0])}


def test_bursts_that_one_copy_does_not_mend_get_more() -> None:
    walk = Walk(lambda _: 0.10, nack=True, burst=3)
    walk.go(25)
    assert walk.ladder.rung.copies >= 2
    alone = Walk(lambda _: 0.10, nack=True)
    alone.go(25)
    assert alone.ladder.rung.copies == 1


def test_packets_asked_for_in_a_row_do_not_wait_for_the_next_report() -> None:
    ladder = Ladder(fec=True, red=True)
    ladder.requested(2, 0.3)
    assert ladder.rung.copies == 0
    ladder.requested(1, 0.4)
    assert ladder.rung.copies == 1


def test_when_the_loss_is_over_everything_is_taken_back_and_no_sooner() -> None:
    walk = Walk(lambda _: 0.08)
    walk.go(20)
    walk.loss = lambda _: 0.0
    after = walk.go(60)
    assert after[2].copies == 1
    assert after[-1] == Rung(BITRATES[0])
    copies = [rung.copies for rung in after]
    assert copies == sorted(copies, reverse=True)


def narrow(rung: Rung) -> float:
    """A line of 90 kbit/s."""
    rate = rung.bitrate * (1 + rung.copies) + 22_000
    return 1 - (1 - 0.04) * min(1.0, 90_000 / rate)


def test_copies_that_make_a_narrow_line_worse_are_given_up() -> None:
    rungs = Walk(narrow).go(120)
    assert max(rung.copies for rung in rungs) >= 1
    assert sum(rung.copies > 0 for rung in rungs) < 0.3 * len(rungs)
    assert sum(rung.copies > 0 for rung in rungs[60:]) < 0.15 * 60


def test_a_line_that_becomes_bad_by_itself_gets_its_copies_back() -> None:
    walk = Walk(lambda _: 0.04)
    walk.go(3)
    walk.loss = lambda _: 0.30
    assert all(rung.copies >= 1 for rung in walk.go(60)[20:])


def test_a_queue_that_grows_lowers_the_bit_rate_and_a_clean_line_raises_it_again() -> None:
    walk = Walk(lambda _: 0.05, red=False)
    walk.go(5)
    walk.round_trip = 0.400
    walk.go(10)
    assert walk.ladder.rung.bitrate < BITRATES[0]
    walk.round_trip, walk.loss = 0.040, lambda _: 0.0
    walk.go(90)
    assert walk.ladder.rung == Rung(BITRATES[0])


def test_a_long_way_is_no_queue() -> None:
    walk = Walk(lambda _: 0.05, red=False)
    walk.round_trip = 0.600
    assert {rung.bitrate for rung in walk.go(60)} == {BITRATES[0]}


def test_the_peers_limit_is_kept() -> None:
    ladder = Ladder(fec=True, red=True, max_bitrate=20_000)
    assert ladder.rung.bitrate == 20_000


@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 1), st.none() | st.floats(0, 2), st.floats(0, 5), st.integers(0, 60)), max_size=100),
)
def test_whatever_is_reported_the_rung_is_one_that_the_peer_takes(
    fec: bool, red: bool, steps: list[tuple[float, float | None, float, int]]
) -> None:
    ladder, now = Ladder(fec=fec, red=red), 0.0
    for lost, round_trip, later, requests in steps:
        now += later
        ladder.requested(requests, now)
        ladder.reported(lost, round_trip, now)
        rung = ladder.rung
        assert rung.bitrate in BITRATES or rung.bitrate == 40_000
        assert 0 <= rung.copies <= (MAX_COPIES if red else 0)
        assert rung.fec_percent == 0 or (fec and 5 <= rung.fec_percent <= 25 and not rung.copies)
