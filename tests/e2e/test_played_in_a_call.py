"""What a program plays and records while a call goes on, judged by the sound that arrives."""

import asyncio
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.engine.calls.call import Call
from sinchphone.errors import AudioFileError, LocalProtocolError, MediaError
from sinchphone.media.local_audio.files import decode
from sinchphone.media.sound import PlayFinished, PlayStarted, RecordFinished, RecordStarted
from sinchphone.tasks import start_task
from tests.instruments import tone_dbfs, tone_seconds
from tests.waiting import until

LOUD, LOW, NEAR_HZ, FAR_HZ = 1320.0, 880.0, 440.0, 620.0
ABOUT = 0.2  # of the time may be without the tone: a machine that is busy leaves gaps


def sine_file(path: Path, hz: float, seconds: float) -> Path:
    at = np.arange(round(seconds * RATE)) / RATE
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes())
    return path


class Talk:
    """Ada says NEAR_HZ, Bob says FAR_HZ, both hear."""

    def __init__(self, call: Call, incoming: Call, ada: Any, bob: Any) -> None:
        self.call, self.incoming, self.ada, self.bob = call, incoming, ada, bob
        self.events: list[Any] = []
        call.add_listener(self.events.append)

    def told(self, *kinds: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


@pytest.fixture
async def talk(lines: Any, steps: Any) -> Talk:
    ada, bob = await lines.phone("ada"), await lines.phone("bob")
    (near, near_sound), (far, far_sound) = lines.ear(NEAR_HZ), lines.ear(FAR_HZ)
    bob._calls._make_sound = lambda: far_sound
    call = await ada.call_user("bob", sound=near_sound)
    incoming = await steps.next_call(bob)
    await incoming.answer()
    assert await call.established()
    await far.hears(NEAR_HZ)
    return Talk(call, incoming, near, far)


async def test_one_sentence_after_the_other_is_played_in_place_of_the_near_sound(talk: Talk, tmp_path: Path) -> None:
    high, low = sine_file(tmp_path / "high.wav", LOUD, 1.0), sine_file(tmp_path / "low.wav", LOW, 1.0)
    async with asyncio.timeout(20):
        first, second = start_task(talk.call.play(high), name="first"), start_task(talk.call.play(low), name="second")
        assert await first
        await until(lambda: second.done() or talk.call.levels().near_dbfs == pytest.approx(tone_dbfs(decode(str(low)), LOW), abs=1.5))
        assert not second.done(), "the level is that of what is played"
        assert await second
    await talk.bob.hears(NEAR_HZ)
    assert [tone_seconds(talk.bob.all, hz) for hz in (LOUD, LOW)] == [pytest.approx(1.0, abs=ABOUT)] * 2
    paths = [(type(event), event.path) for event in talk.told(PlayStarted, PlayFinished)]
    assert paths == [(kind, str(file)) for file in (high, low) for kind in (PlayStarted, PlayFinished)]


async def test_what_plays_and_what_waits_may_be_stopped(talk: Talk, tmp_path: Path) -> None:
    long, never = sine_file(tmp_path / "long.wav", LOUD, 30), sine_file(tmp_path / "never.wav", LOW, 1)
    async with asyncio.timeout(20):
        first, second = start_task(talk.call.play(long), name="first"), start_task(talk.call.play(never), name="second")
        await talk.bob.hears(LOUD)
        talk.call.stop_playing()
        assert (await first, await second) == (False, False)
    await talk.bob.hears(NEAR_HZ)
    assert [event.path for event in talk.told(PlayStarted, PlayFinished)] == [str(long)] * 2


async def test_cancelling_stops_what_it_plays(talk: Talk, tmp_path: Path) -> None:
    playing = start_task(talk.call.play(sine_file(tmp_path / "long.wav", LOUD, 30)), name="playing")
    await talk.bob.hears(LOUD)
    playing.cancel()
    await talk.bob.hears(NEAR_HZ)
    assert playing.cancelled()


async def test_while_muted_the_peer_hears_nothing_of_what_is_played(talk: Talk, tmp_path: Path) -> None:
    talk.call.mute(True)
    async with asyncio.timeout(20):
        assert await talk.call.play(sine_file(tmp_path / "tone.wav", LOUD, 1.5))
    assert tone_dbfs(talk.bob.last(1.0), LOUD) < -60


async def test_the_end_of_the_call_ends_what_plays(talk: Talk, tmp_path: Path) -> None:
    playing = start_task(talk.call.play(sine_file(tmp_path / "long.wav", LOUD, 30)), name="playing")
    await talk.bob.hears(LOUD)
    await talk.incoming.hang_up()
    async with asyncio.timeout(20):
        assert await playing is False
        await talk.call.closed()
    with pytest.raises(LocalProtocolError, match="the call is over"):
        await talk.call.play(tmp_path / "long.wav")
    with pytest.raises(LocalProtocolError, match="the call is over"):
        await talk.call.record(tmp_path / "late.wav")


async def test_a_file_that_is_none_is_an_error_and_the_call_goes_on(talk: Talk, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.wav", tmp_path):
        with pytest.raises(AudioFileError):
            await talk.call.play(path)
    (tmp_path / "noise.wav").write_bytes(b"no sound at all")
    with pytest.raises(AudioFileError):
        await talk.call.play(tmp_path / "noise.wav")
    await talk.bob.hears(NEAR_HZ)
    assert talk.told(PlayStarted, PlayFinished) == []


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs the package espeak-ng")
async def test_a_text_is_spoken_after_what_plays_and_is_no_option_of_a_program(talk: Talk, tmp_path: Path) -> None:
    async with asyncio.timeout(20):
        tone = start_task(talk.call.play(sine_file(tmp_path / "tone.wav", LOUD, 0.4)), name="tone")
        await asyncio.sleep(0)
        assert await talk.call.say("-w /tmp/attack.wav You are connected.", "en-GB")
    assert tone.done()
    assert -30 < dbfs(talk.bob.last(1.0)) < -15
    assert tone_dbfs(talk.bob.last(1.0), NEAR_HZ) < -40
    assert [event.path for event in talk.told(PlayStarted)] == [str(tmp_path / "tone.wav"), "(speech)"]
    assert not Path("/tmp/attack.wav").exists()
    await talk.bob.hears(NEAR_HZ)


async def test_a_machine_that_cannot_speak_says_so(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MediaError, match="espeak-ng is not installed"):
        await talk.call.say("hello")
    assert talk.told(PlayStarted, PlayFinished) == []


async def test_a_sound_made_of_code_has_no_devices_to_be_changed(talk: Talk) -> None:
    with pytest.raises(LocalProtocolError, match="no devices"):
        await talk.call.set_device(loudspeaker="headset")


async def test_a_recording_begins_and_ends_in_mid_call_with_one_side_on_each_track(talk: Talk, tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    await talk.ada.hears(FAR_HZ)
    await talk.call.record(path)
    with pytest.raises(LocalProtocolError, match="recorded already"):
        await talk.call.record(tmp_path / "other.wav")
    async with asyncio.timeout(20):
        assert await talk.call.play(sine_file(tmp_path / "tone.wav", LOUD, 1.0))
        finished = await talk.call.stop_recording()
    assert finished is not None
    assert (finished.path, finished.failure) == (str(path), None)
    near, far = sides(path)
    assert 0.9 < len(near) / RATE < 4
    assert [clearest_dbfs(near, LOUD), clearest_dbfs(far, FAR_HZ)] == pytest.approx([-15.3, -15.3], abs=1)
    assert tone_seconds(near, LOUD) == pytest.approx(1.0, abs=ABOUT)
    assert tone_seconds(far, FAR_HZ) > (1 - ABOUT) * len(far) / RATE
    assert await talk.call.stop_recording() is None
    await talk.call.record(path, force=True, layout="far")
    await talk.call.play(sine_file(tmp_path / "again.wav", LOW, 0.5))
    await talk.incoming.hang_up()
    await asyncio.wait_for(talk.call.closed(), 20)
    assert [type(event) for event in talk.told(RecordStarted, RecordFinished)] == [RecordStarted, RecordFinished] * 2
    assert len(one := sides(path)) == 1
    assert clearest_dbfs(one[0], FAR_HZ) == pytest.approx(-15.3, abs=1)
    assert tone_seconds(one[0], FAR_HZ) > (1 - ABOUT) * len(one[0]) / RATE


async def test_what_is_asked_for_while_it_rings_begins_when_the_call_talks(lines: Any, steps: Any, tmp_path: Path) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob")
    ear, sound = lines.ear()
    bob._calls._make_sound = lambda: sound
    call = await ada.call_user("bob")
    await call.record(tmp_path / "all.wav")
    playing = start_task(call.play(sine_file(tmp_path / "hello.wav", LOUD, 1.2)), name="playing")
    incoming = await steps.next_call(bob)
    await incoming.answer()
    async with asyncio.timeout(20):
        assert await playing
    await call.hang_up()
    await asyncio.wait_for(call.closed(), 20)
    recorded = sides(tmp_path / "all.wav")[0]
    assert tone_seconds(ear.all, LOUD) == pytest.approx(1.2, abs=1.2 * ABOUT)
    assert tone_seconds(recorded, LOUD) == pytest.approx(1.2, abs=ABOUT)
    assert clearest_dbfs(recorded[:RATE], LOUD) == pytest.approx(-15.3, abs=1)


async def test_a_call_that_nobody_answers_plays_nothing_and_leaves_no_recording(lines: Any, steps: Any, tmp_path: Path) -> None:
    ada, bob = await lines.phone("ada"), await lines.phone("bob")
    call = await ada.call_user("bob")
    await call.record(tmp_path / "all.wav")
    playing = start_task(call.play(sine_file(tmp_path / "hello.wav", LOUD, 1.0)), name="playing")
    await (await steps.next_call(bob)).decline()
    async with asyncio.timeout(20):
        assert await playing is False
        await call.closed()
    assert [path.name for path in tmp_path.iterdir()] == ["hello.wav"]


def sides(path: Path) -> list[Samples]:
    with wave.open(str(path)) as file:
        channels, raw = file.getnchannels(), file.readframes(file.getnframes())
    return list(np.frombuffer(raw, "<i2").reshape(-1, channels).T)


def clearest_dbfs(sound: Samples, hz: float) -> float:
    """The tone's level in the tenth of a second that has most of it: a packet that a busy machine brings late leaves a gap, and what is
    concealed there is out of step with what follows, so that a tone is weaker in any longer stretch."""
    length = RATE // 10
    return max(tone_dbfs(sound[at : at + length], hz) for at in range(0, len(sound) - length + 1, FRAME_SAMPLES))
