"""Which calls are open, who follows them, and how they end.

::

    entered, with the task that passes its messages on -> its watch says that it's over, an end reports it, or too long ago -> forgotten
"""

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from sinchphone.exchange.calls.delivery import SETUP_SECONDS, Caller
from sinchphone.exchange.calls.open_call import OpenCall
from sinchphone.exchange.calls.parties import CallParties
from sinchphone.exchange.calls.shared.carried_calls import CarriedCalls
from sinchphone.exchange.calls.shared.shared_calls import SharedCalls
from sinchphone.exchange.calls.watch import MAX_OPEN_CALL_SECONDS, CallWatch
from sinchphone.exchange.directory.devices import Application, Device
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.record.record import EventRecord
from sinchphone.exchange.refusals import not_found
from sinchphone.protocol.call.states import Cause
from sinchphone.signaling.dialect import Placement
from sinchphone.tasks import start_task

_LONGEST_ABSENCE_SECONDS: Final = 120.0  # from the exchange, of a caller who talks: its machine may sleep for a minute

CallKey: TypeAlias = tuple[str, str]  # the application's key, the call's id

_logger = logging.getLogger(__name__)


class CallTable:
    """The calls that aren't over. ``now`` is wall clock time [s since the epoch]."""

    def __init__(
        self,
        broker: Broker,
        parties: CallParties,
        record: EventRecord,
        shared: SharedCalls | None = None,
        carried: CarriedCalls | None = None,
    ) -> None:
        """``shared`` and ``carried`` tell the other processes, where this exchange has several: of calls between users, and of those that
        have an end here."""
        self._broker = broker
        self._parties = parties
        self._record = record
        self._sharing = shared
        self._carried = carried
        self._calls: dict[CallKey, OpenCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, key: CallKey) -> OpenCall | None:
        """The call, where it isn't over."""
        return self._calls.get(key)

    def of(self, application: str) -> dict[CallKey, OpenCall]:
        """An application's calls, as they are now."""
        return {key: call for key, call in self._calls.items() if key[0] == application}

    def enter(self, key: CallKey, call: OpenCall) -> None:
        """A call is open. One between users that this process follows is closed when its ends say that it's over."""
        self._calls[key] = call
        if call.task is not None and call.watch is not None:
            self.spawn(self._follow(key, call, call.watch), f"watch {key[1]}")

    def going_on(self, now: float) -> int:
        """How many calls aren't over that this process follows."""
        self.close_stale(now)
        return sum(call.task is not None for call in self._calls.values())

    async def wake(self, caller: Device, call_id: str, instance_ids: Collection[str], display_name: str) -> None:
        """A caller asks for pushes to these devices of the user that it calls. Raises RefusedError where there is no such call, and where
        none of them could be sent."""
        call = self._calls.get((caller.application.key, call_id))
        if call is None or call.caller.instance_id != caller.instance_id:
            raise not_found("there is no such call any more")
        if call.wakeup is not None:
            await call.wakeup.ask(instance_ids, display_name)

    def close_call(self, caller: Caller, call_id: str) -> None:
        """A caller who is no device says that its call is over."""
        key = (caller.application.key, call_id)
        if key in self._calls:
            self._close(key)

    def withdraw(self, key: CallKey) -> None:
        """A call between users whose caller is told that it wasn't placed: whom it was announced to learns that it's over."""
        call = self._calls.get(key)
        if call is not None and call.watch is not None:
            call.watch.hang_up()  # once that is said it's closed

    def report(self, device: Device, call_id: str) -> None:
        """A device says that a call is over for it. The caller's word ends the call."""
        key = (device.application.key, call_id)
        call = self._calls.get(key)
        if call is not None and call.caller.instance_id == device.instance_id:
            self._close(key)

    def watch(self, caller: Caller, placement: Placement, callees: Sequence[Device], token: int) -> CallWatch:
        """What watches a call between users; the other processes are told who has answered it."""
        invited = ((callee.instance_id, callee.identity.signal_channel) for callee in callees)
        key = (caller.application.key, placement.call_id)
        return CallWatch(self._broker, caller, placement, invited, token, self._record.call_counts, lambda: self._answered(key))

    async def end_all(self, application: Application, seconds: float) -> None:
        """End the application's calls: both ends are told. Waits at most ``seconds`` for the goodbyes of the exchange's own ends."""
        calls = self.of(application.key)
        leaving = [call.task for call in calls.values() if call.watch is None and call.task is not None]
        for task in leaving:
            task.cancel()
        followed = {key: call.watch for key, call in calls.items() if call.watch is not None}
        for watch in followed.values():
            watch.hang_up()
        if followed and self._sharing is not None:
            await self._sharing.settle()  # what is said comes back, and is passed on, before the call is closed
        for key in followed:
            if key in self._calls:
                self._close(key)
        if leaving:
            await asyncio.wait(leaving, timeout=seconds)

    async def close(self, seconds: float) -> None:
        """End all relaying, and the calls that the exchange itself has an end in; wait at most ``seconds`` for their goodbyes."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def close_stale(self, now: float) -> None:
        """Close calls that have just ended, and those that must be over although nobody said so: set up long ago, and not answered or the
        caller is gone."""
        for key, call in list(self._calls.items()):
            if call.task is None:
                continue
            network, channel = call.caller.application.signal, call.caller.client.channel
            age = now - call.placed_at
            ended = call.watch is not None and call.watch.has_ended()
            unanswered = call.watch is not None and not call.watch.ends.is_answered
            gone = unanswered or self._broker.away_for(network.subscribe_key, channel, now) > _LONGEST_ABSENCE_SECONDS
            if ended or age > MAX_OPEN_CALL_SECONDS or (age > SETUP_SECONDS and gone):
                self._close(key, Cause.NO_ANSWER if unanswered else Cause.INACTIVE if gone else Cause.TIMEOUT)

    def lose(self, key: CallKey) -> None:
        """Another process was told that a call is over."""
        call = self._calls.get(key)
        if call is not None and call.task is None:
            del self._calls[key]
        elif call is not None:
            self._close(key)

    def forget(self, key: CallKey) -> None:
        """A call is over, and whoever should know is told."""
        call = self._calls.pop(key)
        cause = call.watch.ends.cause if call.watch is not None else None
        self._record.call_counts.over(key[1], cause or Cause.FAILURE)  # an end of the exchange's own has said more
        if self._sharing is not None and call.shared is not None:
            self._sharing.drop(*key)
        if self._carried is not None and call.watch is None:
            self._carried.drop(*key)
        if call.waking is not None:
            call.waking.cancel()
        self._parties.end(*key, time.time())
        self._record.ended(key[1])

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Do a call's work; ``close`` ends it."""
        task = start_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def _follow(self, key: CallKey, call: OpenCall, watch: CallWatch) -> None:
        await watch.run()
        if self._calls.get(key) is call:
            self._close(key)

    def _answered(self, key: CallKey) -> None:
        call = self._calls.get(key)
        if self._sharing is not None and call is not None and call.task is not None and call.shared is not None and call.watch is not None:
            self._sharing.keep(replace(call.shared, winner=call.watch.ends.winner))

    def _close(self, key: CallKey, cause: Cause | None = None) -> None:
        """``cause``: where its ends didn't say one; else somebody just ended it."""
        call = self._calls[key]
        if call.relay is None or call.task is None:
            if call.task is None and self._sharing is not None:
                del self._calls[key]
                self._sharing.drop(*key)  # whoever follows it learns it so
            return  # an answerer knows by itself when its call is over
        call.relay.forward()  # a CANCEL just before must still get through
        if not call.relay.holds_back:
            call.task.cancel()
        if call.watch is not None:
            call.watch.end(cause or (Cause.HUNG_UP if call.watch.ends.is_answered else Cause.CANCELED))
        self.forget(key)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("%s failed", task.get_name(), exc_info=error)
