"""Digits that are dialled in a call, one after the other, and what is said of those that aren't."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sinchphone.cli.terminal.keyboard.parser import Paste
from sinchphone.cli.terminal.output.events.events import Warned
from sinchphone.cli.terminal.text.counting import counted
from sinchphone.errors import SinchphoneError
from sinchphone.protocol.call.states import State
from sinchphone.protocol.digits import MAX_DIGITS

if TYPE_CHECKING:
    from sinchphone.cli.terminal.session import Session
    from sinchphone.engine.calls.call import Call

DIGITS: Final = "0123456789*#"  # keys that dial
SHOWN_DIGITS: Final = 12  # of those that were dialled last
_MAX_WAITING: Final = 256  # keys pressed faster than they can be sent
_WRITTEN_BETWEEN: Final = " \t\r\n-.()/"  # how people group digits: no loss


class Dialler:
    """Takes digits at any time, sends them once ``run`` runs. ``shown``: those dialled last; ``sending``: some are under way."""

    def __init__(self, session: "Session", call: "Call", first: str | None, first_over: Callable[[str | None], None]) -> None:
        """``first``: what is dialled before anything else; ``first_over`` is told when it was sent, or why not."""
        self.shown = ""
        self.sending = False
        self._session = session
        self._call = call
        self._first, self._first_over = first, first_over
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_MAX_WAITING)
        self._dropped = 0
        if first:
            self._waiting.put_nowait(first)

    def press(self, digit: str) -> None:
        """One digit. Beyond what can wait it's dropped, and that is said when there is room again."""
        if self._dropped or self._waiting.full():
            self._dropped += 1
        else:
            self._waiting.put_nowait(digit)

    def paste(self, paste: Paste) -> None:
        """The digits of a pasted text, in one go; what of it isn't dialled is said."""
        digits = "".join(one for one in paste.text if one in DIGITS)
        others = sum(one not in DIGITS + _WRITTEN_BETWEEN for one in paste.text) + paste.dropped
        fitting = digits[:MAX_DIGITS] if not self._waiting.full() else ""
        if fitting:
            self._waiting.put_nowait(fitting)
        if len(digits) > len(fitting):
            self._say_dropped(len(digits) - len(fitting))
        if others:
            self._session.note(f"pasted: {counted(others, 'character')} can't be dialled")

    async def run(self) -> None:
        """Send digits as they come, until the call is over or this is cancelled. Of what its end cuts off, the end says why."""
        while not self._is_over():
            digits = await self._waiting.get()
            self.shown = (self.shown + digits)[-SHOWN_DIGITS:]
            self.sending = True
            try:
                await self._call.dtmf(digits)
                self._over(None)
            except SinchphoneError as error:
                if self._is_over():
                    return
                self._over(str(error))
                self._session.tell(Warned(message=f"{digits} was not dialled: {error}", hint=error.hint or None))
            finally:
                self.sending = False
            if self._dropped and self._waiting.empty():
                self.tell_dropped()

    def _is_over(self) -> bool:
        return self._call.state is State.ENDED

    def _over(self, failure: str | None) -> None:
        if self._first is not None:
            self._first = None
            self._first_over(failure)

    def tell_dropped(self) -> None:
        """Say how many digits were dropped, if any were."""
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._say_dropped(dropped)

    def _say_dropped(self, count: int) -> None:
        self._session.tell(Warned(message=f"{counted(count, 'digit')} not dialled: too many at once", hint=None))
