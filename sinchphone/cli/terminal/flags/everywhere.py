"""What every command and group takes, wherever it stands on the line: ``--version``, ``-q -v --json --debug --profile --config --color``;
the examples at the end of its help; and no option has an empty value.

::

    sinchphone -q history --json export …    each group keeps what it was given for what comes after it (``context.obj``)
"""

from collections.abc import Mapping
from typing import Any, Final

import typer
import typer.core

from sinchphone.cli.exits import ExitCode

# An option that takes a value or not; what isn't among a command's own options is added, and not shown in its help.
COMMON: Final[Mapping[str, tuple[tuple[str, ...], bool]]] = {
    "quiet": (("-q", "--quiet"), False),
    "verbose": (("-v", "--verbose"), False),
    "json": (("--json",), False),
    "debug": (("--debug",), False),
    "profile": (("--profile",), True),
    "config": (("--config",), True),
    "color": (("--color",), True),
    "plain": (("--plain",), False),
}


def complete_command(command: Any, path: str, examples: Mapping[str, tuple[str, ...]]) -> Any:
    """The command named ``path``, or the group with all that is below it, with what every command takes and with its examples."""
    own = {parameter.name for parameter in command.params}
    is_group = isinstance(command, typer.core.TyperGroup)
    command.params += [_option(name, is_group=is_group) for name in COMMON if name not in own]
    for parameter in command.params:
        if isinstance(parameter, typer.core.TyperOption) and not parameter.is_flag:
            _refuse_empty(parameter)
    if "version" not in own:
        command.params.append(_version_option())
    if path in examples:
        shown = "\n".join(f"  {line}" for line in examples[path])
        command.epilog = f"\b\nExamples:\n{shown}" + (f"\n\n{command.epilog}" if command.epilog else "")
    if is_group:
        command.path, command.examples = path, examples
        if not hasattr(command, "planned"):
            for name, one in command.commands.items():
                complete_command(one, f"{path} {name}".strip(), examples)
    return command


def _option(name: str, *, is_group: bool) -> Any:
    words, takes_value = COMMON[name]

    def keep(context: typer.Context, _: Any, value: Any) -> Any:
        if value:
            if name == "json" and not is_group:
                refuse_json(context)
            context.obj = {**(context.obj or {}), name: value}
        return value

    return typer.core.TyperOption(
        param_decls=[*words],
        is_flag=not takes_value,
        default=None if takes_value else False,
        expose_value=False,
        hidden=True,
        callback=keep,
    )


def _refuse_empty(option: Any) -> None:
    """An option that was given has a value: an empty one is a variable that somebody forgot to set (``--max-duration "$LIMIT"``)."""
    cast = option.type_cast_value

    def check_and_cast(context: typer.Context, value: Any) -> Any:
        if value == "" or (isinstance(value, list | tuple) and "" in value):
            raise typer.BadParameter("it is empty: give it a value, or leave it out", ctx=context, param=option)
        return cast(context, value)

    option.type_cast_value = check_and_cast


def refuse_json(context: typer.Context) -> None:
    """Of a command that has no events. Raises BadParameter."""
    raise typer.BadParameter(f"{context.command_path} prints no JSON", param_hint="--json")


def _version_option() -> Any:
    return typer.core.TyperOption(
        param_decls=["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Print the version and exit.",
    )


def _print_version(context: typer.Context, _: Any, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib.metadata import version

        typer.echo(f"sinchphone {version('sinchphone')}")
        raise typer.Exit(ExitCode.OK)
