"""What the sources keep to: sizes, tasks, one name for one thing."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from tests.house.parsed_sources import PACKAGE, parsed_sources

TESTS: Final = Path(__file__).parents[1]
MAX_LINES: Final = 500
MAX_FUNCTION_LINES: Final = 60

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


Trees: TypeAlias = dict[Path, ast.Module]


@pytest.fixture(scope="module")
def trees() -> Trees:
    """The package's files: parsed once, since that takes longer than all that is looked at."""
    return {path: tree for path, (_, tree) in parsed_sources().items()}


def functions_in(statements: Sequence[ast.AST]) -> Iterator[Function]:
    """The functions that are defined there, and those in them: without looking into expressions, which takes most of the time."""
    for node in statements:
        if isinstance(node, Function):
            yield node
        if not isinstance(node, ast.expr):
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from functions_in(getattr(node, name, ()))


def test_no_file_and_no_function_is_too_long(trees: Trees) -> None:
    long = [str(path) for path in trees if path.read_text().count("\n") > MAX_LINES]
    for path, tree in trees.items():
        lengths = {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions_in(tree.body)}
        long += [f"{path}: {name}" for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES]
    assert not long


def loose_tasks(path: Path, *, owner: str) -> list[str]:
    """Where ``create_task`` of something is called whose name is no ``owner``, a pattern. What doesn't have the word isn't parsed."""
    text = path.read_text()
    if "create_task" not in text:
        return []
    made = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute) and node.attr == "create_task")
    return [f"{path}:{node.lineno}" for node in made if not re.search(owner, ast.unparse(node.value))]


def test_tasks_are_made_by_groups_and_by_the_one_function_that_keeps_them() -> None:
    """Beside ``asyncio.create_task``, which ruff bans: that of a loop."""
    loose = [place for path in PACKAGE.rglob("*.py") if path != PACKAGE / "tasks.py" for place in loose_tasks(path, owner="group$")]
    loose += [place for path in TESTS.rglob("*.py") for place in loose_tasks(path, owner=r"(?<!loop)(?<!loop\(\))$")]
    assert not loose


def functions_kept(tree: ast.Module, names: re.Pattern[str]) -> Iterator[str]:
    """Attributes that are declared to keep a function, by one of these types: fields of classes, and what methods keep in ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute) and names.search(ast.unparse(node.annotation)):
            yield node.target.attr
        elif isinstance(node, ast.ClassDef):
            declared = (each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name))
            yield from (ast.unparse(each.target) for each in declared if names.search(ast.unparse(each.annotation)))


def types_of_functions(tree: ast.Module) -> Iterator[str]:
    """Names of a module for a type of functions."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value) | ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value):
                if isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Callable":
                    yield name


def set_from_outside(tree: ast.Module) -> Iterator[tuple[ast.Attribute, ast.expr]]:
    """Attributes of others that are assigned to, and what."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for each in node.targets:
                if isinstance(each, ast.Attribute) and ast.unparse(each.value) not in {"self", "cls"}:
                    yield each, node.value


def methods_in(tree: ast.Module, _: re.Pattern[str]) -> Iterator[str]:
    """The names of methods that are no properties."""
    for each in tree.body:
        for method in each.body if isinstance(each, ast.ClassDef) else ():
            if isinstance(method, Function) and not method.decorator_list and not method.name.startswith("__"):
                yield method.name


def test_no_object_is_given_a_function_by_assignment_from_outside(trees: Trees) -> None:
    """It has what it calls when it is made, or takes it by a method of its own; nothing overwrites another object's method. Expat's parser
    is told its handlers by assignment only."""
    types = re.compile(r"\b(Callable|" + "|".join({name for tree in trees.values() for name in types_of_functions(tree)}) + r")\b")
    kept = {name for tree in trees.values() for name in functions_kept(tree, types)}
    methods, fields = ({name for tree in trees.values() for name in of(tree, types)} for of in (methods_in, fields_in))
    given = [
        f"{path}:{target.lineno}: {ast.unparse(target)}"
        for path, tree in trees.items()
        for target, value in set_from_outside(tree)
        if target.attr in (kept | methods) - fields or (_is_function(value, methods - fields) and not target.attr.endswith("Handler"))
    ]
    assert not given


def _is_function(value: ast.expr, methods: set[str]) -> bool:
    return isinstance(value, ast.Lambda) or (isinstance(value, ast.Attribute) and value.attr in methods)


def fields_in(tree: ast.Module, names: re.Pattern[str]) -> Iterator[str]:
    """What keeps no function: fields, attributes and properties."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name | ast.Attribute)
            and not names.search(ast.unparse(node.annotation))
        ):
            yield node.target.id if isinstance(node.target, ast.Name) else node.target.attr
        elif isinstance(node, ast.Assign):
            yield from (each.attr for each in node.targets if isinstance(each, ast.Attribute) and ast.unparse(each.value) == "self")


def public_members(node: ast.ClassDef) -> set[str]:
    """What a class defines itself: methods, fields, and what its methods keep in ``self``."""
    defined = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    fields = {each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)}
    kept = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)}
    return {name for name in defined | fields | kept if not name.startswith("_")}


def test_no_class_name_stands_in_two_files_unless_one_implements_the_other(trees: Trees) -> None:
    """Lines on standard output that tell an event of the engine or of sound are called as that is, and ``Told``."""
    homes: dict[str, list[tuple[str, ast.ClassDef]]] = {}
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append((str(path), node))
    doubled = {name: [path for path, _ in found] for name, found in homes.items() if len(found) > 1 and not _one_thing(found)}
    assert doubled == {}


def _one_thing(found: list[tuple[str, ast.ClassDef]]) -> bool:
    """Whether one of these is a protocol and all others have what it asks for."""
    protocols = [node for _, node in found if any(ast.unparse(base) == "Protocol" for base in node.bases)]
    others = [node for _, node in found if node not in protocols]
    return len(protocols) == 1 and all(public_members(protocols[0]) <= public_members(node) for node in others)


def test_only_one_file_writes_lines_of_session_descriptions() -> None:
    """WebRTC, RTP and the relays name what they say; how a line looks stands in ``protocol/sdp/session_description.py``."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if re.search(r"[\"'][amco]=", text):
            constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
            written = [one for one in constants if isinstance(one, str) and re.match(r"[amco]=(IN |[a-z-]+[: ])", one)]
            assert not written, f"{path} writes {written}"
