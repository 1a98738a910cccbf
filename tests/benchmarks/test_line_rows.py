"""Every row of the benchmark of sound does what its name says: each line measured packet by packet, in virtual time."""

import re
from functools import cache

import pytest
from line import ALL, DELAY_S, PACKETS, Condition, Line, named

SECONDS = 40
FRAME_S = 0.02
SEED = 1001
FILLS = 250  # bytes each 20 ms: 100 kbit/s, more than every narrow line carries
FITS = 50  # 20 kbit/s

Fates = list[tuple[float, float | None]]  # when each packet was sent, and when it came


@cache
def carried(condition: Condition, size: int = FITS) -> Fates:
    line = Line(condition, SEED)
    return [(number * FRAME_S, line.take(number, size, number * FRAME_S)) for number in range(int(SECONDS / FRAME_S))]


def transits(fates: Fates) -> list[float]:
    return [arrival - at for at, arrival in fates if arrival is not None]


def lost(fates: Fates, begin: float = 0.0, end: float = SECONDS) -> float:
    within = [arrival for at, arrival in fates if begin <= at < end]
    return sum(arrival is None for arrival in within) / len(within)


def kbps(fates: Fates, size: int, begin: float = 2.0, end: float = SECONDS) -> float:
    """What came of packets of that size."""
    return sum(arrival is not None and begin <= arrival < end for _, arrival in fates) * size * 8e-3 / (end - begin)


NARROW = [each for each in ALL if re.match(r"\d+ kbit/s", each.name) and len(each.kbps) == 1]


@pytest.mark.parametrize("each", NARROW, ids=lambda each: each.name)
def test_a_narrow_line_carries_what_its_name_says_and_no_more_waits_than_that(each: Condition) -> None:
    capacity = float(each.name.split()[0])
    queue = re.search(r"queue (\d+) ms", each.name)
    longest = int(queue[1]) / 1000 if queue else each.queue_s
    fates = carried(each, FILLS)
    share = 0.2 if each.tcp else 1.0  # the flow takes the rest
    loses = float(each.name.split(", ")[1].removesuffix(" %")) / 100 if each.name.endswith(" %") else 0.0
    assert share * capacity * 0.97 * (1 - loses) <= kbps(fates, FILLS) + 1 <= capacity + 1.5
    in_service = 8e-3 * (FILLS + (576 if each.tcp else 0)) / capacity
    assert 0.9 * longest < max(transits(fates)) - DELAY_S <= longest + in_service + 0.001
    if not each.tcp and not loses:
        assert lost(carried(each)) == 0
        assert max(transits(carried(each))) == pytest.approx(DELAY_S + 8e-3 * FITS / capacity)


@pytest.mark.parametrize("each", [each for each in ALL if each.tcp], ids=lambda each: each.name)
def test_beside_tcp_even_a_little_sound_waits_in_the_queue_and_gets_lost(each: Condition) -> None:
    fates = carried(each)
    waits = transits(fates)
    assert sum(waits) / len(waits) - DELAY_S > 0.3 * each.queue_s
    assert 0 < lost(fates) < 0.5


@pytest.mark.parametrize("each", [each for each in ALL if each.loss], ids=lambda each: each.name)
def test_a_lossy_line_loses_the_share_that_its_name_says(each: Condition) -> None:
    said = re.search(r"(\d+) %", each.name)
    share = int(said[1]) / 100 if said else each.loss
    assert each.loss == share
    fates = [is_lost for seed in range(SEED, SEED + 4) for is_lost, _ in each.packets(seed)]
    assert len(fates) == 4 * PACKETS
    assert sum(fates) / len(fates) == pytest.approx(share, abs=0.02)


def test_all_that_is_sent_while_a_hand_over_lasts_is_lost_and_it_lasts_a_second() -> None:
    fates = carried(named("hand-overs of 1 s"))
    gone = [at for at, arrival in fates if arrival is None]
    assert [round(at, 2) for at in gone] == [round(0.02 * number, 2) for begin in (450, 1050) for number in range(begin, begin + 50)]


def test_a_capacity_that_falls_is_back_twelve_seconds_later() -> None:
    fates = carried(named("200 kbit/s, 40 for 12 s"), FILLS)
    assert kbps(fates, FILLS, 2, 10) == pytest.approx(100, abs=1)
    assert kbps(fates, FILLS, 11, 22) == pytest.approx(40, abs=2)
    assert kbps(fates, FILLS, 23, 40) == pytest.approx(100, abs=1)


def test_of_packets_that_are_overtaken_each_comes_45_ms_late_and_none_is_lost() -> None:
    late = [transit - DELAY_S for transit in transits(carried(named("5 % reordered by 45 ms")))]
    assert len(late) == SECONDS / FRAME_S
    assert {round(each, 3) for each in late} == {0.0, 0.045}
    assert sum(each > 0.01 for each in late) / len(late) == pytest.approx(0.05, abs=0.015)


def test_jitter_spikes_and_stalls_last_as_long_as_their_names_say() -> None:
    jitter, spikes, stalls = (
        [each - DELAY_S for each in transits(carried(named(name)))] for name in ("jitter 40 ms", "spikes of 150 ms", "Wi-Fi")
    )
    assert 0.035 < max(jitter) <= 0.040
    assert 0.015 < sum(jitter) / len(jitter) < 0.030
    assert max(spikes) == pytest.approx(0.150)
    assert 0.110 < max(stalls) <= 0.130
    assert sum(each > 0.001 for each in spikes) / len(spikes) < 0.2


def test_reports_get_lost_on_no_line_but_the_one_whose_name_says_so() -> None:
    lines = {each.name: Line(each, SEED) for each in ALL if each.both_ways or not each.loss}
    share = {name: sum(line.loses_report() for _ in range(1000)) / 1000 for name, line in lines.items()}
    assert share.pop("15 % both ways, reports too") == pytest.approx(0.15, abs=0.04)
    assert set(share.values()) == {0.0}


@pytest.mark.parametrize("each", [each for each in ALL if each.ppm or each.busy_s or each.material != "speech"], ids=lambda each: each.name)
def test_where_the_clock_the_receiver_or_the_sound_is_other_the_line_alone_does_what_its_loss_says(each: Condition) -> None:
    fates = carried(each)
    assert {round(transit, 6) for transit in transits(fates)} == {DELAY_S}
    assert lost(fates) == pytest.approx(each.loss, abs=0.025)
