"""Changes as they stand in the feed, and rows as they stand in hashes (pure).

::

    an entry:  {"r": [[table, key, row], [table, key], …]}   rows that are put, or dropped        {"m": members}   a message
"""

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from sinchphone.exchange.store.feed import FeedMessage
from sinchphone.exchange.store.tables import MESSAGES, Row, Table
from sinchphone.quick_dataclass import quick_dataclass

Key: TypeAlias = tuple[Any, ...]

TICKS_A_MICROSECOND: Final = 10


@quick_dataclass(frozen=True, slots=True)
class RowChange:
    """A row in place of the one of that key, or none. ``order``: rows are read in it."""

    table: str
    key: Key
    row: Row | None
    order: int = 0


Change: TypeAlias = RowChange | FeedMessage


@quick_dataclass(frozen=True, slots=True)
class Batch:
    """Changes as the server takes them: the names of the hashes, the words of the script, and which of the entries has each change.
    ``entries``: what stands in each."""

    tables: list[str]
    words: list[str]
    places: list[int]
    entries: list[list[Change]]


def name_of(table: Table) -> str:
    """The hash that holds a table's rows; parts of rows have their own."""
    return f"{table.name}.{table.values[0]}" if table.is_part else table.name


def write_batch(changes: Iterable[Change], first_key: int) -> Batch:
    """A message has an entry of its own, since its id is its token; rows that follow one another share one, each as it was last.
    ``first_key``: the number of the first hash among the keys."""
    batch = Batch([], [], [], [])
    rows: dict[tuple[str, Key], RowChange] = {}
    for change in changes:
        if isinstance(change, FeedMessage):
            _write_rows(batch, rows, first_key)
            _write_message(batch, change, first_key)
        else:
            rows.pop((change.table, change.key), None)
            rows[change.table, change.key] = change
        batch.places.append(len(batch.entries) - (0 if rows else 1))
    _write_rows(batch, rows, first_key)
    return batch


def _write_rows(batch: Batch, rows: dict[tuple[str, Key], RowChange], first_key: int) -> None:
    if not rows:
        return
    told = []
    for change in rows.values():
        key, at = json.dumps(change.key), _number_of(batch, change.table, first_key)
        if change.row is None:
            batch.words.extend(("drop", at, key))
            told.append(f'["{change.table}",{key}]')
        else:
            row = json.dumps([change.order, *map(_encoded, change.row[len(change.key) :])])
            batch.words.extend(("put", at, key, row))
            told.append(f'["{change.table}",{key},{row}]')
    batch.words.extend(("entry", f'{{"r":[{",".join(told)}]}}'))
    batch.entries.append([*rows.values()])
    rows.clear()


def _write_message(batch: Batch, message: FeedMessage, first_key: int) -> None:
    """A message, and the row of one that is kept: its key has the token, which only the server knows."""
    members = [getattr(message, name) for name in _MEMBERS]
    batch.words.extend(("entry", json.dumps({"m": members})))
    batch.entries.append([message])
    if message.kept_for:
        head = json.dumps([message.application, message.kept_for])[:-1] + ", "
        row = json.dumps([0, message.transport_id, message.payload, message.publisher])
        batch.words.extend(("keep", _number_of(batch, name_of(MESSAGES), first_key), head, "]", row))


_MEMBERS: Final = (
    "application", "network", "channel", "payload", "size", "publisher", "meta", "owner", "kept_for", "transport_id", "is_piece",
)  # fmt: skip


def _number_of(batch: Batch, table: str, first_key: int) -> str:
    if table not in batch.tables:
        batch.tables.append(table)
    return str(first_key + batch.tables.index(table))


def read_entry(text: str) -> Sequence[Change]:
    """What ``write_batch`` wrote. Raises ValueError, TypeError, KeyError or IndexError for anything else."""
    entry = json.loads(text)
    if "m" in entry:
        return (FeedMessage(**dict(zip(_MEMBERS, entry["m"], strict=True))),)
    return [_read_change(*one) for one in entry["r"]]


def _read_change(table: str, key: list[Any], row: list[Any] | None = None) -> RowChange:
    known = tuple(key)
    if row is None:
        return RowChange(table, known, None)
    order, *values = row
    return RowChange(table, known, (*known, *map(_decoded, values)), int(order))


def read_row(table: str, field: str, value: str) -> RowChange:
    """A row of a hash."""
    return _read_change(table, json.loads(field), json.loads(value))


def token_of(stream_id: str) -> int:
    """The time token that an entry's id is: microseconds and ten ticks in each. 0 for none."""
    micros, _, tick = stream_id.partition("-")
    return int(micros) * TICKS_A_MICROSECOND + int(tick) if tick else 0


def _encoded(value: Any) -> Any:
    return {"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _decoded(value: Any) -> Any:
    return base64.b64decode(value["b"]) if isinstance(value, dict) else value
