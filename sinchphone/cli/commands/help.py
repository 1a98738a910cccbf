"""``help TOPIC``: the pages of ``sinchphone/docs``, on a terminal as Rich sets them, elsewhere as the text that they are."""

import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import option_of_key
from sinchphone.errors import TopicError
from sinchphone.options import Color

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

MAX_WIDTH: Final = 110  # columns: longer lines of prose are hard to read
_COMMENT: Final = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)  # says how a block is tested
_RELATIVE_LINK: Final = re.compile(r"!?\[([^\]]+)\]\((?!https?://)[^)]+\)")  # leads nowhere on a terminal


@dataclass(frozen=True, slots=True)
class Page:
    """A topic's page, in Markdown: a heading, a paragraph that says in one line what it's about, and the rest."""

    topic: str
    text: str

    @property
    def summary(self) -> str:
        """What it's about."""
        return self.text.split("\n\n")[1].replace("`", "").rstrip(".")


def add_to(app: typer.Typer, name: str) -> None:
    """Add the command."""
    app.command(name)(show)


def topics() -> list[str]:
    """The names of all pages, sorted."""
    return sorted(file.name.removesuffix(".md") for file in _folder().iterdir() if file.name.endswith(".md"))


def read_page(topic: str) -> Page:
    """The page of a topic. Raises TopicError."""
    if topic not in topics():
        raise _unknown(topic, topics())
    text = _folder().joinpath(f"{topic}.md").read_text(encoding="utf-8")
    return Page(topic, _COMMENT.sub("", text))


def _folder() -> "Traversable":
    return resources.files("sinchphone").joinpath("docs")


def _complete(incomplete: str) -> Iterator[tuple[str, str]]:
    return ((topic, read_page(topic).summary) for topic in topics() if topic.startswith(incomplete))


def show(
    context: typer.Context,
    topic: Annotated[str | None, typer.Argument(metavar="[TOPIC]", autocompletion=_complete, show_default=False)] = None,
    color: Annotated[str | None, option_of_key("color", "WHEN")] = None,
) -> ExitCode:
    """Show the page about TOPIC: set for reading on a terminal, as plain Markdown in a pipe. Without TOPIC, list them.

    The name of a command shows its --help.
    """
    if topic is None:
        _list_topics()
    elif topic in topics():
        _print(read_page(topic), Color(color or context.obj.get("color") or Color.AUTO))
    else:
        typer.echo(_help_of_command(context, topic))
    return ExitCode.OK


def _list_topics() -> None:
    width = max(map(len, topics()))
    for topic in topics():
        typer.echo(f"{topic:<{width}}  {read_page(topic).summary}")


def _help_of_command(context: typer.Context, name: str) -> str:
    parent = context.parent
    assert parent is not None, "help is a command of the application"
    group: Any = parent.command
    command = group.get_command(parent, name)
    if command is None:
        raise _unknown(name, [*topics(), *group.list_commands(parent)])
    return str(type(context)(command, info_name=name, parent=parent).get_help())


def _unknown(word: str, known: list[str]) -> TopicError:
    near = difflib.get_close_matches(word.lower(), known, 1, cutoff=0.5)
    meant = f"did you mean {near[0]}? " if near else ""
    return TopicError(f'there is no topic "{word}"', hint=f"{meant}sinchphone help lists the topics")


def _print(page: Page, color: Color) -> None:
    terminal = sys.stdout.isatty()
    if color is Color.ALWAYS or terminal:
        _render(page, color=color is not Color.NEVER)
    else:
        typer.echo(page.text.rstrip("\n"))


def _render(page: Page, *, color: bool) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(force_terminal=True, color_system="auto" if color else None, highlight=False)
    text = _RELATIVE_LINK.sub(r"\1", page.text)
    console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False), width=min(console.width, MAX_WIDTH))
