"""The JSON Schema of what ``--json`` writes, made of the event classes: their fields are its properties, their types its rules."""

import inspect
import types
import typing
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Union

from sinchphone.cli.terminal.output.events.events import CallEnded, Event
from sinchphone.cli.terminal.output.listings import INSTANT_PATTERN, ValueBounds
from sinchphone.cli.terminal.output.results import SCHEMA

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_WORDS: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
_HEAD: Final[dict[str, Any]] = {
    "schema": {"const": SCHEMA},
    "seq": {"type": "integer", "minimum": 0},
    "ts": {"type": "string", "pattern": INSTANT_PATTERN},
    "t": {"description": "Seconds since the start.", "type": "number", "minimum": 0},
    "event": {"type": "string"},
}
_NAMES: Final = {CallEnded: "call_summary"}  # of an event that is part of another


def event_schema() -> dict[str, Any]:
    """The JSON Schema of every line."""
    parts: dict[str, Any] = {}
    kinds = {kind.NAME: _event(kind, parts) for kind in typing.get_args(Event)}
    return {
        "$schema": _DIALECT,
        "$id": SCHEMA,
        "title": "A line of sinchphone --json",
        "description": "One JSON object a line. seq has no gaps; an unknown value is null; durations end in _ms or _s. "
        "The last line is the only result.",
        "type": "object",
        "properties": _HEAD,
        "required": list(_HEAD),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds],
        "$defs": kinds | parts,
    }


def _event(kind: type[Any], parts: dict[str, Any]) -> dict[str, Any]:
    head = dict.fromkeys(_HEAD, True) | {"event": {"const": kind.NAME}}
    properties = head | _properties(kind, parts)
    return {"description": inspect.getdoc(kind), **_object(properties)}


def _properties(kind: type[Any], parts: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {one.name: rule_of(hints[one.name], parts) for one in fields(kind)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def rule_of(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """What a value of that type looks like. ``parts`` gathers the objects that are inside others."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        rules = [rule_of(each, parts) for each in inner if each is not type(None)]
        rule = rules[0] if len(rules) == 1 else {"type": [one["type"] for one in rules]}
        return _or_null(rule) if type(None) in inner else rule
    if origin is Annotated:
        return rule_of(inner[0], parts) | _bounds(inner[1])
    if origin is Literal:
        return {"type": "string", "enum": list(inner)}
    if origin is list:
        return {"type": "array", "items": rule_of(inner[0], parts)}
    if origin is dict:
        return {"type": "object", "additionalProperties": rule_of(inner[1], parts)}
    if is_dataclass(hint):
        return {"$ref": f"#/$defs/{_part(typing.cast(type[Any], hint), parts)}"}
    if issubclass(hint, StrEnum):
        return {"type": "string", "enum": [member.value for member in hint]}
    return {"type": _WORDS[hint]}


def _bounds(bounds: ValueBounds) -> dict[str, Any]:
    given = {"minimum": bounds.minimum, "maximum": bounds.maximum, "pattern": bounds.pattern, "enum": list(bounds.words) or None}
    return {name: value for name, value in given.items() if value is not None}


def _or_null(rule: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in rule:
        return {"anyOf": [rule, {"type": "null"}]}
    enum = {"enum": [*rule["enum"], None]} if "enum" in rule else {}
    several = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return rule | {"type": [*several, "null"]} | enum


def _part(kind: type[Any], parts: dict[str, Any]) -> str:
    name = _NAMES.get(kind) or "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).lstrip("_")
    if name not in parts:
        parts[name] = _object(_properties(kind, parts))
    return name
