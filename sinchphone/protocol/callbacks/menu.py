"""One ``runMenu`` while it goes on: prompts out, digits in, and what came of it. Pure.

::

    start, digit, prompt_ended, expire (each with ``now``)  ->  MenuMachine  ->  PlayPrompt, StopPrompt, MenuFinished

A menu is done with a value (``return``), with digits (``sequence``), or without: after so many repeats ``timeout`` or ``invalidinput``.
"""

from enum import StrEnum
from typing import Final, TypeAlias

from sinchphone.protocol.callbacks.svaml import GoTo, Menu, Prompt, Return, RunMenu
from sinchphone.quick_dataclass import quick_dataclass

MAX_SEQUENCE_DIGITS: Final = 64  # where a menu names no number
_END: Final = "#"  # ends what is entered, unless an option goes on with it


class MenuResultType(StrEnum):
    """What came of a menu, as the Prompt Input Event calls it."""

    ERROR = "error"
    RETURN = "return"
    SEQUENCE = "sequence"
    TIMEOUT = "timeout"
    HANGUP = "hangup"
    INVALID_INPUT = "invalidinput"


@quick_dataclass(frozen=True, slots=True)
class MenuResult:
    """What came of a menu. ``digits_given``: whether anybody pressed anything for it."""

    menu: str
    type: MenuResultType
    value: str = ""
    digits_given: bool = False


@quick_dataclass(frozen=True, slots=True)
class PlayPrompt:
    """Say these, and tell when they were said."""

    prompts: tuple[Prompt, ...]


@quick_dataclass(frozen=True, slots=True)
class StopPrompt:
    """Be quiet at once: nobody waits for the end any more."""


@quick_dataclass(frozen=True, slots=True)
class MenuFinished:
    """It is done. The last effect."""

    result: MenuResult


MenuEffect: TypeAlias = PlayPrompt | StopPrompt | MenuFinished


class MenuMachine:
    """``start`` it first. ``deadline`` is when ``expire`` is due; ``unread`` are digits that were too many for it, for whatever follows."""

    def __init__(self, plan: RunMenu) -> None:
        self.deadline: float | None = None
        self.unread: list[str] = []
        self._plan = plan
        self._menu = plan.menus[plan.first]
        self._repeats = self._menu.repeats
        self._entered = ""
        self._prompting = self._finished = False

    @property
    def menu(self) -> str:
        """The menu that it is in."""
        return self._menu.id

    def start(self, now: float) -> list[MenuEffect]:
        """Begin."""
        return self._prompt(self._menu.prompt, now)

    def digit(self, digit: str, now: float) -> list[MenuEffect]:
        """The caller pressed a key. Where prompts are said to their end it counts afterwards."""
        self.unread.append(digit)
        if self._prompting and not self._plan.barge:
            return []
        return self._read(now)

    def prompt_ended(self, now: float) -> list[MenuEffect]:
        """The last prompt was said."""
        if not self._prompting:
            return []
        self._prompting = False
        self._wait(now)
        return self._read(now)

    def expire(self, now: float) -> list[MenuEffect]:
        """The deadline is over."""
        if self._finished or self.deadline is None or now < self.deadline:
            return []
        effects = self._complete(now) if self._entered else self._again(MenuResultType.TIMEOUT, "", now)
        return [*effects, *self._read(now)]

    def _read(self, now: float) -> list[MenuEffect]:
        """Take the digits that wait, as far as they're wanted."""
        effects: list[MenuEffect] = []
        while self.unread and not self._finished and (self._plan.barge or not self._prompting):
            if self._prompting:
                self._prompting = False
                effects.append(StopPrompt())
            effects += self._take(self.unread.pop(0), now)
        return effects

    def _take(self, digit: str, now: float) -> list[MenuEffect]:
        longer = self._entered + digit
        if digit == _END and not self._leads_on(longer):
            return self._complete(now)
        self._entered = longer
        self._wait(now)
        return self._complete(now) if self._is_complete() else []

    def _is_complete(self) -> bool:
        """Whether nothing more can follow: as many digits as are wanted, or an option that no other begins like."""
        if len(self._entered) >= self._most:
            return True
        if self._menu.max_digits is not None or not self._menu.options:
            return False
        leads_on = any(option.digits != self._entered and option.digits.startswith(self._entered) for option in self._menu.options)
        return not leads_on

    @property
    def _most(self) -> int:
        longest = max((len(option.digits) for option in self._menu.options), default=0)
        if self._menu.max_digits is None and not longest:
            return MAX_SEQUENCE_DIGITS
        return max(self._menu.max_digits or 0, longest)

    def _leads_on(self, entered: str) -> bool:
        return any(option.digits.startswith(entered) for option in self._menu.options)

    def _complete(self, now: float) -> list[MenuEffect]:
        entered, self._entered = self._entered, ""
        option = next((option for option in self._menu.options if option.digits == entered), None)
        if option is not None:
            match option.leads_to:
                case Return(value):
                    return self._finish(MenuResultType.RETURN, value, digits_given=True)
                case GoTo(name):
                    return self._enter(self._plan.menus[name], now)
        if entered and self._takes_sequences:
            return self._finish(MenuResultType.SEQUENCE, entered, digits_given=True)
        return self._again(MenuResultType.INVALID_INPUT, entered, now)

    @property
    def _takes_sequences(self) -> bool:
        """Whether digits that are no option are what is asked for: there are no options, or more digits may come than any option has."""
        longest = max((len(option.digits) for option in self._menu.options), default=0)
        return not longest or (self._menu.max_digits or 0) > longest

    def _enter(self, menu: Menu, now: float) -> list[MenuEffect]:
        self._menu, self._repeats = menu, menu.repeats
        return self._prompt(menu.prompt, now)

    def _again(self, kind: MenuResultType, value: str, now: float) -> list[MenuEffect]:
        if not self._repeats:
            return self._finish(kind, value, digits_given=kind is MenuResultType.INVALID_INPUT)
        self._repeats -= 1
        return self._prompt(self._menu.repeat_prompt or self._menu.prompt, now)

    def _prompt(self, prompts: tuple[Prompt, ...], now: float) -> list[MenuEffect]:
        if not prompts:
            self._wait(now)
            return []
        self._prompting, self.deadline = True, None
        return [PlayPrompt(prompts)]

    def _wait(self, now: float) -> None:
        self.deadline = now + self._menu.timeout_ms / 1000

    def _finish(self, kind: MenuResultType, value: str, *, digits_given: bool) -> list[MenuEffect]:
        self._finished, self.deadline = True, None
        return [MenuFinished(MenuResult(self._menu.id, kind, value, digits_given))]
