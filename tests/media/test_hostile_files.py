"""Sound files that are damaged, that lie, or that only look damaged: told in a sentence, and a call goes on in any case."""

import io
import os
import resource
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sinchphone.audio.frame import RATE
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio import files
from sinchphone.media.local_audio.files import AudioReader, decode
from sinchphone.media.local_audio.player import Player
from sinchphone.media.sound import PlayFinished, SoundEvent, SoundWarning

LIMIT_SECONDS = 20.0
FAST_START = {"movflags": "faststart"}


def wav(rate: int, content: bytes, *, size: int | None = None, channels: int = 1) -> bytes:
    """A header that says what the test likes, and ``content``."""
    told = len(content) if size is None else size
    layout = struct.pack("<HHIIHH", 1, channels, rate, min(rate * 2 * channels, 2**32 - 1), 2 * channels, 16)
    riff = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", told) + content
    return b"RIFF" + struct.pack("<I", min(len(riff) + told, 2**32 - 1)) + riff


def tone(seconds: float) -> bytes:
    samples: bytes = (8000 * np.sin(np.arange(int(seconds * RATE)) / 17)).astype("<i2").tobytes()
    return samples


def encoded(container: str, codec: str, *, seconds: float = 2.0, picture_seconds: float = 0.0, **options: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as opened:
        stream: Any = opened.add_stream(codec, rate=RATE, layout="mono")
        if picture_seconds:
            picture: Any = opened.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
            for number in range(int(10 * picture_seconds)):
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
                image.pts = number
                opened.mux(picture.encode(image))
            opened.mux(picture.encode(None))
        resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=RATE, frame_size=960)
        frame = av.AudioFrame.from_ndarray(np.frombuffer(tone(seconds), np.int16).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            opened.mux(stream.encode(piece))
        opened.mux(stream.encode(None))
    return file.getvalue()


def read(path: Path | str) -> tuple[float, str | None]:
    """How many seconds there are, and what is said to be wrong."""
    reader = AudioReader(str(path))
    try:
        return sum(len(block) for block in reader.blocks()) / RATE, reader.damage
    finally:
        reader.close()


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Gives bytes to standard input, in a thread."""
    reader, writer = os.pipe()
    monkeypatch.setattr(files, "STANDARD_INPUT_DESCRIPTOR", reader)

    def write(content: bytes) -> None:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(content)

    def give(content: bytes) -> None:
        threading.Thread(target=write, args=(content,), daemon=True).start()

    yield give
    os.close(reader)


@pytest.mark.parametrize("rate", [0, 1, 7, 999, 768_001, 520_141_696, 2**31 - 1])
def test_an_absurd_rate_is_refused_before_it_costs_anything(tmp_path: Path, rate: int) -> None:
    (tmp_path / "absurd.wav").write_bytes(wav(rate, tone(0.6)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AudioFileError):
        decode(str(tmp_path / "absurd.wav"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # [KiB]


@pytest.mark.parametrize("error", [MemoryError, RecursionError, NotImplementedError, IndexError, OverflowError, ValueError])
@pytest.mark.parametrize("method", ["demux", "decode"])
def test_whatever_the_decoder_raises_ends_the_file_and_not_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], method: str
) -> None:
    (tmp_path / "a.wav").write_bytes(wav(RATE, tone(1)))

    def broken(*_: object) -> Iterator[Any]:
        raise error("hostile")
        yield

    def refusing(*_: object) -> list[Any]:
        raise error("hostile")

    monkeypatch.setattr("sinchphone.media.local_audio.files.check", lambda _: None)
    if method == "decode":
        monkeypatch.setattr(AudioReader, "_converter", refusing)
    else:
        monkeypatch.setattr("sinchphone.media.local_audio.files._promised_seconds", lambda _: None)
        monkeypatch.setattr("sinchphone.media.local_audio.files.next", broken, raising=False)
    events: list[SoundEvent] = []
    player = Player([str(tmp_path / "a.wav")], events.append)
    player.open()
    limit = time.monotonic() + LIMIT_SECONDS
    while not any(isinstance(event, PlayFinished) for event in events):
        player.next_frame()
        assert time.monotonic() < limit, "the file never ends"
        time.sleep(0.001)
    assert any(isinstance(event, SoundWarning) for event in events)
    player.close()


def test_a_transport_stream_with_another_stream_in_its_middle_ends(tmp_path: Path) -> None:
    whole = encoded("mpegts", "aac")
    middle = len(whole) // 188 // 2 * 188
    (tmp_path / "two.ts").write_bytes(whole[:middle] + encoded("mpegts", "libmp3lame", picture_seconds=1) + whole[middle:])
    seconds, _ = read(tmp_path / "two.ts")
    assert seconds > 0.5


@pytest.mark.parametrize(("container", "codec"), [("matroska", "libopus"), ("mp4", "aac")])
def test_a_picture_that_lasts_longer_makes_no_sound_cut_short(tmp_path: Path, container: str, codec: str) -> None:
    (tmp_path / "clip").write_bytes(encoded(container, codec, seconds=1, picture_seconds=4))
    seconds, damage = read(tmp_path / "clip")
    assert damage is None
    assert 0.9 < seconds < 1.2


def test_an_mp3_without_a_table_of_its_length_is_whole(tmp_path: Path) -> None:
    (tmp_path / "plain.mp3").write_bytes(encoded("mp3", "libmp3lame", write_xing="0"))
    assert read(tmp_path / "plain.mp3")[1] is None


@pytest.mark.parametrize("size", [0x7FFF_FFFF, 0x7FFF_FFDA, 0xFFFF_FFFF])
def test_a_wave_file_that_was_made_in_a_pipe_is_whole(tmp_path: Path, standard_input: Any, size: int) -> None:
    content = wav(RATE, tone(1), size=size)
    (tmp_path / "saved.wav").write_bytes(content)
    assert read(tmp_path / "saved.wav") == (1.0, None)
    standard_input(content)
    assert read("-") == (1.0, None)


def test_a_file_that_says_its_length_and_is_cut_short_still_says_so(tmp_path: Path) -> None:
    whole = encoded("flac", "flac", seconds=4)
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    damage = read(tmp_path / "cut.flac")[1]
    assert damage is not None and "cut short" in damage


def test_an_m4a_on_standard_input_is_whole(tmp_path: Path, standard_input: Any) -> None:
    with av.open(io.BytesIO(encoded("ipod", "aac"))) as source, av.open(str(tmp_path / "fast.m4a"), "w", options=FAST_START) as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux():  # type: ignore[union-attr]
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    standard_input((tmp_path / "fast.m4a").read_bytes())
    seconds, damage = read("-")
    assert damage is None
    assert seconds > 1.9


def test_an_m4a_whose_index_is_at_its_end_can_not_arrive_in_a_pipe(standard_input: Any) -> None:
    standard_input(encoded("ipod", "aac"))
    with pytest.raises(AudioFileError, match="index at the end"):
        read("-")
