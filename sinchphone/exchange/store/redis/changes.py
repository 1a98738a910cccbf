"""Changes as they stand in the feed, and rows as they stand in hashes (pure).

::

    {"t": table, "put": key, "row": values}     {"t": table, "drop": key}     {"message": members, …}
"""

import base64
import json
from dataclasses import asdict, replace
from typing import Any, Final, TypeAlias

from sinchphone.exchange.store.feed import FeedMessage
from sinchphone.exchange.store.tables import MESSAGES, Row, Table

Change: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[Any, ...]

TICKS_A_MICROSECOND: Final = 10


def name_of(table: Table) -> str:
    """The hash that holds a table's rows; parts of rows have their own."""
    return f"{table.name}.{table.values[0]}" if table.is_part else table.name


def write_put(table: Table, row: Row, order: int) -> Change:
    """A row in place of the one of that key; ``order``: rows are read in it."""
    count = len(table.key)
    return {"t": name_of(table), "put": json.dumps(row[:count]), "row": json.dumps([order, *map(_encoded, row[count:])])}


def write_drop(table: Table, key: Key) -> Change:
    """No row of that key."""
    return {"t": name_of(table), "drop": json.dumps(key)}


def write_message(message: FeedMessage) -> Change:
    """A message, and the row of one that is kept: its key has the token, which only the server knows."""
    members = {**asdict(message), "payload": None, "meta": None}
    texts = {"payload": json.dumps(message.payload), "meta": json.dumps(message.meta)}
    change: Change = {"message": json.dumps({**members, **texts})}
    if message.kept_for:
        head = json.dumps([message.application, message.kept_for])[:-1] + ", "
        row = json.dumps([0, message.transport_id, message.payload, message.publisher])
        change |= {"t": name_of(MESSAGES), "keep": [head, "]"], "row": row}
    return change


def read_message(change: Change) -> FeedMessage:
    """What ``write_message`` wrote."""
    message = FeedMessage(**json.loads(change["message"]))
    return replace(message, payload=json.loads(message.payload), meta=json.loads(message.meta))


def read_key(field: str) -> Key:
    """The key of a row."""
    return tuple(json.loads(field))


def read_row(field: str, value: str) -> tuple[int, Row]:
    """A row and its order."""
    order, *values = json.loads(value)
    return int(order), (*read_key(field), *map(_decoded, values))


def token_of(stream_id: str) -> int:
    """The time token that an entry's id is: microseconds and ten ticks in each. 0 for none."""
    micros, _, tick = stream_id.partition("-")
    return int(micros) * TICKS_A_MICROSECOND + int(tick) if tick else 0


def _encoded(value: Any) -> Any:
    return {"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _decoded(value: Any) -> Any:
    return base64.b64decode(value["b"]) if isinstance(value, dict) else value
