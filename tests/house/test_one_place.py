"""Each fact has one place: what the sources say twice, and where they end in silence."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.house.parsed_sources import PACKAGE, Sources, parsed_sources

#: two facts of one name and one value
UNLIKE: Final = frozenset({"TYPE_CHECKING"})
LONG_PATTERN: Final = 20  # characters: shorter ones say the same by chance
PRESSED: Final = frozenset({"key", "pressed"})
LONG_SENTENCE: Final = 30  # characters
LONG_BODY: Final = 3  # lines
OF_PYTHON: Final = frozenset({"os.name", "sys.platform"})


@pytest.fixture(scope="module")
def modules() -> Sources:
    """The package's texts and trees, by their paths in it."""
    return {path.relative_to(PACKAGE): source for path, source in parsed_sources().items()}


def several(found: Iterable[tuple[object, Path]]) -> dict[str, list[str]]:
    """What stands in more than one file, and where."""
    homes: dict[object, set[Path]] = {}
    for fact, path in found:
        homes.setdefault(fact, set()).add(path)
    return {str(fact): sorted(map(str, paths)) for fact, paths in homes.items() if len(paths) > 1}


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The constants of a module: names in capitals."""
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value) | ast.Assign(targets=[ast.Name(name)], value=value):
                if name.isupper():
                    yield name.strip("_"), value


def is_plain(value: ast.expr) -> bool:
    """Whether a value stands there as it is, and isn't made of other constants; a variable of types is none."""
    names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
    return not any(name.isupper() or name.startswith("TypeVar") for name in names)


def pattern(value: ast.expr) -> str | None:
    """The pattern of ``re.compile("...")``."""
    match value:
        case ast.Call(func=ast.Attribute(attr="compile"), args=[ast.Constant(str() | bytes() as text), *_]):
            return str(text)
    return None


def test_no_constant_stands_in_two_files(modules: Sources) -> None:
    """The same name with the same value: one is imported from the other, or two facts have names that tell them apart."""
    found = (
        (f"{name} = {ast.unparse(value)}", path)
        for path, (_, tree) in modules.items()
        for name, value in constants(tree)
        if name not in UNLIKE and is_plain(value)
    )
    assert several(found) == {}


def test_no_long_pattern_stands_in_two_files(modules: Sources) -> None:
    found = ((one, path) for path, (_, tree) in modules.items() for _, value in constants(tree) if (one := pattern(value)) is not None)
    assert several((one, path) for one, path in found if len(one) > LONG_PATTERN) == {}


def test_no_default_of_a_key_stands_in_two_options_classes(modules: Sources) -> None:
    """What an outer room's options and an inner one's both have is said by one of them."""
    found = (
        (f"{node.target.id} = {ast.unparse(node.value)}", path)
        for path, (_, tree) in modules.items()
        for kind in tree.body
        if isinstance(kind, ast.ClassDef) and kind.name.endswith(("Options", "Settings", "Limits"))
        for node in kind.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None and says_something(node.value)
    )
    assert several(found) == {}


def says_something(value: ast.expr) -> bool:
    """Whether a default is more than nothing, yes or no; of ``key(default, ...)`` only the default counts."""
    match value:
        case ast.Constant(None | bool() | "" | 0) | ast.Tuple(elts=[]):
            return False
        case ast.Call(func=ast.Name("field")):
            return False
    return is_plain(value)


def test_no_body_of_a_function_stands_in_two_files(modules: Sources) -> None:
    found = (
        (body, path)
        for path, (text, tree) in modules.items()
        for body in bodies(text.splitlines(), tree.body)
        if body.count("\n") + 1 >= LONG_BODY
    )
    assert several(found) == {}


def bodies(lines: list[str], statements: Iterable[ast.stmt]) -> Iterator[str]:
    """The texts of functions without their heads and docstrings, as they would stand at the margin."""
    for node in statements:
        if isinstance(node, ast.ClassDef):
            yield from bodies(lines, node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            rest = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            if rest:
                yield "\n".join(line[rest[0].col_offset :] for line in lines[rest[0].lineno - 1 : node.end_lineno])


def test_no_match_ends_in_silence(modules: Sources) -> None:
    """``case _: pass`` hides what comes later: the cases that need nothing are named, and ``assert_never`` follows. A key that somebody
    presses may mean nothing. That there is a last case at all is mypy's to see (exhaustive-match)."""
    silent = [
        f"{path}:{case.pattern.lineno}"
        for path, (text, tree) in modules.items()
        if "case _" in text
        for node in ast.walk(tree)
        if isinstance(node, ast.Match) and ast.unparse(node.subject) not in PRESSED
        for case in node.cases
        if isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None
        if all(isinstance(one, ast.Pass | ast.Continue) for one in case.body)
    ]
    assert silent == []


def test_the_command_line_compares_enums_and_not_their_words(modules: Sources) -> None:
    words = {word for _, tree in modules.values() for node in tree.body if isinstance(node, ast.ClassDef) for word in words_of(node)}
    spelt = [
        f"{path}:{line} {word}"
        for path, (_, tree) in modules.items()
        if path.parts[0] == "cli"
        for line, word in spelt_words(tree)
        if word in words
    ]
    assert spelt == []


def words_of(kind: ast.ClassDef) -> Iterator[str]:
    """The values of an enumeration of words."""
    if any(ast.unparse(base) in ("Enum", "StrEnum") for base in kind.bases):
        for node in kind.body:
            match node:
                case ast.Assign(value=ast.Constant(str(word))):
                    yield word


def spelt_words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The words that an attribute is compared with, by ``==``, ``in`` or ``match``."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=ast.Attribute() as left, comparators=[other]) if ast.unparse(left) not in OF_PYTHON:
                yield from (
                    (one.lineno, one.value) for one in ast.walk(other) if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )
            case ast.Match(subject=ast.Attribute(), cases=cases):
                for case in cases:
                    for one in ast.walk(case.pattern):
                        if isinstance(one, ast.MatchValue) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str):
                            yield one.lineno, one.value.value


@pytest.mark.parametrize(
    ("source", "silent"), [("match x:\n case 1: f()\n case _: pass", True), ("match x:\n case 1: f()\n case _: assert_never(x)", False)]
)
def test_the_rule_about_silence_sees_it(source: str, *, silent: bool) -> None:
    modules = {Path("x.py"): (source, ast.parse(source))}
    if silent:
        with pytest.raises(AssertionError):
            test_no_match_ends_in_silence(modules)
    else:
        test_no_match_ends_in_silence(modules)


def sentences(tree: ast.Module) -> Iterator[str]:
    """What errors say, and the hints of errors and warnings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            is_error = ast.unparse(node.func).endswith("Error")
            said = [*(node.args if is_error else ()), *(word.value for word in node.keywords if is_error or word.arg == "hint")]
            yield from (one.value for one in said if isinstance(one, ast.Constant) and isinstance(one.value, str))


def test_no_sentence_of_an_error_or_hint_stands_in_two_files(modules: Sources) -> None:
    """Whoever meets it finds the place that says it, and it is reworded once."""
    found = ((one, path) for path, (_, tree) in modules.items() for one in sentences(tree))
    assert several((one, path) for one, path in found if len(one) > LONG_SENTENCE) == {}
