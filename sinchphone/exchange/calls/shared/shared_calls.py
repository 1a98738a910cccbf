"""Calls between users as the processes of an exchange tell each other of them: enough to go on with one whose process is gone."""

import base64
import json
from dataclasses import astuple, field
from typing import Any

from sinchphone.exchange.calls.delivery import Caller
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.store.store import Changed, Gone, Store
from sinchphone.exchange.store.tables import CALLS, Row
from sinchphone.protocol.mxp.message import Client
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.signaling.dialect import Placement


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class SharedCall:
    """One call: who follows it (``process``), its ends, and the time token from which on it's read. ``winner`` has it."""

    process: str
    caller: Caller
    callee: str
    callees: tuple[str, ...]  # instance ids
    placement: Placement = field(repr=False)
    placed_at: float
    token: int
    winner: Client | None = None


class SharedCalls:
    """The rows of one process."""

    def __init__(self, store: Store, directory: Directory, process: str) -> None:
        self.process = process
        self._store = store
        self._directory = directory

    async def recall(self, changed: Changed, gone: Gone) -> None:
        """Tell which calls there are, and from now on what others change. Raises StoreError."""
        for row in await self._store.read(CALLS):
            changed(row)
        self._store.follow(CALLS, changed, gone)

    def keep(self, call: SharedCall) -> None:
        """A call is placed, answered, or another process follows it now."""
        client, placement = call.caller.client, call.placement
        members = {
            "client": astuple(client),
            "instance": call.caller.instance_id,
            "callee": call.callee,
            "callees": call.callees,
            "key": base64.b64encode(placement.session_key).decode(),
            "channel": placement.signal_channel,
            "placed_at": call.placed_at,
            "token": call.token,
            "winner": astuple(call.winner) if call.winner is not None else None,
        }
        self._store.put(CALLS, call.caller.application.key, placement.call_id, call.process, json.dumps(members))

    async def settle(self) -> None:
        """Return when what was said until now has come to all. Raises StoreError."""
        await self._store.settle()
        await self._store.catch_up()

    def drop(self, application: str, call_id: str) -> None:
        """A call is over."""
        self._store.drop(CALLS, application, call_id)

    def read(self, row: Row) -> SharedCall | None:
        """What ``keep`` wrote; nothing for an application that isn't served here."""
        key, call_id, process, text = row
        application = self._directory.application(key)
        if application is None:
            return None
        members: dict[str, Any] = json.loads(text)
        device = self._directory.device(members["instance"])
        return SharedCall(
            process=process,
            caller=Caller(application, Client(*members["client"]), members["instance"], device),
            callee=members["callee"],
            callees=tuple(members["callees"]),
            placement=Placement(call_id, base64.b64decode(members["key"]), members["channel"]),
            placed_at=float(members["placed_at"]),
            token=int(members["token"]),
            winner=Client(*members["winner"]) if members["winner"] is not None else None,
        )
