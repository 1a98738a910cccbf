"""A person's place at a call: sound cards, files, signals and a recording, joined to a leg.

::

    Desk (the engine's loop): checks, opens, closes
      ├── Handset    what happens every 20 ms, in the media loop and the devices' threads
      ├── Streams    microphone and loudspeaker
      └── Player, Recorder    files, in threads of their own
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sinchphone.audio.frame import Frame
from sinchphone.audio.tones import Sine, signal_source
from sinchphone.errors import SinchphoneError
from sinchphone.media.clock import FrameClock
from sinchphone.media.desk.handset import Handset
from sinchphone.media.desk.player import Player
from sinchphone.media.desk.recorder import Recorder
from sinchphone.media.desk.streams import Streams
from sinchphone.media.outbox import Outbox
from sinchphone.media.sound import Leg, Levels, Signal, SoundEvent, SoundOptions, SoundWarning
from sinchphone.media.thread import MediaThread

REOPEN_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)  # pauses before streams are opened again: a sound server restarts in about one second
_WATCH_SECONDS: Final = 2.0
_TOLERABLE_XRUNS: Final = 3  # in that time; more of them twice in a row is a machine that can't keep up with the lowest latency


class Desk:
    """Implements media.sound.Sound.

    The near sound is that of ``options.play``, else the tone, else the microphone; where none is left it is silence. Devices are
    looked up in ``open`` but used only when they are needed: the loudspeaker from the first signal on, the microphone from
    ``connect`` on, so that a call which nobody has answered doesn't listen. Raises ValueError for a tone that samples can't hold.
    """

    def __init__(self, options: SoundOptions, media: MediaThread) -> None:
        self._options = options
        self._media = media
        self._events: Outbox[SoundEvent] = Outbox()
        self._player = Player(options.play, self._events.put) if options.play else None
        self._recorder = Recorder(options.record, self._events.put, force=options.force) if options.record is not None else None
        near = self._near_source()
        self._handset = Handset(media.call_soon, near=near, recorder=self._recorder)
        self._clock = FrameClock(self._handset.tick)
        self._streams: Streams | None = None
        if options.devices:
            self._streams = Streams(options, self._handset, listens=near is None, report=self._events.put, stopped=self._stream_stopped)
        self._signal: Signal | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()  # a stream ended by itself
        self._watch: asyncio.Task[None] | None = None
        self._closing = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Check and take what is asked for, before the call is placed. Raises DeviceError or AudioFileError.

        Where no device was named and there is none, or no PortAudio, one SoundWarning says so and the call can go on."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._take)
        except SinchphoneError:
            await self.close()
            raise

    async def connect(self, leg: Leg, *, early: bool = False) -> None:
        """The call was answered: signals end, sound goes both ways, files begin, the recording runs. ``early``: the loudspeaker only.

        Until a device sounds, and in place of one that can't be opened now (a SoundWarning), the clock drives."""
        self._signal = self._handset.signal = None
        await self._media.run(self._start(leg, early))
        if self._streams is None:
            return
        if early:
            await asyncio.to_thread(self._streams.open_loudspeaker, self._options.output)
            return
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_devices(self._streams), name="desk devices")
        await asyncio.to_thread(self._streams.open)

    async def signal(self, signal: Signal | None) -> bool:
        """Play ``signal`` from now on, the ringtone through the ring device; ``None`` is quiet at once. Whether anybody can hear it."""
        self._signal, self._handset.signal = signal, None
        if signal is None or self._streams is None:
            return False
        source = await asyncio.to_thread(signal_source, signal.value)
        if self._signal is not signal:  # over before it could begin
            return False
        self._handset.signal = source
        rings = signal is Signal.RINGTONE and self._options.ring is not None
        return await asyncio.to_thread(self._streams.open_loudspeaker, self._options.ring if rings else self._options.output)

    def mute(self, muted: bool) -> None:
        """While muted, send silence."""
        self._handset.muted = muted

    def levels(self) -> Levels:
        """How loud both directions are now; the near sound is what is sent."""
        return self._handset.levels

    def events(self) -> Outbox[SoundEvent]:
        """What happens to files and devices; ends when the desk is closed. One reader."""
        return self._events

    async def close(self) -> None:
        """Let go of everything and finish the recording, within about three seconds. May be called twice."""
        async with self._closing:
            if self._closed:
                return
            self._closed = True
            self._signal = self._handset.signal = None
            if self._watch is not None:
                self._watch.cancel()
                await asyncio.wait({self._watch})
            try:
                with suppress(SinchphoneError):  # the media thread was stopped, and the clock with it
                    await self._media.run(self._stop())
                await asyncio.gather(asyncio.to_thread(self._close_files), asyncio.to_thread(self._close_streams))
            finally:
                self._events.end()

    def _near_source(self) -> Callable[[], Frame] | None:
        if self._player is not None:
            return self._player.next_frame
        hertz = self._options.tone_hz
        return Sine(hertz).pull if hertz is not None else None

    async def _start(self, leg: Leg, early: bool) -> None:
        self._handset.connect(leg, early=early)
        self._clock.start()

    async def _stop(self) -> None:
        self._clock.stop()
        self._handset.disconnect()

    def _take(self) -> None:
        """In a thread that may wait."""
        if self._recorder is not None:
            self._recorder.open()
        if self._player is not None:
            self._player.open()
        if self._streams is not None:
            self._streams.find()

    def _close_files(self) -> None:
        if self._player is not None:
            self._player.close()
        if self._recorder is not None:
            self._recorder.close()

    def _close_streams(self) -> None:
        if self._streams is not None:
            self._streams.close()

    def _stream_stopped(self) -> None:
        """In a thread of PortAudio's."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to care
                self._loop.call_soon_threadsafe(self._stopped.set)

    async def _keep_devices(self, streams: Streams) -> None:
        """As long as the call: opens the streams again when one has stopped or lost too many blocks. Gives up, and says so, after as
        many failures in a row as there are pauses; what recovers may stop as often as it likes."""
        failures = 0
        while True:
            await self._trouble(streams)
            if self._stopped.is_set() and not failures:
                self._events.put(SoundWarning("the sound device stopped", "Check the headset and the sound server; it is tried again."))
            await asyncio.sleep(REOPEN_SECONDS[failures])
            self._stopped.clear()
            failure = await asyncio.to_thread(streams.reopen)
            failures = failures + 1 if failure is not None else 0
            if failure is not None and failures == len(REOPEN_SECONDS):
                self._events.put(SoundWarning(str(failure), failure.hint))
                return
            if failure is not None:
                self._stopped.set()

    async def _trouble(self, streams: Streams) -> None:
        """Returns when a stream has stopped, or when the streams were told to use more latency from now on."""
        bad_spells = 0
        while not self._stopped.is_set():
            before = streams.xruns
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS):
                    await self._stopped.wait()
            bad_spells = bad_spells + 1 if streams.xruns - before > _TOLERABLE_XRUNS else 0
            if bad_spells == 2 and streams.may_be_slower:
                streams.slow_down()
                return
