"""A call that isn't over, as the exchange knows it."""

import asyncio

from sinchphone.exchange.calls.delivery import Caller, SignalForwarder
from sinchphone.exchange.calls.line import CallLine
from sinchphone.exchange.calls.shared.shared_calls import SharedCall
from sinchphone.exchange.calls.wakeups import Wakeup
from sinchphone.exchange.calls.watch import LOOK_SECONDS, CallWatch, departure_of, has_broken_off, post_message
from sinchphone.exchange.directory.devices import Device
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Placement


@quick_dataclass(frozen=True, eq=False, slots=True)
class OpenCall:
    """A call that isn't over, as far as we know. ``relay`` and ``watch`` are there in calls between users."""

    caller: Caller
    placed_at: float
    task: "asyncio.Task[None] | None"  # none where another process follows it
    relay: SignalForwarder | None = None
    watch: CallWatch | None = None
    callee: str = ""
    callees: tuple[Device, ...] = ()
    wakeup: Wakeup | None = None
    waking: "asyncio.Task[None] | None" = None
    shared: SharedCall | None = None

    def devices_of(self, user_id: str) -> list[Device]:
        """Those that this call between users, which was answered, is with at that user's end."""
        if self.watch is None or not self.watch.ends.is_answered or self.watch.ends.winner is None:
            return []
        winner = self.watch.ends.winner.instance_id.partition(":")[0]
        called = [device for device in self.callees if device.instance_id == winner]
        ends = [*([self.caller.device] if self.caller.device is not None else []), *called]
        return [device for device in ends if device.user_id == user_id]

    def rings_at(self, callee: str, caller: str) -> bool:
        """Whether that user's call is one to another that nobody has answered."""
        return self.watch is not None and not self.watch.ends.is_answered and (self.callee, self.caller.client.user_id) == (callee, caller)


async def see_caller(line: CallLine, placement: Placement) -> None:
    """Tell our end of a call when the caller's program is gone."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if has_broken_off(line.broker, line.subscribe_key, line.caller):
            post_message(line.broker, line.subscribe_key, line.local.channel, departure_of(line.caller, line.local), placement)
            return
