"""Call waiting: a second caller hears it ring while a person talks to the first, and the person hears a short tone.

::

    second call -> tone over the first -> a: hold there, answer here    x: decline    i: no tone
                                       -> the first is over: it rings      it gives up: told
"""

from typing import TYPE_CHECKING

from sinchphone.cli.calling.call_session import CallSession, Wishes
from sinchphone.cli.endings import Order
from sinchphone.cli.terminal.screen.status_line import KEYS_WAITING
from sinchphone.protocol.call.states import EndedBy, State
from sinchphone.tasks import cancel_all, start_task

if TYPE_CHECKING:
    from sinchphone.cli.terminal.keys import Keys
    from sinchphone.cli.terminal.session import Session
    from sinchphone.engine.calls.call import Call
    from sinchphone.engine.calls.details import CallDetails


class WaitingCall:
    """One second call, beside ``first``. It makes no ringing sound of its own until it is taken over."""

    def __init__(self, session: "Session", call: "Call", first: CallSession, keys: "Keys") -> None:
        self.call = call
        self._session = session
        self._first = first
        self._keys = keys
        self._is_told = False
        self._order = Order.DECLINED
        call.rings = False
        first.waiting = call
        self._watch = start_task(self._wait(), name="waiting call")
        if keys.usable and not session.screen.is_live:
            session.note(KEYS_WAITING.full)

    @property
    def is_over(self) -> bool:
        """Whether it gave up or was declined."""
        return self.call.state is State.ENDED

    async def take_over(self, *, aloud: bool) -> "Call | None":
        """The first call is over: this one is next, and rings now, ``aloud`` unless the person took it already. ``None`` where it is
        over too."""
        await cancel_all([self._watch])
        if self.is_over:
            self._tell_end(self.call.details)
            return None
        if aloud:
            from sinchphone.media.sound import Signal

            self.call.rings = True
            await self.call.sound.signal(Signal.RINGTONE)
        return self.call

    async def give_up(self) -> None:
        """The command ends: the caller is told that we are busy."""
        await cancel_all([self._watch])
        self._order = Order.BUSY
        if not self.is_over:
            await self.call.decline(busy=True)
        self._tell_end(await self.call.ended())

    def _tell_end(self, details: "CallDetails") -> None:
        """Once, whoever sees the end first."""
        if not self._is_told:
            self._is_told = True
            missed = CallSession(self._session, self.call, Wishes(), self._keys)
            missed.order = self._order if details.ended_by == EndedBy.US else None
            missed.tell_end()

    async def _wait(self) -> None:
        from sinchphone.media.sound import Signal

        sound = self._first.call.sound
        await sound.signal(Signal.WAITING)
        try:
            details = await self.call.ended()
        finally:
            self._first.waiting = None
            await sound.signal(None)
        self._tell_end(details)
