"""The text messages that an exchange took for phone numbers: simulated, so that nobody's phone gets them; kept, so that one can look.

::

    deliver(sender, number, text) -> newest last, a thousand an application -> messages(number), clear()
"""

import secrets
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import field
from typing import Any, Final

from sinchphone.exchange.store.store import Store, StoreError, kept
from sinchphone.exchange.store.tables import TEXT_MESSAGES, Row
from sinchphone.quick_dataclass import quick_dataclass

MAX_MESSAGES: Final = 1_000  # an application
MAX_TEXT_CHARACTERS: Final = 4_000
TEXTS_KEPT_SECONDS: Final = 7 * 86_400.0


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class TextMessage:
    """One text for one number (+E164). ``sender`` is what the phone would show; ``batch`` is common to all that were sent together;
    ``at`` in seconds since the epoch."""

    id: str
    batch: str
    sender: str | None
    number: str
    text: str = field(repr=False)
    at: float


class SmsInbox:
    """The text messages of all applications of an exchange. ``now`` is wall clock time [s since the epoch]."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._messages: dict[str, dict[str, TextMessage]] = {}  # by application key and id, newest last

    async def recall(self, now: float) -> None:
        """Know again what came before this exchange started. Raises StoreError."""
        try:
            for row in sorted(await self._store.read(TEXT_MESSAGES), key=lambda row: float(row[-1])):
                if float(row[-1]) >= now - TEXTS_KEPT_SECONDS:
                    self._came(row)
                else:
                    self._store.drop(TEXT_MESSAGES, *row[:2])
        except (TypeError, ValueError) as error:
            raise StoreError("the exchange's store has text messages that can't be read", hint="delete it") from error
        self._store.follow(TEXT_MESSAGES, self._came, self._went)

    def deliver(self, application: str, *, sender: str | None, number: str, text: str, now: float, batch: str | None = None) -> TextMessage:
        """Keep a text for a number (+E164) of whom the application with that key writes to; the oldest makes room. What is longer than
        ``MAX_TEXT_CHARACTERS`` is cut."""
        message = self._add(application, sender=sender, number=number, text=text, now=now, batch=batch)
        self._make_room(application)
        return message

    def deliver_unless_undone(self, application: str, undo: ExitStack, *, sender: str, number: str, text: str, now: float) -> None:
        """As ``deliver``, but undone it never came: so the oldest makes room for it with the next one."""
        self._make_room(application)
        undo.callback(self._withdraw, application, [self._add(application, sender=sender, number=number, text=text, now=now)])

    async def take(
        self, application: str, texts: Iterable[tuple[str, str]], *, sender: str | None, now: float, batch: str | None = None
    ) -> list[TextMessage]:
        """Keep texts for numbers that are sent together, as ``deliver`` does; return when they are kept, and known to whoever asks another
        process next. Raises StoreError: none of them came, and none made room."""
        async with kept(self._store) as undo:
            came = [self._add(application, sender=sender, number=number, text=text, now=now, batch=batch) for number, text in texts]
            undo.callback(self._withdraw, application, came)
        self._make_room(application)
        return came

    def _add(self, application: str, *, sender: str | None, number: str, text: str, now: float, batch: str | None = None) -> TextMessage:
        name = secrets.token_hex(13)
        message = TextMessage(id=name, batch=batch or name, sender=sender, number=number, text=text[:MAX_TEXT_CHARACTERS], at=now)
        self._messages.setdefault(application, {})[name] = message
        self._put(application, message)
        return message

    def _make_room(self, application: str) -> None:
        messages = self._messages.get(application, {})
        while len(messages) > MAX_MESSAGES:
            oldest = next(iter(messages))
            del messages[oldest]
            self._store.drop(TEXT_MESSAGES, application, oldest)

    def _withdraw(self, application: str, messages: Iterable[TextMessage]) -> None:
        for message in messages:
            self._went((application, message.id))
            self._store.drop(TEXT_MESSAGES, application, message.id)

    def messages(self, application: str, number: str | None = None) -> list[TextMessage]:
        """The application's, oldest first; with ``number``, those for it."""
        kept = self._messages.get(application, {})
        return [one for one in kept.values() if number is None or one.number == number]

    def batch(self, application: str, batch: str) -> list[TextMessage]:
        """Those that were sent together under that name; none where it's unknown."""
        return [one for one in self._messages.get(application, {}).values() if one.batch == batch]

    def clear(self, application: str, undo: ExitStack) -> int:
        """Forget the application's, unless it's undone; how many they were."""
        gone = self._messages.pop(application, {})
        undo.callback(self._put_back, application, gone)
        self._store.drop_where(TEXT_MESSAGES, application=application)
        return len(gone)

    async def forget(self, application: str) -> int:
        """Forget the application's; how many they were. Raises StoreError: they are there then as before."""
        async with kept(self._store) as undo:
            return self.clear(application, undo)

    def _put_back(self, application: str, gone: dict[str, TextMessage]) -> None:
        self._messages[application] = {**gone, **self._messages.get(application, {})}
        for message in gone.values():
            self._put(application, message)

    def _put(self, application: str, one: TextMessage) -> None:
        self._store.put(TEXT_MESSAGES, application, one.id, one.batch, one.sender, one.number, one.text, one.at)

    def _came(self, row: Row) -> None:
        """What was kept before, or another process took."""
        key, name, batch, sender, number, text, at = row
        message = TextMessage(id=name, batch=batch, sender=sender, number=number, text=text, at=float(at))
        self._messages.setdefault(str(key), {})[name] = message

    def _went(self, key: tuple[Any, ...]) -> None:
        self._messages.get(key[0], {}).pop(key[1], None)
