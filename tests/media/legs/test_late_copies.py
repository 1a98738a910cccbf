"""A copy that comes too late for its moment: the sound goes on as if it had been in time, and no later than before."""

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.media.codecs import g711
from sinchphone.media.codecs.codec import Decoder, Encoder
from sinchphone.media.codecs.opus import Decoder as OpusDecoder
from sinchphone.media.codecs.opus import Encoder as OpusEncoder
from sinchphone.media.legs.receiver import Receiver, ReceiverStats

FRAME_S = 0.020
FRAMES = 100
BLEND = 480  # samples
SHIFT = 48


def buzz() -> Samples:
    """A steady voice, which no cut can be heard in but a click."""
    at = np.arange(FRAMES * FRAME_SAMPLES) / RATE
    sound = np.sum([np.sin(2 * np.pi * 150 * harmonic * at) / harmonic for harmonic in range(1, 12)], axis=0)
    steady: Samples = (1500 * sound).astype(np.int16)
    return steady


def heard(encoder: Encoder, decoder: Decoder, *, late: dict[int, int]) -> tuple[Samples, ReceiverStats]:
    """What a player hears of it, where the packets ``late`` are lost, and come as copies with those named."""
    sound, clock = buzz(), [0.0]
    packets = [encoder.encode(sound[i : i + FRAME_SAMPLES]) for i in range(0, len(sound), FRAME_SAMPLES)]
    receiver = Receiver(decoder, clock=lambda: clock[0])
    blocks = []
    for number, packet in enumerate(packets):
        clock[0] = number * FRAME_S
        if number not in late:
            receiver.push(number, number * FRAME_SAMPLES, packet)
            for copied in (lost for lost, by in late.items() if by == number):
                receiver.push(copied, copied * FRAME_SAMPLES, packets[copied], spare=True)
        for half in (0.0002, 0.0102):
            clock[0] = number * FRAME_S + half
            blocks.append(receiver.pull(480))
    return np.concatenate(blocks), receiver.stats()


def off(one: Samples, other: Samples) -> float:
    """How much they differ (RMS), where one of them may be a few samples later."""
    middle = one[SHIFT:-SHIFT].astype(float)
    return min(float(np.sqrt(np.mean((middle - other[shift : shift + len(middle)].astype(float)) ** 2))) for shift in range(2 * SHIFT))


def steepest(sound: Samples) -> int:
    """The largest step from a sample to the next one."""
    return int(np.abs(np.diff(sound.astype(np.int32))).max())


def test_the_sound_after_a_late_copy_of_opus_is_what_it_would_have_been() -> None:
    late = {60: 61}
    undisturbed, _ = heard(OpusEncoder(), OpusDecoder(), late={})
    disturbed, stats = heard(OpusEncoder(), OpusDecoder(), late=late)
    rejoined = (max(late.values()) + 2) * FRAME_SAMPLES + BLEND
    assert stats.concealed_samples > 0
    assert len(disturbed) == len(undisturbed)
    assert off(disturbed[rejoined:], undisturbed[rejoined:]) < 1
    assert off(disturbed[: 60 * FRAME_SAMPLES], undisturbed[: 60 * FRAME_SAMPLES]) < 1


@pytest.mark.parametrize("late", [{60: 61}, {60: 62, 61: 62}])
def test_made_up_sound_flows_into_a_late_copy_without_a_click(late: dict[int, int]) -> None:
    for encoder, decoder in ((OpusEncoder(), OpusDecoder()), (g711.Encoder("PCMU"), g711.G711Decoder("PCMU"))):
        undisturbed, _ = heard(encoder, decoder, late={})
        usual = steepest(undisturbed[20 * FRAME_SAMPLES :])
        disturbed, stats = heard(encoder, decoder, late=late)
        assert stats.concealed_samples > 0
        assert steepest(disturbed[40 * FRAME_SAMPLES :]) < 1.6 * usual
