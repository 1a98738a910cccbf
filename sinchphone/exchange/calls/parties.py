"""Who may publish what on a call's channels, for the time of the call: a frame of its session, from one end to the other.

Messages of a call are encrypted but not authenticated (MXP v10): who has seen one can forge another, so the broker must know whom it
takes them from. It's kept beyond the end of the exchange, since calls go on when another process takes over.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sinchphone.exchange.calls.watch import MAX_OPEN_CALL_SECONDS
from sinchphone.exchange.store.store import Store, StoreError
from sinchphone.exchange.store.tables import SESSIONS, Row

AFTERWARDS_SECONDS: Final = 60.0  # goodbyes may cross, and be repeated
_PRUNE_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Session:
    writers: Mapping[str, frozenset[str]]  # channel -> instance ids
    until: float


class CallParties:
    """The sessions of all calls, by application key and call id. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._pruned_at = float("-inf")

    async def recall(self, now: float) -> None:
        """Know again the calls from before this exchange started. Raises StoreError."""
        assert self._store is not None, "there is something to be recalled"
        try:
            for application, call_id, channels, until in await self._store.read(SESSIONS):
                if until < now:
                    self._store.drop(SESSIONS, application, call_id)
                    continue
                self._know((application, call_id, channels, min(until, now + MAX_OPEN_CALL_SECONDS)))
        except (ValueError, AttributeError, TypeError) as error:
            raise StoreError("the exchange's store has calls that can't be read", hint="delete it") from error
        self._store.follow(SESSIONS, self._know, self._lost)

    def _lost(self, key: tuple[Any, ...]) -> None:
        self._sessions.pop((key[0], key[1]), None)

    def _know(self, row: Row) -> None:
        application, call_id, channels, until = row
        writers = {channel: frozenset(instances) for channel, instances in json.loads(channels).items()}
        self._sessions[application, call_id] = _Session(writers, until)

    def begin(self, application: str, call_id: str, writers: Mapping[str, Iterable[str]], now: float) -> None:
        """A call is placed: on each channel those instances may publish its frames, until the call is over."""
        self._prune(now)
        session = _Session({channel: frozenset(instances) for channel, instances in writers.items()}, now + MAX_OPEN_CALL_SECONDS)
        self._sessions[application, call_id] = session
        if self._store is not None:
            self._store.put(SESSIONS, application, call_id, _written(session), session.until)

    def goes_on(self, application: str, call_id: str, now: float) -> bool:
        """Whether there is such a call, and nobody has said that it's over."""
        session = self._sessions.get((application, call_id))
        return session is not None and now + AFTERWARDS_SECONDS < session.until

    def end(self, application: str, call_id: str, now: float) -> None:
        """A call is over: what is said of it may be said for a little while yet."""
        session = self._sessions.get((application, call_id))
        if session is None:
            return
        session.until = min(session.until, now + AFTERWARDS_SECONDS)
        if self._store is not None:
            self._store.put(SESSIONS, application, call_id, _written(session), session.until)

    def may_publish(self, application: str, call_id: str, instance_id: str, channel: str, now: float) -> bool:
        """Whether a frame of that call, from that instance, belongs on that channel."""
        session = self._sessions.get((application, call_id))
        return session is not None and now <= session.until and instance_id in session.writers.get(channel, frozenset())

    def _prune(self, now: float) -> None:
        if now - self._pruned_at < _PRUNE_SECONDS:
            return
        self._pruned_at = now
        for key in [key for key, session in self._sessions.items() if session.until < now]:
            del self._sessions[key]
            if self._store is not None:
                self._store.drop(SESSIONS, *key)


def _written(session: _Session) -> str:
    return json.dumps({channel: sorted(instances) for channel, instances in session.writers.items()})
