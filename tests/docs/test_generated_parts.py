"""The parts of pages that are made from the code are what the code makes of them today."""

import re
from pathlib import Path

import pytest

from sinchphone.cli.exits import ExitCode
from tests.docs.dockit.generate import MAKERS
from tests.docs.dockit.pages import DOCS, PAGES, regions

FOUND = [(page, name, text) for page in PAGES for name, text in regions(page.read_text()).items()]


@pytest.mark.parametrize(("page", "name", "text"), FOUND, ids=[f"{page.name}: {name}" for page, name, _ in FOUND])
def test_a_part_that_is_made_from_the_code_is_up_to_date(page: Path, name: str, text: str) -> None:
    assert text == MAKERS[name]() + "\n", "run: python tests/docs/dockit/generate.py"


def test_every_part_stands_on_one_page() -> None:
    assert sorted(name for _, name, _ in FOUND) == sorted(MAKERS)


def test_the_exit_codes_on_the_page_are_those_of_the_enum() -> None:
    table = regions((DOCS / "exit-codes.md").read_text())["exit codes"]
    codes = re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)
    assert len(codes) > 15
    assert all(ExitCode(int(code)).meaning == meaning for code, meaning in codes)  # type: ignore[call-arg]
