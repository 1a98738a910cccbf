"""The JSON Schema of both directions: what ``--json`` writes, and beside it what ``--control`` reads."""

import inspect
import json
import typing
from dataclasses import MISSING, fields
from typing import Any

from sinchphone.cli.control.commands import COMMANDS, MAX_ENTRIES, MAX_ID_CHARACTERS
from sinchphone.cli.terminal.output.events.schema import event_schema, rule_of


def schema_text() -> str:
    """The schema of events; ``$defs`` has that of commands too, as ``control``."""
    whole = event_schema()
    commands = {f"control.{name}": _command(kind) for name, kind in COMMANDS.items()}
    control = {
        "description": "A line of --control: one JSON object. id comes back in its answer, control.done or control.failed.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in commands],
    }
    whole["$defs"] |= {"control": control} | commands
    return json.dumps(whole, indent=2) + "\n"


def _command(kind: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    needed = [one.name for one in fields(kind) if one.default is MISSING]
    properties = {
        "command": {"const": kind.NAME},
        "id": {"type": ["string", "integer", "null"], "maxLength": MAX_ID_CHARACTERS},
        **{one.name: _rule(hints[one.name]) for one in fields(kind)},
    }
    return {
        "description": inspect.getdoc(kind),
        "type": "object",
        "properties": properties,
        "required": ["command", *needed],
        "additionalProperties": False,
    }


def _rule(hint: Any) -> dict[str, Any]:
    """One may stand for a list of one."""
    rule = rule_of(hint, {})
    if rule.get("type") != "array":
        return rule
    return {"oneOf": [rule | {"minItems": 1, "maxItems": MAX_ENTRIES}, rule["items"]]}
