"""No name of the package that nothing but tests uses.

A module's names are told apart by their modules: who uses one has imported it, or the module. Of methods only the name is known; a
variable of that name doesn't count, nor does a method that passes on to one of the same name.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import sinchphone
from tests.house.parsed_sources import PACKAGE, parsed_sources

REGISTERED: Final = {"callback", "command", "fixture", "middleware", "setter"}  # decorators that hand a function to a framework
#: what Python programs are offered, on the classes that ``sinchphone`` exports, beside what the command line uses; and what tests are
OFFERED: Final = frozenset(
    {
        "accepting_ms",
        "add_fault",
        "add_listener",
        "change_password",
        "clear_faults",
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
        "silence",
        "speech",
        "undecodable",
        "verification",
    }
)
#: what libraries call by name: asyncio's protocols, logging's handlers, aioice's connections, Typer's groups, pytest's plugins, Prometheus'
#: collectors, aiohttp's answers; and what the command line calls in the modules that it is told the names of
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
        "add_to",
        "check_complete",
        "get_completion_args",
        "parse_args",
        "request_received",
        "resolve_command",
        "send_stun",
        "shell_complete",
        "write_eof",
    }
)

ANNOTATION: Final = re.compile(r"[A-Z]\w*(\[[\w\[\], .|]*\])?( \| [A-Z]\w*)*|[a-z_.]+\[[\w\[\], .|]+\]")  # in quotes: what is defined later

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """One file: what it defines, what it imports (local name: module and name there), and what it says."""

    name: str
    text: str
    tree: ast.Module
    defined: set[str] = field(default_factory=set)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.defined.update(definitions(self.tree))
        for node in statements(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                self.imported.update({each.asname or each.name: (node.module, each.name) for each in node.names})


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All that are in there; without looking into expressions, which takes most of the time."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, name, None)
        for each in inner if isinstance(inner, list) else ():
            yield each
            yield from statements(each)


def definitions(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and constants of a module."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not is_registered(node):
                yield node.name
            case ast.ClassDef():
                yield node.name
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                yield name


def methods(tree: ast.Module) -> Iterator[str]:
    """The methods and properties of a module's classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from (each.name for each in node.body if isinstance(each, Function) and not is_registered(each))


def is_registered(function: Function) -> bool:
    """Whether a decorator gives the function to somebody who calls it without its name."""
    calls = (each.func if isinstance(each, ast.Call) else each for each in function.decorator_list)
    return any(isinstance(each, ast.Attribute) and each.attr in REGISTERED for each in calls)


class Uses:
    """What the modules use: ``names`` of modules, and ``attributes``."""

    def __init__(self, modules: list[Module]) -> None:
        self.names: set[tuple[str, str]] = set()
        self.attributes: set[str] = set()
        self._modules = {each.name: each for each in modules}
        self._loose: list[tuple[str, str]] = []  # of an attribute: it, and the text of the module
        for module in modules:
            self._read(module.tree, module, method="")

    def has(self, module: Module, name: str) -> bool:
        """Whether somebody uses it. Modules that are imported when they are needed are known by their names."""
        if (module.name, name) in self.names:
            return True
        last = module.name.rpartition(".")[2]
        return any(name == attribute and re.search(rf"\b{last}\b", text) for attribute, text in self._loose)

    def _read(self, node: ast.AST, module: Module, method: str) -> None:
        match node:
            case ast.Name(name, ctx=ast.Load()):
                self._use(module, name)
            case ast.Attribute(value, attr, ctx=ast.Load()):
                if attr != method:
                    self.attributes.add(attr)
                if not (isinstance(value, ast.Name) and value.id == "self"):
                    self._loose_use(value, attr, module)
            case ast.MatchClass(kwd_attrs=names):
                self.attributes.update(names)
            case ast.Constant(str(text)) if ANNOTATION.fullmatch(text):
                for word in re.findall(r"\w+", text):
                    self._use(module, word)
                    self.attributes.add(word)
        for child in ast.iter_child_nodes(node):
            self._read(child, module, child.name if isinstance(node, ast.ClassDef) and isinstance(child, Function) else method)

    def _loose_use(self, value: ast.expr, attr: str, module: Module) -> None:
        """Of a module, or of something else that has it."""
        if isinstance(value, ast.Name) and value.id in module.imported:
            whole = ".".join(module.imported[value.id])
            if whole in self._modules:
                self._use(self._modules[whole], attr)
        elif not (isinstance(value, ast.Name) and value.id in module.defined):
            self._loose.append((attr, module.text))

    def _use(self, module: Module, name: str) -> None:
        """Note where it is defined: names are imported from those that import them, too."""
        followed = set()
        while (module.name, name) not in followed:
            followed.add((module.name, name))
            if name in module.defined:
                self.names.add((module.name, name))
            elif name in module.imported and module.imported[name][0] in self._modules:
                above, name = module.imported[name]
                module = self._modules[above]


def modules_of(folder: Path) -> list[Module]:
    """A package's files."""
    parsed = (
        parsed_sources() if folder == PACKAGE else {path: (path.read_text(), ast.parse(path.read_text())) for path in folder.rglob("*.py")}
    )
    names = {path: ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__") for path in parsed}
    return [Module(names[path], text, tree) for path, (text, tree) in sorted(parsed.items())]


def unused(modules: list[Module], allowed: frozenset[str]) -> list[str]:
    """The public names of modules and classes that nobody uses."""
    uses = Uses(modules)
    return [
        *(
            f"{each.name}: {name}"
            for each in modules
            for name in sorted(each.defined)
            if is_public(name, allowed) and not uses.has(each, name)
        ),
        *(
            f"{each.name}: .{name}"
            for each in modules
            for name in sorted(set(methods(each.tree)))
            if is_public(name, allowed) and name not in uses.attributes
        ),
    ]


def is_public(name: str, allowed: frozenset[str]) -> bool:
    """Whether somebody has to use it."""
    return not name.startswith("_") and name not in allowed


def test_every_public_name_is_used_by_more_than_tests() -> None:
    found = unused(modules_of(PACKAGE), OFFERED | HOOKS | frozenset(sinchphone.__all__))
    assert not found, "\n".join(found)


def test_what_is_called_alike_hides_nothing(tmp_path: Path) -> None:
    package = tmp_path / "made"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("NOBODY = 404\nUSED = 1\n")
    (package / "two.py").write_text("NOBODY = 405\n\ndef read():\n    return NOBODY\n")
    (package / "three.py").write_text(
        "from made.one import USED\nfrom made.two import read\nclass Inner:\n    @property\n    def left(self): return USED\n"
        "class Outer:\n    inner = Inner()\n    @property\n    def left(self): return self.inner.left\n"
        "def main(left):\n    return Outer(), read(), left\nmain(0)\n"
    )
    assert unused(modules_of(package), frozenset()) == ["made.one: NOBODY", "made.three: .left"]
