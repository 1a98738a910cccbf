import os
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.audio.twotrack import Stereo
from sinchphone.errors import AudioFileError
from sinchphone.media.local_audio import files
from sinchphone.media.local_audio.files import AudioWriter, check, check_recording, decode
from sinchphone.media.local_audio.player import Player
from sinchphone.media.local_audio.recorder import Recorder
from sinchphone.media.sound import PlayFinished, PlayStarted, RecordFinished, RecordStarted, SoundEvent, SoundWarning
from tests.disk import disk_of

PATIENCE_SECONDS = 20.0


def stereo(near_hz: float, far_hz: float, seconds: float) -> Stereo:
    return np.stack([Sine(near_hz).pull(int(seconds * RATE)), Sine(far_hz).pull(int(seconds * RATE))], axis=1)


def write(path: Path, block: Stereo) -> Path:
    writer = AudioWriter(path, path.suffix)
    for start in range(0, len(block), FRAME_SAMPLES):
        writer.write(block[start : start + FRAME_SAMPLES])
    writer.close()
    return path


def tone_file(path: Path, hz: float = 440, seconds: float = 1.0) -> Path:
    return write(path, stereo(hz, hz, seconds))


def plain_wav(path: Path, rate: int, channels: int, width: int = 2) -> Path:
    times = np.arange(rate) / rate
    tone = (8000 * np.sin(2 * np.pi * 440 * times)).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(np.repeat(tone, channels).tobytes())
    return path


def wait_until(done: object, seconds: float = PATIENCE_SECONDS) -> None:
    assert callable(done)
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.01)


# --- reading


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_what_is_written_can_be_read_again(tmp_path: Path, suffix: str) -> None:
    sound = decode(str(tone_file(tmp_path / f"tone{suffix}", 440, 1.0)))
    assert len(sound) == pytest.approx(RATE, abs=FRAME_SAMPLES)
    assert share(sound[4800:43_200], 440) > 0.95
    assert dbfs(sound) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16_000, 2), (22_050, 1), (44_100, 2), (96_000, 1)])
def test_any_rate_and_layout_becomes_48_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    sound = decode(str(plain_wav(tmp_path / "plain.wav", rate, channels)))
    assert len(sound) == pytest.approx(RATE, abs=100)
    assert share(sound, 440) > 0.98
    assert 20 * np.log10(np.abs(sound).max() / 8000) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        (b"", "is not audio"),
        (b"hello\n" * 1000, "has no sound in it|is not audio"),
        (bytes(range(256)) * 100, "is not audio"),
        (b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", "is not audio"),
    ],
)
def test_what_is_not_audio_is_said_so(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "sound.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioFileError, match=words) as caught:
        check(str(path))
    assert caught.value.hint


def test_a_folder_is_not_audio(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="is a folder"):
        check(str(tmp_path))


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_a_file_cut_in_its_header_is_an_error(tmp_path: Path, suffix: str) -> None:
    whole = tone_file(tmp_path / f"whole{suffix}").read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole[:44])
    with pytest.raises(AudioFileError, match=r"is not audio|holds no sound"):
        check(str(cut))


def test_a_file_cut_in_the_middle_plays_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    whole = tone_file(tmp_path / "whole.flac", seconds=3).read_bytes()
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole[: len(whole) // 2])
    reader = files.AudioReader(str(cut))
    sound = np.concatenate(list(reader.blocks()))
    reader.close()
    assert RATE < len(sound) < 2 * RATE
    assert reader.damage is not None
    assert "cut short" in reader.damage


def test_decoding_stops_at_its_limit(tmp_path: Path) -> None:
    assert len(decode(str(tone_file(tmp_path / "long.wav", seconds=2)), max_seconds=0.5)) == RATE // 2


# --- playing


def test_files_play_one_after_the_other_without_a_gap(tmp_path: Path) -> None:
    paths = [str(tone_file(tmp_path / "a.wav", 440, 0.51)), str(tone_file(tmp_path / "b.flac", 1000, 0.51))]
    events: list[SoundEvent] = []
    player = Player(paths, events.append)
    player.open()
    wait_until(lambda: player._buffered >= RATE)
    sound = np.concatenate([player.next_frame() for _ in range(60)])
    wait_until(lambda: (player.next_frame(), len(events) == 4)[1])  # who reads ahead may learn later that the last file is over
    player.close()
    first, second, rest = sound[: int(0.51 * RATE)], sound[int(0.51 * RATE) : int(1.02 * RATE)], sound[int(1.02 * RATE) :]
    assert share(first, 440) > 0.99
    assert share(second, 1000) > 0.99
    assert not rest.any()
    assert events == [
        PlayStarted(path=paths[0]),
        PlayFinished(path=paths[0], last=False),
        PlayStarted(path=paths[1]),
        PlayFinished(path=paths[1], last=True),
    ]


def test_nothing_plays_before_the_first_frame_is_asked_for(tmp_path: Path) -> None:
    events: list[SoundEvent] = []
    player = Player([str(tone_file(tmp_path / "a.wav"))], events.append)
    player.open()
    wait_until(lambda: player._buffered > 0)
    player.close()
    assert events == []


def test_at_most_about_two_seconds_are_read_ahead(tmp_path: Path) -> None:
    player = Player([str(tone_file(tmp_path / "long.wav", seconds=10))], lambda _: None)
    player.open()
    wait_until(lambda: player._buffered >= 2 * RATE)
    assert player._buffered < 2.2 * RATE
    player.close()


def test_opening_a_player_finds_the_bad_file_among_good_ones(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="no such file"):
        Player([str(tone_file(tmp_path / "a.wav")), str(tmp_path / "b.wav")], lambda _: None).open()


def test_a_damaged_file_is_warned_of_when_it_has_been_played(tmp_path: Path) -> None:
    whole = tone_file(tmp_path / "whole.flac", seconds=3).read_bytes()
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole[: len(whole) // 2])
    events: list[SoundEvent] = []
    player = Player([str(cut)], events.append)
    player.open()
    wait_until(lambda: bool(player.next_frame().any()))
    wait_until(lambda: len(events) == 3 or player.next_frame() is None)
    assert [type(event) for event in events] == [PlayStarted, SoundWarning, PlayFinished]
    player.close()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a pipe, this its other end."""
    read, written = os.pipe()
    monkeypatch.setattr(files, "STANDARD_INPUT_DESCRIPTOR", read)
    yield written
    os.close(read)


def feed(pipe: int, content: bytes, *, close: bool = False) -> None:
    """In a thread: a pipe holds 64 KiB."""

    def write_all() -> None:
        for start in range(0, len(content), 4096):
            os.write(pipe, content[start : start + 4096])
        if close:
            os.close(pipe)

    threading.Thread(target=write_all).start()


def test_standard_input_plays_while_it_arrives(tmp_path: Path, pipe: int) -> None:
    sound = tone_file(tmp_path / "a.wav", 440, 1.0).read_bytes()
    events: list[SoundEvent] = []
    player = Player(["-"], events.append)
    player.open()
    assert not player.next_frame().any()
    feed(pipe, sound[:100_000])
    wait_until(lambda: bool(player.next_frame().any()))
    wait_until(lambda: player._buffered == 0 or player.next_frame() is None)
    assert not any(isinstance(event, PlayFinished) for event in events)
    feed(pipe, sound[100_000:], close=True)
    wait_until(lambda: any(isinstance(event, PlayFinished) for event in events) or player.next_frame() is None)
    assert events[-1] == PlayFinished(path="-", last=True)
    player.close()


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_standard_input_loses_no_beginning(tmp_path: Path, pipe: int, suffix: str) -> None:
    path = tone_file(tmp_path / f"a{suffix}", 440, 1.0)
    feed(pipe, path.read_bytes(), close=True)
    assert len(decode("-")) == len(decode(str(path)))


def test_a_player_can_be_closed_while_standard_input_is_silent(pipe: int) -> None:
    player = Player(["-"], lambda _: None)
    player.open()
    time.sleep(0.05)
    player.close()
    wait_until(lambda: not any(thread.name == "sinchphone player" for thread in threading.enumerate()))
    os.close(pipe)


def test_standard_input_that_is_not_audio_is_a_warning_in_the_call(pipe: int) -> None:
    events: list[SoundEvent] = []
    player = Player(["-"], events.append)
    player.open()
    os.write(pipe, bytes(range(256)) * 40)
    os.close(pipe)
    wait_until(lambda: any(isinstance(event, PlayFinished) for event in events) or player.next_frame() is None)
    assert events[-1].failure is not None  # type: ignore[union-attr]
    assert any(isinstance(event, SoundWarning) and "standard input is not audio" in event.message for event in events)
    player.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a FIFO")
def test_a_fifo_plays_like_standard_input(tmp_path: Path) -> None:
    fifo, events = tmp_path / "fifo", list[SoundEvent]()
    os.mkfifo(fifo)
    player = Player([str(fifo)], events.append)
    player.open()
    fifo.write_bytes(tone_file(tmp_path / "a.wav", seconds=0.2).read_bytes())
    wait_until(lambda: bool(player.next_frame().any()))
    player.close()


# --- recording


def record(recorder: Recorder, seconds: float) -> None:
    near, far = Sine(440), Sine(1000)
    recorder.start(0.0)
    for tick in range(1, int(seconds * 50) + 1):
        recorder.near(near.pull(), tick * 0.02)
        recorder.far(far.pull(), tick * 0.02)
        recorder.flush(tick * 0.02)


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_a_recording_has_near_left_and_far_right(tmp_path: Path, suffix: str) -> None:
    path, events = tmp_path / f"call{suffix}", list[SoundEvent]()
    recorder = Recorder(str(path), events.append)
    recorder.open()
    record(recorder, 2.0)
    assert not path.exists()
    recorder.close()
    recorder.close()
    left, right = both_sides(path)
    assert share(left[9600:86_400], 440) > 0.95
    assert share(left[9600:86_400], 1000) < 0.01
    assert share(right[9600:86_400], 1000) > 0.95
    assert share(right[9600:86_400], 440) < 0.01
    assert events == [RecordStarted(path=str(path)), RecordFinished(path=str(path), seconds=2.0)]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def both_sides(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import av

    with av.open(str(path)) as container:
        resampler, pieces = av.AudioResampler(format="s16", layout="stereo", rate=RATE), []
        for frame in container.decode(audio=0):
            pieces += [converted.to_ndarray().reshape(-1, 2) for converted in resampler.resample(frame)]
    sound = np.concatenate(pieces)
    return sound[:, 0], sound[:, 1]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_file_tells_while_it_is_written_how_much_is_in_it(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "call.wav.part"
    writer = AudioWriter(path, ".wav", channels=channels)
    for _ in range(3 * RATE // FRAME_SAMPLES + 10):
        writer.write(np.full((FRAME_SAMPLES, channels), 1000, np.int16))
    with wave.open(str(path)) as file:
        told = file.getnframes()
        assert 2 * RATE < told <= 3 * RATE + 10 * FRAME_SAMPLES
        assert file.readframes(told) == np.full(channels * told, 1000, np.int16).tobytes()
    writer.close()
    with wave.open(str(path)) as file:
        assert file.getnframes() == 3 * RATE + 10 * FRAME_SAMPLES


@pytest.mark.parametrize("seconds", [0.5, 0.98, 2.5])
def test_of_an_ogg_file_a_killed_process_leaves_all_but_the_last_half_second(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "call.ogg.part"
    writer = AudioWriter(path, ".ogg")
    for _ in range(int(seconds * RATE) // FRAME_SAMPLES):
        writer.write(np.zeros((FRAME_SAMPLES, 2), np.int16))
    assert seconds - 0.5 < len(decode(str(path))) / RATE <= seconds
    writer.close()


def test_a_recording_of_a_call_that_never_came_about_leaves_nothing_behind(tmp_path: Path) -> None:
    events: list[SoundEvent] = []
    recorder = Recorder(str(tmp_path / "call.wav"), events.append)
    recorder.open()
    recorder.close()
    assert list(tmp_path.iterdir()) == []
    assert events == []


@pytest.mark.parametrize(
    ("name", "words"), [("call.mp3", "must end in"), ("no/call.wav", "there is no folder"), ("folder.wav", "is a folder")]
)
def test_a_recording_that_cannot_be_is_refused_before_the_call(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudioFileError, match=words) as caught:
        Recorder(str(tmp_path / name), lambda _: None).open()
    assert caught.value.hint


def test_an_existing_file_is_refused_without_force(tmp_path: Path) -> None:
    path = tone_file(tmp_path / "call.wav", seconds=0.1)
    with pytest.raises(AudioFileError, match="exists already"):
        check_recording(path, force=False)
    recorder = Recorder(str(path), lambda _: None, force=True)
    recorder.open()
    record(recorder, 0.5)
    recorder.close()
    assert len(decode(str(path))) == RATE // 2


def test_a_file_that_appears_during_the_call_is_not_overwritten(tmp_path: Path) -> None:
    path, events = tmp_path / "call.wav", list[SoundEvent]()
    recorder = Recorder(str(path), events.append)
    recorder.open()
    record(recorder, 0.2)
    path.write_text("precious")
    recorder.close()
    assert path.read_text() == "precious"
    assert isinstance(events[-1], SoundWarning)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit")
@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".flac"])
def test_a_full_disk_is_one_warning_and_keeps_what_was_written(tmp_path: Path, suffix: str) -> None:
    path, events = tmp_path / f"call{suffix}", list[SoundEvent]()
    recorder = Recorder(str(path), events.append)
    recorder.open()
    with disk_of(40_000):
        record(recorder, 9.0)
        recorder.close()
    assert [type(event) for event in events] == [RecordStarted, SoundWarning, RecordFinished]
    assert 0 < path.stat().st_size <= 40_000
    assert len(decode(str(path))) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit")
@pytest.mark.parametrize("name", ["call.wav", "call.ogg", "call.flac"])
def test_a_recording_of_which_the_disk_takes_nothing_leaves_no_file(tmp_path: Path, name: str) -> None:
    path, events = tmp_path / name, list[SoundEvent]()
    recorder = Recorder(str(path), events.append)
    recorder.open()
    with disk_of(0):
        record(recorder, 9.0)
        recorder.close()
    assert [type(event) for event in events] == [RecordStarted, SoundWarning, RecordFinished]
    assert isinstance(last := events[-1], RecordFinished)
    assert (last.seconds, last.failure is None, last.is_kept) == (0.0, False, False)
    assert list(tmp_path.iterdir()) == []


def test_no_space_left_is_said_in_these_words(tmp_path: Path) -> None:
    error = files._unwritable(tmp_path / "call.wav", OSError(28, "No space left on device"))
    assert str(error).startswith("the disk is full")


def test_a_disk_that_hangs_costs_sound_but_not_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resume, original = threading.Event(), AudioWriter.write

    def hanging(writer: AudioWriter, block: Stereo) -> None:
        resume.wait(PATIENCE_SECONDS)
        original(writer, block)

    monkeypatch.setattr(AudioWriter, "write", hanging)
    path, events = tmp_path / "call.wav", list[SoundEvent]()
    recorder = Recorder(str(path), events.append)
    recorder.open()
    started = time.monotonic()
    record(recorder, 20.0)
    assert time.monotonic() - started < 5.0
    resume.set()
    recorder.close()
    assert isinstance(events[-1], RecordFinished)
    assert 9.0 < events[-1].seconds <= 20.0


def test_nothing_is_printed_about_a_damaged_file(tmp_path: Path) -> None:
    whole = tone_file(tmp_path / "whole.flac", seconds=3).read_bytes()
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole[:9000] + b"\0" * 3000 + whole[12_000:20_000])
    program = f"from sinchphone.media.local_audio.files import decode; decode({str(cut)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"", b"")
