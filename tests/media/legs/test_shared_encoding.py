"""Frames that many legs send alike are encoded once."""

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, Samples, silence
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.codecs.choice import new_decoder, new_encoder
from sinchphone.media.codecs.codec import OPUS, PCMU, CodecFormat, Encoder
from sinchphone.media.legs import shared_encoding
from sinchphone.media.legs.shared_encoding import LegEncoder, SharedEncoders
from sinchphone.protocol.sdp.session_description import ANY_LENGTH, PacketTimes
from tests.instruments import tone_dbfs
from tests.media.legs.test_packet_time import Wire

SETTING, LOWER = RedundancySetting(32_000), RedundancySetting(16_000)


class Counted:
    """An encoder that counts what it encodes."""

    made: ClassVar[list["Counted"]] = []

    def __init__(self, encoder: Encoder) -> None:
        self.frames = 0
        self._encoder = encoder
        Counted.made.append(self)

    def encode(self, frame: Samples) -> bytes:
        self.frames += 1
        return self._encoder.encode(frame)

    def adapt(self, setting: RedundancySetting) -> None:
        self._encoder.adapt(setting)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Counted]:
    Counted.made = []
    monkeypatch.setattr(shared_encoding, "new_encoder", lambda codec: Counted(new_encoder(codec)))
    return Counted.made


def encoded_frames(made: list[Counted]) -> list[int]:
    """By each encoder that encoded any."""
    return [one.frames for one in made if one.frames]


def leg_of(codec: CodecFormat, setting: RedundancySetting = SETTING) -> LegEncoder:
    leg = LegEncoder(codec)
    leg.adapt(setting)
    return leg


@pytest.mark.parametrize("codec", [OPUS, PCMU])
def test_all_legs_send_the_same_payload_which_is_the_sound(made: list[Counted], codec: CodecFormat) -> None:
    line, tone, decoder = SharedEncoders(), Sine(440.0), new_decoder(codec)
    legs = [leg_of(codec) for _ in range(5)]
    heard = []
    for _ in range(30):
        frame = line.frame(tone.pull(FRAME_SAMPLES))
        payloads = {leg.encode(frame) for leg in legs}
        assert len(payloads) == 1
        heard.append(decoder.decode(payloads.pop()))
    assert encoded_frames(made) == [30]
    spectrum = np.abs(np.fft.rfft(np.concatenate(heard[10:])))
    assert abs(int(spectrum.argmax()) * 48_000 / (20 * FRAME_SAMPLES) - 440.0) < 2


def test_each_bit_rate_has_an_encoder_of_its_own_and_none_that_nobody_asks_for_stays(made: list[Counted]) -> None:
    line, tone = SharedEncoders(), Sine(440.0)
    usual, lower = leg_of(OPUS), leg_of(OPUS, LOWER)
    frame = line.frame(tone.pull(FRAME_SAMPLES))
    assert usual.encode(frame) != lower.encode(frame)
    for _ in range(60):
        usual.encode(line.frame(tone.pull(FRAME_SAMPLES)))
    lower.encode(line.frame(tone.pull(FRAME_SAMPLES)))
    assert encoded_frames(made) == [61, 1, 11], "those before, too"


@pytest.mark.parametrize("change", [lambda frame: frame + 1, lambda frame: frame[:480], lambda frame: frame.copy()])
def test_what_was_changed_on_the_way_is_encoded_by_the_leg_itself(made: list[Counted], change: Callable[[Samples], Samples]) -> None:
    frame = SharedEncoders().frame(Sine(440.0).pull(FRAME_SAMPLES))
    leg = leg_of(OPUS)
    assert leg.encode(change(frame))
    assert len(made) == 1, "its own"


def test_who_wants_longer_packets_has_an_encoder_of_its_own_and_shares_again_when_that_is_over(made: list[Counted]) -> None:
    line, tone = SharedEncoders(), Sine(440.0, -20.0)
    seats = [Wire(OPUS, ANY_LENGTH) for _ in range(3)]

    def speak(frames: int) -> None:
        for _ in range(frames):
            frame = line.frame(tone.pull(FRAME_SAMPLES))
            for seat in seats:
                seat.out.send(frame)
                seat.now += 0.020

    speak(50)
    seats[0].agree(PacketTimes(40))
    speak(50)
    assert [len(seat.sent) for seat in seats] == [75, 100, 100]
    seats[0].agree(ANY_LENGTH)
    speak(50)
    assert sum(encoded_frames(made)) == 150 + 25 + 20, "and what it takes to go over from one to another without a gap"
    assert [packet.payload for packet in seats[0].sent[-30:]] == [packet.payload for packet in seats[1].sent[-30:]]
    for seat in seats:
        heard = seat.heard().reshape(-1, FRAME_SAMPLES * 10)[1:]
        assert all(tone_dbfs(tenth, 440.0) == pytest.approx(-20.0, abs=1.0) for tenth in heard)


SILENT = silence()
QUIET_DBFS = -60.0


class Listening:
    """A leg, and what its peer hears."""

    def __init__(self, bitrate: int) -> None:
        self.leg = leg_of(OPUS, RedundancySetting(bitrate))
        self._decoder = new_decoder(OPUS)

    def hears(self, sound: Samples) -> Samples:
        return self._decoder.decode(self.leg.encode(sound))


def loudest_dbfs(heard: list[Samples]) -> float:
    return 20 * math.log10(max(1, int(np.abs(np.concatenate(heard).astype(int)).max())) / 32_768)


@pytest.mark.parametrize("bitrate", [16_000, 32_000, 64_000])
def test_who_falls_silent_does_not_hear_the_last_of_their_own_voice(bitrate: int) -> None:
    line, voice, other, speaker = SharedEncoders(), Sine(440.0, -15.0), Listening(bitrate), Listening(bitrate)
    for _ in range(20):
        other.hears(line.frame(voice.pull(FRAME_SAMPLES)))
        speaker.hears(SILENT)
    heard = []
    for _ in range(30):
        quiet = line.frame(silence())
        other.hears(quiet)
        heard.append(speaker.hears(quiet))
    assert loudest_dbfs(heard) < QUIET_DBFS


@pytest.mark.parametrize("bitrate", [24_000, 32_000, 64_000])
def test_who_begins_to_speak_does_not_hear_what_was_said_when_they_last_spoke(bitrate: int) -> None:
    line, voice, seat = SharedEncoders(), Sine(440.0, -15.0), Listening(bitrate)
    for _ in range(20):
        seat.hears(voice.pull(FRAME_SAMPLES))
    for _ in range(20):
        seat.hears(line.frame(silence()))
    line.frame(silence())
    assert loudest_dbfs([seat.hears(SILENT) for _ in range(5)]) < QUIET_DBFS


@pytest.mark.parametrize("bitrate", [16_000, 32_000, 64_000])
def test_who_listens_at_a_bit_rate_that_nobody_had_for_a_moment_hears_nothing_of_that_time(bitrate: int) -> None:
    line, voice, first, second = SharedEncoders(), Sine(440.0, -15.0), Listening(bitrate), Listening(bitrate)
    for _ in range(20):
        first.hears(line.frame(voice.pull(FRAME_SAMPLES)))
    for _ in range(20):
        line.frame(silence())
    assert loudest_dbfs([second.hears(line.frame(silence())) for _ in range(5)]) < QUIET_DBFS


@pytest.mark.parametrize("bitrate", [16_000, 24_000, 32_000, 64_000])
def test_who_goes_from_listening_to_speaking_and_back_hears_a_third_without_a_gap(bitrate: int) -> None:
    line, third, seat, other = SharedEncoders(), Sine(440.0, -20.0), Listening(bitrate), Listening(bitrate)
    for _ in range(60):
        frame = line.frame(third.pull(FRAME_SAMPLES))
        other.hears(frame)
        seat.hears(np.array(frame))
    heard = []
    for tick in range(120):
        frame = line.frame(third.pull(FRAME_SAMPLES))
        other.hears(frame)
        heard.append(seat.hears(np.array(frame) if tick // 20 % 2 else frame))
    assert all(tone_dbfs(one, 440.0) == pytest.approx(-20.0, abs=0.5) for one in heard)
