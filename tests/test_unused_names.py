"""Public names of the package that nothing but tests uses: nobody needs them, so they go."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import sinchphone

PACKAGE: Final = Path(__file__).parent.parent / "sinchphone"
REGISTERED: Final = {"callback", "command", "fixture", "middleware", "setter"}  # decorators that hand a function to a framework
#: what Python programs are offered, on the classes that ``sinchphone`` exports, beside what the command line uses; and what tests are
OFFERED: Final = frozenset(
    {
        "accepting_ms",
        "add_listener",
        "change_password",
        "create_user",
        "expect_call",
        "expect_message",
        "expect_text",
        "had_audio",
        "notifying_ms",
        "push_counts",
        "relay_push_notification",
        "remove_listener",
        "ringing_ms",
    }
)
#: what libraries call by name: asyncio's protocols, logging's handlers, aioice's connections, Typer's groups, pytest's plugins, Prometheus'
#: collectors
HOOKS: Final[frozenset[str]] = frozenset(
    {
        "collect",
        "connection_lost",
        "connection_made",
        "data_received",
        "datagram_received",
        "eof_received",
        "error_received",
        "pause_writing",
        "resume_writing",
        "emit",
        "format_commands",
        "format_completion",
        "pytest_addoption",
        "protocol_lost",
    }
)

ANNOTATION: Final = re.compile(r"[A-Z]\w*(\[[\w\[\], .|]*\])?( \| [A-Z]\w*)*|[a-z_.]+\[[\w\[\], .|]+\]")  # in quotes: what is defined later

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def definitions(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and constants of a module, and the methods of its classes."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not is_registered(node):
                yield node.name
            case ast.ClassDef():
                yield node.name
                yield from (each.name for each in node.body if isinstance(each, Function) and not is_registered(each))
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                yield name


def is_registered(function: Function) -> bool:
    """Whether a decorator gives the function to somebody who calls it without its name."""
    calls = (each.func if isinstance(each, ast.Call) else each for each in function.decorator_list)
    return any(isinstance(each, ast.Attribute) and each.attr in REGISTERED for each in calls)


def uses(tree: ast.Module) -> Iterator[str]:
    """Every name that a module reads: variables, attributes, keywords of patterns; an import alone is none."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(name, ctx=ast.Load()) | ast.Attribute(attr=name):
                yield name
            case ast.Constant(str(text)) if ANNOTATION.fullmatch(text):
                yield from re.findall(r"\w+", text)


def test_every_public_name_is_used_by_more_than_tests() -> None:
    trees = {path: ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
    used = Counter(name for tree in trees.values() for name in uses(tree))
    allowed = OFFERED | HOOKS | set(sinchphone.__all__)
    unused = sorted(
        f"{path.relative_to(PACKAGE)}: {name}"
        for path, tree in trees.items()
        for name in set(definitions(tree))
        if not name.startswith("_") and name not in allowed and not used[name]
    )
    assert not unused, "\n".join(unused)
