"""The rules that tools check: style, types, imports; and what stands on the top level."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


def test_the_top_level_holds_what_the_design_names_and_nothing_else() -> None:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    visible = {name.split("/")[0] for name in done.stdout.split() if not name.startswith(".")}
    assert visible == {"pyproject.toml", "sinchphone", "tests", "README.md", "config.example.toml"}
