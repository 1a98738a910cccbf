"""Recordings of a call's end, with a leg that the test has say and hear things; and where streams may not lead."""

import asyncio
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import FRAME_SAMPLES, RATE, Frame, Samples
from sinchphone.exchange.access.address_policy import AddressPolicy
from sinchphone.exchange.recordings.recordings import Recordings
from sinchphone.gateway.legs.reasons import CallRefusedError
from sinchphone.gateway.routing.routing import ToStream
from sinchphone.gateway.svaml.recording import CallRecording, RecordingParts
from sinchphone.gateway.svaml.stream import CallStream, StreamedCall
from sinchphone.gateway.svaml.tapped_leg import TappedLeg
from sinchphone.media.clock import FrameClock
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.callbacks.events import Notification, NotificationType
from sinchphone.protocol.callbacks.svaml import StartRecording

BEEP: Samples = np.full(FRAME_SAMPLES, 8000, np.int16)


class Backend:
    def __init__(self) -> None:
        self.told: list[Notification] = []

    def notify(self, news: Notification) -> None:
        self.told.append(news)


class BeepingLeg:
    def pull(self, samples: int) -> Samples:
        return BEEP.copy()

    def send(self, frame: Frame) -> None:
        """Nobody hears it."""

    def is_missing(self) -> bool:
        return False


class End:
    """An end of a call (as much of ``ends.ScriptedEnd`` as a recording sees)."""

    def __init__(self) -> None:
        self.leg = TappedLeg(BeepingLeg())


def recording(folder: Path, media: MediaThread, backend: Backend, answered: asyncio.Event) -> CallRecording:
    parts = RecordingParts(Recordings(folder), media, "acme", "call", lambda name: f"http://here/{name}", backend)
    return CallRecording(parts, answered)


async def beep(media: MediaThread, end: Any) -> None:
    """Both sides beep for a fifth of a second."""

    def tick() -> None:
        end.leg.pull(FRAME_SAMPLES)
        end.leg.send(BEEP.copy())

    clock = FrameClock(tick)

    async def start() -> None:
        clock.start()

    async def stop() -> None:
        clock.stop()

    await media.run(start())
    await asyncio.sleep(0.2)
    await media.run(stop())


async def test_a_recording_is_as_long_as_the_call_and_both_sides_keep_their_places(tmp_path: Path) -> None:
    """However long nothing comes from either side, and nobody carries sound."""
    backend, answered, end = Backend(), asyncio.Event(), End()
    answered.set()
    with MediaThread() as media:
        media.start()
        recorder = recording(tmp_path, media, backend, answered)
        await recorder.start(end, StartRecording("wav"))  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            while not backend.told:
                await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await beep(media, end)
        await asyncio.sleep(1.0)
        second = asyncio.get_running_loop().time() - began
        await beep(media, end)
        await asyncio.sleep(0.5)
        seconds = asyncio.get_running_loop().time() - began
        await recorder.stop()
        await recorder.stop()
    (path,) = (tmp_path / "recordings").iterdir()
    with wave.open(str(path)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert len(sound) / RATE == pytest.approx(seconds, abs=0.2), "the length of the call"
    starts = [[at / RATE for at in np.flatnonzero(np.diff((np.abs(side) > 4000).astype(int)) > 0)] for side in sound.T]
    again = [next(at for at in side if at > second - 0.3) for side in starts]
    assert abs(again[0] - again[1]) < 0.04, "both at once"
    assert again[0] == pytest.approx(second, abs=0.2)
    assert [news.type for news in backend.told] == [
        NotificationType.RECORDING_STARTED,
        NotificationType.RECORDING_FINISHED,
        NotificationType.RECORDING_AVAILABLE,
    ]
    assert backend.told[-1].destination == f"http://here/{path.name}"


async def test_a_call_that_is_never_answered_leaves_no_recording(tmp_path: Path) -> None:
    backend = Backend()
    with MediaThread() as media:
        recorder = recording(tmp_path, media, backend, asyncio.Event())
        await recorder.start(End(), StartRecording())  # type: ignore[arg-type]
        await recorder.stop()
    assert (backend.told, list(tmp_path.rglob("*.mp3"))) == ([], [])


async def test_a_backend_that_wants_to_hear_nothing_of_it_hears_nothing(tmp_path: Path) -> None:
    backend, answered, end = Backend(), asyncio.Event(), End()
    answered.set()
    with MediaThread() as media:
        media.start()
        recorder = recording(tmp_path, media, backend, answered)
        await recorder.start(end, StartRecording("ogg", notifies=False))  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            while not list(tmp_path.rglob("*.part")):
                await asyncio.sleep(0.01)
        await beep(media, end)
        await recorder.stop()
    assert backend.told == []
    assert len(list(tmp_path.rglob("*.ogg"))) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:9/",
        "wss://127.0.0.1:9/",
        "ws://[::ffff:127.0.0.1]:9/",
        "ws://0x7f000001:9/",
        "ws://localhost:9/",
        "ws://169.254.169.254/",
    ],
)
async def test_attack_a_stream_leads_no_further_inside_than_the_exchange_lets(url: str) -> None:
    stream = CallStream(AddressPolicy(listens_on="0.0.0.0"), StreamedCall("call", "acme"), ToStream(url, 8000))
    try:
        with pytest.raises(CallRefusedError, match="can't be streamed") as refused:
            await stream.open()
        assert refused.value.failure.status == 403
    finally:
        await stream.close()
