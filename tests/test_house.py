"""The house rules that machines can check: style, types, imports, sizes, and that no secret of this machine is in it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "sinchphone").rglob("*.py"))
MAX_LINES = 500
MAX_FUNCTION_LINES = 60


@pytest.mark.timeout(600)  # in the background of a whole run, mypy has what others leave
@pytest.mark.parametrize(
    "tool",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["importlinter.cli", "lint_imports_command"],
    ],
    ids=["lint", "format", "types", "imports"],
)
def test_the_code_keeps_the_rules(tool: list[str]) -> None:
    if tool[0] == "importlinter.cli":
        command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    else:
        command = [sys.executable, "-m", *tool]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_file_and_no_function_is_too_long() -> None:
    long = [str(path) for path in SOURCES if path.read_text().count("\n") > MAX_LINES]
    for path in SOURCES:
        lengths = {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions_of(path)}
        long += [f"{path}: {name}" for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES]
    assert not long


def test_tasks_are_made_by_groups_and_by_the_one_function_that_keeps_them() -> None:
    """Beside ``asyncio.create_task``, which ruff bans: that of a loop."""
    loose = [
        f"{path}:{node.lineno}"
        for path in SOURCES
        if path != ROOT / "sinchphone" / "tasks.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "create_task" and not ast.unparse(node.value).endswith("group")
    ]
    loose += [
        f"{path}:{node.lineno}"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "create_task" and ast.unparse(node.value).endswith(("loop", "loop()"))
    ]
    assert not loose


def test_the_top_level_holds_what_the_design_names_and_nothing_else() -> None:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    visible = {name.split("/")[0] for name in done.stdout.split() if not name.startswith(".")}
    assert visible == {"pyproject.toml", "sinchphone", "tests", "README.md", "config.example.toml"}


def public_members(node: ast.ClassDef) -> set[str]:
    """What a class defines itself: methods, fields, and what its methods keep in ``self``."""
    defined = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    fields = {each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)}
    kept = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)}
    return {name for name in defined | fields | kept if not name.startswith("_")}


def test_no_class_name_stands_in_two_files_unless_one_implements_the_other() -> None:
    """The events on standard output have the names of the engine's and the sound's events that they tell."""
    homes: dict[str, list[tuple[str, ast.ClassDef]]] = {}
    output = ROOT / "sinchphone" / "cli" / "terminal" / "output"
    told = (output / "events" / "events.py", output / "results.py", output / "listings.py")
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and path not in told:
                homes.setdefault(node.name, []).append((str(path), node))
    doubled = {name: [path for path, _ in found] for name, found in homes.items() if len(found) > 1 and not _one_thing(found)}
    assert doubled == {}


def _one_thing(found: list[tuple[str, ast.ClassDef]]) -> bool:
    """Whether one of these is a protocol and all others have what it asks for."""
    protocols = [node for _, node in found if any(ast.unparse(base) == "Protocol" for base in node.bases)]
    others = [node for _, node in found if node not in protocols]
    return len(protocols) == 1 and all(public_members(protocols[0]) <= public_members(node) for node in others)


def test_only_one_file_writes_lines_of_session_descriptions() -> None:
    """WebRTC, RTP and the relays name what they say; how a line looks stands in ``protocol/sdp.py``."""
    for path in SOURCES:
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        written = [one for one in constants if isinstance(one, str) and re.match(r"[amco]=(IN |[a-z-]+[: ])", one)]
        assert not written, f"{path} writes {written}"
