"""Half a call on a virtual clock: what the redundancy, the jitter buffer and what is between them make of bad lines together.

The figures (PESQ) are ``virtual_call.py``'s; here it's only how much had to be made up, and how late sound is.
"""

from itertools import pairwise

import numpy as np
import pytest
from line import CONDITIONS, PACKETS, Condition, Line, named, narrow
from virtual_call import BELOW_BYTES, STATM, TERMS, Terms, VirtualCall, longest_wait, rate, remembered

from sinchphone.audio.frame import RATE, Samples, silence
from sinchphone.protocol.rtp.packet import is_rtcp

SECONDS = 20
SETTLED_S = 5
LEARNT_S = 4.5  # how fast the line is, from reports alone: each tells of a step up that was tried
EQUAL, LADDER = TERMS
PLAIN = Terms("nothing but Opus", red=False, nack=False)
NACK = Terms("no copies", red=False)
BARE = Terms("nothing but Opus, no correction", red=False, nack=False, fec=False)
BARE_NACK = Terms("no copies, no correction", red=False, fec=False)
LONG_MINUTES = 15
LONG_FRAMES = LONG_MINUTES * 60 * 50


def babble(seconds: int) -> Samples:
    """Something that Opus takes for speech."""
    t = np.arange(seconds * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    return (4000 * buzz * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t))).astype(np.int16)


@pytest.fixture(scope="module")
def sound() -> Samples:
    return babble(SECONDS)


def settled(call: VirtualCall, sound: Samples) -> tuple[float, float]:
    """The share that was made up after the first seconds, without the end, and the median target there [ms]."""
    begin = round(SETTLED_S / call.period)
    call.listen(sound)
    end = round((len(sound) / RATE) / call.period) - 1
    share = (call.concealed[end] - call.concealed[begin]) / ((end - begin) * 480)
    return share, float(np.median(call.targets[begin:end]))


def test_the_same_packets_are_lost_for_everybody_whatever_is_sent_again() -> None:
    fates = []
    for resends in (0, 3):
        line = Line(named("10 % in bursts of 3"), 1)
        fate = []
        for number in range(1000):
            arrival = line.take((65_000 + number) % 0x10000, 100, number * 0.02)
            fate.append(arrival is None)
            for _ in range(resends if arrival is None else 0):
                line.take((65_000 + number) % 0x10000, 100, number * 0.02)
        fates.append(fate)
    assert fates[0] == fates[1]


@pytest.mark.parametrize("each", CONDITIONS, ids=lambda each: each.name)
def test_a_line_loses_as_much_as_it_says(each: Condition) -> None:
    packets = [lost for seed in range(4) for lost, _ in each.packets(seed)]
    assert len(packets) == 4 * PACKETS
    assert np.mean(packets) == pytest.approx(each.loss, abs=0.02)
    if each.loss:
        begun = sum(lost and not before for before, lost in pairwise(packets))
        expected = each.burst if each.burst > 1 else 1 / (1 - each.loss)
        assert sum(packets) / begun == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("name", "made_up", "share", "target"),
    [("5 %", 0.012, 0.7, 32), ("10 %", 0.025, 0.7, 32), ("20 %", 0.03, 0.7, 50), ("10 % in bursts of 3", 0.08, 0.9, 45)],
)
def test_with_the_ladder_most_of_what_is_lost_is_mended_soon(
    sound: Samples, name: str, made_up: float, share: float, target: float
) -> None:
    """In bursts no copy but the last ones is waited for, and of those that come after more than a frame the first moments are made up."""
    plain, _ = settled(VirtualCall(PLAIN, named(name), 2), sound)
    with_ladder, asked = settled(VirtualCall(LADDER, named(name), 2), sound)
    assert with_ladder < made_up
    assert with_ladder < share * plain
    assert asked <= target


def test_without_copies_and_correction_what_is_sent_again_mends_it_at_the_price_of_the_round_trip(sound: Samples) -> None:
    plain, _ = settled(VirtualCall(BARE, named("10 %"), 2), sound)
    asking, target = settled(VirtualCall(BARE_NACK, named("10 %"), 2), sound)
    assert asking < 0.5 * plain
    assert 60 < target < 140


def test_with_correction_what_is_sent_again_mends_what_is_heard_late_anyway_and_makes_nothing_later(sound: Samples) -> None:
    plain, usual = settled(VirtualCall(PLAIN, named("Wi-Fi"), 2), sound)
    asking, target = settled(VirtualCall(NACK, named("Wi-Fi"), 2), sound)
    assert asking < 0.6 * plain
    assert target == pytest.approx(usual, abs=5)
    _, usual = settled(VirtualCall(PLAIN, named("10 %"), 2), sound)
    _, target = settled(VirtualCall(NACK, named("10 %"), 2), sound)
    assert target == pytest.approx(usual, abs=2)


REPORTS = Terms("reports alone", numbering=None)


def narrow_call(terms: Terms, line: Condition, seconds: int = 30, seed: int = 2) -> tuple[VirtualCall, float]:
    """A call in which the codec spends all bits that it may; how long more than 100 ms of queue stood there [s]."""
    call = VirtualCall(terms, line, seed, codec=False)
    call.listen(np.zeros(seconds * RATE, np.int16))
    return call, longest_wait(call.waiting)


@pytest.mark.parametrize("name", ["80 kbit/s, 5 %", "64 kbit/s, queue 300 ms", "64 kbit/s, queue 100 ms", "40 kbit/s", "24 kbit/s"])
def test_a_narrow_line_is_used_and_its_queue_is_not(name: str) -> None:
    call, longest = narrow_call(LADDER, named(name))
    capacity = call.condition.kbps[0][1]
    assert longest <= 1.5
    assert 0.8 * capacity < rate(call, SETTLED_S, 30) < 0.97 * capacity
    assert np.median(call.waiting[50 * SETTLED_S :]) < 0.02
    assert call.targets[-1] < 200


REPORTED = ("80 kbit/s, 5 %", "64 kbit/s, queue 300 ms", "64 kbit/s, queue 100 ms", "40 kbit/s", "24 kbit/s", "40 kbit/s, 5 %")


@pytest.mark.parametrize("seed", [2, 5])
@pytest.mark.parametrize("name", REPORTED)
def test_with_reports_alone_a_narrow_line_is_not_filled(name: str, seed: int) -> None:
    call, longest = narrow_call(REPORTS, named(name), seed=seed)
    assert longest <= 2.1
    assert rate(call, SETTLED_S, 30) < 0.97 * call.condition.kbps[0][1]


@pytest.mark.parametrize("before", [1000, 200, 64])
@pytest.mark.parametrize(("terms", "most"), [(LADDER, 1.5), (REPORTS, 2.3)], ids=lambda value: getattr(value, "name", None))
@pytest.mark.parametrize("queue_s", [0.3, 1.0])
def test_a_capacity_that_falls_leaves_no_queue_for_long_even_where_that_may_hold_a_second(
    before: float, terms: Terms, most: float, queue_s: float
) -> None:
    """Reports, one a second, tell of it when the queue is full."""
    call, longest = narrow_call(terms, Condition(f"{before}, then 24", kbps=((0, before), (10, 24)), queue_s=queue_s))
    assert longest <= most
    assert 0.75 * 24 < rate(call, 18, 30) < 24


CHECKED = (
    Terms("reports and checks", numbering=None, checks=True),
    Terms("rare reports and checks", numbering=None, report_s=5.0, checks=True),
)


@pytest.mark.parametrize("before", [1000, 200, 64])
@pytest.mark.parametrize("terms", CHECKED, ids=lambda terms: terms.name)
@pytest.mark.parametrize(("after", "queue_s"), [(24, 1.0), (32, 1.0)])
def test_with_round_trips_of_checks_rare_reports_leave_no_queue_for_long(before: float, after: float, terms: Terms, queue_s: float) -> None:
    call, longest = narrow_call(terms, Condition(f"{before}, then {after}", kbps=((0, before), (10, after)), queue_s=queue_s))
    assert longest <= 2.1
    assert 0.75 * after < rate(call, 18, 30) < 1.05 * after


@pytest.mark.parametrize("terms", CHECKED, ids=lambda terms: terms.name)
@pytest.mark.parametrize(("kbps", "queue_s"), [(24, 0.3), (24, 1.0), (40, 1.0), (64, 0.3)])
def test_with_round_trips_of_checks_a_narrow_line_is_known_from_the_start(kbps: float, queue_s: float, terms: Terms) -> None:
    call, longest = narrow_call(terms, narrow(f"{kbps} kbit/s, queue {queue_s}", kbps, queue_s))
    assert longest <= 2.1
    assert 0.75 * kbps < rate(call, SETTLED_S, 30) < 1.05 * kbps


@pytest.mark.parametrize("name", ["clean", "jitter 40 ms", "spikes of 150 ms", "5 % reordered by 45 ms"])
def test_round_trips_of_checks_take_nothing_from_a_line_that_is_fast(name: str) -> None:
    call, _ = narrow_call(CHECKED[1], named(name))
    assert rate(call, SETTLED_S, 29) > 65


@pytest.mark.parametrize("terms", [LADDER, REPORTS], ids=lambda terms: terms.name)
@pytest.mark.parametrize(("kbps", "queue_s"), [(24, 0.3), (24, 1.0), (40, 0.3)])
def test_a_line_that_widens_carries_all_that_is_said_ten_seconds_later(terms: Terms, kbps: float, queue_s: float) -> None:
    """48 kbit/s of Opus and the headers of packets of 60 ms, at the least."""
    call, _ = narrow_call(terms, Condition(f"{kbps}, then 200", kbps=((0, kbps), (20, 200)), queue_s=queue_s), 33)
    assert rate(call, 30, 32) > 54


def test_a_line_that_narrows_is_followed_and_used_again_once_it_widens() -> None:
    call, longest = narrow_call(LADDER, Condition("200, 50, 200", kbps=((0, 200), (15, 50), (35, 200))), 50)
    assert longest <= 1.2
    assert rate(call, 20, 35) < 50
    assert rate(call, 45, 50) > 65


def test_a_link_that_is_much_slower_all_at_once_leaves_no_queue_of_ours_taken_for_that_of_others() -> None:
    """Its packets take longer by as much as a short queue would: once that one is gone, it's the path."""
    call, longest = narrow_call(LADDER, Condition("200, then 24", kbps=((0, 200), (10, 24))))
    assert longest <= 1.0
    assert 0.8 * 24 < rate(call, 18, 30) < 24


def test_packets_that_overtake_each_other_are_not_taken_for_lost_ones() -> None:
    call, _ = narrow_call(LADDER, named("5 % reordered by 45 ms"))
    clean, _ = narrow_call(LADDER, named("clean"))
    assert rate(call, SETTLED_S, 30) < 1.02 * rate(clean, SETTLED_S, 30)


@pytest.mark.parametrize("kbps", [20, 48, 100])
@pytest.mark.parametrize("name", ["clean", "20 %"])
def test_all_that_is_sent_stays_within_a_limit(name: str, kbps: int) -> None:
    call = VirtualCall(LADDER, named(name), 2, max_kbps=kbps, codec=False)
    call.listen(np.zeros(SECONDS * RATE, np.int16))
    assert max(rate(call, second, second + 1) for second in range(SECONDS - 1)) <= kbps
    assert rate(call, SETTLED_S, SECONDS) > 0.6 * min(kbps, 70)


class BothSpeak(VirtualCall):
    """Counts all that the speaker sends while the far end speaks too: reports and feedback, with what is below RTP."""

    def __post_init__(self) -> None:
        self.sent: list[tuple[float, int]] = []
        super().__post_init__()

    def _say(self, index: int) -> None:
        super()._say(index)
        if not index:
            self.listener.open()
        self._far_leg.send(silence())

    def _transmit(self, packet: bytes) -> bool:
        self.sent.append((self._now, len(packet) + BELOW_BYTES + 4 * is_rtcp(packet)))
        return super()._transmit(packet)


@pytest.mark.parametrize("kbps", [20, 24, 32, 48])
@pytest.mark.parametrize("name", ["clean", "20 %", "80 kbit/s beside TCP"])
def test_reports_feedback_and_what_is_sent_again_are_within_the_limit_too(name: str, kbps: int) -> None:
    call = BothSpeak(LADDER, named(name), 3, max_kbps=kbps, codec=False)
    call.listen(np.zeros(SECONDS * RATE, np.int16))
    seconds = [sum(size for at, size in call.sent if 0 <= begun - at < 1) * 8e-3 for begun, _ in call.sent]
    assert max(seconds) <= kbps


def test_others_who_begin_to_send_get_their_share_soon() -> None:
    call, longest = narrow_call(LADDER, Condition("100, of which others take 60", kbps=((0, 100),), beside=((0, 0), (10, 60))))
    assert longest <= 1.5
    assert rate(call, 20, 30) < 41


def test_beside_tcp_nothing_is_sent_again_into_the_full_queue() -> None:
    """The peer asks for what fell out of it, as long as it doesn't know how long an answer takes."""
    call, _ = narrow_call(LADDER, named("64 kbit/s beside TCP"))
    assert max(rate(call, second, second + 2) for second in range(28)) < 60


def test_beside_tcp_speech_keeps_its_bits_after_a_few_seconds() -> None:
    """On 40 kbit/s, in packets of 20 ms; whoever gives way to the flow is left with the same queue and little sound."""
    call, _ = narrow_call(LADDER, named("40 kbit/s beside TCP"))
    assert min(rate(call, second, second + 2) for second in range(6, 28)) > 40
    assert all("x" not in setting for setting in call.settings if float(setting.split(":")[0]) > 7)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("name", "frames"), [("80 kbit/s beside TCP", "x2"), ("64 kbit/s beside TCP", "x2"), ("40 kbit/s beside TCP", "")])
def test_a_tcp_flow_is_known_within_four_seconds(name: str, frames: str, seed: int) -> None:
    """And packets are of 40 ms from then on where the link carries all of ours: it drops some in a row."""
    call, _ = narrow_call(LADDER, named(name), 12, seed)
    assert rate(call, 4, 6) > 40
    assert all(setting.endswith(f"f15{frames}") for setting in call.settings if 5.5 < float(setting.split(":")[0]) < 11)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tcp_flow_that_fills_the_queue_before_the_call_is_known_by_what_gets_lost(seed: int) -> None:
    """Over 24 kbit/s no packet of ours ever finds the queue empty. Speech keeps its bits and packets of 20 ms, which come sooner."""
    call, _ = narrow_call(LADDER, named("24 kbit/s beside TCP"), 12, seed)
    assert 40 < rate(call, 4, 11) < 50
    assert all(setting.endswith("f15") for setting in call.settings if 3.5 < float(setting.split(":")[0]) < 11)
    assert max(call.targets[500:]) < 100


@pytest.mark.parametrize("ppm", [-500.0, 500.0])
def test_a_clock_that_is_off_costs_nothing_on_a_jittery_line(sound: Samples, ppm: float) -> None:
    made_up, target = settled(VirtualCall(LADDER, named("jitter 40 ms"), 1, ppm=ppm), sound)
    assert made_up < 0.01
    assert target < 60


def test_on_a_clean_line_nothing_is_spent(sound: Samples) -> None:
    call = VirtualCall(LADDER, named("clean"), 1)
    made_up, target = settled(call, sound)
    assert (made_up, target) == (0.0, pytest.approx(8.0, abs=1))  # type: ignore[comparison-overlap]
    told = [(float(when), setting) for when, setting in (each.split(":") for each in call.settings)]
    assert not any("+" in setting or "f" in setting for _, setting in told)
    assert {setting for when, setting in told if when > LEARNT_S} == {"48k"}  # it begins with what every line carries


@pytest.mark.timeout(400)  # in the background of a whole run it has what others leave
@pytest.mark.skipif(not STATM.exists(), reason="needs /proc")
def test_a_quarter_of_an_hour_of_a_bad_line_leaves_memory_as_it_was() -> None:
    """Everything but the codec, whose libopus has state of a fixed size: 45 000 packets with copies, requests and answers.

    50 bytes that were kept of each of the last ten minutes' packets would show.
    """
    sizes, call = remembered(LONG_MINUTES, named("10 % in bursts of 3"))
    assert call.line.sent > LONG_FRAMES
    assert call.line.lost > 0.09 * LONG_FRAMES
    assert len(sizes) == LONG_MINUTES
    assert sizes[-1] - sizes[4] < 1_500_000
