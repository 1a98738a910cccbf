"""``import sinchphone`` offers everything that a program needs, and loads nothing for it."""

import ast
import importlib.metadata
import inspect
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Final, get_args

import pytest

import sinchphone
from sinchphone import errors
from sinchphone.engine.calls.call_events import CallEvent
from sinchphone.engine.events.events import ClientEvent

SOURCE: Final = Path(sinchphone.__file__)
OF_THE_COMMAND_LINE: Final = {"ControlError", "TopicError", "UsageError", "OutputError"}  # no Python program meets them
NARROWER: Final = {"NoPortError", "NoServerError"}  # of a MediaError and a NetworkError; the gateway's own business


def loaded_by(code: str) -> set[str]:
    """The modules that running it loads, in a process of its own."""
    program = f"import importlib, sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import sinchphone", "import sinchphone; dir(sinchphone)", "import sinchphone; sinchphone.__doc__"])
def test_importing_it_loads_nothing(code: str) -> None:
    assert loaded_by(code) == {"sinchphone"}


def test_an_error_is_had_without_what_calls_need() -> None:
    assert not loaded_by("from sinchphone import NetworkError") & {"asyncio", "aiohttp", "numpy", "sinchphone.engine"}


@pytest.mark.parametrize("name", sinchphone.__all__)
def test_every_name_that_is_offered_is_there(name: str) -> None:
    assert getattr(sinchphone, name) is not None


def test_type_checkers_are_told_of_the_names_that_are_loaded_and_of_no_others() -> None:
    (checked,) = (node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    told = {alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told - {"Any"} == set(sinchphone.__all__) - {"__version__"}


def test_dir_shows_what_is_offered_and_nothing_of_how() -> None:
    shown = set(dir(sinchphone))
    assert shown >= set(sinchphone.__all__)
    assert {name for name in shown if not name.startswith("__")} == set(sinchphone.__all__) - {"__version__"}
    assert all(hasattr(sinchphone, name) for name in shown)


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nobody'"):
        _ = sinchphone.Nobody  # type: ignore[attr-defined,unused-ignore]
    with pytest.raises(ImportError, match="cannot import name 'Nobody'"):
        exec("from sinchphone import Nobody", {})


def test_the_version_is_that_of_the_installed_package() -> None:
    assert sinchphone.__version__ == importlib.metadata.version("sinchphone")


def members(union: Any) -> set[type]:
    """The classes of a union, through the unions in it."""
    return {each for part in get_args(union) for each in (members(part) if isinstance(part, types.UnionType) else {part})}


@pytest.mark.parametrize("union", [CallEvent, ClientEvent], ids=["call", "client"])
def test_every_event_can_be_named_by_its_reader(union: Any) -> None:
    for event in members(union):
        assert getattr(sinchphone, event.__name__) is event


def test_every_error_can_be_caught_by_name() -> None:
    ours = {name for name, each in vars(errors).items() if inspect.isclass(each) and issubclass(each, errors.SinchphoneError)}
    assert ours - OF_THE_COMMAND_LINE - NARROWER <= set(sinchphone.__all__)
