"""Who is in a room, for people: a line when somebody comes, goes or is muted, and in the status line who speaks."""

from collections.abc import Sequence
from typing import Final

from sinchphone.cli.terminal.output.events.peer import Member

NAMED: Final = 3  # who speak, in the status line


class RoomScreen:
    """Of one call."""

    def __init__(self) -> None:
        self._members: Sequence[Member] = ()
        self._count = 0

    def take(self, members: Sequence[Member], count: int) -> str:
        """What is to be said of the change: empty where only others speak."""
        before, self._members, self._count = [_standing(one) for one in self._members], members, count
        now = [_standing(one) for one in members]
        return "" if sorted(now) == sorted(before) else f"in the room: {_all(now, count)}"

    @property
    def status(self) -> str:
        """For the status line; empty outside of rooms."""
        if not self._count:
            return ""
        speak = [one.name for one in self._members if one.speaks and not one.you]
        here = f"{self._count} here"
        return f"{here}: {', '.join(speak[:NAMED])}" if speak else here


def _standing(one: Member) -> str:
    name = f"{one.name} (you)" if one.you else one.name
    return f"{name}, muted" if one.muted else f"{name}, on hold" if one.on_hold else name


def _all(names: Sequence[str], count: int) -> str:
    more = count - len(names)
    return "; ".join([*names, *([f"{more} more"] if more > 0 else [])])
