"""Transfers on behalf of a person or a program: where to, typed at the keys; what the calls' ends are called then."""

import asyncio
from typing import TYPE_CHECKING, Final

from sinchphone.cli.addressing.contacts import resolve
from sinchphone.cli.addressing.destination import Kind
from sinchphone.cli.endings import Order
from sinchphone.cli.terminal.keyboard.parser import ESCAPE, Paste
from sinchphone.cli.terminal.output.events import events as e
from sinchphone.cli.terminal.screen.status_line import KeyHints, end_of
from sinchphone.errors import SinchphoneError, TransferError
from sinchphone.protocol.names import ROOM_PREFIX
from sinchphone.tasks import start_task

if TYPE_CHECKING:
    from sinchphone.cli.calling.call_session import CallSession
    from sinchphone.cli.terminal.session import Session

MAX_TYPED: Final = 256
_SHORT_CELLS, _LEAST_CELLS = 18, 12  # of what was typed
_TAKES_NONE: Final = (405, 501)  # of SIP
_CLEARS: Final = "\x15\x17"  # Ctrl-U, Ctrl-W
_BACKSPACE: Final = "\x7f\b"


async def transfer(talk: "CallSession", to: "str | CallSession") -> None:
    """Have the peer talk with somebody else, or with the peer of another call of ours, and leave. Raises SinchphoneError where that comes
    to nothing: what goes on goes on."""
    talks = [talk] if isinstance(to, str) else [talk, to]
    for one in talks:
        one.order = one.order or Order.TRANSFERRED
    try:
        await (talk.call.transfer(to) if isinstance(to, str) else _join(talk, to))
    except SinchphoneError:
        for one in talks:
            one.order = None if one.order is Order.TRANSFERRED else one.order
        raise


async def _join(talk: "CallSession", other: "CallSession") -> None:
    """Whichever of the two peers takes transfers goes to the other one."""
    try:
        await talk.call.transfer(other.call)
    except TransferError as error:
        if error.status not in _TAKES_NONE:
            raise
        await other.call.transfer(talk.call)


class TransferKeys:
    """Of one call: ``t`` asks where to, Enter transfers. ``typed``: what was typed until now; ``None`` where nothing is asked."""

    def __init__(self, session: "Session", talk: "CallSession") -> None:
        self.typed: str | None = None
        self._session = session
        self._talk = talk
        self._task: asyncio.Task[None] | None = None

    @property
    def hints(self) -> KeyHints:
        """In place of the other keys'. Where there's no room for all that was typed, its end is shown."""
        typed = self.typed or ""
        full = f"transfer to: {typed}_   Enter transfers, Esc cancels"
        short = f"transfer to: {end_of(typed, _SHORT_CELLS)}_   Enter, Esc"
        return KeyHints(full, short, f"to: {end_of(typed, _LEAST_CELLS)}_")

    def begin(self) -> None:
        """Ask where to."""
        if self._task is not None and not self._task.done():
            self._session.note("a transfer is under way")
        else:
            self.typed = ""

    def take(self, pressed: str | Paste) -> None:
        """A key, while it's asked."""
        typed = self.typed or ""
        match pressed:
            case Paste(text=text):
                self.typed = (typed + "".join(filter(str.isprintable, text)))[:MAX_TYPED]
            case "\n":
                self.typed = None
                self._transfer_to(typed.strip())
            case one if one == ESCAPE:
                self.typed = None
                self._transfer_to("")
            case one if one in _BACKSPACE:
                self.typed = typed[:-1] if typed else None
            case one if one in _CLEARS:
                self.typed = ""
            case one if one.isprintable():
                self.typed = (typed + one)[:MAX_TYPED]
            case _:
                pass

    def join(self, other: "CallSession") -> None:
        """Let the peers of both calls talk with each other."""
        self._begin(other, other.call.peer)

    def _transfer_to(self, typed: str) -> None:
        if not typed:
            self._session.note("not transferred")
            return
        try:
            found = resolve(typed, self._session.options)
        except SinchphoneError as error:
            self._session.tell(e.Warned(message=f"not transferred: {error}", hint=error.hint or None))
            return
        self._begin(f"{ROOM_PREFIX}{found.identity}" if found.kind is Kind.CONFERENCE else found.identity, typed)

    def _begin(self, to: "str | CallSession", name: str) -> None:
        self._session.note(f"transferring {self._talk.call.peer} to {name}")
        self._task = start_task(self._perform(to), name="transfer")

    async def _perform(self, to: "str | CallSession") -> None:
        try:
            await transfer(self._talk, to)
        except SinchphoneError as error:
            self._session.tell(e.Warned(message=f"not transferred: {error}", hint=error.hint or None))
