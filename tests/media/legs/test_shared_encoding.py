"""Frames that many legs send alike are encoded once."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, Samples
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.audio.tones.signals import Sine
from sinchphone.media.codecs.choice import new_decoder, new_encoder
from sinchphone.media.codecs.codec import OPUS, PCMU, CodecFormat, Encoder
from sinchphone.media.legs import shared_encoding
from sinchphone.media.legs.shared_encoding import SharedEncoders, encoded
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


@pytest.mark.parametrize("codec", [OPUS, PCMU])
def test_all_legs_send_the_same_payload_which_is_the_sound(made: list[Counted], codec: CodecFormat) -> None:
    line, tone, decoder = SharedEncoders(), Sine(440.0), new_decoder(codec)
    own = [new_encoder(codec) for _ in range(5)]
    heard = []
    for _ in range(30):
        frame = line.frame(tone.pull(FRAME_SAMPLES))
        payloads = {encoded(encoder, frame, codec, SETTING) for encoder in own}
        assert len(payloads) == 1
        heard.append(decoder.decode(payloads.pop()))
    assert [one.frames for one in made] == [30]
    spectrum = np.abs(np.fft.rfft(np.concatenate(heard[10:])))
    assert abs(int(spectrum.argmax()) * 48_000 / (20 * FRAME_SAMPLES) - 440.0) < 2


def test_each_bit_rate_has_an_encoder_of_its_own_and_none_that_nobody_asks_for_stays(made: list[Counted]) -> None:
    line, tone = SharedEncoders(), Sine(440.0)
    own = new_encoder(OPUS)
    frame = line.frame(tone.pull(FRAME_SAMPLES))
    assert encoded(own, frame, OPUS, SETTING) != encoded(own, frame, OPUS, LOWER)
    for _ in range(60):
        encoded(own, line.frame(tone.pull(FRAME_SAMPLES)), OPUS, SETTING)
    encoded(own, line.frame(tone.pull(FRAME_SAMPLES)), OPUS, LOWER)
    assert [one.frames for one in made] == [61, 1, 1]


@pytest.mark.parametrize("change", [lambda frame: frame + 1, lambda frame: frame[:480], lambda frame: frame.copy()])
def test_what_was_changed_on_the_way_is_encoded_by_the_leg_itself(made: list[Counted], change: Callable[[Samples], Samples]) -> None:
    frame = SharedEncoders().frame(Sine(440.0).pull(FRAME_SAMPLES))
    assert encoded(new_encoder(OPUS), change(frame), OPUS, SETTING)
    assert not made


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
    assert sum(one.frames for one in made) == 150
    assert [packet.payload for packet in seats[0].sent[-30:]] == [packet.payload for packet in seats[1].sent[-30:]]
    for seat in seats:
        heard = seat.heard().reshape(-1, FRAME_SAMPLES * 10)[1:]
        assert all(tone_dbfs(tenth, 440.0) == pytest.approx(-20.0, abs=1.0) for tenth in heard)
