"""A receiver that is only asked whether its peer speaks: background isn't decoded, and speech sounds as if all of it had been."""

from collections.abc import Sequence

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples, silence
from sinchphone.media.codecs.opus import Decoder, Encoder
from sinchphone.media.legs.receiver import Receiver
from tests.instruments import tone_dbfs

FRAME_SECONDS = FRAME_SAMPLES / RATE
BACKGROUND = 60  # frames of noise, after the encoder has got used to it; speech follows


class CountingDecoder(Decoder):
    """Opus that knows how often it was asked for sound."""

    def __init__(self) -> None:
        super().__init__()
        self.decoded = self.concealed = 0

    def decode(self, payload: bytes) -> Samples:
        self.decoded += 1
        return super().decode(payload)

    def conceal(self, samples: int) -> Samples:
        self.concealed += 1
        return super().conceal(samples)


def voice(frames: int) -> Samples:
    """A pitch of 140 Hz with its harmonics, in syllables."""
    at = np.arange(frames * FRAME_SAMPLES) / RATE
    wave = sum(np.sin(2 * np.pi * 140 * number * at) / number for number in range(1, 20))
    return np.asarray(4_000 * wave * (0.3 + 0.7 * np.abs(np.sin(np.pi * 4 * at))), np.int16)


def noise(frames: int) -> Samples:
    return np.random.default_rng(7).normal(0, 10, frames * FRAME_SAMPLES).astype(np.int16)


def packets(sound: Samples) -> list[bytes]:
    encoder = Encoder(bitrate=32_000)
    return [encoder.encode(frame) for frame in sound.reshape(-1, FRAME_SAMPLES)]


class Line:
    """Packets that come every 20 ms, and a receiver that is asked right after each."""

    def __init__(self) -> None:
        self.decoder = CountingDecoder()
        self.now = 0.0
        self.receiver = Receiver(self.decoder, clock=lambda: self.now)
        self._number = 0

    def listen(self, payloads: Sequence[bytes | None], *, skims: bool) -> list[Samples | None]:
        """``None`` among the payloads: lost."""
        heard: list[Samples | None] = []
        for payload in payloads:
            if payload is not None:
                self.receiver.push(self._number, self._number * FRAME_SAMPLES, payload)
            heard.append(self.receiver.skim(FRAME_SAMPLES) if skims else self.receiver.pull(FRAME_SAMPLES))
            self._number += 1
            self.now += FRAME_SECONDS
        return heard


def joined(frames: Sequence[Samples | None]) -> Samples:
    return np.concatenate([silence() if frame is None else frame for frame in frames])


def test_what_the_senders_encoder_takes_for_background_is_not_decoded() -> None:
    line, payloads = Line(), packets(noise(100))
    line.listen(payloads[:40], skims=True)
    before = line.decoder.decoded
    assert line.listen(payloads[40:], skims=True) == [None] * 60
    assert line.decoder.decoded == before
    assert line.receiver.stats().packets_late == 0 and not line.receiver.stats().concealed_samples


def test_speech_after_background_sounds_as_if_all_had_been_decoded() -> None:
    payloads = packets(np.concatenate([noise(BACKGROUND), voice(50)]))
    skimmed, pulled = (joined(Line().listen(payloads, skims=skims)) for skims in (True, False))
    spoken = slice((BACKGROUND + 2) * FRAME_SAMPLES, None)
    difference = skimmed[spoken].astype(float) - pulled[spoken]
    assert np.square(pulled[spoken].astype(float)).sum() > 10_000 * np.square(difference).sum(), "40 dB"


def test_the_first_frame_in_which_somebody_speaks_is_there() -> None:
    payloads = packets(np.concatenate([noise(BACKGROUND), voice(10)]))
    line = Line()
    line.listen(payloads[:BACKGROUND], skims=True)
    assert all(frame is not None for frame in line.listen(payloads[BACKGROUND:], skims=True)[3:])


def test_a_tone_is_no_speech_and_heard_all_the_same() -> None:
    tone = np.asarray(3_000 * np.sin(2 * np.pi * 700 * np.arange(80 * FRAME_SAMPLES) / RATE), np.int16)
    heard = Line().listen(packets(tone), skims=True)
    assert tone_dbfs(joined(heard[-25:]), 700.0) > -25


def test_who_pulls_after_skimming_hears_what_comes_from_then_on() -> None:
    payloads = packets(noise(100))
    line, other = Line(), Line()
    line.listen(payloads[:90], skims=True)
    other.listen(payloads[:90], skims=False)
    here, there = joined(line.listen(payloads[90:], skims=False)), joined(other.listen(payloads[90:], skims=False))
    assert 0.7 < np.std(here[-5 * FRAME_SAMPLES :]) / np.std(there[-5 * FRAME_SAMPLES :]) < 1.4


def test_a_packet_lost_from_background_costs_no_decoding_either_and_is_counted() -> None:
    payloads: list[bytes | None] = [*packets(noise(100))]
    payloads[60] = payloads[75] = None
    line = Line()
    line.listen(payloads[:40], skims=True)
    before = line.decoder.decoded, line.decoder.concealed
    line.listen(payloads[40:], skims=True)
    assert (line.decoder.decoded, line.decoder.concealed) == before
    assert line.receiver.stats().concealed_samples == 2 * FRAME_SAMPLES
