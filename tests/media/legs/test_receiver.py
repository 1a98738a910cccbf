"""The receive side on a virtual clock: a sender, a line that loses and delays packets, and a player that asks in blocks."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.playout.jitter import MAX_PACKETS
from sinchphone.errors import MediaError
from sinchphone.media.codecs.opus import Decoder, Encoder, has_fec
from sinchphone.media.legs.receiver import MAX_PAYLOAD_BYTES, Receiver, ReceiverStats
from tests.media.legs.numbered_packets import NumberedPackets

HZ = 440
FRAME_S = 0.020
SEQUENCE, TIMESTAMP = 65_000, 0xFFFF0000  # both wrap around early
OPUS_SET_DTX = 4016  # opus_defines.h


def tone(frames: int, hz: float = HZ) -> Samples:
    return (8000 * np.sin(2 * np.pi * hz * np.arange(frames * FRAME_SAMPLES) / RATE)).astype(np.int16)


def encoded(sound: Samples, *, fec: bool = False) -> list[bytes]:
    encoder = Encoder()
    if fec:
        encoder.set_fec(True)
        encoder.set_loss(15)
    return [encoder.encode(sound[i : i + FRAME_SAMPLES]) for i in range(0, len(sound), FRAME_SAMPLES)]


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    """Ten seconds of a tone."""
    return encoded(tone(500))


def syllables(frames: int) -> Samples:
    """Something that Opus takes for speech, so that it carries copies."""
    t = np.arange(frames * FRAME_SAMPLES) / RATE
    phase = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    return (4000 * buzz * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t))).astype(np.int16)


@dataclass
class Listening:
    """What a listener got."""

    sound: Samples
    first_sound_at: float
    delays_ms: list[float]
    stats: ReceiverStats

    @property
    def concealed_share(self) -> float:
        return self.stats.concealed_samples / self.stats.played_samples

    def settled(self) -> Samples:
        """Without the first half second."""
        return self.sound[RATE // 2 :]


@dataclass
class Path:
    """A line: every packet is lost with probability ``loss``, else takes up to ``jitter`` seconds longer, in order or not."""

    loss: float = 0.0
    jitter: float = 0.0
    in_order: bool = True
    doubles: bool = False
    lost: set[int] = field(default_factory=set)

    def arrivals(self, payloads: list[bytes]) -> list[tuple[float, int]]:
        dice, result, last = random.Random(5), [], 0.0
        for i in range(len(payloads)):
            lost, wait = dice.random() < self.loss, dice.uniform(0, self.jitter)
            if lost or i in self.lost:
                continue
            at = i * FRAME_S + wait
            last = at = max(at, last) if self.in_order else at
            result += [(at, i)] * (3 if self.doubles else 1)
        return sorted(result)


def listen(
    payloads: list[bytes], path: Path | None = None, *, block: int = 480, ppm: float = 0.0, phase: float = 0.0013, decoder: Any = None
) -> Listening:
    clock = [0.0]
    receiver = Receiver(decoder or Decoder(), clock=lambda: clock[0])
    arrivals = (path or Path()).arrivals(payloads)
    sound, delays, first, taken = [], [], None, 0
    clock[0] = phase
    while clock[0] < len(payloads) * FRAME_S:
        while taken < len(arrivals) and arrivals[taken][0] <= clock[0]:
            at, i = arrivals[taken]
            receiver.push((SEQUENCE + i) % 0x10000, (TIMESTAMP + i * FRAME_SAMPLES) % 0x100000000, payloads[i], at)
            taken += 1
        sound.append(receiver.pull(block))
        delay = receiver.stats().delay_ms
        if delay is not None:
            first = clock[0] if first is None else first
            delays.append(delay)
        clock[0] += block / RATE * (1 + ppm * 1e-6)
    assert first is not None
    return Listening(np.concatenate(sound), first, delays, receiver.stats())


def tone_share(sound: Samples, hz: float = HZ) -> list[float]:
    """The share of energy at ``hz`` in each tenth of a second."""
    window = np.hanning(4800)
    wave = np.exp(-2j * np.pi * hz * np.arange(4800) / RATE)
    blocks = [sound[i : i + 4800] * window for i in range(0, len(sound) - 4799, 4800)]
    perfect = 0.5 * window.sum() ** 2 / (window**2).sum()
    return [float(abs(b @ wave) ** 2 / (b @ b + 1e-9) / perfect) for b in blocks]


def rms(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound.astype(float) ** 2)))


@pytest.mark.parametrize("block", [256, 441, 480, 512, 960, 1024, 1056])
def test_a_clean_line_plays_the_tone_as_it_was_after_a_short_delay(packets: list[bytes], block: int) -> None:
    heard = listen(packets, block=block)
    assert min(tone_share(heard.settled())) > 0.99
    assert rms(heard.settled()) == pytest.approx(8000 / np.sqrt(2), rel=0.02)
    assert heard.stats.concealed_samples == 0
    assert heard.first_sound_at <= 0.020 + 2 * block / RATE
    assert np.median(heard.delays_ms) < 10 + 1000 * block / RATE
    assert heard.stats.packets_received == 500
    assert heard.stats.packets_late == heard.stats.bad_packets == heard.stats.packets_skipped == 0


@pytest.mark.parametrize("block", [441, 480, 960, 1000, 1024, 1920, 2048])
@pytest.mark.parametrize("phase", [0.004, 0.010, 0.016, 0.019])
def test_whenever_and_however_much_is_asked_for_a_good_line_goes_on_as_it_was(packets: list[bytes], block: int, phase: float) -> None:
    """Trap: blocks of 20 ms that were asked for 15 ms after each packet had an eighth of their sound made up, for ever."""
    heard = listen(packets * 2, Path(jitter=0.002), block=block, phase=phase, ppm=50)
    assert np.mean(tone_share(heard.settled())) > 0.98
    assert heard.stats.concealed_samples <= 480
    assert heard.stats.packets_late == 0


def test_sound_that_is_to_be_late_becomes_so_little_by_little_and_back(packets: list[bytes]) -> None:
    clock = [0.0]
    receiver = Receiver(Decoder(), clock=lambda: clock[0])
    delays = []
    for i in range(900):
        receiver.push(i, i * FRAME_SAMPLES, packets[i % len(packets)])
        clock[0] += 0.0013
        for _ in range(2):
            receiver.pull(480)
            clock[0] += 0.010
        clock[0] -= 0.0013
        delays.append(receiver.stats().delay_ms or 0.0)
        receiver.delay_at_least(0.250 if 100 <= i < 500 else 0.0)
    assert max(delays[50:100]) < 60
    assert all(235 <= each <= 300 for each in delays[300:500])
    assert max(delays[800:]) < 60
    stats = receiver.stats()
    assert stats.concealed_samples == stats.packets_late == stats.packets_skipped == 0


def test_sound_that_is_always_ahead_when_a_packet_is_asked_for_is_left_out(packets: list[bytes]) -> None:
    clock = [0.0]
    receiver = Receiver(Decoder(), clock=lambda: clock[0])
    ahead = []
    for i in range(500):
        receiver.push(i, i * FRAME_SAMPLES, packets[i])
        for block in (480, 480) if i != 100 else (480, 180):  # the player's phase moves: what it doesn't take stays ahead
            receiver.pull(block)
            clock[0] += 0.010
        ahead += list(receiver._idle)[-1:]  # when the last packet was asked for
    assert max(ahead[100:110]) > 250
    assert ahead[-1] < 250
    assert receiver.stats().concealed_samples == 0


@pytest.mark.parametrize(("loss", "share", "worst"), [(0.05, 0.98, 0.5), (0.10, 0.97, 0.5), (0.20, 0.93, 0.2)])
def test_under_loss_the_tone_goes_on(packets: list[bytes], loss: float, share: float, worst: float) -> None:
    heard = listen(packets, Path(loss=loss))
    shares = tone_share(heard.settled())
    assert np.mean(shares) > share
    assert np.quantile(shares, 0.02) > worst
    lost = 1 - heard.stats.packets_received / 500
    assert heard.concealed_share == pytest.approx(lost, abs=0.01)
    assert np.median(heard.delays_ms) < 25


@pytest.mark.parametrize("block", [480, 960])
def test_one_lost_packet_costs_one_concealed_frame_and_nothing_after_it(packets: list[bytes], block: int) -> None:
    heard = listen(packets, Path(lost={250}), block=block)
    assert heard.stats.concealed_samples == FRAME_SAMPLES
    assert heard.stats.packets_late == heard.stats.packets_skipped == 0
    assert min(tone_share(heard.sound[int(5.2 * RATE) :])) > 0.99
    assert heard.delays_ms[-1] == pytest.approx(heard.delays_ms[200], abs=0.1)


def test_after_a_lost_packet_the_next_ones_are_decoded_in_their_turn() -> None:
    heard = listen([b"%d" % (100 + i) for i in range(100)], Path(lost={50}), decoder=NumberedPackets())
    values = [int(v) for v in heard.sound[heard.sound != 0]]
    runs = [v for i, v in enumerate(values) if i == 0 or values[i - 1] != v]
    assert runs == [*range(100, 150), 7, *range(151, runs[-1] + 1)]


def test_a_lost_frame_is_rebuilt_from_the_copy_once_losses_are_seen() -> None:
    payloads = [b"+%d" % (100 + i) for i in range(400)]
    lost = set(range(20, 400, 7))
    heard = listen(payloads, Path(lost=lost), decoder=NumberedPackets())
    rebuilt = {-int(v) for v in heard.sound if v < 0}
    wanted = {101 + i for i in lost if 100 < i < 390}
    assert wanted <= rebuilt
    assert 25 < np.median(heard.delays_ms[400:]) < 50
    assert heard.concealed_share < 0.02


def test_copies_make_lossy_speech_resemble_the_clean_one_more() -> None:
    payloads = encoded(syllables(500), fec=True)
    path = Path(loss=0.1)
    heard = listen(payloads, path)
    conceals = listen(payloads, path, decoder=_Deaf())
    assert sum(has_fec(p) for p in payloads) > 200
    assert heard.stats.concealed_samples < 0.6 * conceals.stats.concealed_samples


class _Deaf(Decoder):
    """Opus that can't see copies."""

    def recoverable(self, payload: bytes) -> int:
        return 0


@pytest.mark.parametrize("block", [480, 960])
@pytest.mark.parametrize("in_order", [True, False])
def test_jitter_of_40_ms_is_ridden_out_with_as_much_delay(packets: list[bytes], in_order: bool, block: int) -> None:
    heard = listen(packets, Path(jitter=0.040, in_order=in_order), block=block)
    assert np.mean(tone_share(heard.settled())) > 0.98
    assert heard.concealed_share < 0.01
    assert 30 < np.median(heard.delays_ms[100:]) < 70
    assert heard.stats.jitter_ms is not None
    assert 5 < heard.stats.jitter_ms < 30


def test_loss_and_jitter_together_still_leave_the_tone(packets: list[bytes]) -> None:
    heard = listen(packets, Path(loss=0.05, jitter=0.040))
    assert np.mean(tone_share(heard.settled())) > 0.97


def test_doubles_are_played_once(packets: list[bytes]) -> None:
    heard = listen(packets, Path(doubles=True))
    assert min(tone_share(heard.settled())) > 0.99
    assert heard.stats.concealed_samples == 0


@pytest.mark.parametrize("block", [480, 960])
@pytest.mark.parametrize("ppm", [-500, 500])
def test_a_clock_that_is_off_by_500_ppm_costs_neither_sound_nor_delay(packets: list[bytes], ppm: float, block: int) -> None:
    heard = listen(packets * 3, ppm=ppm, block=block)
    assert np.mean(tone_share(heard.settled())) > 0.98
    assert heard.concealed_share < 0.001
    assert heard.stats.packets_skipped == 0
    assert max(heard.delays_ms) < 10 + 2000 * block / RATE


class Line:
    """A receiver, its clock and one sender, step by step."""

    def __init__(self, payloads: list[bytes]) -> None:
        self.now = 100.0
        self.receiver = Receiver(Decoder(), clock=lambda: self.now)
        self.payloads = payloads
        self.sequence, self.timestamp, self.sent = 7, 9, 0

    def talk(self, frames: int) -> Samples:
        """Twenty milliseconds at a time: a packet comes and two blocks are played."""
        sound = []
        for _ in range(frames):
            self.push(self.payloads[self.sent % len(self.payloads)])
            self.sequence += 1
            self.timestamp += FRAME_SAMPLES
            self.sent += 1
            sound.append(self.listen(2))
        return np.concatenate(sound)

    def push(self, payload: bytes) -> None:
        self.receiver.push(self.sequence % 0x10000, self.timestamp % 0x100000000, payload)

    def listen(self, blocks: int) -> Samples:
        sound = []
        for _ in range(blocks):
            sound.append(self.receiver.pull(480))
            self.now += 0.010
        return np.concatenate(sound)


@pytest.mark.parametrize("jump", [48_000 * 600, -48_000 * 600, -48_000 // 2, 40_000, 0x7FFFFFFF])
def test_a_time_stamp_jump_costs_a_tenth_of_a_second_at_most(packets: list[bytes], jump: int) -> None:
    line = Line(packets)
    line.talk(100)
    line.timestamp += jump
    line.talk(10)
    assert min(tone_share(line.talk(100))) > 0.98
    assert line.receiver.stats().delay_ms < 50  # type: ignore[operator]


def test_a_sender_that_starts_anew_is_heard_at_once(packets: list[bytes]) -> None:
    line = Line(packets)
    line.talk(100)
    line.sequence, line.timestamp, line.sent = 40_000, 3_000_000_000, 0
    line.talk(10)
    assert min(tone_share(line.talk(100))) > 0.98
    stats = line.receiver.stats()
    assert stats.concealed_samples < 0.08 * RATE
    assert stats.bad_packets == 0


def test_a_sender_that_saves_its_breath_in_pauses_is_heard_from_the_first_syllable_and_the_room_goes_on() -> None:
    """Opus DTX (RFC 7587 3.1.3): in a pause a packet comes every 400 ms at most, and the time stamps go on."""
    noise = np.random.default_rng(1).normal(0, 60, 150 * FRAME_SAMPLES).astype(np.int16)
    said = np.concatenate([syllables(150), noise, tone(150)])
    encoder = Encoder()
    encoder._set(OPUS_SET_DTX, 1)
    clock = [0.0013]
    receiver = Receiver(Decoder(), clock=lambda: clock[0])
    heard, sent = [], 0
    for i in range(len(said) // FRAME_SAMPLES):
        payload = encoder.encode(said[i * FRAME_SAMPLES : (i + 1) * FRAME_SAMPLES])
        if len(payload) > 2:
            receiver.push(SEQUENCE + sent, (TIMESTAMP + i * FRAME_SAMPLES) % 0x100000000, payload)
            sent += 1
        for _ in range(2):
            heard.append(receiver.pull(480))
            clock[0] += 0.010
    sound, stats = np.concatenate(heard), receiver.stats()
    assert sent < 400
    pause = sound[int(4.0 * RATE) : int(5.9 * RATE)].reshape(-1, 4800)
    assert min(rms(block) for block in pause) > 5
    assert min(tone_share(sound[int(6.15 * RATE) :])) > 0.97
    assert stats.packets_late == stats.packets_skipped == 0
    assert stats.delay_ms is not None
    assert stats.delay_ms < 60
    assert stats.concealed_samples < 0.1 * RATE, "a pause is nothing that was lost"
    assert stats.absent_samples == 0


def test_sound_that_comes_no_more_is_absent_once_nothing_is_made_up_for_it(packets: list[bytes]) -> None:
    line = Line(packets)
    line.talk(100)
    line.listen(500)  # 5 s
    stats = line.receiver.stats()
    assert stats.absent_samples == pytest.approx(4 * RATE, abs=0.1 * RATE)
    assert stats.absent_samples + stats.concealed_samples <= stats.played_samples
    line.talk(100)
    assert line.receiver.stats().absent_samples <= stats.absent_samples + 960, "only until the first packet is played"


@pytest.mark.parametrize("time_stamps_go_on", [True, False])
def test_after_a_long_silence_sound_resumes_with_a_short_delay(packets: list[bytes], time_stamps_go_on: bool) -> None:
    line = Line(packets)
    line.talk(100)
    quiet = line.listen(3000)
    assert not quiet[-RATE:].any()
    line.timestamp += 30 * RATE if time_stamps_go_on else 0
    line.talk(5)
    assert min(tone_share(line.talk(100))) > 0.98
    stats = line.receiver.stats()
    assert stats.concealed_samples <= 1.1 * RATE
    assert stats.delay_ms < 50  # type: ignore[operator]


def test_a_stall_of_the_network_is_caught_up_within_two_seconds(packets: list[bytes]) -> None:
    line = Line(packets)
    line.talk(100)
    line.listen(30)
    for _ in range(15):  # all that was sent meanwhile comes at once
        line.push(packets[line.sent % 500])
        line.sequence += 1
        line.timestamp += FRAME_SAMPLES
        line.sent += 1
    line.talk(100)
    assert min(tone_share(line.talk(100))) > 0.98
    assert line.receiver.stats().delay_ms < 50  # type: ignore[operator]


HOSTILE = [b"", b"\x00", b"\x03", b"\xff" * 40, b"\x7b\x3f", bytes(MAX_PAYLOAD_BYTES + 1), b"\x78" + bytes(range(256)) * 4]


@pytest.mark.parametrize("payload", HOSTILE)
def test_a_hostile_packet_costs_a_frame_and_the_sound_goes_on(packets: list[bytes], payload: bytes) -> None:
    line = Line(packets)
    line.talk(100)
    line.push(payload)
    line.sequence += 1
    line.timestamp += FRAME_SAMPLES
    line.listen(2)
    line.talk(5)
    assert min(tone_share(line.talk(100))) > 0.98


@pytest.mark.parametrize("payload", [b"", b"\xff" * 40, bytes(MAX_PAYLOAD_BYTES + 1)])
def test_what_is_no_packet_is_counted_as_bad(packets: list[bytes], payload: bytes) -> None:
    line = Line(packets)
    line.talk(10)
    line.push(payload)
    stats = line.receiver.stats()
    assert (stats.packets_received, stats.bad_packets) == (11, 1)


def test_a_stray_packet_between_two_good_ones_is_not_heard(packets: list[bytes]) -> None:
    line = Line(packets)
    line.talk(100)
    for k in range(50):
        line.receiver.push((line.sequence + 20_000 + 7919 * k) % 0x10000, 12_345_678 * k, packets[0])
        assert min(tone_share(line.talk(6)), default=1) > 0.98
    assert line.receiver.stats().concealed_samples == 0
    assert line.receiver.stats().bad_packets == 50


def test_before_the_first_packet_there_is_silence_that_counts_as_nothing() -> None:
    receiver = Receiver(Decoder(), clock=lambda: 0.0)
    assert not receiver.pull(1000).any()
    stats = receiver.stats()
    assert (stats.played_samples, stats.concealed_samples, stats.delay_ms, stats.jitter_ms) == (0, 0, None, None)


def test_sound_that_is_pulled_belongs_to_whoever_pulled_it(packets: list[bytes]) -> None:
    line = Line(packets)
    line.talk(10)
    first = line.receiver.pull(100)
    first[:] = 0
    assert line.listen(1).any()


def test_a_decoder_that_fails_at_everything_gives_silence() -> None:
    class Broken(NumberedPackets):
        def decode(self, payload: bytes) -> Samples:
            raise MediaError("no")

        def conceal(self, samples: int) -> Samples:
            raise MediaError("no")

        def recover(self, payload: bytes, samples: int) -> Samples:
            raise MediaError("no")

    heard = Receiver(Broken(), clock=iter(np.arange(0, 10, 0.01)).__next__)
    for i in range(20):
        heard.push(i, i * FRAME_SAMPLES, b"+1", i * FRAME_S)
        assert not heard.pull(960).any()
    assert heard.stats().bad_packets > 0


def test_nobody_pulls_and_memory_stays_bounded(packets: list[bytes]) -> None:
    line = Line(packets)
    for i in range(4 * MAX_PACKETS):
        line.receiver.push(i, i * FRAME_SAMPLES, packets[0], i * FRAME_S)
    assert len(line.receiver._buffer) <= MAX_PACKETS
    line.now = 4 * MAX_PACKETS * FRAME_S
    line.receiver.pull(480)
    assert len(line.receiver._ahead) < 6000


def test_two_threads_push_and_pull_at_once(packets: list[bytes]) -> None:
    receiver = Receiver(Decoder())

    def push() -> None:
        for i in range(3000):
            receiver.push(i, i * FRAME_SAMPLES, packets[i % 500], i * FRAME_S)

    def pull() -> set[int]:
        return {len(receiver.pull(480)) + 0 * receiver.stats().packets_received for _ in range(1500)}

    with ThreadPoolExecutor(3) as pool:
        pushed, *pulled = pool.submit(push), pool.submit(pull), pool.submit(pull)
        assert [future.result(60) for future in pulled] == [{480}, {480}]
        pushed.result(60)
    assert receiver.stats().packets_received == 3000


_TONE = encoded(tone(8))
_ACTIONS = st.lists(
    st.tuples(
        st.just("push"),
        st.integers(0, 0xFFFF) | st.integers(0, 30),
        st.integers(0, 0xFFFFFFFF) | st.integers(0, 30).map(lambda i: i * FRAME_SAMPLES),
        st.binary(max_size=40) | st.sampled_from(_TONE + HOSTILE),
    )
    | st.tuples(st.just("pull"), st.integers(0, 3000))
    | st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.6, 30.0])),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(_ACTIONS)
def test_whatever_is_pushed_nothing_raises_and_every_pull_gets_what_it_asked_for(actions: list[tuple[Any, ...]]) -> None:
    now = 0.0
    receiver = Receiver(Decoder(), clock=lambda: now)
    for action in actions:
        match action:
            case ("push", sequence, timestamp, payload):
                receiver.push(sequence, timestamp, payload)
            case ("pull", samples):
                sound = receiver.pull(samples)
                assert (len(sound), sound.dtype) == (samples, np.int16)  # type: ignore[comparison-overlap]
            case ("wait", seconds):
                now += seconds
        assert len(receiver._buffer) <= MAX_PACKETS
        assert len(receiver._ahead) <= 9000
    stats = receiver.stats()
    assert stats.packets_received == sum(action[0] == "push" for action in actions)
    assert stats.packets_late + stats.bad_packets + stats.packets_skipped <= 2 * stats.packets_received
