"""Calls between users that other processes of the exchange placed: known here, and followed here once such a process is gone.

::

    row of another process -> known, nobody here follows it       that process is gone -> followed here, the others learn it
"""

from dataclasses import replace
from typing import Any

from sinchphone.exchange.calls.call_table import CallTable
from sinchphone.exchange.calls.delivery import SignalForwarder
from sinchphone.exchange.calls.open_call import OpenCall
from sinchphone.exchange.calls.parties import CallParties
from sinchphone.exchange.calls.shared.carried_calls import ABANDONED, CarriedCalls
from sinchphone.exchange.calls.shared.shared_calls import SharedCall, SharedCalls
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.store.tables import Row


class CallTakeover:
    """Of one of several processes."""

    def __init__(
        self,
        calls: CallTable,
        shared: SharedCalls,
        carried: CarriedCalls,
        directory: Directory,
        broker: Broker,
        parties: CallParties,
    ) -> None:
        self._calls = calls
        self._shared = shared
        self._carried = carried
        self._directory = directory
        self._broker = broker
        self._parties = parties

    async def follow(self) -> None:
        """Know the calls of the other processes, from now on. Raises StoreError."""
        await self._shared.recall(self._know, self._lose)
        self._carried.follow(self._abandon)

    async def adopt(self, application: str, process: str) -> None:
        """A process is gone: its calls between users are followed here, and whoever talked to it learns that. Raises StoreError."""
        for key, call in self._calls.of(application).items():
            if call.task is None and call.shared is not None and call.shared.process == process:
                own = replace(call.shared, process=self._shared.process)
                self._shared.keep(own)
                revived = self._revived(own, is_ours=True)
                self._calls.enter(key, revived)
                if revived.caller.device is None and revived.watch is not None:  # that process called, for somebody who is no device
                    revived.watch.hang_up(ABANDONED)
        await self._carried.bury(application, process, self._broker, self._directory, self._parties)

    def _know(self, row: Row) -> None:
        """Another process placed a call, or knows more of it."""
        shared, key = self._shared.read(row), (row[0], row[1])
        if shared is None or shared.process == self._shared.process:
            return
        before = self._calls.get(key)
        if before is not None and before.task is not None:
            before.task.cancel()  # we were away for so long that somebody else follows it
        self._calls.enter(key, self._revived(shared, is_ours=False))

    def _lose(self, gone: tuple[Any, ...]) -> None:
        """Another process was told that a call is over."""
        self._calls.lose((gone[0], gone[1]))

    def _abandon(self, gone: tuple[Any, ...]) -> None:
        """The others took us for dead, and told the caller so."""
        call = self._calls.get((gone[0], gone[1]))
        if call is not None and call.task is not None and call.watch is None:
            call.task.cancel()

    def _revived(self, shared: SharedCall, *, is_ours: bool) -> OpenCall:
        known = (self._directory.device(name) for name in shared.callees)
        callees = tuple(device for device in known if device is not None)
        relay = SignalForwarder(
            self._broker, shared.caller, callees, shared.placement.call_id, shared.placement.signal_channel, shared.token, is_taken_on=True
        )
        watch = self._calls.watch(shared.caller, shared.placement, callees, shared.token)
        if shared.winner is not None:
            watch.ends.restore(shared.winner)
        task = self._calls.spawn(relay.run(), f"relay {shared.placement.call_id}") if is_ours else None
        return OpenCall(shared.caller, shared.placed_at, task, relay, watch, shared.callee, callees, shared=shared)
