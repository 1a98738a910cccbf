"""What a call tells: its states and events, for any number of readers and listeners, and how it went."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from sinchphone.engine.calls.call_events import CallEvent, CallWarning
from sinchphone.engine.calls.details import CallDetails
from sinchphone.engine.events.event_log import EventLog
from sinchphone.engine.events.listeners import Listener, Listeners, ListenerTasks
from sinchphone.protocol.call.states import State

MAX_UNREAD_EVENTS: Final = 256  # that a reader hasn't read yet; the oldest are forgotten


class ObservedCall:
    """The part of a ``Call`` that is only looked at. For the loop's thread."""

    def __init__(self, listening: ListenerTasks) -> None:
        """``listening``, closed by the caller, has what its listeners do."""
        self.details = CallDetails(time.time())
        self._began_at = time.monotonic()
        self._history = [State.CREATED]
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()
        self._told = EventLog[CallEvent](MAX_UNREAD_EVENTS)
        self._listeners = Listeners[State | CallEvent](listening)
        self._warned: set[CallWarning] = set()

    @property
    def _now(self) -> float:
        """The time of day as it goes on from this call's start, whatever somebody sets the clock to meanwhile [s since the epoch]."""
        return self.details.started_at + time.monotonic() - self._began_at

    @property
    def talked_seconds(self) -> float | None:
        """For how long sound has flowed, until now or the end; ``None`` where it never did."""
        since = self.details.established_at
        return None if since is None else (self.details.ended_at or self._now) - since

    @property
    def state(self) -> State:
        """The state it is in."""
        return self._history[-1]

    async def states(self) -> AsyncIterator[State]:
        """Every state from the first on, as the call enters it; ends after ENDED."""
        seen = 0
        while True:
            while seen < len(self._history):
                seen += 1
                yield self._history[seen - 1]
            if self.state is State.ENDED:
                return
            self._changed.clear()
            await self._changed.wait()

    def events(self) -> AsyncIterator[CallEvent]:
        """What happens in the call; ends when it is ``closed``. Any number of readers: each has every event from when it subscribed, the
        first from the start of the call on."""
        return self._told.read()

    def add_listener(self, listener: Listener[State | CallEvent]) -> None:
        """Call ``listener`` with each state that the call enters and with each event from now on; several in the order in which they were
        added. It doesn't block; an ``async def`` may wait. What it raises is logged, and the others hear all the same."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Listener[State | CallEvent]) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    async def established(self) -> bool:
        """Wait until sound flows; False where the call ended before. Cancelling is safe."""
        return await self._reaches(State.ESTABLISHED)

    async def ended(self) -> CallDetails:
        """Wait for the end of the call; how it went. Cancelling is safe."""
        async for _ in self.states():
            pass
        return self.details

    async def closed(self) -> None:
        """Wait until the call has also let go of its sound: recordings finished, devices closed."""
        await self._closed.wait()

    async def _reaches(self, wanted: State) -> bool:
        """Whether the call was in that state, once it was or is over."""
        async for state in self.states():
            if state is wanted:
                return True
        return False

    def _tell(self, state: State) -> None:
        self._history.append(state)
        self._changed.set()
        self._listeners.tell(state)

    def _tell_event(self, event: CallEvent) -> None:
        self._told.put(event)
        self._listeners.tell(event)

    def _warn(self, warning: CallWarning) -> None:
        if warning not in self._warned:  # each of several devices' ports may say it
            self._warned.add(warning)
            self._tell_event(warning)

    def _tell_closed(self) -> None:
        self._told.end()
        self._closed.set()
