"""A group of commands that are imported when they run: ``--help`` and the completion of a name read a table."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, ClassVar

import typer
import typer.core
import typer.main

from sinchphone.cli.terminal.flags.everywhere import complete_command
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Planned:
    """A command that isn't imported yet: the module whose ``add_to(app, name)`` adds it, and what it does, in a line."""

    module: str
    words: str


class _LazyCommands(MutableMapping[str, Any]):
    """Commands by name, each imported when somebody asks for it."""

    def __init__(self, planned: Mapping[str, Planned], complete: Callable[[str, Any], Any]) -> None:
        self._planned, self._complete = planned, complete
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = self._complete(name, _load(name, self._planned[name].module))
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._planned

    def __iter__(self) -> Iterator[str]:
        return iter(self._planned)

    def __len__(self) -> int:
        return len(self._planned)


def _load(name: str, module: str) -> Any:
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    add_to: Callable[[typer.Typer, str], None] = import_module(module).add_to
    add_to(app, name)
    return typer.main.get_group(app).commands[name]


class CommandGroup(typer.core.TyperGroup):
    """The group; subclasses say what is planned."""

    planned: ClassVar[Mapping[str, Planned]]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.path = ""
        self.examples: Mapping[str, tuple[str, ...]] = {}
        self.commands = _LazyCommands(self.planned, self._complete)

    def _complete(self, name: str, command: Any) -> Any:
        return complete_command(command, f"{self.path} {name}".strip(), self.examples)

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the table."""
        return list(self.planned)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.words) for name, one in self.planned.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Names from the table, and the group's own options."""
        from typer._click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=one.words) for name, one in self.planned.items() if name.startswith(incomplete)]
        return [*names, *super(typer.core.TyperGroup, self).shell_complete(ctx, incomplete)]
