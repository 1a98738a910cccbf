"""Lets the hook of incoming calls decide what becomes of each; until it has, and where it says ignore, nothing answers by itself."""

import asyncio
from typing import TYPE_CHECKING, assert_never

from sinchphone.cli.control import commands as k
from sinchphone.cli.hooks.hooks import Choice, Decision, Hooks
from sinchphone.cli.terminal.output.events.events import CallIncoming, Warned
from sinchphone.errors import DestinationError, SinchphoneError, TransferError
from sinchphone.tasks import cancel_all, start_task

if TYPE_CHECKING:
    from sinchphone.cli.calling.in_call.steering import Steering
    from sinchphone.cli.terminal.session import Session
    from sinchphone.engine.calls.call import Call


class Screening:
    """Of the calls of one listener."""

    def __init__(self, session: "Session", hooks: Hooks, steering: "Steering") -> None:
        self.welcome: set[str] = set()  # ids of calls that waited when the hook said answer: they are answered when it's their turn
        self._session = session
        self._hooks = hooks
        self._steering = steering
        self._pending: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, call: "Call", told: CallIncoming) -> None:
        """Ask about a call that was told, if there is a hook to ask."""
        if self._hooks.decides:
            self._pending[call.id] = asyncio.Event()
            start_task(self._screen(call, told), name="screening", among=self._tasks)

    def pending(self, call_id: str) -> asyncio.Event | None:
        """Set when the hook has left that call to the command; ``None`` where nothing is to be waited for."""
        return self._pending.get(call_id)

    async def close(self) -> None:
        """Nothing is decided any more."""
        await cancel_all(self._tasks)

    async def _screen(self, call: "Call", told: CallIncoming) -> None:
        decision = await self._hooks.ask(told)
        try:
            if decision is None or not await self._decide(call, decision):
                self._pending[call.id].set()
        except SinchphoneError as error:  # somebody else was faster
            self._session.note(f"the hook came too late: {error}")
        await call.ended()
        self._pending.pop(call.id, None)
        self.welcome.discard(call.id)

    async def _redirect(self, call: "Call", user: str) -> bool:
        """Answer and transfer it, which SIP phones take; who can't be transferred is hung up on. Whether that could be begun."""
        if self._steering.waits(call.id):
            self._session.tell(Warned(message="the call isn't redirected, you are in a call: it rings on", hint=None))
            return False
        await self._steering.perform(k.PickUpCall(call_id=call.id))
        if await call.established():
            try:
                await self._steering.perform(k.TransferCall(to=user, call_id=call.id))
            except (DestinationError, TransferError) as error:
                self._session.tell(Warned(message=f"the call wasn't redirected to {user}: {error}", hint=None))
                await call.hang_up()
        return True

    async def _decide(self, call: "Call", decision: Decision) -> bool:
        """Whether the call was dealt with."""
        match decision.choice:
            case Choice.ANSWER if self._steering.waits(call.id):
                self.welcome.add(call.id)
            case Choice.ANSWER:
                await self._steering.perform(k.PickUpCall(call_id=call.id))
            case Choice.DECLINE:
                await self._steering.perform(k.DeclineCall(call_id=call.id))
            case Choice.IGNORE:
                await call.sound.signal(None)
            case Choice.REDIRECT:
                return await self._redirect(call, decision.user or "")
            case _:
                assert_never(decision.choice)
        return True
