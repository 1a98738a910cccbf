"""A party of code at a leg: hears and says 20 ms at a time, driven by the clock."""

import logging
from contextlib import suppress

from sinchphone.audio.frame import FRAME_SAMPLES, Frame, silence
from sinchphone.audio.levels.activity import Listener
from sinchphone.audio.levels.level import Meter
from sinchphone.errors import LocalProtocolError, MediaError
from sinchphone.media.clock import FrameClock
from sinchphone.media.outbox import Outbox
from sinchphone.media.sound import AudioLeg, Levels, Party, Signal, SoundEvent
from sinchphone.media.sound_batch import SoundBatch
from sinchphone.media.thread import MediaThread

_log = logging.getLogger(__name__)


class Ticker:
    """Implements media.sound.Sound with a party in place of a person: no device, no file, ticks by the clock in the media thread.

    A party that raises is not called less often: that tick sends silence and counts as a fault.
    """

    def __init__(self, party: Party, media: MediaThread) -> None:
        self.faults = 0
        self._party = party
        self._media = media
        self._clock = FrameClock(self._exchange, media.lateness)
        self._leg: AudioLeg | None = None
        self._muted = self._early = False
        self._near = Meter()
        self._far_listener = Listener()
        self._said, self._heard = SoundBatch(self._near.push), SoundBatch(self._far_listener.push)
        self._events: Outbox[SoundEvent] = Outbox()

    @property
    def dropped(self) -> int:
        """Ticks that were left out after stalls."""
        return self._clock.dropped

    async def open(self) -> None:
        """Nothing to take."""

    async def connect(self, leg: AudioLeg, *, early: bool = False) -> None:
        """Carry sound between the leg and the party from now on; ``early``: the party hears, and what it says is kept back."""
        self._early = early
        await self._media.run(self._start(leg))

    async def signal(self, signal: Signal | None) -> bool:
        """Nobody listens."""
        return False

    def mute(self, muted: bool) -> None:
        """While muted, the peer gets silence; the party is ticked as ever."""
        self._muted = muted

    def levels(self) -> Levels:
        """How loud both directions are now; the near sound is what is sent."""
        self._said.settle()
        self._heard.settle()
        return Levels(near_dbfs=self._near.dbfs, far_dbfs=self._far_listener.meter.dbfs, far=self._far_listener.activity)

    def events(self) -> Outbox[SoundEvent]:
        """Nothing happens; ends when the ticker is closed."""
        return self._events

    async def close(self) -> None:
        """Stop ticking and let go of the leg. May be called twice."""
        try:
            if self._leg is not None:
                with suppress(LocalProtocolError, MediaError):  # the media thread was stopped, maybe just now, and the clock with it
                    await self._media.run(self._stop())
        finally:
            self._events.end()

    async def _start(self, leg: AudioLeg) -> None:
        self._leg = leg
        self._clock.start()

    async def _stop(self) -> None:
        self._clock.stop()
        self._leg = None

    def _exchange(self) -> None:
        """One tick: 20 ms of far sound to the party, 20 ms of its own to the peer."""
        leg = self._leg
        if leg is None:
            return
        far = leg.pull(FRAME_SAMPLES)
        near = self._ask(far)
        if self._muted or self._early:
            near = silence()
        leg.send(near)
        self._heard.push(far)
        self._said.push(near)

    def _ask(self, far: Frame) -> Frame:
        try:
            return self._party.tick(far)
        except Exception:  # noqa: BLE001  the party is somebody else's code: its fault costs one frame, not the call
            self.faults += 1
            if self.faults == 1:
                _log.exception("a party's tick failed; silence is sent in its place")
            return silence()
