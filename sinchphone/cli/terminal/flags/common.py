"""Options that every command has; ``with_flags`` gives a command those of a dataclass."""

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sinchphone.cli.addressing import proposals
from sinchphone.cli.terminal.flags.everywhere import refuse_json
from sinchphone.config import Configuration, load
from sinchphone.options import KEYS
from sinchphone.quick_dataclass import quick_dataclass
from sinchphone.schema import member_of

Returned = TypeVar("Returned")


def check_key(name: str, value: Any) -> Any:
    """The value, where it fits the key ``name`` of the configuration. Raises BadParameter."""
    if value is not None:
        try:
            KEYS[name].read(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return value


def _as(name: str) -> Callable[[Any], Any]:
    """That check for an option."""

    def check(value: Any) -> Any:
        return check_key(name, value)

    return check


def option_of_key(name: str, metavar: str | None = None, *names: str, shows_default: bool = False, complete: Any = None) -> Any:
    """The option that sets the key ``name`` of the configuration, in the words of the key and checked as the key is. Without ``metavar``
    it takes no value."""
    known = KEYS[name]
    default = f"  [default: {known.example}]" if shows_default else ""
    words = f"{known.help[0].upper()}{known.help[1:]}.{default}"
    return typer.Option(*names, metavar=metavar, callback=_as(name), help=words, show_default=False, autocompletion=complete)


def option_of_words(kind: type[StrEnum], metavar: str, words: str, *, shows_default: bool = False) -> Any:
    """The option whose value is a member of ``kind``, which the command line names by its word."""
    read = member_of(kind)

    def parse(value: Any) -> Any:
        try:
            return read(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return typer.Option(metavar=metavar, parser=parse, help=words, show_default=shows_default)


def option_of_number(
    metavar: str, words: str, lowest: int, highest: int | None = None, *, whole: bool = False, shows_default: bool = False
) -> Any:
    """The option whose value is a number in these bounds, a ``whole`` one or any."""
    bounds = f"from {lowest} on" if highest is None else f"from {lowest} to {highest}"

    def parse(value: Any) -> Any:
        try:
            read = int(value) if whole else float(value)
        except ValueError:
            read = None
        if read is None or not lowest <= read <= (math.inf if highest is None else highest):  # nor NaN
            raise typer.BadParameter(f'"{value}" is no {"whole " if whole else ""}number {bounds}')
        return read

    said = f"{words}, {bounds}." if highest is not None else f"{words}."
    return typer.Option(metavar=metavar, parser=parse, help=said, show_default=shows_default)


@quick_dataclass(frozen=True, kw_only=True)
class CommonFlags:
    """Options of every command."""

    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=proposals.complete_profile,
            help="Take the keys of [profiles.NAME]; local and cloud always exist.",
        ),
    ] = None
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Read this configuration file in place of the usual ones.")] = None
    color: Annotated[str | None, option_of_key("color", "WHEN")] = None
    plain: Annotated[bool, option_of_key("plain", None, "--plain")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results, warnings and errors.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks, and what happens inside.")] = False

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {"profile": self.profile, "color": self.color, "plain": self.plain or None}

    def load(self, more: Mapping[str, Any] | None = None) -> Configuration:
        """The configuration with these options on top, and ``more`` that one command has. Raises ConfigError."""
        return load({**self.keys(), **(more or {})}, file=self.config)


@quick_dataclass(frozen=True, kw_only=True)
class JsonFlags(CommonFlags):
    """Options of commands that tell what happens."""

    json: Annotated[bool, option_of_key("json", None, "--json")] = False

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "json": self.json or None}


@quick_dataclass(frozen=True, kw_only=True)
class UserJsonFlags(JsonFlags):
    """Options of commands that need to know who, and tell what happens."""

    user: Annotated[str | None, option_of_key("user", "ME", complete=proposals.complete_account)] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "user": self.user}


@quick_dataclass(frozen=True, kw_only=True)
class UserFlags(CommonFlags):
    """Options of commands that only need to know who."""

    user: Annotated[
        str | None,
        typer.Option(
            metavar="ME",
            autocompletion=proposals.complete_account,
            callback=_as("user"),
            help="Whose; the login name in the local environment.",
        ),
    ] = None

    def keys(self) -> dict[str, Any]:
        """The configuration's keys that these options set."""
        return {**super().keys(), "user": self.user}


def with_flags(function: Callable[..., Returned]) -> Callable[..., Returned]:
    """``function``, whose parameter ``flags`` is one of the dataclasses above, as Typer wants it: with one parameter an option.

    What was given before the command's name (``sinchphone --profile work call …``) counts where the command says nothing; a group keeps
    what it was given for the command after it.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    kind = hints.pop("flags")
    own = {name: parameter for name, parameter in inspect.signature(function).parameters.items() if name != "flags"}
    options = typing.get_type_hints(kind, include_extras=True)
    names = [field.name for field in dataclasses.fields(kind)]
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}

    @functools.wraps(function)
    def command(**given: Any) -> Returned:
        context: typer.Context = given["context"]
        before: dict[str, Any] = context.obj if isinstance(context.obj, dict) else {}
        values = {name: given.pop(name) for name in names}
        values |= {name: before[name] for name in names if name in before and values[name] == defaults[name]}
        if context.invoked_subcommand is not None:
            context.obj = before | {name: value for name, value in values.items() if value != defaults[name]}
        elif before.get("json") and "json" not in names:
            refuse_json(context)
        return function(**given, flags=kind(**values))

    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(name, keyword, default=defaults[name], annotation=options[name]) for name in names]
    kept = [parameter.replace(kind=keyword, annotation=hints.get(name, parameter.annotation)) for name, parameter in own.items()]
    command.__signature__ = inspect.Signature([*kept, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*kept, *added]}
    return command


def overview(context: typer.Context) -> None:
    """What a group says when no command of it is asked for: its help."""
    if context.invoked_subcommand is None:
        if (context.obj or {}).get("json"):
            refuse_json(context)
        typer.echo(context.get_help())
