"""Reports and warnings of a call's quality."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import Samples
from sinchphone.audio.levels.activity import Activity, Listener
from sinchphone.audio.quality import Change, Quality, Sample
from sinchphone.audio.tones.signals import Sine

LIVELY = Activity(-20, True, 10, 0, 0, 0, 500, False)


def second(n: int, **more: Any) -> Sample:
    """The n-th second of a call in which all is well: 50 packets, 6000 bytes and 48 000 samples each way."""
    calm: dict[str, Any] = {
        "at": float(n),
        "connected": True,
        "codec": "opus",
        "packets_received": 50 * n,
        "line_bytes_sent": 6000 * n,
        "line_bytes_received": 6000 * n,
        "played_samples": 48_000 * n,
        "jitter_ms": 2.0,
        "delay_ms": 30.0,
        "round_trip_ms": 20.0,
        "near": LIVELY,
        "far": LIVELY,
    }
    return Sample(**calm | more)


def changes(*samples: Sample) -> list[tuple[str, bool]]:
    quality = Quality()
    return [(change.name, change.triggered) for sample in samples for change in quality.push(sample)]


def test_a_good_call_has_a_good_score_and_no_warnings() -> None:
    quality = Quality()
    assert [change for n in range(10) for change in quality.push(second(n))] == []
    assert quality.report.mos is not None and quality.report.mos > 4.3
    assert quality.report.sent_kbps == pytest.approx(48)
    assert quality.report.received_loss_percent == 0
    assert quality.mean_mos == pytest.approx(quality.report.mos)


def test_a_round_trip_over_300_ms_triggers_at_once_and_recovers() -> None:
    assert changes(second(0), second(1, round_trip_ms=301), second(2, round_trip_ms=301), second(3)) == [
        ("HighRemoteInboundRtt", True),
        ("HighRemoteInboundRtt", False),
    ]


def test_jitter_triggers_in_three_of_four_samples_and_not_before() -> None:
    jitter = [31, 0, 31, 31, 0, 0]
    told = changes(*(second(n, jitter_ms=ms) for n, ms in enumerate(jitter)))
    assert told == [("HighInboundJitter", True), ("HighInboundJitter", False)]
    assert changes(*(second(n, jitter_ms=31 * (n % 2)) for n in range(10))) == []


def test_loss_is_that_of_the_last_second_not_of_the_whole_call() -> None:
    quality = Quality()
    lost = [0, 0, 2, 4, 6, 6, 6]
    told = [[c.triggered for c in quality.push(second(n, packets_lost=packets))] for n, packets in enumerate(lost)]
    assert told == [[], [], [], [], [True], [], [False]]
    assert quality.report.received_loss_percent == 0


@pytest.mark.parametrize(
    ("far", "seconds", "name"),
    [
        (Activity(-80, False, 10, 60, 0, 0, 5000, True), 10, "SilentInboundAudio"),
        (Activity(-np.inf, False, 10, 60, 60, 0, 5000, True), 5, "ZeroInboundAudioLevel"),
        (Activity(-30, False, 10, 0, 0, 0, 5000, True), 20, "ConstantInboundAudioLevel"),
    ],
)
def test_what_was_heard_during_a_hold_is_no_silence_afterwards(far: Activity, seconds: int, name: str) -> None:
    call = [second(n, held=n < 30, far=far) for n in range(30 + seconds)]
    assert changes(*call) == [(name, True)]
    assert changes(*call[:-1]) == []


def test_media_that_is_gone_is_missing() -> None:
    assert changes(second(0), second(1, connected=False), second(2)) == [("MissingMediaStream", True), ("MissingMediaStream", False)]


def frozen(n: float, since: int = 5, **more: Any) -> Sample:
    """The far end froze ``since`` seconds ago at second 5: nothing has come since, a second of it was made up."""
    gone = max(0.0, n - since)
    made_up = round(48_000 * min(gone, 1))
    heard = replace(second(since), concealed_samples=made_up, absent_samples=round(48_000 * gone) - made_up)
    return replace(heard, at=n, played_samples=round(48_000 * n), silent_s=gone, **more)


def test_a_stream_that_stops_is_said_within_two_seconds_and_again_when_it_comes_back() -> None:
    quality = Quality()
    for n in range(6):
        quality.push(second(n))
    told = [(at, change) for at in (5.25, 5.5, 5.75, 6.0, 6.25) for change in quality.look(frozen(at))]
    assert told == [(6.0, Change("MissingMediaStream", True))]
    assert quality.push(frozen(7)) == []
    assert quality.look(second(8, silent_s=0.01)) == [Change("MissingMediaStream", False)]


def test_a_stream_that_never_begins_is_said_within_two_seconds_of_the_call() -> None:
    """Attached to the call the moment that it is established: how long it rang before is nothing to complain of."""
    quality = Quality()
    nothing = {"packets_received": 0, "played_samples": 0, "codec": "opus"}
    assert quality.push(second(10, silent_s=30.0, **nothing)) == []
    assert quality.look(second(10, **{"at": 10.75, "silent_s": 30.75, **nothing})) == []
    assert quality.push(second(11, silent_s=31.0, **nothing)) == [Change("MissingMediaStream", True)]
    assert quality.report.mos == 1.0


def test_the_score_falls_with_what_is_heard_and_not_with_what_was_made_up() -> None:
    """A frozen far end showed 4.48 each second once nothing was made up for it any more."""
    quality = Quality()
    scores = []
    for n in range(12):
        quality.push(second(n) if n <= 5 else frozen(n))
        scores.append(quality.report.mos)
    assert min(score for score in scores[1:6] if score is not None) > 4.3
    assert scores[6] is not None and scores[6] < 2
    assert scores[7:] == [1.0] * 5
    assert quality.report.concealed_percent == 100


def test_half_a_second_without_sound_is_half_as_bad() -> None:
    def score(absent: int) -> float:
        quality = Quality()
        quality.push(second(0))
        quality.push(second(1, absent_samples=absent))
        assert quality.report.mos is not None
        return quality.report.mos

    assert score(24_000) == pytest.approx((score(0) + 1) / 2, abs=0.01)


def test_a_pause_that_the_peer_makes_is_no_missing_stream_and_costs_no_score() -> None:
    quality = Quality()
    for n in range(6):
        quality.push(second(n))
    for n in range(6, 20):
        assert quality.push(replace(second(n), packets_received=300, silent_s=None)) == []
        assert quality.report.mos is not None and quality.report.mos > 4.3


def test_packets_that_carry_silence_are_told_from_a_dead_microphone_and_from_no_packets() -> None:
    silent = replace(LIVELY, silent_seconds=10.0)
    assert changes(second(0), second(1, far=silent)) == [("SilentInboundAudio", True)]
    dead = replace(LIVELY, silent_seconds=10.0, zero_seconds=10.0, constant=True)
    assert changes(second(0), second(1, near=dead)) == [("ZeroOutboundAudioLevel", True)]
    assert changes(second(0), second(1, far=dead)) == [("ZeroInboundAudioLevel", True)]
    assert changes(second(0), second(1, far=dead, packets_received=0)) == []


QUIET: dict[str, Callable[[int], Samples]] = {
    "digital silence": lambda count: np.zeros(count, np.int16),
    "an offset, and nothing else": lambda count: np.full(count, 3, np.int16),
    "noise that nobody hears": lambda count: np.random.default_rng(7).integers(-12, 13, count).astype(np.int16),
    "a hum that never changes": lambda count: np.resize(Sine(50.0, -24.0).pull(), count),
}


@pytest.mark.parametrize("kind", QUIET)
@pytest.mark.parametrize("side", ["near", "far"])
def test_one_silence_is_one_warning_however_long_it_lasts_and_whatever_it_is_made_of(kind: str, side: str) -> None:
    heard = Listener()
    samples = []
    for n in range(40):
        heard.push(QUIET[kind](48_000))
        samples.append(second(n, **{side: heard.activity}))
    told = changes(*samples)
    assert [triggered for _, triggered in told] == [True], told
    assert told[0][0].endswith(("InboundAudio", "InboundAudioLevel") if side == "far" else "OutboundAudioLevel")


def test_a_peer_that_is_gone_is_missing_and_not_silent_too() -> None:
    heard = Listener()
    heard.push(np.zeros(48_000 * 30, np.int16))
    told = changes(second(0), second(1), *(frozen(n, since=1, far=heard.activity) for n in range(2, 40)))
    assert told == [("MissingMediaStream", True)]


def test_a_level_that_never_moves_is_told_and_muting_is_no_fault() -> None:
    constant = replace(LIVELY, constant=True)
    assert changes(second(0), second(1, near=constant)) == [("ConstantOutboundAudioLevel", True)]
    dead = replace(LIVELY, zero_seconds=20.0)
    assert changes(second(0), second(1, near=dead, muted=True)) == []


def test_a_microphone_that_clips_is_told_after_4_s_and_again_when_it_is_over() -> None:
    def shouted(n: int, clipped: int, **more: Any) -> Sample:
        return second(n, near=replace(LIVELY, frames=50 * n, clipped_frames=clipped), **more)

    counts = [0, 6, 12, 18, 24, 30, 30, 30, 30]  # 6 of 50 frames each second
    assert changes(*(shouted(n, clipped) for n, clipped in enumerate(counts))) == [
        ("ClippedOutboundAudio", True),
        ("ClippedOutboundAudio", False),
    ]
    assert changes(*(shouted(n, 6 * n) for n in range(4))) == [], "four seconds are needed"
    assert changes(*(shouted(n, 5 * n) for n in range(20))) == [], "a tenth of all frames is not too much"
    assert changes(*(shouted(n, 25 * n, muted=True) for n in range(10))) == []
    assert changes(*(second(n, near=None) for n in range(10))) == []


def test_made_up_sound_and_delay_lower_the_score() -> None:
    def score(**more: Any) -> float:
        quality = Quality()
        quality.push(second(0))
        quality.push(second(1, **more))
        assert quality.report.mos is not None
        return quality.report.mos

    assert score() > score(concealed_samples=2400) > score(concealed_samples=9600)
    assert score() > score(round_trip_ms=600)
    assert score() > score(codec="PCMU")


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000), st.integers(0, 500)), max_size=40))
def test_every_warning_that_begins_ends_at_most_once_before_it_begins_again(course: list[tuple[bool, float, int]]) -> None:
    quality = Quality()
    active: set[str] = set()
    for n, (connected, ms, lost) in enumerate(course):
        for change in quality.push(second(n, connected=connected, jitter_ms=ms, round_trip_ms=ms, packets_lost=lost)):
            assert isinstance(change, Change)
            assert change.triggered == (change.name not in active)
            active ^= {change.name}
    assert active == quality.active


def coded(n: int, kbps: float, *, seconds: int | None = None) -> Sample:
    """As ``second``, and so many bits a second in what was decoded, in the first ``seconds`` at least."""
    spoken = n if seconds is None else min(n, seconds)
    return second(n, coded_bytes=round(125 * kbps * spoken), coded_samples=48_000 * spoken)


def last_score(samples: list[Sample]) -> float:
    quality = Quality()
    for sample in samples:
        quality.push(sample)
    assert quality.report.mos is not None
    return quality.report.mos


def test_a_call_with_few_bits_scores_lower_and_keeps_its_score_in_a_pause() -> None:
    rich, poor = (last_score([coded(n, kbps) for n in range(4)]) for kbps in (45.0, 14.0))
    assert rich > poor + 0.5
    assert last_score([coded(n, 14.0, seconds=3) for n in range(8)]) == pytest.approx(poor)


def test_what_is_decoded_from_a_coarser_copy_costs_a_little() -> None:
    whole, copied, made_up = (
        last_score([second(n, **{key: 4_800 * n}) for n in range(4)]) for key in ("coded_bytes", "recovered_samples", "concealed_samples")
    )
    assert whole > copied > made_up
