"""The architecture page describes the tree that there is."""

import re
import tomllib

from tests.docs.dockit.pages import DOCS, ROOT

PAGE = (DOCS / "architecture.md").read_text()
TREE = PAGE.split("```text\n")[1].split("```")[0]
PACKAGE = ROOT / "sinchphone"
FOLDERS = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}


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


def test_the_page_has_the_rooms_in_the_order_in_which_imports_go_down() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["sinchphone"])
    place = {name: number for number, layer in enumerate(layers) for name in layer.split(" | ")}
    listed = [name for line in TREE.splitlines() for name in re.findall(r"\b([a-z_]+)(?:/|\.py)", line) if not line.startswith(" ")]
    places = [place[name] for name in listed if name in place]
    assert places == sorted(places)
    assert set(place) - set(listed) == {"__main__"}


def test_the_glossary_has_each_word_once() -> None:
    glossary = PAGE.split("## Words")[1].split("\n## ")[0]
    words = [word for row in re.findall(r"^\| ([^|]+) \|", glossary, re.MULTILINE)[2:] for word in row.split(", ")]
    assert len(words) > 30
    assert len(words) == len(set(words))
