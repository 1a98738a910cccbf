"""The table of codecs, and a decoder for streams whose codec changes from packet to packet."""

import sys

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES
from sinchphone.audio.redundancy import RedundancySetting
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import MediaError
from sinchphone.media.codecs.choice import AnyDecoder, load_codecs, mark, new_decoder, new_encoder
from sinchphone.media.codecs.codec import CODECS, G722, OPUS, PCMA, PCMU, CodecFormat, codec_of


def test_descriptions_name_the_codecs_as_their_registrations_do() -> None:
    assert [codec.encoding for codec in CODECS.values()] == ["opus/48000/2", "PCMU/8000", "PCMA/8000", "G722/8000"]
    assert [codec.payload_type for codec in (PCMU, PCMA, G722)] == [0, 8, 9]


@pytest.mark.parametrize(
    ("payload_type", "encoding", "codec"),
    [
        (96, "opus/48000/2", OPUS),
        (102, "OPUS/48000/2", OPUS),
        (0, None, PCMU),
        (0, "pcmu/8000", PCMU),
        (8, "PCMA/8000/1", PCMA),
        (9, None, G722),
        (9, "G722/8000", G722),
        (9, "G722/16000", None),
        (111, "opus/48000", None),
        (111, None, None),
        (18, None, None),
        (0, "speex/8000", None),
    ],
)
def test_a_codec_is_known_by_its_name_in_any_case_or_by_its_static_number(
    payload_type: int, encoding: str | None, codec: CodecFormat | None
) -> None:
    assert codec_of(payload_type, encoding) is codec


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_each_codec_of_the_table_speaks_and_is_understood(codec: CodecFormat) -> None:
    encoder, decoder, tone = new_encoder(codec), new_decoder(codec), Sine(800, -15)
    encoder.adapt(RedundancySetting(30_000, copies=1, fec_percent=10))
    payloads = [encoder.encode(tone.pull()) for _ in range(50)]
    sound = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert share(sound[FRAME_SAMPLES * 10 :], 800) > 0.98
    assert {decoder.duration(payload) for payload in payloads} == {FRAME_SAMPLES}


def test_there_is_no_other_codec() -> None:
    speex = CodecFormat("speex", 16_000, 97)
    for make in (new_encoder, new_decoder):
        with pytest.raises(MediaError, match="speex"):
            make(speex)


def test_each_packet_is_decoded_by_the_codec_of_its_payload_type() -> None:
    decoder, tone = AnyDecoder(), Sine(800, -15)
    decoder.expect({0: PCMU, 8: PCMA, 111: OPUS})
    heard = []
    for number in range(90):
        payload_type, codec = ((0, PCMU), (8, PCMA), (111, OPUS))[number // 30]
        if number % 30 == 0:
            encoder = new_encoder(codec)
        packet = mark(payload_type, encoder.encode(tone.pull()))
        assert decoder.duration(packet) == FRAME_SAMPLES
        heard.append(decoder.decode(packet))
    for third in (heard[5:30], heard[35:60], heard[65:]):
        assert share(np.concatenate(third), 800) > 0.98


def test_an_unknown_payload_type_is_no_sound_and_costs_the_stream_nothing() -> None:
    decoder = AnyDecoder()
    decoder.expect({0: PCMU})
    for packet in (b"", b"\x63abc", mark(8, b"abc")):
        assert decoder.duration(packet) == decoder.recoverable(packet) == 0
        with pytest.raises(MediaError):
            decoder.decode(packet)
    assert not decoder.conceal(480).any()
    assert decoder.recover(mark(8, b"abc"), 480).shape == (480,)
    assert len(decoder.decode(mark(0, bytes(160)))) == FRAME_SAMPLES


def test_a_number_that_gets_another_meaning_has_it_from_then_on() -> None:
    decoder = AnyDecoder()
    decoder.expect({96: PCMU, 97: OPUS})
    decoder.expect({96: PCMA})
    opus = new_encoder(OPUS).encode(Sine(500).pull())
    assert decoder.duration(mark(97, opus)) == FRAME_SAMPLES
    loud = decoder.decode(mark(96, bytes([0x80 ^ 0x55] * 160)))  # next to nothing in A-law, nearly full scale in mu-law
    assert np.abs(loud).max() < 100


async def test_loading_imports_ffmpeg_for_g722_only() -> None:
    await load_codecs([PCMU, OPUS])
    await load_codecs([G722])
    assert "sinchphone.media.codecs.g722" in sys.modules
