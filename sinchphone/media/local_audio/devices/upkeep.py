"""Keeps sound going while devices stop, go, come and struggle: opens the streams of a call again, less and less often.

::

    a stream stopped  -> wait -> reopen ─┐
    a device is lacking -> wait -> mend ─┴-> steady for a while -> told: these devices are used now
    blocks are lost   -> more latency -> reopen
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from sinchphone.errors import DeviceError
from sinchphone.media.local_audio.devices.sound_cards import Direction, Loudspeaker, Microphone
from sinchphone.media.local_audio.devices.streams import Streams
from sinchphone.media.sound import DevicesChanged, SoundEvent, SoundWarning

REOPEN_SECONDS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)  # pauses before streams are opened again: a sound server restarts in about one second
LOOK_SECONDS: Final = 5.0  # between two looks for a device that is lacking all the time
STEADY_SECONDS: Final = 10.0  # what stops again before is the same trouble, and nothing new to tell
WATCH_SECONDS: Final = 2.0
STALL_SECONDS: Final = 5.0  # without a block: a stream that hangs, as may be left by a sound server that ended while it was opened
_TOLERABLE_XRUNS: Final = 3  # in that time; more of them twice in a row is a machine that can't keep up with the latency


class Upkeep:
    """Of one call's streams. ``fit`` is called, in a thread, after other devices were opened."""

    def __init__(self, streams: Streams, report: Callable[[SoundEvent], None], fit: Callable[[], None]) -> None:
        self._streams = streams
        self._report = report
        self._fit = fit
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._told = streams.in_use  # the devices that the person knows of
        self._attempts = 0  # to open the streams again, since they were steady last
        self._opened_at = self._tried_at = self._loop.time()
        self._bad_spells = 0
        self._moved: dict[Microphone | Loudspeaker, tuple[int, float]] = {}  # blocks of each stream, and since when it is so many

    def stream_stopped(self) -> None:
        """A stream has ended by itself. Any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left to care
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def move_on(self) -> bool:
        """The person wants the next device. Whether there is one."""
        moved = [False]

        def move() -> None:
            moved[0] = self._streams.next_device()

        await self._open_with(move)
        if moved[0]:
            self._tell()
        return moved[0]

    async def choose(self, wanted: Mapping[Direction, int | str], *, talks: bool) -> None:
        """The person wants these devices, at once where the call ``talks``. Raises DeviceError, and then nothing has changed."""
        used = self._streams.in_use
        if failure := await self._open_with(lambda: self._streams.choose(wanted, talks=talks)):
            raise failure
        if self._streams.in_use != used:
            self._tell()

    async def run(self) -> None:
        """As long as the call. It never gives up: the device may be plugged in again after an hour."""
        self._told = self._streams.in_use
        while True:
            before = self._streams.xruns
            if await self._stops_within(self._patience()) or self._hangs():
                await self._recover()
            elif self._struggles(self._streams.xruns - before):
                self._streams.slow_down()
                await self._open_with(self._streams.reopen)
            else:
                self._settle()
                if self._streams.lack and self._loop.time() >= self._look_at():
                    await self._mend()

    def _tell(self) -> None:
        self._told = self._streams.in_use
        self._report(self._told)

    def _patience(self) -> float:
        pause = self._look_at() - self._loop.time() if self._streams.lack else WATCH_SECONDS
        return min(WATCH_SECONDS, max(0.0, pause))

    def _look_at(self) -> float:
        on_the_way = 0 < self._attempts < len(REOPEN_SECONDS)
        return self._tried_at + (REOPEN_SECONDS[self._attempts] if on_the_way else LOOK_SECONDS)

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
        return self._stopped.is_set()

    def _hangs(self) -> bool:
        """Whether a stream is open and has not moved for long."""
        now, fresh = self._loop.time(), (-1, 0.0)
        for stream, blocks in (counted := self._streams.blocks).items():
            if self._moved.get(stream, fresh)[0] != blocks:
                self._moved[stream] = blocks, now
        self._moved = {stream: moved for stream, moved in self._moved.items() if stream in counted}
        return any(now - since >= STALL_SECONDS for _, since in self._moved.values())

    def _struggles(self, xruns: int) -> bool:
        """Whether blocks were lost twice in a row, and more latency would help."""
        self._bad_spells = self._bad_spells + 1 if xruns > _TOLERABLE_XRUNS else 0
        return self._bad_spells >= 2 and self._streams.may_be_slower

    async def _recover(self) -> None:
        if not self._attempts:
            self._told = DevicesChanged(microphone=None, loudspeaker=None)
            self._report(SoundWarning(message="the sound device stopped", hint="check the headset and the sound server; it is tried again"))
        await asyncio.sleep(REOPEN_SECONDS[min(self._attempts, len(REOPEN_SECONDS) - 1)])
        self._stopped.clear()
        self._attempts += 1
        self._note(await self._open_with(self._streams.reopen))

    async def _mend(self) -> None:
        self._attempts += self._attempts > 0  # what was lacking from the start was told then
        opened_at, used = self._opened_at, self._streams.in_use
        self._note(await self._open_with(self._streams.mend))
        if self._streams.in_use == used:  # nothing was changed: what is open has been so since then
            self._opened_at = opened_at

    def _note(self, failure: DeviceError | None) -> None:
        if failure is not None and self._attempts == len(REOPEN_SECONDS):
            self._report(SoundWarning(message=str(failure), hint=failure.hint))

    async def _open_with(self, work: Callable[[], DeviceError | None]) -> DeviceError | None:
        def open_and_fit() -> DeviceError | None:
            failure = work()
            self._fit()
            return failure

        failure = await asyncio.to_thread(open_and_fit)
        self._opened_at = self._tried_at = self._loop.time()
        self._bad_spells = 0
        return failure

    def _settle(self) -> None:
        """Nothing has stopped for a while: tell of other devices, forget old trouble."""
        quiet = self._loop.time() - self._opened_at
        used = self._streams.in_use
        if quiet >= WATCH_SECONDS and used != self._told and (used.microphone or used.loudspeaker):
            self._told = used
            self._report(used)
        if quiet >= STEADY_SECONDS and (not self._streams.lack or self._attempts >= len(REOPEN_SECONDS)):
            self._attempts = 0
