"""The pages in pieces: blocks with the directions that stand above them, links, and the commands that the text names.

A direction is an HTML comment on a line of its own above a block; several may stand there::

    <!-- not run: REASON -->       it isn't run; its sinchphone commands are still checked
    <!-- needs: PROGRAM… -->       it's skipped where one of these isn't installed
    <!-- runs with: FILE… -->      sound files that have to be there
    <!-- before: COMMAND -->       is run first
    <!-- beside: COMMAND -->       runs all the while
    <!-- after: COMMAND -->        has to succeed while the block runs, which is ended then
    <!-- inside: client -->        Python inside "async with Local(…) as local, SinchClient(…) as client"
    <!-- pytest -->                Python that is a test file
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "sinchphone" / "docs"
README = ROOT / "README.md"
PAGES = (README, *sorted(DOCS.glob("*.md")), *sorted((ROOT / ".github").glob("*.md")))

_BLOCK = re.compile(r"((?:^<!-- .*? -->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIRECTION = re.compile(r"^<!-- ([a-z ]+?)(?:: (.*))? -->$", re.MULTILINE)
_REGION = re.compile(r"^<!-- generated: ([a-z ]+) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]+)\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
DIRECTIONS = {"not run", "needs", "runs with", "before", "beside", "after", "inside", "pytest"}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code on a page."""

    page: Path
    line: int
    language: str
    text: str
    directions: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def all(self, name: str) -> list[str]:
        """What the directions of that name say."""
        return [value for direction, value in self.directions if direction == name]


@dataclass(frozen=True, slots=True)
class Link:
    """A link on a page."""

    page: Path
    text: str
    target: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.target}"


def blocks() -> Iterator[Block]:
    """Every block of every page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            directions = tuple((name, value) for name, value in _DIRECTION.findall(found[1]) if name not in ("generated", "end"))
            yield Block(page, text.count("\n", 0, found.start(2)) + 1, found[2], found[3], directions)


def links() -> Iterator[Link]:
    """Every link of every page, but for those inside code."""
    for page in PAGES:
        for found in _LINK.finditer(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
            yield Link(page, found[1], found[2])


def named_commands() -> Iterator[tuple[Path, str]]:
    """Every sinchphone command in a text or in a block, with its page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for inline in _INLINE.findall(_BLOCK.sub("", text)):
            if re.match(r"(\.venv/bin/)?sinchphone( |$)", inline):
                yield page, inline
    for block in blocks():
        if block.language in ("sh", "console"):
            for line in re.findall(r"(?:^|\$ |&& )((?:\.venv/bin/)?sinchphone .*?)(?= {2,}\$|\s*$|\||&)", block.text, re.MULTILINE):
                yield block.page, line


def regions(text: str) -> dict[str, str]:
    """The parts of a page that are made from the code, by name."""
    return {found[1]: found[2] for found in _REGION.finditer(text)}


def with_regions(text: str, made: dict[str, str]) -> str:
    """The page with those parts in place."""
    return _REGION.sub(lambda found: f"<!-- generated: {found[1]} -->\n{made[found[1]]}\n<!-- end -->", text)
