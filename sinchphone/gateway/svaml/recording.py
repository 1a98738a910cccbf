"""Records one call's end for a backend: a file in the exchange's folder, and what the backend is told of it.

::

    TappedLeg -> said (left), heard (right) -> Recorder -> file -> Notify: started, finished, available
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from sinchphone.audio.frame import Frame, Samples, silence
from sinchphone.errors import AudioFileError, LocalProtocolError, MediaError
from sinchphone.exchange.recordings.recordings import Recordings
from sinchphone.gateway.svaml.ends import ScriptedEnd
from sinchphone.gateway.svaml.tapped_leg import TappedLeg
from sinchphone.media.clock import FrameClock
from sinchphone.media.local_audio.files import ENCODINGS
from sinchphone.media.local_audio.recorder import Recorder
from sinchphone.media.sound import SoundEvent, SoundWarning
from sinchphone.media.thread import MediaThread
from sinchphone.protocol.callbacks.events import Notification, NotificationType
from sinchphone.protocol.callbacks.svaml import StartRecording
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.tasks import start_task

MAX_RECORDING_SECONDS: Final = 3600.0  # of one: with this exchange's limits of bytes a full disk is nobody's fault

_log = logging.getLogger(__name__)


class Notified(Protocol):
    """Who is told what happens: ``callbacks.backend.BackendSession``, or whatever stands for it."""

    def notify(self, news: Notification) -> None:
        """Never waits."""


@quick_dataclass(frozen=True, slots=True)
class RecordingParts:
    """Where the recordings of one call go. ``address`` says where a file of that name can be fetched."""

    recordings: Recordings
    media: MediaThread
    application: str
    call_id: str
    address: Callable[[str], str]
    backend: Notified


class CallRecording:
    """The recordings of one call, one after the other (implements ``script.RecordsCall``). ``stop`` comes last."""

    def __init__(self, parts: RecordingParts, answered: asyncio.Event) -> None:
        """``answered``: a call is recorded from its answer on."""
        self._parts = parts
        self._answered = answered
        self._running: _RunningRecording | None = None

    async def start(self, end: ScriptedEnd, wanted: StartRecording) -> None:
        """From now on, or from the answer on; nothing where it is recorded already. What can't be recorded goes on, with a warning."""
        if self._running is not None:
            _log.info("call %s is recorded already", self._parts.call_id)
            return
        self._running = _RunningRecording(self._parts, end.leg, wanted, self._answered)
        self._running.begin()

    async def stop(self) -> None:
        """No longer. May be called twice."""
        running, self._running = self._running, None
        if running is not None:
            await running.end()


class _RunningRecording:
    """One recording, from ``begin`` to ``end`` (implements ``tapped_leg.LegListener``)."""

    def __init__(self, parts: RecordingParts, leg: TappedLeg, wanted: StartRecording, answered: asyncio.Event) -> None:
        self._parts = parts
        self._leg = leg
        self._wanted = wanted
        self._answered = answered
        self._recorder: Recorder | None = None
        self._clock = FrameClock(self._flush)
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Go on beside the call."""
        self._task = start_task(self._run(), name=f"recording {self._parts.call_id}")

    async def end(self) -> None:
        """Finish the file."""
        self._over.set()
        if self._task is not None:
            await self._task

    def said(self, samples: Samples) -> None:
        """What the end says, on the left."""
        if self._recorder is not None:
            self._recorder.near(samples, time.monotonic())

    def heard(self, frame: Frame) -> None:
        """What it hears, on the right."""
        if self._recorder is not None:
            self._recorder.far(frame, time.monotonic())

    async def _run(self) -> None:
        try:
            if not await self._is_answered():
                return
            path = await self._opened()
            self._notify(NotificationType.RECORDING_STARTED)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), MAX_RECORDING_SECONDS)
            await self._closed()
        except (AudioFileError, LocalProtocolError, MediaError, OSError) as error:
            _log.warning("call %s isn't recorded: %s", self._parts.call_id, error)
            return
        self._notify(NotificationType.RECORDING_FINISHED)
        if path.exists():
            self._notify(NotificationType.RECORDING_AVAILABLE, self._parts.address(path.name))

    async def _is_answered(self) -> bool:
        """Wait for the answer; False where the call was over before."""
        waiting = {start_task(one.wait(), name="recording waits") for one in (self._answered, self._over)}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return self._answered.is_set()

    async def _opened(self) -> Path:
        path = await asyncio.to_thread(self._parts.recordings.new, self._parts.application, self._parts.call_id, self._wanted.format)
        recorder = Recorder(str(path), self._report, kinds=tuple(ENCODINGS))
        await asyncio.to_thread(recorder.open)
        await self._parts.media.run(self._start(recorder))
        return path

    async def _start(self, recorder: Recorder) -> None:
        recorder.start(time.monotonic())
        self._recorder = recorder
        self._clock.start()
        self._leg.add(self)

    async def _closed(self) -> None:
        recorder, self._recorder = self._recorder, None
        assert recorder is not None, "it was opened"
        self._leg.remove(self)
        try:
            await self._parts.media.run(self._stop(recorder))
        finally:
            await asyncio.to_thread(recorder.close)

    async def _stop(self, recorder: Recorder) -> None:
        """It is as long as the call was, however long nothing came before its end."""
        self._clock.stop()
        now = time.monotonic()
        recorder.near(silence(0), now)
        recorder.far(silence(0), now)

    def _flush(self) -> None:
        if self._recorder is not None:
            self._recorder.flush(time.monotonic())

    def _report(self, event: SoundEvent) -> None:
        if isinstance(event, SoundWarning):
            _log.warning("call %s: %s", self._parts.call_id, event.message)

    def _notify(self, kind: NotificationType, destination: str | None = None) -> None:
        if self._wanted.notifies:
            self._parts.backend.notify(Notification(type=kind, destination=destination))
