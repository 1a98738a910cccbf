"""The architecture page describes the tree that there is."""

import re

from dockit.pages import DOCS, ROOT

PAGE = (DOCS / "architecture.md").read_text()
TREE = PAGE.split("```text\n")[1].split("```")[0]
PACKAGE = ROOT / "sinchphone"
FOLDERS = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def _named() -> set[tuple[str, str]]:
    """The folders of the tree, each with the room at the left margin that it is in."""
    found, room = set(), ""
    for line in TREE.splitlines():
        if top := re.match(r"([a-z_]+)/", line):
            room = top[1]
        found |= {(room, inner) for inner in re.findall(r"(?<![\w/.])([a-z_]+)/", line)}
    return found


def test_every_room_on_the_page_exists() -> None:
    there = {(folder.parts[0], folder.name) for folder in FOLDERS if folder.parts}
    assert _named() - there == set()


def test_every_folder_of_the_package_is_on_the_page() -> None:
    assert {str(folder) for folder in FOLDERS if folder.parts and (folder.parts[0], folder.name) not in _named()} == set()


def test_every_file_at_the_top_of_the_package_is_on_the_page() -> None:
    files = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert files <= set(re.findall(r"\b[a-z_]+\.py\b", TREE))
