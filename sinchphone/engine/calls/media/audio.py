"""What is played and recorded in a call while it talks, whatever its sound is.

::

    play       -> Player   -> CallLeg.source     one after the other
    say        -> Clip     -/
    record     -> Recorder <- CallLeg.tap        one at a time
    set_device -> the sound, where it has devices
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVarTuple, assert_never

from sinchphone.errors import AudioFileError, LocalProtocolError
from sinchphone.media.legs.call_leg import CallLeg, FrameSource
from sinchphone.media.legs.three_way import three_way
from sinchphone.media.options import RecordLayout
from sinchphone.media.sound import (
    NO_DEVICES,
    DevicesChanged,
    HasDevices,
    Levels,
    MayRest,
    PipeEnded,
    PipeStarted,
    PlayFinished,
    PlayStarted,
    RecordFinished,
    RecordStarted,
    Sound,
    SoundEvent,
    SoundOptions,
    SoundWarning,
)

if TYPE_CHECKING:  # files are read by a library that takes long to import
    from sinchphone.media.local_audio.recorder import Recorder

AudioEvent: TypeAlias = PlayStarted | PlayFinished | RecordStarted | RecordFinished | SoundWarning

SoundChoice: TypeAlias = Sound | SoundOptions

SPOKEN: Final = "(speech)"  # in place of a path, in the events about a text that is spoken

Arguments = TypeVarTuple("Arguments")


class CallAudio:
    """Of one call. For the loop's thread."""

    def __init__(self, sound: Sound, tell: Callable[[AudioEvent], None], make_sound: Callable[[SoundOptions], Sound] | None = None) -> None:
        """``tell`` gets what begins and ends; ``make_sound``: of options that the call is answered with."""
        self.sound = sound
        self._make_sound = make_sound
        self._opening = asyncio.Lock()
        self._is_open = False
        self.leg = CallLeg()
        self._tell = tell
        self._plays: list[_Play] = []  # those that wait for their turn, too
        self._recorder: Recorder | None = None
        self._recorded: RecordFinished | None = None
        self._joined: CallAudio | None = None
        self._closed = False

    async def open(self) -> None:
        """Open the sound, unless it is. Raises DeviceError and AudioFileError."""
        async with self._opening:
            if not self._is_open:
                await self.sound.open()
                self._is_open = True

    async def exchange(self, wanted: "SoundChoice | Awaitable[SoundChoice | None] | None", is_wanted: Callable[[], bool]) -> None:
        """Another sound in place of the one with which the call rings, if that ``is_wanted`` when it's open; that one where there is none.
        Raises what ``is_wanted`` raises, DeviceError and AudioFileError."""
        choice = await wanted if isinstance(wanted, Awaitable) else wanted
        if choice is None:
            is_wanted()
            return
        sound = self._made(choice)
        try:
            is_wanted()
            await sound.open()
            async with self._opening:
                if is_wanted():
                    sound, self.sound, self._is_open = self.sound, sound, True
                    self.sound.mute(self.leg.muted)
        finally:
            await sound.close()

    def _made(self, choice: "SoundChoice") -> Sound:
        if not isinstance(choice, SoundOptions):
            return choice
        if self._make_sound is None:
            raise LocalProtocolError("this call makes no sound of options")
        return self._make_sound(choice)

    @property
    def is_joined(self) -> bool:
        """Whether another call is joined to this one."""
        return self._joined is not None

    async def join(self, other: "CallAudio") -> None:
        """See ``Call.join``; the other call's devices rest meanwhile. Raises LocalProtocolError where one is joined already."""
        if other is self or self._joined is not None or other._joined is not None:
            raise LocalProtocolError("one of the two calls is joined to another already")
        self._joined, other._joined = other, self
        self.leg.mix, other.leg.mix = three_way()
        await other.rest(True)
        await self.rest(False)

    async def part(self) -> None:
        """See ``Call.part``; who has the devices keeps them, unless its call is over."""
        other, self._joined = self._joined, None
        if other is not None:
            other._joined = None
            self.leg.mix = other.leg.mix = None
            if self._closed:
                await other.rest(False)

    async def rest(self, resting: bool) -> None:
        """Let go of the devices for another call, or take them again."""
        if isinstance(self.sound, MayRest):
            await self.sound.rest(resting)

    def begin(self) -> None:
        """The peer hears from now on: what was asked for begins."""
        self.leg.talks = True
        if self._recorder is not None:
            self._record_with(self._recorder)

    def mute(self, muted: bool) -> None:
        """While muted, silence is said; what is played goes on unheard."""
        self.leg.muted = muted
        self.sound.mute(muted)

    def levels(self) -> Levels:
        """Those of the sound; the near level is that of what is played in its place."""
        levels, played = self.sound.levels(), self.leg.source_dbfs
        return levels if played is None else replace(levels, near_dbfs=played)

    async def play(self, path: str) -> bool:
        """See ``Call.play``."""
        from sinchphone.media.local_audio.player import Player

        play = self._new_play(path)
        player = Player((path,), lambda event: self._report_play(play, event))

        async def opened() -> FrameSource:
            await asyncio.to_thread(player.open)
            return player

        try:
            return await self._in_turn(play, opened)
        finally:
            player.close()

    async def say(self, text: str, locale: str | None) -> bool:
        """See ``Call.say``."""
        from sinchphone.media.local_audio.clip import Clip
        from sinchphone.media.local_audio.speech import Speech

        play = self._new_play(SPOKEN)

        async def spoken() -> FrameSource:
            return Clip(await Speech().speak(text, locale), SPOKEN, lambda event: self._report_play(play, event))

        return await self._in_turn(play, spoken)

    def _new_play(self, name: str) -> "_Play":
        self._check_open()
        return _Play(name, asyncio.get_running_loop())

    async def _in_turn(self, play: "_Play", prepare: Callable[[], Awaitable[FrameSource]]) -> bool:
        before = tuple(self._plays)
        self._plays.append(play)
        try:
            source = await prepare()
            for earlier in before:
                await earlier.left.wait()
            return await self._play_with(source, play)
        finally:
            self._plays.remove(play)
            play.left.set()

    async def _play_with(self, source: FrameSource, play: "_Play") -> bool:
        if play.over.done():  # stopped before its turn
            return False
        end: PlayFinished | None = None
        self.leg.source = source
        try:
            end = await play.over
        finally:
            self.leg.source = None
            if play.started:
                self._tell(end or PlayFinished(path=play.name, last=True))
        if end is not None and end.failure is not None:
            raise AudioFileError(end.failure)
        return end is not None

    def stop_playing(self) -> None:
        """What plays, and what waits to be played, ends now."""
        for play in self._plays:
            play.end(None)

    async def record(self, path: str, *, layout: RecordLayout | str = RecordLayout.STEREO, force: bool = False) -> None:
        """See ``Call.record``."""
        from sinchphone.media.local_audio.recorder import Recorder

        self._check_open()
        if self._recorder is not None:
            raise LocalProtocolError("this call is being recorded already", hint="stop that recording first")
        loop = asyncio.get_running_loop()
        tracks = RecordLayout(layout)
        recorder = self._recorder = Recorder(path, lambda event: _soon(loop, self._note_recording, event), layout=tracks, force=force)
        try:
            await asyncio.to_thread(recorder.open)
        except BaseException:
            self._recorder = None
            raise
        if self._recorder is not recorder:  # stopped before it began
            await asyncio.to_thread(recorder.close)
            self._check_open()
        elif self.leg.talks:
            self._record_with(recorder)

    async def stop_recording(self) -> RecordFinished | None:
        """See ``Call.stop_recording``."""
        recorder, self._recorder, self._recorded = self._recorder, None, None
        if recorder is None:
            return None
        self.leg.untap(recorder)
        await asyncio.shield(asyncio.to_thread(recorder.close))
        return self._recorded

    async def set_device(self, microphone: int | str | None, loudspeaker: int | str | None) -> None:
        """See ``Call.set_device``."""
        if not isinstance(self.sound, HasDevices):
            raise LocalProtocolError(NO_DEVICES)
        await self.sound.set_devices(microphone=microphone, loudspeaker=loudspeaker)

    async def close(self) -> None:
        """The call is over: nothing plays any more, the recording is finished."""
        self._closed = True
        self.leg.talks = False
        await self.part()
        self.stop_playing()
        await self.stop_recording()

    def _check_open(self) -> None:
        if self._closed:
            raise LocalProtocolError("the call is over")

    def _record_with(self, recorder: "Recorder") -> None:
        recorder.start(time.monotonic())
        self.leg.tap(recorder)

    def _report_play(self, play: "_Play", event: SoundEvent) -> None:
        """In any thread."""
        _soon(play.loop, self._note_play, play, event)

    def _note_play(self, play: "_Play", event: SoundEvent) -> None:
        match event:
            case PlayStarted():
                play.started = True
                self._tell(event)
            case PlayFinished():
                play.end(event)
            case SoundWarning():
                self._tell(event)
            case RecordStarted() | RecordFinished() | PipeStarted() | PipeEnded() | DevicesChanged():
                pass
            case _:
                assert_never(event)

    def _note_recording(self, event: SoundEvent) -> None:
        if isinstance(event, RecordFinished):
            self._recorded = event
        if isinstance(event, RecordStarted | RecordFinished | SoundWarning):
            self._tell(event)


class _Play:
    """One sound, from when it was asked for. ``over`` has how it ended, None where it was stopped; ``left``: the next may begin."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.loop = loop
        self.over: asyncio.Future[PlayFinished | None] = loop.create_future()
        self.left = asyncio.Event()
        self.started = False

    def end(self, how: PlayFinished | None) -> None:
        if not self.over.done():
            self.over.set_result(how)


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
    """Call it in that loop, from any thread."""
    with suppress(RuntimeError):  # the loop is closed: nobody is left to care
        loop.call_soon_threadsafe(function, *arguments)
