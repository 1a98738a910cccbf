"""Answering machine detection on a call: who answered, told before the answer is (sync), or while it goes on (async).

::

    sync    the called side's sound -> AnswerListener -> AmdResult -> ACE
    async   ACE "inprogress"; the called side's sound, beside the call -> Notify "amd", and "amd_beep" where a machine beeps
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import numpy as np

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, Samples, silence
from sinchphone.audio.levels.answering_machine import AnsweringMachineDetector, BeepDetector, Detection
from sinchphone.gateway.svaml.recording import Notified
from sinchphone.gateway.svaml.tapped_leg import TappedLeg
from sinchphone.media.sound import AudioLeg, Party
from sinchphone.media.thread import MediaThread
from sinchphone.media.ticker import Ticker
from sinchphone.protocol.callbacks.events import AmdReason, AmdResult, AmdStatus, Notification, NotificationType
from sinchphone.protocol.callbacks.svaml import Amd

BEEP_WAIT_SECONDS: Final = 60.0  # for a machine's beep
_RESULTS: Final = {
    Detection.HUMAN: (AmdStatus.HUMAN, AmdReason.GREETING),
    Detection.LONG_GREETING: (AmdStatus.MACHINE, AmdReason.LONG_GREETING),
    Detection.INITIAL_SILENCE: (AmdStatus.MACHINE, AmdReason.INITIAL_SILENCE),
    Detection.BEEP: (AmdStatus.MACHINE, AmdReason.BEEP),
    Detection.NOT_SURE: (AmdStatus.NOT_SURE, AmdReason.NONE),
}


class AnswerListener:
    """Hears the called side, in the media thread (implements ``media.sound.Party`` and ``tapped_leg.LegListener``)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._detector: AnsweringMachineDetector | None = AnsweringMachineDetector()
        self._beeps = BeepDetector()
        self._rest = silence(0)
        self.result: asyncio.Future[AmdResult] = self._loop.create_future()
        self.beep = asyncio.Event()

    def tick(self, far: Frame) -> Frame:
        """Listens and says nothing."""
        self.said(far)
        return silence()

    def said(self, samples: Samples) -> None:
        """What the called side says."""
        self._rest = np.concatenate([self._rest, samples])
        while len(self._rest) >= FRAME_SAMPLES:
            self._push(self._rest[:FRAME_SAMPLES])
            self._rest = self._rest[FRAME_SAMPLES:]

    def heard(self, frame: Frame) -> None:
        """What it hears says nothing of who it is."""

    def _push(self, frame: Frame) -> None:
        detector = self._detector
        if detector is None:
            if self._beeps.push(frame):
                self._loop.call_soon_threadsafe(self.beep.set)
            return
        verdict = detector.push(frame)
        if verdict is not None:
            self._detector = None
            status, reason = _RESULTS[verdict]
            self._loop.call_soon_threadsafe(self._tell, AmdResult(status, reason, round(detector.seconds * 1000)))
            if verdict is Detection.BEEP:
                self._loop.call_soon_threadsafe(self.beep.set)

    def _tell(self, result: AmdResult) -> None:
        if not self.result.done():
            self.result.set_result(result)


class OverheardParty:
    """A party of ours that is listened to as one that was called (implements ``media.sound.Party``)."""

    def __init__(self, party: Party, listener: AnswerListener) -> None:
        self._party = party
        self._listener = listener

    def tick(self, far: Frame) -> Frame:
        """As the party's own."""
        said = self._party.tick(far)
        self._listener.said(said)
        return said


class PartyLeg:
    """A party of ours as an end whose sound can be pulled (implements ``media.sound.AudioLeg``)."""

    def __init__(self, party: Party) -> None:
        self._party = party

    def send(self, frame: Frame) -> None:
        """Nobody says anything to it."""

    def pull(self, samples: int) -> Samples:
        """What it says next, 20 ms at a time."""
        return self._party.tick(silence())

    def is_missing(self) -> bool:
        """It is there."""
        return False


class AnswerDetection:
    """Finds out who answers one call, as far as its backend wants to know."""

    def __init__(self, media: MediaThread, backend: Notified, spawn: Callable[[Coroutine[Any, Any, None], str], object]) -> None:
        """``spawn`` has something done beside the call."""
        self._media = media
        self._backend = backend
        self._spawn = spawn

    def overheard(self, party: Party, wanted: Amd) -> Party:
        """A party of ours, listened to while the call goes on where that's wanted."""
        return OverheardParty(party, self._listener()) if wanted is Amd.ASYNC else party

    async def who(self, called: AudioLeg, wanted: Amd) -> AmdResult | None:
        """Who answered, where that's wanted before the backend is asked; that it's being found out, where it's wanted later."""
        if wanted is Amd.OFF:
            return None
        if wanted is Amd.SYNC:
            return await detect(called, self._media)
        if isinstance(called, TappedLeg):
            called.add(self._listener())
        return AmdResult(AmdStatus.IN_PROGRESS)

    def _listener(self) -> AnswerListener:
        listener = AnswerListener()
        self._spawn(self._tell(listener), "amd")
        return listener

    async def _tell(self, listener: AnswerListener) -> None:
        found = await listener.result
        self._backend.notify(Notification(type=NotificationType.AMD, amd=found))
        if found.status is AmdStatus.MACHINE:
            with suppress(TimeoutError):
                await asyncio.wait_for(listener.beep.wait(), BEEP_WAIT_SECONDS)
                self._backend.notify(Notification(type=NotificationType.AMD_BEEP, amd=replace(found, reason=AmdReason.BEEP)))


async def detect(leg: AudioLeg, media: MediaThread) -> AmdResult:
    """Listen to whoever is at that end, and say nothing, until it's clear who that is: 5 s at most. Cancelling it is safe."""
    listener = AnswerListener()
    sound = Ticker(listener, media)
    await sound.connect(leg)
    try:
        return await listener.result
    finally:
        await sound.close()
