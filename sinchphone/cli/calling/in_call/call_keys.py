"""What keys do in one call, and which of them do anything now."""

import re
import textwrap
import time
from typing import TYPE_CHECKING, Final, assert_never

from sinchphone.cli.calling.in_call.dialling import DIGITS, Dialler
from sinchphone.cli.calling.in_call.transferring import TransferKeys
from sinchphone.cli.endings import Order
from sinchphone.cli.terminal.keyboard.parser import Paste
from sinchphone.cli.terminal.keys import Dropped, Pressed
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.output.events import video as v
from sinchphone.cli.terminal.screen.statistics_panel import panel_lines
from sinchphone.cli.terminal.screen.status_line import KEYS_IN_CALL, KEYS_RINGING, KeyHints, hints_of_waiting
from sinchphone.errors import SinchphoneError
from sinchphone.protocol.call.states import State

if TYPE_CHECKING:
    from sinchphone.cli.calling.call_session import CallSession
    from sinchphone.cli.terminal.session import Session

STEP_DB: Final = 3.0  # of the volume: twice the power
_HELP_CELLS: Final = 79
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9+@._-]+")  # in the name of a file


class CallKeys:
    """Of one call. ``shows_statistics``: whether the panel is asked for."""

    def __init__(self, session: "Session", talk: "CallSession", dialler: Dialler) -> None:
        self.shows_statistics = False
        self._session = session
        self._talk = talk
        self._call = talk.call
        self._dialler = dialler
        self._records = False
        self.transfers = TransferKeys(session, talk)

    @property
    def hints(self) -> KeyHints:
        """For the status line."""
        if self.transfers.typed is not None:
            return self.transfers.hints
        if self._talk.waiting is not None:
            return hints_of_waiting(self._talk.waiting.peer)
        return KEYS_RINGING if self._rings_here else KEYS_IN_CALL

    @property
    def _rings_here(self) -> bool:
        return not self._call.outbound and self._call.details.answered_at is None

    @property
    def _established(self) -> bool:
        return self._call.state is State.ESTABLISHED

    def ways(self) -> list[str]:
        """What keys do now, each in a few words."""
        if self._rings_here:
            return ["a or Enter answer", "x decline", "i silence", "? help"]
        waits = ["a hold here and answer", "x decline", "i no tone"] if self._talk.waiting is not None else []
        ways = [*waits, "q hang up", "m unmute" if self._call.muted else "m mute"]
        if self._established:
            ways += ["h resume" if self._call.held_by_us else "h hold", "r stop recording" if self._records else "r record"]
            ways += [] if self._talk.other_keys() else ["t transfer"]
            ways += ["s no statistics" if self.shows_statistics else "s statistics"]
            if self._call.has_video:
                ways.append("v show the picture" if self._call.video_paused else "v pause the picture")
                ways += ["p see yourself"] if self._talk.seeing.is_shown else []
            ways += self._ways_of_devices()
            ways.append("0-9 * # dial")
        return [*ways, *self._talk.other_keys(), "? help"]

    def tell_help(self) -> None:
        """Say what keys do now."""
        for line in textwrap.wrap("   ".join(way.replace(" ", "\xa0") for way in self.ways()), _HELP_CELLS):
            self._session.note(line.replace("\xa0", " "))

    async def take(self, pressed: Pressed) -> None:
        """A key, or a paste."""
        match pressed:
            case str() | Paste() if self.transfers.typed is not None:
                self.transfers.take(pressed)
            case str():
                await self._obey(pressed)
            case Paste() if self._call.details.established_at is not None:
                self._dialler.paste(pressed)
            case Paste():
                self._session.note("pasted digits can be dialled once you are connected")
            case Dropped(count):
                self._session.tell(e.Warned(message=f"{count} keys were dropped: too many at once", hint=None))
            case _:
                assert_never(pressed)

    async def _obey(self, key: str) -> None:
        if key == "?":
            self.tell_help()
        elif self._rings_here:
            await self._obey_ringing(key)
        elif not await self._obey_waiting(key):
            await self._obey_talking(key)

    async def _obey_ringing(self, key: str) -> None:
        match key:
            case "a" | "\n":
                await self._call.answer()
            case "x" | "q":
                await self._talk.hang_up(Order.DECLINED)
            case "i":
                await self._call.sound.signal(None)
            case _:
                pass

    async def _obey_waiting(self, key: str) -> bool:
        """Whether the key is for somebody who rings meanwhile."""
        waiting = self._talk.waiting
        if waiting is None:
            return False
        match key:
            case "x":
                await waiting.decline()
            case "i":
                await self._call.sound.signal(None)
            case _:
                return False
        return True

    async def _obey_talking(self, key: str) -> None:
        match key:
            case "q":
                await self._talk.hang_up(Order.KEY)
            case "m":
                self._talk.mute(not self._call.muted)
            case digit if digit in DIGITS and self._call.details.established_at is not None:
                self._dialler.press(digit)
            case _ if self._established:
                await self._obey_established(key)
            case _:
                pass

    def _show_statistics(self) -> None:
        """Above the status line until the next time, or once where there is none."""
        if self._session.screen.is_live:
            self.shows_statistics = not self.shows_statistics
        else:
            for line in panel_lines(self._talk.statistics()):
                self._session.note(line)

    async def _obey_established(self, key: str) -> None:
        match key:
            case "h":
                await (self._call.resume() if self._call.held_by_us else self._call.hold())
            case "v" if self._call.has_video:
                (self._call.resume_video if self._call.video_paused else self._call.pause_video)()
                self._session.tell(v.VideoPaused(call_id=self._call.id, paused=self._call.video_paused))
            case "p":
                self._talk.seeing.toggle_self()
            case "r":
                await self._record()
            case "t":
                self.transfers.begin()
            case "s":
                self._show_statistics()
            case "+" | "=":
                self._turn(loudspeaker_db=STEP_DB)
            case "-":
                self._turn(loudspeaker_db=-STEP_DB)
            case ">":
                self._turn(microphone_db=STEP_DB)
            case "<":
                self._turn(microphone_db=-STEP_DB)
            case "d":
                await self._change_device()
            case _:
                pass

    def _ways_of_devices(self) -> list[str]:
        from sinchphone.media.sound import HasDevices, HasVolume

        sound = self._call.sound
        if not isinstance(sound, HasVolume) or not sound.is_heard:
            return []
        return ["+ - volume", "< > microphone", *(["d next sound device"] if isinstance(sound, HasDevices) else [])]

    def _turn(self, *, loudspeaker_db: float = 0.0, microphone_db: float = 0.0) -> None:
        from sinchphone.media.sound import HasVolume

        sound = self._call.sound
        if not isinstance(sound, HasVolume) or not sound.is_heard:
            self._session.note("there is no sound device")
            return
        volume = sound.turn(loudspeaker_db=loudspeaker_db, microphone_db=microphone_db)
        told = f"volume {volume.loudspeaker_db:+.0f} dB" if loudspeaker_db else f"microphone {volume.microphone_db:+.0f} dB"
        self._session.note(told)

    async def _change_device(self) -> None:
        from sinchphone.media.sound import HasDevices

        sound = self._call.sound
        if not isinstance(sound, HasDevices) or not await sound.next_device():
            self._session.note("there is no other sound device")

    async def _record(self) -> None:
        """Begin a recording beside us in a file named after the peer and the time, or finish it; the call's events say so."""
        if self._records:
            self._records = False
            await self._call.stop_recording()
            return
        name = _UNSAFE.sub("_", self._call.peer)[:40].strip(".") or "call"
        try:
            await self._call.record(f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.wav")
            self._records = True
        except SinchphoneError as error:
            self._session.tell(e.Warned(message=f"nothing is recorded: {error}", hint=error.hint or None))
