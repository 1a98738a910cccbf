"""Calls that a process of an exchange has an end in, as the others know them: enough to tell whoever is left why it's over, when that
process is gone."""

import base64
import json
import time
from dataclasses import astuple
from typing import Any, Final

from sinchphone.exchange.calls.line import CallLine
from sinchphone.exchange.calls.parties import CallParties
from sinchphone.exchange.calls.watch import departure_of, post_message
from sinchphone.exchange.directory.directory import Directory
from sinchphone.exchange.pubsub.broker import Broker
from sinchphone.exchange.store.store import Gone, Store
from sinchphone.exchange.store.tables import CARRIED_CALLS, Row
from sinchphone.protocol.mxp.message import CallFailure, Client
from sinchphone.signaling.dialect import Placement

ABANDONED: Final = CallFailure(503, "the process of the exchange that carried this call is gone", "exchange")
TRIED_AGAIN_SECONDS: Final = 60.0  # so long the id of a call is taken whose process is gone: its backend was asked about it


class CarriedCalls:
    """The rows of one process, whose name is ``process``."""

    def __init__(self, store: Store, process: str) -> None:
        self._store = store
        self._process = process

    def follow(self, gone: Gone) -> None:
        """Tell which call of ours others ended, because they took us for dead."""
        self._store.follow(CARRIED_CALLS, lambda row: None, gone)

    def keep(self, line: CallLine, placed_by: str = "") -> None:
        """A call is answered by this process; ``placed_by``: the process that calls for somebody who is no device."""
        key = base64.b64encode(line.session_key).decode()
        members = {"caller": astuple(line.caller), "local": astuple(line.local), "key": key}
        self._store.put(
            CARRIED_CALLS, line.application.key, line.request.call_id, self._process, placed_by or self._process, json.dumps(members)
        )

    def drop(self, application: str, call_id: str) -> None:
        """It's over."""
        self._store.drop(CARRIED_CALLS, application, call_id)

    async def bury(self, application: str, process: str, broker: Broker, directory: Directory, parties: CallParties) -> None:
        """A process is gone: tell whoever talked to it. Raises StoreError."""
        served = directory.application(application)
        for row in await self._store.read(CARRIED_CALLS):
            if served is None or row[0] != application or process not in row[2:4]:
                continue
            placement, caller, local = _read(row)
            left, gone = (caller, local) if row[2] == process else (local, caller)
            post_message(broker, served.signal.subscribe_key, left.channel, departure_of(gone, left, ABANDONED), placement)
            if row[2] == process:
                parties.end(application, placement.call_id, time.time() + TRIED_AGAIN_SECONDS)
                self.drop(application, placement.call_id)


def _read(row: Row) -> tuple[Placement, Client, Client]:
    members: dict[str, Any] = json.loads(row[4])
    local = Client(*members["local"])
    return Placement(row[1], base64.b64decode(members["key"]), local.channel), Client(*members["caller"]), local
