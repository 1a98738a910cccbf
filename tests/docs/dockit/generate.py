"""Writes the parts of the pages that are made from the code: ``python tests/docs/dockit/generate.py``.

They stand between ``<!-- generated: NAME -->`` and ``<!-- end -->``; ``test_generated_parts.py`` compares.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[3]))  # run as a program

from sinchphone.cli import exits
from sinchphone.cli.control.schema import schema_text
from sinchphone.options import KEYS
from tests.docs.dockit.diagrams import call_machine, transactions
from tests.docs.dockit.pages import PAGES, with_regions

_HEAD = {"schema", "seq", "ts", "t", "event"}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = [list(head), *map(list, rows)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def exit_codes() -> str:
    """Those that ``--help`` prints."""
    return _table(("code", "meaning"), (line.split(maxsplit=1) for line in exits.help_text().splitlines()))


def sip_statuses() -> str:
    """Which statuses lead to which code."""
    statuses: dict[exits.ExitCode, list[int]] = defaultdict(list)
    for status, code in exits._FAILURES.items():
        statuses[code].append(status)
    rows = ((", ".join(map(str, found)), str(code.value), code.meaning) for code, found in statuses.items())
    return _table(("SIP status", "code", "meaning"), rows)


def events() -> str:
    """Every event of the schema with its fields."""
    definitions: dict[str, Any] = json.loads(schema_text())["$defs"]
    lines = []
    for name, definition in definitions.items():
        fields = [field for field in definition.get("properties", {}) if field not in _HEAD]
        if "event" not in definition.get("properties", {}):
            continue
        meaning = " ".join(str(definition.get("description", "")).replace("``", "`").replace("`None`", "`null`").split())
        lines.append(f"* `{name}`: {meaning} Fields: " + ", ".join(f"`{field}`" for field in fields) + ".")
    return "\n".join(lines)


def keys() -> str:
    """Every key of the configuration, a table for each section."""
    sections: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for key in KEYS.values():
        section, _, name = key.name.rpartition(".")
        mark = "" if not key.chosen_only else " †"
        shown = f"`{json.dumps(key.example)}`" if key.example != "" else "not set"
        also = f" (`{key.variable}`)" if key.variable else ""
        sections[section].append((f"`{name}`{mark}", shown, key.help + also))
    parts = []
    for section, rows in sections.items():
        title = f"### `[{section}]`" if section else "### At the top"
        parts.append(f"{title}\n\n" + _table(("key", "default", "meaning"), rows))
    return "\n\n".join(parts)


MAKERS: Final[dict[str, Callable[[], str]]] = {
    "call machine": call_machine,
    "transactions": transactions,
    "exit codes": exit_codes,
    "sip statuses": sip_statuses,
    "events": events,
    "keys": keys,
}


def main() -> None:
    """Write all of them."""
    made = {name: make() for name, make in MAKERS.items()}
    for page in PAGES:
        page.write_text(with_regions(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
