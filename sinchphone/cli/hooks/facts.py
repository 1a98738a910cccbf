"""What a hook is told: an event's facts as JSON, and those that are single values as SINCHPHONE_* variables. Pure.

A peer's words are data: they stand in the environment and in JSON, never in a command, and what moves a cursor or hides text is made
visible in variables (``terminal.escape``). JSON has them as they came.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sinchphone.cli.terminal.output.lines import MAX_MESSAGE
from sinchphone.cli.terminal.output.results import SCHEMA
from sinchphone.cli.terminal.text.escape import escape
from sinchphone.options import KEYS

if TYPE_CHECKING:
    from sinchphone.cli.terminal.output.events.events import Event

PREFIX: Final = "SINCHPHONE_"
_SETTINGS: Final = frozenset(key.variable for key in KEYS.values() if key.variable) | {"SINCHPHONE_CONFIG"}


def facts_of(hook: str, event: "Event", call: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an event, and what was known of its call before."""
    return {"schema": SCHEMA, "hook": hook, "event": event.NAME, **call, **asdict(event)}


def as_json(facts: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(facts).encode() + b"\n"


def environment_of(facts: Mapping[str, Any], ours: Mapping[str, str]) -> dict[str, str]:
    """``ours`` with the facts in place of those of another hook that ran us; what configures sinchphone stays as it is."""
    kept = {name: value for name, value in ours.items() if not name.startswith(PREFIX) or name in _SETTINGS}
    single = {name: value for name, value in facts.items() if not isinstance(value, dict | list)}
    told = {f"{PREFIX}{name.upper()}": _word(value) for name, value in single.items()}
    return kept | {name: value for name, value in told.items() if name not in _SETTINGS}


def _word(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return escape(str(value), MAX_MESSAGE)
