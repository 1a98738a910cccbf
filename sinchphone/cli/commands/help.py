"""``help TOPIC``: the pages of ``sinchphone/docs``, on a terminal as Rich sets them, elsewhere as the text that they are."""

import difflib
import os
import re
import sys
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sinchphone.cli.exits import ExitCode
from sinchphone.cli.terminal.flags.common import option_of_key
from sinchphone.cli.terminal.text.charset import in_ascii, takes_drawing
from sinchphone.errors import TopicError
from sinchphone.options import KEYS, Color
from sinchphone.quick_dataclass import quick_dataclass

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

MAX_WIDTH: Final = 110  # columns: longer lines of prose are hard to read
_COMMENT: Final = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)  # says how a block is tested
_RELATIVE_LINK: Final = re.compile(r"!?\[([^\]]+)\]\((?!https?://)[^)]+\)")  # leads nowhere on a terminal


# Rich's own have black behind code, which is hard to look at on a light terminal, and colours that can't be read on it.
_STYLES: Final = {
    "markdown.code": "bold",
    "markdown.code_block": "none",
    "markdown.block_quote": "italic",
    "markdown.list": "none",
    "markdown.item.number": "bold",
    "markdown.h2": "bold underline",
    "markdown.h3": "bold",
    "markdown.h4": "italic",
    "markdown.link": "underline",
    "markdown.link_url": "underline",
    "markdown.table.border": "none",
    "markdown.table.header": "bold",
}


@quick_dataclass(frozen=True, slots=True)
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
    plain: Annotated[bool, option_of_key("plain", None, "--plain")] = False,
) -> ExitCode:
    """Show the page about TOPIC: set for reading on a terminal, as Markdown in a pipe and with --plain. Without TOPIC, list them.

    The name of a command shows its --help.
    """
    if topic is None:
        _list_topics()
    elif topic in topics():
        _print(read_page(topic), Color(color or context.obj.get("color") or _color()), plain=plain or _is_plain(context))
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


def _color() -> Color:
    """As NO_COLOR, FORCE_COLOR and TERM say (no configuration is read for a page)."""
    return Color.NEVER if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else Color.AUTO


def _is_plain(context: typer.Context) -> bool:
    named = os.environ.get(KEYS["plain"].variable or "")
    return bool(context.obj.get("plain")) or bool(named and KEYS["plain"].read(named))


def _print(page: Page, color: Color, *, plain: bool) -> None:
    terminal = sys.stdout.isatty()
    if (color is Color.ALWAYS or terminal) and not plain:
        _render(page, color=color is not Color.NEVER)
    else:
        typer.echo(page.text.rstrip("\n"))


def _render(page: Page, *, color: bool) -> None:
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.syntax import ANSISyntaxTheme
    from rich.theme import Theme

    draws = takes_drawing(sys.stdout)

    class Ours(Console):
        """Draws boxes and rules with what can be shown."""

        @property
        def encoding(self) -> str:
            return "utf-8" if draws else "ascii"

    console = Ours(force_terminal=True, color_system="auto" if color else None, highlight=False, theme=Theme(_STYLES))
    text = _RELATIVE_LINK.sub(r"\1", page.text)
    with console.capture() as captured:
        page_set = Markdown(text, hyperlinks=False)
        page_set.code_theme = ANSISyntaxTheme({})  # type: ignore[assignment]  # Syntax takes one, and no colour of a theme suits all
        console.print(page_set, width=min(console.width, MAX_WIDTH))
    typer.echo(captured.get() if draws else in_ascii(captured.get()), nl=False, color=True)
