"""Whatever a sound file holds, reading it ends, with samples or with AudioFileError, in bounded memory."""

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinchphone.audio.frame import RATE
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio.files import AudioReader

SECONDS = 0.2
MAX_SECONDS = 3_600  # a kilobyte may truly hold minutes of silence, but not more than that
CODECS = {"wav": "pcm_s16le", "flac": "flac", "ogg": "libopus", "mpegts": "aac", "mp3": "libmp3lame", "ipod": "aac", "matroska": "libopus"}


def encoded(container: str, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as opened:
        stream: Any = opened.add_stream(codec, rate=RATE, layout="mono")
        resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=RATE, frame_size=960)
        tone = (8000 * np.sin(np.arange(int(SECONDS * RATE)) / 17)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            opened.mux(stream.encode(piece))
        opened.mux(stream.encode(None))
    return file.getvalue()


WHOLE = [encoded(container, codec) for container, codec in CODECS.items()]

changes = st.lists(
    st.tuples(st.one_of(st.integers(0, 100), st.integers(0, 10_000)), st.sampled_from(["set", "cut", "put"]), st.binary(max_size=8)),
    max_size=20,
)


def changed(content: bytes, wanted: list[tuple[int, str, bytes]]) -> bytes:
    for place, what, bytes_ in wanted:
        at = place % (len(content) + 1)
        end = at + len(bytes_) if what == "set" else at + 1 + len(bytes_) if what == "cut" else at
        content = content[:at] + (b"" if what == "cut" else bytes_) + content[end:]
    return content


def samples_in(path: Path) -> int:
    reader, count = AudioReader(str(path)), 0
    try:
        for block in reader.blocks():
            assert block.dtype == np.int16
            count += len(block)
            assert count <= MAX_SECONDS * RATE
    except AudioFileError:
        pass
    finally:
        reader.close()
    return count


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "sound"


@given(whole=st.sampled_from(WHOLE), wanted=changes)
def test_a_file_that_was_changed(file: Path, whole: bytes, wanted: list[tuple[int, str, bytes]]) -> None:
    file.write_bytes(changed(whole, wanted))
    samples_in(file)


@given(content=st.binary(max_size=2_000))
def test_any_bytes(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    samples_in(file)
