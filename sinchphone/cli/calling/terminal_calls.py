"""The calls of one terminal: at most two, one of them in front, which has the keys, the status line and the devices.

::

    a, Tab   a call waits: the one in front is held, the other answered        Tab   two calls: the other one is in front
    j        both joined, or apart again                                       l     a list of them
    t        the two others talk with each other, and we leave
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from sinchphone.cli.calling.call_session import CallSession
from sinchphone.cli.terminal.keys import Keys, Pressed
from sinchphone.cli.terminal.output.events.events import Warned
from sinchphone.cli.terminal.screen.status_line import clock
from sinchphone.errors import SinchphoneError
from sinchphone.protocol.call.states import State
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from sinchphone.cli.endings import Ending
    from sinchphone.cli.terminal.session import Session

MOST: Final = 2


class TerminalCalls:
    """``run`` each call through it."""

    def __init__(self, session: "Session", keys: Keys, take_waiting: Callable[[], None] | None = None) -> None:
        """``take_waiting`` answers who waits, beside the call in front, where that is wanted."""
        self.front: CallSession | None = None
        self.take_waiting = take_waiting
        self._session = session
        self._keys = keys
        self._talks: list[CallSession] = []
        self._reader: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many calls there are."""
        return len(self._talks)

    async def run(self, talk: CallSession) -> "Ending":
        """Follow the call to its end, in front of the others; then the one before is in front again."""
        before, self.front = self.front, talk
        self._talks.append(talk)
        talk.stand_among(self)
        if self._reader is None:
            self._keys.forget()
            self._reader = start_task(self._read(), name="keys of calls")
        try:
            if before is not None:
                await self._guarded(self._to_back(before))
            return await talk.run()
        finally:
            self._talks.remove(talk)
            await self._after(talk)

    async def _after(self, talk: CallSession) -> None:
        left = self._talks[-1] if self._talks else None
        if left is None and self._reader is not None:
            reader, self._reader = self._reader, None
            if reader.done():
                reader.result()  # a bug, which must not pass for a keyboard that nobody touches
            reader.cancel()
        if self.front is talk:
            self.front = left
            if left is not None and left.call.state is State.ESTABLISHED:
                await self._guarded(self._to_front(left))

    def other(self, talk: CallSession) -> CallSession | None:
        """The other call that is established, where there are two."""
        others = [one for one in self._talks if one is not talk and one.call.state is State.ESTABLISHED]
        return others[0] if others else None

    def ways(self, talk: CallSession) -> list[str]:
        """What keys do about the other call, in a few words each."""
        other = self.other(talk)
        if other is None or talk.call.state is not State.ESTABLISHED:
            return []
        return [f"Tab {other.call.peer}", "j part" if talk.call.is_joined else "j join all three", "t join both and leave", "l list"]

    async def _read(self) -> None:
        while True:
            pressed = await self._keys.press()
            front = self.front
            if front is not None and not await self._guarded(self._obey(front, pressed)):
                await self._guarded(front.take(pressed))

    async def _guarded(self, work: Awaitable[object]) -> bool:
        """Do what a key asks for; what can't be done is said."""
        try:
            return bool(await work)
        except SinchphoneError as error:
            self._session.tell(Warned(message=str(error), hint=error.hint or None))
            return True

    async def _obey(self, front: CallSession, pressed: Pressed) -> bool:
        """Whether the key is about more than the call in front."""
        if front.transfers.typed is not None:
            return False
        other = self.other(front)
        match pressed:
            case "a" | "\t" if front.waiting is not None and self.take_waiting is not None:
                self.take_waiting()
            case "\t" if other is not None and front.call.state is State.ESTABLISHED:
                await self.switch(front, other)
            case "j" if other is not None and front.call.state is State.ESTABLISHED:
                await self._join(front, other)
            case "t" if other is not None and front.call.state is State.ESTABLISHED:
                front.transfers.join(other)
            case "l":
                self._list()
            case _:
                return False
        return True

    async def switch(self, front: CallSession, other: CallSession) -> None:
        """Hold this call and go on with the other."""
        await front.call.part()
        self.front = other
        await self._to_back(front)
        await self._to_front(other)

    async def _join(self, front: CallSession, other: CallSession) -> None:
        if front.call.is_joined:
            await front.call.part()
            await self._to_back(other)
            self._session.note(f"{front.call.peer} and {other.call.peer} are parted again")
        else:
            await front.call.join(other.call)
            self._session.note(f"{front.call.peer} and {other.call.peer} are joined: all three hear each other")

    async def _to_back(self, talk: CallSession) -> None:
        if talk.call.state is State.ESTABLISHED:
            await talk.call.part()
            await talk.call.hold()
            await talk.call.rest(True)

    async def _to_front(self, talk: CallSession) -> None:
        await talk.call.rest(False)
        await talk.call.resume()
        self._session.note(f"talking to {talk.call.peer}")

    def _list(self) -> None:
        for talk in self._talks:
            since, state = talk.call.details.established_at, talk.call.state.value
            hold = "joined" if talk.call.is_joined else "on hold" if talk.call.held_by_us else state
            seconds = f" {clock(talk.seconds)}" if since is not None else ""
            self._session.note(f"{'*' if talk is self.front else ' '} {talk.call.peer}{seconds}, {hold}")
        if self.front is not None and self.front.waiting is not None:
            self._session.note(f"  {self.front.waiting.peer}, calls")
