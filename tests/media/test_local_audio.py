import asyncio
import dataclasses
import math
import sys
import threading
import time
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples, silence
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Loop, Sine
from sinchphone.errors import AudioFileError, DeviceError, LocalProtocolError
from sinchphone.media.local_audio.audio_io import AudioIo
from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.media.local_audio.devices import upkeep
from sinchphone.media.local_audio.devices.sound_cards import SoundDevice
from sinchphone.media.local_audio.files import AudioWriter
from sinchphone.media.local_audio.local_audio import LocalAudio
from sinchphone.media.local_audio.recorder import Recorder
from sinchphone.media.options import RecordLayout
from sinchphone.media.sound import (
    DevicesChanged,
    PlayFinished,
    PlayStarted,
    RecordFinished,
    RecordStarted,
    Signal,
    SoundEvent,
    SoundOptions,
    SoundWarning,
)
from sinchphone.media.thread import MediaThread
from sinchphone.tasks import start_task
from tests.waiting import until

PATIENCE_SECONDS = 20.0


class FakeLeg:
    """The peer says a tone, and everything said to it is kept."""

    def __init__(self, hz: float = 1000) -> None:
        self.sent: list[Frame] = []
        self.pulled = 0
        self._tone = Sine(hz)

    def send(self, frame: Frame) -> None:
        assert frame.shape == (FRAME_SAMPLES,)
        self.sent.append(frame)

    def is_missing(self) -> bool:
        return False

    def pull(self, samples: int) -> Samples:
        self.pulled += samples
        return self._tone.pull(samples)

    @property
    def heard(self) -> Samples:
        return np.concatenate([silence(0), *self.sent])


class FakeStream:
    """A device's stream; ``play`` and ``say`` are PortAudio's thread."""

    def __init__(self, device: SoundDevice, exchange: Callable[..., Any], ended: Callable[[], None], latency: devices.Latency) -> None:
        self.device, self.exchange, self.ended, self.latency = device, exchange, ended, latency
        self.xruns = self.blocks = 0
        self.running = False
        FakeStream.opened.append(self)

    opened: ClassVar[list["FakeStream"]] = []
    refusing: ClassVar[set[str]] = set()
    plugged: ClassVar[tuple[SoundDevice, ...]] = ()

    def open(self) -> None:
        if self.device.name in FakeStream.refusing:
            raise DeviceError(f"{self.device.name} refuses", hint="Ask nicely.")
        self.running = True

    def close(self) -> None:
        self.running = False


SPEAKER = SoundDevice(0, "speaker", "Fake", 0, 2, default_output=True)
RINGER = SoundDevice(1, "ringer", "Fake", 0, 2)
MICROPHONE = SoundDevice(2, "microphone", "Fake", 1, 0, default_input=True)
HEADSET = SoundDevice(3, "Jabra Headset", "Fake", 1, 2)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[FakeStream]:
    """A machine with a microphone, a loudspeaker and a ringer; the streams that were made."""
    FakeStream.opened, FakeStream.refusing, FakeStream.plugged = [], set(), (SPEAKER, RINGER, MICROPHONE)
    known = list(FakeStream.plugged)

    def look_again() -> None:
        if not running(FakeStream.opened):  # the list stands still while a stream is open
            known[:] = FakeStream.plugged

    monkeypatch.setattr(devices, "list_devices", lambda: tuple(known))
    monkeypatch.setattr(devices, "forget_devices", look_again)
    monkeypatch.setattr(devices, "look_aside", lambda: FakeStream.plugged)
    for name, seconds in (("REOPEN_SECONDS", (0.02, 0.02)), ("LOOK_SECONDS", 0.02), ("STEADY_SECONDS", 0.06), ("WATCH_SECONDS", 0.03)):
        monkeypatch.setattr(upkeep, name, seconds)
    monkeypatch.setattr("sinchphone.media.local_audio.devices.streams.Microphone", FakeStream)
    monkeypatch.setattr("sinchphone.media.local_audio.devices.streams.Loudspeaker", FakeStream)
    return FakeStream.opened


@pytest.fixture
async def media() -> AsyncIterator[MediaThread]:
    async with MediaThread() as thread:
        yield thread


def running(cards: list[FakeStream]) -> list[str]:
    return sorted(stream.device.name for stream in cards if stream.running)


async def all_events(audio: LocalAudio) -> list[SoundEvent]:
    return [event async for event in audio.events()]


def tone_file(path: Path, hz: float, seconds: float) -> str:
    writer = AudioWriter(path, path.suffix)
    writer.write(np.repeat(Sine(hz).pull(int(seconds * RATE))[:, np.newaxis], 2, axis=1))
    writer.close()
    return str(path)


def both_sides(path: Path) -> tuple[Samples, Samples]:
    with wave.open(str(path)) as recording:
        stereo = np.frombuffer(recording.readframes(recording.getnframes()), "<i2").reshape(-1, 2)
    return stereo[:, 0], stereo[:, 1]


class Clockwork:
    """A audio_io on a clock of its own: every step is 20 ms."""

    def __init__(self, near: Callable[[], Frame] | None = None, recorder: Recorder | None = None) -> None:
        self.now = 100.0
        self.leg = FakeLeg()
        self.audio_io = AudioIo(lambda function: function(), near=near, recorder=recorder, clock=lambda: self.now)

    def connect(self) -> None:
        self.audio_io.connect(self.leg)

    def run(self, ticks: int, *, microphone: Sine | None = None, loudspeaker: bool = False) -> Samples:
        played = [silence(0)]
        for _ in range(ticks):
            for _ in range(2):
                self.now += 0.01
                if microphone is not None:
                    self.audio_io.capture(microphone.pull(480))
                if loudspeaker:
                    played.append(self.audio_io.render(480))
            self.audio_io.tick()
        return np.concatenate(played)


# --- the audio_io, driven by hand


def test_without_devices_the_clock_sends_silence_and_hears_the_peer() -> None:
    work = Clockwork()
    work.connect()
    work.run(50)
    assert len(work.leg.sent) == 50
    assert not work.leg.heard.any()
    assert work.leg.pulled == 50 * FRAME_SAMPLES
    assert work.audio_io.levels.near_dbfs == -math.inf
    assert work.audio_io.levels.far_dbfs == pytest.approx(-20, abs=0.2)


def test_early_media_is_heard_while_nothing_is_said_played_or_recorded() -> None:
    work = Clockwork(near=lambda: np.full(FRAME_SAMPLES, 7, np.int16))
    work.audio_io.connect(work.leg, early=True)
    work.run(5)
    assert len(work.leg.sent) == 5
    assert not np.any(work.leg.sent)
    assert work.leg.pulled == 5 * FRAME_SAMPLES
    work.audio_io.connect(work.leg)
    work.run(1)
    assert np.all(work.leg.sent[-1] == 7)


def test_nothing_is_sent_or_pulled_before_the_call_is_connected() -> None:
    work = Clockwork(near=Sine(440).pull)
    work.run(10, microphone=Sine(300), loudspeaker=True)
    assert work.leg.sent == []
    assert work.leg.pulled == 0


def test_the_microphone_drives_what_is_sent() -> None:
    work = Clockwork()
    work.connect()
    work.run(50, microphone=Sine(440))
    assert len(work.leg.sent) == 50
    assert share(work.leg.heard, 440) > 0.99


def test_the_loudspeaker_drives_what_is_pulled() -> None:
    work = Clockwork()
    work.connect()
    played = work.run(50, loudspeaker=True)
    assert work.leg.pulled == len(played) == 50 * FRAME_SAMPLES
    assert share(played, 1000) > 0.99


def test_a_microphone_that_stalls_is_replaced_by_silence_and_comes_back() -> None:
    work = Clockwork()
    work.connect()
    work.run(10, microphone=Sine(440))
    work.run(50)
    assert len(work.leg.sent) == pytest.approx(60, abs=4)
    assert not work.leg.sent[-1].any()
    work.run(10, microphone=Sine(440))
    assert share(np.concatenate(work.leg.sent[-9:]), 440) > 0.95
    assert len(work.leg.sent) == pytest.approx(70, abs=4)


def test_a_loudspeaker_that_stalls_is_replaced_by_the_clock() -> None:
    work = Clockwork()
    work.connect()
    work.run(10, loudspeaker=True)
    work.run(50)
    assert work.leg.pulled == pytest.approx(60 * FRAME_SAMPLES, abs=11 * FRAME_SAMPLES)
    assert work.leg.pulled > 45 * FRAME_SAMPLES


def test_muted_sends_silence_not_nothing() -> None:
    work = Clockwork(near=Sine(440).pull)
    work.connect()
    work.run(10)
    work.audio_io.muted = True
    work.run(100)
    assert len(work.leg.sent) == 110
    assert not np.concatenate(work.leg.sent[10:]).any()
    assert work.audio_io.levels.near_dbfs == -math.inf
    work.audio_io.muted = False
    work.run(10)
    assert work.leg.sent[-1].any()


def test_a_signal_is_heard_in_place_of_the_peer_and_stops_at_once() -> None:
    work = Clockwork()
    work.audio_io.signal = Loop(Sine(425).pull(RATE))
    assert share(work.run(20, loudspeaker=True), 425) > 0.99
    work.audio_io.signal = None
    assert not work.run(5, loudspeaker=True).any()


def test_a_file_is_sent_in_place_of_the_microphone() -> None:
    work = Clockwork(near=Sine(440).pull)
    work.connect()
    work.run(20, microphone=Sine(300))
    assert len(work.leg.sent) == 20
    assert share(work.leg.heard, 440) > 0.99


def test_blocks_of_any_size_make_whole_frames() -> None:
    work = Clockwork()
    work.connect()
    tone, given = Sine(440), 0
    for size in (1, 479, 1000, 37, 2000, 3, 960):
        work.audio_io.capture(tone.pull(size))
        given += size
    assert len(work.leg.sent) == given // FRAME_SAMPLES
    assert np.array_equal(work.leg.heard, Sine(440).pull(given)[: len(work.leg.heard)])


@pytest.mark.parametrize("loudspeaker", [False, True])
def test_a_recording_is_aligned_to_the_sample(tmp_path: Path, loudspeaker: bool) -> None:
    recorder = Recorder(str(tmp_path / "call.wav"), lambda _: None)
    recorder.open()
    work = Clockwork(near=Sine(1000).pull, recorder=recorder)  # the same tone on both sides: any shift shows
    work.connect()
    work.run(100, loudspeaker=loudspeaker)
    work.audio_io.disconnect()
    recorder.close()
    left, right = both_sides(tmp_path / "call.wav")
    assert len(left) == 100 * FRAME_SAMPLES
    assert np.array_equal(left, right)
    assert share(left, 1000) > 0.99
    assert share(right, 1000) > 0.99


def test_what_is_muted_is_not_recorded(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path / "call.wav"), lambda _: None)
    recorder.open()
    work = Clockwork(near=Sine(440).pull, recorder=recorder)
    work.audio_io.muted = True
    work.connect()
    work.run(50)
    work.audio_io.disconnect()
    recorder.close()
    left, right = both_sides(tmp_path / "call.wav")
    assert not left.any()
    assert right.any()


@pytest.mark.parametrize("leaves", ["close", "rest"])
async def test_who_leaves_while_the_devices_open_is_not_watched_over(
    leaves: str, cards: list[FakeStream], media: MediaThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, may_open, really = threading.Event(), threading.Event(), FakeStream.open

    def slow(stream: FakeStream) -> None:
        opening.set()
        may_open.wait(PATIENCE_SECONDS)
        really(stream)

    monkeypatch.setattr(FakeStream, "open", slow)
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    connecting = start_task(audio.connect(FakeLeg()), name="connect")
    await until(opening.is_set)
    leaving = start_task(audio.close() if leaves == "close" else audio.rest(True), name="leave")
    await asyncio.sleep(0.05)
    may_open.set()
    await asyncio.wait([connecting, leaving])
    assert [task for task in asyncio.all_tasks() if task.get_name() == "watch devices"] == []
    assert running(cards) == []
    await audio.close()


# --- the audio: no devices


async def test_files_play_from_the_connection_on_and_never_before(tmp_path: Path, media: MediaThread) -> None:
    path = tone_file(tmp_path / "hello.wav", 440, 0.5)
    audio, leg = LocalAudio(SoundOptions(play=(path,), devices=False), media), FakeLeg()
    events = start_task(all_events(audio), name="all events")
    await audio.open()
    await audio.signal(Signal.RINGBACK)
    await asyncio.sleep(0.1)
    await audio.connect(leg)
    await until(lambda: len(leg.sent) >= 40)
    await audio.close()
    assert share(leg.heard[: RATE // 2], 440) > 0.99
    assert not leg.heard[RATE // 2 :].any()
    assert await events == [PlayStarted(path=path), PlayFinished(path=path, last=True)]


async def test_a_tone_is_sent(media: MediaThread) -> None:
    audio, leg = LocalAudio(SoundOptions(tone_hz=440, devices=False), media), FakeLeg()
    await audio.open()
    await audio.connect(leg)
    await until(lambda: len(leg.sent) >= 20)
    assert audio.levels().near_dbfs == pytest.approx(-20, abs=0.5)
    audio.mute(True)
    await until(lambda: not leg.sent[-1].any())
    await audio.close()
    assert share(np.concatenate(leg.sent[:19]), 440) > 0.99


async def test_a_call_is_recorded_and_the_file_is_there_when_the_sound_is_closed(tmp_path: Path, media: MediaThread) -> None:
    path = tmp_path / "call.wav"
    audio, leg = LocalAudio(SoundOptions(tone_hz=440, record=str(path), devices=False), media), FakeLeg()
    events = start_task(all_events(audio), name="all events")
    await audio.open()
    await audio.connect(leg)
    await until(lambda: len(leg.sent) >= 50)
    assert not path.exists()
    started = time.monotonic()
    await audio.close()
    await audio.close()
    assert time.monotonic() - started < 3.5
    left, right = both_sides(path)
    assert len(left) == len(leg.sent) * FRAME_SAMPLES
    assert share(left, 440) > 0.99
    assert share(right, 1000) > 0.99
    started_event, finished_event = await events
    assert started_event == RecordStarted(path=str(path))
    assert finished_event == RecordFinished(path=str(path), seconds=len(left) / RATE)


async def test_nothing_goes_to_a_leg_after_close(media: MediaThread) -> None:
    audio, leg = LocalAudio(SoundOptions(devices=False), media), FakeLeg()
    await audio.open()
    await audio.connect(leg)
    await until(lambda: len(leg.sent) > 2)
    await audio.close()
    sent = len(leg.sent)
    await asyncio.sleep(0.1)
    assert len(leg.sent) == sent


async def test_a_missing_file_is_an_error_before_the_call(tmp_path: Path, media: MediaThread) -> None:
    audio = LocalAudio(SoundOptions(play=(str(tmp_path / "no.wav"),), record=str(tmp_path / "call.wav"), devices=False), media)
    with pytest.raises(AudioFileError, match="no such file"):
        await audio.open()
    assert list(tmp_path.iterdir()) == []
    assert await all_events(audio) == []


async def test_local_audio_can_be_closed_when_the_media_thread_is_gone(tmp_path: Path) -> None:
    media = MediaThread()
    media.start()
    audio = LocalAudio(SoundOptions(record=str(tmp_path / "call.wav"), devices=False), media)
    await audio.open()
    await audio.connect(FakeLeg())
    await asyncio.to_thread(media.stop)
    await audio.close()
    assert (tmp_path / "call.wav").exists()


async def test_no_sound_card_is_touched_where_none_is_wanted(media: MediaThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_portaudio", lambda: pytest.fail("PortAudio was used"))
    audio = LocalAudio(SoundOptions(devices=False, output="speaker", input="microphone", ring="ringer"), media)
    await audio.open()
    assert not await audio.signal(Signal.RINGTONE)
    assert not await audio.signal(None)
    await audio.connect(FakeLeg())
    await audio.close()


def test_a_tone_that_cannot_be_is_refused(media: MediaThread) -> None:
    with pytest.raises(ValueError, match="24000"):
        LocalAudio(SoundOptions(tone_hz=30_000), media)


# --- the audio: devices


async def test_no_portaudio_is_one_warning_and_the_call_goes_on(media: MediaThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    audio, leg = LocalAudio(SoundOptions(), media), FakeLeg()
    events = start_task(all_events(audio), name="all events")
    await audio.open()
    assert not await audio.signal(Signal.RINGBACK)
    await audio.connect(leg)
    await until(lambda: len(leg.sent) > 5)
    await audio.close()
    (warning,) = await events
    assert isinstance(warning, SoundWarning)
    assert "no microphone and no loudspeaker" in warning.message
    assert warning.hint


async def test_no_device_is_one_warning(media: MediaThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_devices", lambda: (SPEAKER,))
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    await audio.close()
    (warning,) = await all_events(audio)
    assert isinstance(warning, SoundWarning)
    assert warning.message.endswith("the call has no microphone")


@pytest.mark.parametrize(
    "options", [SoundOptions(input="nope"), SoundOptions(output="nope"), SoundOptions(ring="nope"), SoundOptions(output=9)]
)
async def test_a_device_named_and_missing_is_an_error_before_the_call(
    options: SoundOptions, cards: list[FakeStream], media: MediaThread
) -> None:
    with pytest.raises(DeviceError, match=r"no sound (input|output) device"):
        await LocalAudio(options, media).open()


async def test_nobody_listens_before_the_call_is_answered(cards: list[FakeStream], media: MediaThread) -> None:
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    assert cards == []
    assert await audio.signal(Signal.RINGBACK)
    assert running(cards) == ["speaker"]
    await audio.connect(FakeLeg())
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()
    assert running(cards) == []


async def test_the_ringtone_uses_the_ring_device_and_the_call_the_other(cards: list[FakeStream], media: MediaThread) -> None:
    audio, leg = LocalAudio(SoundOptions(ring="ringer"), media), FakeLeg()
    await audio.open()
    await audio.signal(Signal.RINGTONE)
    assert running(cards) == ["ringer"]
    assert cards[0].exchange(4800).any()
    await audio.signal(None)
    assert not cards[0].exchange(4800).any()
    await audio.connect(leg)
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()


async def test_the_answer_ends_the_ringback(cards: list[FakeStream], media: MediaThread) -> None:
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    await audio.signal(Signal.RINGBACK)
    assert share(cards[0].exchange(9600), 425) > 0.99
    await audio.connect(FakeLeg(1000))
    assert share(cards[0].exchange(9600), 1000) > 0.99
    await audio.close()


async def test_the_microphone_is_not_opened_where_a_file_or_nothing_is_said(
    cards: list[FakeStream], tmp_path: Path, media: MediaThread
) -> None:
    for options in (
        SoundOptions(microphone=False),
        SoundOptions(tone_hz=440),
        SoundOptions(play=(tone_file(tmp_path / "a.wav", 440, 0.1),)),
    ):
        audio = LocalAudio(options, media)
        await audio.open()
        await audio.connect(FakeLeg())
        assert running(cards) == ["speaker"]
        await audio.close()


async def test_what_the_microphone_hears_is_sent_in_the_media_thread(cards: list[FakeStream], media: MediaThread) -> None:
    threads: set[int] = set()

    class Watching(FakeLeg):
        def send(self, frame: Frame) -> None:
            threads.add(threading.get_ident())
            super().send(frame)

    audio, leg, tone = LocalAudio(SoundOptions(), media), Watching(), Sine(440)
    await audio.open()
    await audio.connect(leg)
    microphone = next(stream for stream in cards if stream.device is MICROPHONE)
    for _ in range(100):
        await asyncio.to_thread(microphone.exchange, tone.pull(480))
        await until(lambda: not audio._audio_io._captured)
    await until(lambda: sum(bool(frame.any()) for frame in leg.sent) >= 45)
    await audio.close()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_device_that_refuses_in_the_call_is_a_warning_and_the_clock_drives(cards: list[FakeStream], media: MediaThread) -> None:
    FakeStream.refusing = {"speaker"}
    audio, leg = LocalAudio(SoundOptions(output="speaker"), media), FakeLeg()
    await audio.open()
    await audio.connect(leg)
    await until(lambda: leg.pulled > 5 * FRAME_SAMPLES)
    await audio.close()
    assert await all_events(audio) == [SoundWarning(message="speaker refuses", hint="Ask nicely.")]


async def test_a_signal_that_the_device_refuses_is_heard_by_nobody(cards: list[FakeStream], media: MediaThread) -> None:
    FakeStream.refusing = {"speaker"}
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    assert not await audio.signal(Signal.BUSY)
    await audio.close()


def speakers(cards: list[FakeStream]) -> list[FakeStream]:
    return [stream for stream in cards if stream.device is SPEAKER]


STOPPED = "the sound device stopped"
IN_USE = DevicesChanged(microphone="microphone", loudspeaker="speaker")


def told(events: list[SoundEvent]) -> list[str | DevicesChanged]:
    return [
        event.message if isinstance(event, SoundWarning) else event for event in events if isinstance(event, SoundWarning | DevicesChanged)
    ]


async def until_told(audio: LocalAudio, wanted: str | DevicesChanged) -> list[str | DevicesChanged]:
    """What is said up to ``wanted``."""
    heard: list[SoundEvent] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while wanted not in told(heard):
            heard.append(await anext(audio.events()))
    return told(heard)


async def connected(options: SoundOptions, media: MediaThread) -> tuple[LocalAudio, FakeLeg]:
    audio, leg = LocalAudio(options, media), FakeLeg()
    await audio.open()
    await audio.connect(leg)
    return audio, leg


async def test_a_device_that_stops_is_opened_again_and_the_person_is_told_of_both(cards: list[FakeStream], media: MediaThread) -> None:
    audio, _ = await connected(SoundOptions(), media)
    FakeStream.refusing = {"microphone"}
    speakers(cards)[0].ended()
    await until(lambda: len(cards) >= 4)
    assert running(cards) == ["speaker"], "what can be opened isn't kept back by what can't"
    FakeStream.refusing = set()
    assert (await until_told(audio, IN_USE))[0] == STOPPED
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()


async def test_a_device_that_stays_away_is_told_once_and_tried_for_ever(cards: list[FakeStream], media: MediaThread) -> None:
    audio, leg = await connected(SoundOptions(microphone=False), media)
    FakeStream.refusing = {"speaker"}
    cards[0].ended()
    await until(lambda: len(cards) >= 8)
    pulled = leg.pulled
    await until(lambda: leg.pulled > pulled + 10 * FRAME_SAMPLES)
    FakeStream.refusing = set()
    assert await until_told(audio, DevicesChanged(microphone=None, loudspeaker="speaker")) == [
        STOPPED,
        "speaker refuses",
        DevicesChanged(microphone=None, loudspeaker="speaker"),
    ]
    await audio.close()


async def test_a_device_that_dies_again_and_again_is_told_once_and_tried_less_and_less(
    cards: list[FakeStream], media: MediaThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "REOPEN_SECONDS", (0.01, 0.02, 0.04, 0.08))
    monkeypatch.setattr(upkeep, "STEADY_SECONDS", 30)
    times: list[float] = []

    def dies_at_once(stream: FakeStream) -> None:
        times.append(time.monotonic())
        stream.running = True
        stream.ended()

    audio, _ = await connected(SoundOptions(microphone=False), media)
    monkeypatch.setattr(FakeStream, "open", dies_at_once)
    speakers(cards)[0].ended()
    await until(lambda: len(times) >= 6)
    pauses = np.diff(times)
    assert pauses[0] >= 0.02 and pauses[1] >= 0.04 and min(pauses[2:]) >= 0.08
    await audio.close()
    assert told(await all_events(audio)) == [STOPPED]


async def test_a_device_that_hangs_without_a_word_is_opened_again(
    cards: list[FakeStream], media: MediaThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "STALL_SECONDS", 0.3)
    audio, _ = await connected(SoundOptions(), media)

    def only_the_first_microphone_hangs() -> bool:
        for stream in cards:
            stream.blocks += stream is not cards[1]
        return len(cards) >= 4

    await until(only_the_first_microphone_hangs)
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()
    assert told(await all_events(audio))[0] == STOPPED


async def test_trouble_after_a_steady_time_is_new_trouble(cards: list[FakeStream], media: MediaThread) -> None:
    audio, _ = await connected(SoundOptions(), media)
    for _ in range(3):
        speakers(cards)[-1].ended()
        assert await until_told(audio, IN_USE) == [STOPPED, IN_USE]
        await asyncio.sleep(0.2)
    await audio.close()


async def test_a_headset_that_is_pulled_out_is_replaced_and_taken_again_when_it_is_back(
    cards: list[FakeStream], media: MediaThread
) -> None:
    plugged, without = (SPEAKER, RINGER, MICROPHONE, HEADSET), (SPEAKER, RINGER, MICROPHONE)
    FakeStream.plugged = plugged
    devices.forget_devices()
    audio, _ = await connected(SoundOptions(input="jabra", output="jabra"), media)
    assert running(cards) == ["Jabra Headset"] * 2
    assert audio._audio_io.voice is None, "a headset doesn't echo"
    FakeStream.plugged = without
    cards[0].ended()
    assert await until_told(audio, IN_USE) == [STOPPED, IN_USE]
    assert running(cards) == ["microphone", "speaker"]
    assert audio._audio_io.voice is not None, "a loudspeaker does"
    FakeStream.plugged = plugged
    back = DevicesChanged(microphone="Jabra Headset", loudspeaker="Jabra Headset")
    assert await until_told(audio, back) == [back]
    assert running(cards) == ["Jabra Headset"] * 2
    assert audio._audio_io.voice is None
    await audio.close()


async def test_a_device_chosen_by_index_is_the_same_device_after_others_came(cards: list[FakeStream], media: MediaThread) -> None:
    audio, _ = await connected(SoundOptions(output="1", microphone=False), media)
    assert running(cards) == ["ringer"]
    FakeStream.plugged = (SPEAKER, HEADSET, dataclasses.replace(RINGER, index=2), MICROPHONE)
    cards[0].ended()
    await until(lambda: len(cards) == 2 and cards[1].running)
    assert running(cards) == ["ringer"]
    await audio.close()


async def test_a_microphone_that_is_plugged_in_during_the_call_is_used(cards: list[FakeStream], media: MediaThread) -> None:
    FakeStream.plugged = (SPEAKER,)
    devices.forget_devices()
    audio, _ = await connected(SoundOptions(), media)
    assert running(cards) == ["speaker"]
    FakeStream.plugged = (SPEAKER, MICROPHONE)
    assert await until_told(audio, IN_USE) == ["there is no sound input device; the call has no microphone", IN_USE]
    assert len(speakers(cards)) == 2, "the list is read again only while nothing is open"
    await audio.close()


async def test_a_device_that_was_busy_is_taken_without_touching_the_other(cards: list[FakeStream], media: MediaThread) -> None:
    FakeStream.refusing = {"microphone"}
    audio, _ = await connected(SoundOptions(), media)
    await until(lambda: len(cards) >= 4)
    FakeStream.refusing = set()
    assert await until_told(audio, IN_USE) == ["microphone refuses", IN_USE]
    assert len(speakers(cards)) == 1
    await audio.close()


async def test_a_named_device_that_went_while_it_rang_is_replaced_with_one_warning(cards: list[FakeStream], media: MediaThread) -> None:
    audio = LocalAudio(SoundOptions(output="ringer", microphone=False), media)
    await audio.open()
    FakeStream.plugged = (SPEAKER, MICROPHONE)
    devices.forget_devices()
    await audio.connect(FakeLeg())
    assert running(cards) == ["speaker"]
    await audio.close()
    (warning,) = told(await all_events(audio))
    assert isinstance(warning, str) and warning.endswith("speaker is used in its place")


async def test_the_person_moves_the_call_from_device_to_device_even_to_one_just_plugged_in(
    cards: list[FakeStream], media: MediaThread
) -> None:
    audio, leg = await connected(SoundOptions(), media)
    FakeStream.plugged = (SPEAKER, RINGER, MICROPHONE, HEADSET)
    FakeStream.refusing = {"ringer"}
    assert await audio.next_device()
    assert running(cards) == ["Jabra Headset"] * 2
    assert audio._audio_io.voice is None
    assert await audio.next_device()
    assert running(cards) == ["microphone", "speaker"], "a loudspeaker without a microphone leaves that to the default"
    opened = len(cards)
    speakers(cards)[-1].ended()
    await until(lambda: running(cards) == ["microphone", "speaker"] and len(cards) >= opened + 2)
    assert leg.sent
    await audio.close()
    headset = DevicesChanged(microphone="Jabra Headset", loudspeaker="Jabra Headset")
    assert told(await all_events(audio))[:3] == [headset, IN_USE, STOPPED]


async def test_a_call_that_rests_lets_go_of_its_devices_and_takes_them_again(cards: list[FakeStream], media: MediaThread) -> None:
    audio, leg = await connected(SoundOptions(), media)
    assert running(cards) == ["microphone", "speaker"]
    await audio.rest(True)
    await audio.rest(True)
    assert running(cards) == []
    sent = len(leg.sent)
    await until(lambda: len(leg.sent) > sent + 5)  # silence, by the clock
    assert running(cards) == [], "nobody opens them meanwhile"
    await audio.rest(False)
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()
    assert running(cards) == []


async def test_a_call_that_rests_before_its_answer_opens_no_device_until_it_may(cards: list[FakeStream], media: MediaThread) -> None:
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    await audio.rest(True)
    await audio.connect(FakeLeg())
    assert running(cards) == []
    await audio.rest(False)
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()


async def test_where_there_is_no_other_device_the_call_stays_where_it_is(cards: list[FakeStream], media: MediaThread) -> None:
    FakeStream.refusing = {"ringer"}
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    assert not await audio.next_device(), "not before the call"
    await audio.connect(FakeLeg())
    assert not await audio.next_device()
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()
    assert told(await all_events(audio)) == []


async def test_the_person_chooses_devices_by_name_even_one_just_plugged_in(cards: list[FakeStream], media: MediaThread) -> None:
    audio, leg = await connected(SoundOptions(), media)
    await audio.set_devices(loudspeaker="ringer")
    assert running(cards) == ["microphone", "ringer"]
    FakeStream.plugged = (SPEAKER, RINGER, MICROPHONE, HEADSET)
    await audio.set_devices(microphone="jabra")
    assert running(cards) == ["Jabra Headset", "ringer"]
    await audio.set_devices(microphone="jabra", loudspeaker="headset")
    assert running(cards) == ["Jabra Headset"] * 2
    assert leg.sent
    await audio.close()
    names = [("microphone", "ringer"), ("Jabra Headset", "ringer"), ("Jabra Headset", "Jabra Headset")]
    assert told(await all_events(audio)) == [DevicesChanged(microphone=one, loudspeaker=other) for one, other in names]


async def test_devices_that_were_chosen_in_vain_change_nothing(cards: list[FakeStream], media: MediaThread) -> None:
    audio, _ = await connected(SoundOptions(), media)
    FakeStream.refusing = {"ringer"}
    for wanted in ("gramophone", "ringer"):
        with pytest.raises(DeviceError, match=wanted):
            await audio.set_devices(loudspeaker=wanted)
        assert running(cards) == ["microphone", "speaker"]
    await audio.close()
    assert told(await all_events(audio)) == []


async def test_devices_chosen_while_it_rings_are_used_from_the_answer_on(cards: list[FakeStream], media: MediaThread) -> None:
    audio = LocalAudio(SoundOptions(), media)
    await audio.open()
    await audio.set_devices(loudspeaker="ringer")
    assert running(cards) == []
    await audio.signal(Signal.RINGBACK)
    await audio.set_devices(loudspeaker="speaker", microphone="microphone")
    assert running(cards) == ["speaker"], "nobody listens before the answer"
    await audio.connect(FakeLeg())
    assert running(cards) == ["microphone", "speaker"]
    await audio.close()


async def test_a_call_without_devices_or_where_something_else_speaks_takes_none(cards: list[FakeStream], media: MediaThread) -> None:
    silent = LocalAudio(SoundOptions(devices=False), media)
    await silent.open()
    with pytest.raises(LocalProtocolError, match="no devices"):
        await silent.set_devices(loudspeaker="speaker")
    await silent.close()
    audio, _ = await connected(SoundOptions(tone_hz=440.0), media)
    with pytest.raises(LocalProtocolError, match="something else speaks"):
        await audio.set_devices(microphone="microphone")
    await audio.set_devices(loudspeaker="ringer")
    assert running(cards) == ["ringer"]
    await audio.close()


async def test_without_portaudio_nobody_looks_for_devices_again(media: MediaThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(upkeep, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(devices, "forget_devices", lambda: pytest.fail("somebody looked"))
    audio, leg = await connected(SoundOptions(), media)
    await until(lambda: len(leg.sent) > 10)
    await audio.close()
    assert len(await all_events(audio)) == 1


async def test_streams_that_lose_blocks_are_opened_again_with_more_latency_step_by_step(
    cards: list[FakeStream], media: MediaThread
) -> None:
    audio, _ = await connected(SoundOptions(), media)

    def struggle() -> bool:
        for stream in cards:
            stream.xruns += 4 * stream.running
        return len(cards) >= 6

    await until(struggle)
    await until(lambda: running(cards) == ["microphone", "speaker"])
    await audio.close()
    assert [stream.latency for stream in cards[:6:2]] == ["low", 0.04, 0.1]
    assert told(await all_events(audio)) == []


async def test_a_reopening_looks_for_the_devices_afresh(
    cards: list[FakeStream], media: MediaThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart of the sound server the first look finds nothing; the next must not be given the same empty list."""
    forgotten: list[list[str]] = []
    monkeypatch.setattr(devices, "forget_devices", lambda: forgotten.append(running(cards)))
    audio, _ = await connected(SoundOptions(), media)
    FakeStream.refusing = {"speaker", "microphone"}
    cards[0].ended()
    await until(lambda: len(forgotten) >= 2)
    FakeStream.refusing = set()
    await until(lambda: running(cards) == ["microphone", "speaker"])
    await audio.close()
    assert all(open_then == [] for open_then in forgotten)


async def test_a_microphone_that_gives_nothing_counts_as_one_that_gives_silence(cards: list[FakeStream], media: MediaThread) -> None:
    audio, leg = await connected(SoundOptions(), media)
    await until(lambda: len(leg.sent) > 10)
    near = audio.levels().near
    assert near is not None and near.zero_seconds >= 0.1
    await audio.close()


async def test_no_microphone_is_no_dead_one(cards: list[FakeStream], media: MediaThread) -> None:
    FakeStream.plugged = (SPEAKER,)
    devices.forget_devices()
    audio, leg = await connected(SoundOptions(), media)
    await until(lambda: len(leg.sent) > 10)
    assert audio.levels().near is None
    await audio.close()


async def test_a_waiting_call_is_heard_over_the_call_and_not_by_the_peer(cards: list[FakeStream], media: MediaThread) -> None:
    audio, leg = await connected(SoundOptions(tones="us"), media)
    (loudspeaker,) = speakers(cards)
    await audio.signal(Signal.WAITING)
    heard = loudspeaker.exchange(RATE // 5)
    assert share(heard, 440) > 0.15 and share(heard, 1000) > 0.6
    await audio.signal(None)
    assert share(loudspeaker.exchange(RATE // 5), 1000) > 0.99
    await until(lambda: len(leg.sent) > 5)
    assert not leg.heard.any()
    await audio.close()


@pytest.mark.parametrize(
    ("layout", "near", "far"), [(RecordLayout.MIXED, 0.5, 0.5), (RecordLayout.NEAR, 1.0, 0.0), (RecordLayout.FAR, 0.0, 1.0)]
)
async def test_one_track_holds_both_sides_or_one(layout: RecordLayout, near: float, far: float, tmp_path: Path, media: MediaThread) -> None:
    path = tmp_path / "call.wav"
    options = SoundOptions(tone_hz=440, record=str(path), record_layout=layout, devices=False)
    audio, leg = await connected(options, media)
    await until(lambda: len(leg.sent) >= 50)
    await audio.close()
    with wave.open(str(path)) as recording:
        assert recording.getnchannels() == 1
        track = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
    assert share(track, 440) == pytest.approx(near, abs=0.05)
    assert share(track, 1000) == pytest.approx(far, abs=0.05)


async def test_a_program_talks_through_pipes(media: MediaThread, tmp_path: Path) -> None:
    (tmp_path / "said.raw").write_bytes(Sine(440).pull(RATE // 2).tobytes())
    options = SoundOptions(pipe_in=str(tmp_path / "said.raw"), pipe_out=str(tmp_path / "heard.raw"), devices=False)
    audio, leg = LocalAudio(options, media), FakeLeg(1000)
    await audio.open()
    await audio.connect(leg)
    await until(lambda: len(leg.sent) >= 40)
    await audio.close()
    said = np.concatenate(leg.sent)
    assert share(said[np.flatnonzero(said)[0] :][: RATE // 4], 440) > 0.95
    heard = np.fromfile(tmp_path / "heard.raw", "<i2")
    assert len(heard) >= RATE // 4
    assert share(heard, 1000) > 0.95
