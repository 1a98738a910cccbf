"""A person's place at a call: sound cards, files, signals and a recording, joined to a leg.

::

    LocalAudio (the engine's loop): checks, opens, closes
      ├── AudioIo    what happens every 20 ms, in the media loop and the devices' threads
      ├── Streams    microphone and loudspeaker;  Upkeep opens them again when they stopped
      └── Player, Recorder, PipeIn, PipeOut    files and programs, in threads of their own
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sinchphone.audio.frame import Frame
from sinchphone.audio.tones.national import plans_of
from sinchphone.audio.tones.signals import Sine, signal_source
from sinchphone.errors import LocalProtocolError, SinchphoneError
from sinchphone.media.clock import FrameClock
from sinchphone.media.local_audio.audio_io import AudioIo
from sinchphone.media.local_audio.devices.sound_cards import Direction
from sinchphone.media.local_audio.devices.streams import Streams
from sinchphone.media.local_audio.devices.upkeep import Upkeep
from sinchphone.media.local_audio.pipes import PipeIn, PipeOut
from sinchphone.media.local_audio.player import Player
from sinchphone.media.local_audio.recorder import Recorder
from sinchphone.media.local_audio.voice import make_voice
from sinchphone.media.outbox import Outbox
from sinchphone.media.sound import NO_DEVICES, AudioLeg, Levels, Signal, SoundEvent, SoundOptions, Volume
from sinchphone.media.thread import MediaThread
from sinchphone.tasks import cancel_all, start_task


class LocalAudio:
    """Implements media.sound.Sound.

    The near sound is that of ``options.play``, else the pipe, the tone, the microphone; where none is left it is silence. Devices are
    looked up in ``open`` but used only when they are needed: the loudspeaker from the first signal on, the microphone from
    ``connect`` on, so that a call which nobody has answered doesn't listen. Raises ValueError for a tone that samples can't hold.
    """

    def __init__(self, options: SoundOptions, media: MediaThread) -> None:
        self._options = options
        self._media = media
        self._events: Outbox[SoundEvent] = Outbox()
        self._player = Player(options.play, self._events.put) if options.play else None
        self._recorder = _recorder(options, self._events.put)
        self._pipe_in = PipeIn(options.pipe_in, self._events.put) if options.pipe_in is not None else None
        self._pipe_out = PipeOut(options.pipe_out, self._events.put, force=options.force) if options.pipe_out is not None else None
        near, hears = self._near_source(), self._pipe_out.put if self._pipe_out is not None else None
        self._audio_io = AudioIo(media.call_soon, near=near, recorder=self._recorder, hears=hears)
        self._clock = FrameClock(self._audio_io.tick)
        self._streams: Streams | None = None
        if options.devices:
            self._streams = Streams(options, self._audio_io, listens=near is None, report=self._events.put, stopped=self._stream_stopped)
        self._fitted_to: tuple[str | None, bool | None] | None = None  # the loudspeaker that the microphone's processing is made for
        self._signal: Signal | None = None
        self._upkeep: Upkeep | None = None
        self._watch: asyncio.Task[None] | None = None
        self._connected = self._resting = False
        self._closing = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Check and take what is asked for, before the call is placed. Raises DeviceError or AudioFileError.

        Where no device was named and there is none, or no PortAudio, one SoundWarning says so and the call can go on."""
        if self._streams is not None:
            self._upkeep = Upkeep(self._streams, self._events.put, self._fit)
        try:
            await asyncio.to_thread(self._take)
        except SinchphoneError:
            await self.close()
            raise

    async def connect(self, leg: AudioLeg, *, early: bool = False) -> None:
        """The call was answered: signals end, sound goes both ways, files begin, the recording runs. ``early``: the loudspeaker only.

        Until a device sounds, and in place of one that can't be opened now (a SoundWarning), the clock drives."""
        self._signal = self._audio_io.signal = self._audio_io.over = None
        await self._media.run(self._start(leg, early))
        if self._streams is None:
            return
        if early:
            await asyncio.to_thread(self._streams.open_loudspeaker)
            return
        self._connected = True
        await self._take_devices()

    async def _take_devices(self) -> None:
        if self._watch is None and self._upkeep is not None and not self._resting:
            await asyncio.to_thread(self._open_streams)
            if self._watch is not None or self._resting or self._closed:  # meanwhile
                return
            self._watch = start_task(self._upkeep.run(), name="watch devices")

    async def _stop_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            await cancel_all([watch])

    async def signal(self, signal: Signal | None) -> bool:
        """Play ``signal`` from now on, the ringtone through the ring device, call waiting over the call's sound; ``None`` is quiet at
        once. Whether anybody can hear it."""
        self._signal, self._audio_io.signal, self._audio_io.over = signal, None, None
        if signal is None or self._streams is None:
            return False
        source = await asyncio.to_thread(signal_source, signal.value, plans_of(self._options.tones))
        if self._signal is not signal:  # over before it could begin
            return False
        if signal is Signal.WAITING and self._watch is not None:
            self._audio_io.over = source
            return True
        self._audio_io.signal = source
        rings = signal is Signal.RINGTONE and self._options.ring is not None
        return await asyncio.to_thread(partial(self._streams.open_loudspeaker, ring=rings))

    async def next_device(self) -> bool:
        """Move to the next loudspeaker, and to its microphone if it has one, while connected. Whether there is another."""
        return self._watch is not None and self._upkeep is not None and await self._upkeep.move_on()

    async def rest(self, resting: bool) -> None:
        """Let go of the devices while another call has the person's ear, or take them again; meanwhile the clock drives."""
        if self._streams is None or self._resting == resting:
            return
        self._resting = resting
        if resting:
            await self._stop_watch()
            await asyncio.to_thread(self._streams.rest)
        elif self._connected:
            await self._take_devices()

    async def set_devices(self, *, microphone: int | str | None = None, loudspeaker: int | str | None = None) -> None:
        """Use these from now on, or from the answer on: an index or part of a name; ``None`` leaves it as it is. Raises DeviceError, and
        then nothing has changed; LocalProtocolError where there are no devices, or no microphone since something else speaks."""
        if self._streams is None or self._upkeep is None:
            raise LocalProtocolError(NO_DEVICES)
        if microphone is not None and not self._streams.wants_microphone:
            raise LocalProtocolError("this call has no microphone: something else speaks")
        choice = {Direction.INPUT: microphone, Direction.OUTPUT: loudspeaker}
        named = {direction: wanted for direction, wanted in choice.items() if wanted is not None}
        await self._upkeep.choose(named, talks=self._watch is not None)

    @property
    def is_heard(self) -> bool:
        """Whether there may be a loudspeaker at all: no ``--no-audio``."""
        return self._streams is not None

    def turn(self, *, loudspeaker_db: float = 0.0, microphone_db: float = 0.0) -> Volume:
        """Make the loudspeaker, or what the microphone hears, so much louder; how loud they are then."""
        self._audio_io.volume = self._audio_io.volume.turned(loudspeaker_db, microphone_db)
        return self._audio_io.volume

    def mute(self, muted: bool) -> None:
        """While muted, send silence."""
        self._audio_io.muted = muted

    def levels(self) -> Levels:
        """How loud both directions are now; the near sound is what is sent."""
        return self._audio_io.levels

    def events(self) -> Outbox[SoundEvent]:
        """What happens to files and devices; ends when it is closed. One reader."""
        return self._events

    async def close(self) -> None:
        """Let go of everything and finish the recording, within about three seconds. May be called twice."""
        async with self._closing:
            if self._closed:
                return
            self._closed = True
            self._signal = self._audio_io.signal = self._audio_io.over = None
            await self._stop_watch()
            try:
                with suppress(SinchphoneError):  # the media thread was stopped, and the clock with it
                    await self._media.run(self._stop())
                await asyncio.gather(asyncio.to_thread(self._close_files), asyncio.to_thread(self._close_streams))
            finally:
                self._events.end()

    def _near_source(self) -> Callable[[], Frame] | None:
        if self._player is not None:
            return self._player.next_frame
        if self._pipe_in is not None:
            return self._pipe_in.next_frame
        hertz = self._options.tone_hz
        return Sine(hertz).pull if hertz is not None else None

    async def _start(self, leg: AudioLeg, early: bool) -> None:
        self._audio_io.connect(leg, early=early)
        self._clock.start()

    async def _stop(self) -> None:
        self._clock.stop()
        self._audio_io.disconnect()

    def _take(self) -> None:
        """In a thread that may wait."""
        if self._recorder is not None:
            self._recorder.open()
        for source in (self._player, self._pipe_in, self._pipe_out):
            if source is not None:
                source.open()
        if self._streams is not None:
            self._streams.find()
            self._fit()

    def _open_streams(self) -> None:
        if self._streams is not None:
            self._streams.open()
            self._fit()

    def _fit(self) -> None:
        """What is done to the microphone's sound depends on the loudspeaker: a headset doesn't echo."""
        if self._streams is None or not self._streams.wants_microphone:
            return
        self._audio_io.has_microphone = self._streams.in_use.microphone is not None
        fitted_to = self._streams.loudspeaker, self._streams.loudspeaker_is_worn
        if self._fitted_to != fitted_to:
            self._fitted_to = fitted_to
            self._audio_io.voice = make_voice(self._options, *fitted_to)

    def _close_files(self) -> None:
        for one in (self._player, self._pipe_in, self._pipe_out, self._recorder):
            if one is not None:
                one.close()

    def _close_streams(self) -> None:
        if self._streams is not None:
            self._streams.close()

    def _stream_stopped(self) -> None:
        """In a thread of PortAudio's."""
        if self._upkeep is not None:
            self._upkeep.stream_stopped()


def _recorder(options: SoundOptions, report: Callable[[SoundEvent], None]) -> Recorder | None:
    if options.record is None:
        return None
    return Recorder(options.record, report, layout=options.record_layout, force=options.force)
