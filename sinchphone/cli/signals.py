"""The signals that end a run, ours from the first line on: none is lost, none kills us amid a result.

It imports nothing but what Python has in itself, since whatever is imported before ``take`` is a time in which a signal still has its
default effect. What a signal does is said by ``react`` and changes in one step as the run goes on::

    take -> noted only (modules are imported) -> raises Signalled (a command begins) -> an order to the loop -> the result is
    written: noted only -> leaves with the result's exit code -> ignored (Python takes itself apart)

A signal that is ignored when we start, as by ``nohup`` or in a shell's background, stays ignored.
"""

from __future__ import annotations

# What ``signal`` is made of: importing that takes ten times as long as everything else here.
import _signal  # type: ignore[import-not-found]
import atexit
import sys

TYPE_CHECKING = False  # as in ``typing``, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

INTERRUPT = int(_signal.SIGINT)
_ENDING = tuple(int(getattr(_signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(_signal, name))


class Signalled(BaseException):
    """A signal came while no loop runs. ``number``: which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Run:
    """What came, and what it does."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.noted: list[int] = []
        self.reaction: Callable[[int], None] | None = None

    def react(self, reaction: Callable[[int], None] | None) -> None:
        """From now on."""
        self.reaction = reaction


_run = _Run()


def take() -> bool:
    """From now on the signals that end a run are noted. Whether they weren't ours before."""
    if _run.taken:
        return False
    for number in _ENDING:
        if _signal.getsignal(number) is not _signal.SIG_IGN:
            _signal.signal(number, _receive)
            _run.taken.append(number)
    sys.unraisablehook = _report_unraisable
    atexit.register(_ignore)  # the first that is registered is the last that runs
    return True


def react(reaction: Callable[[int], None] | None) -> None:
    """Call ``reaction`` with the number of each signal from now on, amid whatever runs; ``None``: only note it. Those that were noted and
    had no effect yet have it now."""
    _run.react(reaction)
    while reaction is not None and _run.noted:
        reaction(_run.noted.pop(0))


def interrupt(number: int) -> None:
    """A reaction: raise Signalled; and note the signal, for there are places where Python swallows what is raised."""
    _run.noted.append(number)
    raise Signalled(number)


def forget() -> None:
    """What was noted has had its effect. Note what comes, and let go of modules that it kept from being imported as a whole."""
    _run.react(None)
    _run.noted.clear()
    _unload_orphans()


def release() -> None:
    """Give the signals their default effect again, for a program that runs ours inside it."""
    for number in _run.taken:
        _signal.signal(number, _signal.default_int_handler if number == INTERRUPT else _signal.SIG_DFL)
    _run.taken.clear()
    forget()


def _unload_orphans() -> None:
    """Where an import of a package is cut off, Python takes the package away again, but not the modules in it that were there by then: the
    next import of it finds them loaded, and doesn't make them attributes of the new package."""
    for name in sorted(sys.modules):  # packages come before what is in them
        package = name.rpartition(".")[0]
        if package and package not in sys.modules:
            del sys.modules[name]


def _receive(number: int, _: object) -> None:
    if _run.reaction is None:
        _run.noted.append(number)
    else:
        _run.reaction(number)


def _report_unraisable(unraisable: Any) -> None:
    """Say nothing of a signal that Python swallows (in a finalizer): it was noted and has its effect yet."""
    if not isinstance(unraisable.exc_value, Signalled):
        sys.__unraisablehook__(unraisable)


def _ignore() -> None:
    for number in _run.taken:
        _signal.signal(number, _signal.SIG_IGN)
