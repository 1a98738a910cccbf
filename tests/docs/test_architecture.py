"""The architecture page describes the tree that there is."""

import re

from dockit.pages import DOCS, ROOT

PAGE = (DOCS / "architecture.md").read_text()
TREE = PAGE.split("```text\n")[1].split("```")[0]
PACKAGE = ROOT / "sinchphone"
ROOMS = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.suffix in (".py", ".md", ".json")}


def _named() -> set[str]:
    """The folders of the tree: at the left margin a room, indented one or more inside it."""
    found, room = set(), ""
    for line in TREE.splitlines():
        if top := re.match(r"([a-z_]+)/", line):
            room = top[1]
            found.add(room)
        elif line.startswith("  "):
            found |= {f"{room}/{inner}" for inner in re.findall(r"(?:^| {2,})([a-z_]+)/ {2,}", line + "  ")}
    return found


def test_every_room_on_the_page_exists() -> None:
    assert {name for name in _named() if not (PACKAGE / name).is_dir()} == set()


def test_every_folder_of_the_package_is_on_the_page() -> None:
    assert {str(room) for room in ROOMS if str(room) != "."} - _named() == set()


def test_every_file_at_the_top_of_the_package_is_on_the_page() -> None:
    files = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert files <= set(re.findall(r"\b[a-z_]+\.py\b", TREE))
