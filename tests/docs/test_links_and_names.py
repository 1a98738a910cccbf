"""Every link leads somewhere, and every command, option and file that a page names is there."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sinchphone.cli.app import whole_command
from sinchphone.cli.commands.help import topics
from sinchphone.cli.control.schema import schema_text
from tests.docs.dockit.pages import DOCS, PAGES, README, ROOT, Link, blocks, links, named_commands

GROUP: Any = whole_command()
FOREIGN_OPTIONS = {"--dtmf-log-dest"}  # rtpengine's
COMMANDS = sorted({command for _, command in named_commands()})


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def _inline(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("link", list(links()), ids=str)
def test_a_link_leads_somewhere(link: Link) -> None:
    if re.match(r"https?://", link.target):
        return
    path, _, anchor = link.target.partition("#")
    file = (link.page.parent / path).resolve() if path else link.page
    assert file.exists()
    assert ROOT in file.parents
    if anchor:
        assert anchor in {_anchor(heading) for heading in re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)}
    if link.page.parent == DOCS and file.suffix == ".md":
        assert file.parent == DOCS, "a page in the package leads to pages in the package"
        assert link.text == f"`sinchphone help {file.stem}`", "on a terminal the text is all there is"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_but_the_readme_is_reached_by_a_link(page: Path) -> None:
    if page != README:
        assert any((link.page.parent / link.target.partition("#")[0]).resolve() == page for link in links() if link.page != page)


def test_every_topic_begins_with_a_heading_and_says_in_a_line_what_it_is_about() -> None:
    for topic in topics():
        heading, summary, *rest = (DOCS / f"{topic}.md").read_text().split("\n\n")
        assert re.fullmatch(r"# [^\n]+", heading)
        assert re.fullmatch(r"[A-Z`][^\n]{15,62}\.", summary)
        assert rest
    assert max(map(len, topics())) + 2 + 63 <= 80, "the list fits a terminal"


def _options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help", "-h"}


def _all_of(command: Any) -> list[Any]:
    return [command, *(one for inner in getattr(command, "commands", {}).values() for one in _all_of(inner))]


def _options_with_values(command: Any) -> set[str]:
    """Of a group that does something itself (``history --with WHO``)."""
    return {name for parameter in command.params if not getattr(parameter, "is_flag", True) for name in parameter.opts}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_named_exists_with_its_options(command: str) -> None:
    words = shlex.split(command.replace("\\|", "|"), comments=True)[1:]
    at, options = GROUP, _options(GROUP)
    for before, word in zip(["", *words], words, strict=False):
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in options
        elif hasattr(at, "commands") and before not in _options_with_values(at):
            assert all(name in at.commands for name in word.split("|")), f"{word} is no command"
            at = at.commands[word.split("|")[0]]
            options |= _options(at)


def test_an_option_that_is_named_alone_exists() -> None:
    known = set[str]().union(*map(_options, _all_of(GROUP))) | {"--install-completion"} | FOREIGN_OPTIONS
    for page in PAGES:
        if page.parent.name != ".github":
            named = {code.split()[0].partition("=")[0] for code in _inline(page) if re.match(r"--?[a-z]", code)}
            assert named <= known, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_that_is_named_exists(page: Path) -> None:
    rooms = {path.name for path in (ROOT / "sinchphone").iterdir() if path.is_dir()}
    for code in _inline(page):
        if re.fullmatch(r"[\w.]+/[\w./-]*", code) and code.split("/")[0] in {"tests", "sinchphone", ".github", ".ci", *rooms}:
            assert (ROOT / code).exists() or (ROOT / "sinchphone" / code).exists(), code


def test_a_topic_that_is_named_exists() -> None:
    known = {*topics(), *GROUP.commands}
    sources = (path for kind in ("*.md", "*.py") for path in (ROOT / "sinchphone").rglob(kind))
    named = {topic for path in (*sources, README) for topic in re.findall(r"`sinchphone help ([a-z-]+)", path.read_text())}
    assert len(named) > 10 and named <= known


def test_a_line_of_json_on_a_page_is_one_that_the_schema_allows() -> None:
    whole = json.loads(schema_text())
    events, commands = Draft202012Validator(whole), Draft202012Validator({"$ref": "#/$defs/control", "$defs": whole["$defs"]})
    for block in blocks():
        if block.language == "json":
            for line in block.text.splitlines():
                read = json.loads(line)
                (commands if "command" in read and "event" not in read else events).validate(read)
