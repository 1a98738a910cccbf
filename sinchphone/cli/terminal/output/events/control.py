"""How commands of ``--control`` are answered. Facts as those of ``events``, of which they are part."""

from typing import ClassVar

from sinchphone.cli.terminal.output.listings import Count
from sinchphone.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ControlDone:
    """A command was done. ``id`` is the request's own, ``call_id`` the call it met, ``message_id`` that of a message it sent."""

    NAME: ClassVar[str] = "control.done"
    id: str | int | None
    command: str
    call_id: str | None
    message_id: str | None = None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ControlFailed:
    """A command was not done, and why. ``command`` is ``None`` where a line is no command; ``call_id`` is the call that was named, or the
    only one, ``None`` where it isn't known which is meant."""

    NAME: ClassVar[str] = "control.failed"
    id: str | int | None
    command: str | None
    call_id: str | None
    reason: str
    hint: str | None


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class ControlClosed:
    """No more commands come, for that reason; the phone goes on. ``lines`` were read."""

    NAME: ClassVar[str] = "control.closed"
    reason: str
    lines: Count
